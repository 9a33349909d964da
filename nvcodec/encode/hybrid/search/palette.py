"""Palettes of a block (spec 7.9): its colours and indices, chosen by squared error plus bits.

Takes source samples. Neighbouring values are merged into fewer and fewer colours (Ward's method);
some of these palettes are priced with the indices of least cost, and the cheapest is kept.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.palettes import (
    COLOURS,
    HIT,
    MOST_COLOURS,
    NEXT,
    PARALLEL,
    REUSE,
    SIDE,
    UNTRIED,
    PaletteSpace,
    begin_indices,
    bits_of,
    hit_class,
    look_around,
    reference_of,
    reuse_context,
    to_front,
)
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.search.block import NEVER
from nvcodec.records import Record, array, nested

MOST_VALUES = 128
"""A block with more different samples gets no palette."""
_TRIED = (16, 11, 8, 6, 5, 4, 3, 2, 1)
"""Numbers of colours that are tried."""
_NEW_BITS = 7.0
"""Bits of a new colour: a known one that is nearer than these are worth takes its place."""


class PaletteSearch(Record):
    """Scratch of the search, and the best palette of each plane of the leaf.

    Attributes:
        histogram: of the samples of a block; zero between uses.
        value, number: distinct samples in ascending order, and how many there are of each.
        total, count, error: sum, number and squared error of the samples of each cluster.
        trial: the palette on trial: its list of known colours is that of the last leaves.
        colours, indices, most: the best palettes, by plane: colours, indices, number of colours.

    """

    histogram = array(np.int32, 4096)
    value = array(np.int64, MOST_VALUES)
    number = array(np.int64, MOST_VALUES)
    total = array(np.float64, MOST_VALUES)
    count = array(np.float64, MOST_VALUES)
    error = array(np.float64, MOST_VALUES)
    trial = nested(PaletteSpace)
    colours = array(np.int64, 3, MOST_COLOURS)
    indices = array(np.int64, 3, SIDE, SIDE)
    most = array(np.int64, 3)


@kernel
def _count_values(
    p: PaletteSearch, source: np.ndarray, y: Integer, x: Integer, n: Integer
) -> Integer:
    """Fill value and number; returns the number of distinct samples, -1 if there are too many."""
    least = np.int64(source[y, x])
    greatest = least
    for i in range(n):
        for j in range(n):
            sample = np.int64(source[y + i, x + j])
            p.histogram[sample] += 1
            least = min(least, sample)
            greatest = max(greatest, sample)
    distinct = 0
    for v in range(least, greatest + 1):
        if p.histogram[v] > 0:
            if distinct < MOST_VALUES:
                p.value[distinct] = v
                p.number[distinct] = p.histogram[v]
            distinct += 1
            p.histogram[v] = 0
    return distinct if distinct <= MOST_VALUES else -1


@kernel
def _merge_cost(p: PaletteSearch, k: Integer) -> Real:
    """How much squared error grows if clusters k and k + 1 become one."""
    a, b = p.count[k], p.count[k + 1]
    distance = p.total[k] / a - p.total[k + 1] / b
    return distance * distance * a * b / (a + b)


@kernel
def _merge(p: PaletteSearch, clusters: Integer) -> None:
    """Merge the two neighbouring clusters that cost least."""
    best = 0
    least = NEVER
    for k in range(clusters - 1):
        cost = _merge_cost(p, k)
        if cost < least:
            least = cost
            best = k
    p.error[best] += p.error[best + 1] + least
    p.total[best] += p.total[best + 1]
    p.count[best] += p.count[best + 1]
    for k in range(best + 1, clusters - 1):
        p.error[k] = p.error[k + 1]
        p.total[k] = p.total[k + 1]
        p.count[k] = p.count[k + 1]


@kernel
def _set_colours(
    p: PaletteSearch,
    costs: np.ndarray,
    plane: Integer,
    clusters: Integer,
    depth: Integer,
    lam: Real,
) -> tuple[Integer, Real]:
    """Set the colours on trial from the clusters; returns their number and their bits.

    Colours that are used again come first, in the order of the list.
    """
    space = p.trial
    known, used, colours = space.known[plane], space.used, space.colours
    for k in range(space.length[plane]):
        used[k] = 0
    new = 0
    for k in range(clusters):
        mean = p.total[k] / p.count[k]
        reach = lam * _NEW_BITS
        nearest = -1
        for e in range(space.length[plane]):
            distance = known[e] - mean
            if distance * distance * p.count[k] < reach:
                reach = distance * distance * p.count[k]
                nearest = e
        if nearest >= 0:
            used[nearest] = 1
        else:
            colour = np.int64(mean + 0.5)
            if new == 0 or p.number[new - 1] != colour:
                # The values are no longer needed; their place takes the new colours.
                p.number[new] = colour
                new += 1
    count = 0
    bits = 0.0
    for e in range(space.length[plane]):
        if count < MOST_COLOURS:
            bits += costs[reuse_context(plane, e) - REUSE, used[e]]
        if used[e]:
            colours[count] = known[e]
            count += 1
    first = COLOURS - REUSE + (8 if plane > 0 else 0)
    last = -1
    for k in range(new):
        if count > 0:
            bits += costs[first + min(k, 7), 1]
        bits += depth if last < 0 else bits_of((1 << depth) - 1 - last)
        last = p.number[k]
        colours[count] = last
        count += 1
    if count < MOST_COLOURS:
        bits += costs[first + min(new, 7), 0]
    return count, bits


@kernel
def _index_bits(
    space: PaletteSpace,
    costs: np.ndarray,
    plane: Integer,
    count: Integer,
    reference: Integer,
    same: Integer,
    wanted: Integer,
) -> Real:
    """Bits of an index, as in `palettes.palette_index`."""
    beside = space.beside
    tried = 0
    left = count
    missed = 0
    bits = 0.0
    if plane > 0 and space.parallel[reference] >= 0:
        likely = space.parallel[reference]
        context = PARALLEL - REUSE + 2 * same + (1 if likely == beside[0] else 0)
        if wanted == likely:
            return costs[context, 1]
        bits += costs[context, 0]
        tried = 1 << likely
        left -= 1
        missed = 1
    for k in range(4):
        candidate = beside[k]
        if candidate < 0 or (tried >> candidate) & 1:
            continue
        if left == 1:
            return bits
        context = NEXT - REUSE + (15 if plane > 0 else 0) + 5 * (k - 1) + (beside[4] >> 2)
        if k == 0:
            context = HIT - REUSE + 20 * hit_class(plane, count, missed) + beside[4]
        if candidate == wanted:
            return bits + costs[context, 1]
        bits += costs[context, 0]
        tried |= 1 << candidate
        left -= 1
    for k in range(count):
        candidate = space.recent[k]
        if (tried >> candidate) & 1:
            continue
        if left == 1:
            return bits
        context = UNTRIED - REUSE + (8 if plane > 0 else 0) + min(left - 2, 7)
        if candidate == wanted:
            return bits + costs[context, 1]
        bits += costs[context, 0]
        tried |= 1 << candidate
        left -= 1
    return bits


@kernel
def _set_indices(
    p: PaletteSearch,
    costs: np.ndarray,
    source: np.ndarray,
    plane: Integer,
    y: Integer,
    x: Integer,
    n: Integer,
    shifts: tuple[Integer, Integer, Integer],
    count: Integer,
    lam: Real,
    most: Real,
) -> Real:
    """Choose the indices on trial; returns squared error plus lambda times their bits.

    Each sample takes the nearest colour or that of a candidate. `shifts` are the first row, and
    log2 of SubY and SubX for Cb. Stops when the cost reaches `most`.
    """
    space = p.trial
    colours, indices = space.colours, space.indices[plane]
    before = p.indices[max(plane - 1, 0)]
    top, down, across = shifts
    begin_indices(space)
    cost = 0.0
    for i in range(n):
        for j in range(n):
            v = np.int64(source[y + i, x + j])
            nearest = 0
            for k in range(1, count):
                if abs(colours[k] - v) < abs(colours[nearest] - v):
                    nearest = k
            error = (colours[nearest] - v) * (colours[nearest] - v)
            index = nearest
            if count > 1:
                look_around(indices, top, i, j, n, space.beside)
                reference = 0
                same = 0
                if plane > 0:
                    reference, same = reference_of(before, top + i, j, down, across)
                bits = _index_bits(space, costs, plane, count, reference, same, nearest)
                least = error + lam * bits
                for k in range(-1, 3):
                    other = space.parallel[reference] if k < 0 else space.beside[k]
                    if other < 0 or other == index or (k < 0 and plane == 0):
                        continue
                    distance = (colours[other] - v) * (colours[other] - v)
                    if distance < least:
                        bits = _index_bits(space, costs, plane, count, reference, same, other)
                        if distance + lam * bits < least:
                            least = distance + lam * bits
                            index = other
                cost += least
                to_front(space.recent, index)
                space.parallel[reference] = index
            else:
                cost += error
            indices[top + i, j] = index
        if cost >= most:
            break
    return cost


@kernel
def find_palette(
    p: PaletteSearch,
    costs: np.ndarray,
    source: np.ndarray,
    plane: Integer,
    y: Integer,
    x: Integer,
    n: Integer,
    shifts: tuple[Integer, Integer, Integer],
    depth: Integer,
    lam: Real,
    most: Real,
) -> Real:
    """The least cost of a palette of a block of n x n samples at (y, x) of a plane.

    `costs` are the bits of the contexts from REUSE on. See `_set_indices` for `shifts`. The cost is
    NEVER unless it is below `most`. The palette is left in p.colours, p.indices and p.most.
    """
    distinct = _count_values(p, source, y, x, n)
    if distinct < 0:
        return NEVER
    for k in range(distinct):
        p.count[k] = p.number[k]
        p.total[k] = p.number[k] * p.value[k]
        p.error[k] = 0.0
    best = NEVER
    space = p.trial
    top = shifts[0]
    clusters = distinct
    for wanted in _TRIED:
        if (wanted >= clusters and clusters < distinct) or (wanted > distinct and wanted != 16):
            continue
        while clusters > wanted:
            _merge(p, clusters)
            clusters -= 1
        error = 0.0
        for k in range(clusters):
            error += p.error[k]
        if error >= min(best, most):
            break
        count, bits = _set_colours(p, costs, plane, clusters, depth, lam)
        start = lam * bits
        limit = min(best, most) - start
        if limit <= 0.0:
            continue
        cost = _set_indices(p, costs, source, plane, y, x, n, shifts, count, lam, limit)
        if cost < limit:
            best = start + cost
            p.most[plane] = count
            for k in range(count):
                p.colours[plane, k] = space.colours[k]
            for i in range(top, top + n):
                for j in range(n):
                    p.indices[plane, i, j] = space.indices[plane, i, j]
    return best


@kernel
def paint_block(
    p: PaletteSearch, plane: Integer, n: Integer, top: Integer, out: np.ndarray
) -> None:
    """Set out[:n, :n] to the samples of the best palette."""
    for i in range(n):
        for j in range(n):
            out[i, j] = p.colours[plane, p.indices[plane, top + i, j]]


@kernel
def forget_colours(p: PaletteSearch) -> None:
    """Empty the lists of known colours."""
    for plane in range(3):
        p.trial.length[plane] = 0
