"""What a tool that is off does to the prices."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.group import default_prices
from nvcodec.encode.hybrid.rate.tradeoff import WEIGHT
from nvcodec.encode.hybrid.search.block import NEVER
from nvcodec.encode.hybrid.tools import Tools
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP

ANY = slice(None)
WHOLE, DIVIDED, YES = 0, 1, 1
SEVERAL, TWO = slice(1, None), slice(2, None)
"""Luma blocks of a leaf of 8 x 8."""
SIZE_4_OF_8, SIZE_32 = 0, 2
"""In the tables of transform trees."""
SIDE_32 = slice(1, None)
"""Of nodes that are no squares, 8 x 32 and 16 x 32."""
SIZES_OF_SPLITS = {16: 0, 32: 1, 64: 2}

TAKEN = [
    (0, Tools(), []),
    (1, Tools(), []),
    (
        0,
        Tools(transform_4=False),
        [("content", "tree", (SIZE_4_OF_8, DIVIDED)), ("intra", "cut", SEVERAL)],
    ),
    (
        2,
        Tools(transform_4=False),
        [("content", "tree", (SIZE_4_OF_8, DIVIDED)), ("intra", "cut", SEVERAL)],
    ),
    (0, Tools(halves=False), [("intra", "halved", (..., YES)), ("intra", "cut", TWO)]),
    (
        2,
        Tools(halves=False),
        [
            ("intra", "halved", (..., YES)),
            ("intra", "cut", TWO),
            ("motion", "halved", (..., YES)),
        ],
    ),
    (0, Tools(linear_chroma=False), [("intra", "chroma", (ANY, slice(5, None)))]),
    (1, Tools(sine=False), [("content", "sine", (ANY, ANY, YES))]),
    (0, Tools(key_transform_32=False), [("intra", "split", (SIZES_OF_SPLITS[32], ANY, WHOLE))]),
    (1, Tools(key_transform_32=False), []),
    (
        1,
        Tools(inter_transform_32=False),
        [("content", "tree", (SIZE_32, WHOLE)), ("content", "uneven_tree", (SIDE_32, WHOLE))],
    ),
    (0, Tools(inter_transform_32=False, merge=False, bi=False, largest_inter=32), []),
    (2, Tools(merge=False), [("motion", "merge", (ANY, ANY, YES))]),
    (2, Tools(bi=False), [("motion", "both", (ANY, YES))]),
    (2, Tools(affine=False), [("motion", "affine", (ANY, ANY, ANY, YES))]),
    (1, Tools(largest_inter=32), [("motion", "split", (SIZES_OF_SPLITS[64], ANY, WHOLE))]),
    (
        1,
        Tools(smallest_inter=16),
        [
            ("motion", "split", (SIZES_OF_SPLITS[16], ANY, DIVIDED)),
            ("motion", "halved", (0, SIZES_OF_SPLITS[16], ANY, YES)),
            ("motion", "halved", (1, SIZES_OF_SPLITS[32], ANY, YES)),
        ],
    ),
]


@pytest.mark.parametrize(("canvas_set", "tools", "taken"), TAKEN)
def test_only_the_tools_that_are_off_are_unaffordable(canvas_set, tools, taken):
    prices, before = default_prices(canvas_set, tools), default_prices(canvas_set)
    for table in ("motion", "intra", "content"):
        found, usual = getattr(prices, table), getattr(before, table)
        for name in found.dtype.names if found is not None else ():
            if found.dtype[name].names:
                assert found[name] == usual[name]
                continue
            off = np.zeros(found[name].shape, bool)
            for _, _, index in [entry for entry in taken if entry[:2] == (table, name)]:
                off[index] = True
            np.testing.assert_array_equal(found[name][~off], usual[name][~off])
            # More than all bits of a block, and yet possible where there is no choice.
            for step in (REAL_STEP.min(), REAL_STEP.max()):
                lam = WEIGHT * step.astype(float) ** 2
                assert (lam * found[name][off] > 64 * 64 * 255**2).all()
                assert (lam * found[name][off] < NEVER / 3).all()
