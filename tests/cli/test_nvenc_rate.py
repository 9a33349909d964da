"""nvenc --bitrate, --size, --target and --max-bitrate: files, reports, refusals."""

import io
import json
import os

import numpy as np
import pytest

from nvcodec.encode.encoder import Observer, encode
from nvcodec.media.source import SourceError
from tests.cli.support import call, ndjson, one_line, y4m

FAST = ("--preset", "ultrafast", "--threads", 2)
NIRVANA = ("--model", "nirvana", "--preset", "fast", "--threads", 2)
LONG = 100


def waves(count, waves, seed):
    """Pictures of patterns that move in different ways, with a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((48, 64))
    parts = [(rng.uniform(-0.5, 0.5, 3), rng.uniform(0, 6)) for _ in range(waves)]
    pictures = []
    for t in range(count):
        luma = sum(np.sin(a * x + b * y + 0.3 * c * t + p) for (a, b, c), p in parts)
        luma = 128 + 90 * luma / waves**0.5 / 1.5 + rng.normal(0, 2, luma.shape)
        luma = luma.clip(0, 255).astype(np.uint8)
        pictures.append((luma, luma[::2, ::2] // 2 + 64, luma[1::2, 1::2] // 2 + 64))
    return pictures


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A clip of two scenes, one of which takes more bytes."""
    path = tmp_path_factory.mktemp("rate") / "in.y4m"
    pictures = waves(LONG // 2, 4, 0) + waves(LONG - LONG // 2, 12, 1)
    path.write_bytes(y4m(pictures))
    return path


def encoded(source, out, *options):
    """The last JSON line of an encode, and the lines before it."""
    result = call("nvenc", "--json", "-q", "-y", *options, source, out)
    assert result.exit_code == 0, result.stderr
    *lines, done = ndjson(result.stdout)
    assert done["bytes"] == out.stat().st_size
    return done, lines


def settings(out):
    return json.loads(call("nvinfo", "--json", out).stdout)["metadata"]["settings"]


@pytest.mark.parametrize(("options", "size"), [(FAST, 6000), (NIRVANA, 14000)])
def test_a_size_is_reached_and_never_exceeded(source, tmp_path, options, size):
    out = tmp_path / "out.nrv"
    done, lines = encoded(source, out, *options, "--size", size)
    assert 0.98 * size <= done["bytes"] <= size
    assert done["rate"]["size"] == size
    assert done["rate"]["crf_most"] - done["rate"]["crf_least"] <= 6
    kinds = [line["type"] for line in lines]
    assert kinds.count("start") == 1
    assert kinds.count("pass") == done["rate"]["passes"] - 1
    assert sum(line["frames"] for line in lines if line["type"] == "group") == LONG
    assert settings(out)["size"] == size
    assert call("nvdec", "--verify", out, "null").exit_code == 0


def test_a_bitrate_is_reached(source, tmp_path):
    out = tmp_path / "out.nrv"
    result = call("nvenc", *FAST, "--frames", 60, "--bitrate", "14k", source, out)
    assert result.exit_code == 0, result.stderr
    assert 8 * out.stat().st_size / (60 / 25) == pytest.approx(14000, rel=0.02)
    assert " of 14000 (" in result.stderr


def test_bytes_do_not_depend_on_threads(source):
    files = []
    for threads, data in ((1, source), (3, io.BytesIO(source.read_bytes()))):
        files.append(io.BytesIO())
        encode(data, files[-1], preset="ultrafast", size=2000, frames=24, threads=threads)
    assert len({file.getvalue() for file in files}) == 1


def test_a_target_is_reached(source, tmp_path):
    done, lines = encoded(
        source, tmp_path / "out.nrv", *FAST, "--frames", 60, "--target", "psnr=36"
    )
    # In so small pictures a step of the quantiser of one canvas shows.
    assert done["psnr"]["all"] == pytest.approx(36, abs=0.25)
    trials = [line for line in lines if line["type"] == "samples"]
    assert len(trials) > 1
    assert min(abs(line["quality"] - 36) for line in trials) < 0.25
    assert settings(tmp_path / "out.nrv")["target"] == "psnr=36"
    assert settings(tmp_path / "out.nrv")["crf"] == done["rate"]["crf_least"]


def test_the_result_says_the_quality_of_a_target(source, tmp_path):
    options = (*FAST, "--frames", 20, "--target", "ssim=0.95")
    result = call("nvenc", *options, source, tmp_path / "out.nrv")
    assert "target ssim=0.95: 0.9" in result.stderr


def test_a_bound_holds_in_any_two_seconds(source, tmp_path):
    free, lines = encoded(source, tmp_path / "free.nrv", *FAST, "--crf", 26)
    groups = [line for line in lines if line["type"] == "group"]
    half = sum(group["bytes"] for group in groups if 50 <= group["first_frame"] < 100)
    bound = round(8 * half / 2 * 0.7)
    out = tmp_path / "out.nrv"
    done, lines = encoded(source, out, *FAST, "--crf", 26, "--max-bitrate", bound)
    groups = [line for line in lines if line["type"] == "group"]
    for first in groups:
        start = first["first_frame"]
        taken = sum(g["bytes"] for g in groups if start <= g["first_frame"] < start + 50)
        assert 8 * taken / 2 <= bound
    assert done["bytes"] < free["bytes"]
    assert 26 <= done["rate"]["crf_least"] < done["rate"]["crf_most"] < 40
    assert 0 < done["rate"]["reached_max_bitrate"] <= bound


def test_a_pipe_has_a_bitrate_in_a_single_pass(source, tmp_path):
    out = tmp_path / "out.nrv"

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    result = encode(Pipe(source.read_bytes()), out, preset="ultrafast", bitrate=24000)
    assert result.complete
    assert any("in a single pass" in note for note in result.notes)
    assert result.bitrate == pytest.approx(24000, rel=0.25)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--size", "300"), "size 300 is too small: at crf 60"),
        (("--size", "20"), "size 20 is too small"),
        (("--max-bitrate", "100"), "max-bitrate 100 cannot be kept"),
        (("--size", "9k", "--crf", 20), "crf and size both choose the quality"),
        (("--size", "9k", "--bitrate", "9k"), "bitrate and size both choose the quality"),
        (("--bitrate", "9k", "--max-bitrate", "8k"), "max bitrate 8000 is below bitrate 9000"),
        (("--bitrate", "0"), "bitrate 0.0 is not at least 1"),
        ((*NIRVANA, "--network", "paper", "--size", "9k"), "network paper does not have size"),
    ],
)
def test_refusals(source, tmp_path, options, text):
    out = tmp_path / "out.nrv"
    result = call("nvenc", *FAST, *options, "--frames", 12, source, out)
    assert text in one_line(result, 2)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "options", [("--size", "8M!"), ("--bitrate", "fast"), ("--target", "vmaf=90")]
)
def test_other_values_are_usage_errors(source, tmp_path, options):
    assert call("nvenc", *options, source, tmp_path / "out.nrv").exit_code == 2


