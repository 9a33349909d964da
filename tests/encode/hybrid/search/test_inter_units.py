"""Units of inter leaves: places, levels and costs."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import (
    CODED,
    FIRST,
    LEAF_COLUMNS,
    LEVEL_VALUE,
    SIZE,
    UNIT_COUNT,
    UNIT_PLANE,
    UNIT_SIZE,
    UNIT_START,
    UNIT_X,
    UNIT_Y,
    UNITS,
    X,
    Y,
)
from nvcodec.encode.hybrid.group import default_prices
from nvcodec.encode.hybrid.rate.tradeoff import WEIGHT
from nvcodec.encode.hybrid.search.block import CanvasInput
from nvcodec.encode.hybrid.search.inter_units import Predicted, decide_inter_units
from nvcodec.encode.hybrid.search.units import make_pools
from nvcodec.encode.hybrid.search.workspace import Workspace
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from tests.encode.hybrid.pictures import planes_of, smooth_noise


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("noise", [0, 6, 60])
def test_units_of_inter_leaves(depth, noise):
    rng = np.random.default_rng(noise)
    q = np.full((3, 4), 24, np.uint8)
    squares = [(0, 0, 64), (64, 0, 32), (96, 0, 32), (64, 32, 32), (96, 32, 16), (112, 32, 16)]
    squares += [(96, 48, 16), *((112 + 8 * i, 48 + 8 * j, 8) for j in (0, 1) for i in (0, 1))]
    squares += [(32 * k, 64, 32) for k in range(4)]
    leaves = np.zeros((len(squares), LEAF_COLUMNS), np.int32)
    leaves[:, [X, Y, SIZE]] = squares
    predicted = planes_of(smooth_noise((96, 128), 1))
    source = [
        np.clip(p + noise * rng.laplace(size=p.shape) * (rng.random(p.shape) < 0.2), 0, 255).astype(
            np.uint8
        )
        for p in predicted
    ]
    pool, workspace = make_pools(128, 96, 1)[0], Workspace.make()
    prices = default_prices(1)
    given = CanvasInput(
        *source,
        codes=(0, 1, 2),
        parts=1,
        quantisers=q,
        intended=q,
        chroma_offset=0,
        content=prices.content,
        intra=prices.intra,
        depth=depth,
        thorough=False,
    )
    costs = np.zeros(len(leaves))
    given = given, Predicted(*predicted), workspace, pool, leaves
    decide_inter_units(*given, 0, len(leaves), np.zeros((12, 16), np.uint8), costs)
    cost = costs.sum()
    energy = sum(((a.astype(float) - b) ** 2).sum() for a, b in zip(source, predicted, strict=True))
    assert cost <= energy + 1000 * WEIGHT * REAL_STEP[24] ** 2
    assert not workspace.transform.magnitudes.any()
    assert pool.counts[0] == leaves[:, UNITS].sum()
    assert (leaves[:, UNITS].astype(bool) == leaves[:, CODED]).all()
    assert pool.counts[0] == 0 if noise == 0 else pool.counts[0] > 3
    covered = [np.zeros(p.shape, int) for p in source]
    level = 0
    for leaf in leaves:
        for unit in pool.units[leaf[FIRST] : leaf[FIRST] + leaf[UNITS]]:
            sub = 1 if unit[UNIT_PLANE] else 0
            x, y, n = unit[UNIT_X], unit[UNIT_Y], unit[UNIT_SIZE]
            assert leaf[X] >> sub <= x <= x + n <= (leaf[X] + leaf[SIZE]) >> sub
            assert leaf[Y] >> sub <= y <= y + n <= (leaf[Y] + leaf[SIZE]) >> sub
            assert n >= min(32, leaf[SIZE]) >> (sub or depth)
            covered[unit[UNIT_PLANE]][y : y + n, x : x + n] += 1
            assert unit[UNIT_START] == level
            level += unit[UNIT_COUNT]
            assert unit[UNIT_COUNT] > 0
            assert pool.levels[unit[UNIT_START] : level, LEVEL_VALUE].all()
    assert level == pool.counts[1]
    assert max(c.max() for c in covered) <= 1
