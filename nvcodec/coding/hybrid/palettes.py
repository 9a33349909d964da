"""Palettes of intra leaves (spec 7.9): colours, and an index for each sample, to bits and back.

In the tables a block of a palette leaf is a unit whose UNIT_TRANSFORM is PAINTED. Its levels are
first its colours: LEVEL_POSITION is the entry of the list of known colours that is used again,
or NEW, LEVEL_VALUE the colour. A row for each sample follows, row by row: the index of its colour,
and the colour itself.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.filters import FILTERS_END
from nvcodec.coding.hybrid.leaves import LEVEL_POSITION, LEVEL_VALUE
from nvcodec.coding.syntax import ENCODING, bit, bypass, part
from nvcodec.compiled import Integer, kernel
from nvcodec.records import Record, array

MOST_COLOURS = 16
"""Most colours of a palette."""
MOST_KNOWN = 32
"""Most entries of the list of known colours of a plane."""
NEW = MOST_KNOWN
"""LEVEL_POSITION of a colour that is not taken from the list."""
SIDE = 32
"""Samples across the largest block."""

# Numbers of the first context of each kind (spec 7.7).
REUSE = FILTERS_END
COLOURS = REUSE + 22
HIT = COLOURS + 16
NEXT = HIT + 100
UNTRIED = NEXT + 30
PARALLEL = UNTRIED + 16
PALETTES_END = PARALLEL + 4


class PaletteSpace(Record):
    """What palettes of a canvas are coded with; zero before its first leaf.

    Attributes:
        known: the list of known colours of each plane.
        length: the number of its entries.
        used: 1 for each entry of the list that the palette takes.
        colours: the palette.
        indices: of the blocks of the leaf, by plane.
        recent: the indices of the palette, the one that was used last first.
        beside: indices around a sample, and their pattern: see `look_around`.
        parallel: by index of the plane before: the index that was last at such a sample, or -1.

    """

    known = array(np.int64, 3, MOST_KNOWN)
    length = array(np.int64, 3)
    used = array(np.int64, MOST_KNOWN)
    colours = array(np.int64, MOST_COLOURS)
    indices = array(np.int64, 3, SIDE, SIDE)
    recent = array(np.int64, MOST_COLOURS)
    beside = array(np.int64, 5)
    parallel = array(np.int64, MOST_COLOURS)


@kernel
def reuse_context(plane: Integer, entry: Integer) -> Integer:
    """The context REUSE of an entry of the list."""
    return REUSE + (11 if plane > 0 else 0) + (entry if entry < 8 else 7 + (entry >> 3))


@kernel
def bits_of(value: Integer) -> Integer:
    """BitLength of spec 1.2."""
    bits = 0
    while value > 0:
        value >>= 1
        bits += 1
    return bits


@kernel
def remember(space: PaletteSpace, plane: Integer, count: Integer) -> None:
    """Put the `count` colours of a palette before the entries of the list that it does not use."""
    known, used, colours = space.known[plane], space.used, space.colours
    length = space.length[plane]
    kept = 0
    for k in range(length):
        if not used[k]:
            known[kept] = known[k]
            kept += 1
    kept = min(kept, MOST_KNOWN - count)
    for k in range(kept - 1, -1, -1):
        known[k + count] = known[k]
    for k in range(count):
        known[k] = colours[k]
    space.length[plane] = kept + count


@kernel
def begin_indices(space: PaletteSpace) -> None:
    """Reset `recent` and `parallel` before the first index of a block."""
    for k in range(MOST_COLOURS):
        space.recent[k] = k
        space.parallel[k] = -1


@kernel
def look_around(
    indices: np.ndarray, top: Integer, i: Integer, j: Integer, n: Integer, beside: np.ndarray
) -> None:
    """Set `beside` to the four candidates of a sample (-1: none), and the pattern around it.

    The sample is in row i, column j of the block of n x n that begins in row `top` of `indices`.
    """
    if i == 0 and j == 0:
        for k in range(5):
            beside[k] = -1
        return
    row = top + i
    if j == 0:
        north = indices[row - 1, j]
        west = north
        north_west = north
        far_west = north
        north_east = indices[row - 1, j + 1]
    else:
        west = indices[row, j - 1]
        far_west = indices[row, j - 2] if j > 1 else west
        north = west
        north_west = west
        north_east = west
        if i > 0:
            north = indices[row - 1, j]
            north_west = indices[row - 1, j - 1]
            north_east = indices[row - 1, j + 1] if j + 1 < n else north
    form = 4
    if west == north:
        form = 0 if west == north_west else 1
    elif west == north_west:
        form = 2
    elif north == north_west:
        form = 3
    beside[0] = north if form == 2 else west
    beside[1] = west if form == 2 else north
    beside[2] = north_east
    beside[3] = north_west
    beside[4] = 4 * form + (2 if north == north_east else 0) + (1 if west == far_west else 0)


@kernel
def reference_of(
    before: np.ndarray, row: Integer, j: Integer, down: Integer, across: Integer
) -> tuple[Integer, Integer]:
    """`reference` of the sample in row `row` of its leaf, column j, and `same`.

    `before` has the indices of the plane before; `down` and `across` are those of `painted_unit`.
    """
    reference = before[row << down, j << across]
    beside = before[row << down, max(j - 1, 0) << across]
    return reference, 1 if reference == beside else 0


@kernel
def hit_class(plane: Integer, count: Integer, missed: Integer) -> Integer:
    """The class of HIT: by the number of colours in luma, in chroma by a missed PARALLEL."""
    if plane > 0:
        return 3 + missed
    return 0 if count == 2 else 1 if count < 6 else 2


@kernel
def to_front(recent: np.ndarray, index: Integer) -> None:
    """Move an index to the front of `recent`."""
    k = 0
    while recent[k] != index:
        k += 1
    while k > 0:
        recent[k] = recent[k - 1]
        k -= 1
    recent[0] = index


@part
def palette_colours(
    levels: np.ndarray, start: int, total: int, space: PaletteSpace, plane: int, depth: int
) -> int:
    """The colours of a palette of samples of `depth` bits; returns their number.

    Their rows begin at `start`. In the encoder there are `total`; the result is 0 if they cannot be
    coded.
    """
    known = space.known[plane]
    used = space.used
    colours = space.colours
    peak = (1 << depth) - 1
    count = 0
    wanted = 0
    for entry in range(space.length[plane]):
        used[entry] = 0
        if count < MOST_COLOURS:
            if ENCODING:
                wanted = 0
                if count < total and levels[start + count, LEVEL_POSITION] == entry:
                    wanted = 1
            reused = bit(reuse_context(plane, entry), wanted)
            if reused != 0:
                used[entry] = 1
                colours[count] = known[entry]
                if ENCODING:
                    if levels[start + count, LEVEL_VALUE] != known[entry]:
                        total = -1
                else:
                    levels[start + count, LEVEL_POSITION] = entry
                    levels[start + count, LEVEL_VALUE] = known[entry]
                count += 1
    new = 0
    last = -1
    while count < MOST_COLOURS:
        more = 1
        if count > 0:
            if ENCODING:
                wanted = 1 if count < total else 0
            more = bit(COLOURS + (8 if plane > 0 else 0) + min(new, 7), wanted)
        if more == 0:
            break
        width = depth if last < 0 else bits_of(peak - last)
        rest = 0
        if ENCODING:
            rest = levels[start + count, LEVEL_VALUE] - last - 1
        value = 0
        for k in range(width):
            b = bypass((rest >> (width - 1 - k)) & 1)
            value = 2 * value + b
        last = min(peak, last + 1 + value)
        colours[count] = last
        if ENCODING:
            row = start + count
            if levels[row, LEVEL_POSITION] != NEW or levels[row, LEVEL_VALUE] != last:
                total = -1
        else:
            levels[start + count, LEVEL_POSITION] = NEW
            levels[start + count, LEVEL_VALUE] = last
        count += 1
        new += 1
    if ENCODING:
        count = count if count == total else 0
    return count


@part
def palette_index(
    wanted: int, space: PaletteSpace, plane: int, count: int, reference: int, same: int
) -> int:
    """An index of a palette of `count` > 1 colours, where space.beside is set.

    `reference` is the index of the plane before at the sample; `same` is 1 if the sample to the
    left has the same.
    """
    beside = space.beside
    tried = 0
    left = count
    missed = 0
    index = -1
    if plane > 0:
        likely = space.parallel[reference]
        if likely >= 0:
            context = PARALLEL + 2 * same + (1 if likely == beside[0] else 0)
            parallel = bit(context, 1 if wanted == likely else 0)
            if parallel != 0:
                index = likely
            else:
                tried = 1 << likely
                left -= 1
                missed = 1
    k = 0
    while k < 4 and index < 0:
        candidate = beside[k]
        if candidate >= 0 and (tried >> candidate) & 1 == 0:
            hit = 1
            if left > 1:
                context = NEXT + (15 if plane > 0 else 0) + 5 * (k - 1) + (beside[4] >> 2)
                if k == 0:
                    context = HIT + 20 * hit_class(plane, count, missed) + beside[4]
                hit = bit(context, 1 if wanted == candidate else 0)
            if hit != 0:
                index = candidate
            else:
                tried |= 1 << candidate
                left -= 1
        k += 1
    k = 0
    while index < 0:
        candidate = space.recent[k]
        if (tried >> candidate) & 1 == 0:
            hit = 1
            if left > 1:
                context = UNTRIED + (8 if plane > 0 else 0) + min(left - 2, 7)
                hit = bit(context, 1 if wanted == candidate else 0)
            if hit != 0:
                index = candidate
            else:
                tried |= 1 << candidate
                left -= 1
        k += 1
    return index


@part
def painted_unit(
    levels: np.ndarray,
    start: int,
    stop: int,
    space: PaletteSpace,
    plane: int,
    n: int,
    top: int,
    across: int,
    down: int,
    depth: int,
) -> int:
    """Palette and indices of a block of n x n samples (spec 7.9); returns the end of its rows.

    They begin at `start` and in the encoder end at `stop`, where the result differs from it if they
    cannot be coded. The block begins in row `top` of those of the leaf in its plane. `across` and
    `down` are log2 of SubX and SubY for Cb, else 0.
    """
    total = 0
    if ENCODING:
        total = stop - start - n * n
    count = palette_colours(levels, start, total, space, plane, depth)
    level = start + count
    if count > 0:
        remember(space, plane, count)
        begin_indices(space)
        indices = space.indices[plane]
        before = space.indices[max(plane - 1, 0)]
        for i in range(n):
            for j in range(n):
                index = 0
                if count > 1:
                    look_around(indices, top, i, j, n, space.beside)
                    reference = 0
                    same = 0
                    if plane > 0:
                        reference, same = reference_of(before, top + i, j, down, across)
                    wanted = 0
                    if ENCODING:
                        wanted = min(max(levels[level, LEVEL_POSITION], 0), count - 1)
                    index = palette_index(wanted, space, plane, count, reference, same)
                    to_front(space.recent, index)
                    space.parallel[reference] = index
                indices[top + i, j] = index
                if ENCODING:
                    if (
                        levels[level, LEVEL_POSITION] != index
                        or levels[level, LEVEL_VALUE] != space.colours[index]
                    ):
                        count = 0
                else:
                    levels[level, LEVEL_POSITION] = index
                    levels[level, LEVEL_VALUE] = space.colours[index]
                level += 1
    if ENCODING:
        level = level if count > 0 else -1
    return level
