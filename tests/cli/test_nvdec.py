"""nvdec on synthetic bitstreams: output, options, errors."""

import hashlib
import io
import itertools
import json
import os

import numpy as np
import pytest

from nvcodec.cli import outcome
from nvcodec.cli.outcome import Console, compilation_told
from nvcodec.compiled import kernel
from nvcodec.decode.decoder import Decoder
from nvcodec.format import SIGNATURE
from nvcodec.kernel_cache import tell_unkept
from tests.cli.support import (
    assert_same_pictures,
    call,
    leftovers,
    ndjson,
    one_line,
    parse_y4m,
)
from tests.hybrid import HybridPlan, synthesize_hybrid
from tests.synthetic import Plan, synthesize

PLAN = Plan(width=21, height=13, frames=(3, 3, 1, 2), keys=(0, 2), durations=(3,))


@pytest.fixture(scope="module")
def stream():
    return synthesize(PLAN)


@pytest.fixture
def clip(stream, tmp_path):
    path = tmp_path / "clip.nrv"
    path.write_bytes(stream[0])
    return path


def unit_ends(data):
    """Offset after each unit."""
    place, ends = len(SIGNATURE), []
    while place < len(data):
        place += int.from_bytes(data[place + 4 : place + 8], "little") + 12
        ends.append(place)
    return ends


def metadata_at(data):
    """Places of the payload and the CRC of the mETa unit."""
    start = data.index(b"mETa")
    return range(start + 8, start + 12 + int.from_bytes(data[start + 4 : start + 8], "little"))


def groups_before(data, place):
    """Frames of the groups whose units end at `place` or before."""
    ends = [
        end
        for start, end in itertools.pairwise([len(SIGNATURE), *unit_ends(data)])
        if data[start : start + 4] == b"GRUP"
    ]
    return sum(PLAN.frames[k] for k, end in enumerate(ends) if end <= place)


def test_writes_the_frames_as_y4m(stream, clip, tmp_path):
    out = tmp_path / "out.y4m"
    result = call("nvdec", clip, out)
    assert result.exit_code == 0
    assert len(result.stderr.splitlines()) == 1
    assert "9 frames of 21x13" in result.stderr
    header, pictures = parse_y4m(out.read_bytes())
    assert header.startswith(b"YUV4MPEG2 W21 H13 F30:1 Ip A0:0 C420mpeg2")
    assert_same_pictures(pictures, stream[1])
    assert leftovers(tmp_path) == []


def test_null_writes_nothing(clip, tmp_path):
    before = sorted(tmp_path.iterdir())
    assert call("nvdec", clip, "null").exit_code == 0
    assert sorted(tmp_path.iterdir()) == before


def test_md5_is_of_the_samples_whatever_threads_and_batch(stream, clip):
    digest = hashlib.md5()
    for plane in itertools.chain.from_iterable(stream[1]):
        digest.update(np.ascontiguousarray(plane))
    for options in ([], ["--threads", 1], ["--threads", 3, "--batch", 2], ["--batch", 1]):
        result = call("nvdec", "--md5", "--verify", *options, clip, "null")
        assert result.exit_code == 0
        assert result.stdout == digest.hexdigest() + "\n"


@pytest.mark.parametrize(
    ("options", "size", "crop"),
    [
        (["--size", "30x20"], (30, 20), None),
        (["--size", "50%"], (10, 6), None),
        (["--crop", "7:5:4:2"], None, (7, 5, 4, 2)),
        (["--size", "40x26", "--crop", "11:9:8:6"], (40, 26), (11, 9, 8, 6)),
    ],
)
def test_size_and_crop_are_those_of_the_decoder(stream, clip, options, size, crop):
    result = call("nvdec", *options, clip, "-")
    assert result.exit_code == 0
    with Decoder(io.BytesIO(stream[0])) as decoder:
        expected = [frame.planes for frame in decoder.frames(size=size, crop=crop)]
    assert_same_pictures(parse_y4m(result.stdout_bytes)[1], expected)


