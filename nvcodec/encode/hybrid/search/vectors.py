"""Blocks predicted from one reference with a coded vector (spec 7.4, 8.2)."""

from __future__ import annotations

import numpy as np

from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.distances import ANY, sad, satd
from nvcodec.encode.hybrid.search.block import NEVER, Block
from nvcodec.encode.hybrid.search.merge import marked_beside
from nvcodec.encode.hybrid.search.phases import MARGIN
from nvcodec.encode.hybrid.search.prediction import (
    DIFFERENCES,
    OWN_VECTORS,
    SINGLE,
    STARTS,
    VECTORS,
    Candidates,
    InterSearch,
    place_of,
    set_choice,
    vector_bits,
)
from nvcodec.model.hybrid.canvas.motion import ENTRIES, predicted_vector

# Directions of search steps; the first four are horizontal and vertical.
STEP_Y = (0, 0, 1, -1, 1, 1, -1, -1)
STEP_X = (1, -1, 0, 0, 1, -1, 1, -1)

_STRAIGHT_FROM = 4
"""Quarter samples: steps of this length or more are only horizontal and vertical."""
_HALF_STEP = 2
"""First step of halves, whose block has been searched before."""
_ROUNDS = 6
"""Most moves with one step length. Few blocks need more, as a start vector is usually close."""


@kernel
def step_of(c: Candidates, k: Integer, directions: Integer) -> tuple[Integer, Integer]:
    """The k-th of the steps in so many directions, (y, x).

    The last of five goes between the better one of right and left and that of down and up, as
    `sides` has them.
    """
    if directions == 5 and k == 4:
        right, left, down, up = c.sides
        return 1 if down < up else -1, 1 if right < left else -1
    return STEP_Y[k], STEP_X[k]


@kernel
def own_bits(s: InterSearch, b: Block) -> Real:
    """Bits of the flags that say that a block is neither intra nor merged."""
    beside = marked_beside(s.cells.merged, b)
    bits = s.bits.merge[b.level, beside, 0] + s.bits.intra[0, 0]
    if min(b.wide, b.tall) > 8:
        bits += s.bits.affine[0, b.level, marked_beside(s.cells.affine, b), 0]
    return bits


@kernel
def _put_starts(s: InterSearch, b: Block, r: Integer) -> Integer:
    """Set candidates.starts to the start vectors for reference r, each once; counts them."""
    c = s.candidates
    row = min(b.y + (b.tall >> 1), s.height - 1) >> 4
    column = min(b.x + (b.wide >> 1), s.width - 1) >> 4
    for k in range(ENTRIES):
        c.starts[k, 0] = c.merges[k, 1 + 2 * r]
        c.starts[k, 1] = c.merges[k, 2 + 2 * r]
    around = c.around[b.parent if b.wide != b.tall else c.level[b.slot + 1]]
    for axis in range(2):
        c.starts[ENTRIES, axis] = c.predicted[r, axis]
        c.starts[ENTRIES + 1, axis] = around[VECTORS + 2 * r + axis]
        c.starts[ENTRIES + 2, axis] = s.coarse[r, row, column, axis]
        c.starts[ENTRIES + 3, axis] = 0
        if s.limits.starts_beside:
            right = min(column + max(1, b.wide >> 4), s.coarse.shape[2] - 1)
            below = min(row + max(1, b.tall >> 4), s.coarse.shape[1] - 1)
            c.starts[ENTRIES + 4, axis] = s.coarse[r, row, right, axis]
            c.starts[ENTRIES + 5, axis] = s.coarse[r, below, column, axis]
    count: Integer = np.int64(0)
    for k in range(STARTS if s.limits.starts_beside else STARTS - 2):
        known = False
        for other in range(count):
            if c.starts[other, 0] == c.starts[k, 0] and c.starts[other, 1] == c.starts[k, 1]:
                known = True
        if not known:
            c.starts[count, 0] = c.starts[k, 0]
            c.starts[count, 1] = c.starts[k, 1]
            count += 1
    return count


@kernel
def _best_start(
    s: InterSearch, b: Block, r: Integer, phases: np.ndarray
) -> tuple[Real, Integer, Integer]:
    """The start vector with the least SAD plus rate: its cost, y and x."""
    c = s.candidates
    at = b.y * s.width + b.x
    stride = s.width + 2 * MARGIN
    best = NEVER
    by = 0
    bx = 0
    for k in range(_put_starts(s, b, r)):
        vy = c.starts[k, 0]
        vx = c.starts[k, 1]
        place = place_of(s, vy, vx, b.y, b.x, b.wide, b.tall)
        if place < 0:
            continue
        rate = b.lam_satd * vector_bits(s, vy - c.predicted[r, 0], vx - c.predicted[r, 1])
        cost = rate + sad(
            s.current, at, s.width, phases, place, stride, b.wide, b.tall, best - rate
        )
        if cost < best:
            best = cost
            by = vy
            bx = vx
    return best, by, bx


