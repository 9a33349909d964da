"""Intra blocks copied from the same canvas (spec 8.4, mode 38)."""

from __future__ import annotations

import numpy as np

from nvcodec.compiled import Integer, kernel
from nvcodec.model.samples import extra_bits, plane_shift


@kernel
def copy_block(
    plane: np.ndarray,
    available: np.ndarray,
    code: Integer,
    y: Integer,
    x: Integer,
    n: Integer,
    vy: Integer,
    vx: Integer,
    out: np.ndarray,
) -> None:
    """Predict out[0..n-1, 0..n-1] for the block at (x, y) of a plane; see `intra_references`.

    (vy, vx) is the copy vector, in luma samples.
    """
    height, width = plane.shape
    across, down = plane_shift(code)
    top, left = y + (vy >> down), x + (vx >> across)
    middle = 128 << extra_bits(plane, code)
    for i in range(n):
        row = top + i
        for j in range(n):
            column = left + j
            value = middle
            inside = 0 <= row < height and 0 <= column < width
            if inside and available[row >> (2 - down), column >> (2 - across)]:
                value = plane[row, column]
            out[i, j] = value
