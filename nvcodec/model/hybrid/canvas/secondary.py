"""Inverse secondary transforms: few coefficients to more of them (spec 8.5)."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import PAINTED
from nvcodec.coding.hybrid.levels import diagonals
from nvcodec.coding.hybrid.secondary import MIRROR, SECONDARIES, SET_OF_MODE, SETS
from nvcodec.compiled import Integer, kernel
from nvcodec.model.hybrid.canvas.rows import combine_rows
from nvcodec.tables import load_table

VALUES = 16
"""Coefficients of a secondary transform: those of the first sub-block."""

SECONDARY = load_table("secondary_transforms.txt")
LARGE = SETS * SECONDARIES * VALUES * 16
"""Where the matrices of units with both sides of 8 or more begin, after those of all others."""

SCALE = 128
"""Matrices are so many times orthonormal ones."""
_SHIFT = 7

NUMBER = np.array([diagonals(4, 4).index((k & 3, k >> 2)) for k in range(VALUES)], np.int64)
"""Number in DIAG(4, 4) of the position 4 * y + x."""

_FACTORS = 512
"""Where `unfold` has its coefficients in the array of sums, behind its results."""


@kernel
def zone_side(wide: Integer, tall: Integer) -> Integer:
    """Columns and rows of the coefficients that a secondary transform gives."""
    return 4 if min(wide, tall) == 4 else 8


@kernel
def secondary_of(mode: Integer, transform: Integer) -> Integer:
    """The matrix of a luma unit of an intra leaf by its mode and transform; -1 for none.

    The result is twice the number of the matrix, plus 1 if coefficients are transposed.
    """
    if transform <= PAINTED:
        return -1
    number = SET_OF_MODE[mode] * SECONDARIES + transform - PAINTED - 1
    return 2 * number + (1 if mode > MIRROR else 0)


@kernel
def matrix_at(secondary: Integer, side: Integer) -> Integer:
    """Where the matrix of `secondary_of` begins in SECONDARY."""
    base = 0 if side == 4 else LARGE
    return base + (secondary >> 1) * VALUES * side * side


@kernel
def unfold(
    secondary: Integer,
    side: Integer,
    tall: Integer,
    sums: np.ndarray,
    coefficients: np.ndarray,
    most: Integer,
) -> None:
    """Replace the coefficients of a secondary transform by side x side of the cosine transform.

    `coefficients` are column by column of `tall`. `sums` is that of `transform_scratch`, `most` the
    greatest coefficient.
    """
    count = 1
    for column in range(4):
        for row in range(4):
            value = coefficients[column * tall + row]
            number = NUMBER[4 * row + column]
            sums[_FACTORS + number] = value
            if value != 0:
                count = max(count, number + 1)
    at = matrix_at(secondary, side)
    if side == 4:
        combine_rows(16, SECONDARY, at, 16, sums, _FACTORS, 1, count, _SHIFT, sums, 0, most)
    else:
        for half in range(0, 64, 32):
            combine_rows(
                32, SECONDARY, at + half, 64, sums, _FACTORS, 1, count, _SHIFT, sums, half, most
            )
    for row in range(side):
        for column in range(side):
            to = row * tall + column if secondary & 1 else column * tall + row
            coefficients[to] = sums[row * side + column]
