"""Arrays as a source of pictures."""

import io
from fractions import Fraction

import numpy as np
import pytest

import nvcodec
from nvcodec.media.arrays import ArrayError, readable
from nvcodec.media.source import SourceError, open_source
from nvcodec.picture import SampleFormat
from tests.media.clips import noise


def read(pictures, fps=25, bit_depth=None):
    """(source, its pictures)."""
    with open_source(readable(pictures, fps, bit_depth)) as source:
        return source, list(source)


def colours(count, width=24, height=16):
    """RGB pictures of flat colours that change."""
    rng = np.random.default_rng(3)
    return [
        np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (height, width, 3)) for _ in range(count)
    ]


@pytest.mark.parametrize("fps", [25, 30, Fraction(30000, 1001), 29.97, 0.5, 240])
def test_planes_come_out_as_they_went_in(fps):
    pictures = noise(4, 37, 21)
    source, found = read(iter(pictures), fps)
    assert (source.width, source.height, source.frame_rate) == (37, 21, round_rate(fps))
    for number, (picture, planes) in enumerate(zip(found, pictures, strict=True)):
        assert all(np.array_equal(a, b) for a, b in zip(picture.planes, planes, strict=True))
        assert picture.pts * source.time_base == number / round_rate(fps)
        assert picture.duration * source.time_base == 1 / round_rate(fps)


def round_rate(fps):
    return Fraction(fps).limit_denominator(1001)


def test_rgb():
    pictures = colours(3)
    source, found = read(np.stack(pictures))
    assert source.matrix == 6
    assert source.full_range == 0
    for picture, rgb in zip(found, pictures, strict=True):
        red, green, blue = rgb[0, 0] / 255
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        expected = (
            16 + 219 * luma,
            128 + 112 * (blue - luma) / 0.886,
            128 + 112 * (red - luma) / 0.701,
        )
        for plane, value in zip(picture.planes, expected, strict=True):
            assert abs(float(plane.mean()) - value) < 1


@pytest.mark.parametrize("chroma", range(4))
@pytest.mark.parametrize("depth", [8, 10, 12])
def test_all_sample_formats_are_read(chroma, depth):
    form = SampleFormat(depth, chroma)
    value = 180 << (depth - 8)
    planes = tuple(np.full(shape, value, form.dtype) for shape in form.plane_shapes(24, 16))
    _, found = read([planes] * 2, bit_depth=depth)
    assert len(found) == 2
    luma = found[1].planes[0]
    assert abs(luma.mean() / (1 if luma.dtype == np.uint8 else 1 << (depth - 8)) - 180) < 1


def test_pictures_are_taken_as_they_are_read():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield np.full((360, 640, 3), taken % 200, np.uint8)

    stream = readable(endless(), 25, None)
    assert taken == 1
    with open_source(stream) as source:
        for _ in range(20):
            next(source)
        assert 20 <= taken < 50


GREY = np.zeros((16, 24, 3), np.uint8)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([GREY.astype(np.float32)], "picture 0: RGB is uint8, not float32"),
        ([GREY[..., 0]], r"picture 0: RGB has the shape \(rows, columns, 3\), not \(16, 24\)"),
        ([np.moveaxis(GREY, 2, 0)], r"not \(3, 16, 24\)"),
        (GREY, "a video is"),
        (GREY[None, ..., :2], r"not \(16, 24, 2\)"),
        (GREY[:0][None], r"not \(0, 24, 3\)"),
        ([], "no picture"),
        (np.zeros((0, 16, 24, 3), np.uint8), "no picture"),
        ([GREY, GREY[1:]], r"picture 1: arrays of \(15, 24, 3\)"),
        ([(GREY[..., 0],), GREY], "picture 1: arrays of"),
        ([(GREY[..., 0], GREY[:9, :12, 0], GREY[:9, :12, 0])], "neither 4:2:0"),
        ([(GREY[..., 0], GREY[..., 0])], "neither an array of RGB nor"),
        ([(GREY,)], r"planes have the shape \(rows, columns\)"),
        ([(GREY[..., 0].astype(np.uint16),)], "planes are uint8 with bit_depth=8, not uint16"),
        (["a.png"], "picture 0: it is neither"),
        (7, "cannot read int"),
    ],
)
def test_what_is_no_picture(pictures, message, tmp_path):
    with pytest.raises(ArrayError, match=message) as caught:
        nvcodec.encode(pictures, tmp_path / "out.nrv", fps=25, preset="fast")
    assert isinstance(caught.value, SourceError)
    assert "\n" not in str(caught.value)


def test_samples_above_the_depth():
    planes = (np.full((4, 4), 1024, np.uint16),)
    with pytest.raises(ArrayError, match="a sample is 1024, above 1023"):
        readable([planes], 25, 10)


def test_errors_of_the_iterable_are_its_own():
    def failing():
        yield GREY
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        read(failing())


@pytest.mark.parametrize("fps", [None, 0, -1, float("nan"), float("inf"), Fraction(2**40, 3)])
def test_rates_that_are_none(fps):
    with pytest.raises(ValueError, match="fps"):
        readable([GREY], fps, None)


def test_options_of_arrays():
    with pytest.raises(ValueError, match="bit_depth 9"):
        readable([GREY], 25, 9)
    with pytest.raises(ValueError, match="a file has its own"):
        readable("clip.mp4", None, 8)
    for rate in (25, None):
        assert readable("clip.mp4", rate, None) == "clip.mp4"


def test_encode_and_decode(tmp_path):
    ramp = np.linspace(40, 200, 48, dtype=np.uint8)
    video = np.stack(
        [
            np.stack([np.roll(np.tile(ramp, (32, 1)), k + c, 1) for c in (0, 8, 16)], -1)
            for k in range(4)
        ]
    )
    path = tmp_path / "out.nrv"
    result = nvcodec.encode((picture for picture in video), path, fps=30, crf=20, preset="fast")
    assert result.frames == 4
    again = io.BytesIO()
    nvcodec.encode(video, again, fps=30, crf=20, preset="fast")
    assert again.getvalue() == path.read_bytes()
    with nvcodec.Decoder(path) as decoder:
        assert decoder.header.frame_rate == 30
        frames = decoder[:]
        assert [frame.time for frame in frames] == [Fraction(k, 30) for k in range(4)]
        for frame, picture in zip(frames, video, strict=True):
            assert np.abs(frame.to_rgb().astype(int) - picture).mean() < 6
        planes = [frame.planes for frame in frames]
        # Planes of a decoder go in again.
        assert nvcodec.encode(planes, io.BytesIO(), fps=30, preset="fast").frames == 4
