"""The luma transform tree of a node (spec 7.5): how it splits into units, and their levels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nvcodec.coding.hybrid.leaves import Z_LOG, Z_X, Z_Y
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.rate.content import ContentBits
from nvcodec.encode.hybrid.search.block import NEVER, Block, CanvasInput, log2
from nvcodec.encode.hybrid.search.partition import Walk, partition
from nvcodec.encode.hybrid.search.units import (
    Choice,
    Pool,
    append_unit,
    luma_choice,
    transform_unit,
)
from nvcodec.encode.hybrid.search.workspace import TransformSpace, TreeSpace, Workspace

LARGEST = 32
"""Luma samples across the largest unit."""
_SMALLEST = 4
_SPLIT_BITS = 6.0
"""Bits: a block with less residual energy is not split, as a split costs about as much."""

_NUMBER = np.zeros((8, 8), np.int64)
"""Z-order number of a block by row and column, in a square of 8 x 8 (spec 7.4, block())."""
_NUMBER[Z_Y, Z_X] = np.arange(64)


class Tree(NamedTuple):
    """The search of a tree: its root has level `top`, it has at most `depth` levels of splits.

    `choice` is that of `transform_unit`.
    """

    walk: Walk
    bits: ContentBits
    transform: TransformSpace
    space: TreeSpace
    step: float
    lam: float
    weight: float
    top: int
    depth: int
    choice: Choice


@kernel
def _evaluate(s: Tree, k: Integer, y: Integer, x: Integer) -> bool:
    """Transform a block as one unit; hook of `partition`."""
    z = _NUMBER[y >> (k + 2), x >> (k + 2)]
    levels = s.transform.levels[k, z << (2 * k + 4) :]
    n = _SMALLEST << k
    cost, count, energy = transform_unit(
        s.transform, y, x, n, n, s.step, s.weight, s.bits.units, s.choice, levels
    )
    s.space.split[k, z] = 0
    s.space.count[k, z] = count
    s.space.transform[k, z] = s.transform.transform[0]
    s.space.cost[k, z] = energy
    s.space.some[k] = 0
    if k == 0:
        s.walk.whole[k] = cost
        return False
    s.walk.parts[k] = s.lam * s.bits.tree[k - 1, 1]
    # A unit needs a level; without one, quarters are always preferred.
    s.walk.whole[k] = cost + s.lam * s.bits.tree[k - 1, 0] if count > 0 else NEVER
    return bool(s.top - k < s.depth and energy > _SPLIT_BITS * s.lam)


@kernel
def _settle(s: Tree, k: Integer, y: Integer, x: Integer, divided: bool) -> Real:
    """Choose between one unit, four quarters and no levels; hook of `partition`."""
    z = _NUMBER[y >> (k + 2), x >> (k + 2)]
    cost = s.walk.whole[k]
    if divided and s.space.some[k] > 0:
        cost = s.walk.parts[k]
        s.space.count[k, z] = s.space.some[k]
        s.space.split[k, z] = 1
    if k == s.top:
        return cost
    part = cost + s.lam * s.bits.part[k, 1]
    empty = s.space.cost[k, z] + s.lam * s.bits.part[k, 0]
    if s.space.count[k, z] == 0 or empty <= part:
        s.space.count[k, z] = 0
        return empty
    s.space.some[k + 1] += s.space.count[k, z]
    return part


_walk_tree = partition(_evaluate, _settle, _SMALLEST)


@kernel
def best_tree(
    given: CanvasInput, w: Workspace, b: Block, wide: Integer, tall: Integer, mode: Integer
) -> tuple[Real, Integer, Real]:
    """The best transform tree of a luma node of wide x tall samples, for w.transform.residual.

    `mode` is the intra mode, NO_MODE if the leaf is not intra.

    Leaves the tree in w.tree and its levels in w.transform.levels. Returns its cost in squared
    error, including the flags of the tree; the number of its levels; and the cost without levels.
    If the number is 0, the first has no meaning.
    """
    shorter = min(wide, tall)
    top = log2(shorter) - 2
    tree = Tree(
        walk=w.tree.walk,
        bits=given.content,
        transform=w.transform,
        space=w.tree,
        step=b.step,
        lam=b.lam,
        weight=b.weight,
        top=top,
        depth=given.depth if wide == tall else given.depth - 1,
        choice=luma_choice(given, mode),
    )
    if wide == tall:
        cost = _walk_tree(tree, top, 0, 0, wide, wide)
        return cost, w.tree.count[top, 0], w.tree.cost[top, 0]
    return _best_rectangle(given, w, b, tree, wide, tall)


@kernel
def _best_rectangle(
    given: CanvasInput, w: Workspace, b: Block, tree: Tree, wide: Integer, tall: Integer
) -> tuple[Real, Integer, Real]:
    """The best tree of a node that is no square: one unit, or squares with trees of their own."""
    c, space, top = given.content, w.tree, tree.top
    shorter = min(wide, tall)
    squares = max(wide, tall) // shorter
    split = c.uneven_tree[log2(wide) + log2(tall) - 7]
    cost, count, energy = transform_unit(
        w.transform, 0, 0, wide, tall, b.step, b.weight, c.units, tree.choice, space.levels[:]
    )
    space.whole[0] = 1
    space.whole[1] = w.transform.transform[0]
    whole = cost + b.lam * split[0] if count > 0 else NEVER
    if given.depth == 0 or energy <= _SPLIT_BITS * b.lam:
        return whole, count, energy
    parts = b.lam * split[1]
    some = 0
    for k in range(squares):
        y, x = (k * shorter, 0) if tall > wide else (0, k * shorter)
        z = _NUMBER[y >> (top + 2), x >> (top + 2)]
        cost = _walk_tree(tree, top, y, x, y + shorter, x + shorter)
        coded = cost + b.lam * c.part[top, 1]
        empty = space.cost[top, z] + b.lam * c.part[top, 0]
        if space.count[top, z] == 0 or empty <= coded:
            space.count[top, z] = 0
            parts += empty
        else:
            some += space.count[top, z]
            parts += coded
        if parts >= whole:
            return whole, count, energy
    if some > 0:
        space.whole[0] = 0
        return parts, some, energy
    return whole, count, energy


@kernel
def append_tree(
    pool: Pool, w: Workspace, y: Integer, x: Integer, wide: Integer, tall: Integer
) -> None:
    """Append the units of the last result of `best_tree`, for the luma node at (y, x)."""
    shorter = min(wide, tall)
    if wide == tall:
        _append_square(pool, w, y, x, 0, log2(wide) - 2)
        return
    if w.tree.whole[0]:
        append_unit(pool, 0, x, y, wide, tall, w.tree.whole[1], w.tree.levels[:])
        return
    top = log2(shorter) - 2
    for k in range(max(wide, tall) // shorter):
        down, across = (k * shorter, 0) if tall > wide else (0, k * shorter)
        z = _NUMBER[down >> (top + 2), across >> (top + 2)]
        if w.tree.count[top, z] > 0:
            _append_square(pool, w, y, x, z << (2 * top), top)


@kernel
def _append_square(
    pool: Pool, w: Workspace, y: Integer, x: Integer, first: Integer, top: Integer
) -> None:
    """Append the units of a square of level `top`, whose first 4 x 4 block has number `first`.

    The block of level k with z-order number z has its levels in w.transform.levels[k], from index
    z * 16 * 4^k on. (y, x) is the node's place.
    """
    split, count = w.tree.split, w.tree.count
    z = first
    while z < first + (1 << (2 * top)):
        # Find the largest block that begins here and is not split.
        k = min(top, Z_LOG[z]) if z > first else top
        while split[k, z >> (2 * k)] and (k == top or count[k, z >> (2 * k)] > 0):
            k -= 1
        number = z >> (2 * k)
        if k == top or count[k, number] > 0:
            size = _SMALLEST << k
            levels = w.transform.levels[k, number << (2 * k + 4) :]
            unit_y, unit_x = y + size * Z_Y[number], x + size * Z_X[number]
            append_unit(pool, 0, unit_x, unit_y, size, size, w.tree.transform[k, number], levels)
        z += 1 << (2 * k)
