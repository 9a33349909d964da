"""Many files by one command: the queue, the manifest, resuming, files that fail."""

import json
import os

import pytest

from nvcodec.cli import batch
from nvcodec.cli.batch import MANIFEST, Manifest
from tests.cli.support import NIRVANA, call, moving, ndjson, one_line, y4m

FAST = (*NIRVANA, "--preset", "fast", "-q")


@pytest.fixture
def sources(tmp_path):
    """Two clips, and a file between them that is none."""
    paths = [tmp_path / name for name in ("a.y4m", "bad.mp4", "c.y4m")]
    for seed, path in enumerate(paths):
        path.write_bytes(b"none" if path.suffix == ".mp4" else y4m(moving(3, 24, 16, seed)))
    return paths


def records(folder):
    return {r["output"]: r for r in ndjson((folder / MANIFEST).read_text())}


def outputs(folder):
    return sorted(os.listdir(folder))


def test_a_bad_file_does_not_stop_the_rest(sources, tmp_path):
    out = tmp_path / "out"
    result = call("nvenc", *FAST[:-1], "--output-dir", out, *sources, tmp_path / "none.mp4")
    assert result.exit_code == 1, result.stderr
    lines = result.stderr.splitlines()
    assert [str(path) in line for path, line in zip(sources, lines, strict=False)] == [True] * 3
    assert "4 files: 2 encoded, 2 failed: " in lines[-1]
    assert outputs(out) == ["a.nrv", "c.nrv", MANIFEST]
    found = records(out)
    assert [found[n]["status"] for n in ("a.nrv", "bad.nrv", "c.nrv")] == ["done", "failed", "done"]
    assert "no known video format" in found["bad.nrv"]["error"]
    assert found["a.nrv"]["frames"] == 3
    assert found["a.nrv"]["bytes"] == (out / "a.nrv").stat().st_size
    single = tmp_path / "single.nrv"
    assert call("nvenc", *FAST, sources[0], single).exit_code == 0
    assert (out / "a.nrv").read_bytes() == single.read_bytes()


def test_failures_of_one_kind_give_their_code(sources, tmp_path):
    result = call("nvenc", *FAST, "--output-dir", tmp_path / "out", *sources)
    assert "bad.mp4" in one_line(result, 3)


