"""nvenc, called in this process: files, reports, errors."""

import contextlib
import io
import json
import os
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import nvcodec
from nvcodec.encode.sine import segment
from nvcodec.encode.writing import GroupWriter
from nvcodec.picture import SampleFormat
from tests.cli.conftest import make_quick
from tests.cli.support import (
    PAPER,
    assert_same_pictures,
    call,
    leftovers,
    moving,
    ndjson,
    one_line,
    parse_y4m,
    y4m,
)
from tests.media import clips

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.y4m"
    path.write_bytes(y4m(moving(5, 24, 16)))
    return path


def test_encodes_to_a_file_that_decodes(source, tmp_path):
    out = tmp_path / "out.nrv"
    result = call("nvenc", *PAPER, source, out)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "encoded: sine, 5 frames in 2 groups" in result.stderr
    assert re.search(r"PSNR \d+\.\d\d dB \(Y .*, Cb .*, Cr .*\), ", result.stderr)
    assert leftovers(tmp_path) == []
    assert call("nvdec", "--verify", out, "null").exit_code == 0
    report = json.loads(call("nvinfo", "--json", out).stdout)
    assert report["frames"] == 5
    assert report["metadata"]["settings"]["crf"] == 30.0


def test_json_lines(source, tmp_path):
    out = tmp_path / "out.nrv"
    lines = ndjson(call("nvenc", *PAPER, "--json", "--group-size", 2, source, out).stdout)
    assert [line["type"] for line in lines] == ["start", "group", "group", "group", "done"]
    assert lines[0]["shape"]["group_frames"] == 2
    assert [line["frames"] for line in lines[1:4]] == [2, 2, 1]
    done = lines[-1]
    assert (done["frames"], done["groups"], done["key_groups"]) == (5, 3, 1)
    assert done["bytes"] == out.stat().st_size
    assert done["network_bytes"] == sum(line["network_bytes"] for line in lines[1:4])
    assert set(done["psnr"]) == {"all", "y", "u", "v"}


def test_metrics_are_reported(source, tmp_path):
    options = ["--metrics", "ssim,ms-ssim", "--group-size", 3]
    said = call("nvenc", *PAPER, *options, source, tmp_path / "a.nrv").stderr
    assert re.search(r", SSIM 0\.\d{4}, MS-SSIM n/a, ", said)
    assert "PSNR" not in said
    lines = ndjson(call("nvenc", *PAPER, *options, "--json", source, tmp_path / "b.nrv").stdout)
    first, second, done = lines[1:]
    assert done["ssim"] == pytest.approx((3 * first["ssim"] + 2 * second["ssim"]) / 5)
    assert [line["ms-ssim"] for line in lines[1:]] == [None] * 3
    assert all("psnr" not in line for line in lines)


def test_quiet_says_nothing(source, tmp_path):
    result = call("nvenc", *PAPER, "-q", source, tmp_path / "out.nrv")
    assert (result.exit_code, result.output) == (0, "")


def test_pipes_in_one_process(source):
    coded = call("nvenc", *PAPER, "-", "-", stdin=source.read_bytes())
    assert coded.exit_code == 0
    decoded = call("nvdec", "-", "-", stdin=coded.stdout_bytes)
    header, pictures = parse_y4m(decoded.stdout_bytes)
    assert b"W24 H16 F25:1" in header
    assert len(pictures) == 5


def test_skip_and_frames(source, tmp_path):
    out = tmp_path / "out.nrv"
    call("nvenc", *PAPER, "--skip", 2, "--frames", 2, source, out)
    report = json.loads(call("nvinfo", "--json", out).stdout)
    assert (report["frames"], report["groups"][0]["pts"]) == (2, 2)


def test_nothing_left_to_encode_is_a_usage_error(source, tmp_path):
    result = call("nvenc", *PAPER, "--skip", 5, source, tmp_path / "out.nrv")
    assert "5 frames, none is left after skipping 5" in one_line(result, 2)
    assert leftovers(tmp_path) == []


def test_conversion_and_left_out_audio_are_announced(tmp_path):
    pictures = [
        tuple(plane.repeat(2 if k else 1, 0).repeat(2 if k else 1, 1) for k, plane in enumerate(p))
        for p in moving(2, 24, 16)
    ]
    path = clips.encode(tmp_path / "in.mkv", pictures, 24, 16, pixel_format="yuv444p", audio=True)
    result = call("nvenc", *PAPER, "--json", "--no-audio", path, tmp_path / "out.nrv")
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert sum("dropped 1 audio track" in line for line in lines) == 1
    assert sum("converted yuv444p to 8-bit 4:2:0" in line for line in lines) == 1
    assert len(ndjson(result.stdout)[-1]["notes"]) == 2


