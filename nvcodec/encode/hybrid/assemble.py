"""From decisions to tables: units in coding order, and the quantiser index of each leaf."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    CODED,
    FIRST,
    INTRA,
    LEVEL_COLUMNS,
    UNIT_COLUMNS,
    UNIT_COUNT,
    UNIT_START,
    UNITS,
    Q,
    Table,
    X,
    Y,
)
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.encode.hybrid.search.palette_tables import settle_palettes
from nvcodec.encode.hybrid.search.units import Pool


@kernel
def _level_count(leaves: np.ndarray, pool_units: np.ndarray) -> Integer:
    """Number of levels of all leaves."""
    count: Integer = np.int64(0)
    for k in range(leaves.shape[0]):
        first = leaves[k, FIRST]
        for u in range(first, first + leaves[k, UNITS]):
            count += pool_units[u, UNIT_COUNT]
    return count


@allocating
def _assemble(
    leaves: np.ndarray,
    pool_units: np.ndarray,
    pool_levels: np.ndarray,
    q: np.ndarray,
    quantiser: Integer,
    units: np.ndarray,
    levels: np.ndarray,
) -> None:
    """Copy the units and levels of all leaves in coding order; set Q of each leaf.

    Q changes at the first leaf of a quantiser block that codes a delta (spec 7.5).
    """
    running = quantiser
    unit_count = 0
    level_count = 0
    pending = True
    for k in range(leaves.shape[0]):
        leaf = leaves[k]
        if ((leaf[X] | leaf[Y]) & 31) == 0:
            pending = True
        if (leaf[INTRA] or leaf[CODED]) and pending:
            pending = False
            running = q[leaf[Y] >> 5, leaf[X] >> 5]
        leaf[Q] = running
        first = leaf[FIRST]
        leaf[FIRST] = unit_count
        for u in range(first, first + leaf[UNITS]):
            units[unit_count] = pool_units[u]
            start = pool_units[u, UNIT_START]
            units[unit_count, UNIT_START] = level_count
            for j in range(start, start + pool_units[u, UNIT_COUNT]):
                levels[level_count] = pool_levels[j]
                level_count += 1
            unit_count += 1


def assemble(
    leaves: Table, pool: Pool, q: np.ndarray, quantiser: int
) -> tuple[Table, Table, Table]:
    """The tables of leaves, units and levels that the substreams code (coding.hybrid.leaves).

    `leaves` refer to units in `pool`; they are copied, not changed. `q` (u8) has the quantiser
    index of each 32 x 32 luma block; a leaf takes that of the block that it begins in. `quantiser`
    is the index that the canvas starts from.
    """
    units = np.empty((int(leaves[:, UNITS].sum()), UNIT_COLUMNS), np.int32)
    levels = np.empty((_level_count(leaves, pool.units), LEVEL_COLUMNS), np.int32)
    leaves = leaves.copy()
    _assemble(leaves, pool.units, pool.levels, q, quantiser, units, levels)
    settle_palettes(units, levels)
    return leaves, units, levels
