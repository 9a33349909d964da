"""One unit (transform block): its residual to levels (spec 7.6, 8.5); the pool of decided units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import (
    LEVEL_COLUMNS,
    LEVEL_POSITION,
    LEVEL_VALUE,
    UNIT_COLUMNS,
    UNIT_COUNT,
    UNIT_PLANE,
    UNIT_SIZE,
    UNIT_START,
    UNIT_X,
    UNIT_Y,
)
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.rate.content import UnitBits
from nvcodec.encode.hybrid.rate.tradeoff import LEAST
from nvcodec.encode.hybrid.search.block import Block, CanvasInput, log2
from nvcodec.encode.hybrid.search.quantise import SCAN, quantise
from nvcodec.encode.hybrid.search.transform import forward
from nvcodec.encode.hybrid.search.workspace import TransformSpace
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP, plane_index

_UNIT_BITS = 3.0
"""Bits: a residual with less energy gets no unit. The cheapest unit takes about 6 bits and saves
only a part of the energy."""


class Pool(NamedTuple):
    """Units and levels in the order of decisions; `counts` is (number of units, of levels)."""

    units: npt.NDArray[np.int32]
    levels: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


def make_pool(width: int, height: int) -> Pool:
    """An empty pool with room for all units and levels of a canvas of this coded size.

    Memory pages that nothing is written to cost nothing.
    """
    samples = width * height
    return Pool(
        units=np.empty((samples // 16 + samples // 16 + 16, UNIT_COLUMNS), np.int32),
        levels=np.empty((samples * 3 + 16, LEVEL_COLUMNS), np.int32),
        counts=np.zeros(2, np.int64),
    )


@kernel
def append_unit(
    pool: Pool,
    plane: Integer,
    x: Integer,
    y: Integer,
    n: Integer,
    log2n: Integer,
    levels: np.ndarray,
) -> None:
    """Append a unit and its nonzero levels, in coding order (reverse scan)."""
    unit = pool.units[pool.counts[0]]
    start = pool.counts[1]
    unit[UNIT_PLANE] = plane
    unit[UNIT_X] = x
    unit[UNIT_Y] = y
    unit[UNIT_SIZE] = n
    unit[UNIT_START] = start
    scan = SCAN[log2n - 2]
    at = start
    for k in range(n * n - 1, -1, -1):
        level = levels[scan[k]]
        if level != 0:
            pool.levels[at, LEVEL_POSITION] = scan[k]
            pool.levels[at, LEVEL_VALUE] = level
            at += 1
    unit[UNIT_COUNT] = at - start
    pool.counts[0] += 1
    pool.counts[1] = at


@kernel
def load_residual(
    source: np.ndarray, y: Integer, x: Integer, predicted: np.ndarray, n: Integer, out: np.ndarray
) -> None:
    """Set out[:n, :n] to source[y.., x..] - predicted[:n, :n], in floats."""
    for i in range(n):
        for j in range(n):
            out[i, j] = np.float32(source[y + i, x + j]) - np.float32(predicted[i, j])


@kernel
def transform_chroma(
    given: CanvasInput,
    t: TransformSpace,
    b: Block,
    plane: Integer,
    part: Integer,
    predicted: np.ndarray,
    y: Integer,
    x: Integer,
    n: Integer,
) -> tuple[Real, Integer, Real]:
    """Transform what prediction leaves over of n x n samples at (y, x) of Cb (plane 1) or Cr (2).

    They are those of a `part` of the node; `predicted` begins at (y, x). Levels are in t.chroma;
    returns what `transform_unit` does.
    """
    step = REAL_STEP[plane_index(b.q, given.codes[1], given.chroma_offset)]
    weight = b.lam / (step * step)
    if plane == 1:
        load_residual(given.source1, y, x, predicted, n, t.residual)
    else:
        load_residual(given.source2, y, x, predicted, n, t.residual)
    bits = given.content.chroma_units
    return transform_unit(t, 0, 0, n, log2(n), step, weight, bits, t.chroma[plane - 1, part])


@kernel
def transform_unit(
    t: TransformSpace,
    y: Integer,
    x: Integer,
    n: Integer,
    log2n: Integer,
    step: Real,
    weight: Real,
    bits: UnitBits,
    levels: np.ndarray,
) -> tuple[Real, Integer, Real]:
    """Transform and quantise the n x n block of t.residual at (y, x).

    `step` is the quantiser step, `weight` lambda in squared steps. Fills `levels` (n * n,), by
    position, unless the energy is too low for a unit. Returns the cost in squared error, the number
    of nonzero levels, and the cost without levels.
    """
    energy = np.float32(0.0)
    for i in range(n):
        for j in range(n):
            value = t.residual[y + i, x + j]
            t.block[i * n + j] = value
            energy += value * value
    scale = np.float32(1.0) / step
    if energy < _UNIT_BITS * weight * step * step:
        return energy, 0, energy
    forward(t.block, n, log2n, scale, t.product, t.coefficients)
    cost, count = quantise(
        t.coefficients,
        n,
        log2n,
        np.float32(weight),
        bits,
        np.float32(LEAST),
        t,
        levels,
    )
    return cost * step * step, count, energy
