"""The luma transform tree of a node (spec 7.5): how it splits into units, and their levels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import Z_LOG, Z_X, Z_Y
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.rate.content import ContentBits
from nvcodec.encode.hybrid.search.block import NEVER, Block, CanvasInput, log2
from nvcodec.encode.hybrid.search.partition import Walk, partition
from nvcodec.encode.hybrid.search.units import Pool, append_unit, transform_unit
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

    `thorough` is as in CanvasInput.
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
    thorough: bool
    sine: npt.NDArray[np.float32]


@kernel
def _evaluate(s: Tree, k: Integer, y: Integer, x: Integer) -> bool:
    """Transform a block as one unit; hook of `partition`."""
    z = _NUMBER[y >> (k + 2), x >> (k + 2)]
    levels = s.transform.levels[k, z << (2 * k + 4) :]
    n = _SMALLEST << k
    cost, count, energy = transform_unit(
        s.transform, y, x, n, k + 2, s.step, s.weight, s.bits.units, s.sine, levels, s.thorough
    )
    s.space.split[k, z] = 0
    s.space.count[k, z] = count
    s.space.sine[k, z] = s.transform.sine[0]
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
    given: CanvasInput, w: Workspace, b: Block, n: Integer, intra: Integer
) -> tuple[Real, Integer, Real]:
    """The best transform tree of a luma node, n samples wide, for w.transform.residual.

    `intra` is 1 if the leaf is intra, else 0.

    Leaves the tree in w.tree and its levels in w.transform.levels. Returns its cost in squared
    error, including the flags of the tree; the number of its levels; and the cost without levels.
    If the number is 0, the first has no meaning.
    """
    top = log2(n) - 2
    tree = Tree(
        walk=w.tree.walk,
        bits=given.content,
        transform=w.transform,
        space=w.tree,
        step=b.step,
        lam=b.lam,
        weight=b.weight,
        top=top,
        depth=given.depth,
        thorough=given.thorough,
        sine=given.content.sine[intra],
    )
    cost = _walk_tree(tree, top, 0, 0, n, n)
    return cost, w.tree.count[top, 0], w.tree.cost[top, 0]


@kernel
def append_tree(pool: Pool, w: Workspace, y: Integer, x: Integer, n: Integer) -> None:
    """Append the units of the last result of `best_tree`, for the luma node at (y, x).

    The block of level k with z-order number z has its levels in w.transform.levels[k], from index
    z * 16 * 4^k on.
    """
    top = log2(n) - 2
    split, count = w.tree.split, w.tree.count
    z = 0
    while z < 1 << (2 * top):
        # Find the largest block that begins here and is not split.
        k = Z_LOG[z] if z > 0 else top
        while split[k, z >> (2 * k)] and (k == top or count[k, z >> (2 * k)] > 0):
            k -= 1
        number = z >> (2 * k)
        if k == top or count[k, number] > 0:
            size = _SMALLEST << k
            levels = w.transform.levels[k, number << (2 * k + 4) :]
            unit_y, unit_x = y + size * Z_Y[number], x + size * Z_X[number]
            append_unit(pool, 0, unit_x, unit_y, size, k + 2, w.tree.sine[k, number], levels)
        z += 1 << (2 * k)
