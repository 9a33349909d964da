"""The integer resampler (spec 6) against a slow reference written from the text."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.model.resample import (
    View,
    ViewError,
    _axis_plan,
    _kernels,
    resample,
    source_region,
)
from nvcodec.picture import SAMPLE_FORMATS, YUV420P8, Planes, SampleFormat
from nvcodec.tables import load_table
from tests.kernels import KernelBench

Ints = npt.NDArray[np.int64]

LOCATIONS = (0, 1, 2, 3, 4, 5, 255)
ROW_SITING = {0: 0, 255: 0, 1: 1, 2: 0, 3: 1, 4: 0, 5: 1}
COLUMN_SITING = {0: 1, 255: 1, 1: 1, 2: 0, 3: 0, 4: 2, 5: 2}
SUB = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}


@lru_cache(maxsize=4096)
def reference_coefficients(
    source: int, output: int, sub: int, siting: int, j: int
) -> tuple[tuple[int, int], ...]:
    """Return the pairs (t, Coef(t)) of spec 6.3 in Python integers."""
    kernel = load_table("resampling_kernel.txt").tolist()
    num = (2 * sub * j + siting + 1) * source - (siting + 1) * output
    den = 2 * sub * output
    extent = 2 * sub * max(source, output)
    reach = 3 * (extent // den + 1) + 1
    raw = {}
    for t in range(num // den - reach, num // den + reach + 2):
        step = (512 * abs(t * den - num) + extent) // (2 * extent)
        raw[t] = kernel[step] if step < 768 else 0
    total = sum(raw.values())
    coefficients = {t: (2**15 * value + total) // (2 * total) for t, value in raw.items()}
    coefficients[(2 * num + den) // (2 * den)] += 2**14 - sum(coefficients.values())
    return tuple(coefficients.items())


def reference_rows(plane: Ints, source: int, output: int, sub: int, siting: int) -> Ints:
    """Return the unrounded sums of spec 6.4 along the rows of `plane`."""
    out = np.zeros((plane.shape[0], -(-output // sub)), np.int64)
    for j in range(out.shape[1]):
        for t, coefficient in reference_coefficients(source, output, sub, siting, j):
            out[:, j] += coefficient * plane[:, min(max(t, 0), plane.shape[1] - 1)]
    return out


def reference(
    frame: Planes, size: tuple[int, int], location: int, samples: SampleFormat = YUV420P8
) -> Planes:
    """Return the whole output frame by spec 6, and check the bit widths that it states."""
    height, width = frame[0].shape
    bits = samples.bit_depth
    out = []
    for index, plane in enumerate(frame):
        sub_x, sub_y = SUB[samples.chroma_format] if index else (1, 1)
        across = ROW_SITING[location] if sub_x == 2 else 0
        down = COLUMN_SITING[location] if sub_y == 2 else 0
        sums = reference_rows(plane.astype(np.int64), width, size[0], sub_x, across)
        assert np.abs(sums).max() < 2 ** {8: 23, 10: 25, 12: 27}[bits]
        mid = (sums + 2 ** (bits - 1)) >> bits
        assert np.abs(mid).max() < 2**15
        sums = reference_rows(mid.T, height, size[1], sub_y, down).T
        assert np.abs(sums).max() + 2 ** (27 - bits) < 2**31
        shown = (sums + 2 ** (27 - bits)) >> (28 - bits)
        out.append(np.clip(shown, 0, 2**bits - 1).astype(plane.dtype))
    return tuple(out)


def noise(width: int, height: int, seed: int, samples: SampleFormat = YUV420P8) -> Planes:
    random = np.random.default_rng(seed)
    return tuple(
        random.integers(0, 2**samples.bit_depth, shape, samples.dtype)
        for shape in samples.plane_shapes(width, height)
    )


def render(
    frame: Planes,
    size: tuple[int, int] | None,
    crop: tuple[int, int, int, int] | None = None,
    location: int = 0,
    samples: SampleFormat = YUV420P8,
) -> Planes:
    height, width = frame[0].shape
    view = View.of(width, height, size, crop, samples)
    return resample(frame, (0, 0), width, height, view, location)


def assert_equal(got: Planes, expected: Planes) -> None:
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


Request = tuple[SampleFormat, Planes, tuple[int, int], tuple[int, int, int, int], int]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Draw a format, a frame, an output size, a crop of it and a chroma location."""
    samples = draw(st.sampled_from(SAMPLE_FORMATS))
    source = [draw(st.integers(1, 70)) for _ in range(2)]
    size = [draw(st.integers(-(-n // 64), min(64 * n, 140))) for n in source]
    subs = SUB[samples.chroma_format]
    start = [sub * draw(st.integers(0, (n - 1) // sub)) for n, sub in zip(size, subs, strict=True)]
    crop = [draw(st.integers(1, n - s)) for n, s in zip(size, start, strict=True)]
    frame = noise(source[0], source[1], draw(st.integers(0, 99)), samples)
    region = (crop[0], crop[1], start[0], start[1])
    return samples, frame, (size[0], size[1]), region, draw(st.sampled_from(LOCATIONS))


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("size", [(64, 36), (33, 47), (1, 1), (2, 5)])
def test_own_size_is_the_identity(size: tuple[int, int], location: int) -> None:
    for samples in SAMPLE_FORMATS:
        frame = noise(*size, seed=1, samples=samples)
        assert_equal(render(frame, size, location=location, samples=samples), frame)
        assert_equal(render(frame, None, location=location, samples=samples), frame)


def test_native_crop_needs_only_itself() -> None:
    view = View.of(101, 77, None, (31, 9, 40, 20))
    assert view.is_native(101, 77)
    assert not view.is_native(100, 77)
    assert source_region(view, 101, 77, 0) == (40, 20, 71, 29)


@settings(derandomize=True, deadline=None, max_examples=120)
@given(requests())
def test_region_is_a_slice_and_needs_only_its_source_region(
    request: Request,
) -> None:
    samples, frame, size, crop, location = request
    height, width = frame[0].shape
    full = render(frame, size, location=location, samples=samples)
    sub_x, sub_y = SUB[samples.chroma_format]

    def cut(planes: Planes, x0: int, y0: int, x1: int, y1: int) -> Planes:
        chroma = np.s_[y0 // sub_y : -(-y1 // sub_y), x0 // sub_x : -(-x1 // sub_x)]
        return (planes[0][y0:y1, x0:x1], *(plane[chroma] for plane in planes[1:]))

    w, h, x, y = crop
    expected = cut(full, x, y, x + w, y + h)
    assert_equal(render(frame, size, crop, location, samples), expected)

    view = View.of(width, height, size, crop, samples)
    x0, y0, x1, y1 = source_region(view, width, height, location)
    assert x0 % sub_x == y0 % sub_y == 0
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    part = cut(frame, x0, y0, x1, y1)
    assert_equal(resample(part, (x0, y0), width, height, view, location), expected)


@settings(derandomize=True, deadline=None, max_examples=80)
@given(requests())
def test_equals_the_reference(request: Request) -> None:
    samples, frame, size, _, location = request
    got = render(frame, size, location=location, samples=samples)
    assert_equal(got, reference(frame, size, location, samples))


@pytest.mark.parametrize(
    ("source", "size"),
    [((1, 1), (64, 64)), ((640, 130), (10, 3)), ((7, 300), (448, 5)), ((65, 64), (64, 65))],
)
def test_equals_the_reference_at_extreme_ratios(
    source: tuple[int, int], size: tuple[int, int]
) -> None:
    frame = noise(*source, seed=2)
    assert_equal(render(frame, size, location=5), reference(frame, size, 5))


@pytest.mark.parametrize("size", [(48, 48), (35, 90), (11, 8), (37, 3)])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_worst_case_samples_fit_32_bits(size: tuple[int, int], flip: bool, bits: int) -> None:
    """Samples that follow the signs of the coefficients of one output sample, and the inverse."""
    n = 24
    samples = SampleFormat(bits, 1)
    for i, j in [(size[0] // 2, size[1] // 2), (0, size[1] - 1), (size[0] // 3, size[1] // 3)]:
        signs = []
        for output, index in ((size[0], i), (size[1], j)):
            weight = np.zeros(n, np.int64)
            for t, coefficient in reference_coefficients(n, output, 1, 0, index):
                weight[min(max(t, 0), n - 1)] += coefficient
            signs.append(np.where(weight > 0, 1, -1))
        bright = (np.outer(signs[1], signs[0]) > 0) ^ flip
        luma = np.where(bright, samples.peak, 0).astype(samples.dtype)
        half = np.ascontiguousarray(luma[:12, :12])
        frame = (luma, half, half)
        got = render(frame, size, samples=samples)
        assert_equal(got, reference(frame, size, 0, samples))


def test_coefficients_sum_to_unity_within_the_stated_bound() -> None:
    # All phases of an enlarging kernel: 8 -> 4096 reaches between all ties of Step, 8 -> 2048
    # the ties themselves.
    axes = [(8, 4096), (8, 2048)]
    axes += [(n, m) for n in range(1, 64, 6) for m in range(1, 64) if n <= 64 * m]
    axes += [(1000 + 63 * k, 1000) for k in range(0, 1001, 20)]
    axes += [(6400, 100), (6399, 100), (16383, 256), (65535, 1024), (65535, 16384)]
    for source, output in axes:
        for sub, siting in ((1, 0), (2, 0), (2, 1), (2, 2)):
            count = min(-(-output // sub), 4096)
            plan = _axis_plan(source, output, sub, siting, 0, count)
            coefficients = plan.coefficients.astype(np.int64)
            assert (coefficients.sum(axis=1) == 2**14).all()
            # Bit widths of spec 6.4. Folded at the edges, magnitudes can only be smaller.
            assert np.abs(coefficients).sum(axis=1).max() <= 2**15


@pytest.mark.parametrize("level", [0, 1, 127, 255])
def test_constant_frames_stay_constant(level: int) -> None:
    frame = tuple(np.full_like(plane, level) for plane in noise(45, 37, 0))
    for size in [(45, 37), (90, 74), (7, 5), (1, 1), (200, 3)]:
        for plane in render((frame[0], frame[1], frame[2]), size, location=4):
            assert (plane == level).all()


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("output", [20, 31, 62, 97, 248])
@pytest.mark.parametrize("vertical", [False, True])
def test_ramp_keeps_its_place(location: int, output: int, vertical: bool) -> None:
    """A ramp of 4 levels per luma sample, with chroma sampled at its sites."""
    source, slope = 62, 4
    halves = (COLUMN_SITING if vertical else ROW_SITING)[location]
    luma = slope * np.arange(source)
    chroma = slope * 2 * np.arange(source // 2) + slope * halves // 2
    frame = [np.tile(ramp.astype(np.uint8), (len(ramp), 1)) for ramp in (luma, chroma, chroma)]
    if vertical:
        frame = [np.ascontiguousarray(plane.T) for plane in frame]
    size = (source, output) if vertical else (output, source)
    got = render((frame[0], frame[1], frame[2]), size, location=location)
    for index, plane in enumerate(got):
        sub, offset = (2, halves / 2) if index else (1, 0.0)
        line = (plane[:, 0] if vertical else plane[0]).astype(float)
        site = (sub * np.arange(line.size) + offset + 0.5) * source / output - 0.5
        margin = 3 * sub * max(1.0, source / output)
        inside = (site > margin) & (site < source - sub - margin)
        assert inside.sum() >= 3
        assert np.abs(line - slope * site)[inside].max() <= 1.0


def test_shrinking_removes_what_the_output_cannot_hold() -> None:
    rows, columns = np.indices((128, 128))
    for pattern in (columns % 2, (rows + columns) % 2, rows % 2, columns // 2 % 2):
        luma = (pattern * 255).astype(np.uint8)
        half = np.ascontiguousarray(luma[:64, :64])
        for plane in render((luma, half, half), (32, 32)):
            inner = plane[4:-4, 4:-4].astype(float)
            assert np.abs(inner - 127.5).max() <= 4


def test_mirrored_frames_stay_mirrored() -> None:
    """Symmetric siting has no drift to a side, but for the place of the remainder."""
    frame = noise(50, 40, 7)
    mirrored = tuple(np.ascontiguousarray(plane[::-1, ::-1]) for plane in frame)
    for size in [(75, 60), (20, 30), (33, 77)]:
        got = render((mirrored[0], mirrored[1], mirrored[2]), size, location=1)
        expected = render(frame, size, location=1)
        if size[0] % 2 or size[1] % 2:
            got, expected = (got[0],) * 3, (expected[0],) * 3
        for a, b in zip(got, expected, strict=True):
            assert np.abs(a[::-1, ::-1].astype(int) - b).max() <= 1


def test_all_formats_of_a_depth_share_two_kernels() -> None:
    for chroma in range(4):
        samples = SampleFormat(10, chroma)
        render(noise(9, 7, 0, samples), (12, 5), samples=samples)
    assert [len(made.signatures) for made in _kernels(10)] == [1, 1]


def test_golden() -> None:
    rows, columns = np.indices((61, 97))
    luma = ((rows * 7 + columns * 13 + rows * columns) % 256).astype(np.uint8)
    cb = np.ascontiguousarray(luma[::2, ::2])
    frame = (luma, cb, 255 - cb)
    digest = hashlib.sha256()
    for plane in render(frame, (150, 40), (101, 33, 14, 6), location=3):
        digest.update(plane.tobytes())
    assert digest.hexdigest() == (
        "ab8356302068dc089d32e3353b1219002cccda0c31b67cb02a550e4c9ff7d7d3"
    )


def test_kernel_table_follows_its_formula() -> None:
    table = load_table("resampling_kernel.txt")
    assert table.shape == (768,)
    assert table.dtype == np.int32
    assert not table.flags.writeable
    for k, value in enumerate(table.tolist()):
        x = math.pi * k / 256
        exact = 3 * math.sin(x) * math.sin(x / 3) / x**2 if k else 1.0
        assert abs(value - exact * 2**20) <= 0.5


@pytest.mark.parametrize(
    ("size", "crop", "message"),
    [
        ((0, 10), None, "width 0"),
        ((10, -1), None, "height -1"),
        ((16385, 64), None, "16385"),
        ((64 * 512 + 1, 64), None, "width 32769"),
        ((7, 300), None, "64 times"),
        ((512, 4), None, "64 times"),
        (None, (0, 4, 0, 0), "empty"),
        (None, (4, -4, 0, 0), "empty"),
        (None, (4, 4, 1, 0), "even"),
        (None, (4, 4, 0, 3), "even"),
        (None, (4, 4, -2, 0), "leaves"),
        (None, (512, 4, 2, 0), "leaves"),
        ((100, 50), (50, 50, 0, 2), "leaves"),
    ],
)
def test_view_errors(
    size: tuple[int, int] | None, crop: tuple[int, int, int, int] | None, message: str
) -> None:
    with pytest.raises(ViewError, match=message) as error:
        View.of(512, 300, size, crop)
    assert "\n" not in str(error.value)


def test_crops_begin_on_the_chroma_grid_of_the_format() -> None:
    with pytest.raises(ViewError, match=r"crop position \(3, 1\): x is not even, as 10-bit 4:2:2"):
        View.of(512, 300, None, (4, 4, 3, 1), SampleFormat(10, 2))
    for chroma, x in ((0, 3), (2, 2), (3, 3)):
        assert View.of(512, 300, None, (4, 4, x, 1), SampleFormat(8, chroma)).y == 1


def test_view_limits() -> None:
    assert View.of(512, 300, None, None) == View(512, 300, 0, 0, 512, 300)
    assert View.of(512, 256, (8, 16384), None).crop_height == 16384
    assert View.of(20000, 1, None, (1, 1, 19998, 0)).x == 19998
    with pytest.raises(ViewError, match="64 times"):
        View.of(1, 1, (65, 1), None)


def test_bad_arguments() -> None:
    frame = noise(16, 16, 0)
    view = View.of(16, 16, (8, 8), None)
    with pytest.raises(ValueError, match="chroma location 6"):
        resample(frame, (0, 0), 16, 16, view, 6)
    with pytest.raises(ValueError, match="even"):
        resample(frame, (1, 0), 16, 16, view, 0)
    with pytest.raises(ValueError, match="lacks"):
        resample(frame, (0, 0), 18, 16, view, 0)


@pytest.mark.parametrize("size", [(256, 192), (64, 48), (100, 96), (128, 60)])
def test_frame(size: tuple[int, int], kernel_bench: KernelBench) -> None:
    """Twice and half the size, and one axis alone."""
    frame = noise(128, 96, 0)
    kernel_bench(
        f"resample 128x96 to {size[0]}x{size[1]}",
        size[0] * size[1] * 3 // 2,
        lambda: render(frame, size),
        lambda: reference(frame, size, 0),
    )
