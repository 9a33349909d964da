"""Blocks of palette leaves (spec 8.4, mode 39): samples from the tables."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    LEVEL_VALUE,
    UNIT_COUNT,
    UNIT_START,
    UNIT_WIDTH,
)
from nvcodec.compiled import Integer, kernel


@kernel
def paint(
    units: np.ndarray,
    levels: np.ndarray,
    unit: Integer,
    out: np.ndarray,
) -> None:
    """Set out[0..n-1, 0..n-1] to the samples of a painted unit."""
    n = np.int64(units[unit, UNIT_WIDTH])
    row = np.int64(units[unit, UNIT_START]) + np.int64(units[unit, UNIT_COUNT]) - n * n
    for i in range(n):
        for j in range(n):
            out[i, j] = levels[row, LEVEL_VALUE]
            row += 1
