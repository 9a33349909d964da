"""nvdec into containers, images, arrays and timecodes; rates of frames."""

from fractions import Fraction

import av
import numpy as np
import pytest

from nvcodec.decode.decoder import Decoder
from tests.cli.support import assert_same_pictures, call, leftovers, ndjson, one_line, parse_y4m
from tests.synthetic import Plan, synthesize

# Ticks of 1/90 s; the header says 30 frames a second.
STEADY = Plan(width=22, height=14, frames=(3, 3, 1, 2), keys=(0, 2), durations=(3,))
UNEVEN = Plan(width=22, height=14, frames=(3, 3, 1, 2), keys=(0, 2), durations=(3, 1, 5))


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    path = tmp_path_factory.mktemp("steady") / "steady.nrv"
    path.write_bytes(synthesize(STEADY)[0])
    return path


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    path = tmp_path_factory.mktemp("uneven") / "uneven.nrv"
    path.write_bytes(synthesize(UNEVEN)[0])
    return path


def decoded(clip, **asked):
    with Decoder(clip) as decoder:
        return list(decoder.frames(**asked))


def read(path):
    """Planes of a 4:2:0 file, and times and durations in seconds."""
    pictures, times = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            planes = []
            for k, plane in enumerate(frame.planes):
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                planes.append(rows[:, : -(-frame.width // (2 if k else 1))])
            pictures.append(tuple(np.array(p) for p in planes))
            times.append((frame.pts * stream.time_base, frame.duration * stream.time_base))
    return pictures, times


@pytest.mark.parametrize(("suffix", "slack"), [(".mkv", Fraction(1, 1000)), (".mp4", 0)])
@pytest.mark.parametrize("sent", [[], ["--skip", 2, "--frames", 5]])
def test_containers_have_frames_and_times(uneven, tmp_path, suffix, slack, sent):
    out = tmp_path / f"out{suffix}"
    result = call("nvdec", *sent, uneven, out)
    assert result.exit_code == 0
    assert f"{out}: {'ffv1, lossless' if suffix == '.mkv' else 'libx264'}" in result.stderr
    asked = {"start": 2, "count": 5} if sent else {}
    frames = decoded(uneven, **asked)
    origin = frames[0].time if sent else 0
    pictures, times = read(out)
    if suffix == ".mkv":
        assert_same_pictures(pictures, [frame.planes for frame in frames])
    for frame, (time, duration) in zip(frames, times, strict=True):
        assert abs(frame.time - origin - time) <= slack
        assert abs(frame.duration * frame.time_base - duration) <= slack
    assert leftovers(tmp_path) == []


def test_a_view_goes_into_a_container(steady, tmp_path):
    out = tmp_path / "out.mkv"
    view = {"size": (44, 28), "crop": (20, 12, 4, 2)}
    assert call("nvdec", "--size", "44x28", "--crop", "20:12:4:2", steady, out).exit_code == 0
    assert_same_pictures(read(out)[0], [frame.planes for frame in decoded(steady, **view)])


def test_codec_and_options_are_chosen(steady, tmp_path):
    out = tmp_path / "out.mov"
    options = "crf=20,preset=ultrafast"
    result = call("nvdec", "--codec", "libx264", "--codec-options", options, steady, out)
    assert result.exit_code == 0
    assert f"libx264, {options}" in result.stderr
    with av.open(str(out)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


@pytest.mark.parametrize(
    ("arguments", "name", "text"),
    [
        (["--codec", "libx264"], "o.webm", "does not take libx264"),
        (["--codec", "nix"], "o.mkv", "no encoder 'nix'"),
        (["--codec-options", "nix=1"], "o.mkv", "no option 'nix'"),
        (["--codec", "ffv1"], "o.y4m", "--codec is for OUT"),
        ([], "o.png", "out_%05d.png"),
        ([], "o_%d_%d.png", "out_%05d.png"),
        ([], "o.avi", ".mkv"),
        (["--skip", 9], "o.mkv", "no frame is left"),
    ],
)
def test_what_is_not_possible_leaves_nothing(steady, tmp_path, arguments, name, text):
    result = call("nvdec", "-q", *arguments, steady, tmp_path / name)
    assert text in one_line(result, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["0", "abc", "30/0", "-3", "1/0.5"])
def test_rates_that_are_none(steady, value):
    assert call("nvdec", "--fps", value, steady, "null").exit_code == 2


def test_nothing_is_overwritten_unasked(steady, tmp_path):
    out = tmp_path / "out.mkv"
    out.write_bytes(b"mine")
    assert "use -y" in one_line(call("nvdec", steady, out), 1)
    assert out.read_bytes() == b"mine"
    assert call("nvdec", "-y", steady, out).exit_code == 0
    assert len(read(out)[0]) == 9


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_damage_keeps_the_frames_before(steady, tmp_path, suffix):
    damaged = tmp_path / "cut.nrv"
    damaged.write_bytes(steady.read_bytes()[:-150])
    out = tmp_path / f"out{suffix}"
    result = call("nvdec", damaged, out)
    assert result.exit_code == 3
    kept = len(read(out)[0])
    assert 0 < kept < 9
    assert f"{out} has the {kept} frames before" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".npy"])
def test_an_interrupt_keeps_whole_frames(steady, tmp_path, monkeypatch, suffix):
    from nvcodec.decode.decoder import Decoder

    true = Decoder.frames

    def frames(self, **asked):
        for frame in true(self, **asked):
            if frame.index == 4:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(Decoder, "frames", frames)
    out = tmp_path / f"out{suffix}"
    result = call("nvdec", steady, out)
    assert result.exit_code == 130
    assert f"interrupted; {out} has the 4 frames before" in result.stderr
    assert len(np.load(out) if suffix == ".npy" else read(out)[0]) == 4
    assert leftovers(tmp_path) == []


def test_images_have_the_numbers_of_their_frames(steady, tmp_path):
    pattern = tmp_path / "o_%03d.png"
    assert call("nvdec", "--skip", 4, "--frames", 3, steady, pattern).exit_code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o_004.png", "o_005.png", "o_006.png"]
    array = tmp_path / "o.npy"
    assert call("nvdec", steady, array).exit_code == 0
    frames = np.load(array)
    assert (frames.shape, frames.dtype) == ((9, 14, 22, 3), np.uint8)
    with av.open(str(tmp_path / "o_005.png")) as container:
        (image,) = container.decode(video=0)
    np.testing.assert_array_equal(image.to_ndarray(), frames[5])


def test_one_image_has_its_own_name(steady, tmp_path):
    assert call("nvdec", "--skip", 4, "--frames", 1, steady, tmp_path / "o.png").exit_code == 0
    assert [p.name for p in tmp_path.iterdir()] == ["o.png"]


def test_timecodes_are_those_of_the_frames(uneven, tmp_path):
    times = tmp_path / "times.txt"
    result = call("nvdec", "--timecodes", times, uneven, tmp_path / "out.y4m")
    assert result.exit_code == 0
    # Nothing is lost, so nothing is said.
    assert len(result.stderr.splitlines()) == 1
    first, *lines = times.read_text().splitlines()
    assert first == "# timecode format v2"
    frames = decoded(uneven)
    wanted = [frame.time for frame in frames]
    wanted.append(frames[-1].time + frames[-1].duration * frames[-1].time_base)
    assert [round(Fraction(line) * 1000) for line in lines] == [round(t * 10**6) for t in wanted]


def test_times_that_y4m_loses_are_said_once(uneven, tmp_path):
    result = call("nvdec", "--json", uneven, tmp_path / "out.y4m")
    notes = [line for line in result.stderr.splitlines() if "Y4M" in line]
    assert len(notes) == 1
    assert "30 frames a second" in notes[0]
    assert [line["text"] for line in ndjson(result.stdout) if line["type"] == "note"] == [
        notes[0].removeprefix("nvdec: ")
    ]


def test_frames_are_resampled_in_time(uneven, tmp_path):
    result = call("nvdec", "--fps", "30", uneven, "-")
    assert "Y4M" not in result.stderr
    header, pictures = parse_y4m(result.stdout_bytes)
    assert b" F30:1 " in header
    frames = decoded(uneven)
    shown = []
    # Times of 1/30 s from that of the first frame, 5/90 s, to the end, 30/90 s.
    for k in range(2, 10):
        middle = Fraction(2 * k + 1, 60)
        shown.append([frame for frame in frames if frame.time <= middle][-1].planes)
    assert_same_pictures(pictures, shown)
    out = tmp_path / "out.mp4"
    assert call("nvdec", "--fps", "30000/1001", uneven, out).exit_code == 0
    times = [time for time, _ in read(out)[1]]
    assert np.diff(times).tolist() == [Fraction(1001, 30000)] * (len(times) - 1)