def test_pixels_keep_their_shape_when_resized(stream, clip):
    header, _ = parse_y4m(call("nvdec", "--size", "42x13", clip, "-").stdout_bytes)
    # The sample aspect ratio of the source is unknown and stays so.
    assert b" A0:0 " in header


@pytest.mark.parametrize(("skip", "frames"), [(0, 2), (4, 3), (5, None), (8, 4), (3, 1)])
def test_skip_and_frames(stream, clip, skip, frames):
    options = ["--skip", skip] + ([] if frames is None else ["--frames", frames])
    expected = stream[1][skip:][:frames]
    from_file = call("nvdec", *options, clip, "-")
    piped = call("nvdec", *options, "-", "-", stdin=stream[0])
    for result in (from_file, piped):
        assert result.exit_code == 0
        assert_same_pictures(parse_y4m(result.stdout_bytes)[1], expected)


def test_skipping_everything_is_an_error(clip, tmp_path):
    out = tmp_path / "out.y4m"
    assert "no frame is left after skipping 9" in one_line(call("nvdec", "--skip", 9, clip, out), 2)
    assert not out.exists()
    assert leftovers(tmp_path) == []


def test_json_ends_with_done(stream, clip, tmp_path):
    result = call("nvdec", "--json", clip, tmp_path / "out.y4m")
    last = ndjson(result.stdout)[-1]
    assert last["type"] == "done"
    assert (last["frames"], last["width"], last["height"]) == (9, 21, 13)
    assert last["md5"] == call("nvdec", "--md5", clip, "null").stdout.strip()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--size", "0x10"], 2, "width 0"),
        (["--size", "2000x2"], 2, "64"),
        (["--crop", "4:4:1:0"], 2, "even"),
        (["--crop", "40:4:0:0"], 2, "leaves the output frame"),
        (["--max-luma-samples", "100"], 4, "--max-luma-samples"),
        (["--max-unit-bytes", "300"], 4, "--max-unit-bytes"),
    ],
)
def test_what_the_file_does_not_allow_is_one_line(clip, tmp_path, arguments, code, text):
    out = tmp_path / "out.y4m"
    assert text in one_line(call("nvdec", *arguments, clip, out), code)
    assert not out.exists()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--size", "12", "a.nrv", "null"],
        ["--size", "0%", "a.nrv", "null"],
        ["--crop", "1:2:3", "a.nrv", "null"],
        ["--threads", "0", "a.nrv", "null"],
        ["--frames", "0", "a.nrv", "null"],
        ["--device", "tpu", "a.nrv", "null"],
        ["--json", "a.nrv", "-"],
        ["--md5", "a.nrv", "-"],
        ["a.nrv", "out.avi"],
        ["a.nrv"],
        [],
        ["--unknown", "a.nrv", "null"],
    ],
)
def test_usage_errors(arguments):
    assert call("nvdec", *arguments).exit_code == 2


def test_every_truncation(stream, tmp_path):
    data, pictures = stream
    out = tmp_path / "out.y4m"
    ends = unit_ends(data)
    places = {0, 1, 7, 8, 12, 30, len(data) - 1}
    places |= {end + step for end in ends[:-1] for step in (-3, 0, 1, 9)}
    for place in sorted(places):
        out.unlink(missing_ok=True)
        result = call("nvdec", "-", out, stdin=data[:place])
        line = one_line(result, 3)
        frames = groups_before(data, place)
        if frames:
            assert_same_pictures(parse_y4m(out.read_bytes())[1], pictures[:frames])
            assert f"has the {frames} frames before" in line
        else:
            assert not out.exists()
        assert leftovers(tmp_path) == []


