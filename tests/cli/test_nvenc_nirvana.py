"""nvenc --model nirvana, nvdec and nvinfo: files, reports, refusals."""

import json
import os
import re

import pytest

from tests.cli.support import (
    NIRVANA,
    call,
    ended,
    moving,
    ndjson,
    one_line,
    parse_y4m,
    start,
    y4m,
)
from tests.cli.test_processes import first_group, interrupt

FAST = (*NIRVANA, "--preset", "fast")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.y4m"
    path.write_bytes(y4m(moving(6, 70, 50)))
    return path


def test_encodes_to_a_file_that_decodes(source, tmp_path):
    out = tmp_path / "out.nrv"
    result = call("nvenc", *NIRVANA, source, out)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "encoded: nirvana, 6 frames in 2 groups" in result.stderr
    assert re.search(r" bpp, .*% key, .*% motion\), 8-bit 4:2:0, PSNR", result.stderr)
    header, pictures = parse_y4m(call("nvdec", "--verify", out, "-").stdout_bytes)
    assert b"W70 H50 F25:1" in header
    assert len(pictures) == 6


def test_info(source, tmp_path):
    out = tmp_path / "out.nrv"
    assert call("nvenc", *FAST, "--crf", 33, source, out).exit_code == 0
    report = json.loads(call("nvinfo", "--json", out).stdout)
    assert report["model"] == {
        "name": "nirvana",
        "table": 1,
        "patch": 8,
        "group_frames": 4,
        "features": 192,
    }
    assert report["metadata"]["settings"] == {"crf": 33, "preset": "fast"}
    assert [(g["frames"], g["key"]) for g in report["groups"]] == [(4, True), (2, False)]
    kinds = report["bytes_by_kind"]
    assert (kinds["tables"], kinds["network"]) == (0, 0)
    assert kinds["content"] == sum(group["content"] for group in report["groups"])
    text = call("nvinfo", out).stdout
    for part in ("nirvana", "features             192", "content     motion", "NIRV          1"):
        assert part in text


def test_json_lines(source, tmp_path):
    out = tmp_path / "out.nrv"
    options = ("--json", "--group-size", 3, "--metrics", "psnr,ssim")
    lines = ndjson(call("nvenc", *FAST, *options, source, out).stdout)
    assert [line["type"] for line in lines] == ["start", "group", "group", "done"]
    assert lines[0]["shape"] == {"table": 1, "patch": 8, "group_frames": 4, "features": 192}
    found, done = lines[1:-1], lines[-1]
    assert [(g["frames"], g["key"]) for g in found] == [(3, True), (3, False)]
    assert done["bytes"] == out.stat().st_size
    for name in ("content_bytes", "motion_bytes"):
        assert done[name] == sum(g[name] for g in found)
    assert done["network_bytes"] == done["chain_bytes"] == 0
    assert set(done["psnr"]) == {"all", "y", "u", "v"}
    assert 0 < done["ssim"] <= 1


def test_pipes(source):
    result = call("nvenc", *FAST, "-", "-", stdin=source.read_bytes())
    assert result.exit_code == 0
    assert call("nvdec", "--verify", "-", "null", stdin=result.stdout_bytes).exit_code == 0


def test_a_network_of_the_other_model(source, tmp_path):
    result = call("nvenc", *NIRVANA, "--network", "fixed", source, tmp_path / "out.nrv")
    assert "network fixed" in one_line(result, 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--preset", "paper"), "preset paper"),
        (("--device", "cuda"), "device cuda"),
        (("--group-size", 5), "groups of more than 4 frames"),
    ],
)
def test_options_of_the_paper_network(source, tmp_path, options, text):
    line = one_line(call("nvenc", *NIRVANA, *options, source, tmp_path / "out.nrv"), 2)
    assert text in line
    assert "network paper" in line
    assert os.listdir(tmp_path) == ["in.y4m"]


def test_an_interrupt_keeps_the_groups_before(tmp_path):
    out = tmp_path / "out.nrv"
    with ended(start("nvenc", *FAST, "--json", "--group-size", 2, "-", out)) as process:
        # More than it codes before it waits for the next.
        process.stdin.write(y4m(moving(20, 24, 16)))
        process.stdin.flush()
        first_group(process)
        _, err = interrupt(process)
    assert "interrupted" in err
    assert call("nvdec", "--verify", out, "null").exit_code == 0
