"""How the blocks of an inter canvas are predicted: partition, merges and vectors (spec 7.4, 8.2).

Takes the coded luma, references at quarter samples and the costs of syntax; gives leaves. Blocks
are compared by SATD plus the price of their syntax.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import (
    DIRECTION,
    INDEX,
    INTRA,
    LEAF_COLUMNS,
    MERGE,
    SIZE,
    VX1,
    VY0,
    X,
    Y,
)
from nvcodec.coding.hybrid.motion import (
    BOTH,
    INDEX_MORE,
    INTRA_FLAG,
    MERGE_FLAG,
    SECOND,
    SPLIT,
    VMORE,
    VZERO,
)
from nvcodec.compiled import Integer, Real, allocating
from nvcodec.encode.hybrid.distances import sad, satd, satd_mean
from nvcodec.encode.hybrid.rate.costs import Bits
from nvcodec.encode.hybrid.search.block import smaller_beside
from nvcodec.encode.hybrid.search.phases import MARGIN
from nvcodec.encode.hybrid.search.residual import (
    LARGEST,
    Residuals,
    Scratch,
    best_tree,
    load_residual,
)
from nvcodec.model.hybrid.canvas.intra import (
    MOST,
    intra_predict,
    intra_references,
    intra_smooth,
    is_smoothed,
)
from nvcodec.model.hybrid.canvas.motion import CANDIDATE, ENTRIES, merge_list, predicted_vector
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT

_FAR = 1 << 40
"""SATD of a block beyond the margin of its reference, and no limit for a SAD."""
_NEVER = 1e18
"""Above all costs."""
_MOST_VECTOR = 8191
"""Greatest component of a vector: differences of two can be coded (spec 7.4)."""

# Directions of steps; the first four are straight.
_STEP_Y = (0, 0, 1, -1, 1, 1, -1, -1)
_STEP_X = (1, -1, 0, 0, 1, -1, 1, -1)
_FIRST_STEP = 8
"""Quarter samples by which a search begins to move; starts are about as good as that."""
_FINE = 2
"""Quarter samples: steps from here down are compared by SATD, longer ones by SAD."""
_STRAIGHT_FROM = 4
"""Steps of a sample and more are straight only: their neighbours overlap anyway."""
_ROUNDS = 6
"""Moves of one step at most: what goes further was missed by all starts, and is rare."""
_FIRST_STEP_BOTH = 2
"""Quarter samples by which both vectors begin to move: they have been refined alone."""

_GOOD_BITS = 0.25
"""Bits for a cell: a merge that costs less leaves nothing that vectors of its own could better."""
_NEAR = 1.25
_NEAR_BITS = 4
"""A choice is tried when its SATD is at most the best one times _NEAR and these bits above it."""
_INTRA_FROM_BITS = 8
"""Bits for a cell: SATD of predictions below it is not compared with intra ones."""
_INTRA_MODES = (0, 1, 10, 26, 2, 6, 14, 18, 22, 30, 34)
"""Modes compared: both flat ones, the straight ones and some between."""
_INTRA_LOSS = 1.05
"""What the decoder has around a block is not as good as the source."""
_INTRA_MODE_BITS = 10.0
"""Bits of the modes of luma and chroma, about."""
_SPLIT_BITS_TRIAL = 0.15
"""Bits for a cell: a block that costs less, its levels too, is not split."""
_SPLIT_BITS_SATD = 0.6
"""The same where costs are SATD, which does not vanish when no level is coded."""

# Columns of a choice: how a block is predicted, by prediction and as it is coded. Then come
# the vectors and the coded differences: y and x of list 0, y and x of list 1.
_MERGED = 0
_ENTRY = 1
_LISTS = 2
"""Direction of spec 8.2, also of a merged block; 0 for an intra one."""
_VECTORS = 3
_CODED = 7
_CHOICE = 11


class MotionCosts(NamedTuple):
    """Bits of the motion substream's syntax for one Set; each ends in the bit.

    `component` is (axis, bit length of the magnitude) without a last axis, signs included.
    """

    split: Bits
    intra: Bits
    merge: Bits
    entry: Bits
    both: Bits
    second: Bits
    component: Bits


def motion_costs(costs: Bits, canvas_set: int) -> MotionCosts:
    """The parts of the motion substream's costs (spec 7.7) for an inter canvas."""
    inter = canvas_set - 1
    more = costs[INDEX_MORE + 4 * inter :][:4]
    entry = np.array(
        [more[:i, 1].sum() + (more[i, 0] if i < 4 else 0.0) for i in range(5)], np.float32
    )
    component = np.zeros((2, 15), np.float32)
    for axis in range(2):
        nonzero = costs[VZERO + 2 * inter + axis]
        longer = costs[VMORE + 26 * inter + 13 * axis :][:13]
        component[axis, 0] = nonzero[0]
        for length in range(1, 15):
            g = length - 1
            stop = longer[g, 0] if g < 13 else 0.0
            component[axis, length] = nonzero[1] + longer[:g, 1].sum() + stop + g + 1
    return MotionCosts(
        costs[SPLIT + 9 * canvas_set :][:9].reshape(3, 3, 2).copy(),
        costs[INTRA_FLAG + 3 * inter :][:3].copy(),
        costs[MERGE_FLAG + 12 * inter :][:12].reshape(4, 3, 2).copy(),
        entry,
        costs[BOTH : BOTH + 4].copy(),
        costs[SECOND].copy(),
        component,
    )


