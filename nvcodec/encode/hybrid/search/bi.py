"""Bi-predicted blocks with coded vectors (direction 3; spec 7.4, 8.2)."""

from __future__ import annotations

import numpy as np

from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.distances import satd_mean
from nvcodec.encode.hybrid.search.block import NEVER, Block
from nvcodec.encode.hybrid.search.phases import MARGIN
from nvcodec.encode.hybrid.search.prediction import (
    BOTH,
    DIFFERENCES,
    OWN_VECTORS,
    InterSearch,
    block_satd,
    place_of,
    set_choice,
    vector_bits,
)
from nvcodec.encode.hybrid.search.vectors import STEP_X, STEP_Y, own_bits
from nvcodec.model.hybrid.canvas.motion import ENTRIES

_FIRST_STEP = 2
"""First step, in quarter samples; small, as each vector has been refined alone before."""


@kernel
def _refine(s: InterSearch, b: Block, v: np.ndarray) -> None:
    """Refine the vectors v (list, y and x) in turn, by SATD of the mean plus rate."""
    p = s.candidates.predicted
    at = b.y * s.width + b.x
    stride = s.width + 2 * MARGIN
    place0 = place_of(s, v[0, 0], v[0, 1], b.y, b.x, b.n)
    place1 = place_of(s, v[1, 0], v[1, 1], b.y, b.x, b.n)
    if place0 < 0 or place1 < 0:
        return
    bits0 = vector_bits(s, v[0, 0] - p[0, 0], v[0, 1] - p[0, 1])
    bits1 = vector_bits(s, v[1, 0] - p[1, 0], v[1, 1] - p[1, 1])
    best = b.lam_satd * (bits0 + bits1)
    best += satd_mean(s.current, at, s.width, s.phases0, place0, s.phases1, place1, stride, b.n)
    for turn in range(s.limits.refinements):
        step = _FIRST_STEP if turn == 0 else 1
        improved = False
        for r in range(2):
            other_bits = bits1 if r == 0 else bits0
            cy = v[r, 0]
            cx = v[r, 1]
            for k in range(s.limits.directions):
                vy = cy + step * STEP_Y[k]
                vx = cx + step * STEP_X[k]
                place = place_of(s, vy, vx, b.y, b.x, b.n)
                if place < 0:
                    continue
                bits = vector_bits(s, vy - p[r, 0], vx - p[r, 1])
                rate = b.lam_satd * (bits + other_bits)
                if rate >= best:
                    continue
                first, second = (place, place1) if r == 0 else (place0, place)
                cost = rate + satd_mean(
                    s.current, at, s.width, s.phases0, first, s.phases1, second, stride, b.n
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
                place0 = place_of(s, v[0, 0], v[0, 1], b.y, b.x, b.n)
            else:
                place1 = place_of(s, v[1, 0], v[1, 1], b.y, b.x, b.n)
        if not improved and turn > 0:
            break


@kernel
def _best_merge_of_both(s: InterSearch, b: Block) -> tuple[Integer, Real]:
    """The bi-predicted entry of the merge list with the least SATD, -1 for none; and its SATD."""
    chosen = -1
    least = NEVER
    for k in range(ENTRIES):
        m = s.candidates.merges[k]
        if m[0] == 3:
            cost = float(block_satd(s, b, 3, m[1], m[2], m[3], m[4]))
            if cost < least:
                least = cost
                chosen = k
    return chosen, least


@kernel
def _put_start(s: InterSearch, v: np.ndarray) -> None:
    """Set v to the best vector to each reference."""
    for k in range(4):
        v[k >> 1, k & 1] = s.candidates.single[k >> 1, k & 1]


@kernel
def _put_merge(s: InterSearch, chosen: Integer, v: np.ndarray) -> None:
    """Set v to the vectors of an entry of the merge list."""
    for k in range(4):
        v[k >> 1, k & 1] = s.candidates.merges[chosen, 1 + k]


@kernel
def _offer(s: InterSearch, b: Block, flags: Real, v: np.ndarray) -> None:
    """Refine the vectors v and offer them."""
    c = s.candidates
    p = c.predicted
    _refine(s, b, v)
    bits = flags + s.bits.both[b.level, 1]
    bits += vector_bits(s, v[0, 0] - p[0, 0], v[0, 1] - p[0, 1])
    bits += vector_bits(s, v[1, 0] - p[1, 0], v[1, 1] - p[1, 1])
    distance = block_satd(s, b, 3, v[0, 0], v[0, 1], v[1, 0], v[1, 1])
    cost = distance + b.lam_satd * bits
    for place in (OWN_VECTORS, BOTH):
        if cost >= c.cost[place] or (place != OWN_VECTORS and not s.limits.apart):
            continue
        c.cost[place] = cost
        c.bits[place] = bits
        choice = c.choice[place]
        set_choice(choice, 3, v[0, 0], v[0, 1], v[1, 0], v[1, 1])
        for k in range(4):
            choice[DIFFERENCES + k] = v[k >> 1, k & 1] - p[k >> 1, k & 1]


@kernel
def offer_both(s: InterSearch, b: Block) -> None:
    """Offer bi-prediction with coded vectors.

    There are two starts: the best vector to each reference, and the best bi-predicted merge entry.
    Refines both of them, or the better one.
    """
    if not s.two:
        return
    c = s.candidates
    v = c.vectors
    flags = own_bits(s, b)
    chosen, distance = _best_merge_of_both(s, b)
    o = c.single
    if s.limits.both_starts == 1 and chosen >= 0:
        own = block_satd(s, b, 3, o[0, 0], o[0, 1], o[1, 0], o[1, 1])
        if distance < own:
            _put_merge(s, chosen, v)
        else:
            _put_start(s, v)
        _offer(s, b, flags, v)
        return
    _put_start(s, v)
    _offer(s, b, flags, v)
    if chosen >= 0:
        _put_merge(s, chosen, v)
        _offer(s, b, flags, v)
