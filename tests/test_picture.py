"""Sample formats: sizes, regions and digests of pictures of all formats."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvcodec.model.samples import plane_shift
from nvcodec.picture import YUV420P8, SampleFormat, region_size, samples_crc

sizes = st.integers(1, 70)


@pytest.mark.parametrize(
    ("bits", "dtype", "peak", "middle"), [(8, "u1", 255, 128), (10, "u2", 1023, 512)]
)
def test_range_follows_from_the_bit_depth(bits, dtype, peak, middle):
    samples = SampleFormat(bits, 1)
    assert (samples.dtype, samples.peak, samples.middle) == (np.dtype(dtype), peak, middle)
    assert samples.picture_bytes(5, 3) == (15 + 6 + 6) * samples.dtype.itemsize


@pytest.mark.parametrize(
    ("chroma", "shapes"),
    [
        (0, [(9, 17)]),
        (1, [(9, 17), (5, 9), (5, 9)]),
        (2, [(9, 17), (9, 9), (9, 9)]),
        (3, [(9, 17)] * 3),
    ],
)
def test_planes_follow_from_the_chroma_format(chroma, shapes):
    samples = SampleFormat(10, chroma)
    assert list(samples.plane_shapes(17, 9)) == shapes
    assert [plane.shape for plane in samples.empty(17, 9)] == shapes
    assert len(samples.crop(samples.empty(17, 9), (2, 2, 7, 5))) == samples.planes == len(shapes)


def test_an_unknown_chroma_format_has_no_shapes():
    with pytest.raises(KeyError):
        SampleFormat(8, 4).plane_shapes(4, 4)


def test_odd_sizes_round_up():
    assert YUV420P8.chroma_size(17, 9) == (9, 5)
    assert YUV420P8.plane_shapes(17, 9) == ((9, 17), (5, 9), (5, 9))
    assert [(p.shape, p.dtype) for p in YUV420P8.empty(17, 9)] == [
        (shape, np.uint8) for shape in YUV420P8.plane_shapes(17, 9)
    ]


@given(sizes, sizes, st.data())
def test_a_cropped_region_has_the_planes_of_its_size(width, height, data):
    x0 = data.draw(st.integers(0, (width - 1) // 2)) * 2
    y0 = data.draw(st.integers(0, (height - 1) // 2)) * 2
    region = x0, y0, data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    # Samples tell their place: luma by luma's coordinates, chroma by its own.
    planes = tuple(np.arange(h * w).reshape(h, w) for h, w in YUV420P8.plane_shapes(width, height))
    cut = YUV420P8.crop(planes, region)
    assert tuple(plane.shape for plane in cut) == YUV420P8.plane_shapes(*region_size(region))
    assert cut[0][0, 0] == y0 * width + x0
    assert cut[2][0, 0] == y0 // 2 * ((width + 1) // 2) + x0 // 2
    x, y, right, bottom = YUV420P8.luma_region(YUV420P8.chroma_region(region))
    assert (x, y) == (x0, y0)
    assert 0 <= right - region[2] <= 1
    assert 0 <= bottom - region[3] <= 1


def test_kernels_shift_as_the_format_does():
    for plane in range(3):
        assert plane_shift(plane) == YUV420P8.plane_shift(plane)
    assert plane_shift(True) == YUV420P8.chroma_shift
    assert plane_shift(False) == (0, 0)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2"])
def test_crc_is_of_the_samples_row_by_row(dtype):
    rng = np.random.default_rng(0)
    pictures = [
        tuple(rng.integers(0, 256, shape).astype(dtype) for shape in YUV420P8.plane_shapes(9, 7))
        for _ in range(2)
    ]
    stored = "u1" if dtype == "u1" else "<u2"
    data = b"".join(p.astype(stored).tobytes() for planes in pictures for p in planes)
    assert samples_crc(pictures) == zlib.crc32(data)
    # Planes of a region are no contiguous ones.
    cut = [YUV420P8.crop(planes, (2, 2, 7, 5)) for planes in pictures]
    copies = [tuple(plane.copy() for plane in planes) for planes in cut]
    assert samples_crc(cut) == samples_crc(copies) != samples_crc(pictures)