class Search(NamedTuple):
    """What a search takes: the canvas, its references and prices.

    `current` is flat u8 of the coded luma; `phases0` and `phases1` are flat (phases.Phases), the
    same for a chain canvas; `coarse` is (2, rows, columns, 2) int16. `satd_weight` is SATD per bit
    in quantiser steps. `residuals` and `scratch` are for trials of what predictions leave over;
    with `trial` they decide, without it SATD does.
    """

    current: npt.NDArray[np.uint8]
    width: int
    height: int
    phases0: npt.NDArray[np.uint8]
    phases1: npt.NDArray[np.uint8]
    coarse: npt.NDArray[np.int16]
    interior: bool
    costs: MotionCosts
    residuals: Residuals
    scratch: Scratch
    edges: npt.NDArray[np.int32]
    line: npt.NDArray[np.int32]
    block: npt.NDArray[np.uint8]
    known: npt.NDArray[np.uint8]
    satd_weight: float
    refinements: int
    trial: bool
    intra: bool


class Found(NamedTuple):
    """What a search has decided so far: cells (rows, columns) and leaves.

    `direction` is u8, `vectors` int16 (2, rows, columns, 2); `order`, u8, is 1 where an inter leaf
    lies; `size` and `merged` are u8. `count` is the number of `leaves` so far.
    """

    direction: npt.NDArray[np.uint8]
    vectors: npt.NDArray[np.int16]
    order: npt.NDArray[np.uint8]
    size: npt.NDArray[np.uint8]
    merged: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.int32]
    count: npt.NDArray[np.int64]  # type: ignore[assignment]


@allocating
def _place(s: Search, vy: Integer, vx: Integer, y: Integer, x: Integer, n: Integer) -> Integer:
    """Offset in flat phases of a displaced block, -1 beyond the margin."""
    row = s.width + 2 * MARGIN
    rows = s.height + 2 * MARGIN
    top = y + MARGIN + (vy >> 2)
    left = x + MARGIN + (vx >> 2)
    if top < 0 or left < 0 or top + n > rows or left + n > row:
        return -1
    if max(abs(vy), abs(vx)) > _MOST_VECTOR:
        return -1
    return ((4 * (vy & 3) + (vx & 3)) * rows + top) * row + left


@allocating
def _length(d: Integer) -> Integer:
    """Bits of the magnitude of a component."""
    d = abs(d)
    bits = 0
    while d > 0:
        d >>= 1
        bits += 1
    return bits


@allocating
def _vector_bits(s: Search, dy: Integer, dx: Integer) -> Real:
    """Bits of a coded difference of vectors."""
    return s.costs.component[0, _length(dy)] + s.costs.component[1, _length(dx)]


@allocating
def block_satd(
    s: Search,
    direction: Integer,
    v0y: Integer,
    v0x: Integer,
    v1y: Integer,
    v1x: Integer,
    y: Integer,
    x: Integer,
    n: Integer,
) -> Integer:
    """SATD of a block predicted with a direction and vectors; a huge number beyond the margin."""
    at = y * s.width + x
    row = s.width + 2 * MARGIN
    a = 0
    b = 0
    if direction & 1:
        a = _place(s, v0y, v0x, y, x, n)
    if direction & 2:
        b = _place(s, v1y, v1x, y, x, n)
    if a < 0 or b < 0:
        return _FAR
    if direction == 1:
        return satd(s.current, at, s.width, s.phases0, a, row, n)
    if direction == 2:
        return satd(s.current, at, s.width, s.phases1, b, row, n)
    return satd_mean(s.current, at, s.width, s.phases0, a, s.phases1, b, row, n)


