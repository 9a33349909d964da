"""Runs nrvdec on the conformance vectors (clause 14.5): python3 vectors.py [-d DECODER] [VECTORS] [NAME ...]

A valid vector has to give the MD5 of each frame and of each view; a faulty one the class of its
error after the frames before the damage. NAME keeps the vectors whose file name holds it.
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CLASS = {2: "truncated", 3: "mismatch", 4: "corrupt", 5: "unsupported", 6: "over limit"}


def run(decoder, path, *options):
    done = subprocess.run([decoder, "--md5", *options, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=600)
    code = done.returncode
    return ("ok" if code == 0 else CLASS.get(code, f"exit code {code}")), done.stdout.split(), done.stderr.strip()


def compare(got, want):
    """What differs in a list of digests, or nothing."""
    for k, (a, b) in enumerate(zip(got, want)):
        if a != b:
            return f"frame {k} differs"
    return "" if len(got) == len(want) else f"{len(got)} frames, not {len(want)}"


def judge(decoder, path, want_class, frames, *options):
    kind, got, said = run(decoder, path, *options)
    wrong = [compare(got, frames)] if want_class in ("ok", kind) or kind == "ok" else []
    if kind != want_class:
        wrong.append(f"{kind}, not {want_class}" + (f" ({said})" if said else ""))
    elif want_class != "ok":
        wrong = [compare(got, frames)]
    return ", ".join(w for w in wrong if w)


def valid(decoder, path, v):
    out = [judge(decoder, path, "ok", v["frames"])]
    for view in v["views"]:
        (w, h), (cw, ch, x, y) = view["size"], view["crop"]
        options = ("--size", f"{w}x{h}", "--region", f"{x},{y},{cw},{ch}")
        wrong = judge(decoder, path, "ok", view["frames"], *options)
        out.append(wrong and " ".join(options) + ": " + wrong)
    return [w for w in out if w]


def faulty(decoder, path, v):
    wrong = judge(decoder, path, v["class"], v["frames"])
    if wrong and v.get("optional"):
        if not judge(decoder, path, "ok", v["whole"]):
            return []
    return [wrong + f" [{v['rule']}: {v['breaks']}]"] if wrong else []


def main(args):
    decoder = os.path.join(HERE, "build", "nrvdec")
    if args[:1] == ["-d"]:
        decoder, args = args[1], args[2:]
    root = args[0] if args else os.path.join(HERE, "..", "vectors")
    with open(os.path.join(root, "manifest.json"), encoding="utf-8") as f:
        manifest = json.load(f)
    bad = 0
    for name, test in (("valid", valid), ("faulty", faulty)):
        vectors = [v for v in manifest[name] if not args[1:] or any(a in v["file"] for a in args[1:])]
        failed, views = 0, 0
        for v in vectors:
            wrong = test(os.path.abspath(decoder), os.path.join(root, v["file"]), v)
            for line in wrong:
                print(f"FAIL {v['file']}: {line}", flush=True)
            failed += bool(wrong)
            views += len(v.get("views", ()))
        print(f"{name}: {len(vectors) - failed} of {len(vectors)} passed" + (f", {views} views among them" if views else ""), flush=True)
        bad += failed
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
