"""Units: dequantised levels through the inverse transform, added to a plane (spec 8.5, 8.6)."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import LEVEL_POSITION, LEVEL_VALUE
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.canvas.rows import combine_rows
from nvcodec.model.hybrid.canvas.secondary import unfold, zone_side
from nvcodec.model.samples import extra_bits, peak_of
from nvcodec.tables import load_table

_TRANSFORM = load_table("transform.txt").reshape(32, 32)
_SINE = load_table("sine_transform.txt")

_SHIFT_DOWN, _SHIFT_ACROSS = 7, 12
"""Right shifts of the sums of the two stages."""

_LOWEST, _HIGHEST = -32768, 32767
"""Range of levels, and of the coefficients of residuals of 8 bits at the scale of spec 8.5. Those
of more bits have a wider one, which keeps all sums in 32 bits up to 12."""

# The matrices of all sizes one after the other, those of the sine transform after the others; that
# of size n begins at _MATRIX_AT[sine, log2(n)].
_MATRICES = np.concatenate([*(_TRANSFORM[:: 32 // n, :n].ravel() for n in (4, 8, 16, 32)), _SINE])
_MATRIX_AT = np.array([[0, 0, 0, 16, 80, 336], [0, 0, 1360, 1376, 1440, 0]], np.int64)


@allocating
def transform_scratch() -> tuple[np.ndarray, np.ndarray]:
    """One thread's scratch arrays of `add_unit`: coefficients, all 0, and first-stage sums."""
    return np.zeros(32 * 32, np.int32), np.empty(32 * 32, np.int32)


@kernel
def add_unit(
    code: Integer,
    levels: np.ndarray,
    first: Integer,
    last: Integer,
    wide_log: Integer,
    tall_log: Integer,
    sine: Integer,
    secondary: Integer,
    index: Integer,
    coefficients: np.ndarray,
    sums: np.ndarray,
    plane: np.ndarray,
    y: Integer,
    x: Integer,
) -> None:
    """Add the residual of a unit of 2^wide_log x 2^tall_log to the samples at (x, y) of a plane.

    `code` is the plane's (`plane_code`), `sine` 1 if it has the sine transform, `secondary` that of
    `secondary_of`. Its positions and levels are rows first..last-1 of `levels`; `index` is the
    quantiser index q of the plane (spec 8.6). `coefficients` and `sums` are those of
    `transform_scratch`.
    """
    if first >= last:
        return
    wide, tall = 1 << wide_log, 1 << tall_log
    scale: Integer = np.int64(STEP[index])
    # STEP is in 1/64 sample; coefficients are in 2^(m - 7) of one, with m the mean of both logs.
    # 181 / 256 stands for the root of 1/2.
    shift = ((wide_log + tall_log) >> 1) - 1
    if (wide_log + tall_log) & 1:
        shift += 8
        scale *= 181
    half = np.int64(1) << (shift - 1)
    most = ((_HIGHEST + 1) << extra_bits(plane, code)) - 1
    peak = peak_of(plane, code)
    columns, rows = 0, 0
    for k in range(first, last):
        position = np.int64(levels[k, LEVEL_POSITION])
        level = min(_HIGHEST, max(_LOWEST, np.int64(levels[k, LEVEL_VALUE])))
        value = min(most, max(-most - 1, (level * scale + half) >> shift))
        # Transposed, so that a column's coefficients are neighbours.
        row, column = position >> wide_log, position & (wide - 1)
        coefficients[column * tall + row] = value
        columns, rows = max(columns, column + 1), max(rows, row + 1)
    if secondary >= 0:
        columns = zone_side(wide, tall)
        rows = columns
        unfold(secondary, columns, tall, sums, coefficients, most)
    across, down = _MATRIX_AT[sine, wide_log], _MATRIX_AT[sine, tall_log]
    place = y * plane.shape[1] + x
    _stages(wide, tall, across, down, columns, rows, coefficients, sums, most, plane, place, peak)
    if secondary >= 0:
        for column in range(columns):
            for row in range(rows):
                coefficients[column * tall + row] = 0
        return
    for k in range(first, last):
        position = np.int64(levels[k, LEVEL_POSITION])
        coefficients[(position & (wide - 1)) * tall + (position >> wide_log)] = 0


@kernel
def _stages(
    wide: Integer,
    tall: Integer,
    across: Integer,
    down: Integer,
    columns: Integer,
    rows: Integer,
    coefficients: np.ndarray,
    sums: np.ndarray,
    most: Integer,
    plane: np.ndarray,
    place: Integer,
    peak: Integer,
) -> None:
    """Both stages of spec 8.5; coefficients beyond the first `columns` and `rows` are 0.

    `most` is the greatest first-stage sum, `peak` the greatest sample.
    """
    stride = plane.shape[1]
    if tall == 32:
        for x in range(columns):
            at = x * tall
            combine_rows(
                32, _MATRICES, down, 32, coefficients, at, 1, rows, _SHIFT_DOWN, sums, at, most
            )
    elif tall == 16:
        for x in range(columns):
            at = x * tall
            combine_rows(
                16, _MATRICES, down, 16, coefficients, at, 1, rows, _SHIFT_DOWN, sums, at, most
            )
    elif tall == 8:
        for x in range(columns):
            at = x * tall
            combine_rows(
                8, _MATRICES, down, 8, coefficients, at, 1, rows, _SHIFT_DOWN, sums, at, most
            )
    else:
        for x in range(columns):
            at = x * tall
            combine_rows(
                4, _MATRICES, down, 4, coefficients, at, 1, rows, _SHIFT_DOWN, sums, at, most
            )
    if wide == 32:
        for i in range(tall):
            to = place + i * stride
            combine_rows(
                32, _MATRICES, across, 32, sums, i, tall, columns, _SHIFT_ACROSS, plane, to, peak
            )
    elif wide == 16:
        for i in range(tall):
            to = place + i * stride
            combine_rows(
                16, _MATRICES, across, 16, sums, i, tall, columns, _SHIFT_ACROSS, plane, to, peak
            )
    elif wide == 8:
        for i in range(tall):
            to = place + i * stride
            combine_rows(
                8, _MATRICES, across, 8, sums, i, tall, columns, _SHIFT_ACROSS, plane, to, peak
            )
    else:
        for i in range(tall):
            to = place + i * stride
            combine_rows(
                4, _MATRICES, across, 4, sums, i, tall, columns, _SHIFT_ACROSS, plane, to, peak
            )