def test_flips(stream, tmp_path):
    data, pictures = stream
    out = tmp_path / "out.y4m"
    rng = np.random.default_rng(3)
    unneeded = metadata_at(data)
    for place in sorted({*range(0, 90, 7), *rng.integers(0, len(data), 40).tolist()}):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        out.unlink(missing_ok=True)
        result = call("nvdec", "-", out, stdin=bytes(damaged))
        if place in unneeded:
            assert result.exit_code == 0
            continue
        # A length may exceed the level before its CRC is read.
        assert result.exit_code in (3, 4), place
        one_line(result, result.exit_code)
        frames = groups_before(data, place)
        if frames:
            assert_same_pictures(parse_y4m(out.read_bytes())[1], pictures[:frames])
        else:
            assert not out.exists()


def test_damaged_metadata_is_said_and_costs_no_frame(stream, tmp_path):
    data, pictures = stream
    path, out = tmp_path / "x.nrv", tmp_path / "out.y4m"
    damaged = bytearray(data)
    damaged[metadata_at(data)[3]] ^= 1
    path.write_bytes(damaged)
    result = call("nvdec", path, out)
    assert result.exit_code == 0
    assert_same_pictures(parse_y4m(out.read_bytes())[1], pictures)
    said, decoded = result.stderr.splitlines()
    assert f"{path}: mETa at byte" in said
    assert said.endswith("; no frame depends on it")
    assert "9 frames" in decoded
    listed = call("nvinfo", "--json", path)
    assert "mETa at byte" in one_line(listed, 3)
    assert (json.loads(listed.stdout)["frames"], json.loads(listed.stdout)["complete"]) == (9, True)


def test_json_reports_errors_too(stream, tmp_path):
    (tmp_path / "cut.nrv").write_bytes(stream[0][:-50])
    cases = [
        (tmp_path / "cut.nrv", 3, 9),
        (tmp_path / "none.nrv", 1, None),
    ]
    for path, code, frames in cases:
        result = call("nvdec", "--json", path, "null")
        line = one_line(result, code)
        last = ndjson(result.stdout)[-1]
        assert last["type"] == "error"
        assert last["exit_code"] == code
        assert last["message"] in line
        assert last.get("frames") == frames


def test_wrong_samples_fail_verification(tmp_path, stream, monkeypatch):
    from nvcodec.decode import decoder

    true = decoder.samples_crc
    monkeypatch.setattr(decoder, "samples_crc", lambda pictures: true(pictures) ^ 1)
    result = call("nvdec", "-", "null", stdin=stream[0])
    assert "GRUP 0" in one_line(result, 5)
    # A region alone cannot be checked, unless asked to.
    assert call("nvdec", "--crop", "4:4:0:0", "-", "null", stdin=stream[0]).exit_code == 0
    assert (
        call("nvdec", "--verify", "--crop", "4:4:0:0", "-", "null", stdin=stream[0]).exit_code == 5
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "ends after 0 bytes"), (b"hello, world\n" * 9, "not an .nrv bitstream")],
)
def test_no_bitstream(tmp_path, content, text):
    path = tmp_path / "x.nrv"
    path.write_bytes(content)
    line = one_line(call("nvdec", path, "null"), 3)
    assert text in line
    assert "x.nrv" in line
    assert one_line(call("nvinfo", path), 3).replace("nvinfo", "nvdec") == line


def test_folders_and_missing_files(clip, tmp_path):
    (tmp_path / "folder.y4m").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for source, out in [
        (tmp_path / "none.nrv", "null"),
        (tmp_path, "null"),
        (clip, tmp_path / "folder.y4m"),
        (clip, tmp_path / "no" / "out.y4m"),
        (clip, tmp_path / "file" / "out.y4m"),
        (clip, "/proc/out.y4m"),
    ]:
        line = one_line(call("nvdec", source, out), 1)
        assert str(source if out == "null" else out) in line
    assert leftovers(tmp_path) == []


