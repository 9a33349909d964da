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
    FOUR,
    INTRA,
    LINEAR,
    MODE,
    SIZE,
    VX0,
    VY0,
    Table,
    X,
    Y,
)
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.cuda.packed import Layout
from nvcodec.model.hybrid.canvas.intra import is_smoothed

COLUMNS = 14
_WAVE = COLUMNS
"""Column of the wave, behind those that kernels read."""

_LOW_BITS = 31


class Waves(NamedTuple):
    """Intra blocks, int32.

    Attributes:
        blocks: (blocks, COLUMNS), the columns of `intra_kernels`.
        programs: (programs, 2): block and tile, wave by wave.
        orders: (2, rows, columns), numbers of the blocks of luma and of chroma that cover each
            4 x 4 block of luma, 0 for leaves that are not intra.
        ends: the programs up to the end of each wave.

    """

    blocks: npt.NDArray[np.int32]
    programs: npt.NDArray[np.int32]
    orders: npt.NDArray[np.int32]
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
def _available(
    waves: np.ndarray,
    y: Integer,
    x: Integer,
    height: Integer,
    width: Integer,
    shift_y: Integer,
    shift_x: Integer,
    found: np.ndarray,
) -> Integer:
    """Set found[0..1] to the mask of a block's edge; returns the last wave there, at least 0.

    (x, y) and the size are in samples of the plane, the shifts log2 of those across a 4 x 4 block.
    """
    rows, columns = waves.shape
    left, above = (x >> shift_x) - 1, (y >> shift_y) - 1
    lefts, tops = 2 * height >> shift_y, 2 * width >> shift_x
    found[:2] = 0
    last: Integer = 0
    for bit in range(lefts + 1 + tops):
        # From the bottom left up to the corner, then to the right.
        row, column = above + lefts - bit, left
        if bit > lefts:
            row, column = above, left + bit - lefts
        if row < 0 or column < 0 or row >= rows or column >= columns or waves[row, column] < 0:
            continue
        last = max(last, np.int64(waves[row, column]))
        if bit < _LOW_BITS:
            found[0] |= 1 << bit
        else:
            found[1] |= 1 << (bit - _LOW_BITS)
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
) -> None:
    """Fill the row of a block but for its place, and mark what it covers."""
    shift_y, shift_x = 2 - down, 2 - across
    top, left = y >> shift_y, x >> shift_x
    bottom, right = (y + height) >> shift_y, (x + width) >> shift_x
    log = 2
    while 1 << log < width:
        log += 1
    block[1], block[2], block[3], block[4], block[5] = plane, x, y, width, height
    block[6], block[7] = log, mode
    block[8] = 1 if plane == 0 and mode < LINEAR and is_smoothed(mode, width) else 0
    block[9], block[10], block[11] = order, 0, 0
    last = _available(waves, y, x, height, width, shift_y, shift_x, block[12:14])
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
    elif mode >= LINEAR:
        last = max(last, _covered(luma_waves, top - 1, left - 1, bottom, right))
    wave = max(last, 0) + 1
    block[_WAVE] = wave
    waves[top:bottom, left:right] = wave
    orders[top:bottom, left:right] = order


@allocating
def _blocks(
    leaves: np.ndarray,
    chroma: bool,
    down: Integer,
    across: Integer,
    waves: np.ndarray,
    orders: np.ndarray,
    blocks: np.ndarray,
) -> Integer:
    """Fill `blocks` in coding order, Cb and Cr in one row; returns their number.

    `waves` and `orders` are int32 (2, rows, columns) of 4 x 4 blocks, of luma and of chroma. waves
    are 0 where leaves are not intra and -1 elsewhere; orders are 0.
    """
    count, luma, colour = 0, 0, 0
    for number in range(len(leaves)):
        leaf = leaves[number]
        if not leaf[INTRA]:
            continue
        y, x, size = np.int64(leaf[Y]), np.int64(leaf[X]), np.int64(leaf[SIZE])
        parts: Integer = 2 if leaf[FOUR] else 1
        n = size // parts
        for k in range(parts * parts):
            luma += 1
            _add(
                leaf, np.int64(leaf[MODE + k]), 0, luma, y + n * (k // parts), x + n * (k % parts),
                n, n, 0, 0, waves[0], waves[0], orders[0], blocks[count],
            )  # fmt: skip
            count += 1
        if not chroma:
            continue
        # In 4:2:2 there are two blocks of chroma, one above the other.
        n = size >> across
        for k in range(1 << (across - down)):
            colour += 1
            _add(
                leaf, np.int64(leaf[CHROMA]), 1, colour, (y >> down) + n * k, x >> across,
                n, n, down, across, waves[1], waves[0], orders[1], blocks[count],
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
    most = int((1 + 3 * intra[:, FOUR]).sum()) + 2 * len(intra)
    blocks = np.empty((most, COLUMNS + 1), np.int32)
    blocks = blocks[: _blocks(intra, chroma, down, across, waves, orders, blocks)]
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
    return Waves(np.ascontiguousarray(blocks[:, :COLUMNS]), programs, orders, ends)
