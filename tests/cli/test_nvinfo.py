"""nvinfo on synthetic bitstreams."""

import json
import tracemalloc
from fractions import Fraction

import pytest

from nvcodec.coding.hybrid.fusion import encode_network, no_differences
from nvcodec.coding.hybrid.network_mode import NetworkMode
from nvcodec.format import Chapter
from nvcodec.format.chapters import build_chapters
from nvcodec.model.description import CanvasShape
from tests.cli.support import call, one_line
from tests.format.samples import complete, grup, head, meta
from tests.hybrid import HybridPlan, synthesize_hybrid
from tests.synthetic import SMALL, Plan, synthesize


@pytest.fixture(scope="module")
def data():
    return synthesize(Plan(width=21, height=13, frames=(3, 3, 1), keys=(0, 2)))[0]


def info(data):
    result = call("nvinfo", "--json", "-", stdin=data)
    assert result.exit_code == 0
    return json.loads(result.stdout)


HYBRID = (
    head(model=2),
    (b"HYBR", CanvasShape(8).to_payload()),
)
PICTURE = grup(frame_count=1, substreams=(b"", b"content", b"motion", b""))


def test_very_much_metadata():
    """What 143 kB can hold must not take gigabytes, nor cost a frame."""
    text = json.dumps({"m": "x" * 65000}).encode()
    file = complete(*HYBRID, *[meta(text)] * 3000, PICTURE)
    assert len(file) < 200_000
    result = call("nvinfo", "--json", "-", stdin=file)
    assert one_line(result, 4).count("more than 16 units of metadata (clause 2.6)") == 1
    assert len(result.stdout) < 500_000


def test_memory_follows_the_file():
    """Very many small units take a few bytes each."""
    units = [(b"zzZz", b"")] * 15_000
    file = complete(*HYBRID, *units, PICTURE)
    tracemalloc.start()
    try:
        result = call("nvinfo", "--json", "-", stdin=file)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(json.loads(result.stdout)["units"]) > 15_000
    # The runner of the test keeps what is printed, twice.
    assert most < 8 * len(result.stdout)


def test_titles_do_not_reach_the_terminal_raw():
    chapter = Chapter(0, 1, Fraction(1), "a\x1b[2J\nb")
    file = complete(*HYBRID, (b"cHAP", build_chapters([chapter])), PICTURE)
    shown = call("nvinfo", "-", stdin=file).stdout
    assert "\x1b" not in shown
    assert r"a\x1b[2J\nb" in shown
    assert info(file)["chapters"][0]["title"] == chapter.title


def test_lists_everything(data, tmp_path):
    report = info(data)
    assert (report["header"]["width"], report["header"]["height"]) == (21, 13)
    assert report["header"]["frame_count"] is None
    assert report["model"]["name"] == "sine"
    assert report["model"]["patch"] == 8
    assert report["model"]["weights"] == SMALL.weights
    assert report["metadata"] == {"encoder": "synthetic"}
    assert [group["frames"] for group in report["groups"]] == [3, 3, 1]
    assert [group["key"] for group in report["groups"]] == [True, False, True]
    assert report["complete"]
    assert report["bytes"] == len(data) == sum(report["bytes_by_kind"].values())
    assert report["shares"] == {k: n / len(data) for k, n in report["bytes_by_kind"].items()}


def test_formats_that_no_model_renders_are_listed():
    description = (b"SIRN", SMALL.to_payload())
    report = info(complete(head(chroma_format=2, bit_depth=12), description, grup()))
    assert report["format"] == "yuv422p12"


def test_units_are_those_of_the_file(data):
    place = 8
    for unit in info(data)["units"]:
        assert unit["offset"] == place
        assert data[place : place + 4].decode() == unit["type"]
        place += unit["bytes"]
    assert place == len(data)


def test_text(data, tmp_path):
    path = tmp_path / "x.nrv"
    path.write_bytes(data)
    text = call("nvinfo", path).stdout
    for part in ("width                21", "GRUP          3", "network", "container", "bpp"):
        assert part in text