def test_resuming_skips_what_is_done_and_verified(sources, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first, _, last = sources
    run = ("nvenc", *FAST, "--json", "--output-dir", out)
    assert call(*run, first, last).exit_code == 0
    done = {name: (out / name).read_bytes() for name in ("a.nrv", "c.nrv")}

    def again(*more):
        result = call(*run, *more, first, last)
        lines = ndjson(result.stdout)
        return result.exit_code, lines[-1]["skipped"], [r["output"] for r in lines[:-1]]

    assert again("--resume") == (0, 2, [])
    assert again() == (1, 0, ["a.nrv", "c.nrv"])
    # Another crf, a damaged output, another source: not what is asked for.
    assert again("--resume", "--crf", 35)[:2] == (1, 0)
    assert again("--resume", "-y") == (0, 0, ["a.nrv", "c.nrv"])
    (out / "a.nrv").write_bytes(done["a.nrv"][:-1])
    assert again("--resume") == (1, 1, ["a.nrv"])
    (out / "a.nrv").unlink()
    os.utime(last, (1, 1))
    assert again("--resume", "-y") == (0, 0, ["a.nrv", "c.nrv"])
    assert {name: (out / name).read_bytes() for name in done} == done


def test_a_kill_between_record_and_name_loses_nothing(sources, tmp_path, monkeypatch):
    out = tmp_path / "out"

    true = os.replace

    def killed(start, end):
        if end == out / "a.nrv":
            raise SystemExit(9)
        true(start, end)

    with monkeypatch.context() as patch:
        patch.setattr(batch.os, "replace", killed)
        call("nvenc", *FAST, "--output-dir", out, sources[0])
    assert "a.nrv" not in outputs(out)
    with (out / MANIFEST).open("ab") as file:
        file.write(b'{"output": "a.n')
    assert call("nvenc", *FAST, "--resume", "--output-dir", out, sources[0]).exit_code == 0
    assert outputs(out) == ["a.nrv", MANIFEST]
    lines = (out / MANIFEST).read_text().splitlines()
    assert [json.loads(line)["status"] for line in (lines[0], lines[-1])] == ["done"] * 2


@pytest.mark.parametrize("data", [b"\x80\x04.\n", b"[1]\n", b'{"output": 3}\n', b"[" * 10**5])
def test_a_hostile_manifest_is_passed_over(tmp_path, data):
    path = tmp_path / MANIFEST
    path.write_bytes(data)
    with Manifest(path) as manifest:
        assert manifest.of(tmp_path / "a.nrv") == {}
        manifest.add({"output": "a.nrv"})
    with Manifest(path) as manifest:
        assert manifest.of(tmp_path / "a.nrv") == {"output": "a.nrv"}
        with pytest.raises(OSError, match="another process"):
            Manifest(path)


def test_a_list_on_standard_input(sources, tmp_path):
    out = tmp_path / "out"
    listed = "".join(f"{path}\n" for path in (sources[0], sources[2]))
    assert call("nvenc", *FAST, "--output-dir", out, stdin=listed.encode()).exit_code == 0
    result = call("nvdec", "--verify", "--output-dir", out, "--suffix", ".y4m", out / "a.nrv")
    assert result.exit_code == 0, result.stderr
    single = tmp_path / "single.y4m"
    assert call("nvdec", out / "a.nrv", single).exit_code == 0
    assert (out / "a.y4m").read_bytes() == single.read_bytes()
    assert {"a.nrv", "c.nrv", "a.y4m"} == set(records(out))


def test_nvdec_goes_on_and_resumes(sources, tmp_path):
    out, good = tmp_path / "out", tmp_path / "good.nrv"
    assert call("nvenc", *FAST, sources[0], good).exit_code == 0
    cut = tmp_path / "cut.nrv"
    cut.write_bytes(good.read_bytes()[:-20])
    run = ("nvdec", "-q", "--output-dir", out)
    assert "cut.nrv" in one_line(call(*run, cut, good), 3)
    # Nothing unfinished is left, under no name.
    assert outputs(out) == ["good.mkv", MANIFEST]
    result = call(*run, "--json", "--resume", good)
    assert result.exit_code == 0
    assert ndjson(result.stdout) == [{"type": "done", "files": 1, "skipped": 1, "failed": 0}]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("x/a.mp4", "y/a.mov"), "would both become"),
        (("-",), "'-' goes with one IN and OUT"),
        ((), "the list on standard input is empty"),
    ],
)
def test_queues_that_are_none(tmp_path, arguments, text):
    result = call("nvenc", "--output-dir", tmp_path / "out", *arguments, stdin=b"")
    assert text in one_line(result, 2)
    assert not (tmp_path / "out").exists()


def test_arguments_without_a_folder(tmp_path):
    for command in ("nvenc", "nvdec"):
        assert "Missing argument 'OUT'" in call(command, "a").stderr
        assert "--output-dir takes many IN" in call(command, "a", "b", "c").stderr


@pytest.mark.deep
def test_files_share_the_jobs(sources, tmp_path):
    out = tmp_path / "out"
    run = ("nvenc", *FAST, "--key-interval", 0.05)
    result = call(*run, "--jobs", 2, "--output-dir", out, *sources)
    assert "bad.mp4" in one_line(result, 3)
    for name in ("a", "c"):
        single = tmp_path / f"{name}.nrv"
        assert call(*run, tmp_path / f"{name}.y4m", single).exit_code == 0
        assert (out / f"{name}.nrv").read_bytes() == single.read_bytes()
