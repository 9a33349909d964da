"""Tracks beside the video, from a source through a .nrv file into containers."""

from fractions import Fraction

import av
import pytest

from tests.cli.conftest import make_quick
from tests.cli.support import call, ended, one_line, start
from tests.media import clips
from tests.media.clips import Sound

PAPER = ("--model", "nirvana", "--network", "paper")
SUBTITLES = [(100, 400, "one"), (700, 900, "zwei")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tracks")


@pytest.fixture(scope="module")
def source(folder):
    return clips.with_tracks(
        folder / "in.mp4",
        sounds=(Sound(), Sound("ac3", "eng", "Other")),
        chapters=[(0, 1, "Anfang")],
        tags={"title": "A title"},
        frames=10,
    )


@pytest.fixture(scope="module")
def coded(folder, source):
    out = folder / "coded.nrv"
    with pytest.MonkeyPatch.context() as patches:
        make_quick(patches)
        assert call("nvenc", *PAPER, source, out).exit_code == 0
    return out


def copied(path):
    """Bytes of the packets, and times in seconds, by track."""
    found = {}
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.audio):
            if packet.size:
                times = found.setdefault(packet.stream.index, [])
                times.append((packet.pts * packet.time_base, bytes(packet)))
    return [found[index] for index in sorted(found)]


def assert_copied(got, wanted, slack=Fraction(1, 1000)):
    assert len(got) == len(wanted) > 0
    for track, other in zip(got, wanted, strict=True):
        assert [data for _, data in track] == [data for _, data in other]
        assert max(abs(a - b) for (a, _), (b, _) in zip(track, other, strict=True)) <= slack


@pytest.mark.parametrize(("suffix", "slack"), [(".mkv", Fraction(1, 1000)), (".mp4", 0)])
def test_everything_beside_the_video_survives(tmp_path, source, coded, suffix, slack):
    out = tmp_path / f"out{suffix}"
    for arguments, stdin in (([coded], None), (["-y", "-"], coded.read_bytes())):
        assert call("nvdec", *arguments, out, stdin=stdin).exit_code == 0
        assert_copied(copied(out), copied(source), slack)
        with av.open(str(out)) as container:
            streams = container.streams
            assert (len(streams.video), len(streams.audio)) == (1, 2)
            assert [s.language for s in streams.audio] == ["deu", "eng"]
            assert container.metadata["title"] == "A title"
            assert [c["metadata"]["title"] for c in container.chapters()] == ["Anfang"]
            times = [f.pts * f.time_base for f in container.decode(video=0)]
        assert max(abs(t - Fraction(k, 25)) for k, t in enumerate(times)) <= slack


def test_a_pipe_has_sound_too(tmp_path, source, coded):
    out = tmp_path / "out.mp4"
    with ended(start("nvdec", "-q", "-", out)) as process:
        process.communicate(coded.read_bytes())
        assert process.returncode == 0
    assert_copied(copied(out), copied(source), 0)


def test_a_part_has_its_part_of_the_sound(tmp_path, source, coded):
    out = tmp_path / "out.mkv"
    assert call("nvdec", "--skip", 3, "--frames", 5, coded, out).exit_code == 0
    piped = tmp_path / "piped.mkv"
    part = ("--skip", 3, "--frames", 5)
    assert call("nvdec", *part, "-", piped, stdin=coded.read_bytes()).exit_code == 0
    begin, end = Fraction(3, 25), Fraction(8, 25)
    wanted = [
        [(time - begin, data) for time, data in track if begin <= time < end]
        for track in copied(source)
    ]
    for path in (out, piped):
        assert_copied(copied(path), wanted)


@pytest.mark.parametrize(("name", "tracks"), [("o.mka", 2), ("o.m4a", 2), ("o.ac3", 1)])
def test_sound_alone(tmp_path, source, coded, name, tracks):
    out = tmp_path / name
    result = call("nvdec", "--audio-only", coded, out)
    assert result.exit_code == 0
    wanted = copied(source)
    if tracks == 1:
        # The file takes one of them, and says which not.
        assert "left out track 0 (audio, aac)" in result.stderr
        wanted = wanted[1:]
        assert [data for _, data in copied(out)[0]] == [data for _, data in wanted[0]]
    else:
        assert_copied(copied(out), wanted)
    assert f"{tracks} audio track" in result.stderr


def test_what_sound_alone_does_not_take(tmp_path, coded):
    out = tmp_path / "o.mka"
    refused = call("nvdec", "--audio-only", "--size", "50%", coded, out)
    assert "does not take --size" in one_line(refused, 2)
    assert ".mka" in one_line(call("nvdec", "--audio-only", coded, tmp_path / "o.y4m"), 2)
    assert "nothing is left" in one_line(
        call("nvdec", "-q", "--audio-only", coded, tmp_path / "o.flac"), 2
    )
    assert not out.exists()


def test_tracks_that_have_no_place_are_said(tmp_path, coded):
    result = call("nvdec", coded, tmp_path / "out.y4m")
    assert "left out 2 tracks, for which Y4M has no place" in result.stderr
    result = call("nvdec", coded, tmp_path / "out.webm")
    lines = [line for line in result.stderr.splitlines() if "left out track" in line]
    assert len(lines) == 2


@pytest.mark.usefixtures("quick")
def test_a_file_without_sound(tmp_path):
    silent = clips.with_tracks(tmp_path / "in.mkv", sounds=(), subtitles=SUBTITLES, frames=10)
    coded = tmp_path / "coded.nrv"
    assert call("nvenc", *PAPER, silent, coded).exit_code == 0
    out = tmp_path / "o.mka"
    assert "no audio track" in one_line(call("nvdec", "--audio-only", coded, out), 2)
    assert not out.exists()
    assert call("nvdec", coded, tmp_path / "out.mkv").exit_code == 0
    wanted = clips.packets_of(silent, "subtitle")
    assert clips.packets_of(tmp_path / "out.mkv", "subtitle") == wanted
