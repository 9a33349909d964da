"""The units (transform blocks) of inter leaves (spec 7.5), in luma and chroma.

Takes source and predicted planes; gives units and levels in a pool, chosen by squared error plus
lambda times bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nvcodec.coding.hybrid.leaves import CODED, FIRST, HEIGHT, INTRA, MERGE, UNITS, WIDTH, X, Y
from nvcodec.coding.hybrid.secondary import NO_MODE
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.search.block import Block, CanvasInput, area_of, chroma_of, log2
from nvcodec.encode.hybrid.search.transform_tree import LARGEST, append_tree, best_tree
from nvcodec.encode.hybrid.search.units import Pool, append_unit, load_residual, transform_chroma
from nvcodec.encode.hybrid.search.workspace import TransformSpace, Workspace
from nvcodec.picture import Plane


class Predicted(NamedTuple):
    """Predicted planes of the coded size; samples of intra leaves are undefined.

    Those of chroma are empty in monochrome.
    """

    plane0: Plane
    plane1: Plane
    plane2: Plane


@kernel
def chroma_units(
    given: CanvasInput,
    predicted1: np.ndarray,
    predicted2: np.ndarray,
    at_y: Integer,
    at_x: Integer,
    w: Workspace,
    b: Block,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    size: Integer,
) -> Integer:
    """Choose the flags of Cb and Cr of a node, whose chroma is wide x tall samples at (y, x).

    It is predicted by the samples at (at_y, at_x) of `predicted1` and `predicted2`. `size` is log2
    of the node's luma samples minus 3. The result has the flags of the parts of Cb in bits 0 and 1,
    those of Cr in bits 2 and 3. Leaves the levels of all in w.transform.chroma, and their costs
    with and without a unit in `chroma_cost` and `chroma_empty`. These costs do not include the
    flags.
    """
    t, c = w.transform, given.content
    flags = 0
    for part in range(given.parts):
        down = part * tall
        cost, count, empty = transform_chroma(
            given, t, b, 1, part, predicted1, at_y + down, at_x, y + down, x, wide, tall
        )
        t.chroma_cost[0, part] = cost
        t.chroma_empty[0, part] = empty
        coded = cost + b.lam * c.cb[size, 1]
        if count > 0 and coded < empty + b.lam * c.cb[size, 0]:
            flags |= 1 << part
    cb = 1 if flags else 0
    for part in range(given.parts):
        down = part * tall
        cost, count, empty = transform_chroma(
            given, t, b, 2, part, predicted2, at_y + down, at_x, y + down, x, wide, tall
        )
        t.chroma_cost[1, part] = cost
        t.chroma_empty[1, part] = empty
        coded = cost + b.lam * c.cr[size, cb, 1]
        if count > 0 and coded < empty + b.lam * c.cr[size, cb, 0]:
            flags |= 4 << part
    return flags


@kernel
def chroma_cost(
    given: CanvasInput, t: TransformSpace, b: Block, flags: Integer, size: Integer
) -> tuple[Real, Real]:
    """The cost of the chroma of a node with the flags that `chroma_units` gave, and with no unit.

    In squared error; the first one has the bits of the flags.
    """
    c, some = given.content, 1 if flags & 3 else 0
    total, empty = 0.0, 0.0
    for part in range(given.parts):
        cb, cr = flags >> part & 1, flags >> (2 + part) & 1
        total += b.lam * (c.cb[size, cb] + c.cr[size, some, cr])
        total += t.chroma_cost[0, part] if cb else t.chroma_empty[0, part]
        total += t.chroma_cost[1, part] if cr else t.chroma_empty[1, part]
        empty += t.chroma_empty[0, part] + t.chroma_empty[1, part]
    return total, empty


@kernel
def _decide_node(
    given: CanvasInput,
    predicted: Predicted,
    w: Workspace,
    pool: Pool,
    b: Block,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    total: Real,
    nothing: Real,
) -> tuple[Real, Real]:
    """Choose and append the units of a node of wide x tall luma samples.

    Returns `total` plus the cost of the node, and `nothing` plus its cost without units.
    """
    c, t = given.content, w.transform
    log2n = (log2(wide) + log2(tall)) >> 1
    load_residual(given.source0, y, x, predicted.plane0, y, x, wide, tall, t.residual)
    luma_coded, luma_count, luma_empty = best_tree(given, w, b, wide, tall, NO_MODE)
    chroma_y, chroma_x, chroma_n, chroma_tall = chroma_of(given, y, x, wide, tall)
    flags = chroma_units(
        given, predicted.plane1, predicted.plane2, chroma_y, chroma_x, w, b, chroma_y, chroma_x,
        chroma_n, chroma_tall, log2n - 3,
    )  # fmt: skip
    chroma = 1 if flags else 0
    # The flag is not coded if it can only be 1: in a coded leaf of one node without chroma units.
    luma_zero = luma_empty
    if not (max(b.wide, b.tall) < 64 and chroma == 0):
        luma_zero += b.lam * c.luma[log2n - 3, chroma, 0]
        luma_coded += b.lam * c.luma[log2n - 3, chroma, 1]
    of_chroma, chroma_empty = chroma_cost(given, t, b, flags, log2n - 3)
    total += of_chroma
    if luma_count > 0 and luma_coded < luma_zero:
        total += luma_coded
        append_tree(pool, w, y, x, wide, tall)
    else:
        total += luma_zero
    for plane in range(2):
        for part in range(given.parts):
            if flags >> (2 * plane + part) & 1:
                top, levels = chroma_y + part * chroma_tall, t.chroma[plane, part]
                append_unit(pool, plane + 1, chroma_x, top, chroma_n, chroma_tall, 0, levels)
    return total, nothing + luma_empty + chroma_empty


@kernel
def _decide_leaf(
    given: CanvasInput,
    predicted: Predicted,
    w: Workspace,
    pool: Pool,
    leaf: np.ndarray,
    beside: Integer,
) -> Real:
    """Choose and append the units of a leaf; sets its CODED, FIRST and UNITS.

    `beside` is the number of coded neighbours, c of spec 7.5. Returns the cost in squared error.
    """
    b = area_of(given, leaf)
    wide, tall = min(b.wide, LARGEST), min(b.tall, LARGEST)
    across = b.wide // wide
    first_unit = pool.counts[0]
    first_level = pool.counts[1]
    total = b.lam * given.content.coded[b.level, leaf[MERGE], beside, 1]
    nothing = b.lam * given.content.coded[b.level, leaf[MERGE], beside, 0]
    for node in range(across * (b.tall // tall)):
        y = b.y + LARGEST * (node // across)
        x = b.x + LARGEST * (node % across)
        total, nothing = _decide_node(
            given, predicted, w, pool, b, y, x, wide, tall, total, nothing
        )
    leaf[FIRST] = first_unit
    if pool.counts[0] == first_unit or nothing <= total:
        pool.counts[0] = first_unit
        pool.counts[1] = first_level
        leaf[CODED] = 0
        leaf[UNITS] = 0
        return nothing
    leaf[CODED] = 1
    leaf[UNITS] = pool.counts[0] - first_unit
    return total


@kernel
def decide_inter_units(
    given: CanvasInput,
    predicted: Predicted,
    w: Workspace,
    pool: Pool,
    leaves: np.ndarray,
    first: Integer,
    end: Integer,
    coded: np.ndarray,
    costs: np.ndarray,
) -> None:
    """Choose the units of leaves `first` to `end - 1` that are not intra; sets their costs.

    Costs are in squared error. `coded`, u8 by cell, says whether the leaf there has units, or is
    intra; it has to be set to the left and above.
    """
    for k in range(first, end):
        leaf = leaves[k]
        row = leaf[Y] >> 3
        column = leaf[X] >> 3
        mark = 1
        if leaf[INTRA] == 0:
            beside = 0
            if column > 0:
                beside += coded[row, column - 1]
            if row > 0:
                beside += coded[row - 1, column]
            costs[k] = _decide_leaf(given, predicted, w, pool, leaf, beside)
            mark = leaf[CODED]
        for i in range(row, row + (leaf[HEIGHT] >> 3)):
            for j in range(column, column + (leaf[WIDTH] >> 3)):
                coded[i, j] = mark