@kernel
def _tried(dy: Integer, dx: Integer, step: Integer, directions: Integer) -> bool:
    """Whether steps in so many directions reach what is (dy, dx) away, or it is no way at all."""
    away = max(abs(dy), abs(dx)) if directions == 8 else abs(dy) + abs(dx)
    return bool(away <= step)


@kernel
def _refine(s: InterSearch, b: Block, r: Integer) -> tuple[Integer, Integer, Integer]:
    """The vector (y, x) to reference r, refined from the best start by distance plus rate.

    Returns its SATD too.
    """
    c = s.candidates
    phases = s.phases0 if r == 0 else s.phases1
    at = b.y * s.width + b.x
    stride = s.width + 2 * MARGIN
    py = c.predicted[r, 0]
    px = c.predicted[r, 1]
    best, by, bx = _best_start(s, b, r, phases)
    step = s.limits.first_step if b.wide == b.tall else _HALF_STEP
    fine = False
    distance = 0
    while step > 0:
        if step <= s.limits.fine_step and not fine:
            fine = True
            place = place_of(s, by, bx, b.y, b.x, b.wide, b.tall)
            distance = satd(s.current, at, s.width, phases, place, stride, b.wide, b.tall, ANY)
            best = b.lam_satd * vector_bits(s, by - py, bx - px) + distance
        rounds = 0
        moved = True
        # The centre before: what is as near to it has been tried.
        oy = by + 4 * step
        ox = bx
        directions = s.limits.last_directions if step == 1 else s.limits.directions
        if step >= _STRAIGHT_FROM:
            directions = 4
        while moved and rounds < _ROUNDS:
            moved = False
            rounds += 1
            cy = by
            cx = bx
            for k in range(directions):
                dy, dx = step_of(c, k, directions)
                vy = cy + step * dy
                vx = cx + step * dx
                if k < 4:
                    c.sides[k] = NEVER
                if _tried(vy - oy, vx - ox, step, directions):
                    continue
                place = place_of(s, vy, vx, b.y, b.x, b.wide, b.tall)
                if place < 0:
                    continue
                rate = b.lam_satd * vector_bits(s, vy - py, vx - px)
                if rate >= best:
                    continue
                most = best - rate
                if fine:
                    found = satd(
                        s.current, at, s.width, phases, place, stride, b.wide, b.tall, most
                    )
                else:
                    found = sad(s.current, at, s.width, phases, place, stride, b.wide, b.tall, most)
                if k < 4:
                    c.sides[k] = rate + found
                if rate + found < best:
                    distance = found
                    best = rate + found
                    by = vy
                    bx = vx
                    moved = True
            oy = cy
            ox = cx
        step >>= 1
    return by, bx, distance


@kernel
def offer_vectors(s: InterSearch, b: Block) -> None:
    """Offer the best vector to each reference.

    Leaves these vectors in candidates.single and the predicted ones in candidates.predicted.
    """
    cells, c = s.cells, s.candidates
    flags = own_bits(s, b)
    for r in range(2 if s.two else 1):
        py, px = predicted_vector(
            r, cells.vectors, cells.available, b.y >> 3, b.x >> 3, b.wide >> 3
        )
        c.predicted[r, 0] = py
        c.predicted[r, 1] = px
        vy, vx, distance = _refine(s, b, r)
        c.single[r, 0] = vy
        c.single[r, 1] = vx
        bits = flags + vector_bits(s, vy - py, vx - px)
        if s.two:
            bits += s.bits.both[b.level, 0] + s.bits.second[r]
        cost = distance + b.lam_satd * bits
        for place in (OWN_VECTORS, SINGLE + r):
            if cost >= c.cost[place] or (place != OWN_VECTORS and not s.limits.apart):
                continue
            c.cost[place] = cost
            c.bits[place] = bits
            choice = c.choice[place]
            # The vector of the unused reference follows from it (spec 8.2).
            oy = -vy if s.interior else vy
            ox = -vx if s.interior else vx
            if r == 0:
                set_choice(choice, 1, vy, vx, oy, ox)
            else:
                set_choice(choice, 2, oy, ox, vy, vx)
            choice[DIFFERENCES + 2 * r] = vy - py
            choice[DIFFERENCES + 1 + 2 * r] = vx - px
