"""nvenc --model hybrid: files, reports, refusals."""

import json
import os
import re

import pytest

from tests.cli.support import call, ended, moving, ndjson, one_line, start, y4m
from tests.cli.test_processes import first_group, interrupt, on_terminal

HYBRID = ("--model", "hybrid", "--preset", "fast")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.y4m"
    path.write_bytes(y4m(moving(6, 70, 50)))
    return path


def test_encodes_to_a_file_that_decodes(source, tmp_path):
    out = tmp_path / "out.nrv"
    result = call("nvenc", *HYBRID, "--threads", 2, source, out)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "encoded: hybrid, 6 frames in 2 groups" in result.stderr
    shares = ", ".join(f".*% {name}" for name in ("key", "chain", "interior", "motion", "network"))
    assert re.search(rf" bpp, {shares}\), 8-bit 4:2:0, PSNR", result.stderr)
    assert call("nvdec", "--verify", out, "null").exit_code == 0
    report = json.loads(call("nvinfo", "--json", out).stdout)
    assert report["metadata"]["settings"] == {"crf": 30, "preset": "fast"}
    assert [group["frames"] for group in report["groups"]] == [1, 5]


def test_json_lines(source, tmp_path):
    out = tmp_path / "out.nrv"
    options = ("--json", "--group-size", 3, "--key-interval", 0.12, "--crf", 21)
    lines = ndjson(call("nvenc", *HYBRID, *options, source, out).stdout)
    assert [line["type"] for line in lines] == ["start"] + ["group"] * 4 + ["done"]
    assert lines[0]["shape"] == {"group_frames": 3, "chroma_offset": 0, "network": 1}
    found = lines[1:-1]
    assert [(g["frames"], g["key"]) for g in found] == [
        (1, True),
        (3, False),
        (1, True),
        (1, False),
    ]
    done = lines[-1]
    assert done["bytes"] == out.stat().st_size
    for name in ("content_bytes", "motion_bytes", "network_bytes", "chain_bytes"):
        assert done[name] == sum(g[name] for g in found)
    assert done["key_bytes"] == sum(g["content_bytes"] + g["motion_bytes"] for g in found[::2])
    assert set(done["psnr"]) == {"all", "y", "u", "v"}


def test_pipes(source):
    result = call("nvenc", *HYBRID, "-", "-", stdin=source.read_bytes())
    assert result.exit_code == 0
    assert call("nvdec", "--verify", "-", "null", stdin=result.stdout_bytes).exit_code == 0


def test_it_is_the_default(source, tmp_path):
    out = tmp_path / "out.nrv"
    assert call("nvenc", "--preset", "fast", "--frames", 1, source, out).exit_code == 0
    assert json.loads(call("nvinfo", "--json", out).stdout)["model"]["name"] == "hybrid"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--preset", "paper"), "preset paper"),
        (("--network", "paper"), "network paper"),
    ],
)
def test_options_of_the_other_model(source, tmp_path, options, text):
    result = call("nvenc", *options, source, tmp_path / "out.nrv")
    assert text in one_line(result, 2)
    assert os.listdir(tmp_path) == ["in.y4m"]


def test_progress_on_a_terminal(source, tmp_path):
    code, shown = on_terminal("nvenc", *HYBRID, source, tmp_path / "out.nrv")
    assert code == 0
    assert "group 1" in shown
    assert re.search(r"\d fps, \d\.\d+ bpp", shown)


def test_an_interrupt_keeps_the_groups_before(tmp_path):
    out = tmp_path / "out.nrv"
    with ended(start("nvenc", *HYBRID, "--json", "--group-size", 2, "-", out)) as process:
        # More than it begins before it waits for the next.
        process.stdin.write(y4m(moving(60, 24, 16)))
        process.stdin.flush()
        first_group(process)
        _, err = interrupt(process)
    assert "interrupted" in err
    assert call("nvdec", "--verify", out, "null").exit_code == 0
