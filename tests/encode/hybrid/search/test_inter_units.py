"""Units of inter leaves: places, levels and costs."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import (
    CODED,
    FIRST,
    HEIGHT,
    LEAF_COLUMNS,
    LEVEL_VALUE,
    UNIT_COUNT,
    UNIT_HEIGHT,
    UNIT_PLANE,
    UNIT_START,
    UNIT_WIDTH,
    UNIT_X,
    UNIT_Y,
    UNITS,
    WIDTH,
    Q,
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
from nvcodec.model.hybrid.canvas.reconstruct import add_residuals
from tests.encode.hybrid.pictures import planes_of, smooth_noise
from tests.encode.hybrid.rate import recount


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("noise", [0, 6, 60])
@pytest.mark.parametrize("halved", [False, True])
def test_units_of_inter_leaves(halved, depth, noise):
    rng = np.random.default_rng(noise)
    q = np.full((3, 4), 24, np.uint8)
    places = [(0, 0, 64), (64, 0, 32), (96, 0, 32), (64, 32, 32), (96, 32, 16), (112, 32, 16)]
    places += [(96, 48, 16), *((112 + 8 * i, 48 + 8 * j, 8) for j in (0, 1) for i in (0, 1))]
    places = [(x, y, n, n) for x, y, n in places]
    if halved:
        places[:2] = [(0, 0, 64, 32), (0, 32, 64, 16), (0, 48, 64, 16), (64, 0, 8, 32)]
        places[4:4] = [(72, 0, 8, 32), (80, 0, 16, 32)]
    places += [(32 * k, 64, 32, 32) for k in range(4)]
    leaves = np.zeros((len(places), LEAF_COLUMNS), np.int32)
    leaves[:, [X, Y, WIDTH, HEIGHT]] = places
    leaves[:, Q] = 24
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
        transforms=3,
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
    # The cost is that of what a decoder makes of the units, but for rounding.
    units, levels = (table[:count] for table, count in zip(pool[:2], pool.counts, strict=True))
    decoded = [plane.copy() for plane in predicted]
    for code, plane in enumerate(decoded):
        for row in range(2):
            add_residuals(leaves, units, levels, row, row + 1, code, 0, plane)
    error = sum(((a.astype(float) - b) ** 2).sum() for a, b in zip(source, decoded, strict=True))
    bits = recount.content_bits(recount.doubles(prices.content), leaves, units, levels)
    lam = WEIGHT * float(REAL_STEP[24]) ** 2
    assert cost == pytest.approx(error + lam * bits, rel=0.03, abs=1.0)
    covered = [np.zeros(p.shape, int) for p in source]
    level = 0
    for leaf in leaves:
        for unit in units[leaf[FIRST] : leaf[FIRST] + leaf[UNITS]]:
            sub = 1 if unit[UNIT_PLANE] else 0
            x, y, w, h = unit[[UNIT_X, UNIT_Y, UNIT_WIDTH, UNIT_HEIGHT]]
            assert leaf[X] >> sub <= x <= x + w <= (leaf[X] + leaf[WIDTH]) >> sub
            assert leaf[Y] >> sub <= y <= y + h <= (leaf[Y] + leaf[HEIGHT]) >> sub
            node = min(32, leaf[WIDTH]), min(32, leaf[HEIGHT])
            if (w, h) != (node[0] >> sub, node[1] >> sub):
                # A split of a rectangle gives squares of its shorter side.
                assert not sub
                assert w == h >= min(node) >> (depth - int(node[0] != node[1]))
            covered[unit[UNIT_PLANE]][y : y + h, x : x + w] += 1
            assert unit[UNIT_START] == level
            level += unit[UNIT_COUNT]
            assert unit[UNIT_COUNT] > 0
            assert levels[unit[UNIT_START] : level, LEVEL_VALUE].all()
    assert level == pool.counts[1]
    assert max(c.max() for c in covered) <= 1
