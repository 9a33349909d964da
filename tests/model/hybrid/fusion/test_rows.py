"""SIMD operations on a few neighbouring samples or sites, 16 at once and one by one."""

import numba
import numpy as np
import pytest

from nvcodec.model.hybrid.fusion.rows import (
    chroma_difference,
    chroma_high_pass,
    column_sums,
    correct_chroma,
    correct_luma,
    luma_difference,
    luma_high_pass,
)
from tests.model.hybrid.fusion.reference import RECIPROCAL, STEP, rshift

COUNT = 4096


@pytest.fixture(params=[16, 1])
def width(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def samples(rng, count=COUNT):
    return rng.integers(0, 256, count, np.uint8)


def windows(sums):
    return np.lib.stride_tricks.sliding_window_view(sums.astype(np.int64), 5)[:COUNT].sum(1)


def words(low, high):
    return np.stack([low, high], -1).astype(np.int16).view(np.int32)[:, 0]


def inputs(values, factors, shift):
    return np.clip(rshift(values * factors.astype(np.int64), shift), -4095, 4095)


def test_column_sums(rng, width, kernel_bench):
    lines = [samples(rng) for _ in range(5)]
    out = np.zeros(COUNT, np.int16)

    @numba.njit
    def run(a, b, c, d, e, out):
        for j in range(0, COUNT, width):
            column_sums(width, a, j, b, j, c, j, d, j, e, j, out, j)

    def call():
        run(*lines, out)
        return out

    kernel_bench(f"column_sums {width}", COUNT, call, lambda: np.sum(lines, 0, np.int64))


def test_luma_high_pass(rng, width, kernel_bench):
    plane, factors = samples(rng), rng.choice(RECIPROCAL, COUNT).astype(np.int32)
    sums = rng.integers(0, 5 * 255 + 1, COUNT + 4, np.int16)
    out = np.zeros(COUNT, np.int16)

    @numba.njit
    def run(plane, sums, factors, out):
        for j in range(0, COUNT, width):
            luma_high_pass(width, plane, j, sums, j, factors, j, out, j, 0)

    def call():
        run(plane, sums, factors, out)
        return out

    def slow():
        return inputs(25 * plane.astype(np.int64) - windows(sums), factors, 15)

    kernel_bench(f"luma_high_pass {width}", COUNT, call, slow)


def test_chroma_high_pass(rng, width, kernel_bench):
    planes, factors = [samples(rng) for _ in range(2)], rng.choice(RECIPROCAL, COUNT)
    factors = factors.astype(np.int32)
    sums = rng.integers(0, 5 * 255 + 1, (2, COUNT + 4), np.int16)
    out = np.zeros(COUNT, np.int32)

    @numba.njit
    def run(blue, blue_sums, red, red_sums, factors, out):
        for j in range(0, COUNT, width):
            chroma_high_pass(
                width, blue, j, blue_sums, j, red, j, red_sums, j, factors, j, out, j, 0
            )

    def call():
        run(planes[0], sums[0], planes[1], sums[1], factors, out)
        return out

    def slow():
        both = [
            inputs(25 * plane.astype(np.int64) - windows(line), factors, 15)
            for plane, line in zip(planes, sums, strict=True)
        ]
        return words(*both)

    kernel_bench(f"chroma_high_pass {width}", 2 * COUNT, call, slow)


def test_luma_difference(rng, width, kernel_bench):
    plane, warp = samples(rng), samples(rng)
    factors = rng.choice(RECIPROCAL, COUNT).astype(np.int32)
    out = np.zeros(COUNT, np.int16)

    @numba.njit
    def run(plane, warp, factors, out):
        for j in range(0, COUNT, width):
            luma_difference(width, plane, j, warp, j, factors, j, out, j, 0)

    def call():
        run(plane, warp, factors, out)
        return out

    def slow():
        return inputs(warp.astype(np.int64) - plane, factors, 10)

    kernel_bench(f"luma_difference {width}", COUNT, call, slow)


def test_chroma_difference(rng, width, kernel_bench):
    planes = [samples(rng) for _ in range(4)]
    factors = rng.choice(RECIPROCAL, COUNT).astype(np.int32)
    out = np.zeros(COUNT, np.int32)

    @numba.njit
    def run(blue, red, blue_warp, red_warp, factors, out):
        for j in range(0, COUNT, width):
            chroma_difference(
                width, blue, j, red, j, blue_warp, j, red_warp, j, factors, j, out, j, 0
            )

    def call():
        run(*planes, factors, out)
        return out

    def slow():
        blue, red, *warps = (plane.astype(np.int64) for plane in planes)
        return words(inputs(warps[0] - blue, factors, 10), inputs(warps[1] - red, factors, 10))

    kernel_bench(f"chroma_difference {width}", 2 * COUNT, call, slow)


def corrected(plane, correction, steps):
    change = rshift(correction.astype(np.int64) * steps, 16)
    return np.clip(plane + change, 0, 255)


def test_correct_luma(rng, width, kernel_bench):
    plane, steps = samples(rng), rng.choice(STEP, COUNT).astype(np.int32)
    correction = rng.integers(-16383, 16384, COUNT, np.int16)
    out = np.zeros(COUNT, np.uint8)

    @numba.njit
    def run(plane, correction, steps, out):
        for j in range(0, COUNT, width):
            correct_luma(width, plane, j, correction, j, steps, j, out, j, 0)

    def call():
        run(plane, correction, steps, out)
        return out

    kernel_bench(f"correct_luma {width}", COUNT, call, lambda: corrected(plane, correction, steps))


def test_correct_chroma(rng, width, kernel_bench):
    planes, steps = [samples(rng) for _ in range(2)], rng.choice(STEP, COUNT).astype(np.int32)
    corrections = rng.integers(-16383, 16384, (2, COUNT), np.int16)
    packed, out = words(*corrections), np.zeros((2, COUNT), np.uint8)

    @numba.njit
    def run(blue, red, packed, steps, out_blue, out_red):
        for j in range(0, COUNT, width):
            correct_chroma(width, blue, j, red, j, packed, j, steps, j, out_blue, j, out_red, j, 0)

    def call():
        run(*planes, packed, steps, *out)
        return out

    def slow():
        return np.stack([corrected(*two, steps) for two in zip(planes, corrections, strict=True)])

    kernel_bench(f"correct_chroma {width}", 2 * COUNT, call, slow)
