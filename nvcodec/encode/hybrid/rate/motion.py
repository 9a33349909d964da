"""Bits of inter syntax: rate tables from the contexts of the motion substream (spec 7.4)."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.motion import (
    AFFINE_FLAG,
    AFFINE_INDEX,
    BESIDE,
    BOTH,
    GRADIENT_MORE,
    GRADIENT_ZERO,
    HALVED,
    INDEX_MORE,
    INTRA_FLAG,
    MERGE_FLAG,
    SECOND,
    SPLIT,
    VMORE,
    VZERO,
)
from nvcodec.encode.hybrid.rate.bits import Bits, component_bits
from nvcodec.records import Record, array


class MotionBits(Record):
    """Bits of inter syntax for Set 1 or 2; for flags the last axis is the value.

    Attributes:
        split: whether a block is split, (size 16 to 64, smaller neighbours, bit).
        intra: whether a leaf is intra, (intra neighbours, bit).
        merge: whether a leaf is merged, (size 8 to 64, merged neighbours, bit).
        entry: of each entry of the merge list.
        halved: whether an area is halved, (square or half, longer side 16 to 64, smaller
            neighbours, bit).
        beside: whether the halves of a block lie beside each other, (t of spec 7.4, bit).
        both: whether both references are used, (size 8 to 64, bit).
        second: whether reference 1 is used and not reference 0, (bit,).
        component: of a component of a coded vector difference with its sign, (axis y or x, bit
            length of the magnitude).

    """

    split = array(np.float32, 3, 3, 2)
    intra = array(np.float32, 3, 2)
    merge = array(np.float32, 4, 3, 2)
    entry = array(np.float32, 5)
    halved = array(np.float32, 2, 3, 3, 2)
    beside = array(np.float32, 3, 2)
    both = array(np.float32, 4, 2)
    second = array(np.float32, 2)
    component = array(np.float32, 2, 15)
    affine = array(np.float32, 2, 4, 3, 2)
    affine_entry = array(np.float32, 4)
    gradient = array(np.float32, 4, 10)


def motion_bits(costs: Bits, canvas_set: int) -> MotionBits:
    """Rate tables of inter syntax from `costs`, the bits of all motion contexts; Set is 1 or 2."""
    inter = canvas_set - 1
    more = costs[INDEX_MORE + 4 * inter :][:4]
    entry = [more[:i, 1].sum() + (more[i, 0] if i < 4 else 0.0) for i in range(5)]
    more = costs[AFFINE_INDEX + 3 * inter :][:3]
    affine_entry = [more[:i, 1].sum() + (more[i, 0] if i < 3 else 0.0) for i in range(4)]
    longer = costs[GRADIENT_MORE + 8 * inter :][:8]
    gradient = np.zeros((4, 10), np.float32)
    for k in range(4):
        nonzero = costs[GRADIENT_ZERO + 4 * inter + k]
        gradient[k, 0] = nonzero[0]
        for length in range(1, 10):
            g = length - 1
            stop = longer[g, 0] if g < 8 else 0.0
            gradient[k, length] = nonzero[1] + longer[:g, 1].sum() + stop + g + 1
    return MotionBits.make(
        affine=costs[AFFINE_FLAG + 24 * inter :][:24].reshape(2, 4, 3, 2),
        affine_entry=affine_entry,
        gradient=gradient,
        split=costs[SPLIT + 9 * canvas_set :][:9].reshape(3, 3, 2),
        intra=costs[INTRA_FLAG + 3 * inter :][:3],
        merge=costs[MERGE_FLAG + 12 * inter :][:12].reshape(4, 3, 2),
        entry=entry,
        halved=costs[HALVED + 18 * canvas_set :][:18].reshape(2, 3, 3, 2),
        beside=costs[BESIDE + 3 * canvas_set :][:3],
        both=costs[BOTH + 5 * inter :][:4],
        second=costs[SECOND + 5 * inter],
        component=component_bits(costs, VZERO + 2 * inter, VMORE + 26 * inter),
    )