@allocating
def _refine(
    s: Search,
    weight: Real,
    r: Integer,
    starts: np.ndarray,
    count: Integer,
    py: Integer,
    px: Integer,
    y: Integer,
    x: Integer,
    n: Integer,
) -> tuple[Integer, Integer]:
    """The best vector to reference r near one of the starts, by SAD and rate."""
    phases = s.phases0 if r == 0 else s.phases1
    at = y * s.width + x
    row = s.width + 2 * MARGIN
    best = _NEVER
    by = 0
    bx = 0
    for k in range(count):
        vy = starts[k, 0]
        vx = starts[k, 1]
        place = _place(s, vy, vx, y, x, n)
        if place < 0:
            continue
        price = weight * _vector_bits(s, vy - py, vx - px)
        cost = price + sad(s.current, at, s.width, phases, place, row, n, best - price)
        if cost < best:
            best = cost
            by = vy
            bx = vx
    step = _FIRST_STEP
    fine = False
    while step > 0:
        if step <= _FINE and not fine:
            fine = True
            place = _place(s, by, bx, y, x, n)
            best = weight * _vector_bits(s, by - py, bx - px)
            best += satd(s.current, at, s.width, phases, place, row, n)
        rounds = 0
        moved = True
        while moved and rounds < _ROUNDS:
            moved = False
            rounds += 1
            cy = by
            cx = bx
            for k in range(8 if step < _STRAIGHT_FROM else 4):
                vy = cy + step * _STEP_Y[k]
                vx = cx + step * _STEP_X[k]
                place = _place(s, vy, vx, y, x, n)
                if place < 0:
                    continue
                price = weight * _vector_bits(s, vy - py, vx - px)
                if price >= best:
                    continue
                if fine:
                    cost = price + satd(s.current, at, s.width, phases, place, row, n)
                else:
                    cost = price + sad(s.current, at, s.width, phases, place, row, n, best - price)
                if cost < best:
                    best = cost
                    by = vy
                    bx = vx
                    moved = True
        step >>= 1
    return by, bx


@allocating
def _refine_both(
    s: Search, weight: Real, v: np.ndarray, p: np.ndarray, y: Integer, x: Integer, n: Integer
) -> None:
    """Move both vectors of v (2, 2) in turn, by SAD of the mean and rate."""
    at = y * s.width + x
    row = s.width + 2 * MARGIN
    a = _place(s, v[0, 0], v[0, 1], y, x, n)
    b = _place(s, v[1, 0], v[1, 1], y, x, n)
    if a < 0 or b < 0:
        return
    bits0 = _vector_bits(s, v[0, 0] - p[0, 0], v[0, 1] - p[0, 1])
    bits1 = _vector_bits(s, v[1, 0] - p[1, 0], v[1, 1] - p[1, 1])
    best = weight * (bits0 + bits1)
    best += satd_mean(s.current, at, s.width, s.phases0, a, s.phases1, b, row, n)
    for turn in range(s.refinements):
        step = _FIRST_STEP_BOTH if turn == 0 else 1
        improved = False
        for r in range(2):
            other_bits = bits1 if r == 0 else bits0
            cy = v[r, 0]
            cx = v[r, 1]
            for k in range(8):
                vy = cy + step * _STEP_Y[k]
                vx = cx + step * _STEP_X[k]
                place = _place(s, vy, vx, y, x, n)
                if place < 0:
                    continue
                bits = _vector_bits(s, vy - p[r, 0], vx - p[r, 1])
                price = weight * (bits + other_bits)
                if price >= best:
                    continue
                first, second = (place, b) if r == 0 else (a, place)
                cost = price + satd_mean(
                    s.current, at, s.width, s.phases0, first, s.phases1, second, row, n
                )
                if cost < best:
                    best = cost
                    improved = True
                    v[r, 0] = vy
                    v[r, 1] = vx
                    if r == 0:
                        bits0 = bits
                    else:
                        bits1 = bits
            if r == 0:
                a = _place(s, v[0, 0], v[0, 1], y, x, n)
            else:
                b = _place(s, v[1, 0], v[1, 1], y, x, n)
        if not improved and turn > 0:
            break


