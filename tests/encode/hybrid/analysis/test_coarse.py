"""Coarse motion where it is known, and against all vectors where it is not."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.analysis.coarse import coarse_motion
from nvcodec.encode.hybrid.analysis.pyramid import (
    COARSE_MARGIN,
    COARSE_RANGE,
    block_sums,
    small_luma,
)
from tests.encode.hybrid.pictures import smooth_noise


def small(luma):
    return small_luma(block_sums(luma))


def distances(current, reference):
    """SAD of the window of each block with all vectors."""
    rows, columns = ((size - 2 * COARSE_MARGIN) // 4 for size in current.shape)
    found = np.zeros((rows, columns, 2 * COARSE_RANGE + 1, 2 * COARSE_RANGE + 1), np.int64)
    for r in range(rows):
        for c in range(columns):
            y, x = COARSE_MARGIN + 4 * r - 2, COARSE_MARGIN + 4 * c - 2
            block = current[y : y + 8, x : x + 8].astype(np.int64)
            around = reference[
                y - COARSE_RANGE : y + COARSE_RANGE + 8, x - COARSE_RANGE : x + COARSE_RANGE + 8
            ]
            windows = np.lib.stride_tricks.sliding_window_view(around.astype(np.int64), (8, 8))
            found[r, c] = abs(windows - block).sum((2, 3))
    return found


@pytest.mark.parametrize("moved", [(0, 0), (12, -20), (-76, 64)])
def test_known_motion(moved):
    """Most blocks find it, also far away; at the edges of the picture there is none to find."""
    before = smooth_noise((192, 256), 0)
    field = coarse_motion(small(np.roll(before, moved, (0, 1))), small(before), 8)
    right = (field == [-moved[0] * 4, -moved[1] * 4]).all(2)
    assert right[5:-5, 5:-5].mean() > 0.9


def test_among_all_vectors():
    """Where nothing matches, SAD is not far above the least of all vectors."""
    current, reference = small(smooth_noise((96, 128), 1)), small(smooth_noise((96, 128), 0))
    every = distances(current, reference)
    field = coarse_motion(current, reference, 0) // 16 + COARSE_RANGE
    rows, columns = np.indices(field.shape[:2])
    assert (
        every[rows, columns, field[..., 0], field[..., 1]].mean() < 1.5 * every.min((2, 3)).mean()
    )
