"""The partition of a key canvas (spec 7.4), whose leaves are all intra."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import HEIGHT, LEAF_COLUMNS, MODE, WIDTH, X, Y
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.search.block import (
    NEVER,
    Block,
    CanvasInput,
    block_at,
    chroma_of,
    half_of,
    log2,
    narrower_beside,
    packed_size,
    smaller_beside,
)
from nvcodec.encode.hybrid.search.intra import Intra, Rebuilt, decide_intra_leaf, recall
from nvcodec.encode.hybrid.search.partition import Walk, cost_of_quarters, partition
from nvcodec.encode.hybrid.search.workspace import IntraSpace
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT

_LARGEST = 2
"""Level of the largest intra leaf, of 32 samples."""
_SPLIT_BITS = 0.75
"""Bits per cell: a block with a lower cost is not split."""
_LEAST_QUARTERS, _MOST_QUARTERS = 0.6, 1.3
"""Halves are tried if the quarters cost between so many times what the whole block costs."""
_HALF, _QUARTERS = 3, 4
"""Where samples and modes of a half and of quarters are kept, after those of whole blocks."""
_CUT_BITS = 6.0
"""Bits: a leaf of one cell with a lower cost is not tried with more than one luma block."""


class KeySearch(NamedTuple):
    """The search of a key canvas.

    `used` is where the next one of `leaves` goes. Areas with fewer bits per cell than `halves_bits`
    are not halved.
    """

    walk: Walk
    intra: Intra
    halves_bits: float
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
    wide: Integer,
    tall: Integer,
) -> None:
    """Copy wide x tall elements between places of two arrays."""
    for i in range(tall):
        for j in range(wide):
            out[to_y + i, to_x + j] = source[y + i, x + j]


@kernel
def _keep(given: CanvasInput, canvas: Rebuilt, b: Block, space: IntraSpace, slot: Integer) -> None:
    """Copy the samples and modes of a block out of the canvas."""
    kept = space.kept[slot]
    y, x, wide, tall = chroma_of(given, b.y, b.x, b.wide, b.tall)
    _copy(canvas.plane0, b.y, b.x, kept[0], 0, 0, b.wide, b.tall)
    for part in range(given.parts):
        _copy(canvas.plane1, y + part * tall, x, kept[1], part * tall, 0, wide, tall)
        _copy(canvas.plane2, y + part * tall, x, kept[2], part * tall, 0, wide, tall)
    modes = space.kept_modes[slot]
    _copy(canvas.modes, b.y >> 2, b.x >> 2, modes, 0, 0, b.wide >> 2, b.tall >> 2)


@kernel
def _restore(
    given: CanvasInput, canvas: Rebuilt, b: Block, space: IntraSpace, slot: Integer
) -> None:
    """Copy them back, and mark the block as reconstructed."""
    kept = space.kept[slot]
    y, x, wide, tall = chroma_of(given, b.y, b.x, b.wide, b.tall)
    _copy(kept[0], 0, 0, canvas.plane0, b.y, b.x, b.wide, b.tall)
    for part in range(given.parts):
        _copy(kept[1], part * tall, 0, canvas.plane1, y + part * tall, x, wide, tall)
        _copy(kept[2], part * tall, 0, canvas.plane2, y + part * tall, x, wide, tall)
    modes = space.kept_modes[slot]
    _copy(modes, 0, 0, canvas.modes, b.y >> 2, b.x >> 2, b.wide >> 2, b.tall >> 2)
    for row in range(b.y >> 2, (b.y + b.tall) >> 2):
        for column in range(b.x >> 2, (b.x + b.wide) >> 2):
            canvas.known[row, column] = 1


@kernel
def _forget(canvas: Rebuilt, b: Block) -> None:
    """Mark a block as not reconstructed."""
    for row in range(b.y >> 2, min((b.y + b.tall) >> 2, canvas.known.shape[0])):
        for column in range(b.x >> 2, min((b.x + b.wide) >> 2, canvas.known.shape[1])):
            canvas.known[row, column] = 0
            canvas.modes[row, column] = 1


@kernel
def _decide_cell(s: KeySearch, b: Block) -> None:
    """Try the ways to cut the luma of a leaf of one cell, and keep the best leaf."""
    intra, walk, space = s.intra, s.walk, s.intra.workspace.intra
    costs = intra.given.intra
    walk.whole[0] += b.lam * costs.cut[0]
    if walk.whole[0] <= _CUT_BITS * b.lam:
        return
    whole, mode = walk.whole[0], np.int64(space.leaves[0, 0, MODE])
    for cut in range(1, 4):
        _forget(intra.rebuilt, b)
        cost = b.lam * costs.cut[cut]
        cost += decide_intra_leaf(intra, b, cut, 0 if cut == 1 else mode, space.cut)
        promising = _LEAST_QUARTERS * whole < cost < _MOST_QUARTERS * whole
        if cost < walk.whole[0]:
            walk.whole[0] = cost
            _copy_leaf(space.cut, space.leaves[0, 0])
            _keep(intra.given, intra.rebuilt, b, space, 0)
        if cut == 1 and not (promising and whole > s.halves_bits * b.lam):
            break


@kernel
def _copy_leaf(leaf: np.ndarray, out: np.ndarray) -> None:
    for column in range(LEAF_COLUMNS):
        out[column] = leaf[column]


@kernel
def _set_size(canvas: Rebuilt, leaf: np.ndarray) -> None:
    """Set the size of the leaf of each of its cells."""
    packed = packed_size(leaf[WIDTH], leaf[HEIGHT])
    for row in range(leaf[Y] >> 3, (leaf[Y] + leaf[HEIGHT]) >> 3):
        for column in range(leaf[X] >> 3, (leaf[X] + leaf[WIDTH]) >> 3):
            canvas.size[row, column] = packed


@kernel
def _decide_half(
    s: KeySearch, b: Block, mode: Integer, first: Integer, most: Real
) -> tuple[Real, Integer]:
    """Decide a half, and whether it is halved again, and reconstruct it.

    `mode` is that of the whole block. It is not halved again if it costs `most` or more. Its leaves
    are space.halves from number `first` on; returns its cost and the number after them.
    """
    intra, space = s.intra, s.intra.workspace.intra
    canvas = intra.rebuilt
    longer = log2(max(b.wide, b.tall)) - 4
    flag = intra.given.intra.halved[1, longer, smaller_beside(canvas.size, b)]
    cost = decide_intra_leaf(intra, b, 0, mode, space.halves[first])
    _set_size(canvas, space.halves[first])
    if min(b.wide, b.tall) == CELL:
        return cost, first + 1
    cost += b.lam * flag[0]
    if cost >= most or cost <= s.halves_bits * b.lam * (b.wide * b.tall / 64):
        return cost, first + 1
    _keep(intra.given, canvas, b, space, _HALF)
    _forget(canvas, b)
    total = b.lam * flag[1]
    for second in range(2):
        if total < cost:
            strip = half_of(intra.given, b, 1 if b.wide < b.tall else 0, second, -1)
            total += decide_intra_leaf(intra, strip, 0, mode, space.strips[second])
    if total < cost:
        for k in range(2):
            _copy_leaf(space.strips[k], space.halves[first + k])
            _set_size(canvas, space.strips[k])
        return total, first + 2
    _restore(intra.given, canvas, b, space, _HALF)
    return cost, first + 1


@kernel
def _try_halves(s: KeySearch, b: Block, k: Integer, best: Real) -> Real:
    """The cost of a block in the better two halves, if below `best`: they become its leaves.

    Otherwise returns `best`. What is reconstructed of the block changes.
    """
    intra, space = s.intra, s.intra.workspace.intra
    sizes, bits, counts = intra.rebuilt.size, intra.given.intra, intra.pool.counts
    smaller = smaller_beside(sizes, b)
    flags = bits.split[k - 1, smaller, 0] + bits.halved[0, k - 1, smaller, 1]
    beside_bits = bits.beside[narrower_beside(sizes, b)]
    mode = np.int64(space.leaves[k, 0, MODE])
    for beside in range(2):
        units, levels = counts
        _forget(intra.rebuilt, b)
        total = b.lam * (flags + beside_bits[beside])
        count = 0
        for second in range(2):
            if total < best:
                half = half_of(intra.given, b, beside, second, _HALF)
                cost, count = _decide_half(s, half, mode, count, best - total)
                total += cost
        if total < best:
            best = total
            space.leaf_count[k] = count
            for number in range(count):
                _copy_leaf(space.halves[number], space.leaves[k, number])
            _keep(intra.given, intra.rebuilt, b, space, k)
        else:
            # The pool forgets what was tried in vain.
            counts[0], counts[1] = units, levels
    return best


@kernel
def _evaluate(s: KeySearch, k: Integer, y: Integer, x: Integer) -> bool:
    """Decide a block as one leaf; hook of `partition`."""
    intra, walk, space = s.intra, s.walk, s.intra.workspace.intra
    b = block_at(intra.given, y, x, CELL << k)
    height, width = intra.given.source0.shape
    walk.start[k] = s.used[0]
    walk.whole[k] = NEVER
    walk.parts[k] = 0.0
    inside = k <= _LARGEST and y + b.wide <= height and x + b.wide <= width
    if inside:
        recall(intra, s.leaves, s.used[0])
        walk.whole[k] = decide_intra_leaf(intra, b, 0, 0, space.leaves[k, 0])
        space.leaf_count[k] = 1
        _keep(intra.given, intra.rebuilt, b, space, k)
        if k == 0:
            _decide_cell(s, b)
            return False
        smaller = smaller_beside(intra.rebuilt.size, b)
        walk.whole[k] += b.lam * intra.given.intra.halved[0, k - 1, smaller, 0]
        walk.whole[k] += b.lam * intra.given.intra.split[k - 1, smaller, 0]
        walk.parts[k] = b.lam * intra.given.intra.split[k - 1, smaller, 1]
    if walk.whole[k] <= _SPLIT_BITS * b.lam * (b.wide * b.wide / 64):
        return False
    if inside:
        _forget(intra.rebuilt, b)
    return True


@kernel
def _settle(s: KeySearch, k: Integer, y: Integer, x: Integer, divided: bool) -> Real:
    """Halve a block, restore its leaf, or keep those of its quarters; hook of `partition`."""
    given, canvas, space = s.intra.given, s.intra.rebuilt, s.intra.workspace.intra
    best = s.walk.parts[k] if divided else s.walk.whole[k]
    b = block_at(given, y, x, CELL << k)
    few = s.halves_bits * b.lam * (b.wide * b.wide / 64)
    promising = _LEAST_QUARTERS < cost_of_quarters(s.walk, k) < _MOST_QUARTERS
    if k > 0 and promising and best > few:
        if divided:
            _keep(given, canvas, b, space, _QUARTERS)
        cost = _try_halves(s, b, k, best)
        if cost < best:
            best = cost
            divided = False
        elif divided:
            _restore(given, canvas, b, space, _QUARTERS)
            for number in range(s.walk.start[k], s.used[0]):
                _set_size(canvas, s.leaves[number])
    if divided:
        return best
    _restore(given, canvas, b, space, k)
    s.used[0] = s.walk.start[k]
    for number in range(space.leaf_count[k]):
        _copy_leaf(space.leaves[k, number], s.leaves[s.used[0]])
        _set_size(canvas, space.leaves[k, number])
        s.used[0] += 1
    return best


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
