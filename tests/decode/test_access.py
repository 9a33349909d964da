"""Frames by number, numbers, slice and time, and in the forms of other libraries."""

from __future__ import annotations

import io
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nvcodec.decode import decoder as decoding
from nvcodec.decode.decoder import Decoder
from nvcodec.format import NrvError
from nvcodec.media.colour import Colour
from nvcodec.media.rgb import rgb_array
from tests.decode.samples import PLANS, group_offsets, same, sample
from tests.hybrid import HybridPlan, synthesize_hybrid

FILES = {name: sample(name) for name in PLANS} | {"hybrid": synthesize_hybrid(HybridPlan())}
NAMES = sorted(FILES)


def opened(name: str, **options: object) -> Decoder:
    return Decoder(io.BytesIO(FILES[name][0]), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_lists(name: str) -> None:
    pictures = FILES[name][1]
    count = len(pictures)
    decoder = opened(name)
    rng = np.random.default_rng(2)
    for asked in ([], [3, 3, 0], [count - 1, 0, -1], *(rng.integers(-count, count, 6),) * 3):
        rng.shuffle(asked)
        frames = decoder[asked]
        assert [frame.index for frame in frames] == [int(k) % count for k in asked]
        assert all(same(f.planes, pictures[k]) for f, k in zip(frames, asked, strict=True))
    for part in (np.s_[:], np.s_[1:7:2], np.s_[::-1], np.s_[-3:], np.s_[5:2], np.s_[: count + 9]):
        frames = decoder[part]
        assert [frame.index for frame in frames] == list(range(count))[part]
        assert all(same(f.planes, pictures[f.index]) for f in frames)


def test_list_views() -> None:
    decoder = opened("hybrid")
    crop = (20, 12, 4, 2)
    frames = decoder.pick([9, 2, 9], size=(40, 24), crop=crop)
    assert frames[0] is frames[2]
    for frame in frames:
        assert same(frame.planes, decoder.render(frame.index, size=(40, 24), crop=crop).planes)


def test_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group is read once, and none that no frame needs."""
    read: list[int] = []
    true = decoding.read_group_at

    def counted(file: object, entry: decoding.IndexEntry, *rest: object) -> object:
        read.append(entry.first_frame)
        return true(file, entry, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "read_group_at", counted)
    # Groups begin at frames 0, 1, 5, 13, 14, 15, 17; those at 0 and 14 are key groups.
    opened("hybrid")[[20, 3, 2, 16, 3]]
    assert read == [0, 1, 14, 15, 17]
    read.clear()
    decoder = opened("hybrid")
    decoder[[15, 4]]
    decoder[[16, 15]]
    assert read == [0, 1, 14, 15]


def test_numbers_that_are_not_there() -> None:
    decoder = opened("hybrid")
    for asked in ([22], [0, 22], [3, 10**9, 1], [-23]):
        with pytest.raises(IndexError, match="not in the video"):
            decoder[asked]
    with pytest.raises(TypeError):
        decoder[[1.5]]  # type: ignore[list-item]
    assert decoder[[21]][0].index == 21


@pytest.mark.parametrize("name", NAMES)
def test_times(name: str) -> None:
    decoder = opened(name)
    frames = list(decoder)
    tick = frames[0].time_base
    for frame in frames:
        assert decoder.frame_at(frame.time) == frame.index
        assert decoder.frame_at(float(frame.time)) == frame.index
        assert decoder.frame_at(frame.time + frame.duration * tick - Fraction(1, 10**9)) == (
            frame.index
        )
        assert decoder.frame_at(float(frame.time + frame.duration * tick / 2)) == frame.index
    middle = frames[len(frames) // 2]
    assert same(decoder.at(float(middle.time), size=(20, 20)).planes, decoder.render(
        middle.index, size=(20, 20)).planes)  # fmt: skip
    end = frames[-1].time + frames[-1].duration * tick
    for time in (frames[0].time - tick / 2, end, float(end), -5, 1e9, float("nan"), float("inf")):
        with pytest.raises(IndexError, match="no frame is shown"):
            decoder.frame_at(time)


def test_damage() -> None:
    """Frames before a damaged end are there; those after it raise its error."""
    data, pictures = FILES["hybrid"]
    start, _ = group_offsets(data)[5]
    decoder = Decoder(io.BytesIO(data[: start + 30]))
    assert same(decoder[[14]][0].planes, pictures[14])
    with pytest.raises(NrvError):
        decoder[[3, 20]]


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    decoder = opened("hybrid")
    asked = [7, 0, 7]
    clip = decoder.tensor(asked, size=(32, 20))
    assert (clip.shape, clip.dtype, clip.device.type) == ((3, 3, 20, 32), torch.float32, "cpu")
    assert 0 <= clip.min() < clip.max() <= 1
    small = decoder.tensor(asked, size=(32, 20), dtype=torch.uint8)
    assert small.dtype == torch.uint8
    assert (small / 255 - clip).abs().max() <= 0.5 / 255 + 1e-6
    for k, number in enumerate(asked):
        frame = decoder.render(number, size=(32, 20))
        assert torch.equal(frame.to_tensor(), clip[k])
        rgb = rgb_array(frame.planes, Colour.of(decoder.header))
        assert np.array_equal(frame.to_rgb(), rgb)
        difference = small[k].permute(1, 2, 0).numpy().astype(int) - rgb
        # Random pictures have colours beyond what the two clip alike.
        assert np.abs(difference).mean() < 1
    with pytest.raises(ValueError, match="one frame"):
        decoder.tensor([])
    with pytest.raises(ValueError, match="int32"):
        decoder.tensor([0], dtype=torch.int32)


def test_frames_of_pyav() -> None:
    decoder = opened("hybrid")
    frame = decoder[5]
    shown = frame.to_video_frame()
    assert (shown.format.name, shown.width, shown.height) == ("yuv420p", 75, 46)
    assert (shown.pts, shown.time_base, shown.duration) == (frame.pts, frame.time_base, 1)
    for plane, samples in zip(shown.planes, frame.planes, strict=True):
        rows = np.ndarray((plane.height, plane.line_size), np.uint8, buffer=memoryview(plane))
        assert np.array_equal(rows[:, : samples.shape[1]], samples)


def test_images() -> None:
    image = pytest.importorskip("PIL.Image")
    frame = opened("hybrid")[5]
    shown = frame.to_image()
    assert isinstance(shown, image.Image)
    assert (shown.mode, shown.size) == ("RGB", (75, 46))
    assert np.array_equal(np.asarray(shown), frame.to_rgb())


@pytest.mark.parametrize(
    ("name", "library", "call"),
    [("PIL", "Pillow", "to_image"), ("torch", "PyTorch", "to_tensor")],
)
def test_libraries_that_are_absent(name: str, library: str, call: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nrv"
    path.write_bytes(FILES["hybrid"][0])
    code = (
        "import sys\n"
        f"sys.modules[{name!r}] = None\n"
        "import nvcodec\n"
        "try:\n"
        f"    nvcodec.Decoder({str(path)!r})[5].{call}()\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"UnsupportedError {'images' if name == 'PIL' else 'tensors'}")
    assert f"need {library}: pip install" in done.stdout


def test_libraries_are_loaded_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.nrv"
    path.write_bytes(FILES["hybrid"][0])
    code = (
        "import sys, nvcodec\n"
        f"frame = nvcodec.Decoder({str(path)!r})[[3]][0]\n"
        "assert not {'torch', 'av', 'PIL'} & set(sys.modules)\n"
        "frame.to_rgb(), frame.to_video_frame()\n"
        "assert not {'torch', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
