"""Coarse motion against a search of all vectors in plain NumPy."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.analysis.coarse import coarse_motion
from nvcodec.encode.hybrid.analysis.pyramid import COARSE_MARGIN, COARSE_RANGE, small_luma
from tests.encode.hybrid.pictures import smooth_noise

REACH = np.arange(-COARSE_RANGE, COARSE_RANGE + 1)


def slow_motion(current, reference, cost):
    rows, columns = ((size - 2 * COARSE_MARGIN) // 4 for size in current.shape)
    field = np.zeros((rows, columns, 2), np.int64)
    for r in range(rows):
        for c in range(columns):
            y, x = COARSE_MARGIN + 4 * r - 2, COARSE_MARGIN + 4 * c - 2
            block = current[y : y + 8, x : x + 8].astype(np.int64)
            around = reference[
                y - COARSE_RANGE : y + COARSE_RANGE + 8, x - COARSE_RANGE : x + COARSE_RANGE + 8
            ]
            windows = np.lib.stride_tricks.sliding_window_view(around.astype(np.int64), (8, 8))
            totals = abs(windows - block).sum((2, 3))
            py, px = field[r, c - 1] if c else field[r - 1, c] if r else (0, 0)
            totals += cost * (abs(REACH - py)[:, None] + abs(REACH - px))
            best = np.argmin(totals)
            if totals[COARSE_RANGE, COARSE_RANGE] == totals.min():
                best = totals.size // 2
            field[r, c] = REACH[list(np.unravel_index(best, totals.shape))]
    return 16 * field


@pytest.mark.parametrize("cost", [0, 8])
@pytest.mark.parametrize("kind", ["still", "moved", "other"])
def test_motion(kind, cost, kernel_bench):
    before = smooth_noise((96, 128), 0)
    moved = {
        "still": before,
        "moved": np.roll(before, (12, -20), (0, 1)),
        "other": smooth_noise((96, 128), 1),
    }[kind]
    current, reference = small_luma(moved), small_luma(before)
    kernel_bench(
        f"coarse_motion, {kind}, cost {cost}",
        moved.size // 16,
        lambda: coarse_motion(current, reference, cost),
        lambda: slow_motion(current, reference, cost),
        unit="small sample",
    )
