"""The partition walker against a recursive search, over random costs."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from nvcodec.compiled import kernel
from nvcodec.encode.hybrid.search.partition import Walk, partition

SMALLEST, TOP = 8, 3


class Search(NamedTuple):
    """Costs of blocks as a whole and of saying that they are divided, by level and place."""

    walk: Any
    whole: Any
    flag: Any
    least: float
    leaves: Any
    used: Any


@kernel
def _evaluate(s, k, y, x):
    s.walk.start[k] = s.used[0]
    s.walk.whole[k] = s.whole[k, y >> (3 + k), x >> (3 + k)]
    s.walk.parts[k] = s.flag[k, y >> (3 + k), x >> (3 + k)]
    return bool(k > 0 and s.walk.whole[k] > s.least)


@kernel
def _settle(s, k, y, x, divided):
    if divided:
        return s.walk.parts[k]
    s.used[0] = s.walk.start[k]
    s.leaves[s.used[0], 0] = y
    s.leaves[s.used[0], 1] = x
    s.leaves[s.used[0], 2] = SMALLEST << k
    s.used[0] += 1
    return s.walk.whole[k]


walk = partition(_evaluate, _settle, SMALLEST)


def decided(s, k, y, x, height, width):
    """(cost, leaves) of a block."""
    place = y >> (3 + k), x >> (3 + k)
    whole, parts, leaves = s.whole[k][place], s.flag[k][place], []
    if k > 0 and whole > s.least:
        half = SMALLEST << k >> 1
        for quarter in range(4):
            cy, cx = y + half * (quarter >> 1), x + half * (quarter & 1)
            if cy < height and cx < width:
                cost, more = decided(s, k - 1, cy, cx, height, width)
                parts, leaves = parts + cost, leaves + more
        if parts < whole:
            return parts, leaves
    return whole, [[y, x, SMALLEST << k]]


@pytest.mark.parametrize("seed", range(20))
def test_it_decides_as_recursion_does(seed):
    rng = np.random.default_rng(seed)
    # A larger block costs about as much as its quarters, of which some lie outside.
    whole = rng.integers(1, 100, (4, 8, 8)) * 4.0 ** np.arange(4)[:, None, None]
    height, width = 8 * rng.integers(1, 9, 2)
    for k in range(1, 4):
        for row in range(8 >> k):
            for column in range(8 >> k):
                size = SMALLEST << k
                if (row + 1) * size > height or (column + 1) * size > width:
                    whole[k, row, column] = 1e18
    s = Search(
        walk=Walk.make(),
        whole=whole,
        flag=rng.integers(0, 20, (4, 8, 8)).astype(float),
        least=20.0,
        leaves=np.zeros((64, 3), np.int64),
        used=np.zeros(1, np.int64),
    )
    cost, leaves = decided(s, TOP, 0, 0, height, width)
    assert walk(s, TOP, 0, 0, height, width) == cost
    assert s.leaves[: s.used[0]].tolist() == leaves
    covered = np.zeros((height, width), int)
    for y, x, n in leaves:
        covered[y : y + n, x : x + n] += 1
    assert (covered == 1).all()
