"""The leaves of an inter canvas (spec 7.4, 8.2): its partition, and how each leaf is predicted.

Takes source luma, references at quarter samples and rate tables; gives leaves. Intra leaves are
only marked as intra: `intra` decides them later. Each tool offers candidates by SATD plus rate. If
the preset says so, the best of them are coded on trial (RDO).
"""

from __future__ import annotations

from nvcodec.coding.hybrid.leaves import (
    DIRECTION,
    INDEX,
    INTRA,
    MERGE,
    SIZE,
    VY0,
    X,
    Y,
)
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.search.bi import offer_both
from nvcodec.encode.hybrid.search.block import NEVER, Block, block_at, smaller_beside
from nvcodec.encode.hybrid.search.intra import intra_cost
from nvcodec.encode.hybrid.search.merge import offer_merges
from nvcodec.encode.hybrid.search.partition import partition
from nvcodec.encode.hybrid.search.prediction import (
    BEST_MERGE,
    CHOICE,
    DIFFERENCES,
    ENTRY,
    LISTS,
    MERGED,
    OWN_VECTORS,
    PLACES,
    SINGLE,
    VECTORS,
    InterSearch,
    clear,
    set_choice,
)
from nvcodec.encode.hybrid.search.trial import trial_cost
from nvcodec.encode.hybrid.search.vectors import offer_vectors
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT

_NEAR = 1.25
_NEAR_BITS = 4
"""Code on trial if SATD <= _NEAR x best + lambda x _NEAR_BITS."""
_INTRA_FROM_BITS = 8
"""Bits per cell: intra prediction is not tried if the best inter SATD cost is below this."""


@kernel
def _offer(s: InterSearch, b: Block) -> None:
    """Collect the candidates that the tools offer for a block."""
    clear(s.candidates)
    offer_merges(s, b)
    if s.candidates.cost[BEST_MERGE] >= s.limits.merge_bits * b.lam_satd * b.n * b.n / 64:
        offer_vectors(s, b)
        offer_both(s, b)


@kernel
def _take(s: InterSearch, b: Block, place: Integer) -> None:
    """Choose the candidate at a place for a block."""
    for k in range(CHOICE):
        s.candidates.around[b.level, k] = s.candidates.choice[place, k]


@kernel
def _best_choice(s: InterSearch, b: Block) -> Real:
    """Choose how a leaf is predicted; returns its cost.

    The cost is in squared error with s.trial, else in SATD.
    """
    c = s.candidates
    _offer(s, b)
    best_satd = min(c.cost[BEST_MERGE], c.cost[OWN_VECTORS])
    if not s.trial:
        _take(s, b, OWN_VECTORS if c.cost[OWN_VECTORS] < c.cost[BEST_MERGE] else BEST_MERGE)
        return best_satd
    near = _NEAR * best_satd + b.lam_satd * _NEAR_BITS
    best = NEVER
    for place in range(SINGLE if s.limits.apart else 0, PLACES if s.limits.apart else SINGLE):
        if c.cost[place] < near:
            cost = trial_cost(s, b, place)
            if cost < best:
                best = cost
                _take(s, b, place)
    if b.n <= s.largest_intra and best_satd > _INTRA_FROM_BITS * b.lam_satd * b.n * b.n / 64:
        cost = intra_cost(s, b, best_satd)
        if cost < best:
            best = cost
            set_choice(c.around[b.level], 0, 0, 0, 0, 0)
    return best


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
    if y + b.n <= s.height and x + b.n <= s.width:
        walk.whole[k] = _best_choice(s, b)
        level[k] = k
        if k > 0:
            smaller = smaller_beside(s.cells.size, b)
            walk.whole[k] += lam * s.bits.split[k - 1, smaller, 0]
            margin = s.limits.cell_margin if k == 1 else s.limits.split_margin
            walk.parts[k] = lam * (s.bits.split[k - 1, smaller, 1] + margin)
    if walk.whole[k] >= NEVER:
        return True
    return bool(
        k > s.limits.least_level and walk.whole[k] > s.limits.split_bits * lam * b.n * b.n / 64
    )


@kernel
def _settle(s: InterSearch, k: Integer, y: Integer, x: Integer, divided: bool) -> Real:
    """If a block is not divided, append its leaf and write it to the cells; hook of `partition`."""
    if divided:
        return s.walk.parts[k]
    cells = s.cells
    choice = s.candidates.around[k]
    n = CELL << k
    for row in range(y >> 3, (y + n) >> 3):
        for column in range(x >> 3, (x + n) >> 3):
            cells.direction[row, column] = choice[LISTS]
            cells.available[row, column] = 1 if choice[LISTS] else 0
            cells.size[row, column] = n
            cells.merged[row, column] = choice[MERGED]
            for c in range(4):
                cells.vectors[c >> 1, row, column, c & 1] = choice[VECTORS + c]
    cells.used[0] = s.walk.start[k]
    leaf = cells.leaves[cells.used[0]]
    for c in range(leaf.size):
        leaf[c] = 0
    leaf[X] = x
    leaf[Y] = y
    leaf[SIZE] = n
    leaf[INTRA] = 0 if choice[LISTS] else 1
    leaf[MERGE] = choice[MERGED]
    leaf[INDEX] = choice[ENTRY]
    leaf[DIRECTION] = 0 if choice[MERGED] else choice[LISTS]
    for c in range(4):
        leaf[VY0 + c] = choice[DIFFERENCES + c]
    cells.used[0] += 1
    return s.walk.whole[k]


_walk_root = partition(_evaluate, _settle, CELL)


@kernel
def search_inter_blocks(s: InterSearch, row: Integer, first: Integer, end: Integer) -> None:
    """Decide the leaves of root blocks `first` to `end - 1` of a row.

    Intra leaves are only marked as such. The blocks to the left and above have to be decided, up to
    the one above to the right.
    """
    for column in range(first, end):
        _walk_root(s, 3, ROOT * row, ROOT * column, s.height, s.width)
