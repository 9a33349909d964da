"""Quality to quantiser indices: how coarse each block of a canvas is.

A block whose error nothing inherits gets crf + BASE. Where later canvases inherit it, an error
weighs more (lookahead.error_weights), and the index falls with the logarithm of its weight: the
mean over the canvas in full, what the block adds to it in part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nvcodec.encode.hybrid.analysis.lookahead import GroupAnalysis, error_weights

AHEAD_FRAMES = 32
"""Frames after a group that its maps look at, in whole groups."""

BASE = 10.0
"""What is added to crf where nothing depends on a block: so crf gives about the PSNR that the same
one of x264 does."""

STRENGTH = 3.0
"""What each doubling of the weight of a canvas takes off, as suits errors inherited in full."""

BLOCK_STRENGTH = 1.5
"""The same for what a block's weight is beside its canvas's: which blocks hand on what is known
less well."""

MOST = 12.0
"""What a block differs from its canvas at most: neighbours differ by less than the 32 that a delta
can say."""

LAST = 63
"""The coarsest quantiser."""

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
        finer = STRENGTH * mean + np.clip(BLOCK_STRENGTH * (logs - mean), -MOST, MOST)
        maps.append(np.clip(np.floor(crf + BASE - finer + 0.5), 0, LAST).astype(np.uint8))
    return maps
