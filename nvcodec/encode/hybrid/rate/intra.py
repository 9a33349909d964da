"""Bits of intra syntax: rate tables from the contexts of the motion substream (spec 7.4)."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.motion import (
    BESIDE,
    COPIED,
    COPY_MORE,
    COPY_ZERO,
    CUT_FLAG,
    CUT_IN_TWO,
    HALVED,
    LATER,
    LINEAR_FLAG,
    LISTED,
    OTHER,
    PALETTE_FLAG,
    REST,
    SIDE,
    SPLIT,
)
from nvcodec.encode.hybrid.rate.bits import Bits, component_bits
from nvcodec.records import Record, array


class IntraBits(Record):
    """Bits of intra syntax for one Set; for flags the last axis is the value.

    Attributes:
        split: whether a block is split, (size 16 to 64, smaller neighbours, bit).
        halved, beside: as in MotionBits.
        copied: whether a leaf is copied, (copied neighbours, bit).
        palette: whether a leaf that is not copied has palettes, (neighbours with palettes, bit).
        component: as in MotionBits, of a copy vector.
        cut: of each way to cut the luma of a leaf of 8, (cut,).
        listed: of each entry of the list of three modes.
        rest: of each of the other 32 luma modes, in ascending order.
        chroma: of the luma mode, then of each of the four other chroma modes, then of the three
            that predict from luma, (size of the leaf 8 to 32, mode).

    """

    split = array(np.float32, 3, 3, 2)
    halved = array(np.float32, 2, 3, 3, 2)
    beside = array(np.float32, 3, 2)
    copied = array(np.float32, 3, 2)
    palette = array(np.float32, 3, 2)
    component = array(np.float32, 2, 15)
    cut = array(np.float32, 4)
    listed = array(np.float32, 3)
    rest = array(np.float32, 32)
    chroma = array(np.float32, 3, 8)


def intra_bits(costs: Bits, canvas_set: int) -> IntraBits:
    """Rate tables of intra syntax from `costs`, the bits of all motion contexts."""
    inter = min(canvas_set, 1)
    is_listed = costs[LISTED + inter]
    listed = [is_listed[1] + costs[LATER, 0]]
    listed += [is_listed[1] + costs[LATER, 1] + costs[REST, b] for b in range(2)]
    rest = []
    for r in range(32):
        k, bits = 1, float(is_listed[0])
        for i in range(4, -1, -1):
            b = r >> i & 1
            bits += costs[REST + k, b]
            k = 2 * k + b
        rest.append(bits)
    others = [costs[OTHER, 0]]
    others += [
        costs[OTHER, 1] + costs[OTHER + 1, k >> 1] + costs[OTHER + 2 + (k >> 1), k & 1]
        for k in range(4)
    ]
    linear = costs[LINEAR_FLAG + 3 * inter :][:3]
    side, above = costs[SIDE : SIDE + 2]
    sides = [side[0], side[1] + above[0], side[1] + above[1]]
    chroma = [
        [flag[0] + bits for bits in others] + [flag[1] + bits for bits in sides] for flag in linear
    ]
    several, two, columns = costs[CUT_FLAG], costs[CUT_IN_TWO], costs[CUT_IN_TWO + 1]
    cut = [several[0], several[1] + two[0]]
    cut += [several[1] + two[1] + bits for bits in columns]
    component = component_bits(costs, COPY_ZERO, COPY_MORE)
    return IntraBits.make(
        copied=costs[COPIED + 3 * inter :][:3],
        palette=costs[PALETTE_FLAG + 3 * inter :][:3],
        component=component,
        split=costs[SPLIT + 9 * canvas_set :][:9].reshape(3, 3, 2),
        halved=costs[HALVED + 18 * canvas_set :][:18].reshape(2, 3, 3, 2),
        beside=costs[BESIDE + 3 * canvas_set :][:3],
        cut=cut,
        listed=listed,
        rest=rest,
        chroma=chroma,
    )
