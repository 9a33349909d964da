"""Dependence of blocks on their references, against block-by-block Python."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.analysis.lookahead import dependence
from nvcodec.encode.hybrid.analysis.pyramid import LOOKAHEAD_MARGIN as MARGIN
from nvcodec.encode.hybrid.analysis.pyramid import block_sums, half_luma
from tests.encode.hybrid.pictures import smooth_noise
from tests.encode.hybrid.reference import hadamard_sum

REACH = 2


def block(plane, y, x):
    return plane[y : y + 8, x : x + 8].astype(np.int64)


def intra_cost(plane, r, c):
    y, x = MARGIN + 8 * r, MARGIN + 8 * c
    row = plane[y - 1, x : x + 8].astype(np.int64)
    column = plane[y : y + 8, x - 1].astype(np.int64)
    predicted = [np.full((8, 8), (row.sum() + column.sum() + 8) >> 4)]
    predicted += [np.tile(row, (8, 1))] if r else []
    predicted += [np.tile(column[:, None], (1, 8))] if c else []
    return min(hadamard_sum(block(plane, y, x) - p) for p in predicted)


def best_vector(plane, reference, y, x, coarse):
    """The first one of least SAD, near the coarse vector and near none."""
    found = []
    for vy, vx in ((int(coarse[0]) >> 3, int(coarse[1]) >> 3), (0, 0)):
        cy = min(max(vy, REACH - y), plane.shape[0] - 8 - REACH - y)
        cx = min(max(vx, REACH - x), plane.shape[1] - 8 - REACH - x)
        for dy in range(cy - REACH, cy + REACH + 1):
            for dx in range(cx - REACH, cx + REACH + 1):
                d = block(plane, y, x) - block(reference, y + dy, x + dx)
                found.append((int(abs(d).sum()), (dy, dx)))
    return min(found, key=lambda entry: entry[0])[1]


def slow_dependence(half, references, coarse):
    rows, columns = ((size - 2 * MARGIN) // 8 for size in half.shape)
    intra, inter = np.zeros((2, rows, columns), np.float32)
    vectors, used = np.zeros((2, rows, columns, 2), np.int16), np.zeros((rows, columns), np.uint8)
    for r, c in np.ndindex(rows, columns):
        y, x = MARGIN + 8 * r, MARGIN + 8 * c
        intra[r, c] = intra_cost(half, r, c)
        predicted = []
        for k, reference in enumerate(references):
            dy, dx = vectors[k, r, c] = best_vector(half, reference, y, x, coarse[k, r, c])
            predicted.append((k + 1, block(reference, y + dy, x + dx)))
        if len(predicted) == 2:
            predicted.append((3, (predicted[0][1] + predicted[1][1] + 1) >> 1))
        costs = [(hadamard_sum(block(half, y, x) - p), number) for number, p in predicted]
        least, number = min(costs, key=lambda entry: entry[0], default=(intra[r, c], 0))
        inter[r, c], used[r, c] = least, number
    return intra, inter, vectors, used


@pytest.mark.parametrize("references", [0, 1, 2])
def test_dependence(references, kernel_bench):
    rng = np.random.default_rng(references)
    picture = smooth_noise((96, 128), 0)
    others = [np.roll(picture, shift, (0, 1)) for shift in ((6, -10), (-3, 30))][:references]
    for number, other in enumerate(others):
        # Parts in which the other reference is better.
        other[32 * number : 32 * number + 40] = rng.integers(0, 256, (40, 128))
    half, *found = (half_luma(block_sums(luma)) for luma in (picture, *others))
    coarse = 16 * rng.integers(-24, 25, (references, 6, 8, 2)).astype(np.int16)
    coarse[:, ::2] = [12, -20]
    kernel_bench(
        f"dependence on {references}",
        picture.size // 4,
        lambda: dependence(half, found, coarse),
        lambda: slow_dependence(half, found, coarse),
        unit="half sample",
    )
    used = dependence(half, found, coarse).used
    assert len(np.unique(used)) == (1, 1, 3)[references]
