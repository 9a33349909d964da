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
    UNIT_HEIGHT,
    UNIT_PLANE,
    UNIT_SINE,
    UNIT_START,
    UNIT_WIDTH,
    UNIT_X,
    UNIT_Y,
)
from nvcodec.coding.hybrid.palettes import MOST_COLOURS
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.rate.content import CHROMA_SINE, UNAFFORDABLE, UnitBits
from nvcodec.encode.hybrid.rate.tradeoff import LEAST
from nvcodec.encode.hybrid.search.block import Block, CanvasInput, log2
from nvcodec.encode.hybrid.search.quantise import SCAN, quantise, shape_of
from nvcodec.encode.hybrid.search.transform import forward
from nvcodec.encode.hybrid.search.workspace import TransformSpace
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP, plane_index

_UNIT_BITS = 3.0
"""Bits: a residual with less energy gets no unit. The cheapest unit takes about 6 bits and saves
only a part of the energy."""

_LEVEL_ERROR = np.float32(0.08)
_LEVEL_BITS, _ROOT_BITS = np.float32(1.6), np.float32(2.6)
"""Approximate squared error of a level in squared steps, and its bits: the first number plus the
second times the root of its magnitude."""


class Pool(NamedTuple):
    """Units and levels in the order of decisions; `counts` are the next places in both tables."""

    units: npt.NDArray[np.int32]
    levels: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


