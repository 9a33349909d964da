"""Blocks of palette leaves (spec 8.4, mode 39): samples from the tables."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    LEVEL_VALUE,
    UNIT_COUNT,
    UNIT_PLANE,
    UNIT_SIZE,
    UNIT_START,
    UNIT_X,
    UNIT_Y,
)
from nvcodec.compiled import Integer, kernel


@kernel
def paint(
    units: np.ndarray,
    levels: np.ndarray,
    first: Integer,
    end: Integer,
    number: Integer,
    y: Integer,
    x: Integer,
    out: np.ndarray,
) -> None:
    """Set out[0..n-1, 0..n-1] to the samples of the block at (x, y) of plane `number`.

    Its unit is one of first..end-1.
    """
    for unit in range(first, end):
        found = units[unit, UNIT_PLANE] == number
        if found and units[unit, UNIT_Y] == y and units[unit, UNIT_X] == x:
            n = np.int64(units[unit, UNIT_SIZE])
            row = np.int64(units[unit, UNIT_START]) + np.int64(units[unit, UNIT_COUNT]) - n * n
            for i in range(n):
                for j in range(n):
                    out[i, j] = levels[row, LEVEL_VALUE]
                    row += 1
