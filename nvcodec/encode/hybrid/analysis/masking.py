"""Quantisers for the eye: coarser where texture masks errors, finer where it is calm.

Takes a picture and the quantiser map of its canvas; gives another map. The structural similarity
(SSIM) of a place falls with its squared error divided by twice the local variance and a constant.
The weight of a block's errors is the mean of that factor over where they are: the error of a place
is that of its quantiser step, but at most its variance. As for inherited errors (quantisers), the
index falls with the logarithm of the weight.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import LAST_Q
from nvcodec.encode.hybrid.analysis.quantisers import QuantiserMap
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.picture import Plane

STRENGTH = 1.5
"""Each doubling of a block's weight lowers its index by this much. 3 would be right for SSIM alone;
half of it also looks at the error itself."""

MOST_OFFSET = 15
"""Largest difference of an index from the mean of its canvas. It keeps neighbouring blocks within a
difference of 32, which the syntax can code (spec 7.5)."""

_CELL = 8
"""Luma samples across a place whose variance is taken, about the window of SSIM."""
_MAP = 32
"""Luma samples across a block of the map."""
_CALM = (0.03 * 255) ** 2
"""Variance from which texture masks, in squared samples of 8 bits: the constant C2 of SSIM."""

_LEAST_ERROR = 0.1
"""Added to all errors, so that flat blocks have a weight."""


def masked(q: QuantiserMap, luma: Plane, extra: int) -> QuantiserMap:
    """The map `q`, of indices of 8 bits, changed by what the texture of `luma` masks.

    `luma` has the coded size; `extra` is the number of bits of its samples beyond 8. The mean over
    the canvas hardly changes.
    """
    logs = np.log2(_weights(q, luma, extra))
    offsets = STRENGTH * (logs.mean() - logs)
    mean = q.mean()
    changed = np.clip(q + offsets, mean - MOST_OFFSET, mean + MOST_OFFSET)
    found: QuantiserMap = np.clip(np.floor(changed + 0.5), 0, LAST_Q).astype(np.uint8)
    return found


def _weights(q: QuantiserMap, luma: Plane, extra: int) -> npt.NDArray[np.float32]:
    """The weights of the blocks of the map."""
    rows, columns = (size // _CELL for size in luma.shape)
    cells = luma.reshape(rows, _CELL, columns, _CELL).astype(np.float32)
    variance = cells.var(axis=(1, 3)) / (1 << 2 * extra)
    side = _MAP // _CELL
    padded = np.pad(variance, ((0, -rows % side), (0, -columns % side)), mode="edge")
    shape = padded.shape[0] // side, side, padded.shape[1] // side, side
    places = padded.reshape(shape)
    uniform = np.square(REAL_STEP[q]) / 12
    errors = np.minimum(places, uniform[:, None, :, None]) + _LEAST_ERROR
    weighted = errors * _CALM / (2 * places + _CALM)
    weights: npt.NDArray[np.float32] = weighted.sum(axis=(1, 3)) / errors.sum(axis=(1, 3))
    return weights
