"""Triton kernels of units: levels to residuals (spec 8.5, 8.6).

The coefficients of a unit are WIDTH x HEIGHT integers, row by row, unit after unit. A row of the
table of units has UNIT_COLUMNS integers. Units of one size share a launch, whatever their plane.
Each program computes one tile of coefficients. Offsets are 32-bit: those in canvases of all levels
fit.
"""

import triton
import triton.language as tl

SCALE, SHIFT, PLACE, STRIDE, DOWN_AT, DOWN_STEP, ACROSS_AT, ACROSS_STEP = range(8)
"""Columns of the table of units: quantiser step and shift of spec 8.6; where the residual begins,
and how far apart its rows are; where in the table of matrices those of columns and of rows begin,
and how far apart the rows of these matrices are."""
UNIT_COLUMNS = 8

# Triton kernels can only use globals that are constexpr.
_UNIT_COLUMNS = tl.constexpr(UNIT_COLUMNS)
_SCALE, _SHIFT = tl.constexpr(SCALE), tl.constexpr(SHIFT)
_PLACE, _STRIDE = tl.constexpr(PLACE), tl.constexpr(STRIDE)
_DOWN_AT, _DOWN_STEP = tl.constexpr(DOWN_AT), tl.constexpr(DOWN_STEP)
_ACROSS_AT, _ACROSS_STEP = tl.constexpr(ACROSS_AT), tl.constexpr(ACROSS_STEP)


@triton.jit(do_not_specialize=["count"])
def dequantise(
    values,
    places,
    owners,
    units,
    out,
    count,
    EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Coefficients of levels (spec 8.6) at their `places`; `owners` are the levels' units."""
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = k < count
    level = tl.load(values + k, inside, 0)
    level = tl.minimum(tl.maximum(level, -32768), 32767).to(tl.int64)
    unit = units + tl.load(owners + k, inside, 0) * _UNIT_COLUMNS
    scale = tl.load(unit + _SCALE, inside, 1)
    shift = tl.load(unit + _SHIFT, inside, 1)
    value = (level * scale + (1 << (shift - 1))) >> shift
    value = tl.minimum(tl.maximum(value, -(32768 << EXTRA)), (32768 << EXTRA) - 1)
    tl.store(out + tl.load(places + k, inside, 0), value.to(tl.int32), inside)


@triton.jit(do_not_specialize=["first", "count"])
def transform_columns(
    coefficients,
    units,
    matrices,
    out,
    first,
    count,
    EXTRA: tl.constexpr,
    WIDTH: tl.constexpr,
    HEIGHT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The first stage of spec 8.5, g, of `count` units; their first coefficient is at `first`."""
    element = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    number = element // (WIDTH * HEIGHT)
    i = element // WIDTH % HEIGHT
    inside = number < count
    unit = units + number * _UNIT_COLUMNS
    weights = matrices + tl.load(unit + _DOWN_AT, inside, 0) + i
    step = tl.load(unit + _DOWN_STEP, inside, 0)
    column = coefficients + first + number * (WIDTH * HEIGHT) + element % WIDTH
    acc = tl.full((BLOCK,), 64, tl.int32)
    for y in range(HEIGHT):
        factor = tl.load(weights + y * step, inside, 0)
        acc += factor * tl.load(column + y * WIDTH, inside, 0)
    value = tl.minimum(tl.maximum(acc >> 7, -(32768 << EXTRA)), (32768 << EXTRA) - 1)
    tl.store(out + first + element, value, inside)


@triton.jit(do_not_specialize=["first", "count"])
def transform_rows(
    sums,
    units,
    matrices,
    out,
    first,
    count,
    WIDTH: tl.constexpr,
    HEIGHT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The second stage of spec 8.5: residuals, int16, at the places of the units.

    Those beyond 16 bits are cut, which changes no sample.
    """
    element = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    number = element // (WIDTH * HEIGHT)
    i, j = element // WIDTH % HEIGHT, element % WIDTH
    inside = number < count
    unit = units + number * _UNIT_COLUMNS
    weights = matrices + tl.load(unit + _ACROSS_AT, inside, 0) + j
    step = tl.load(unit + _ACROSS_STEP, inside, 0)
    row = sums + first + number * (WIDTH * HEIGHT) + i * WIDTH
    acc = tl.full((BLOCK,), 2048, tl.int32)
    for x in range(WIDTH):
        acc += tl.load(weights + x * step, inside, 0) * tl.load(row + x, inside, 0)
    value = tl.minimum(tl.maximum(acc >> 12, -32768), 32767)
    place = tl.load(unit + _PLACE, inside, 0) + i * tl.load(unit + _STRIDE, inside, 0) + j
    tl.store(out + place, value.to(tl.int16), inside)
