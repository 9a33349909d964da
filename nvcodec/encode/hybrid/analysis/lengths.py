"""How long groups are: where a stretch of pictures is cut, so that its groups take fewer bits.

Long groups serve what stays or moves alike; where prediction over many pictures fails and over
fewer does not, shorter ones do better. Takes the analysis of a stretch; gives the groups.
"""

from __future__ import annotations

import numpy as np

from nvcodec.encode.hybrid.analysis.lookahead import GroupAnalysis, Stretch

LEAST = 4
"""Frames of the shortest groups that a stretch is cut into."""

_LITTLE = 0.22
_RATIO = 1.5
"""A group is halved when its chain canvas gains less than _LITTLE doublings, and those of its
halves _RATIO times as much: of nine clips, on the one where halves take fewer bits."""

_FLOOR = 4.0
"""SATD at half size that hardly any block is below: prediction gains nothing there."""


def group_lengths(stretch: Stretch, frames: int) -> list[tuple[int, int]]:
    """The groups of a stretch of so many pictures: first picture and number of pictures of each.

    Halves, and their halves, of at least LEAST pictures take the place of a group.
    """

    def cut(first: int, count: int) -> list[tuple[int, int]]:
        half = count // 2
        if half < LEAST:
            return [(first, count)]
        parts = [(first, half), (first + half, count - half)]
        gain = _chain_gain(stretch.group(first, count))
        if gain > _LITTLE:
            return [(first, count)]
        if sum(_chain_gain(stretch.group(*part)) for part in parts) / 2 < _RATIO * gain:
            return [(first, count)]
        return [piece for part in parts for piece in cut(*part)]

    return cut(0, frames)


def _chain_gain(analysis: GroupAnalysis) -> float:
    """Doublings of SATD that prediction of the chain canvas saves, mean over its blocks."""
    chain = analysis.inheritance[0]
    return float(np.log2((chain.intra + _FLOOR) / (chain.inter + _FLOOR)).mean())
