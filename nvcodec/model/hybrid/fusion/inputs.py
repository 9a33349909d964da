"""Inputs of the fusion network (spec 9.3): a canvas against its surroundings and its references.

Takes the samples and the motion of a canvas and the samples of its references. Gives, for rows of
sites, the input channels: high-pass, then the differences to both references. A word holds two
neighbouring channels.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import AFFINE, HEIGHT, INTRA, WIDTH, Q, X, Y
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.inter import BLOCK, predict_block, scratch, store_rows
from nvcodec.model.hybrid.canvas.quantiser import STEP, base_index
from nvcodec.model.hybrid.fusion.rows import (
    chroma_difference,
    chroma_high_pass,
    column_sums,
    luma_difference,
    luma_high_pass,
)
from nvcodec.model.samples import plane_shift

PAIRS = 9
"""Words of a site: pairs of its input channels."""

RECIPROCAL = (((1 << 22) + STEP // 2) // STEP).astype(np.int32)
"""RECIPROCAL for each quantiser index (spec 9.1). Products with 25 * sample - Box, at the scale of
8 bits, are below 2^31 (spec 9.3)."""

_SITES = 2
"""Log2 of the sites across a cell."""


def cell_quantisers(leaves: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Quantiser indices u8 (rows, columns) of all cells."""
    out = np.empty((rows, columns), np.uint8)
    _put_quantisers(leaves, out)
    return out


@kernel
def _put_quantisers(leaves: np.ndarray, out: np.ndarray) -> None:
    for n in range(len(leaves)):
        y, x = np.int64(leaves[n, Y]) >> 3, np.int64(leaves[n, X]) >> 3
        wide = np.int64(leaves[n, WIDTH]) >> 3
        out[y : y + (np.int64(leaves[n, HEIGHT]) >> 3), x : x + wide] = leaves[n, Q]


@kernel
def _copy(
    source: np.ndarray,
    y: Integer,
    x: Integer,
    out: np.ndarray,
    to_y: Integer,
    to_x: Integer,
    rows: Integer,
    width: Integer,
) -> None:
    """Copy rows x width samples from (y, x) of `source` to (to_y, to_x) of `out`."""
    for i in range(rows):
        for j in range(width):
            out[to_y + i, to_x + j] = source[y + i, x + j]


@allocating
def single_predictions(
    code: Integer,
    leaves: np.ndarray,
    packed: np.ndarray,
    plane: np.ndarray,
    reference0: np.ndarray,
    reference1: np.ndarray,
    row0: Integer,
    column0: Integer,
    two: bool,
    out0: np.ndarray,
    out1: np.ndarray,
) -> None:
    """Predictions of a part of a plane by reference 0 and by reference 1 alone, as samples.

    The part begins at (row0, column0) and has the shape of out0 and out1. Its left and right edges
    lie between root blocks. The predictions of an intra leaf are its own samples. Where a leaf uses
    one reference only, both predictions are from that one. Unless there are `two` references, out1
    is not written. `code` is the plane's (`plane_code`), `packed` the motion of all cells
    (`packed_motion`).
    """
    first, samples = scratch(reference0)
    values = np.empty((BLOCK, BLOCK), np.int32)
    shift_x, shift_y = plane_shift(code)
    height, width = out0.shape
    for number in range(len(leaves)):
        high, across = np.int64(leaves[number, HEIGHT]), np.int64(leaves[number, WIDTH])
        part_y, part_x = (8, 8) if leaves[number, AFFINE] else (high, across)
        tall, wide = part_y >> shift_y, part_x >> shift_x
        for luma_y in range(leaves[number, Y], leaves[number, Y] + high, part_y):
            for luma_x in range(leaves[number, X], leaves[number, X] + across, part_x):
                top, x = luma_y >> shift_y, luma_x >> shift_x
                y, end = max(top, row0), min(top + tall, row0 + height)
                if y >= end or x < column0 or x >= column0 + width:
                    continue
                rows, down, right = end - y, y - row0, x - column0
                to = down * width + right
                if leaves[number, INTRA]:
                    _copy(plane, y, x, out0, down, right, rows, wide)
                    if two:
                        _copy(plane, y, x, out1, down, right, rows, wide)
                    continue
                motion = packed[luma_y >> 3, luma_x >> 3]
                if motion & 1:
                    only = motion & ~np.int64(2)
                    predict_block(
                        code, reference0, reference1, y, x, rows, wide, only, first, samples, values
                    )
                    store_rows(code, values, rows, wide, out0, to)
                if motion & 2:
                    only = motion & ~np.int64(1)
                    predict_block(
                        code, reference0, reference1, y, x, rows, wide, only, first, samples, values
                    )
                    store_rows(code, values, rows, wide, out1, to)
                if motion & 3 == 1 and two:
                    _copy(out0, down, right, out1, down, right, rows, wide)
                elif motion & 3 == 2:
                    _copy(out1, down, right, out0, down, right, rows, wide)


@kernel
def factors_row(
    quantisers: np.ndarray,
    row: Integer,
    column: Integer,
    chroma_offset: Integer,
    extra: Integer,
    table: np.ndarray,
    luma: np.ndarray,
    chroma: np.ndarray,
) -> None:
    """Look up in `table` the base indices (spec 8.6) of a row of sites, from `column` on.

    `extra` is the number of bits of a sample beyond 8. int32 `luma` gets an entry for each sample
    of a luma row, int32 `chroma` one for each site. Sites right of the grid get 0.
    """
    cells = quantisers[row >> _SITES]
    for j in range(chroma.shape[0]):
        cell = (column + j) >> _SITES
        of_luma: Integer = np.int32(0)
        of_chroma: Integer = np.int32(0)
        if cell < cells.shape[0]:
            q = np.int64(cells[cell])
            of_luma = table[base_index(q, extra)]
            of_chroma = table[base_index(q + chroma_offset, extra)]
        luma[2 * j] = of_luma
        luma[2 * j + 1] = of_luma
        chroma[j] = of_chroma


