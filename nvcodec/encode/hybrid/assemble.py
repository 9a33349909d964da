"""Decisions to tables: units of leaves in coding order, and the quantiser index of each leaf."""

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
from nvcodec.compiled import Integer, allocating
from nvcodec.encode.hybrid.search.units import Pool


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
    """Copy units and levels of all leaves in their order, and set Q where the syntax changes it."""
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
    """Leaves, units and levels as the substreams code them (coding.leaves).

    `leaves` have their units in `pool`; `q` is that of 32 x 32 blocks, of which a leaf of 64 takes
    the first.
    """
    units = np.empty((int(leaves[:, UNITS].sum()), UNIT_COLUMNS), np.int32)
    counts = [
        int(pool.units[first : first + number, UNIT_COUNT].sum())
        for first, number in leaves[leaves[:, UNITS] > 0][:, [FIRST, UNITS]]
    ]
    levels = np.empty((sum(counts), LEVEL_COLUMNS), np.int32)
    leaves = leaves.copy()
    _assemble(leaves, pool.units, pool.levels, q, quantiser, units, levels)
    return leaves, units, levels
