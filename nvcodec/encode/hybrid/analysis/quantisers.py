"""Quality to quantiser indices: how coarse each block of a canvas is.

A block whose error nothing inherits gets crf + BASE. Where later canvases inherit it, an error
weighs more (lookahead.error_weights), and the index falls with the logarithm of its weight: in full
with the mean over the canvas, in part with what the block adds to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import LAST_Q
from nvcodec.encode.hybrid.analysis.lookahead import GroupAnalysis, error_weights
from nvcodec.encode.hybrid.rate.tradeoff import (
    BLOCK_STRENGTH,
    CANVAS_STRENGTH,
    MOST_BLOCK_OFFSET,
    quantiser_index,
)

AHEAD_FRAMES = 32
"""Frames after a group that its maps look at, in whole groups."""

QuantiserMap = npt.NDArray[np.uint8]
"""Quantiser indices (spec 8.6) of blocks of 32 x 32 luma samples, row by row."""


def quantiser_maps(crf: float, window: Sequence[GroupAnalysis]) -> list[QuantiserMap]:
    """The maps of the canvases of `window[0]` in coding order.

    The groups that follow come after it, about AHEAD_FRAMES of them.
    """
    maps = []
    for weights in error_weights(window):
        logs = np.log2(weights)
        mean = logs.mean()
        block = np.clip(BLOCK_STRENGTH * (logs - mean), -MOST_BLOCK_OFFSET, MOST_BLOCK_OFFSET)
        index = quantiser_index(crf, CANVAS_STRENGTH * mean + block)
        maps.append(np.clip(np.floor(index + 0.5), 0, LAST_Q).astype(np.uint8))
    return maps
