"""Merged blocks (spec 7.4, 8.2): direction and vectors are an entry of the merge list."""

from __future__ import annotations

import numpy as np

from nvcodec.compiled import Integer, kernel
from nvcodec.encode.distances import ANY
from nvcodec.encode.hybrid.search.block import Block
from nvcodec.encode.hybrid.search.prediction import (
    BEST_MERGE,
    CHOICE,
    DIFFERENCES,
    ENTRY,
    IS_AFFINE,
    LISTS,
    MERGED,
    MERGES,
    SECOND_MERGE,
    VECTORS,
    InterSearch,
    block_satd,
)
from nvcodec.model.hybrid.canvas.motion import ENTRIES, merge_list


@kernel
def marked_beside(marks: np.ndarray, b: Block) -> Integer:
    """The sum of the marks of the cells left of and above a block.

    With marks of merged leaves it is d of `merge`, with those of affine ones b of `affine` (spec
    7.4).
    """
    row = b.y >> 3
    column = b.x >> 3
    beside = 0
    if column > 0:
        beside += marks[row, column - 1]
    if row > 0:
        beside += marks[row - 1, column]
    return beside


@kernel
def _set_merge(choice: np.ndarray, merges: np.ndarray, entry: Integer) -> None:
    choice[MERGED] = 1
    choice[ENTRY] = entry
    choice[LISTS] = merges[entry, 0]
    for k in range(4):
        choice[VECTORS + k] = merges[entry, 1 + k]
        choice[DIFFERENCES + k] = 0
    for k in range(IS_AFFINE, CHOICE):
        choice[k] = 0


@kernel
def offer_merges(s: InterSearch, b: Block) -> None:
    """Offer the two best entries of the merge list.

    Leaves the list in candidates.merges, and the best bi-predicted entry in candidates.of_both.
    """
    cells, c = s.cells, s.candidates
    default = 3 if s.interior else 1
    listed = merge_list(
        cells.direction,
        cells.vectors,
        cells.available,
        s.projected,
        default,
        b.y >> 3,
        b.x >> 3,
        b.wide >> 3,
        b.tall >> 3,
        c.merges,
    )
    beside = marked_beside(cells.merged, b)
    # The intra flag is priced as beside no intra leaf, for all tools; leaves of 64 have none.
    flags = s.bits.merge[b.level, beside, 1] + s.bits.intra[0, 0]
    if min(b.wide, b.tall) > 8:
        flags += s.bits.affine[1, b.level, marked_beside(s.cells.affine, b), 0]
    c.of_both[0] = -1
    c.of_both[1] = ANY
    best = 0
    second = 0
    # All entries after the listed ones are the same zero motion; one of them is enough.
    for k in range(min(ENTRIES, listed + 1)):
        m = c.merges[k]
        rate = b.lam_satd * (flags + s.bits.entry[k])
        # Beyond this it is neither one of the best two nor the best bi-predicted one.
        most = float(ANY) if s.limits.apart else c.cost[SECOND_MERGE] - rate
        if m[0] == 3:
            most = max(most, float(c.of_both[1]))
        distance = block_satd(s, b, m[0], m[1], m[2], m[3], m[4], most)
        cost = distance + rate
        if m[0] == 3 and distance < c.of_both[1]:
            c.of_both[0] = k
            c.of_both[1] = distance
        if s.limits.apart:
            c.cost[MERGES + k] = cost
            c.bits[MERGES + k] = flags + s.bits.entry[k]
            _set_merge(c.choice[MERGES + k], c.merges, k)
        if cost < c.cost[BEST_MERGE]:
            c.cost[SECOND_MERGE] = c.cost[BEST_MERGE]
            second = best
            c.cost[BEST_MERGE] = cost
            best = k
        elif cost < c.cost[SECOND_MERGE]:
            c.cost[SECOND_MERGE] = cost
            second = k
    c.bits[BEST_MERGE] = flags + s.bits.entry[best]
    c.bits[SECOND_MERGE] = flags + s.bits.entry[second]
    _set_merge(c.choice[BEST_MERGE], c.merges, best)
    _set_merge(c.choice[SECOND_MERGE], c.merges, second)
