"""Inputs of the fusion network (spec 9.3), one kernel at a time."""

import numba
import numpy as np
import pytest

from nvcodec.model.hybrid.fusion.inputs import (
    cell_quantisers,
    chroma_difference_row,
    chroma_high_pass_row,
    factors_row,
    luma_difference_row,
    luma_high_pass_row,
    single_predictions,
)
from tests.model.hybrid.fusion import reference
from tests.model.hybrid.fusion.samples import random_source

HEIGHT, WIDTH = 40, 136
"""Of chroma planes: the last samples of a row go one by one."""

RECIPROCAL = np.array(reference.RECIPROCAL, np.int32)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def planes(rng, count):
    return rng.integers(0, 256, (count, HEIGHT, WIDTH), np.uint8)


def factors(rng):
    return rng.choice(RECIPROCAL, WIDTH).astype(np.int32)


def inputs(values, of_columns, shift):
    return np.clip(reference.rshift(values * of_columns.astype(np.int64), shift), -4095, 4095)


def words(low, high):
    return np.stack([low, high], -1).astype(np.int16).view(np.int32)[..., 0]


@pytest.mark.parametrize("canvas_set", [0, 1, 2])
def test_cell_quantisers(canvas_set, rng, kernel_bench):
    _, leaves = random_source(rng, 136, 72, canvas_set)

    def slow():
        return reference.site_indices(leaves, 36, 68, 0)[0, ::4, ::4]

    kernel_bench(
        f"cell_quantisers, set {canvas_set}",
        9 * 17,
        lambda: cell_quantisers(leaves, 9, 17),
        slow,
        unit="cell",
    )


@pytest.mark.parametrize("offset", [-12, 0, 12])
def test_factors_row(offset, rng, kernel_bench):
    quantisers = rng.integers(0, 64, (HEIGHT // 4, WIDTH // 4), np.uint8)
    luma, chroma = np.zeros(2 * WIDTH + 16, np.int32), np.zeros(WIDTH + 8, np.int32)

    def call():
        factors_row(quantisers, 5, 0, offset, 0, RECIPROCAL, luma, chroma)
        return luma, chroma

    def slow():
        q = np.repeat(quantisers[1].astype(int), 4)
        of_luma = np.repeat(RECIPROCAL[q], 2)
        of_chroma = RECIPROCAL[np.clip(q + offset, 0, 63)]
        return np.pad(of_luma, (0, 16)), np.pad(of_chroma, (0, 8))

    kernel_bench(f"factors_row, offset {offset}", WIDTH + 8, call, slow, unit="site")


def test_luma_high_pass_row(rng, kernel_bench):
    (plane,), of_columns = planes(rng, 1), factors(rng)
    sums, out = np.zeros(WIDTH + 4, np.int16), np.zeros((HEIGHT, WIDTH), np.int16)

    @numba.njit
    def run(plane, of_columns, sums, out):
        for y in range(HEIGHT):
            luma_high_pass_row(plane, y, 0, of_columns, WIDTH, sums, out, y * WIDTH, 0)

    def call():
        run(plane, of_columns, sums, out)
        return out

    kernel_bench(
        "luma_high_pass_row",
        plane.size,
        call,
        lambda: inputs(reference.high_pass(plane), of_columns, 15),
    )


def test_chroma_high_pass_row(rng, kernel_bench):
    both, of_columns = planes(rng, 2), factors(rng)
    sums, out = np.zeros((2, WIDTH + 4), np.int16), np.zeros((HEIGHT, WIDTH), np.int32)

    @numba.njit
    def run(blue, red, of_columns, sums, out):
        for y in range(HEIGHT):
            chroma_high_pass_row(
                blue, red, y, 0, of_columns, WIDTH, sums[0], sums[1], out, y * WIDTH, 0
            )

    def call():
        run(*both, of_columns, sums, out)
        return out

    def slow():
        return words(*(inputs(reference.high_pass(plane), of_columns, 15) for plane in both))

    kernel_bench("chroma_high_pass_row", both.size, call, slow)


def test_luma_difference_row(rng, kernel_bench):
    (plane, warp), of_columns = planes(rng, 2), factors(rng)
    out = np.zeros((HEIGHT, WIDTH), np.int16)

    @numba.njit
    def run(plane, warp, of_columns, out):
        for at in range(0, HEIGHT * WIDTH, WIDTH):
            luma_difference_row(plane, at, warp, at, of_columns, WIDTH, out, at, 0)

    def call():
        run(plane, warp, of_columns, out)
        return out

    kernel_bench(
        "luma_difference_row",
        plane.size,
        call,
        lambda: inputs(warp.astype(np.int64) - plane, of_columns, 10),
    )


def test_chroma_difference_row(rng, kernel_bench):
    four, of_columns = planes(rng, 4), factors(rng)
    out = np.zeros((HEIGHT, WIDTH), np.int32)

    @numba.njit
    def run(blue, red, blue_warp, red_warp, of_columns, out):
        for at in range(0, HEIGHT * WIDTH, WIDTH):
            chroma_difference_row(
                blue, red, at, blue_warp, red_warp, at, of_columns, WIDTH, out, at, 0
            )

    def call():
        run(*four, of_columns, out)
        return out

    def slow():
        blue, red, *warp = four.astype(np.int64)
        return words(*(inputs(warp[k] - p, of_columns, 10) for k, p in enumerate((blue, red))))

    kernel_bench("chroma_difference_row", 2 * out.size, call, slow)


@pytest.mark.parametrize("plane", [0, 1])
@pytest.mark.parametrize("canvas_set", [1, 2])
def test_single_predictions(canvas_set, plane, rng, kernel_bench):
    source, leaves = random_source(rng, 136, 72, canvas_set, 255)
    own = source.canvas.planes[plane]
    references = [of[plane] for of in (source.references[0], source.references[-1])]
    two = canvas_set == 2
    out = np.zeros((2, *own.shape), np.uint8)

    def call():
        single_predictions(plane, leaves, source.motion, own, *references, 0, 0, two, *out)
        return out[: 1 + two]

    def slow():
        found = [reference.warp(source.canvas, source.references, r)[plane] for r in range(1 + two)]
        return np.stack(found)

    name = f"single predictions of {'chroma' if plane else 'luma'}, set {canvas_set}"
    kernel_bench(name, (1 + two) * own.size, call, slow)
