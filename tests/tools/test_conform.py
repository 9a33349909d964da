"""The conformance runner finds out decoders that are wrong on purpose."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nvcodec.decode.decoder import Decoder
from nvcodec.format import NrvError
from tools.conform import main
from tools.vectors.manifest import VECTORS, read

NAMES = [
    "valid/hybrid-size-9x7.nrv",
    "valid/nirvana-size-8x8.nrv",
    "faulty/2.9-3-md5.nrv",
    "faulty/2.4-8-width.nrv",
    "faulty/2.12-1-flags.nrv",
]

# What a right decoder gives lies beside each vector; KIND says what is done to it.
DECODER = """
import os, sys, time
kind, source, target = sys.argv[1:4]
with open(source + ".raw", "rb") as file:
    data = file.read()
with open(source + ".code") as file:
    code = int(file.read())
if len(sys.argv) > 4:
    with open(source + "." + sys.argv[4], "rb") as file:
        data = file.read()
size = len(data)
if kind == "null":
    data, code = b"", 0
elif kind == "refusing":
    data, code = b"", 3
elif kind == "lenient":
    code = 0
elif kind == "truncating":
    data = data[: size - 1]
elif kind == "frame short":
    data = data[: size // 2]
elif kind == "one bit off":
    data = data[:-1] + bytes((data[-1] ^ 1,)) if data else data
elif kind == "nothing before damage":
    data = data if code == 0 else b""
elif kind == "one class":
    code = 4 if code else 0
elif kind == "crashing":
    os.abort()
elif kind == "hanging":
    time.sleep(60)
elif kind == "one too many":
    data += data[: size // 2] or bytes(8)
with open(target, "wb") as file:
    file.write(data)
sys.exit(code)
"""


def raw(frames):
    return b"".join(plane.tobytes() for frame in frames for plane in frame.planes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Some vectors with their manifest, and what a right decoder makes of them."""
    found = tmp_path_factory.mktemp("vectors")
    manifest = read()
    for kind in ("valid", "faulty"):
        (found / kind).mkdir()
        manifest[kind] = [entry for entry in manifest[kind] if entry["file"] in NAMES]
        for entry in manifest[kind]:
            path = found / entry["file"]
            path.write_bytes((VECTORS / entry["file"]).read_bytes())
            frames, code = [], 0
            try:
                with Decoder(path) as decoder:
                    for frame in decoder:
                        frames.append(frame)
                    for view in entry.get("views", ()):
                        shown = decoder.frames(size=view["size"], crop=view["crop"])
                        Path(f"{path}.{view['size'][0]}").write_bytes(raw(shown))
            except NrvError:
                code = 3
            Path(f"{path}.raw").write_bytes(raw(frames))
            Path(f"{path}.code").write_text(str(code))
    assert sum(map(len, (manifest["valid"], manifest["faulty"]))) == len(NAMES)
    (found / "manifest.json").write_text(json.dumps(manifest))
    (found / "decoder.py").write_text(DECODER)
    return found


def conform(folder, kind, *options, views=None):
    """(exit code, lines, the report's results by file) of a run with a decoder of a kind."""
    script = [sys.executable, "-S", str(folder / "decoder.py"), kind]
    report = folder / "report.json"
    command = [*options, "--decoder", shlex.join(script) + " {in} {out}"]
    if views:
        command += ["--views", shlex.join([*script[:-1], views]) + " {in} {out} {width}"]
    command += ["--vectors", str(folder), "--report", str(report), "--suffix", ".yuv"]
    result = CliRunner().invoke(main, command)
    record = json.loads(report.read_text())
    rows = {row["file"]: row for row in record["results"]}
    assert record["passed"] + record["failed"] == len(rows)
    return result.exit_code, result.output.splitlines(), rows


def test_a_right_decoder_passes(folder):
    code, lines, rows = conform(folder, "right", views="right")
    assert (code, lines) == (0, ["5 of 5 vectors passed"])
    assert all(row["passed"] for row in rows.values())


VALID = set(NAMES[:2])
FAULTY = set(NAMES[2:4])


@pytest.mark.parametrize(
    ("kind", "failing", "text"),
    [
        ("null", {*NAMES}, "0 frames, not"),
        ("refusing", VALID | {NAMES[2]}, "refused"),
        ("lenient", FAULTY, "taken, though it breaks 2.9-3: `md5`"),
        ("truncating", {*NAMES} - {NAMES[3]}, "the output ends within frame"),
        ("frame short", {*NAMES} - {NAMES[3]}, "frames, not"),
        ("one bit off", {*NAMES} - {NAMES[3]}, "differs"),
        ("nothing before damage", {NAMES[2]}, "0 frames, not 3"),
        ("crashing", {*NAMES}, "ended by signal 6"),
        ("one too many", {*NAMES}, "frames where none is due"),
    ],
)
def test_a_wrong_decoder_fails(folder, kind, failing, text):
    code, lines, rows = conform(folder, kind)
    assert code == 1
    assert {name for name, row in rows.items() if not row["passed"]} == failing
    assert any(text in line for line in lines)
    assert len(lines) == len(failing) + 1


def test_a_hanging_decoder_fails(folder):
    code, lines, _ = conform(folder, "hanging", "--timeout", "0.3", "--only", NAMES[0])
    assert (code, lines[0]) == (1, f"{NAMES[0]}: no end within 0.3 s")


def test_exit_codes_are_compared(folder):
    codes = ("--exit-code", "corrupt=3", "--exit-code", "unsupported=4")
    assert conform(folder, "right", *codes)[0] == 0
    code, lines, rows = conform(folder, "one class", *codes)
    assert code == 1
    assert {name for name, row in rows.items() if not row["passed"]} == FAULTY
    assert lines[0].endswith("refused as unsupported, not as corrupt")


@pytest.mark.parametrize("kind", ["null", "one bit off", "refusing"])
def test_wrong_views_fail(folder, kind):
    code, lines, rows = conform(folder, "right", views=kind)
    assert code == 1
    assert {name for name, row in rows.items() if not row["passed"]} == VALID
    assert all("size " in line for line in lines[:-1])


NVDEC = f"{shlex.quote(sys.executable)} -m nvcodec nvdec -y"
OF_NVDEC = ["--decoder", f"{NVDEC} {{in}} {{out}}", "--views"]
OF_NVDEC += [
    f"{NVDEC} --size {{width}}x{{height}}"
    " --crop {crop_width}:{crop_height}:{crop_x}:{crop_y} {in} {out}"
]
for code in ("corrupt=3", "truncated=3", "unsupported=4", "over limit=4", "mismatch=5"):
    OF_NVDEC += ["--exit-code", code]
REFERENCE = shlex.join([sys.executable, str(VECTORS.parent / "reference" / "nrvdec.py")])
OF_REFERENCE = ["--decoder", f"{REFERENCE} --output {{out}} {{in}}", "--suffix", ".yuv"]


@pytest.mark.parametrize(
    ("command", "only"),
    [
        (OF_NVDEC, "valid/hybrid-size-9x7.nrv"),
        (OF_NVDEC, "faulty/2.9-3-*"),
        (OF_REFERENCE, "valid/nirvana-size-8x8.nrv"),
        pytest.param(OF_NVDEC, "*", marks=pytest.mark.deep),
        pytest.param(OF_REFERENCE, "*", marks=pytest.mark.deep),
    ],
    ids=["nvdec", "nvdec, faulty", "reference", "nvdec, all", "reference, all"],
)
def test_commands_of_ours(command, only):
    result = CliRunner().invoke(main, [*command, "--only", only, "--jobs", "2"])
    assert result.exit_code == 0, result.output


def test_options_that_are_wrong(folder):
    for options in (["--only", "no/such"], ["--exit-code", "corrupt=x"], ["--exit-code", "bad=1"]):
        command = ["--decoder", "x", "--vectors", str(folder), *options]
        assert CliRunner().invoke(main, command).exit_code == 2
