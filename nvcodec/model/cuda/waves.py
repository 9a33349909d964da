"""Intra blocks of a canvas in waves (spec 8.4): leaves to a table of blocks, for a device.

A block is in the first wave after those of all blocks that it may read. Blocks of a wave do not
depend on each other. Luma and chroma share waves, as chroma may be predicted from luma.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    COPY,
    CUT,
    HEIGHT,
    INTRA,
    LINEAR,
    MODE,
    PALETTE,
    VX0,
    VY0,
    WIDTH,
    Table,
    X,
    Y,
)
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.cuda.packed import Layout
from nvcodec.model.hybrid.canvas.intra import is_smoothed

COLUMNS = 13
_WAVE = COLUMNS
"""Column of the wave, behind those that kernels read."""

_LUMA_BLOCKS = np.array([1, 4, 2, 2])
"""Blocks of luma of a leaf, by CUT."""


class Waves(NamedTuple):
    """Intra blocks, int32.

    Attributes:
        blocks: (blocks, COLUMNS), the columns of `intra_kernels`.
        programs: (programs, 2): block and tile, wave by wave.
        orders: (2, rows, columns), numbers of the blocks of luma and of chroma that cover each
            4 x 4 block of luma, 0 for leaves that are not intra.
        edges: places in their plane of the samples around blocks: see `intra_kernels`.
        ends: the programs up to the end of each wave.

    """

    blocks: npt.NDArray[np.int32]
    programs: npt.NDArray[np.int32]
    orders: npt.NDArray[np.int32]
    edges: npt.NDArray[np.int32]
    ends: list[int]


@kernel
def _covered(
    waves: np.ndarray, top: Integer, left: Integer, bottom: Integer, right: Integer
) -> Integer:
    """The last wave of a rectangle of 4 x 4 blocks, cut to the canvas; -1 where there is none."""
    rows, columns = waves.shape
    last: Integer = -1
    for i in range(max(0, top), min(rows, bottom)):
        for j in range(max(0, left), min(columns, right)):
            last = max(last, np.int64(waves[i, j]))
    return last


@kernel
def _edge(
    waves: np.ndarray,
    y: Integer,
    x: Integer,
    height: Integer,
    width: Integer,
    shift_y: Integer,
    shift_x: Integer,
    edge: np.ndarray,
) -> Integer:
    """Set the places of the edge of a block, from the end of its left side on.

    (x, y) and the size are in samples of the plane, the shifts log2 of those across a 4 x 4 block
    of luma. Returns the last wave of these samples, at least 0.
    """
    rows, columns = waves.shape
    stride, reach = columns << shift_x, height + width
    last: Integer = 0
    place: Integer = -1
    known: Integer = -1
    for k in range(2 * reach + 1):
        row, column = y + reach - 1 - k, x - 1
        if k >= reach:
            row, column = y - 1, x - 1 + k - reach
        i, j = row >> shift_y, column >> shift_x
        if 0 <= i < rows and 0 <= j < columns and waves[i, j] >= 0:
            last = max(last, np.int64(waves[i, j]))
            place = row * stride + column
            if known < 0:
                known = k
        edge[k] = place
    for k in range(known):
        edge[k] = edge[known]
    return last


@kernel
def _add(
    leaf: np.ndarray,
    mode: Integer,
    plane: Integer,
    order: Integer,
    y: Integer,
    x: Integer,
    height: Integer,
    width: Integer,
    down: Integer,
    across: Integer,
    waves: np.ndarray,
    luma_waves: np.ndarray,
    orders: np.ndarray,
    block: np.ndarray,
    edges: np.ndarray,
    at: Integer,
) -> Integer:
    """Fill the row of a block but for its place, its edge from `at` on, and mark what it covers.

    Returns the end of the edge.
    """
    shift_y, shift_x = 2 - down, 2 - across
    top, left = y >> shift_y, x >> shift_x
    bottom, right = (y + height) >> shift_y, (x + width) >> shift_x
    log = 4
    while 1 << log < width * height:
        log += 1
    block[1], block[2], block[3], block[4], block[5] = plane, x, y, width, height
    block[6], block[7] = log, mode
    block[8] = 1 if plane == 0 and mode < LINEAR and is_smoothed(mode, width, height) else 0
    block[9], block[10], block[11] = order, 0, 0
    block[12] = at + height + width
    end = at + 2 * (height + width) + 1
    last = _edge(waves, y, x, height, width, shift_y, shift_x, edges[at:end])
    if mode == COPY:
        vy, vx = np.int64(leaf[VY0]) >> down, np.int64(leaf[VX0]) >> across
        block[10], block[11] = vy, vx
        last = _covered(
            waves,
            (y + vy) >> shift_y,
            (x + vx) >> shift_x,
            ((y + vy + height - 1) >> shift_y) + 1,
            ((x + vx + width - 1) >> shift_x) + 1,
        )
    elif mode == PALETTE:
        last = 0
    elif mode >= LINEAR:
        last = max(last, _covered(luma_waves, top - 1, left - 1, bottom, right))
    wave = max(last, 0) + 1
    block[_WAVE] = wave
    waves[top:bottom, left:right] = wave
    orders[top:bottom, left:right] = order
    return end


@allocating
def _blocks(
    leaves: np.ndarray,
    chroma: bool,
    down: Integer,
    across: Integer,
    waves: np.ndarray,
    orders: np.ndarray,
    blocks: np.ndarray,
    edges: np.ndarray,
) -> Integer:
    """Fill `blocks` in coding order, Cb and Cr in one row, and `edges`; returns their number.

    `waves` and `orders` are int32 (2, rows, columns) of 4 x 4 blocks, of luma and of chroma. waves
    are 0 where leaves are not intra and -1 elsewhere; orders are 0.
    """
    count, luma, colour, at = 0, 0, 0, 0
    for number in range(len(leaves)):
        leaf = leaves[number]
        if not leaf[INTRA]:
            continue
        y, x = np.int64(leaf[Y]), np.int64(leaf[X])
        cut = np.int64(leaf[CUT])
        lines: Integer = 2 if cut == 1 or cut == 2 else 1
        parts: Integer = 2 if cut == 1 or cut == 3 else 1
        tall, wide = np.int64(leaf[HEIGHT]) // lines, np.int64(leaf[WIDTH]) // parts
        for k in range(lines * parts):
            luma += 1
            at = _add(
                leaf, np.int64(leaf[MODE + k]), 0, luma, y + tall * (k // parts),
                x + wide * (k % parts), tall, wide, 0, 0, waves[0], waves[0], orders[0],
                blocks[count], edges, at,
            )  # fmt: skip
            count += 1
        if not chroma:
            continue
        # In 4:2:2 there are two blocks of chroma, one above the other.
        tall, wide = np.int64(leaf[HEIGHT]) >> across, np.int64(leaf[WIDTH]) >> across
        for k in range(1 << (across - down)):
            colour += 1
            at = _add(
                leaf, np.int64(leaf[CHROMA]), 1, colour, (y >> down) + tall * k, x >> across,
                tall, wide, down, across, waves[1], waves[0], orders[1], blocks[count], edges, at,
            )  # fmt: skip
            count += 1
    return count


def intra_waves(
    leaves: Table, direction: npt.NDArray[np.uint8], layout: Layout, tile: int
) -> Waves:
    """The intra blocks of a canvas; `tile` is the number of samples that a program computes.

    `direction` (cell rows, cell columns) is 0 for intra leaves.
    """
    inter = np.repeat(np.repeat(direction > 0, 2, 0), 2, 1)
    waves = np.stack([np.where(inter, 0, -1)] * 2).astype(np.int32)
    orders = np.zeros_like(waves)
    chroma = layout.format.planes > 1
    across, down = layout.format.chroma_shift
    intra = leaves[leaves[:, INTRA] != 0]
    most = int(_LUMA_BLOCKS[intra[:, CUT]].sum()) + 2 * len(intra)
    blocks = np.empty((most, COLUMNS + 1), np.int32)
    # At most, four blocks of luma of 4 x 4 and two of chroma.
    edges = np.empty(int((6 * (intra[:, WIDTH] + intra[:, HEIGHT]) + 6).sum()), np.int32)
    blocks = blocks[: _blocks(intra, chroma, down, across, waves, orders, blocks, edges)]
    # Cr beside Cb.
    red = blocks[blocks[:, 1] == 1]
    red[:, 1] = 2
    blocks = np.concatenate([blocks, red])
    strides = np.array([columns for _, columns in layout.shapes], np.int32)
    places = np.array(layout.firsts, np.int32)[blocks[:, 1]]
    blocks[:, 0] = places + blocks[:, 3] * strides[blocks[:, 1]] + blocks[:, 2]

    ordered = np.argsort(blocks[:, _WAVE], kind="stable")
    needed = -(-blocks[:, 4] * blocks[:, 5] // tile)[ordered]
    numbers = np.repeat(ordered, needed)
    begins = np.repeat(np.cumsum(needed) - needed, needed)
    programs = np.stack([numbers, np.arange(len(numbers)) - begins], 1).astype(np.int32)
    counts = np.bincount(blocks[numbers, _WAVE])
    ends = np.cumsum(counts)[1:].tolist() if len(counts) else []
    end = int((blocks[:, 12] + blocks[:, 4] + blocks[:, 5] + 1).max(initial=0))
    return Waves(blocks[:, :COLUMNS], programs, orders, edges[:end], ends)
