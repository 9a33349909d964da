"""The leaves of an inter canvas (spec 7.4, 8.2): its partition, and how each leaf is predicted.

Takes source luma, references at quarter samples and rate tables; gives leaves. Intra leaves are
only marked as intra: `intra` decides them later. Each tool offers candidates by SATD plus rate. If
the preset says so, the best of them are coded on trial (RDO).
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    AFFINE,
    DIRECTION,
    GRADIENTS,
    HEIGHT,
    INDEX,
    INTRA,
    MERGE,
    VY0,
    WIDTH,
    X,
    Y,
)
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.search.affine import offer_affine_merges, offer_gradients
from nvcodec.encode.hybrid.search.bi import offer_both
from nvcodec.encode.hybrid.search.block import (
    NEVER,
    Block,
    area_at,
    block_at,
    half_of,
    log2,
    narrower_beside,
    packed_size,
    smaller_beside,
)
from nvcodec.encode.hybrid.search.intra import intra_cost
from nvcodec.encode.hybrid.search.merge import offer_merges
from nvcodec.encode.hybrid.search.partition import cost_of_quarters, partition
from nvcodec.encode.hybrid.search.prediction import (
    BEST_MERGE,
    CHOICE,
    DIFFERENCES,
    ENTRY,
    HALF,
    IS_AFFINE,
    LISTS,
    MERGED,
    OWN_VECTORS,
    PLACES,
    SINGLE,
    SLOPE_DIFFERENCES,
    SLOPES,
    STRIP,
    InterSearch,
    clear,
    set_choice,
    vector_at,
)
from nvcodec.encode.hybrid.search.trial import trial_cost
from nvcodec.encode.hybrid.search.vectors import offer_vectors
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT

_NEAR = 1.25
_NEAR_BITS = 4
"""Code on trial if SATD <= _NEAR x best + lambda x _NEAR_BITS."""
_OTHER_DIRECTION = 64
"""How much motion of different directions differs, in quarter samples."""
_LEAST_QUARTERS, _MOST_QUARTERS = 0.75, 1.1
"""Halves are tried if the quarters cost between so many times what the whole block costs. Nearly
all that halves save is there."""
_INTRA_FROM_BITS = 8
"""Bits per cell: intra prediction is not tried if the best inter SATD cost is below this."""


@kernel
def _offer(s: InterSearch, b: Block) -> None:
    """Collect the candidates that the tools offer for a block."""
    clear(s.candidates)
    offer_merges(s, b)
    offer_affine_merges(s, b)
    if s.candidates.cost[BEST_MERGE] >= s.limits.merge_bits * b.lam_satd * b.wide * b.tall / 64:
        offer_vectors(s, b)
        offer_both(s, b)
        offer_gradients(s, b)


@kernel
def _places(s: InterSearch) -> Integer:
    """The number of places that have candidates."""
    return PLACES if s.limits.apart else SINGLE


@kernel
def _best_place(merge: Real, own: Real) -> Integer:
    """The place of the best candidate, by the costs at BEST_MERGE and at OWN_VECTORS."""
    return OWN_VECTORS if own < merge else BEST_MERGE


@kernel
def _take(s: InterSearch, b: Block, place: Integer) -> None:
    """Choose the candidate at a place for a block."""
    for k in range(CHOICE):
        s.candidates.around[b.slot, k] = s.candidates.choice[place, k]


@kernel
def _choose(s: InterSearch, b: Block) -> Real:
    """Choose one of the candidates, which says how a leaf is predicted; returns its cost.

    The cost is in squared error with s.trial, else in SATD.
    """
    c = s.candidates
    best_satd = min(c.cost[BEST_MERGE], c.cost[OWN_VECTORS])
    c.satd[b.slot] = best_satd
    if not s.trial:
        _take(s, b, _best_place(c.cost[BEST_MERGE], c.cost[OWN_VECTORS]))
        return best_satd
    near = _NEAR * best_satd + b.lam_satd * _NEAR_BITS
    best = NEVER
    for place in range(SINGLE if s.limits.apart else 0, _places(s)):
        if c.cost[place] < near:
            cost = trial_cost(s, b, place, best)
            if cost < best:
                best = cost
                c.chroma[1] = c.chroma[0]
                _take(s, b, place)
    few = _INTRA_FROM_BITS * b.lam_satd * b.wide * b.tall / 64
    if max(b.wide, b.tall) <= s.largest_intra and best_satd > few:
        # The chroma of an intra leaf is taken to cost what that of the best candidate does.
        cost = intra_cost(s, b, best_satd) + c.chroma[1]
        if cost < best:
            best = cost
            set_choice(c.around[b.slot], 0, 0, 0, 0, 0)
    return best


@kernel
def _put_cells(s: InterSearch, b: Block, choice: np.ndarray) -> None:
    """Write the choice of a leaf to its cells."""
    cells = s.cells
    packed = packed_size(b.wide, b.tall)
    for row in range(b.y >> 3, (b.y + b.tall) >> 3):
        for column in range(b.x >> 3, (b.x + b.wide) >> 3):
            cells.direction[row, column] = choice[LISTS]
            cells.available[row, column] = 1 if choice[LISTS] else 0
            cells.size[row, column] = packed
            cells.merged[row, column] = choice[MERGED]
            cells.affine[row, column] = choice[IS_AFFINE]
            for r in range(2):
                vy, vx = vector_at(s, b, choice, r, 8 * row, 8 * column)
                cells.vectors[r, row, column, 0] = vy
                cells.vectors[r, row, column, 1] = vx
            for c in range(4):
                cells.gradients[row, column, c] = choice[SLOPES + c]


@kernel
def _clear_cells(s: InterSearch, b: Block) -> None:
    """Make the cells of a block ones that are not decided."""
    for row in range(b.y >> 3, (b.y + b.tall) >> 3):
        for column in range(b.x >> 3, (b.x + b.wide) >> 3):
            s.cells.available[row, column] = 0


@kernel
def _keep_half(s: InterSearch, slot: Integer, beside: Integer, second: Integer) -> None:
    """Keep the candidates of a half."""
    c = s.candidates
    kept, costs = c.halves[slot - HALF, beside, second], c.halves_costs[slot - HALF, beside, second]
    for place in range(_places(s)):
        costs[place, 0] = c.cost[place]
        costs[place, 1] = c.bits[place]
        for k in range(CHOICE):
            kept[place, k] = c.choice[place, k]


@kernel
def _offer_half(s: InterSearch, b: Block, beside: Integer, second: Integer) -> None:
    """Collect the candidates for a half whose SATD was compared.

    They are the same as then, unless it is the second one and the first one moves in another way.
    """
    c = s.candidates
    kept, costs = c.halves[b.slot - HALF, beside], c.halves_costs[b.slot - HALF, beside]
    if second == 1:
        before, last = costs[0], c.tried_count[0] - 1
        place = _best_place(before[BEST_MERGE, 0], before[OWN_VECTORS, 0])
        same = c.tried[last, 2] == b.wide and c.tried[last, 3] == b.tall
        for k in range(CHOICE):
            same &= c.tried_choices[last, k] == kept[0, place, k]
        if not same:
            _offer(s, b)
            return
    for place in range(_places(s)):
        c.cost[place] = costs[second, place, 0]
        c.bits[place] = costs[second, place, 1]
        for k in range(CHOICE):
            c.choice[place, k] = kept[second, place, k]


@kernel
def _halves_satd(
    s: InterSearch, b: Block, beside: Integer, slot: Integer, bits: Real, most: Real
) -> Real:
    """SATD plus rate of the halves of an area, whose flags cost `bits`; NEVER if above `most`."""
    c = s.candidates
    total = b.lam_satd * bits
    for second in range(2):
        half = half_of(s.given, b, beside, second, slot)
        _offer(s, half)
        _keep_half(s, slot, beside, second)
        place = _best_place(c.cost[BEST_MERGE], c.cost[OWN_VECTORS])
        total += c.cost[place]
        if total > most:
            return NEVER
        _put_cells(s, half, c.choice[place])
    return total


@kernel
def _add_tried(s: InterSearch, b: Block, choice: np.ndarray) -> None:
    """Append a leaf to those on trial, and write it to the cells."""
    c = s.candidates
    k = c.tried_count[0]
    c.tried[k, 0], c.tried[k, 1], c.tried[k, 2], c.tried[k, 3] = b.y, b.x, b.wide, b.tall
    for i in range(CHOICE):
        c.tried_choices[k, i] = choice[i]
    c.tried_count[0] = k + 1
    _put_cells(s, b, choice)


@kernel
def _try_half(s: InterSearch, b: Block, beside: Integer, second: Integer, lam: Real) -> Real:
    """Decide a half, and whether it is halved again; appends its leaves and returns its cost."""
    c = s.candidates
    _offer_half(s, b, beside, second)
    cost = _choose(s, b)
    choice = c.around[HALF]
    if min(b.wide, b.tall) > CELL:
        longer = log2(max(b.wide, b.tall)) - 4
        flag = s.bits.halved[1, longer, smaller_beside(s.cells.size, b)]
        cost += lam * flag[0]
        costly = cost > s.limits.halves_bits * lam * b.wide * b.tall / 64
        most = s.limits.halves_satd * c.satd[HALF]
        if costly and _halves_satd(s, b, beside, STRIP, flag[1] - flag[0], most) < NEVER:
            _clear_cells(s, b)
            first = c.tried_count[0]
            total = lam * flag[1]
            for number in range(2):
                if total < cost:
                    strip = half_of(s.given, b, beside, number, STRIP)
                    _offer_half(s, strip, beside, number)
                    total += _choose(s, strip)
                    _add_tried(s, strip, c.around[STRIP])
            if total < cost:
                return total
            c.tried_count[0] = first
        _clear_cells(s, b)
    _add_tried(s, b, choice)
    return cost


@kernel
def _difference(cells: np.ndarray, a: Integer, b: Integer, step: Integer) -> Integer:
    """How much the motion of quarters a and b differs, from that of their first cells."""
    first = cells[step * (a >> 1), step * (a & 1)]
    second = cells[step * (b >> 1), step * (b & 1)]
    total = 0 if first[0] == second[0] else _OTHER_DIRECTION
    for k in range(4, 8):
        total += abs(first[k] - second[k])
    return total


@kernel
def _directions(s: InterSearch, b: Block, k: Integer) -> tuple[Integer, Integer]:
    """The directions to halve a block in, from the first to the last: 0 to 1 for both.

    It is the one in which the motion of quarters differs less, if all of them are known.
    """
    if s.walk.child[k] < 4:
        return 0, 1
    y, x, step = (b.y >> 3) & 7, (b.x >> 3) & 7, b.wide >> 4
    cells = s.candidates.cells[y:, x:]
    beside = _difference(cells, 0, 2, step) + _difference(cells, 1, 3, step)
    across = _difference(cells, 0, 1, step) + _difference(cells, 2, 3, step)
    if across == beside:
        return 0, 1
    return (0, 0) if across < beside else (1, 1)


@kernel
def _try_halves(s: InterSearch, b: Block, k: Integer, lam: Real, best: Real) -> Real:
    """Halve a block in the direction of the least SATD; returns the cost of its leaves on trial.

    A cost that is not below `best` may be partial; it is NEVER if SATD is too high. The cells of
    the block change.
    """
    c = s.candidates
    _clear_cells(s, b)
    flag = s.bits.halved[0, b.level - 1, smaller_beside(s.cells.size, b)]
    beside_bits = s.bits.beside[narrower_beside(s.cells.size, b)]
    least = s.limits.halves_satd * c.satd[b.slot]
    chosen = -1
    first, last = _directions(s, b, k)
    for beside in range(first, last + 1):
        bits = flag[1] + beside_bits[beside] - flag[0]
        total = _halves_satd(s, b, beside, HALF, bits, least)
        if total < least:
            least = total
            chosen = beside
        _clear_cells(s, b)
    if chosen < 0:
        return NEVER
    c.tried_count[0] = 0
    total = lam * (flag[1] + beside_bits[chosen])
    for second in range(2):
        if total < best:
            half = half_of(s.given, b, chosen, second, HALF)
            total += _try_half(s, half, chosen, second, lam)
    return total


@kernel
def _keep_cells(s: InterSearch, b: Block, back: bool) -> None:
    """Copy the cells of a block to the candidates, or `back`."""
    cells, kept = s.cells, s.candidates.cells
    for row in range(b.y >> 3, (b.y + b.tall) >> 3):
        for column in range(b.x >> 3, (b.x + b.wide) >> 3):
            cell = kept[row & 7, column & 7]
            if back:
                cells.direction[row, column] = cell[0]
                cells.available[row, column] = cell[1]
                cells.size[row, column] = cell[2]
                cells.merged[row, column] = cell[3]
                cells.affine[row, column] = cell[8]
                for c in range(4):
                    cells.vectors[c >> 1, row, column, c & 1] = cell[4 + c]
                    cells.gradients[row, column, c] = cell[9 + c]
            else:
                cell[0] = cells.direction[row, column]
                cell[1] = cells.available[row, column]
                cell[2] = cells.size[row, column]
                cell[3] = cells.merged[row, column]
                cell[8] = cells.affine[row, column]
                for c in range(4):
                    cell[4 + c] = cells.vectors[c >> 1, row, column, c & 1]
                    cell[9 + c] = cells.gradients[row, column, c]


@kernel
def _evaluate(s: InterSearch, k: Integer, y: Integer, x: Integer) -> bool:
    """Decide a block as one leaf; hook of `partition`."""
    walk, level = s.walk, s.candidates.level
    b = block_at(s.given, y, x, CELL << k)
    lam = b.lam if s.trial else b.lam_satd
    walk.start[k] = s.cells.used[0]
    walk.whole[k] = NEVER
    walk.parts[k] = 0.0
    level[k] = level[k + 1]
    if y + b.wide <= s.height and x + b.wide <= s.width:
        _offer(s, b)
        walk.whole[k] = _choose(s, b)
        level[k] = k
        if k > 0:
            smaller = smaller_beside(s.cells.size, b)
            walk.whole[k] += lam * s.bits.halved[0, k - 1, smaller, 0]
            walk.whole[k] += lam * s.bits.split[k - 1, smaller, 0]
            margin = s.limits.cell_margin if k == 1 else s.limits.split_margin
            walk.parts[k] = lam * (s.bits.split[k - 1, smaller, 1] + margin)
    if walk.whole[k] >= NEVER:
        return True
    return bool(
        k > s.limits.least_level
        and walk.whole[k] > s.limits.split_bits * lam * b.wide * b.wide / 64
    )


@kernel
def _append_leaf(s: InterSearch, b: Block, choice: np.ndarray) -> None:
    """Append a leaf and write it to the cells."""
    cells = s.cells
    _put_cells(s, b, choice)
    leaf = cells.leaves[cells.used[0]]
    for c in range(leaf.size):
        leaf[c] = 0
    leaf[X] = b.x
    leaf[Y] = b.y
    leaf[WIDTH] = b.wide
    leaf[HEIGHT] = b.tall
    leaf[INTRA] = 0 if choice[LISTS] else 1
    leaf[MERGE] = choice[MERGED]
    leaf[INDEX] = choice[ENTRY]
    leaf[DIRECTION] = 0 if choice[MERGED] else choice[LISTS]
    for c in range(4):
        leaf[VY0 + c] = choice[DIFFERENCES + c]
        leaf[GRADIENTS + c] = choice[SLOPE_DIFFERENCES + c]
    leaf[AFFINE] = choice[IS_AFFINE]
    cells.used[0] += 1


@kernel
def _settle(s: InterSearch, k: Integer, y: Integer, x: Integer, divided: bool) -> Real:
    """Halve a block, append its leaf, or keep those of its quarters; hook of `partition`."""
    c, walk = s.candidates, s.walk
    best = walk.parts[k] if divided else walk.whole[k]
    b = block_at(s.given, y, x, CELL << k)
    lam = b.lam if s.trial else b.lam_satd
    few = s.limits.halves_bits * lam * b.wide * b.wide / 64
    promising = _LEAST_QUARTERS < cost_of_quarters(walk, k) < _MOST_QUARTERS
    if k > 0 and promising and best > few:
        _keep_cells(s, b, False)
        cost = lam * s.bits.split[k - 1, smaller_beside(s.cells.size, b), 0]
        cost += _try_halves(s, b, k, lam, best - cost)
        if cost < best:
            s.cells.used[0] = walk.start[k]
            for j in range(c.tried_count[0]):
                top, left, wide, tall = c.tried[j]
                half = area_at(s.given, top, left, wide, tall, -1, -1)
                _append_leaf(s, half, c.tried_choices[j])
            return cost
        _keep_cells(s, b, True)
    if not divided:
        s.cells.used[0] = walk.start[k]
        _append_leaf(s, b, c.around[k])
    return best


_walk_root = partition(_evaluate, _settle, CELL)


@kernel
def search_inter_blocks(s: InterSearch, row: Integer, first: Integer, end: Integer) -> None:
    """Decide the leaves of root blocks `first` to `end - 1` of a row.

    Intra leaves are only marked as such. The blocks to the left and above have to be decided, up to
    the one above to the right.
    """
    for column in range(first, end):
        _walk_root(s, 3, ROOT * row, ROOT * column, s.height, s.width)
