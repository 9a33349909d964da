"""Triton kernels of units: levels to residuals (spec 8.5, 8.6).

The coefficients of a unit are integers, row by row, unit after unit. Those of secondary transforms
lie behind all of them, GROUP of each, until `unfold` makes those of their units. A row of the table
of units has UNIT_COLUMNS integers. All units of a canvas share a launch, whatever their plane and
shape; `owners` are those of each GROUP of coefficients, as all units have a multiple of that. Each
program computes one tile of coefficients, in as many steps as the longest of its units takes: units
of one shape should lie side by side. Offsets are 32-bit: those in canvases of all levels fit.
"""

import triton
import triton.language as tl

(SCALE, SHIFT, PLACE, STRIDE, DOWN_AT, DOWN_STEP, ACROSS_AT, ACROSS_STEP) = range(8)
"""Columns of the table of units: scale and shift of spec 8.6; where the residual begins, and how
far apart its rows are; where in the table of matrices those of columns and of rows begin, and how
far apart the rows of these matrices are."""
(BEGIN, WIDE, TALL) = range(8, 11)
"""The place of the first coefficient; log2 of the width and of the height."""
UNIT_COLUMNS = 11

GROUP = 16
"""Coefficients of the smallest unit, and of a secondary transform."""

(MATRIX, SIDE, CORNER, ROW_STEP, COLUMN_STEP) = range(5)
"""Columns of the table of units with a secondary transform: where in the table of matrices its own
begins; log2 of n of spec 8.5; the place of the unit's first coefficient; how far apart those are
that follow from neighbouring rows and from neighbouring columns of n of the matrix's n * n."""
UNFOLD_COLUMNS = 5

ZONE = 64
"""The most coefficients that follow from those of a secondary transform."""

# Triton kernels can only use globals that are constexpr.
_UNIT_COLUMNS = tl.constexpr(UNIT_COLUMNS)
_SCALE, _SHIFT = tl.constexpr(SCALE), tl.constexpr(SHIFT)
_PLACE, _STRIDE = tl.constexpr(PLACE), tl.constexpr(STRIDE)
_DOWN_AT, _DOWN_STEP = tl.constexpr(DOWN_AT), tl.constexpr(DOWN_STEP)
_ACROSS_AT, _ACROSS_STEP = tl.constexpr(ACROSS_AT), tl.constexpr(ACROSS_STEP)
_BEGIN, _WIDE, _TALL = tl.constexpr(BEGIN), tl.constexpr(WIDE), tl.constexpr(TALL)
_GROUP = tl.constexpr(GROUP)
_UNFOLD_COLUMNS, _ZONE = tl.constexpr(UNFOLD_COLUMNS), tl.constexpr(ZONE)
_MATRIX, _SIDE, _CORNER = tl.constexpr(MATRIX), tl.constexpr(SIDE), tl.constexpr(CORNER)
_ROW_STEP, _COLUMN_STEP = tl.constexpr(ROW_STEP), tl.constexpr(COLUMN_STEP)


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
def unfold(
    units,
    matrices,
    coefficients,
    first,
    count,
    EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Coefficients of `count` secondary transforms, from `first` on, to those of their units."""
    element = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    number, k = element // _ZONE, element % _ZONE
    inside = number < count
    unit = units + number * _UNFOLD_COLUMNS
    side = tl.load(unit + _SIDE, inside, 0)
    inside = inside & (k < 1 << (2 * side))
    weights = matrices + tl.load(unit + _MATRIX, inside, 0) + k
    acc = tl.full((BLOCK,), 64, tl.int32)
    for r in tl.static_range(_GROUP):
        factor = tl.load(weights + (r << (2 * side)), inside, 0)
        acc += factor * tl.load(coefficients + first + number * _GROUP + r, inside, 0)
    value = tl.minimum(tl.maximum(acc >> 7, -(32768 << EXTRA)), (32768 << EXTRA) - 1)
    row = k >> side
    place = tl.load(unit + _CORNER, inside, 0) + row * tl.load(unit + _ROW_STEP, inside, 0)
    place += (k - (row << side)) * tl.load(unit + _COLUMN_STEP, inside, 0)
    tl.store(coefficients + place, value, inside)


@triton.jit(do_not_specialize=["count"])
def transform_columns(
    coefficients,
    owners,
    units,
    matrices,
    out,
    count,
    EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The first stage of spec 8.5, g, of all `count` coefficients."""
    element = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = element < count
    unit = units + tl.load(owners + element // _GROUP, inside, 0) * _UNIT_COLUMNS
    begin = tl.load(unit + _BEGIN, inside, 0)
    wide = tl.load(unit + _WIDE, inside, 0)
    height = tl.where(inside, 1 << tl.load(unit + _TALL, inside, 0), 0)
    local = element - begin
    i = local >> wide
    weights = matrices + tl.load(unit + _DOWN_AT, inside, 0) + i
    step = tl.load(unit + _DOWN_STEP, inside, 0)
    column = coefficients + begin + (local - (i << wide))
    acc = tl.full((BLOCK,), 64, tl.int32)
    for y in range(0, tl.max(height), 4):
        used = y < height
        for r in tl.static_range(4):
            factor = tl.load(weights + (y + r) * step, used, 0)
            acc += factor * tl.load(column + ((y + r) << wide), used, 0)
    value = tl.minimum(tl.maximum(acc >> 7, -(32768 << EXTRA)), (32768 << EXTRA) - 1)
    tl.store(out + element, value, inside)


@triton.jit(do_not_specialize=["count"])
def transform_rows(
    sums,
    owners,
    units,
    matrices,
    out,
    count,
    BLOCK: tl.constexpr,
):
    """The second stage of spec 8.5: residuals, int16, at the places of the units.

    Those beyond 16 bits are cut, which changes no sample.
    """
    element = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = element < count
    unit = units + tl.load(owners + element // _GROUP, inside, 0) * _UNIT_COLUMNS
    wide = tl.load(unit + _WIDE, inside, 0)
    width = tl.where(inside, 1 << wide, 0)
    local = element - tl.load(unit + _BEGIN, inside, 0)
    i = local >> wide
    j = local - (i << wide)
    weights = matrices + tl.load(unit + _ACROSS_AT, inside, 0) + j
    step = tl.load(unit + _ACROSS_STEP, inside, 0)
    row = sums + (element - j)
    acc = tl.full((BLOCK,), 2048, tl.int32)
    for x in range(0, tl.max(width), 4):
        used = x < width
        for r in tl.static_range(4):
            factor = tl.load(weights + (x + r) * step, used, 0)
            acc += factor * tl.load(row + (x + r), used, 0)
    value = tl.minimum(tl.maximum(acc >> 12, -32768), 32767)
    place = tl.load(unit + _PLACE, inside, 0) + i * tl.load(unit + _STRIDE, inside, 0) + j
    tl.store(out + place, value.to(tl.int16), inside)