def test_model_2(tmp_path):
    key = grup(frame_count=1, substreams=(b"", b"content", b"motion", b""))
    following = grup(first_frame=1, first_pts=1, flags=0, substreams=(b"", b"co", b"m", b""))
    hybrid = (b"HYBR", CanvasShape(8, -3).to_payload())
    data = complete(head(model=2), hybrid, key, following)
    report = info(data)
    assert report["model"] == {
        "name": "hybrid",
        "group_frames": 8,
        "chroma_offset": -3,
        "network": 0,
    }
    kinds = report["bytes_by_kind"]
    assert (kinds["content"], kinds["motion"], kinds["tables"], kinds["network"]) == (9, 7, 0, 0)
    assert [(group["content"], group["motion"]) for group in report["groups"]] == [(7, 6), (2, 1)]
    assert {group["network_mode"] for group in report["groups"]} == {"none"}
    assert report["complete"]
    path = tmp_path / "x.nrv"
    path.write_bytes(data)
    text = call("nvinfo", path).stdout
    for part in ("hybrid", "chroma_offset        -3", "content     motion", "HYBR          1"):
        assert part in text
    broken = complete(head(model=2), (b"HYBR", bytes(16)), key)
    assert "HYBR at byte 68" in one_line(call("nvinfo", "-", stdin=broken), 3)
    longer = complete(head(model=2), (b"HYBR", CanvasShape(1).to_payload()), key, following)
    assert "GRUP 1" in one_line(call("nvinfo", "-", stdin=longer), 3)


def test_networks(tmp_path):
    groups = [
        grup(
            first_frame=number,
            first_pts=number,
            flags=0 if number else 1,
            frame_count=1,
            substreams=(b"", b"c", b"m", encode_network(mode, *no_differences(1, 14))),
        )
        for number, mode in enumerate(NetworkMode)
    ]
    hybrid = (b"HYBR", CanvasShape(8, 0, 1).to_payload())
    data = complete(head(model=2), hybrid, *groups)
    report = info(data)
    assert [group["network_mode"] for group in report["groups"]] == ["keep", "off", "new"]
    assert report["bytes_by_kind"]["network"] == sum(group["network"] for group in report["groups"])
    path = tmp_path / "x.nrv"
    path.write_bytes(data)
    text = call("nvinfo", path).stdout
    assert "network       mode" in text
    assert all(f"{mode}\n" in text for mode in ("keep", "off", "new"))
    damaged = grup(first_frame=1, first_pts=1, flags=0, substreams=(b"", b"c", b"m", b"\xff" * 4))
    result = call("nvinfo", "-", stdin=complete(head(model=2), hybrid, groups[0], damaged))
    assert "GRUP 1" in one_line(result, 3)


def test_damage(data, tmp_path):
    for cut in (0, 20, 60, 100, len(data) // 2, len(data) - 1):
        result = call("nvinfo", "--json", "-", stdin=data[:cut])
        one_line(result, 3)
        if cut > 68:
            report = json.loads(result.stdout)
            assert not report["complete"]
            assert all(unit["offset"] + unit["bytes"] <= cut for unit in report["units"])
        else:
            assert result.stdout == ""


def test_missing(tmp_path):
    one_line(call("nvinfo", tmp_path / "none"), 1)
    one_line(call("nvinfo", tmp_path), 1)
    assert call("nvinfo").exit_code == 2


def test_bits_by_syntax_element(tmp_path):
    data, _ = synthesize_hybrid(HybridPlan(frames=(1, 3), keys=(0,), seconds=(0,)))
    result = call("nvinfo", "--json", "--bits", "-", stdin=data)
    report = json.loads(result.stdout)
    assert list(report["bits"]) == ["key", "chain", "interior"]
    total = sum(sum(bits.values()) for bits in report["bits"].values())
    coded = sum(group["content"] + group["motion"] for group in report["groups"])
    assert total == pytest.approx(8 * coded, rel=0.01)
    assert "bits" not in json.loads(call("nvinfo", "--json", "-", stdin=data).stdout)
    text = call("nvinfo", "--bits", "-", stdin=data).stdout
    assert "signs and escapes" in text
    assert "interior" in text
