"""The partition of a key canvas (spec 7.4), whose leaves are all intra."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import LEAF_COLUMNS
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.search.block import (
    NEVER,
    Block,
    CanvasInput,
    block_at,
    chroma_of,
    smaller_beside,
)
from nvcodec.encode.hybrid.search.intra import Intra, Rebuilt, decide_intra_leaf, recall
from nvcodec.encode.hybrid.search.partition import Walk, partition
from nvcodec.encode.hybrid.search.workspace import IntraSpace
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT

_LARGEST = 2
"""Level of the largest intra leaf, of 32 samples."""
_SPLIT_BITS = 0.75
"""Bits per cell: a block with a lower cost is not split."""
_FOUR_BITS = 6.0
"""Bits: a leaf of one cell with a lower cost is not tried with luma predicted by quarters."""


class KeySearch(NamedTuple):
    """The search of a key canvas; `used` is where the next one of `leaves` goes."""

    walk: Walk
    intra: Intra
    leaves: npt.NDArray[np.int32]
    used: npt.NDArray[np.int64]


@kernel
def _copy(
    source: np.ndarray,
    y: Integer,
    x: Integer,
    out: np.ndarray,
    to_y: Integer,
    to_x: Integer,
    n: Integer,
) -> None:
    """Copy n x n elements between places of two arrays."""
    for i in range(n):
        for j in range(n):
            out[to_y + i, to_x + j] = source[y + i, x + j]


@kernel
def _keep(given: CanvasInput, canvas: Rebuilt, b: Block, space: IntraSpace) -> None:
    """Copy the samples and modes of a block out of the canvas."""
    kept = space.kept[b.level]
    y, x, n = chroma_of(given, b.y, b.x, b.n)
    _copy(canvas.plane0, b.y, b.x, kept[0], 0, 0, b.n)
    for part in range(given.parts):
        _copy(canvas.plane1, y + part * n, x, kept[1], part * n, 0, n)
        _copy(canvas.plane2, y + part * n, x, kept[2], part * n, 0, n)
    _copy(canvas.modes, b.y >> 2, b.x >> 2, space.kept_modes[b.level], 0, 0, b.n >> 2)


@kernel
def _restore(given: CanvasInput, canvas: Rebuilt, b: Block, space: IntraSpace) -> None:
    """Copy them back, and mark the block as reconstructed."""
    kept = space.kept[b.level]
    y, x, n = chroma_of(given, b.y, b.x, b.n)
    _copy(kept[0], 0, 0, canvas.plane0, b.y, b.x, b.n)
    for part in range(given.parts):
        _copy(kept[1], part * n, 0, canvas.plane1, y + part * n, x, n)
        _copy(kept[2], part * n, 0, canvas.plane2, y + part * n, x, n)
    _copy(space.kept_modes[b.level], 0, 0, canvas.modes, b.y >> 2, b.x >> 2, b.n >> 2)
    for row in range(b.y >> 2, (b.y + b.n) >> 2):
        for column in range(b.x >> 2, (b.x + b.n) >> 2):
            canvas.known[row, column] = 1
    for row in range(b.y >> 3, (b.y + b.n) >> 3):
        for column in range(b.x >> 3, (b.x + b.n) >> 3):
            canvas.size[row, column] = b.n


@kernel
def _forget(canvas: Rebuilt, b: Block) -> None:
    """Mark a block as not reconstructed."""
    for row in range(b.y >> 2, min((b.y + b.n) >> 2, canvas.known.shape[0])):
        for column in range(b.x >> 2, min((b.x + b.n) >> 2, canvas.known.shape[1])):
            canvas.known[row, column] = 0
            canvas.modes[row, column] = 1


@kernel
def _decide_cell(s: KeySearch, b: Block) -> None:
    """Try luma prediction by quarters for a leaf of one cell, and keep the better leaf."""
    intra, walk, space = s.intra, s.walk, s.intra.workspace.intra
    costs = intra.given.intra
    walk.whole[0] += b.lam * costs.four[0]
    if walk.whole[0] <= _FOUR_BITS * b.lam:
        return
    _forget(intra.rebuilt, b)
    cost = b.lam * costs.four[1] + decide_intra_leaf(intra, b, 1, space.quarters)
    if cost < walk.whole[0]:
        walk.whole[0] = cost
        for k in range(LEAF_COLUMNS):
            space.leaves[0, k] = space.quarters[k]
        _keep(intra.given, intra.rebuilt, b, space)


@kernel
def _evaluate(s: KeySearch, k: Integer, y: Integer, x: Integer) -> bool:
    """Decide a block as one leaf; hook of `partition`."""
    intra, walk, space = s.intra, s.walk, s.intra.workspace.intra
    b = block_at(intra.given, y, x, CELL << k)
    height, width = intra.given.source0.shape
    walk.start[k] = s.used[0]
    walk.whole[k] = NEVER
    walk.parts[k] = 0.0
    inside = k <= _LARGEST and y + b.n <= height and x + b.n <= width
    if inside:
        recall(intra, s.leaves, s.used[0])
        walk.whole[k] = decide_intra_leaf(intra, b, 0, space.leaves[k])
        _keep(intra.given, intra.rebuilt, b, space)
        if k == 0:
            _decide_cell(s, b)
            return False
        smaller = smaller_beside(intra.rebuilt.size, b)
        walk.whole[k] += b.lam * intra.given.intra.split[k - 1, smaller, 0]
        walk.parts[k] = b.lam * intra.given.intra.split[k - 1, smaller, 1]
    if walk.whole[k] <= _SPLIT_BITS * b.lam * (b.n * b.n / 64):
        return False
    if inside:
        _forget(intra.rebuilt, b)
    return True


@kernel
def _settle(s: KeySearch, k: Integer, y: Integer, x: Integer, divided: bool) -> Real:
    """If a block is not divided, restore and append its leaf; hook of `partition`."""
    if divided:
        return s.walk.parts[k]
    space = s.intra.workspace.intra
    b = block_at(s.intra.given, y, x, CELL << k)
    _restore(s.intra.given, s.intra.rebuilt, b, space)
    s.used[0] = s.walk.start[k]
    for column in range(LEAF_COLUMNS):
        s.leaves[s.used[0], column] = space.leaves[k, column]
    s.used[0] += 1
    return s.walk.whole[k]


_walk_root = partition(_evaluate, _settle, CELL)


@kernel
def search_key_blocks(s: KeySearch, row: Integer, first: Integer, end: Integer) -> Real:
    """Decide and reconstruct root blocks `first` to `end - 1` of a row.

    The blocks to the left and above have to be decided, up to the one above to the right. Returns
    the cost in squared error.
    """
    height, width = s.intra.given.source0.shape
    total = 0.0
    for column in range(first, end):
        total += _walk_root(s, 3, ROOT * row, ROOT * column, height, width)
    return total
