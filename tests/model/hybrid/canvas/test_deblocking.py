"""Edge strengths and both filters (spec 8.7), one kernel at a time."""

import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.deblocking import (
    edge_strengths,
    filter_chroma,
    filter_luma,
    transform_areas,
)
from tests.model.hybrid.canvas import reference
from tests.model.hybrid.canvas.tables import random_motion, random_tables

SIZE = 72, 136
"""Rows and columns of luma samples."""

CELLS = SIZE[0] // 8, SIZE[1] // 8
SPLIT = {64: 0.7, 32: 0.5, 16: 0.5}


def steps(rng, shape):
    """Flat blocks with a little noise: both filters and no filter have their edges."""
    height, width = shape
    levels = 128 + rng.integers(-10, 11, (height // 4, width // 4))
    plane = np.repeat(np.repeat(levels, 4, 0), 4, 1) + rng.integers(-1, 2, shape)
    return np.clip(plane, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("canvas_set", [0, 1, 2])
def test_strengths(canvas_set, kernel_bench):
    rng = np.random.default_rng(canvas_set)
    leaves, units, _ = random_tables(rng, *SIZE, canvas_set, SPLIT)
    direction, vectors = random_motion(rng, leaves, *SIZE, 4, chain=canvas_set == 1)

    def call():
        areas, out = np.empty((2, 2, *CELLS), np.uint8)
        holds, indices = np.empty((2, *CELLS), np.uint8)
        transform_areas(leaves, units, areas, holds, indices)
        edge_strengths(areas, holds, direction, vectors, out)
        return out, indices

    def slow():
        return (
            reference.strengths(leaves, units, direction, vectors),
            reference.quantisers(leaves, *CELLS),
        )

    kernel_bench(f"edge strengths, set {canvas_set}", SIZE[0] * SIZE[1], call, slow)


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("q", [None, 20, 40])
def test_luma(q, horizontal, kernel_bench):
    rng = np.random.default_rng(1)
    plane, strengths = steps(rng, SIZE), rng.integers(0, 3, CELLS, np.uint8)
    strengths[:, 0] = strengths[0] = 0
    low, high = (0, 64) if q is None else (q, q + 1)
    indices = rng.integers(low, high, CELLS, np.uint8)

    def call():
        out = plane.copy()
        filter_luma(0, out, strengths, indices, horizontal, 0, CELLS[0])
        return out

    def slow():
        return reference.filter_luma(plane, strengths, indices.astype(int), horizontal)

    name = f"{'horizontal' if horizontal else 'vertical'} luma edges, Q {q or 'random'}"
    kernel_bench(name, plane.size, call, slow)
    assert q == 20 or (call() != plane).any()


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("offset", [-12, 0, 12])
def test_chroma(offset, horizontal, kernel_bench):
    rng = np.random.default_rng(2)
    plane = steps(rng, (SIZE[0] // 2, SIZE[1] // 2))
    strengths = rng.integers(0, 3, CELLS, np.uint8)
    strengths[:, 0] = strengths[0] = 0
    indices = rng.integers(0, 64, CELLS, np.uint8)

    def call():
        out = plane.copy()
        filter_chroma(1, out, strengths, indices, offset, horizontal, 0, CELLS[0])
        return out

    def slow():
        return reference.filter_chroma(plane, strengths, indices.astype(int), offset, horizontal)

    name = f"{'horizontal' if horizontal else 'vertical'} chroma edges, offset {offset}"
    kernel_bench(name, plane.size, call, slow)
    assert (call() != plane).any()


@pytest.mark.parametrize("horizontal", [False, True])
def test_bands(horizontal):
    """Rows of cells may be filtered in any order."""
    rng = np.random.default_rng(3)
    strengths, indices = rng.integers(0, 3, (2, *CELLS), np.uint8)
    strengths[:, 0] = strengths[0] = 0
    indices += 40
    whole = steps(rng, SIZE)
    parts = whole.copy()
    filter_luma(0, whole, strengths, indices, horizontal, 0, CELLS[0])
    for row in reversed(range(CELLS[0])):
        filter_luma(0, parts, strengths, indices, horizontal, row, row + 1)
    np.testing.assert_array_equal(parts, whole)
