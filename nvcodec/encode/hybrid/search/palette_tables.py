"""Palettes in the tables of a canvas: from the search to the pool, and as they are coded.

The search appends each palette as new colours; at the end `settle_palettes` says which are known.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    LEVEL_POSITION,
    LEVEL_VALUE,
    PAINTED,
    UNIT_COUNT,
    UNIT_PLANE,
    UNIT_START,
    UNIT_TRANSFORM,
    UNIT_WIDTH,
    Table,
)
from nvcodec.coding.hybrid.palettes import (
    MOST_COLOURS,
    MOST_KNOWN,
    NEW,
    PaletteSpace,
    remember,
)
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.encode.hybrid.search.palette import PaletteSearch
from nvcodec.encode.hybrid.search.units import Pool, begin_unit, end_unit


@kernel
def append_palette(
    pool: Pool, p: PaletteSearch, plane: Integer, x: Integer, y: Integer, n: Integer, top: Integer
) -> None:
    """Append the best palette of a block at (y, x) to the pool, all its colours as new ones."""
    at = begin_unit(pool, plane, x, y, n, n, PAINTED)
    for k in range(p.most[plane]):
        pool.levels[at, LEVEL_POSITION] = NEW
        pool.levels[at, LEVEL_VALUE] = p.colours[plane, k]
        at += 1
    for i in range(top, top + n):
        for j in range(n):
            index = p.indices[plane, i, j]
            pool.levels[at, LEVEL_POSITION] = index
            pool.levels[at, LEVEL_VALUE] = p.colours[plane, index]
            at += 1
    end_unit(pool, at)


@kernel
def recall_colours(p: PaletteSearch, units: np.ndarray, levels: np.ndarray, unit: Integer) -> None:
    """Append the colours of a palette in the tables to the list, as long as it has room.

    Palettes are recalled from the last one back.
    """
    space = p.trial
    plane = np.int64(units[unit, UNIT_PLANE])
    n = np.int64(units[unit, UNIT_WIDTH])
    start = np.int64(units[unit, UNIT_START])
    for row in range(start, start + units[unit, UNIT_COUNT] - n * n):
        colour = levels[row, LEVEL_VALUE]
        found = False
        for k in range(space.length[plane]):
            found = found or space.known[plane, k] == colour
        if not found:
            if space.length[plane] == MOST_KNOWN:
                return
            space.known[plane, space.length[plane]] = colour
            space.length[plane] += 1


@allocating
def _settle(units: np.ndarray, levels: np.ndarray, space: PaletteSpace) -> None:
    """Say for all palettes of a canvas, in coding order, which colours are known."""
    place = np.zeros(MOST_COLOURS, np.int64)
    old = np.zeros(MOST_COLOURS, np.int64)
    for unit in range(units.shape[0]):
        if units[unit, UNIT_TRANSFORM] != PAINTED:
            continue
        plane = np.int64(units[unit, UNIT_PLANE])
        n = np.int64(units[unit, UNIT_WIDTH])
        start = np.int64(units[unit, UNIT_START])
        count = np.int64(units[unit, UNIT_COUNT]) - n * n
        for k in range(count):
            old[k] = levels[start + k, LEVEL_VALUE]
            place[k] = -1
        at = 0
        for e in range(space.length[plane]):
            space.used[e] = 0
            for k in range(count):
                if place[k] < 0 and old[k] == space.known[plane, e]:
                    place[k] = at
                    levels[start + at, LEVEL_POSITION] = e
                    levels[start + at, LEVEL_VALUE] = old[k]
                    space.colours[at] = old[k]
                    space.used[e] = 1
                    at += 1
        while at < count:
            least = -1
            for k in range(count):
                if place[k] < 0 and (least < 0 or old[k] < old[least]):
                    least = k
            place[least] = at
            levels[start + at, LEVEL_POSITION] = NEW
            levels[start + at, LEVEL_VALUE] = old[least]
            space.colours[at] = old[least]
            at += 1
        for row in range(start + count, start + count + n * n):
            levels[row, LEVEL_POSITION] = place[levels[row, LEVEL_POSITION]]
        remember(space, plane, count)


def settle_palettes(units: Table, levels: Table) -> None:
    """Order the colours of the palettes of a canvas as they are coded (spec 7.9), in place."""
    if (units[:, UNIT_TRANSFORM] == PAINTED).any():
        _settle(units, levels, PaletteSpace.make())