LANES = 16
"""Samples or sites in a vector operation."""


@kernel
def _column_sums(
    plane: np.ndarray, y: Integer, column: Integer, width: Integer, out: np.ndarray
) -> None:
    """out[j] = the sum of rows y-2..y+2 at column + j - 2, with clipped coordinates.

    `out` is int16 with `width` + 4 elements.
    """
    height, across = plane.shape
    line0, line1 = max(0, y - 2) * across, max(0, y - 1) * across
    line2, line3 = y * across, min(height - 1, y + 1) * across
    line4 = min(height - 1, y + 2) * across
    begin, end = max(0, column - 2), min(across, column + width + 2)
    shift = begin - (column - 2)
    j: Integer = begin
    while j < end:
        to = j + shift - begin
        if j + LANES <= end:
            column_sums(
                LANES, plane, line0 + j, plane, line1 + j, plane, line2 + j, plane, line3 + j,
                plane, line4 + j, out, to,
            )  # fmt: skip
            j += LANES
        else:
            column_sums(
                1, plane, line0 + j, plane, line1 + j, plane, line2 + j, plane, line3 + j,
                plane, line4 + j, out, to,
            )  # fmt: skip
            j += 1
    for k in range(shift):
        out[k] = out[shift]
    last = shift + end - begin
    for k in range(last, width + 4):
        out[k] = out[last - 1]


@kernel
def luma_high_pass_row(
    plane: np.ndarray,
    y: Integer,
    column: Integer,
    factors: np.ndarray,
    width: Integer,
    sums: np.ndarray,
    out: np.ndarray,
    to: Integer,
    extra: Integer,
) -> None:
    """High-pass inputs of `width` luma samples from (column, y) on, to int16 out[to..]."""
    _column_sums(plane, y, column, width, sums)
    at = y * plane.shape[1] + column
    j: Integer = np.int64(0)
    while j < width:
        if j + LANES <= width:
            luma_high_pass(LANES, plane, at + j, sums, j, factors, j, out, to + j, extra)
            j += LANES
        else:
            luma_high_pass(1, plane, at + j, sums, j, factors, j, out, to + j, extra)
            j += 1


@kernel
def chroma_high_pass_row(
    blue: np.ndarray,
    red: np.ndarray,
    y: Integer,
    column: Integer,
    factors: np.ndarray,
    width: Integer,
    blue_sums: np.ndarray,
    red_sums: np.ndarray,
    out: np.ndarray,
    to: Integer,
    extra: Integer,
) -> None:
    """High-pass inputs of `width` sites from (column, y) on, to words out[to..] of Cb and Cr."""
    _column_sums(blue, y, column, width, blue_sums)
    _column_sums(red, y, column, width, red_sums)
    at = y * blue.shape[1] + column
    j: Integer = np.int64(0)
    while j < width:
        if j + LANES <= width:
            chroma_high_pass(
                LANES, blue, at + j, blue_sums, j, red, at + j, red_sums, j, factors, j, out,
                to + j, extra,
            )  # fmt: skip
            j += LANES
        else:
            chroma_high_pass(
                1, blue, at + j, blue_sums, j, red, at + j, red_sums, j, factors, j, out,
                to + j, extra,
            )  # fmt: skip
            j += 1


@kernel
def luma_difference_row(
    plane: np.ndarray,
    at: Integer,
    predicted: np.ndarray,
    predicted_at: Integer,
    factors: np.ndarray,
    width: Integer,
    out: np.ndarray,
    to: Integer,
    extra: Integer,
) -> None:
    """Difference inputs of `width` luma samples at places of two planes, to int16 out[to..]."""
    j: Integer = np.int64(0)
    while j < width:
        if j + LANES <= width:
            luma_difference(
                LANES,
                plane,
                at + j,
                predicted,
                predicted_at + j,
                factors,
                j,
                out,
                to + j,
                extra,
            )
            j += LANES
        else:
            luma_difference(
                1, plane, at + j, predicted, predicted_at + j, factors, j, out, to + j, extra
            )
            j += 1


@kernel
def chroma_difference_row(
    blue: np.ndarray,
    red: np.ndarray,
    at: Integer,
    blue_predicted: np.ndarray,
    red_predicted: np.ndarray,
    predicted_at: Integer,
    factors: np.ndarray,
    width: Integer,
    out: np.ndarray,
    to: Integer,
    extra: Integer,
) -> None:
    """Difference inputs of `width` sites at places of planes, to words out[to..] of Cb and Cr."""
    j: Integer = np.int64(0)
    while j < width:
        if j + LANES <= width:
            chroma_difference(
                LANES, blue, at + j, red, at + j, blue_predicted,
                predicted_at + j, red_predicted, predicted_at + j, factors, j, out, to + j, extra,
            )  # fmt: skip
            j += LANES
        else:
            chroma_difference(
                1, blue, at + j, red, at + j, blue_predicted,
                predicted_at + j, red_predicted, predicted_at + j, factors, j, out, to + j, extra,
            )  # fmt: skip
            j += 1
