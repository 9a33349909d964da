"""How long groups are: where to cut a stretch (lookahead batch), so that it takes fewer bits.

Long groups suit content that is still or moves evenly. Short groups do better where prediction
fails over many pictures but not over few. Takes a stretch; gives its groups.
"""

from __future__ import annotations

import numpy as np

from nvcodec.encode.hybrid.analysis.lookahead import GroupAnalysis, Stretch
from nvcodec.tasks import Tasks

LEAST = 4
"""Frames of the shortest group that a stretch is cut into."""

_LITTLE = 0.22
_RATIO = 1.5
"""Halve a group if prediction gains less than _LITTLE doublings of SATD in its chain canvas, and at
least _RATIO times that in the chain canvases of its halves. Of nine clips, this halves groups only
in the one where it saves bits."""

_FLOOR = 4.0
"""Added to every SATD before ratios are taken. Few blocks are below it, where prediction gains
nothing."""


async def group_lengths(tasks: Tasks, stretch: Stretch, frames: int) -> list[tuple[int, int]]:
    """The groups of a stretch of `frames` pictures: (first picture, number of pictures) of each.

    A group may be halved, and its halves again, down to LEAST pictures.
    """

    async def chain_gain(first: int, count: int) -> float:
        return _chain_gain(await stretch.group(tasks, first, count))

    async def cut(first: int, count: int) -> list[tuple[int, int]]:
        half = count // 2
        if half < LEAST:
            return [(first, count)]
        parts = [(first, half), (first + half, count - half)]
        gain = await chain_gain(first, count)
        if gain > _LITTLE:
            return [(first, count)]
        if sum([await chain_gain(*part) for part in parts]) / 2 < _RATIO * gain:
            return [(first, count)]
        return [piece for part in parts for piece in await cut(*part)]

    return await cut(0, frames)


def _chain_gain(analysis: GroupAnalysis) -> float:
    """Log2 of intra SATD over that of the best prediction of the chain canvas, mean over its
    blocks.
    """
    chain = analysis.dependences[0]
    return float(np.log2((chain.intra + _FLOOR) / (chain.best + _FLOOR)).mean())