@allocating
def _set_choice(
    choice: np.ndarray,
    merge: Integer,
    entry: Integer,
    direction: Integer,
    v0y: Integer,
    v0x: Integer,
    v1y: Integer,
    v1x: Integer,
) -> None:
    """Fill a choice; its coded differences become 0."""
    choice[_MERGED] = merge
    choice[_ENTRY] = entry
    choice[_LISTS] = direction
    choice[_VECTORS] = v0y
    choice[_VECTORS + 1] = v0x
    choice[_VECTORS + 2] = v1y
    choice[_VECTORS + 3] = v1x
    choice[_CODED:] = 0


@allocating
def _load_prediction(s: Search, choice: np.ndarray, y: Integer, x: Integer, n: Integer) -> None:
    """Set s.scratch.residual[:n, :n] to luma minus its prediction by a choice."""
    row = s.width + 2 * MARGIN
    residual = s.scratch.residual
    direction = choice[_LISTS]
    v0y, v0x, v1y, v1x = (
        choice[_VECTORS],
        choice[_VECTORS + 1],
        choice[_VECTORS + 2],
        choice[_VECTORS + 3],
    )
    a = _place(s, v0y, v0x, y, x, n) if direction & 1 else 0
    b = _place(s, v1y, v1x, y, x, n) if direction & 2 else 0
    at = y * s.width + x
    for i in range(n):
        for j in range(n):
            if direction == 3:
                p = (np.int32(s.phases0[a + j]) + np.int32(s.phases1[b + j]) + 1) >> 1
            elif direction == 1:
                p = np.int32(s.phases0[a + j])
            else:
                p = np.int32(s.phases1[b + j])
            residual[i, j] = np.float32(np.int32(s.current[at + j]) - p)
        a += row
        b += row
        at += s.width


