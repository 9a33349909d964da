"""Tables of a canvas from the encoder's decisions."""

from types import SimpleNamespace

import numpy as np

from nvcodec.coding.hybrid.leaves import CODED, FIRST, INTRA, UNIT_COUNT, UNIT_START, UNITS, Q, X, Y
from nvcodec.encode.hybrid.assemble import assemble
from nvcodec.encode.hybrid.search.palette_tables import settle_palettes
from tests.coding.hybrid.tables import random_content, random_leaves
from tests.kernels import assert_same

WIDTH, HEIGHT = 192, 136


def slow_q(leaves, q, quantiser):
    """A leaf has the index of its 32 x 32 block from the first one of it that is coded on."""
    found, running, pending = [], quantiser, True
    for leaf in leaves:
        pending |= leaf[X] % 32 == 0 and leaf[Y] % 32 == 0
        if pending and (leaf[INTRA] or leaf[CODED]):
            running, pending = q[leaf[Y] // 32, leaf[X] // 32], False
        found.append(running)
    return np.array(found)


def test_assemble(kernel_bench):
    rng = np.random.default_rng(0)
    leaves = random_leaves(rng, WIDTH, HEIGHT, 2)
    units, levels = random_content(rng, leaves, 30, True)
    q = rng.integers(0, 64, (-(-HEIGHT // 32), -(-WIDTH // 32)))
    # Leaves are decided in any order: the pool has the units of the last ones first.
    pool_leaves, pool_units, pool_levels = leaves.copy(), [], []
    for leaf in pool_leaves[::-1]:
        own = units[leaf[FIRST] :][: leaf[UNITS]].copy()
        leaf[FIRST] = len(pool_units)
        for unit in own:
            some = levels[unit[UNIT_START] :][: unit[UNIT_COUNT]]
            unit[UNIT_START] = len(pool_levels)
            pool_levels.extend(some)
            pool_units.append(unit)
    pool = SimpleNamespace(units=np.array(pool_units), levels=np.array(pool_levels))

    def slow():
        expected, found_units, found_levels = leaves.copy(), [], []
        expected[:, Q] = slow_q(leaves, q, 30)
        for leaf in pool_leaves:
            for unit in pool.units[leaf[FIRST] :][: leaf[UNITS]].tolist():
                start, count = unit[UNIT_START], unit[UNIT_COUNT]
                found_units.append([*unit[:UNIT_START], len(found_levels), *unit[UNIT_COUNT:]])
                found_levels += pool.levels[start : start + count].tolist()
        tables = np.array(found_units), np.array(found_levels)
        settle_palettes(*tables)
        return expected, *tables

    settle_palettes(units, levels)
    assert_same(slow()[1:], (units, levels))
    kernel_bench(
        "assemble", len(levels), lambda: assemble(pool_leaves, pool, q, 30), slow, unit="level"
    )