def test_a_name_with_a_newline_is_one_line(tmp_path):
    for name, code in (("no\nne.nrv", 1), ("em\x1b[2Jpty\r\n.nrv", 3)):
        path = tmp_path / name
        if code == 3:
            path.write_bytes(b"")
        for command, rest in (("nvdec", ["null"]), ("nvinfo", [])):
            line = one_line(call(command, path, *rest), code)
            assert line.isprintable()
            assert name.encode("unicode_escape").decode() in line


def test_one_frame_is_no_plural(stream, tmp_path):
    data, _ = synthesize(Plan(width=8, height=8, frames=(1, 1), keys=(0,)))
    path, out = tmp_path / "x.nrv", tmp_path / "out.y4m"
    path.write_bytes(data[:-110])
    assert "has the 1 frame before" in one_line(call("nvdec", path, out), 3)
    assert ", 1 frame\n" in call("nvinfo", path).stdout


def test_nothing_is_overwritten_unless_asked(stream, clip, tmp_path):
    out = tmp_path / "out.y4m"
    out.write_bytes(b"precious")
    assert "-y" in one_line(call("nvdec", clip, out), 1)
    assert out.read_bytes() == b"precious"
    assert call("nvdec", "-y", clip, out).exit_code == 0
    assert len(parse_y4m(out.read_bytes())[1]) == 9
    # Nor by a failure, even when overwriting is allowed.
    out.write_bytes(b"precious")
    one_line(call("nvdec", "-y", "-", out, stdin=stream[0][:100]), 3)
    assert out.read_bytes() == b"precious"


def test_a_link_is_followed(clip, tmp_path):
    (tmp_path / "real.y4m").write_bytes(b"old")
    (tmp_path / "link.y4m").symlink_to("real.y4m")
    assert call("nvdec", "-y", clip, tmp_path / "link.y4m").exit_code == 0
    assert (tmp_path / "link.y4m").is_symlink()
    assert len(parse_y4m((tmp_path / "real.y4m").read_bytes())[1]) == 9


def test_long_names(clip, tmp_path):
    out = tmp_path / ("é" * 120 + ".y4m")
    assert call("nvdec", clip, out).exit_code == 0
    assert out.exists()


def test_the_input_is_not_the_output(stream, tmp_path):
    path = tmp_path / "same.y4m"
    path.write_bytes(stream[0])
    assert "same file" in one_line(call("nvdec", "-y", path, path), 2)
    assert path.read_bytes() == stream[0]


def test_a_full_disk(clip, tmp_path):
    (tmp_path / "full.y4m").symlink_to("/dev/full")
    line = one_line(call("nvdec", clip, tmp_path / "full.y4m"), 1)
    assert "full.y4m: No space left on device" in line


def test_a_disk_that_fills_up(clip, tmp_path, monkeypatch):
    from nvcodec.media.output import _DirectFile

    true = _DirectFile.write
    monkeypatch.setattr(
        _DirectFile,
        "write",
        lambda self, data: true(self, data) if self.tell() < 1000 else os.write(-1, b""),
    )
    out = tmp_path / "out.y4m"
    assert "has the" in one_line(call("nvdec", clip, out), 1)
    whole = out.read_bytes()
    assert parse_y4m(whole)[1]
    out.write_bytes(whole + b"precious")
    assert one_line(call("nvdec", "-y", clip, out), 1).endswith("out.y4m stays as it was")
    assert out.read_bytes() == whole + b"precious"
    # A container needs room for its end; what is said is what was wrong first.
    made = tmp_path / "out.mp4"
    options = ["--size", "640x480", "--codec-options", "crf=0,tune=zerolatency"]
    result = call("nvdec", "-q", *options, clip, made)
    assert "Bad file descriptor" in one_line(result, 1)
    assert not made.exists()