@allocating
def _trial(
    s: Search, choice: np.ndarray, bits: Real, y: Integer, x: Integer, n: Integer, size: Integer
) -> Real:
    """Squared error and price of a choice, with the luma units that are best for it."""
    r = s.residuals
    c = r.costs
    step = r.steps[r.q[y >> 5, x >> 5]]
    price = r.weight * step * step
    m = min(n, LARGEST)
    log2m = 3 + min(size, 2)
    # As beside one coded neighbour: which ones are is not known yet.
    coded = price * c.coded[size, choice[_MERGED], 1, 1]
    nothing = price * c.coded[size, choice[_MERGED], 1, 0]
    for node in range((n // m) * (n // m)):
        _load_prediction(s, choice, y + LARGEST * (node >> 1), x + LARGEST * (node & 1), m)
        luma, count = best_tree(c, r, s.scratch, step, price, log2m)
        energy = s.scratch.tree_cost[log2m - 2, 0]
        nothing += energy
        coded += min(luma, energy) if count > 0 else energy
    return price * bits + min(coded, nothing)


@allocating
def _trial_intra(
    s: Search, y: Integer, x: Integer, n: Integer, size: Integer, best_satd: Real
) -> Real:
    """Squared error and price of the best intra prediction, from source samples around the block;
    a huge number when its SATD is no better than `best_satd`.
    """
    r = s.residuals
    c = r.costs
    step = r.steps[r.q[y >> 5, x >> 5]]
    price = r.weight * step * step
    plane = s.current.reshape(s.height, s.width)
    intra_references(plane, s.known, False, y, x, n, s.edges[0])
    intra_smooth(s.edges[0], n, s.edges[1])
    flat = s.block.reshape(-1)
    at = y * s.width + x
    least = _FAR
    mode = 0
    for candidate in _INTRA_MODES:
        edge = s.edges[1 if is_smoothed(candidate, n) else 0]
        intra_predict(candidate, n, False, edge, s.line, s.block)
        cost = satd(s.current, at, s.width, flat, 0, MOST, n)
        if cost < least:
            least = cost
            mode = candidate
    if least >= best_satd:
        return _NEVER
    intra_predict(mode, n, False, s.edges[1 if is_smoothed(mode, n) else 0], s.line, s.block)
    load_residual(plane, y, x, s.block, n, s.scratch.residual)
    luma, count = best_tree(c, r, s.scratch, step, price, 3 + size)
    energy = s.scratch.tree_cost[1 + size, 0]
    cost = min(luma, energy) if count > 0 else energy
    return _INTRA_LOSS * cost + price * (s.costs.intra[0, 1] + _INTRA_MODE_BITS)


@allocating
def _best_merges(
    s: Search,
    weight: Real,
    merges: np.ndarray,
    listed: Integer,
    merge_bits: Real,
    y: Integer,
    x: Integer,
    n: Integer,
    cost: np.ndarray,
    entry: np.ndarray,
) -> None:
    """The two best entries of a merge list and their costs, by SATD and rate."""
    cost[:] = _NEVER
    entry[:] = 0
    # What comes after the listed ones is the same zero motion.
    for k in range(min(ENTRIES, listed + 1)):
        total = block_satd(
            s, merges[k, 0], merges[k, 1], merges[k, 2], merges[k, 3], merges[k, 4], y, x, n
        ) + weight * (merge_bits + s.costs.entry[k])
        if total < cost[0]:
            cost[1] = cost[0]
            entry[1] = entry[0]
            cost[0] = total
            entry[0] = k
        elif total < cost[1]:
            cost[1] = total
            entry[1] = k


@allocating
def _starts(
    s: Search,
    r: Integer,
    merges: np.ndarray,
    py: Integer,
    px: Integer,
    parent: np.ndarray,
    y: Integer,
    x: Integer,
    n: Integer,
    starts: np.ndarray,
) -> Integer:
    """Where a search for the vector of list r starts; returns their number."""
    row = min(y + (n >> 1), s.height - 1) >> 4
    column = min(x + (n >> 1), s.width - 1) >> 4
    for k in range(ENTRIES):
        starts[k, 0] = merges[k, 1 + 2 * r]
        starts[k, 1] = merges[k, 2 + 2 * r]
    count = ENTRIES
    starts[count, 0] = py
    starts[count, 1] = px
    count += 1
    starts[count, 0] = parent[_VECTORS + 2 * r]
    starts[count, 1] = parent[_VECTORS + 1 + 2 * r]
    count += 1
    starts[count, 0] = s.coarse[r, row, column, 0]
    starts[count, 1] = s.coarse[r, row, column, 1]
    count += 1
    starts[count, 0] = 0
    starts[count, 1] = 0
    return count + 1


@allocating
def _best_both_merge(s: Search, merges: np.ndarray, y: Integer, x: Integer, n: Integer) -> Integer:
    """The entry with two vectors whose SATD is least, -1 when there is none."""
    chosen = -1
    least = _NEVER
    for k in range(ENTRIES):
        if merges[k, 0] == 3:
            cost = float(
                block_satd(s, 3, merges[k, 1], merges[k, 2], merges[k, 3], merges[k, 4], y, x, n)
            )
            if cost < least:
                least = cost
                chosen = k
    return chosen


@allocating
def _best_own(
    s: Search,
    f: Found,
    weight: Real,
    merges: np.ndarray,
    parent: np.ndarray,
    explicit_bits: Real,
    y: Integer,
    x: Integer,
    n: Integer,
    size: Integer,
    own: np.ndarray,
) -> tuple[Real, Real]:
    """The best choice with vectors of its own, in `own`: its cost by SATD and rate; its bits."""
    best = _NEVER
    best_bits = 0.0
    predicted = np.empty((2, 2), np.int64)
    starts = np.empty((ENTRIES + 4, 2), np.int64)
    single = np.zeros((2, 2), np.int64)
    references = 2 if s.interior else 1
    for r in range(references):
        py, px = predicted_vector(r, f.vectors, f.order, y >> 3, x >> 3, n >> 3)
        predicted[r, 0] = py
        predicted[r, 1] = px
        count = _starts(s, r, merges, py, px, parent, y, x, n, starts)
        vy, vx = _refine(s, weight, r, starts, count, py, px, y, x, n)
        single[r, 0] = vy
        single[r, 1] = vx
        bits = explicit_bits + _vector_bits(s, vy - py, vx - px)
        if s.interior:
            bits += s.costs.both[size, 0] + s.costs.second[r]
        cost = block_satd(s, r + 1, vy, vx, vy, vx, y, x, n) + weight * bits
        if cost < best:
            best = cost
            best_bits = bits
            # The other list's vector is that of motion which goes on (spec 8.2).
            if r == 0:
                _set_choice(own, 0, 0, 1, vy, vx, -vy, -vx)
            else:
                _set_choice(own, 0, 0, 2, -vy, -vx, vy, vx)
            own[_CODED + 2 * r] = vy - py
            own[_CODED + 1 + 2 * r] = vx - px
    if not s.interior:
        return best, best_bits
    v = np.empty((2, 2), np.int64)
    # From both single vectors, and from the best merge that has both.
    for start in range(2):
        if start == 0:
            v[:] = single
        else:
            chosen = _best_both_merge(s, merges, y, x, n)
            if chosen < 0:
                break
            for c in range(4):
                v[c >> 1, c & 1] = merges[chosen, 1 + c]
        _refine_both(s, weight, v, predicted, y, x, n)
        bits = explicit_bits + s.costs.both[size, 1]
        bits += _vector_bits(s, v[0, 0] - predicted[0, 0], v[0, 1] - predicted[0, 1])
        bits += _vector_bits(s, v[1, 0] - predicted[1, 0], v[1, 1] - predicted[1, 1])
        cost = block_satd(s, 3, v[0, 0], v[0, 1], v[1, 0], v[1, 1], y, x, n) + weight * bits
        if cost < best:
            best = cost
            best_bits = bits
            _set_choice(own, 0, 0, 3, v[0, 0], v[0, 1], v[1, 0], v[1, 1])
            for c in range(4):
                own[_CODED + c] = v[c >> 1, c & 1] - predicted[c >> 1, c & 1]
    return best, best_bits


@allocating
def _set_merge(choice: np.ndarray, merges: np.ndarray, k: Integer) -> None:
    """Fill a choice with an entry of a merge list."""
    _set_choice(choice, 1, k, merges[k, 0], merges[k, 1], merges[k, 2], merges[k, 3], merges[k, 4])


@allocating
def _evaluate(
    s: Search,
    f: Found,
    y: Integer,
    x: Integer,
    n: Integer,
    size: Integer,
    parent: np.ndarray,
    choice: np.ndarray,
) -> Real:
    """The best way to predict a leaf, in `choice`; returns its cost.

    `parent` is the choice of the block around it. The cost is in squared samples with s.trial, else
    in SATD.
    """
    weight = s.satd_weight * s.residuals.steps[s.residuals.q[y >> 5, x >> 5]]
    merges = np.empty((ENTRIES, CANDIDATE), np.int64)
    row = y >> 3
    column = x >> 3
    default = 3 if s.interior else 1
    listed = merge_list(f.direction, f.vectors, f.order, default, row, column, n >> 3, merges)
    beside = 0
    if column > 0:
        beside += f.merged[row, column - 1]
    if row > 0:
        beside += f.merged[row - 1, column]
    merge_bits = s.costs.merge[size, beside, 1] + s.costs.intra[0, 0]
    merged = np.empty(2)
    merged_entry = np.empty(2, np.int64)
    _best_merges(s, weight, merges, listed, merge_bits, y, x, n, merged, merged_entry)
    _set_merge(choice, merges, merged_entry[0])
    own = np.zeros(_CHOICE, np.int64)
    own_bits = 0.0
    own_best = _NEVER
    if merged[0] >= _GOOD_BITS * weight * n * n / 64:
        explicit_bits = s.costs.merge[size, beside, 0] + s.costs.intra[0, 0]
        own_best, own_bits = _best_own(
            s, f, weight, merges, parent, explicit_bits, y, x, n, size, own
        )
    best_satd = min(merged[0], own_best)
    if not s.trial:
        if own_best < merged[0]:
            choice[:] = own
        return best_satd
    near = _NEAR * best_satd + weight * _NEAR_BITS
    best = _NEVER
    trial = np.zeros(_CHOICE, np.int64)
    for k in range(2):
        if merged[k] < near:
            entry = merged_entry[k]
            _set_merge(trial, merges, entry)
            cost = _trial(s, trial, merge_bits + s.costs.entry[entry], y, x, n, size)
            if cost < best:
                best = cost
                choice[:] = trial
    if own_best < near:
        cost = _trial(s, own, own_bits, y, x, n, size)
        if cost < best:
            best = cost
            choice[:] = own
    if s.intra and n < ROOT and best_satd > _INTRA_FROM_BITS * weight * n * n / 64:
        cost = _trial_intra(s, y, x, n, size, best_satd)
        if cost < best:
            best = cost
            _set_choice(choice, 0, 0, 0, 0, 0, 0, 0)
    return best


@allocating
def _put(f: Found, y: Integer, x: Integer, n: Integer, choice: np.ndarray) -> None:
    """Write a leaf into the cells and append it."""
    for row in range(y >> 3, (y + n) >> 3):
        for column in range(x >> 3, (x + n) >> 3):
            f.direction[row, column] = choice[_LISTS]
            f.order[row, column] = 1 if choice[_LISTS] else 0
            f.size[row, column] = n
            f.merged[row, column] = choice[_MERGED]
            for c in range(4):
                f.vectors[c >> 1, row, column, c & 1] = choice[_VECTORS + c]
    leaf = f.leaves[f.count[0]]
    leaf[:] = 0
    leaf[X] = x
    leaf[Y] = y
    leaf[SIZE] = n
    leaf[INTRA] = 0 if choice[_LISTS] else 1
    leaf[MERGE] = choice[_MERGED]
    leaf[INDEX] = choice[_ENTRY]
    leaf[DIRECTION] = 0 if choice[_MERGED] else choice[_LISTS]
    leaf[VY0 : VX1 + 1] = choice[_CODED:]
    f.count[0] += 1


@allocating
def _root(s: Search, f: Found, root_y: Integer, root_x: Integer) -> None:
    """Decide the leaves of a root block. Level k has blocks of 8 << k samples."""
    # Levels stand in arrays: numba's cache does not keep functions that call themselves.
    choices = np.zeros((5, _CHOICE), np.int64)
    y = np.zeros(4, np.int64)
    x = np.zeros(4, np.int64)
    child = np.full(4, -1, np.int64)
    alone = np.zeros(4)
    total = np.zeros(4)
    start = np.zeros(4, np.int64)
    # The block that is not split and around a block, by level; choices[4] for none.
    around = np.full(5, 4, np.int64)
    y[3] = root_y
    x[3] = root_x
    k = 3
    while True:
        n = CELL << k
        inside = y[k] + n <= s.height and x[k] + n <= s.width
        if child[k] < 0:
            step = s.residuals.steps[s.residuals.q[y[k] >> 5, x[k] >> 5]]
            price = s.satd_weight * step
            if s.trial:
                price = s.residuals.weight * step * step
            start[k] = f.count[0]
            alone[k] = _NEVER
            total[k] = 0.0
            around[k] = around[k + 1]
            if inside:
                alone[k] = _evaluate(s, f, y[k], x[k], n, k, choices[around[k + 1]], choices[k])
                around[k] = k
                if k > 0:
                    smaller = smaller_beside(f.size, y[k], x[k], n)
                    alone[k] += price * s.costs.split[k - 1, smaller, 0]
                    total[k] = price * s.costs.split[k - 1, smaller, 1]
            least = (_SPLIT_BITS_TRIAL if s.trial else _SPLIT_BITS_SATD) * price * n * n / 64
            if k > 0 and (not inside or alone[k] > least):
                child[k] = 0
        half = n >> 1
        descended = False
        while 0 <= child[k] < 4 and total[k] < alone[k]:
            cy = y[k] + half * (child[k] >> 1)
            cx = x[k] + half * (child[k] & 1)
            child[k] += 1
            if cy < s.height and cx < s.width:
                y[k - 1] = cy
                x[k - 1] = cx
                child[k - 1] = -1
                descended = True
                break
        if descended:
            k -= 1
            continue
        value = total[k]
        if child[k] < 0 or total[k] >= alone[k]:
            value = alone[k]
            f.count[0] = start[k]
            _put(f, y[k], x[k], n, choices[k])
        if k == 3:
            return
        k += 1
        total[k] += value


@allocating
def search_motion(s: Search, f: Found) -> None:
    """Decide all leaves of a canvas, of intra ones only that they are."""
    for y in range(0, s.height, ROOT):
        for x in range(0, s.width, ROOT):
            _root(s, f, y, x)


def no_leaves(width: int, height: int) -> Found:
    """Cells of a canvas without any leaf."""
    rows, columns = height // CELL, width // CELL
    cells = (rows, columns)
    return Found(
        np.zeros(cells, np.uint8),
        np.zeros((2, *cells, 2), np.int16),
        np.zeros(cells, np.uint8),
        np.zeros(cells, np.uint8),
        np.zeros(cells, np.uint8),
        np.zeros((rows * columns, LEAF_COLUMNS), np.int32),
        np.zeros(1, np.int64),
    )