def test_a_format_that_the_model_lacks(source, tmp_path):
    out = tmp_path / "out.nrv"
    result = call("nvenc", *PAPER, "--format", "yuv444p10", source, out)
    assert "does not have format yuv444p10, only yuv420p" in one_line(result, 2)
    assert leftovers(tmp_path) == []


def test_ten_bits_become_what_the_model_has(tmp_path):
    samples = SampleFormat(10, 2)
    pictures = clips.noise(2, 24, 16, samples=samples)
    path = clips.encode(tmp_path / "in.mkv", pictures, 24, 16, pixel_format="yuv422p10le")
    out = tmp_path / "out.nrv"
    result = call("nvenc", *PAPER, "--json", "--no-audio", path, out)
    assert result.exit_code == 0
    assert "converted yuv422p10le to 8-bit 4:2:0" in result.stderr
    assert "8-bit 4:2:0, PSNR" in result.stderr
    assert ndjson(result.stdout)[0]["format"] == "yuv420p"
    assert "yuv420p, 8-bit 4:2:0" in call("nvinfo", out).stdout
    decoded = call("nvdec", "--json", out, "null")
    assert ndjson(decoded.stdout)[-1]["format"] == "yuv420p"


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "empty"), (b"just some text\n" * 50, "no known video format"), (b"\0" * 999, "in.mp4")],
)
def test_no_video(tmp_path, content, text):
    path = tmp_path / "in.mp4"
    path.write_bytes(content)
    out = tmp_path / "out.nrv"
    assert text in one_line(call("nvenc", *PAPER, path, out), 3)
    assert os.listdir(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("strict", [False, True])
def test_a_cut_source_keeps_all_frames(tmp_path, strict):
    data = y4m(moving(5, 24, 16))
    path = tmp_path / "in.y4m"
    path.write_bytes(data[: -(24 * 16)])
    out = tmp_path / "out.nrv"
    options = ["--json", "--group-size", 3, *(["--strict"] if strict else [])]
    result = call("nvenc", *PAPER, *options, path, out)
    said = "the source ends inside frame 4"
    last = ndjson(result.stdout)[-1]
    assert last["frames"] == 4
    assert {"text": said} in last["notes"]
    assert result.stderr.count(said) == 1 + strict
    assert result.exit_code == (3 if strict else 0)
    if strict:
        assert result.stderr.endswith("has the 4 frames before\n")
    assert call("nvdec", "--verify", out, "null").exit_code == 0


def test_image_sequences_and_protocols(tmp_path):
    pixels = np.arange(16 * 3 * 24, dtype=np.uint8).reshape(16, -1)
    for number in (100, 101, 102):
        clips.write_png(tmp_path / f"img_{number:04d}.png", pixels)
    out = tmp_path / "out.nrv"
    options = ["--fps", "24000/1001", "-y"]
    result = call("nvenc", *PAPER, *options, tmp_path / "img_%04d.png", out)
    assert result.exit_code == 0, result.stderr
    report = json.loads(call("nvinfo", "--json", out).stdout)
    assert report["frames"] == 3
    assert (report["header"]["frame_rate_num"], report["header"]["frame_rate_den"]) == (24000, 1001)
    first, second = (tmp_path / f"{k}.y4m" for k in range(2))
    data = y4m(moving(2, 24, 16))
    first.write_bytes(data)
    second.write_bytes(data[data.index(b"\n") + 1 :])
    with served(tmp_path) as address:
        for name, frames in (
            (f"file:{first}", 2),
            (f"concat:{first}|{second}", 4),
            (f"{address}/0.y4m", 2),
        ):
            assert call("nvenc", *PAPER, "-y", name, out).exit_code == 0
            assert json.loads(call("nvinfo", "--json", out).stdout)["frames"] == frames
        missing = one_line(call("nvenc", *PAPER, "-y", f"{address}/none.mkv", out), 3)
        assert "404" in missing
    nothing = one_line(call("nvenc", *PAPER, "-y", tmp_path / "other_%04d.png", out), 1)
    assert nothing.endswith("no image has a name like this")


@contextlib.contextmanager
def served(folder):
    """The address of a web server for a folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_raw_video(tmp_path):
    pictures = moving(3, 24, 16)
    data = b"".join(plane.tobytes() for planes in pictures for plane in planes)
    out = tmp_path / "out.nrv"
    options = ["--raw", "24x16", "--format", "yuv420p", "--fps", 50]
    assert call("nvenc", *PAPER, *options, "-", out, stdin=data).exit_code == 0
    report = json.loads(call("nvinfo", "--json", out).stdout)
    assert (report["frames"], report["header"]["frame_rate_num"]) == (3, 50)
    for wrong, text in (
        (["--raw", "24x16", "--format", "none"], "'none' is no pixel format"),
        (["--fps", "3"], "for raw video and image sequences only"),
    ):
        path = tmp_path / "in.y4m"
        path.write_bytes(y4m(pictures))
        assert text in one_line(call("nvenc", *PAPER, "-y", *wrong, path, out), 2)


def test_the_field_order_is_kept(tmp_path):
    path = tmp_path / "in.y4m"
    path.write_bytes(y4m(moving(1, 24, 16)).replace(b" Ip ", b" Ib "))
    out = tmp_path / "out.nrv"
    assert call("nvenc", *PAPER, path, out).exit_code == 0
    assert json.loads(call("nvinfo", "--json", out).stdout)["metadata"]["field_order"] == "bottom"
    for view, tag in (
        ([], b" Ib "),
        (["--crop", "8:8:0:2"], b" Ib "),
        (["--size", "50%"], b" Ip "),
    ):
        assert tag in call("nvdec", *view, out, "-").stdout_bytes.split(b"\n")[0]
    assert call("nvenc", *PAPER, "-y", "--deinterlace", path, out).exit_code == 0
    assert "field_order" not in json.loads(call("nvinfo", "--json", out).stdout)["metadata"]


def test_folders_and_missing_files(source, tmp_path):
    (tmp_path / "folder.nrv").mkdir()
    out = tmp_path / "out.nrv"
    for wrong_in, wrong_out in [
        (tmp_path / "none.mp4", out),
        (tmp_path, out),
        (source, tmp_path / "folder.nrv"),
        (source, tmp_path / "no" / "out.nrv"),
        (source, source / "out.nrv"),
        (source, "/proc/out.nrv"),
    ]:
        line = one_line(call("nvenc", *PAPER, wrong_in, wrong_out), 1)
        assert str(wrong_in if wrong_out is out else wrong_out) in line
    assert not out.exists()
    assert leftovers(tmp_path) == []


def test_nothing_is_overwritten_unless_asked(source, tmp_path):
    out = tmp_path / "out.nrv"
    out.write_bytes(b"precious")
    assert "-y" in one_line(call("nvenc", *PAPER, source, out), 1)
    assert out.read_bytes() == b"precious"
    assert call("nvenc", *PAPER, "-y", "--frames", 1, source, out).exit_code == 0
    assert out.read_bytes() != b"precious"


def test_what_appears_meanwhile_is_kept(source, tmp_path, monkeypatch):
    out = tmp_path / "out.nrv"
    true = GroupWriter.write

    def write(self, *arguments):
        out.write_bytes(b"precious")
        true(self, *arguments)

    monkeypatch.setattr(GroupWriter, "write", write)
    assert "appeared" in one_line(call("nvenc", *PAPER, "--frames", 1, source, out), 1)
    assert out.read_bytes() == b"precious"
    assert leftovers(tmp_path) == []


def test_the_input_is_not_the_output(tmp_path):
    path = tmp_path / "same.nrv"
    path.write_bytes(b"x")
    assert "same file" in one_line(call("nvenc", *PAPER, "-y", path, path), 2)
    assert path.read_bytes() == b"x"


def test_a_full_disk(source, tmp_path):
    (tmp_path / "full.nrv").symlink_to("/dev/full")
    line = one_line(call("nvenc", *PAPER, source, tmp_path / "full.nrv"), 1)
    assert "full.nrv: No space left on device" in line


def test_a_disk_that_fills_up(source, tmp_path, monkeypatch):
    from nvcodec.media.output import _DirectFile

    true = _DirectFile.write
    written = []

    def write(self, data):
        written.append(data)
        if len(written) > 2:
            raise OSError(28, "No space left on device", self._shown)
        return true(self, data)

    monkeypatch.setattr(_DirectFile, "write", write)
    out = tmp_path / "out.nrv"
    line = one_line(call("nvenc", *PAPER, "--group-size", 2, source, out), 1)
    assert line.endswith("out.nrv: No space left on device")
    assert os.listdir(tmp_path) == ["in.y4m"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a file of groups of one frame."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "in.y4m").write_bytes(y4m(moving(5, 24, 16)))
    arguments = (*PAPER, "--group-size", 1, folder / "in.y4m", folder / "out.nrv")
    with pytest.MonkeyPatch.context() as patches:
        make_quick(patches)
        assert call("nvenc", *arguments).exit_code == 0
    data = (folder / "out.nrv").read_bytes()
    assert data.count(b"GRUP") > 3
    return data


@pytest.mark.parametrize(
    ("missing", "there"), [(1, False), (30, True), ("end", False), ("end", True)]
)
def test_a_full_disk_keeps_the_groups_before(source, whole, tmp_path, monkeypatch, missing, there):
    """The end goes where the last groups were that the disk has no room for."""
    from nvcodec.media.output import _DirectFile

    out, kept = tmp_path / "out.nrv", tmp_path / ("out.cut.nrv" if there else "out.nrv")
    arguments = [*PAPER, "--group-size", 1, source, out]
    end = len(whole) - 12 - 28
    room = end if missing == "end" else whole.rindex(b"GRUP") + missing
    if there:
        out.write_bytes(whole)
    true = _DirectFile.write

    def write(self, data):
        left = room - self.tell()
        true(self, data[: max(0, left)])
        if len(data) > left:
            raise OSError(28, "No space left on device", self._shown)
        return len(data)

    monkeypatch.setattr(_DirectFile, "write", write)
    line = one_line(call("nvenc", "-y", *arguments), 1)
    monkeypatch.undo()
    assert "out.nrv: No space left on device" in line
    assert f"{kept} has the " in line
    assert (f"{out} stays as it was" in line) == there
    assert sorted(os.listdir(tmp_path)) == sorted({"in.y4m", "out.nrv", kept.name})
    assert out.read_bytes() == whole or not there
    assert kept.stat().st_size <= room
    with nvcodec.Decoder(kept) as decoder, nvcodec.Decoder(io.BytesIO(whole)) as all_:
        frames = list(decoder.frames(verify=True))
        assert 0 < len(frames) < len(all_)
        assert f"has the {len(frames)} frame" in line
        for frame, other in zip(frames, all_, strict=False):
            assert all((a == b).all() for a, b in zip(frame.planes, other.planes, strict=True))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--crf", "nan", "a.y4m", "b.nrv"],
        ["--crf", "61", "a.y4m", "b.nrv"],
        ["--key-interval", "inf", "a.y4m", "b.nrv"],
        ["--key-interval", "0", "a.y4m", "b.nrv"],
        ["--group-size", "33", "a.y4m", "b.nrv"],
        ["--metrics", "vmaf", "a.y4m", "b.nrv"],
        ["--metrics", "", "a.y4m", "b.nrv"],
        ["--preset", "warp", "a.y4m", "b.nrv"],
        ["--model", "other", "a.y4m", "b.nrv"],
        ["--json", "a.y4m", "-"],
        ["a.y4m", "b.mp4"],
        ["a.y4m", "null"],
        ["a.y4m"],
    ],
)
def test_usage_errors(arguments):
    assert call("nvenc", *PAPER, *arguments).exit_code == 2


def test_defects_are_one_line_too(source, tmp_path, monkeypatch):
    def fail(*_arguments):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(segment, "train_group", fail)
    result = call("nvenc", *PAPER, "--json", source, tmp_path / "out.nrv")
    assert "internal error" in one_line(result, 1)
    assert ndjson(result.stdout)[-1]["type"] == "error"
    assert os.listdir(tmp_path) == ["in.y4m"]


def test_the_same_encode_gives_the_same_bytes(source, tmp_path):
    outs = [tmp_path / f"{k}.nrv" for k in range(2)]
    for out in outs:
        assert call("nvenc", *PAPER, "--threads", 1, source, out).exit_code == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_reported_psnr_is_that_of_the_decoded_frames(source, tmp_path):
    from nvcodec.media.quality import PsnrMeter

    out = tmp_path / "out.nrv"
    done = ndjson(call("nvenc", *PAPER, "--json", source, out).stdout)[-1]
    _, originals = parse_y4m(source.read_bytes())
    _, decoded = parse_y4m(call("nvdec", out, "-").stdout_bytes)
    meter = PsnrMeter(255)
    for pair in zip(originals, decoded, strict=True):
        meter.add(*pair)
    assert done["psnr"] == meter.value
    assert_same_pictures(originals, moving(5, 24, 16))
