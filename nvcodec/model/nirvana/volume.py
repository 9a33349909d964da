"""The samples of a row of patches, from words to the rows of a plane."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.nirvana.table import PATCH
from nvcodec.compiled import Integer, kernel

_PAIRS = PATCH // 2
"""Words of a row of a patch."""


@kernel
def store_samples(
    halves: np.ndarray,
    at: Integer,
    stride: Integer,
    patches: Integer,
    depth: Integer,
    out: np.ndarray,
    row: Integer,
) -> None:
    """Samples of `depth` bits from numbers in 1/16 around 128, to rows of a plane from `row` on.

    Word (pair, patch) is at the int16 `halves`[2 * (at + pair * stride + patch)]. Samples outside
    the plane are left out.
    """
    height, width = out.shape
    shift, peak = np.int32(12 - depth), np.int32((1 << depth) - 1)
    middle = np.int32(2048 + (1 << shift >> 1))
    for y in range(PATCH):
        if row + y < height:
            for j in range(_PAIRS):
                source = 2 * (at + (y * _PAIRS + j) * stride)
                x = 2 * j
                whole = min(patches, (width - x) // PATCH if width > x else 0)
                for p in range(whole):
                    for k in range(2):
                        v = (np.int32(halves[source + 2 * p + k]) + middle) >> shift
                        out[row + y, x + p * PATCH + k] = min(peak, max(np.int32(0), v))
                for p in range(whole, patches):
                    for k in range(2):
                        if x + p * PATCH + k < width:
                            v = (np.int32(halves[source + 2 * p + k]) + middle) >> shift
                            out[row + y, x + p * PATCH + k] = min(peak, max(np.int32(0), v))


@kernel
def store_trace(
    halves: np.ndarray,
    at: Integer,
    stride: Integer,
    patches: Integer,
    out: np.ndarray,
    row: Integer,
) -> None:
    """The numbers themselves to rows of an int16 plane from `row` on, for a row of patches."""
    for y in range(PATCH):
        for j in range(_PAIRS):
            source = 2 * (at + (y * _PAIRS + j) * stride)
            for p in range(patches):
                out[row + y, p * PATCH + 2 * j] = halves[source + 2 * p]
                out[row + y, p * PATCH + 2 * j + 1] = halves[source + 2 * p + 1]
