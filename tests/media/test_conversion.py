"""Sample formats to others and to RGB; images and arrays of it."""

import io
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from nvcodec.format import UnsupportedError
from nvcodec.media.colour import Colour
from nvcodec.media.conversion import Conversion
from nvcodec.media.description import VideoDescription
from nvcodec.media.images import ImageWriter, is_pattern
from nvcodec.media.npy import ArrayWriter
from nvcodec.media.rgb import rgb_array, rgb_type
from nvcodec.media.timecodes import TimecodeWriter
from nvcodec.media.video_frame import pixel_format
from nvcodec.picture import SampleFormat

FORMATS = [SampleFormat(depth, chroma) for depth in (8, 10, 12) for chroma in range(4)]
# Position of the first chroma sample in luma samples (H.273).
SITING = {0: (0, 0.5), 1: (0.5, 0.5), 2: (0, 0), 3: (0.5, 0), 4: (0, 1), 5: (0.5, 1)}


def described(sample_format, width=33, height=15, **properties):
    return VideoDescription(
        width=width,
        height=height,
        colour=Colour(sample_format, height, **properties),
        time_base=Fraction(1, 25),
    )


def noise(description, seed=0):
    rng = np.random.default_rng(seed)
    sample_format = description.sample_format
    return tuple(
        rng.integers(0, sample_format.peak + 1, shape).astype(sample_format.dtype)
        for shape in sample_format.plane_shapes(description.width, description.height)
    )


@pytest.mark.parametrize("given", FORMATS, ids=pixel_format)
def test_luma_is_kept_in_every_conversion(given):
    description = described(given)
    planes = noise(description)
    for target in FORMATS:
        if given.chroma_format and not target.chroma_format:
            continue
        converted = Conversion(description, target).planes(planes)
        shapes = target.plane_shapes(description.width, description.height)
        assert tuple(plane.shape for plane in converted) == shapes
        assert {plane.dtype for plane in converted} == {target.dtype}
        scale = target.middle / given.middle
        error = converted[0] - planes[0] * scale
        # Deeper samples are shifted; of less depth they are rounded, with or without dither.
        assert np.abs(error).max() < 1 if scale < 1 else not error.any()
        if not given.chroma_format and target.chroma_format:
            assert (converted[1] == target.middle).all()


@pytest.mark.parametrize("location", SITING)
@pytest.mark.parametrize("width", [40, 41])
def test_chroma_is_resampled_where_it_lies(location, width):
    description = described(SampleFormat(10, 1), width, 31, chroma_location=location)
    x0, y0 = SITING[location]
    y, x = np.indices(description.sample_format.plane_shapes(width, 31)[1]) * 2.0
    luma = np.full((31, width), 500, np.uint16)
    ramps = 300 + 4 * (x + x0), 700 - 4 * (y + y0)
    planes = (luma, *(ramp.astype(np.uint16) for ramp in ramps))
    _, cb, cr = Conversion(description, SampleFormat(10, 3)).planes(planes)
    y, x = np.indices(luma.shape)
    inside = np.s_[4:-4, 4:-4]
    assert np.abs(cb[inside] - (300.0 + 4 * x[inside])).max() <= 1
    assert np.abs(cr[inside] - (700.0 - 4 * y[inside])).max() <= 1


COLOURS = np.array(
    [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.25, 0.5, 0.75], [0.9, 0.1, 0.4]]
)


def of_rgb(depth, matrix, full):
    """Planes 4:4:4 of a column for each colour, by the equations of H.273."""
    red, green, blue = (COLOURS[:, k] for k in range(3))
    scale = 1 << (depth - 8)
    peak, middle = (1 << depth) - 1, 1 << (depth - 1)
    luma, chroma, black = (peak, peak, 0) if full else (219 * scale, 224 * scale, 16 * scale)
    if matrix == 0:
        planes = [black + luma * one for one in (green, blue, red)]
    else:
        if matrix == 8:
            y, cb, cr = (
                0.25 * red + 0.5 * green + 0.25 * blue,
                -0.25 * red + 0.5 * green - 0.25 * blue,
                0.5 * red - 0.5 * blue,
            )
        else:
            kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
            y = kr * red + (1 - kr - kb) * green + kb * blue
            cb, cr = 0.5 * (blue - y) / (1 - kb), 0.5 * (red - y) / (1 - kr)
        planes = [black + luma * y, middle + chroma * cb, middle + chroma * cr]
    dtype = np.uint8 if depth == 8 else np.uint16
    return tuple(np.rint(np.clip(p, 0, peak)).astype(dtype)[None].repeat(8, 0) for p in planes)


