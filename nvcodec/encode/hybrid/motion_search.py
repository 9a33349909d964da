"""How the blocks of an inter canvas are predicted: partition, merges and vectors (spec 7.4, 8.2).

Takes the coded luma, references at quarter samples and the costs of syntax; gives leaves. Blocks
are compared by SATD plus the price of their syntax.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from nvcodec.coding.leaves import (
    DIRECTION,
    INDEX,
    INTRA,
    LEAF_COLUMNS,
    MERGE,
    SIZE,
    VX0,
    VX1,
    VY0,
    VY1,
    X,
    Y,
)
from nvcodec.encode.hybrid.costs import Bits
from nvcodec.encode.hybrid.phases import MARGIN
from nvcodec.encode.hybrid.residual import Residuals, Scratch, best_tree
from nvcodec.encode.hybrid.tiles import sad, sad_mean, satd, satd_mean
from nvcodec.model.canvas.intra import intra_predict, intra_references, intra_smooth, is_smoothed
from nvcodec.model.canvas.motion import merge_list, predicted_vector

_FAR = 1 << 40


class MotionCosts(NamedTuple):
    """Bits of the motion substream's syntax for one Set; each ends in the bit.

    `component` is (axis, bit length of the magnitude) without a last axis, signs included.
    """

    split: Bits
    intra: Bits
    merge: Bits
    index: Bits
    both: Bits
    second: Bits
    component: Bits


def motion_costs(costs: Bits, canvas_set: int) -> MotionCosts:
    """The parts of the motion substream's costs (spec 7.7) for an inter canvas."""
    inter = canvas_set - 1
    more = costs[58 + 4 * inter : 62 + 4 * inter]
    index = np.array(
        [more[:i, 1].sum() + (more[i, 0] if i < 4 else 0.0) for i in range(5)], np.float32
    )
    component = np.zeros((2, 15), np.float32)
    for axis in range(2):
        nonzero = costs[71 + 2 * inter + axis]
        start = 75 + 26 * inter + 13 * axis
        longer = costs[start : start + 13]
        component[axis, 0] = nonzero[0]
        for length in range(1, 15):
            g = length - 1
            stop = longer[g, 0] if g < 13 else 0.0
            component[axis, length] = nonzero[1] + longer[:g, 1].sum() + stop + g + 1
    return MotionCosts(
        costs[9 * canvas_set : 9 * canvas_set + 9].reshape(3, 3, 2).copy(),
        costs[28 + 3 * inter : 31 + 3 * inter].copy(),
        costs[34 + 12 * inter : 46 + 12 * inter].reshape(4, 3, 2).copy(),
        index,
        costs[66:70].copy(),
        costs[70].copy(),
        component,
    )


class Search(NamedTuple):
    """What a search takes: the canvas, its references and prices.

    `current` is flat u8 of the coded luma; `phases0` and `phases1` are flat (phases.Phases), the
    same for a chain canvas; `coarse` is (2, rows, columns, 2) int16; `temporal` the temporal
    candidates (spec 8.2), int16 (2, rows, columns, 2), or none. `satd_weight` is SATD per bit in
    quantiser steps. `residuals` and `scratch` are for trials of what predictions leave over; with
    `trial` they decide, without it SATD does.
    """

    current: npt.NDArray[np.uint8]
    width: int
    height: int
    phases0: npt.NDArray[np.uint8]
    phases1: npt.NDArray[np.uint8]
    coarse: npt.NDArray[np.int16]
    temporal: npt.NDArray[np.int16]
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
    smallest: int
    trial: bool
    intra: bool


class Found(NamedTuple):
    """What a search has decided so far: cells (rows, columns) and leaves.

    `direction` is u8, `vectors` int16 (2, rows, columns, 2), `order` u8: 1 where a leaf lies; `size` and `merged` are u8.
    """

    direction: npt.NDArray[np.uint8]
    vectors: npt.NDArray[np.int16]
    order: npt.NDArray[np.uint8]
    size: npt.NDArray[np.uint8]
    merged: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.int32]
    count: npt.NDArray[np.int64]


