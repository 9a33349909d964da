"""Crf to quantiser indices (QP) of the blocks of a canvas.

An unreferenced block gets crf + BASE. An error that later canvases inherit weighs more
(`weights`), so the index falls with the logarithm of its weight. The mean over the canvas counts in
full, the deviation of a block from it only in part. Active blocks count more in the mean, as the
index matters little to flat ones. In a key canvas it is the mean of the weights, in others that of
their logarithms, which is lower: what later canvases inherit from the still part of a picture is
worth a finer key canvas, but not finer chain canvases, which would code that part again (decisions
0050 and 0056).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import LAST_Q, last_index
from nvcodec.encode.hybrid.analysis.lookahead import GroupAnalysis
from nvcodec.encode.hybrid.analysis.weights import activity, error_weights
from nvcodec.encode.hybrid.rate.tradeoff import (
    BLOCK_STRENGTH,
    CANVAS_STRENGTH,
    KEY_STRENGTH,
    MOST_BLOCK_OFFSET,
    quantiser_index,
    quantiser_step,
)

AHEAD_FRAMES = 32
"""Frames of lookahead after a group, rounded up to whole groups."""

QuantiserMap = npt.NDArray[np.uint8]
"""Quantiser indices (spec 8.6) of blocks of 32 x 32 luma samples, row by row."""


def quantiser_maps(crf: float, window: Sequence[GroupAnalysis]) -> list[QuantiserMap]:
    """The maps of the canvases of `window[0]`, in coding order, for samples of 8 bits.

    The rest of the window are the groups that follow, about AHEAD_FRAMES frames.
    """
    maps = []
    step = quantiser_step(crf)
    group = window[0]
    canvases = zip(group.steps, group.dependences, error_weights(window, step), strict=True)
    for canvas, found, weights in canvases:
        logs = np.log2(weights)
        active = activity(found, step)
        mean = np.average(logs, weights=active)
        if canvas.references:
            finer = CANVAS_STRENGTH * mean
        else:
            finer = KEY_STRENGTH * np.log2(np.average(weights, weights=active))
        block = np.clip(BLOCK_STRENGTH * (logs - mean), -MOST_BLOCK_OFFSET, MOST_BLOCK_OFFSET)
        index = quantiser_index(crf, finer + block)
        maps.append(np.clip(np.floor(index + 0.5), 0, LAST_Q).astype(np.uint8))
    return maps


def for_depth(maps: Sequence[QuantiserMap], bit_depth: int) -> list[QuantiserMap]:
    """Maps for samples of 8 bits as those of a bit depth: the same share of the range of
    samples.
    """
    finer = last_index(bit_depth) - LAST_Q
    return [(q + finer).astype(np.uint8) for q in maps]
