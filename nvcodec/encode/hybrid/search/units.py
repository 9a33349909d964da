"""One unit (transform block): its residual to levels (spec 7.6, 8.5); the pool of decided units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import (
    LEVEL_COLUMNS,
    LEVEL_POSITION,
    LEVEL_VALUE,
    PAINTED,
    UNIT_COLUMNS,
    UNIT_COUNT,
    UNIT_HEIGHT,
    UNIT_PLANE,
    UNIT_START,
    UNIT_TRANSFORM,
    UNIT_WIDTH,
    UNIT_X,
    UNIT_Y,
)
from nvcodec.coding.hybrid.palettes import MOST_COLOURS
from nvcodec.coding.hybrid.secondary import NO_MODE, SECONDARIES, SET_OF_MODE, SETS
from nvcodec.compiled import Integer, Real, inlined, kernel
from nvcodec.encode.hybrid.rate.content import CHROMA_SINE, UNAFFORDABLE, UnitBits
from nvcodec.encode.hybrid.rate.tradeoff import LEAST
from nvcodec.encode.hybrid.search.block import Block, CanvasInput, log2
from nvcodec.encode.hybrid.search.quantise import SCAN, quantise, shape_of
from nvcodec.encode.hybrid.search.residual import coding_cost, fold, load_unit, subtract
from nvcodec.encode.hybrid.search.transform import forward
from nvcodec.encode.hybrid.search.workspace import TransformSpace
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP, plane_index
from nvcodec.model.hybrid.canvas.secondary import (
    LARGE,
    NUMBER,
    SCALE,
    SECONDARY,
    VALUES,
    matrix_at,
    secondary_of,
    zone_side,
)

_UNIT_BITS = 3.0
"""Bits: a residual with less energy gets no unit. The cheapest unit takes about 6 bits and saves
only a part of the energy."""


def _folding() -> np.ndarray:
    """The matrices of secondary transforms, transposed and orthonormal.

    Those of the decoder are so but for a percent. Of large coefficients that is much more than what
    the transform leaves out.
    """
    parts = []
    for matrices in (
        SECONDARY[:LARGE].reshape(-1, VALUES, 16),
        SECONDARY[LARGE:].reshape(-1, VALUES, 64),
    ):
        near = matrices / SCALE
        for _ in range(3):
            near = 1.5 * near - 0.5 * (near @ near.transpose(0, 2, 1)) @ near
        parts.append(near.transpose(0, 2, 1).ravel())
    return np.concatenate(parts).astype(np.float32)


_FOLDING = _folding()

_CANDIDATES = 2 + SECONDARIES
"""Transforms: cosine, sine, secondary ones."""

_SPENT = np.float32(1e30)
"""Rough cost of a transform that is not to be tried."""


class Pool(NamedTuple):
    """Units and levels in the order of decisions; `counts` are the next places in both tables."""

    units: npt.NDArray[np.int32]
    levels: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


class Choice(NamedTuple):
    """What transforms a unit may have: bits of the flag `sine`, by size and flag, and of the number
    of the secondary transform, by size and number.

    `mode` is the intra mode, or NO_MODE. The `most` transforms of least rough cost are quantised.
    With `thorough` their levels are revised.
    """

    sine: npt.NDArray[np.float32]
    secondary: npt.NDArray[np.float32]
    mode: int
    most: int
    thorough: bool


@inlined
def luma_choice(given: CanvasInput, mode: Integer) -> Choice:
    """The transforms of a luma unit of an intra leaf with this mode, or of an inter leaf."""
    intra = 0 if mode == NO_MODE else 1
    return Choice(
        sine=given.content.sine[intra],
        secondary=given.content.secondary[SET_OF_MODE[mode]],
        mode=int(mode),
        most=given.transforms if intra else 2 if given.thorough else 1,
        thorough=given.thorough,
    )


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
    pool: Pool,
    plane: Integer,
    x: Integer,
    y: Integer,
    wide: Integer,
    tall: Integer,
    transform: Integer,
) -> Integer:
    """Fill the row of the next unit but for its count; returns where its levels begin."""
    unit = pool.units[pool.counts[0]]
    unit[UNIT_PLANE] = plane
    unit[UNIT_X] = x
    unit[UNIT_Y] = y
    unit[UNIT_WIDTH] = wide
    unit[UNIT_HEIGHT] = tall
    unit[UNIT_TRANSFORM] = transform
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
    transform: Integer,
    levels: np.ndarray,
) -> None:
    """Append a unit and its nonzero levels, in coding order (reverse scan)."""
    scan = SCAN[shape_of(log2(wide), log2(tall))]
    at = begin_unit(pool, plane, x, y, wide, tall, transform)
    for k in range(wide * tall - 1, -1, -1):
        level = levels[scan[k]]
        if level != 0:
            pool.levels[at, LEVEL_POSITION] = scan[k]
            pool.levels[at, LEVEL_VALUE] = level
            at += 1
    end_unit(pool, at)


@kernel
def load_residual(
    source: np.ndarray, y: Integer, x: Integer, predicted: np.ndarray, at_y: Integer,
    at_x: Integer, wide: Integer, tall: Integer, out: np.ndarray,
) -> None:  # fmt: skip
    """Set out[:tall, :wide] to source[y.., x..] - predicted[at_y.., at_x..], in floats."""
    stride, other_stride = source.shape[1], predicted.shape[1]
    at, other_at = y * stride + x, at_y * other_stride + at_x
    subtract(source, at, stride, predicted, other_at, other_stride, wide, tall, out, 0)


@kernel
def transform_chroma(
    given: CanvasInput,
    t: TransformSpace,
    b: Block,
    plane: Integer,
    part: Integer,
    predicted: np.ndarray,
    at_y: Integer,
    at_x: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
) -> tuple[Real, Integer, Real]:
    """Transform what prediction leaves over of a block of Cb (plane 1) or Cr (2).

    It has wide x tall samples at (y, x), those of a `part` of the node; (at_y, at_x) is its place
    in `predicted`. Levels are in t.chroma; returns what `transform_unit` does.
    """
    step = REAL_STEP[plane_index(b.q, given.codes[1], given.chroma_offset)]
    weight = b.lam / (step * step)
    if plane == 1:
        load_residual(given.source1, y, x, predicted, at_y, at_x, wide, tall, t.residual)
    else:
        load_residual(given.source2, y, x, predicted, at_y, at_x, wide, tall, t.residual)
    bits = given.content.chroma_units
    levels = t.chroma[plane - 1, part]
    choice = Choice(
        sine=given.content.sine[CHROMA_SINE],
        secondary=given.content.secondary[SETS],
        mode=NO_MODE,
        most=1,
        thorough=given.thorough,
    )
    return transform_unit(t, 0, 0, wide, tall, step, weight, bits, choice, levels)


@kernel
def _fold(
    t: TransformSpace, mode: Integer, number: Integer, wide: Integer, tall: Integer, energy: Real
) -> None:
    """Set t.folded and t.dropped of secondary transform `number`, 0 for the first.

    The cosine transform has been done; `energy` is that of its coefficients, in squared steps.
    """
    folded = t.folded[number]
    secondary = secondary_of(mode, PAINTED + 1 + number)
    side = zone_side(wide, tall)
    at = matrix_at(secondary, side)
    fold(t.coefficients[0], wide, secondary & 1, log2(side), _FOLDING, at, folded)
    for k in range(VALUES):
        energy -= folded[k] * folded[k]
    t.dropped[number] = max(np.float32(0.0), np.float32(energy))


@kernel
def _prepare(
    t: TransformSpace, wide: Integer, tall: Integer, energy: Real, scale: Real, lam: Real, c: Choice
) -> None:
    """Transform t.block in all ways that the unit may have; sets their rough costs.

    `energy` is that of its coefficients, in squared steps; `scale` is one by the quantiser step.
    """
    wide_log, tall_log = log2(wide), log2(tall)
    size = (wide_log + tall_log - 4) >> 1
    for k in range(_CANDIDATES):
        t.rough[k] = _SPENT
    forward(t.block, wide, tall, wide_log, tall_log, 0, scale, t.product, t.coefficients[0])
    t.rough[0] = 0.0
    may_be_sine = max(wide_log, tall_log) < 5 and c.sine[size, 1] < UNAFFORDABLE
    may_be_secondary = c.secondary[size, 1] < UNAFFORDABLE
    if may_be_sine or may_be_secondary:
        t.rough[0] = coding_cost(t.coefficients[0], wide * tall, lam)
    if may_be_sine:
        forward(t.block, wide, tall, wide_log, tall_log, 1, scale, t.product, t.coefficients[1])
        t.rough[0] += lam * c.sine[size, 0]
        t.rough[1] = coding_cost(t.coefficients[1], wide * tall, lam)
        t.rough[1] += lam * c.sine[size, 1]
    if may_be_secondary:
        for number in range(SECONDARIES):
            _fold(t, c.mode, number, wide, tall, energy)
            cost = coding_cost(t.folded[number], VALUES, lam)
            cost += t.dropped[number] + lam * c.secondary[size, number + 1]
            t.rough[2 + number] = cost


@kernel
def _flag_bits(
    levels: np.ndarray, count: Integer, candidate: Integer, wide: Integer, tall: Integer, c: Choice
) -> Real:
    """Bits that say which transform a unit with these levels has; UNAFFORDABLE if none can."""
    wide_log, tall_log = log2(wide), log2(tall)
    size = (wide_log + tall_log - 4) >> 1
    bits = np.float32(0.0)
    if count == 1 and levels[0] != 0:
        # A unit of its first coefficient alone has the cosine transform, and no flag.
        return bits if candidate == 0 else np.float32(UNAFFORDABLE)
    inside = 0
    for row in range(4):
        for column in range(4):
            if levels[row * wide + column] != 0:
                inside += 1
    if inside == count:
        bits += c.secondary[size, max(0, candidate - 1)]
    if candidate < 2 and max(wide_log, tall_log) < 5:
        bits += c.sine[size, candidate]
    return bits


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
    choice: Choice,
    levels: np.ndarray,
) -> tuple[Real, Integer, Real]:
    """Transform and quantise the wide x tall block of t.residual at (y, x).

    `step` is the quantiser step, `weight` lambda in squared steps. Fills `levels`, by position,
    unless the energy is too low for a unit. The transform is left in t.transform. Returns the cost
    in squared error, the number of nonzero levels, and the cost without levels.
    """
    t.transform[0] = 0
    wide_log, tall_log = log2(wide), log2(tall)
    energy = load_unit(t.residual, y, x, wide, tall, t.block)
    scale = np.float32(1.0) / step
    if energy < _UNIT_BITS * weight * step * step:
        return energy, 0, energy
    least, lam, area = np.float32(LEAST), np.float32(weight), wide * tall
    _prepare(t, wide, tall, energy * scale * scale, scale, lam, choice)
    best, best_count = np.float32(0.0), -1
    for tried in range(_CANDIDATES):
        candidate = 0
        for k in range(1, _CANDIDATES):
            if t.rough[k] < t.rough[candidate]:
                candidate = k
        if t.rough[candidate] >= _SPENT or (tried >= choice.most and best_count >= 0):
            break
        t.rough[candidate] = _SPENT
        values = t.coefficients[min(candidate, 2)]
        dropped = np.float32(0.0)
        if candidate >= 2:
            dropped = t.dropped[candidate - 2]
            for k in range(area):
                values[k] = 0.0
            for k in range(VALUES):
                values[(k >> 2) * wide + (k & 3)] = t.folded[candidate - 2, NUMBER[k]]
        cost, count = quantise(
            values, wide_log, tall_log, lam, bits, least, t, t.other[:], choice.thorough
        )
        cost += dropped
        if count > 0:
            flags = _flag_bits(t.other[:], count, candidate, wide, tall, choice)
            if flags >= UNAFFORDABLE:
                continue
            cost += lam * flags
        if best_count < 0 or cost < best:
            best = cost
            best_count = count
            t.transform[0] = candidate if candidate < 2 else candidate - 1 + PAINTED
            for k in range(area):
                levels[k] = t.other[k]
    return best * step * step, best_count, energy
