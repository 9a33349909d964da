"""Coarse motion of a whole picture, from luma at a quarter of its size: where searches start."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from nvcodec.encode.hybrid.pictures import COARSE_MARGIN, COARSE_RANGE
from nvcodec.encode.hybrid.tiles import sad

Field = npt.NDArray[np.int16]
"""(rows, columns, 2): y and x in quarter luma samples of each 16 x 16 block."""


@numba.njit(nogil=True, cache=True)
def _search(current, reference, stride, rows, columns, cost, field):
    best_rows = np.zeros((rows, columns, 2), np.int64)
    for r in range(rows):
        for c in range(columns):
            # An 8 x 8 window with the 4 x 4 block in its middle.
            y = COARSE_MARGIN + 4 * r - 2
            x = COARSE_MARGIN + 4 * c - 2
            at = y * stride + x
            py = 0
            px = 0
            if c > 0:
                py = best_rows[r, c - 1, 0]
                px = best_rows[r, c - 1, 1]
            elif r > 0:
                py = best_rows[r - 1, c, 0]
                px = best_rows[r - 1, c, 1]
            best = sad(current, at, stride, reference, at, stride, 8, 1 << 40)
            best += cost * (abs(py) + abs(px))
            by = 0
            bx = 0
            for dy in range(-COARSE_RANGE, COARSE_RANGE + 1):
                row_cost = cost * abs(dy - py)
                if row_cost >= best:
                    continue
                for dx in range(-COARSE_RANGE, COARSE_RANGE + 1):
                    total = row_cost + cost * abs(dx - px)
                    if total >= best:
                        continue
                    total += sad(
                        current, at, stride, reference, at + dy * stride + dx, stride, 8, 1 << 40
                    )
                    if total < best:
                        best = total
                        by = dy
                        bx = dx
            best_rows[r, c, 0] = by
            best_rows[r, c, 1] = bx
            field[r, c, 0] = 16 * by
            field[r, c, 1] = 16 * bx


def coarse_motion(
    current: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8], cost: int
) -> Field:
    """Vectors from one `small_luma` to another; `cost` is SAD per small sample of difference."""
    rows = (current.shape[0] - 2 * COARSE_MARGIN) // 4
    columns = (current.shape[1] - 2 * COARSE_MARGIN) // 4
    field = np.zeros((rows, columns, 2), np.int16)
    _search(current.ravel(), reference.ravel(), current.shape[1], rows, columns, cost, field)
    return field
