"""Bi-predicted blocks with coded vectors (direction 3; spec 7.4, 8.2)."""

from __future__ import annotations

import numpy as np

from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.distances import ANY, satd_mean
from nvcodec.encode.hybrid.search.block import NEVER, Block
from nvcodec.encode.hybrid.search.phases import MARGIN
from nvcodec.encode.hybrid.search.prediction import (
    BOTH,
    DIFFERENCES,
    FAR,
    OWN_VECTORS,
    InterSearch,
    block_satd,
    place_of,
    set_choice,
    vector_bits,
)
from nvcodec.encode.hybrid.search.vectors import own_bits, step_of

_FIRST_STEP = 2
"""First step, in quarter samples; small, as each vector has been refined alone before."""


@kernel
def _refine(s: InterSearch, b: Block, v: np.ndarray, distance: Integer) -> Integer:
    """Refine the vectors v (list, y and x) in turn, by SATD of the mean plus rate.

    `distance` is their SATD; returns that of the refined ones.
    """
    c, p = s.candidates, s.candidates.predicted
    at = b.y * s.width + b.x
    stride = s.width + 2 * MARGIN
    place0 = place_of(s, v[0, 0], v[0, 1], b.y, b.x, b.wide, b.tall)
    place1 = place_of(s, v[1, 0], v[1, 1], b.y, b.x, b.wide, b.tall)
    if place0 < 0 or place1 < 0:
        return FAR
    bits0 = vector_bits(s, v[0, 0] - p[0, 0], v[0, 1] - p[0, 1])
    bits1 = vector_bits(s, v[1, 0] - p[1, 0], v[1, 1] - p[1, 1])
    best = b.lam_satd * (bits0 + bits1) + distance
    most = s.limits.refinements
    # The block of a half has been refined before.
    for turn in range(most if b.wide == b.tall else min(1, most)):
        step = _FIRST_STEP if turn == 0 else 1
        improved = False
        for r in range(2):
            other_bits = bits1 if r == 0 else bits0
            cy = v[r, 0]
            cx = v[r, 1]
            for k in range(s.limits.directions):
                dy, dx = step_of(c, k, s.limits.directions)
                vy = cy + step * dy
                vx = cx + step * dx
                if k < 4:
                    c.sides[k] = NEVER
                place = place_of(s, vy, vx, b.y, b.x, b.wide, b.tall)
                if place < 0:
                    continue
                bits = vector_bits(s, vy - p[r, 0], vx - p[r, 1])
                rate = b.lam_satd * (bits + other_bits)
                if rate >= best:
                    continue
                first, second = (place, place1) if r == 0 else (place0, place)
                found = satd_mean(
                    s.current, at, s.width, s.phases0, first, s.phases1, second, stride, b.wide,
                    b.tall, best - rate,
                )  # fmt: skip
                if k < 4:
                    c.sides[k] = rate + found
                if rate + found < best:
                    distance = found
                    best = rate + found
                    improved = True
                    v[r, 0] = vy
                    v[r, 1] = vx
                    if r == 0:
                        bits0 = bits
                    else:
                        bits1 = bits
            if r == 0:
                place0 = place_of(s, v[0, 0], v[0, 1], b.y, b.x, b.wide, b.tall)
            else:
                place1 = place_of(s, v[1, 0], v[1, 1], b.y, b.x, b.wide, b.tall)
        if not improved and turn > 0:
            break
    return distance


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
def _offer(s: InterSearch, b: Block, flags: Real, v: np.ndarray, distance: Integer) -> None:
    """Refine the vectors v, whose SATD is `distance`, and offer them."""
    c = s.candidates
    p = c.predicted
    distance = _refine(s, b, v, distance)
    bits = flags + s.bits.both[b.level, 1]
    bits += vector_bits(s, v[0, 0] - p[0, 0], v[0, 1] - p[0, 1])
    bits += vector_bits(s, v[1, 0] - p[1, 0], v[1, 1] - p[1, 1])
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
    chosen, distance = c.of_both
    o = c.single
    own = block_satd(s, b, 3, o[0, 0], o[0, 1], o[1, 0], o[1, 1], ANY)
    if (s.limits.both_starts == 1 or b.wide != b.tall) and chosen >= 0:
        if distance < own:
            _put_merge(s, chosen, v)
        else:
            _put_start(s, v)
        _offer(s, b, flags, v, min(distance, own))
        return
    _put_start(s, v)
    _offer(s, b, flags, v, own)
    if chosen >= 0:
        _put_merge(s, chosen, v)
        _offer(s, b, flags, v, distance)