def make_pools(width: int, height: int, number: int) -> list[Pool]:
    """Empty pools, each with room for all units and levels of this many luma samples.

    They share their tables, so places in these are unique; each begins where it has its room.
    Memory pages that nothing is written to cost nothing.
    """
    samples = width * height
    # A leaf of 8 x 8 may have a palette in each of three planes of its size.
    colours = 3 * MOST_COLOURS * (samples // 64)
    room = np.array([samples // 16 + samples // 16 + 16, samples * 3 + colours + 16])
    units = np.empty((number * room[0], UNIT_COLUMNS), np.int32)
    levels = np.empty((number * room[1], LEVEL_COLUMNS), np.int32)
    return [Pool(units, levels, counts=k * room) for k in range(number)]


@kernel
def begin_unit(
    pool: Pool, plane: Integer, x: Integer, y: Integer, wide: Integer, tall: Integer, sine: Integer
) -> Integer:
    """Fill the row of the next unit but for its count; returns where its levels begin."""
    unit = pool.units[pool.counts[0]]
    unit[UNIT_PLANE] = plane
    unit[UNIT_X] = x
    unit[UNIT_Y] = y
    unit[UNIT_WIDTH] = wide
    unit[UNIT_HEIGHT] = tall
    unit[UNIT_SINE] = sine
    unit[UNIT_START] = pool.counts[1]
    return pool.counts[1]


@kernel
def end_unit(pool: Pool, end: Integer) -> None:
    """Append the unit of `begin_unit`, whose levels end at `end`."""
    pool.units[pool.counts[0], UNIT_COUNT] = end - pool.counts[1]
    pool.counts[0] += 1
    pool.counts[1] = end


@kernel
def append_unit(
    pool: Pool,
    plane: Integer,
    x: Integer,
    y: Integer,
    wide: Integer,
    tall: Integer,
    sine: Integer,
    levels: np.ndarray,
) -> None:
    """Append a unit and its nonzero levels, in coding order (reverse scan)."""
    scan = SCAN[shape_of(log2(wide), log2(tall))]
    at = begin_unit(pool, plane, x, y, wide, tall, sine)
    for k in range(wide * tall - 1, -1, -1):
        level = levels[scan[k]]
        if level != 0:
            pool.levels[at, LEVEL_POSITION] = scan[k]
            pool.levels[at, LEVEL_VALUE] = level
            at += 1
    end_unit(pool, at)


@kernel
def load_residual(
    source: np.ndarray, y: Integer, x: Integer, predicted: np.ndarray, wide: Integer, tall: Integer,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Set out[:tall, :wide] to source[y.., x..] - predicted[:tall, :wide], in floats."""
    for i in range(tall):
        for j in range(wide):
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
    wide: Integer,
    tall: Integer,
) -> tuple[Real, Integer, Real]:
    """Transform what prediction leaves over of a block of Cb (plane 1) or Cr (2).

    It has wide x tall samples at (y, x), those of a `part` of the node; `predicted` begins at
    (y, x). Levels are in t.chroma; returns what `transform_unit` does.
    """
    step = REAL_STEP[plane_index(b.q, given.codes[1], given.chroma_offset)]
    weight = b.lam / (step * step)
    if plane == 1:
        load_residual(given.source1, y, x, predicted, wide, tall, t.residual)
    else:
        load_residual(given.source2, y, x, predicted, wide, tall, t.residual)
    bits = given.content.chroma_units
    levels = t.chroma[plane - 1, part]
    sine = given.content.sine[CHROMA_SINE]
    return transform_unit(t, 0, 0, wide, tall, step, weight, bits, sine, levels, given.thorough)


@kernel
def _rough_cost(t: TransformSpace, sine: Integer, count: Integer, weight: Real) -> Real:
    """Approximate cost of coding the coefficients of a transform, in squared steps."""
    values, costs = t.coefficients[sine], t.product
    # Two loops, since the first works on many elements at a time.
    for k in range(count):
        value = abs(values[k])
        coded = _LEVEL_ERROR + weight * (_LEVEL_BITS + _ROOT_BITS * np.sqrt(value))
        costs[k] = min(value * value, coded)
    total = np.float32(0.0)
    for k in range(count):
        total += costs[k]
    return total


@kernel
def _better_transform(
    t: TransformSpace,
    wide: Integer,
    tall: Integer,
    wide_log: Integer,
    tall_log: Integer,
    step: Real,
    lam: Real,
    bits: UnitBits,
    prices: np.ndarray,
    levels: np.ndarray,
    energy: Real,
) -> tuple[Real, Integer, Real]:
    """Quantise the coefficients of both transforms and keep the better; as `transform_unit`."""
    least = np.float32(LEAST)
    cost, count = quantise(t.coefficients[0], wide_log, tall_log, lam, bits, least, t, levels, True)
    # A unit of its first coefficient alone has no flag, and the cosine transform.
    if count > 1 or (count == 1 and levels[0] == 0):
        cost += lam * prices[0]
    other, other_count = quantise(
        t.coefficients[1], wide_log, tall_log, lam, bits, least, t, t.other[:], True
    )
    other += lam * prices[1]
    alone = other_count == 1 and t.other[0] != 0
    if other_count > 0 and not alone and other < cost:
        t.sine[0] = 1
        for k in range(wide * tall):
            levels[k] = t.other[k]
        cost = other
        count = other_count
    return cost * step * step, count, energy


@kernel
def transform_unit(
    t: TransformSpace,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    step: Real,
    weight: Real,
    bits: UnitBits,
    sine: np.ndarray,
    levels: np.ndarray,
    thorough: bool,
) -> tuple[Real, Integer, Real]:
    """Transform and quantise the wide x tall block of t.residual at (y, x).

    `step` is the quantiser step, `weight` lambda in squared steps. Fills `levels`, by position,
    unless the energy is too low for a unit. `sine` are the bits of its flag `sine`, by
    size; the flag is left in t.sine. With `thorough` the levels are revised, and those of both
    transforms compared; else the transform is chosen by its coefficients. Returns the cost in
    squared error, the number of nonzero levels, and the cost without levels.
    """
    energy = np.float32(0.0)
    t.sine[0] = 0
    wide_log, tall_log = log2(wide), log2(tall)
    size = (wide_log + tall_log - 4) >> 1
    for i in range(tall):
        for j in range(wide):
            value = t.residual[y + i, x + j]
            t.block[i * wide + j] = value
            energy += value * value
    scale = np.float32(1.0) / step
    if energy < _UNIT_BITS * weight * step * step:
        return energy, 0, energy
    forward(t.block, wide, tall, wide_log, tall_log, 0, scale, t.product, t.coefficients[0])
    least, lam = np.float32(LEAST), np.float32(weight)
    chosen, sine_bits = 0, np.float32(0.0)
    if max(wide_log, tall_log) < 5 and sine[size, 1] < UNAFFORDABLE:
        forward(t.block, wide, tall, wide_log, tall_log, 1, scale, t.product, t.coefficients[1])
        prices = sine[size]
        if thorough:
            return _better_transform(
                t, wide, tall, wide_log, tall_log, step, lam, bits, prices, levels, energy
            )
        cosine_cost = _rough_cost(t, 0, wide * tall, lam) + lam * prices[0]
        if _rough_cost(t, 1, wide * tall, lam) + lam * prices[1] < cosine_cost:
            chosen = 1
        sine_bits = prices[chosen]
    cost, count = quantise(
        t.coefficients[chosen], wide_log, tall_log, lam, bits, least, t, levels, thorough
    )
    if count == 0:
        sine_bits = np.float32(0.0)
    elif count == 1 and levels[0] != 0:
        # A unit of its first coefficient alone has no flag, and the cosine transform.
        sine_bits = np.float32(0.0)
        if chosen == 1:
            chosen = 0
            cost, count = quantise(
                t.coefficients[0], wide_log, tall_log, lam, bits, least, t, levels, thorough
            )
            sine_bits = sine[size, 0]
    t.sine[0] = chosen
    return (cost + weight * sine_bits) * step * step, count, energy
