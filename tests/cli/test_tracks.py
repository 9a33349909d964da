"""Tracks beside the video, as users of the commands see them."""

import json

import pytest

from tests.cli.support import call, ndjson, one_line
from tests.media import clips

pytestmark = pytest.mark.usefixtures("quick")

PAPER = ("--model", "nirvana", "--network", "paper")


@pytest.fixture
def source(tmp_path):
    return clips.with_tracks(
        tmp_path / "in.mkv",
        subtitles=[(100, 400, "one")],
        chapters=[(0, 1, "Anfang")],
        tags={"title": "A title"},
        frames=6,
    )


def info(path):
    result = call("nvinfo", "--json", path)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_what_nvenc_carries_nvinfo_lists(tmp_path, source):
    out = tmp_path / "out.nrv"
    done = ndjson(call("nvenc", *PAPER, "--json", source, out).stdout)[-1]
    report = info(out)
    packets = clips.packets_of(source, "audio")
    audio, text = report["tracks"]
    assert (audio["kind"], audio["codec"], audio["language"]) == ("audio", "aac", "deu")
    assert (audio["packets"], audio["bytes"]) == (len(packets), sum(len(p[-1]) for p in packets))
    assert (text["codec"], text["packets"], text["bytes"]) == ("subrip", 1, 3)
    assert (text["start"], text["end"]) == (0.1, 0.4)
    assert report["chapters"] == [{"start": 0.0, "end": 1.0, "title": "Anfang"}]
    assert report["metadata"]["tags"]["title"] == "A title"
    kinds = report["bytes_by_kind"]
    assert sum(kinds.values()) == report["bytes"] == out.stat().st_size == done["bytes"]
    assert kinds["tracks"] > done["track_bytes"] > audio["bytes"] + text["bytes"]
    shown = call("nvinfo", out).stdout
    assert '0 audio aac deu 48000 Hz stereo "Ton"' in shown
    assert "1 subtitle subrip fra" in shown
    assert "Anfang" in shown


def test_options_choose_tracks(tmp_path, source):
    out = tmp_path / "out.nrv"
    result = call("nvenc", *PAPER, "--no-audio", source, out)
    assert "dropped 1 audio track: aac 48000 Hz 2 channels" in result.stderr
    assert [track["kind"] for track in info(out)["tracks"]] == ["subtitle"]
    call("nvenc", *PAPER, "-y", "--tracks", "none", source, out)
    report = info(out)
    assert report["tracks"] == []
    assert report["bytes_by_kind"]["tracks"] == 0
    result = call("nvenc", *PAPER, "-y", "--tracks", "video", source, out)
    assert result.exit_code == 2
    assert "tracks 'video' are neither all, none, nor a list of audio, subtitle" in result.stderr


def test_damage_of_a_track_is_said_and_costs_no_frame(tmp_path, source):
    out = tmp_path / "out.nrv"
    call("nvenc", *PAPER, source, out)
    data = bytearray(out.read_bytes())
    data[data.index(b"aTRK") + 10] ^= 1
    out.write_bytes(bytes(data))
    result = call("nvdec", "--json", out, "null")
    assert result.exit_code == 0
    assert ndjson(result.stdout)[-1]["frames"] == 6
    assert "aTRK at byte" in result.stderr
    assert "no frame depends on it" in result.stderr
    assert "aTRK at byte" in one_line(call("nvinfo", out), 3)