@numba.njit(nogil=True, cache=True)
def _place(s, vy, vx, y, x, n):
    """Offset in flat phases of a displaced block, -1 beyond the margin."""
    row = s.width + 2 * MARGIN
    rows = s.height + 2 * MARGIN
    top = y + MARGIN + (vy >> 2)
    left = x + MARGIN + (vx >> 2)
    if top < 0 or left < 0 or top + n > rows or left + n > row:
        return -1
    if max(abs(vy), abs(vx)) > 8191:
        return -1
    return ((4 * (vy & 3) + (vx & 3)) * rows + top) * row + left


@numba.njit(nogil=True, cache=True)
def _length(d):
    d = abs(d)
    bits = 0
    while d > 0:
        d >>= 1
        bits += 1
    return bits


@numba.njit(nogil=True, cache=True)
def _vector_bits(s, dy, dx):
    return s.costs.component[0, _length(dy)] + s.costs.component[1, _length(dx)]


@numba.njit(nogil=True, cache=True)
def block_satd(s, direction, v0y, v0x, v1y, v1x, y, x, n):
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


@numba.njit(nogil=True, cache=True)
def _refine(s, weight, r, starts, count, py, px, y, x, n, first_step):
    """The best vector to reference r near one of the starts, by SAD and rate."""
    phases = s.phases0 if r == 0 else s.phases1
    at = y * s.width + x
    row = s.width + 2 * MARGIN
    best = 1e18
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
    step = first_step
    while step > 0:
        rounds = 0
        moved = True
        while moved and rounds < 6:
            moved = False
            rounds += 1
            cy = by
            cx = bx
            for k in range(8 if step < 4 else 4):
                vy = cy + step * (0, 0, 1, -1, 1, 1, -1, -1)[k]
                vx = cx + step * (1, -1, 0, 0, 1, -1, 1, -1)[k]
                place = _place(s, vy, vx, y, x, n)
                if place < 0:
                    continue
                price = weight * _vector_bits(s, vy - py, vx - px)
                if price >= best:
                    continue
                cost = price + sad(s.current, at, s.width, phases, place, row, n, best - price)
                if cost < best:
                    best = cost
                    by = vy
                    bx = vx
                    moved = True
        step >>= 1
    return by, bx