@pytest.mark.parametrize("depth", [8, 10, 12])
@pytest.mark.parametrize("matrix", [0, 1, 6, 8, 9])
@pytest.mark.parametrize("full", [0, 1, 2])
def test_rgb_follows_matrix_and_range(depth, matrix, full):
    sample_format = SampleFormat(depth, 3)
    colour = Colour(sample_format, 8, matrix=matrix, full_range=full)
    samples = rgb_array(of_rgb(depth, matrix, full == 1), colour, rgb_type(colour))
    peak = 255 if depth == 8 else 65535
    assert samples.shape == (8, len(COLOURS), 3)
    assert samples.max() == peak
    error = np.abs(samples[0] / peak - COLOURS)
    assert error.max() * sample_format.peak < 2.5


def test_an_unspecified_matrix_follows_from_the_rows_of_the_film():
    planes = of_rgb(8, 1, False)
    as_hd = rgb_array(planes, Colour(SampleFormat(8, 3), 720))
    assert np.abs(as_hd[0] / 255 - COLOURS).max() < 0.01
    as_sd = rgb_array(planes, Colour(SampleFormat(8, 3), 719))
    assert np.abs(as_sd[0] / 255 - COLOURS).max() > 0.02


def test_a_matrix_that_is_not_known_is_refused():
    with pytest.raises(UnsupportedError, match="matrix coefficients 14"):
        ArrayWriter(io.BytesIO(), described(SampleFormat(8, 3), matrix=14))


def test_patterns_have_one_number():
    assert is_pattern("a_%05d.png")
    assert is_pattern("a_%d.png")
    assert not is_pattern("a.png")
    assert not is_pattern("a_%d_%d.png")
    assert not is_pattern("a_%s.png")


@pytest.mark.parametrize("sample_format", FORMATS, ids=pixel_format)
def test_images_and_arrays_have_the_same_samples(tmp_path, sample_format):
    description = described(sample_format, primaries=9, transfer=16, matrix=9)
    pictures = [noise(description, seed) for seed in range(2)]
    colour = description.colour
    wanted = np.stack([rgb_array(planes, colour, rgb_type(colour)) for planes in pictures])
    depth = np.uint8 if sample_format.bit_depth == 8 else np.uint16
    assert wanted.dtype == depth
    assert wanted.shape == (2, 15, 33, 3) if sample_format.planes == 3 else (2, 15, 33)

    images = ImageWriter(tmp_path / "i_%03d.png", description)
    file = io.BytesIO()
    arrays = ArrayWriter(file, description)
    for number, planes in enumerate(pictures):
        images.write(planes, 7 + number)
        arrays.write(planes)
    arrays.close()
    file.seek(0)
    np.testing.assert_array_equal(np.load(file), wanted)
    for number, picture in enumerate(wanted):
        path = tmp_path / f"i_{7 + number:03d}.png"
        with av.open(str(path)) as container:
            (frame,) = container.decode(video=0)
        name = {1: "gray", 3: "rgb24"}[sample_format.planes]
        if depth is np.uint16:
            name = {1: "gray16be", 3: "rgb48be"}[sample_format.planes]
        assert frame.format.name == name
        assert (frame.color_primaries, frame.color_trc) == (9, 16)
        np.testing.assert_array_equal(frame.to_ndarray(), picture)


def test_images_are_those_of_other_programs(tmp_path):
    description = described(SampleFormat(8, 3), len(COLOURS), 8, matrix=1)
    planes = of_rgb(8, 1, False)
    ImageWriter(tmp_path / "a.png", description).write(planes, 0)
    pixels = np.array(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(pixels, rgb_array(planes, description.colour))


def test_images_are_not_overwritten_unasked(tmp_path):
    description = described(SampleFormat(8, 0))
    planes = noise(description)
    ImageWriter(tmp_path / "a.png", description).write(planes, 0)
    with pytest.raises(FileExistsError):
        ImageWriter(tmp_path / "a.png", description).write(planes, 0)
    other = replace(description, colour=replace(description.colour, full_range=1))
    ImageWriter(tmp_path / "a.png", other, overwrite=True).write(planes, 0)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "a.png")), planes[0])


def test_timecodes_are_milliseconds_and_end_with_the_last_frame():
    file = io.BytesIO()
    writer = TimecodeWriter(file)
    for k in range(3):
        writer.write(Fraction(1001 * (k - 1), 30000), Fraction(1001, 30000))
    writer.close()
    assert file.getvalue().decode().splitlines() == [
        "# timecode format v2",
        "-33.366667",
        "0.000000",
        "33.366667",
        "66.733333",
    ]