def test_damaged_input_keeps_what_is_there(source, tmp_path):
    cut, out = tmp_path / "cut.y4m", tmp_path / "out.nrv"
    cut.write_bytes(source.read_bytes()[: -LONG * 64 * 48])
    result = call("nvenc", *FAST, "--size", "6k", cut, out)
    assert out.stat().st_size <= 6000
    assert result.exit_code in (0, 3)


def test_an_interrupt_keeps_the_groups_of_its_pass(source, tmp_path):
    class Impatient(Observer):
        def __init__(self):
            self.passing = False

        def trying(self, samples, number, frame_count_hint):
            self.passing = not samples

        def coding(self, ordinal, frames, text=""):
            if self.passing and ordinal == 3:
                raise KeyboardInterrupt

    out = tmp_path / "out.nrv"
    with pytest.raises(KeyboardInterrupt):
        encode(source, out, preset="ultrafast", size=6000, observer=Impatient())
    report = json.loads(call("nvinfo", "--json", out).stdout)
    assert 0 < report["frames"] < LONG
    assert call("nvdec", "--verify", out, "null").exit_code == 0


def test_an_output_that_exists_is_refused_first(source, tmp_path):
    out = tmp_path / "out.nrv"
    out.write_bytes(b"x")
    calls = []

    class Watched:
        def __getattr__(self, name):
            calls.append(name)
            raise AssertionError

    with pytest.raises(FileExistsError):
        encode(source, out, target="psnr=40", observer=Watched())
    assert not calls


def test_a_source_without_pictures(tmp_path):
    path = tmp_path / "in.y4m"
    path.write_bytes(b"")
    with pytest.raises(SourceError):
        encode(path, tmp_path / "out.nrv", size=1000)
