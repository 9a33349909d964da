"""Coarse motion of a whole picture, from luma at a quarter of its size: start vectors.

The vectors of neighbouring blocks are tried first, and those near the best of them. Only where all
of these predict badly, a grid over the whole range is tried too, and where that predicts badly, all
vectors: in fine texture those beside the right one say nothing of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.encode.distances import ANY, sad
from nvcodec.encode.hybrid.analysis.pyramid import COARSE_MARGIN, COARSE_RANGE, SCALE, STEP

_BLOCK = STEP // SCALE
"""Samples across a block, at a quarter of the size."""
_WINDOW = 8
"""Samples across the window that is compared, at a quarter of the size; the block is its middle."""
_QUARTERS = 4 * SCALE
"""Quarter luma samples per sample at a quarter of the size."""
_GOOD = 3 * _WINDOW * _WINDOW // 4
"""SAD of a window up to which no grid is tried."""
_POOR = 0.6
"""Share of its sum of differences to the mean: a window with a greater SAD is badly predicted."""
_GRID = 2
"""Samples between the vectors of the grid."""
_FIRST_STEP = 4
"""First step of a search near a vector, in samples."""
_ROUNDS = 6
"""Most moves with one step length."""

Field = npt.NDArray[np.int16]
"""(rows, columns, 2): y and x in quarter luma samples of each 16 x 16 block."""


@kernel
def _try(
    current: np.ndarray,
    reference: np.ndarray,
    stride: Integer,
    at: Integer,
    rate: Integer,
    vy: Integer,
    vx: Integer,
    reach: Integer,
    best: np.ndarray,
) -> bool:
    """Make a vector the best one if it is: `best` is SAD, rate, y and x of the one so far."""
    total = best[0] + best[1]
    if rate >= total or max(abs(vy), abs(vx)) > reach:
        return False
    limit = total - rate
    place = at + vy * stride + vx
    distance = sad(current, at, stride, reference, place, stride, _WINDOW, _WINDOW, limit)
    if distance + rate >= total:
        return False
    best[0] = distance
    best[1] = rate
    best[2] = vy
    best[3] = vx
    return True


@kernel
def _near(
    current: np.ndarray,
    reference: np.ndarray,
    stride: Integer,
    at: Integer,
    cost: Integer,
    py: Integer,
    px: Integer,
    step: Integer,
    reach: Integer,
    best: np.ndarray,
) -> None:
    """Search near the best vector, with steps from `step` down to 1."""
    while step > 0:
        moved = True
        rounds = 0
        while moved and rounds < _ROUNDS:
            moved = False
            rounds += 1
            cy = best[2]
            cx = best[3]
            for i in range(-1, 2):
                for j in range(-1, 2):
                    if i == 0 and j == 0:
                        continue
                    vy = cy + step * i
                    vx = cx + step * j
                    rate = cost * (abs(vy - py) + abs(vx - px))
                    if _try(current, reference, stride, at, rate, vy, vx, reach, best):
                        moved = True
        step >>= 1


@kernel
def _differences(current: np.ndarray, stride: Integer, at: Integer) -> Integer:
    """Sum of the differences of a window's samples to their mean."""
    total: Integer = 0
    for i in range(_WINDOW):
        for j in range(_WINDOW):
            total += np.int64(current[at + i * stride + j])
    mean = (total + _WINDOW * _WINDOW // 2) // (_WINDOW * _WINDOW)
    differences: Integer = 0
    for i in range(_WINDOW):
        for j in range(_WINDOW):
            differences += abs(np.int64(current[at + i * stride + j]) - mean)
    return differences


@kernel
def _all(
    current: np.ndarray,
    reference: np.ndarray,
    stride: Integer,
    at: Integer,
    cost: Integer,
    py: Integer,
    px: Integer,
    step: Integer,
    reach: Integer,
    best: np.ndarray,
) -> None:
    """Try the vectors of the whole range that are `step` samples apart."""
    for vy in range(-reach, reach + 1, step):
        for vx in range(-reach, reach + 1, step):
            rate = cost * (abs(vy - py) + abs(vx - px))
            _try(current, reference, stride, at, rate, vy, vx, reach, best)


@allocating
def _search(
    current: np.ndarray,
    reference: np.ndarray,
    stride: Integer,
    rows: Integer,
    columns: Integer,
    cost: Integer,
    reach: Integer,
    field: np.ndarray,
) -> None:
    """Fill `field`, by SAD plus `cost` times the distance to a neighbour's vector."""
    found = np.zeros((rows, columns, 2), np.int64)
    best = np.empty(4, np.int64)
    for r in range(rows):
        for c in range(columns):
            y = COARSE_MARGIN + _BLOCK * r - (_WINDOW - _BLOCK) // 2
            x = COARSE_MARGIN + _BLOCK * c - (_WINDOW - _BLOCK) // 2
            at = y * stride + x
            py = 0
            px = 0
            if c > 0:
                py = found[r, c - 1, 0]
                px = found[r, c - 1, 1]
            elif r > 0:
                py = found[r - 1, c, 0]
                px = found[r - 1, c, 1]
            best[0] = sad(current, at, stride, reference, at, stride, _WINDOW, _WINDOW, ANY)
            best[1] = cost * (abs(py) + abs(px))
            best[2] = 0
            best[3] = 0
            _try(current, reference, stride, at, 0, py, px, reach, best)
            for k in range(max(0, c - 1), min(columns, c + 2)):
                if r > 0:
                    vy = found[r - 1, k, 0]
                    vx = found[r - 1, k, 1]
                    rate = cost * (abs(vy - py) + abs(vx - px))
                    _try(current, reference, stride, at, rate, vy, vx, reach, best)
            _near(current, reference, stride, at, cost, py, px, _FIRST_STEP, reach, best)
            if best[0] > _GOOD:
                _all(current, reference, stride, at, cost, py, px, _GRID, reach, best)
                _near(current, reference, stride, at, cost, py, px, 1, reach, best)
            if best[0] > _GOOD and best[0] > _POOR * _differences(current, stride, at):
                _all(current, reference, stride, at, cost, py, px, 1, reach, best)
            for axis in range(2):
                found[r, c, axis] = best[2 + axis]
                field[r, c, axis] = _QUARTERS * best[2 + axis]


def coarse_motion(
    current: npt.NDArray[np.uint8],
    reference: npt.NDArray[np.uint8],
    cost: int,
    reach: int = COARSE_RANGE,
) -> Field:
    """Vectors from `current` to `reference`, both made by `small_luma`.

    `cost` is the SAD that a vector costs for each sample, at a quarter of the size, by which it
    differs from its neighbour's. Components are at most `reach` samples of that size, which is at
    most DRAWN_RANGE.
    """
    rows = (current.shape[0] - 2 * COARSE_MARGIN) // _BLOCK
    columns = (current.shape[1] - 2 * COARSE_MARGIN) // _BLOCK
    field = np.zeros((rows, columns, 2), np.int16)
    _search(current.ravel(), reference.ravel(), current.shape[1], rows, columns, cost, reach, field)
    return field
