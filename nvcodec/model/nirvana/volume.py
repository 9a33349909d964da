"""The samples of a patch in the order of kernels, and the way from there to planes.

The table orders them (frame, phase, row, column). Kernels take, frame by frame, luma row by row,
then Cb, then Cr, so that two neighbours of a row share a word.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.table import FRAMES, PATCH, SITE
from nvcodec.compiled import Integer, kernel

FRAME = 6 * SITE * SITE
"""Samples of a patch in a frame."""
LUMA = PATCH * PATCH


def _order() -> npt.NDArray[np.int64]:
    y, x = np.mgrid[:PATCH, :PATCH]
    phase = 2 * (y % 2) + x % 2
    luma = (phase * SITE + y // 2) * SITE + x // 2
    chroma = np.arange(4 * SITE * SITE, FRAME)
    frame = np.concatenate([luma.ravel(), chroma])
    order: npt.NDArray[np.int64] = (np.arange(FRAMES)[:, None] * FRAME + frame).ravel()
    return order


ORDER = _order()
"""The table's number of each sample of a patch."""


@kernel
def store_samples(
    halves: np.ndarray,
    at: Integer,
    stride: Integer,
    pairs: Integer,
    patches: Integer,
    depth: Integer,
    out: np.ndarray,
    row: Integer,
    column: Integer,
) -> None:
    """Samples of `depth` bits from numbers in 1/16 around 128, to a plane from (row, column) on.

    Word (pair, patch) is at the int16 `halves`[2 * (at + pair * stride + patch)]. A row of a patch
    has `pairs` words. Samples outside the plane are left out.
    """
    side, (height, width) = 2 * pairs, out.shape
    shift, peak = np.int32(12 - depth), np.int32((1 << depth) - 1)
    middle = np.int32(2048 + (1 << shift >> 1))
    for y in range(side):
        if row + y < height:
            for j in range(pairs):
                source = 2 * (at + (y * pairs + j) * stride)
                x = column + 2 * j
                whole = min(patches, (width - x) // side if width > x else 0)
                for p in range(whole):
                    for k in range(2):
                        v = (np.int32(halves[source + 2 * p + k]) + middle) >> shift
                        out[row + y, x + p * side + k] = min(peak, max(np.int32(0), v))
                for p in range(whole, patches):
                    for k in range(2):
                        if x + p * side + k < width:
                            v = (np.int32(halves[source + 2 * p + k]) + middle) >> shift
                            out[row + y, x + p * side + k] = min(peak, max(np.int32(0), v))


@kernel
def store_trace(
    halves: np.ndarray,
    at: Integer,
    stride: Integer,
    pairs: Integer,
    patches: Integer,
    out: np.ndarray,
    row: Integer,
) -> None:
    """The numbers themselves to rows of an int16 plane from `row` on, for a row of patches."""
    side = 2 * pairs
    for y in range(side):
        for j in range(pairs):
            source = 2 * (at + (y * pairs + j) * stride)
            for p in range(patches):
                out[row + y, p * side + 2 * j] = halves[source + 2 * p]
                out[row + y, p * side + 2 * j + 1] = halves[source + 2 * p + 1]
