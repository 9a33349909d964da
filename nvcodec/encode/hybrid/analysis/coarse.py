"""Coarse motion of a whole picture, from luma at a quarter of its size: start vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, allocating
from nvcodec.encode.distances import sad
from nvcodec.encode.hybrid.analysis.pyramid import COARSE_MARGIN, COARSE_RANGE, SCALE, STEP

_BLOCK = STEP // SCALE
"""Samples across a block, at a quarter of the size."""
_WINDOW = 8
"""Samples across the window that is compared, at a quarter of the size; the block is its middle."""
_QUARTERS = 4 * SCALE
"""Quarter luma samples per sample at a quarter of the size."""
_ALL = 1 << 40
"""No limit for a SAD."""

Field = npt.NDArray[np.int16]
"""(rows, columns, 2): y and x in quarter luma samples of each 16 x 16 block."""


@allocating
def _search(
    current: np.ndarray,
    reference: np.ndarray,
    stride: Integer,
    rows: Integer,
    columns: Integer,
    cost: Integer,
    field: np.ndarray,
) -> None:
    """Fill `field` by full search: SAD plus `cost` times the distance to a neighbour's vector."""
    best_rows = np.zeros((rows, columns, 2), np.int64)
    for r in range(rows):
        for c in range(columns):
            y = COARSE_MARGIN + _BLOCK * r - (_WINDOW - _BLOCK) // 2
            x = COARSE_MARGIN + _BLOCK * c - (_WINDOW - _BLOCK) // 2
            at = y * stride + x
            py = 0
            px = 0
            if c > 0:
                py = best_rows[r, c - 1, 0]
                px = best_rows[r, c - 1, 1]
            elif r > 0:
                py = best_rows[r - 1, c, 0]
                px = best_rows[r - 1, c, 1]
            best = sad(current, at, stride, reference, at, stride, _WINDOW, _ALL)
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
                        current, at, stride, reference, at + dy * stride + dx, stride, _WINDOW, _ALL
                    )
                    if total < best:
                        best = total
                        by = dy
                        bx = dx
            best_rows[r, c, 0] = by
            best_rows[r, c, 1] = bx
            field[r, c, 0] = _QUARTERS * by
            field[r, c, 1] = _QUARTERS * bx


def coarse_motion(
    current: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8], cost: int
) -> Field:
    """Vectors from `current` to `reference`, both made by `small_luma`.

    `cost` is the SAD that a vector costs for each sample, at a quarter of the size, by which it
    differs from its neighbour's.
    """
    rows = (current.shape[0] - 2 * COARSE_MARGIN) // _BLOCK
    columns = (current.shape[1] - 2 * COARSE_MARGIN) // _BLOCK
    field = np.zeros((rows, columns, 2), np.int16)
    _search(current.ravel(), reference.ravel(), current.shape[1], rows, columns, cost, field)
    return field