def test_defects_are_one_line_too(clip, monkeypatch):
    def fail(*_arguments):
        raise ZeroDivisionError("of all things")

    # In a worker thread.
    monkeypatch.setattr("nvcodec.model.sine.integer_network.IntegerNetwork.evaluate", fail)
    monkeypatch.setattr("nvcodec.model.sine.float_network.FloatNetwork.evaluate", fail)
    line = one_line(call("nvdec", "--threads", 2, "--batch", 1, clip, "null"), 1)
    assert "internal error" in line
    assert "of all things" in line


def test_an_interrupt_keeps_whole_frames(stream, clip, tmp_path, monkeypatch):
    out = tmp_path / "out.y4m"
    count = itertools.count()

    from nvcodec.media.y4m import Y4mWriter

    true = Y4mWriter.write

    def write(self, planes):
        if next(count) == 4:
            self._file.write(b"FRAME\nhalf a fr")
            raise KeyboardInterrupt
        true(self, planes)

    monkeypatch.setattr(Y4mWriter, "write", write)
    result = call("nvdec", "--json", clip, out)
    assert "interrupted" in one_line(result, 130)
    assert ndjson(result.stdout)[-1]["exit_code"] == 130
    assert_same_pictures(parse_y4m(out.read_bytes())[1], stream[1][:4])
    assert leftovers(tmp_path) == []


@pytest.fixture(scope="module")
def hybrid_stream():
    return synthesize_hybrid(HybridPlan(frames=(1, 4, 3), keys=(0,), durations=(3,)))


def test_the_hybrid_model(hybrid_stream, tmp_path):
    data, pictures = hybrid_stream
    path, out = tmp_path / "clip.nrv", tmp_path / "out.y4m"
    path.write_bytes(data)
    assert call("nvdec", path, out).exit_code == 0
    assert_same_pictures(parse_y4m(out.read_bytes())[1], pictures)
    piped = call("nvdec", "-", "-", stdin=data)
    assert_same_pictures(parse_y4m(piped.stdout_bytes)[1], pictures)
    digests = {
        call("nvdec", "--md5", *arguments, path, "null").stdout
        for arguments in ([], ["--threads", 1], ["--threads", 5, "--verify"])
    }
    samples = b"".join(plane.tobytes() for planes in pictures for plane in planes)
    assert digests == {hashlib.md5(samples).hexdigest() + "\n"}


def test_damage_in_the_hybrid_model(hybrid_stream, tmp_path):
    data, pictures = hybrid_stream
    out = tmp_path / "out.y4m"
    assert "has the 5 frames before" in one_line(call("nvdec", "-", out, stdin=data[:-80]), 3)
    assert_same_pictures(parse_y4m(out.read_bytes())[1], pictures[:5])


@pytest.mark.parametrize("on_terminal", [True, False])
def test_compilation_is_told_on_a_terminal(on_terminal, capsys):
    console = Console("nvdec")
    console.on_terminal = on_terminal
    cleared: list[int] = []
    with compilation_told(console, "decoder", lambda: cleared.append(1)):
        for value in (1, 1.5):
            kernel(lambda x: x + 1)(value)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == len(cleared) == on_terminal
    assert all("kernels" in line for line in told)


def test_a_long_compilation_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(outcome, "_TELLING_SECONDS", -1.0)
    console = Console("nvdec")
    console.on_terminal = True
    with compilation_told(console, "decoder", lambda: None):
        for value in (1, 1.5):
            kernel(lambda x: x + 1)(value)
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[1:3] for line in told[1:]] == [["compiled", "1"], ["compiled", "2"]]
    assert all("of about 80" in line for line in told[1:])


def test_kernels_that_cannot_be_kept_are_told_once(capsys):
    with compilation_told(Console("nvdec"), "decoder", lambda: None):
        tell_unkept("/folder: Read-only file system")
        tell_unkept("/other: Read-only file system")
    tell_unkept("/folder: nobody is told")
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("nvdec: the decoder's kernels cannot be kept")
    assert "/folder: Read-only file system" in told
    assert "NUMBA_CACHE_DIR" in told