@numba.njit(nogil=True, cache=True)
def _refine_both(s, weight, v, p, y, x, n):
    """Move both vectors of v (2, 2) in turn, by SAD of the mean and rate."""
    at = y * s.width + x
    row = s.width + 2 * MARGIN
    a = _place(s, v[0, 0], v[0, 1], y, x, n)
    b = _place(s, v[1, 0], v[1, 1], y, x, n)
    if a < 0 or b < 0:
        return
    bits0 = _vector_bits(s, v[0, 0] - p[0, 0], v[0, 1] - p[0, 1])
    bits1 = _vector_bits(s, v[1, 0] - p[1, 0], v[1, 1] - p[1, 1])
    best = weight * (bits0 + bits1) + sad_mean(
        s.current, at, s.width, s.phases0, a, s.phases1, b, row, n, _FAR
    )
    for turn in range(s.refinements):
        step = 2 if turn == 0 else 1
        improved = False
        for r in range(2):
            other_bits = bits1 if r == 0 else bits0
            cy = v[r, 0]
            cx = v[r, 1]
            for k in range(8):
                vy = cy + step * (0, 0, 1, -1, 1, 1, -1, -1)[k]
                vx = cx + step * (1, -1, 0, 0, 1, -1, 1, -1)[k]
                place = _place(s, vy, vx, y, x, n)
                if place < 0:
                    continue
                bits = _vector_bits(s, vy - p[r, 0], vx - p[r, 1])
                price = weight * (bits + other_bits)
                if price >= best:
                    continue
                if r == 0:
                    cost = price + sad_mean(
                        s.current,
                        at,
                        s.width,
                        s.phases0,
                        place,
                        s.phases1,
                        b,
                        row,
                        n,
                        best - price,
                    )
                else:
                    cost = price + sad_mean(
                        s.current,
                        at,
                        s.width,
                        s.phases0,
                        a,
                        s.phases1,
                        place,
                        row,
                        n,
                        best - price,
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


@numba.njit(nogil=True, cache=True)
def _set_choice(choice, merge, index, direction, v0y, v0x, v1y, v1x):
    choice[0] = merge
    choice[1] = index
    choice[2] = direction
    choice[3] = v0y
    choice[4] = v0x
    choice[5] = v1y
    choice[6] = v1x
    for c in range(7, 11):
        choice[c] = 0


@numba.njit(nogil=True, cache=True)
def _load_prediction(s, choice, y, x, n):
    """s.scratch.residual[:n, :n] = luma minus its prediction by a choice."""
    row = s.width + 2 * MARGIN
    residual = s.scratch.residual
    direction = choice[2]
    a = _place(s, choice[3], choice[4], y, x, n) if direction & 1 else 0
    b = _place(s, choice[5], choice[6], y, x, n) if direction & 2 else 0
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


@numba.njit(nogil=True, cache=True)
def _trial(s, choice, bits, y, x, n, size):
    """Squared error and price of a choice, with the luma units that are best for it."""
    r = s.residuals
    c = r.costs
    step = r.steps[r.q[y >> 5, x >> 5]]
    price = r.weight * step * step
    m = min(n, 32)
    log2m = 3 + min(size, 2)
    coded = price * c.coded[size, choice[0], 1, 1]
    nothing = price * c.coded[size, choice[0], 1, 0]
    for node in range((n // m) * (n // m)):
        _load_prediction(s, choice, y + 32 * (node >> 1), x + 32 * (node & 1), m)
        luma, count = best_tree(c, r, s.scratch, step, price, log2m)
        energy = s.scratch.tree_cost[log2m - 2, 0]
        nothing += energy
        coded += min(luma, energy) if count > 0 else energy
    return price * bits + min(coded, nothing)


@numba.njit(nogil=True, cache=True)
def _trial_intra(s, y, x, n, size, best_satd):
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
    least = 1 << 40
    mode = 0
    for k in range(11):
        candidate = (0, 1, 10, 26, 2, 6, 14, 18, 22, 30, 34)[k]
        edge = s.edges[1 if is_smoothed(candidate, n) else 0]
        intra_predict(candidate, n, False, edge, s.line, s.block)
        cost = satd(s.current, at, s.width, flat, 0, 32, n)
        if cost < least:
            least = cost
            mode = candidate
    if least >= best_satd:
        return 1e18
    intra_predict(mode, n, False, s.edges[1 if is_smoothed(mode, n) else 0], s.line, s.block)
    for i in range(n):
        for j in range(n):
            s.scratch.residual[i, j] = np.float32(plane[y + i, x + j]) - np.float32(s.block[i, j])
    luma, count = best_tree(c, r, s.scratch, step, price, 3 + size)
    energy = s.scratch.tree_cost[1 + size, 0]
    cost = min(luma, energy) if count > 0 else energy
    # What the decoder has around the block is not as good as the source, and modes take bits.
    return 1.05 * cost + price * (s.costs.intra[0, 1] + 10.0)


@numba.njit(nogil=True, cache=True)
def _evaluate(s, f, y, x, n, size, parent, choice):
    """The best way to predict a leaf: its cost, and in `choice` its columns.

    `choice` is int64 (11,): merge, index, direction (0 for intra), v0y, v0x, v1y, v1x, and the four
    coded differences. `parent` is that of the block around it. The cost is in squared samples with
    s.trial, else in SATD.
    """
    weight = s.satd_weight * s.residuals.steps[s.residuals.q[y >> 5, x >> 5]]
    merges = np.empty((5, 5), np.int64)
    row = y >> 3
    column = x >> 3
    cells = n >> 3
    default = 3 if s.interior else 1
    listed = merge_list(
        f.direction, f.vectors, f.order, s.temporal, default, row, column, cells, merges
    )
    beside = 0
    if column > 0:
        beside += f.merged[row, column - 1]
    if row > 0:
        beside += f.merged[row - 1, column]
    merge_bits = s.costs.merge[size, beside, 1] + s.costs.intra[0, 0]
    # The two best merges and the best choice with vectors of its own, by SATD.
    merged = np.full(2, 1e18)
    merged_index = np.zeros(2, np.int64)
    # What comes after the listed ones is the same zero motion.
    for k in range(min(5, listed + 1)):
        cost = block_satd(
            s, merges[k, 0], merges[k, 1], merges[k, 2], merges[k, 3], merges[k, 4], y, x, n
        ) + weight * (merge_bits + s.costs.index[k])
        if cost < merged[0]:
            merged[1] = merged[0]
            merged_index[1] = merged_index[0]
            merged[0] = cost
            merged_index[0] = k
        elif cost < merged[1]:
            merged[1] = cost
            merged_index[1] = k
    k = merged_index[0]
    _set_choice(choice, 1, k, merges[k, 0], merges[k, 1], merges[k, 2], merges[k, 3], merges[k, 4])
    best = merged[0]
    own = np.zeros(11, np.int64)
    own_bits = 0.0
    own_best = 1e18
    # A prediction that leaves next to nothing needs no vectors of its own.
    if best >= 0.25 * weight * n * n / 64:
        explicit_bits = s.costs.merge[size, beside, 0] + s.costs.intra[0, 0]
        predicted = np.empty((2, 2), np.int64)
        starts = np.empty((12, 2), np.int64)
        single = np.zeros((2, 2), np.int64)
        references = 2 if s.interior else 1
        middle_row = min(y + (n >> 1), s.height - 1)
        middle_column = min(x + (n >> 1), s.width - 1)
        for r in range(references):
            py, px = predicted_vector(r, f.vectors, f.order, s.temporal, row, column, cells)
            predicted[r, 0] = py
            predicted[r, 1] = px
            count = 0
            for k in range(5):
                starts[count, 0] = merges[k, 1 + 2 * r]
                starts[count, 1] = merges[k, 2 + 2 * r]
                count += 1
            starts[count, 0] = py
            starts[count, 1] = px
            count += 1
            starts[count, 0] = parent[3 + 2 * r]
            starts[count, 1] = parent[4 + 2 * r]
            count += 1
            starts[count, 0] = s.coarse[r, middle_row >> 4, middle_column >> 4, 0]
            starts[count, 1] = s.coarse[r, middle_row >> 4, middle_column >> 4, 1]
            count += 1
            starts[count, 0] = 0
            starts[count, 1] = 0
            count += 1
            vy, vx = _refine(s, weight, r, starts, count, py, px, y, x, n, 8)
            single[r, 0] = vy
            single[r, 1] = vx
            bits = explicit_bits + _vector_bits(s, vy - py, vx - px)
            if s.interior:
                bits += s.costs.both[size, 0] + s.costs.second[r]
            cost = block_satd(s, r + 1, vy, vx, vy, vx, y, x, n) + weight * bits
            if cost < own_best:
                own_best = cost
                own_bits = bits
                if r == 0:
                    _set_choice(own, 0, 0, 1, vy, vx, -vy, -vx)
                else:
                    _set_choice(own, 0, 0, 2, -vy, -vx, vy, vx)
                own[7 + 2 * r] = vy - py
                own[8 + 2 * r] = vx - px
        if s.interior:
            v = np.empty((2, 2), np.int64)
            # From both single vectors, and from the best merge that has both.
            for start in range(2):
                if start == 0:
                    v[:] = single
                else:
                    chosen = -1
                    least = 1e18
                    for k in range(5):
                        if merges[k, 0] == 3:
                            cost = float(
                                block_satd(
                                    s,
                                    3,
                                    merges[k, 1],
                                    merges[k, 2],
                                    merges[k, 3],
                                    merges[k, 4],
                                    y,
                                    x,
                                    n,
                                )
                            )
                            if cost < least:
                                least = cost
                                chosen = k
                    if chosen < 0:
                        break
                    for c in range(4):
                        v[c >> 1, c & 1] = merges[chosen, 1 + c]
                _refine_both(s, weight, v, predicted, y, x, n)
                bits = explicit_bits + s.costs.both[size, 1]
                bits += _vector_bits(s, v[0, 0] - predicted[0, 0], v[0, 1] - predicted[0, 1])
                bits += _vector_bits(s, v[1, 0] - predicted[1, 0], v[1, 1] - predicted[1, 1])
                cost = block_satd(s, 3, v[0, 0], v[0, 1], v[1, 0], v[1, 1], y, x, n) + weight * bits
                if cost < own_best:
                    own_best = cost
                    own_bits = bits
                    _set_choice(own, 0, 0, 3, v[0, 0], v[0, 1], v[1, 0], v[1, 1])
                    for c in range(4):
                        own[7 + c] = v[c >> 1, c & 1] - predicted[c >> 1, c & 1]
    if not s.trial:
        if own_best < best:
            choice[:] = own
            best = own_best
        return best
    near = 1.25 * min(best, own_best) + weight * 4
    best_satd = min(best, own_best)
    best = 1e18
    for k in range(2):
        if merged[k] < near:
            index = merged_index[k]
            trial = np.zeros(11, np.int64)
            _set_choice(
                trial,
                1,
                index,
                merges[index, 0],
                merges[index, 1],
                merges[index, 2],
                merges[index, 3],
                merges[index, 4],
            )
            cost = _trial(s, trial, merge_bits + s.costs.index[index], y, x, n, size)
            if cost < best:
                best = cost
                choice[:] = trial
    if own_best < near:
        cost = _trial(s, own, own_bits, y, x, n, size)
        if cost < best:
            best = cost
            choice[:] = own
    if s.intra and n < 64 and best_satd > 8 * weight * n * n / 64:
        cost = _trial_intra(s, y, x, n, size, best_satd)
        if cost < best:
            best = cost
            _set_choice(choice, 0, 0, 0, 0, 0, 0, 0)
    return best


@numba.njit(nogil=True, cache=True)
def _put(f, y, x, n, choice):
    """Write a leaf into the cells and append it."""
    for row in range(y >> 3, (y + n) >> 3):
        for column in range(x >> 3, (x + n) >> 3):
            f.direction[row, column] = choice[2]
            f.order[row, column] = 1 if choice[2] else 0
            f.size[row, column] = n
            f.merged[row, column] = choice[0]
            for c in range(4):
                f.vectors[c >> 1, row, column, c & 1] = choice[3 + c]
    leaf = f.leaves[f.count[0]]
    leaf[:] = 0
    leaf[X] = x
    leaf[Y] = y
    leaf[SIZE] = n
    leaf[INTRA] = 0 if choice[2] else 1
    leaf[MERGE] = choice[0]
    leaf[INDEX] = choice[1]
    leaf[DIRECTION] = 0 if choice[0] else choice[2]
    leaf[VY0] = choice[7]
    leaf[VX0] = choice[8]
    leaf[VY1] = choice[9]
    leaf[VX1] = choice[10]
    f.count[0] += 1


@numba.njit(nogil=True, cache=True)
def _root(s, f, root_y, root_x):
    """Decide the leaves of a root block. Level k has blocks of 8 << k samples."""
    choices = np.zeros((5, 11), np.int64)
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
        n = 8 << k
        inside = y[k] + n <= s.height and x[k] + n <= s.width
        if child[k] < 0:
            step = s.residuals.steps[s.residuals.q[y[k] >> 5, x[k] >> 5]]
            price = s.satd_weight * step
            if s.trial:
                price = s.residuals.weight * step * step
            start[k] = f.count[0]
            alone[k] = 1e18
            total[k] = 0.0
            around[k] = around[k + 1]
            if inside:
                alone[k] = _evaluate(s, f, y[k], x[k], n, k, choices[around[k + 1]], choices[k])
                around[k] = k
                if k > 0:
                    smaller = 0
                    if x[k] > 0 and f.size[y[k] >> 3, (x[k] >> 3) - 1] < n:
                        smaller += 1
                    if y[k] > 0 and f.size[(y[k] >> 3) - 1, x[k] >> 3] < n:
                        smaller += 1
                    alone[k] += price * s.costs.split[k - 1, smaller, 0]
                    total[k] = price * s.costs.split[k - 1, smaller, 1]
            least = (0.15 if s.trial else 0.6) * price * n * n / 64
            if k > 0 and (not inside or (n > s.smallest and alone[k] > least)):
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


@numba.njit(nogil=True, cache=True)
def search_motion(s, f):
    """Decide all leaves of a canvas, of intra ones only that they are."""
    for y in range(0, s.height, 64):
        for x in range(0, s.width, 64):
            _root(s, f, y, x)


def no_leaves(width: int, height: int) -> Found:
    """Cells of a canvas without any leaf."""
    rows, columns = height // 8, width // 8
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
