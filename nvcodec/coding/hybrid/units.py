"""Syntax of the content substream (spec 7.5): which leaves, nodes and blocks have units.

Takes leaves. The encoder also takes units and levels; the decoder gives them.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    CODED,
    CUT,
    FIRST,
    HEIGHT,
    INTRA,
    MERGE,
    MODE,
    PAINTED,
    PALETTE,
    UNIT_COUNT,
    UNIT_HEIGHT,
    UNIT_PLANE,
    UNIT_START,
    UNIT_TRANSFORM,
    UNIT_WIDTH,
    UNIT_X,
    UNIT_Y,
    UNITS,
    WIDTH,
    Z_LOG,
    Z_X,
    Z_Y,
    Q,
    X,
    Y,
)
from nvcodec.coding.hybrid.levels import SECONDARY, SINE_FLAG, STRIDE, SUB_STRIDE, unit_levels
from nvcodec.coding.hybrid.palettes import PALETTES_END, PaletteSpace, painted_unit
from nvcodec.coding.hybrid.secondary import SECONDARIES, SET_OF_MODE, SETS
from nvcodec.coding.syntax import ENCODING, bit, bypass, part
from nvcodec.compiled import kernel
from nvcodec.records import Record, array, nested

# Numbers of the first context of each kind (spec 7.7).
DELTA = 0
CODED_FLAG = 7
CB = 55
CR = 64
LUMA = 82
TREE = 100
PART = 106
UNEVEN_TREE = PALETTES_END
CONTENT_CONTEXTS = SECONDARY + 4 * SECONDARIES * SETS
"""Number of contexts of the substream."""


@kernel
def _inside(
    units: np.ndarray, number: int, plane: int, x: int, y: int, wide: int, tall: int, chroma: int
) -> bool:  # pragma: no cover - compiled
    """Whether a unit lies in a plane (3: any) and in a block of luma samples at (x, y).

    The block has wide x tall samples. `chroma` is HEAD's chroma_format.
    """
    if number >= units.shape[0]:
        return False
    actual = units[number, UNIT_PLANE]
    if plane < 3 and actual != plane:
        return False
    unit_x = units[number, UNIT_X] << (1 if actual > 0 and chroma < 3 else 0)
    unit_y = units[number, UNIT_Y] << (1 if actual > 0 and chroma < 2 else 0)
    return bool(x <= unit_x < x + wide and y <= unit_y < y + tall)


@kernel
def _begins(
    units: np.ndarray,
    number: int,
    plane: int,
    x: int,
    y: int,
    wide: int,
    tall: int,
    lower: int,
    chroma: int,
) -> bool:  # pragma: no cover - compiled
    """Whether a unit is the upper, or the `lower`, of a chroma plane in a node at (x, y)."""
    if not _inside(units, number, plane, x, y, wide, tall, chroma):
        return False
    return bool(chroma != 2 or (units[number, UNIT_Y] - y >= tall >> 1) == (lower > 0))


@part
def delta(q: int, wanted: int, last_q: int) -> int:
    """`delta` of spec 7.5: the quantiser index after `q`, at most `last_q`."""
    change = 0
    if ENCODING:
        change = wanted - q
    nonzero = bit(DELTA, 1 if change != 0 else 0)
    if nonzero != 0:
        m = 1
        while m < 32:
            more = bit(DELTA + min(m, 5), 1 if abs(change) > m else 0)
            if more == 0:
                break
            m += 1
        negative = bit(DELTA + 6, 1 if change < 0 else 0)
        q = max(0, q - m) if negative != 0 else min(last_q, q + m)
    return q


@part
def chroma_flags(
    units: np.ndarray,
    unit: int,
    x: int,
    y: int,
    wide: int,
    tall: int,
    kind: int,
    chroma: int,
    parts: int,
) -> int:
    """Flags of the chroma units of a node of 8 << wide by 8 << tall luma samples at (x, y).

    Bits 0 and 1 are those of the `parts` units of Cb, bits 2 and 3 those of Cr.
    """
    flags = 0
    ahead = unit
    columns = 8 << wide
    rows = 8 << tall
    size = (wide + tall) >> 1
    if ENCODING:
        while _inside(units, ahead, 0, x, y, columns, rows, chroma):
            ahead += 1
    for k in range(2 * parts):
        plane = 1 + (k >> (parts - 1))
        lower = k & (parts - 1)
        wanted = 0
        if ENCODING and _begins(units, ahead, plane, x, y, columns, rows, lower, chroma):
            wanted = 1
            ahead += 1
        context = CB + 3 * kind + size
        if plane == 2:
            context = CR + 6 * kind + 2 * size + (1 if flags & 3 != 0 else 0)
        flag = bit(context, wanted)
        flags |= flag << (2 * plane - 2 + lower)
    return flags


@part
def luma_block(
    units: np.ndarray,
    unit: int,
    x: int,
    y: int,
    log: int,
    wide: int,
    tall: int,
    size: int,
    intra: int,
    always: int,
    coloured: int,
    kind: int,
    chroma: int,
) -> tuple[int, int]:
    """Whether a luma unit begins at (x, y), and which block of tree() it is, as a log.

    The largest luma block of the node or leaf has 4 << wide by 4 << tall samples. If it is a square
    a log of k stands for a square of 4 << k; else the same for squares up to that of its shorter
    side, and one more for the whole. The argument `log` is that of the largest block that begins at
    (x, y), `size` the class of the node, 8 << size.

    The flag of the largest block is coded if `always`, or if it is `coloured`: if the node has a
    chroma unit. An inter block is split by tree(): this follows the first part of each split.
    """
    inter = kind - 1
    present = 1
    square = min(wide, tall)
    largest = square + (1 if wide != tall else 0)
    while True:
        present = 1
        whole = 1 if intra != 0 or log == largest else 0
        columns = 4 << (wide if log > square else log)
        rows = 4 << (tall if log > square else log)
        if whole == 0 or always != 0 or coloured != 0:
            context = PART + 3 * inter + log
            if whole != 0:
                context = LUMA + 6 * kind + 2 * size + coloured
            present = bit(context, 1 if _inside(units, unit, 0, x, y, columns, rows, chroma) else 0)
        if present == 0 or intra != 0 or log == 0:
            break
        wanted = 0
        if ENCODING and unit < units.shape[0]:
            wanted = 1 if units[unit, UNIT_WIDTH] * units[unit, UNIT_HEIGHT] < columns * rows else 0
        context = TREE + 3 * inter + log - 1
        if log > square:
            context = UNEVEN_TREE + 3 * inter + wide + tall - 3
        split = bit(context, wanted)
        if split == 0:
            break
        log -= 1
    return present, log


@part
def node_units(
    units: np.ndarray,
    levels: np.ndarray,
    near: np.ndarray,
    fulls: np.ndarray,
    unit: int,
    level: int,
    node_x: int,
    node_y: int,
    wide: int,
    tall: int,
    always: int,
    intra: int,
    leaf: np.ndarray,
    palettes: PaletteSpace,
    painted: int,
    depth: int,
    kind: int,
    chroma: int,
) -> tuple[int, int, int]:
    """Code the node at (node_x, node_y) of 8 << wide by 8 << tall luma samples.

    Its flag of luma is coded if `always`, or if it has a chroma unit. `leaf` is its
    row in the table of leaves.

    Returns the numbers of the next unit and level. The third result is 0 if, in the encoder, units
    or levels are not in coding order. `near` and `fulls` are those of `unit_levels`. Planes below
    `painted` have palettes, of samples of `depth` bits.
    """
    cut = int(leaf[CUT])
    # Luma is a row or a column of squares of 8 << shorter, each with so many blocks of 4 x 4.
    shorter = min(wide, tall)
    square = 4 << (2 * shorter)
    blocks = 4 << (wide + tall)
    luma_wide = wide + (0 if cut == 3 else 1)
    luma_tall = tall + (0 if cut == 2 else 1)
    largest = min(luma_wide, luma_tall) + (1 if luma_wide != luma_tall else 0)
    fits = 1
    # Chroma units of a plane: none in monochrome, two one above the other in 4:2:2.
    parts = 0 if chroma == 0 else 2 if chroma == 2 else 1
    flags = 15
    if painted < 2:
        flags = chroma_flags(units, unit, node_x, node_y, wide, tall, kind, chroma, parts)
    coloured = 1 if flags != 0 else 0
    # A loop over the 4 x 4 luma blocks of the node in the order of block(), then over its chroma.
    # Each step codes one unit or none, so the syntax of a unit is expanded only once.
    z = 0
    while z < blocks + 2 * parts:
        plane = 0
        lower = 0
        x = node_x
        y = node_y
        if z < blocks:
            inside = z & (square - 1)
            before = (z - inside) // square * (8 << shorter)
            x += 4 * Z_X[inside] + (before if wide > tall else 0)
            y += 4 * Z_Y[inside] + (before if wide < tall else 0)
            log = 0
            if cut > 1 or (cut == 0 and z == 0):
                log = largest
            elif cut == 0:
                log = Z_LOG[inside] if inside > 0 else shorter + 1
            present = 1
            if painted == 0:
                present, log = luma_block(
                    units,
                    unit,
                    x,
                    y,
                    log,
                    luma_wide,
                    luma_tall,
                    (wide + tall) >> 1,
                    intra,
                    always,
                    coloured,
                    kind,
                    chroma,
                )
            whole = log > min(luma_wide, luma_tall)
            unit_wide = luma_wide if whole else log
            unit_tall = luma_tall if whole else log
            if cut == 3:
                z = 1 if z == 0 else blocks
            else:
                z += 1 << (unit_wide + unit_tall)
        else:
            plane = 1 + ((z - blocks) >> (parts - 1))
            lower = (z - blocks) & (parts - 1)
            present = flags >> (2 * plane - 2 + lower) & 1
            unit_wide = wide + (1 if chroma == 3 else 0)
            unit_tall = tall + (1 if chroma == 3 else 0)
            x >>= 1 if chroma < 3 else 0
            y = (y >> (1 if chroma < 2 else 0)) + lower * (4 << unit_tall)
            z += 1

        if present != 0:
            start = level
            stop = level
            wanted = 0
            choice = -1
            if plane == 0 and max(unit_wide, unit_tall) < 3:
                choice = SINE_FLAG + 3 * (2 * kind - 1 + intra if kind > 0 else 0)
                choice += (unit_wide + unit_tall) >> 1
            secondaries = -1
            if plane == 0 and intra != 0:
                # The number of the luma block in its leaf.
                block = (y - node_y) >> 2 if cut == 2 else (x - node_x) >> 2
                if cut == 1:
                    block += 2 * ((y - node_y) >> 2)
                elif cut == 0:
                    block = 0
                group = int(SET_OF_MODE[leaf[MODE + block]])
                if group < SETS:
                    secondaries = SECONDARY + SECONDARIES * (4 * group)
                    secondaries += SECONDARIES * ((unit_wide + unit_tall) >> 1)
            if ENCODING:
                row = min(unit, units.shape[0] - 1)
                if (
                    row < unit
                    or units[row, UNIT_PLANE] != plane
                    or units[row, UNIT_X] != x
                    or units[row, UNIT_Y] != y
                    or units[row, UNIT_WIDTH] != 4 << unit_wide
                    or units[row, UNIT_HEIGHT] != 4 << unit_tall
                    or units[row, UNIT_START] != start
                ):
                    fits = 0
                    break
                stop = start + units[row, UNIT_COUNT]
                wanted = units[row, UNIT_TRANSFORM]
            family = 2 * kind + (1 if plane > 0 else 0)
            used = PAINTED
            if plane < painted:
                n = 4 << unit_wide
                across = 1 if plane == 1 and chroma < 3 else 0
                down = 1 if plane == 1 and chroma < 2 else 0
                level = painted_unit(
                    levels, start, stop, palettes, plane, n, lower * n, across, down, depth
                )
            else:
                level, used = unit_levels(
                    levels,
                    near,
                    fulls,
                    start,
                    stop,
                    unit_wide,
                    unit_tall,
                    family,
                    choice,
                    secondaries,
                    wanted,
                )
            if ENCODING:
                if level != stop or used != wanted:
                    fits = 0
                    z = blocks + 2 * parts
            else:
                units[unit, UNIT_PLANE] = plane
                units[unit, UNIT_X] = x
                units[unit, UNIT_Y] = y
                units[unit, UNIT_WIDTH] = 4 << unit_wide
                units[unit, UNIT_HEIGHT] = 4 << unit_tall
                units[unit, UNIT_START] = start
                units[unit, UNIT_COUNT] = level - start
                units[unit, UNIT_TRANSFORM] = used
            unit += 1
    return unit, level, fits


class UnitSpace(Record):
    """Working memory of `content_units`.

    `left`, as its `top`, says whether the last leaf of each row of cells is intra or coded. `near`
    has the magnitudes of a unit, `fulls` 1 for each of its sub-blocks with levels; `palettes` is
    what those are coded with.
    """

    left = array(np.int64, 8)
    near = array(np.uint8, STRIDE * STRIDE)
    fulls = array(np.int64, SUB_STRIDE * SUB_STRIDE)
    palettes = nested(PaletteSpace)


def content_units(
    coder: np.ndarray,
    contexts: np.ndarray,
    buffer: np.ndarray,
    leaves: np.ndarray,
    units: np.ndarray,
    levels: np.ndarray,
    head: np.ndarray,
    counts: np.ndarray,
    space: UnitSpace,
    top: np.ndarray,
    kind: int,
    chroma: int,
    last_q: int,
) -> None:
    """Syntax of spec 7.5 and 7.6 for one canvas of the set `kind`.

    `leaves` is as in `motion_blocks`; `units` is int32 (rows, UNIT_COLUMNS), `levels` int32 (rows,
    LEVEL_COLUMNS). `head` is int64 (2,): quantiser, varying. `counts` is int64 (3,): units,
    levels, and in the encoder the first leaf that cannot be coded (-1 if there is none). `space`
    and `top`, int64 with an element for each column of cells, are zero. `chroma` is HEAD's
    chroma_format, `last_q` the greatest quantiser index.
    """
    inter = kind - 1
    left = space.left
    near = space.near
    fulls = space.fulls
    palettes = space.palettes

    q = 0
    q_bits = 6 if last_q < 64 else 7
    for j in range(q_bits):
        b = bypass((head[0] >> (q_bits - 1 - j)) & 1)
        q = 2 * q + b
    varying = bypass(head[1])
    head[0] = q
    head[1] = varying
    pending = 0
    unit = 0
    level = 0
    counts[2] = -1
    depth = 8 + (last_q - 63) // 6
    for number in range(leaves.shape[0]):
        if ENCODING and counts[2] >= 0:
            break
        x = int(leaves[number, X])
        y = int(leaves[number, Y])
        columns = int(leaves[number, WIDTH])
        rows = int(leaves[number, HEIGHT])
        intra = 1 if leaves[number, INTRA] != 0 else 0
        wide = 0
        while columns > 8 << wide:
            wide += 1
        tall = 0
        while rows > 8 << tall:
            tall += 1
        size = (wide + tall) >> 1
        column_cell = x >> 3
        row_cell = (y >> 3) & 7
        if (x | y) & 31 == 0:
            pending = varying
        first = unit
        coded = 1
        if intra == 0:
            c = (left[row_cell] if x > 0 else 0) + (top[column_cell] if y > 0 else 0)
            merge = 1 if leaves[number, MERGE] != 0 else 0
            coded = bit(
                CODED_FLAG + 24 * inter + 6 * size + 3 * merge + c,
                1 if _inside(units, unit, 3, x, y, columns, rows, chroma) else 0,
            )
        for k in range(1 << tall):
            left[row_cell + k] = coded
        for k in range(1 << wide):
            top[column_cell + k] = coded

        if coded != 0 and pending != 0:
            pending = 0
            q = delta(q, leaves[number, Q], last_q)

        painted = 0
        if intra != 0 and leaves[number, MODE] == PALETTE:
            painted = 3 if leaves[number, CHROMA] == PALETTE else 1
        nodes = 0
        if coded != 0:
            nodes = (2 if wide == 3 else 1) * (2 if tall == 3 else 1)
        for node in range(nodes):
            node_x = x + (32 * (node & 1) if wide == 3 else 0)
            node_y = y + 32 * (node >> (1 if wide == 3 else 0))
            unit, level, fits = node_units(
                units, levels, near, fulls, unit, level, node_x, node_y, min(wide, 2), min(tall, 2),
                1 if intra != 0 or wide == 3 or tall == 3 else 0, intra, leaves[number],
                palettes, painted, depth, kind, chroma,
            )  # fmt: skip
            if ENCODING and fits == 0:
                counts[2] = number

        if ENCODING:
            if leaves[number, Q] != q:
                counts[2] = number
        else:
            leaves[number, Q] = q
            leaves[number, CODED] = coded if intra == 0 else min(1, unit - first)
            leaves[number, FIRST] = first
            leaves[number, UNITS] = unit - first
    counts[0] = unit
    counts[1] = level
