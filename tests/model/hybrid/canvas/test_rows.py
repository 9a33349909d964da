"""SIMD operations on a few neighbouring elements, at every width that kernels use."""

import numba
import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.rows import (
    combine_rows,
    filter_row,
    filter_row_into,
    sample_row,
)

WIDTHS = [4, 8, 16, 32]
ROWS = 512
STRIDE = 48
TAPS = (-1, 4, -11, 40, 40, -11, 4, -1)


def samples(rng):
    return rng.integers(0, 256, (ROWS, STRIDE), np.uint8)


def tapped(source, width, taps):
    """Sums over taps of the first `width` places of each row."""
    wide = source.astype(np.int64)
    return sum(tap * wide[:, k : k + width] for k, tap in enumerate(taps))


@pytest.mark.parametrize("width", WIDTHS)
def test_filter_row(width, kernel_bench):
    source, out = samples(np.random.default_rng(width)), np.zeros((ROWS, STRIDE), np.int16)

    @numba.njit
    def run(source, out):
        taps = TAPS
        for at in range(0, ROWS * STRIDE, STRIDE):
            filter_row(width, source, at, 1, taps, out, at)

    def call():
        run(source, out)
        return out[:, :width]

    kernel_bench(f"filter_row {width}", ROWS * width, call, lambda: tapped(source, width, TAPS))
    assert not out[:, width:].any()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
@pytest.mark.parametrize(("double", "keep"), [(1, 0), (0, -1)])
def test_filter_row_into(double, keep, dtype, width, kernel_bench):
    rng = np.random.default_rng(width)
    source = samples(rng)
    signed = dtype in (np.int16, np.int32)
    if dtype is np.uint16:
        source = rng.integers(0, 4096, source.shape, np.uint16)
    elif signed:
        bound = 1 << (15 if dtype is np.int16 else 19)
        source = rng.integers(-bound, bound, source.shape, dtype)
    before = rng.integers(-(10**6), 10**6, (ROWS, STRIDE), np.int32)
    out = before.copy()

    @numba.njit
    def run(source, out):
        taps = TAPS
        for at in range(0, ROWS * STRIDE, STRIDE):
            filter_row_into(width, source, at, 1, taps, out, at, double, keep)

    def call():
        out[:] = before
        run(source, out)
        return out[:, :width]

    def slow():
        total = tapped(source, width, TAPS) >> (6 if signed else 0)
        return (total << double) + (before[:, :width] & keep)

    name = f"filter_row_into {width}, {np.dtype(dtype)}, {'adds' if keep else 'sets'}"
    kernel_bench(name, ROWS * width, call, slow)
    np.testing.assert_array_equal(out[:, width:], before[:, width:])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_sample_row(dtype, width, kernel_bench):
    rng = np.random.default_rng(width)
    values = rng.integers(-(1 << 16), 1 << 16, (ROWS, STRIDE), np.int32)
    out, peak = np.zeros((ROWS, STRIDE), dtype), 255 if dtype is np.uint8 else 319

    @numba.njit
    def run(values, out):
        for at in range(0, ROWS * STRIDE, STRIDE):
            sample_row(width, values, at, np.int32(7), out, at, peak)

    def call():
        run(values, out)
        return out[:, :width]

    def slow():
        return np.clip((values[:, :width].astype(np.int64) + 64) >> 7, 0, peak)

    kernel_bench(f"sample_row {width}, {np.dtype(dtype)}", ROWS * width, call, slow)
    assert not out[:, width:].any()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("adds", [None, np.uint8, np.uint16])
def test_combine_rows(adds, width, kernel_bench):
    rng = np.random.default_rng(width)
    terms = 8
    matrix = rng.integers(-90, 91, (terms, width), np.int32)
    factors = rng.integers(-32768, 32768, (ROWS, terms), np.int32)
    before = samples(rng).astype(adds or np.int32)
    most = 32767 if adds is None else 255 if adds is np.uint8 else 300
    out = before.copy()

    @numba.njit
    def run(matrix, factors, out):
        for row in range(ROWS):
            at = row * terms
            combine_rows(
                width, matrix, 0, width, factors, at, 1, terms, np.int32(12), out, row * STRIDE,
                most,
            )  # fmt: skip

    def call():
        out[:] = before
        run(matrix, factors, out)
        return out[:, :width]

    def slow():
        total = (factors.astype(np.int64) @ matrix + 2048) >> 12
        if adds:
            return np.clip(before[:, :width] + total, 0, most)
        return np.clip(total, -32768, 32767)

    name = f"combine_rows {width}, {'adds to samples' if adds else 'sets'}"
    kernel_bench(name, ROWS * width * terms, call, slow, unit="product")
    np.testing.assert_array_equal(out[:, width:], before[:, width:])
