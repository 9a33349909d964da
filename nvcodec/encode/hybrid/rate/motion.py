"""Bits of inter syntax: contexts of the motion substream to what decisions look up (spec 7.4)."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.motion import (
    BOTH,
    INDEX_MORE,
    INTRA_FLAG,
    MERGE_FLAG,
    SECOND,
    SPLIT,
    VMORE,
    VZERO,
)
from nvcodec.encode.hybrid.rate.costs import Bits
from nvcodec.records import Record, array


class MotionCosts(Record):
    """Bits of inter syntax of one Set, float32; of flags the last axis is the bit.

    `split` is (size, smaller neighbours, bit), `merge` (size, merged neighbours, bit), `both`
    (size, bit), `entry` of each entry of the merge list. `component` is (axis, bit length of the
    magnitude) of a coded difference, its sign included.
    """

    split = array(np.float32, 3, 3, 2)
    intra = array(np.float32, 3, 2)
    merge = array(np.float32, 4, 3, 2)
    entry = array(np.float32, 5)
    both = array(np.float32, 4, 2)
    second = array(np.float32, 2)
    component = array(np.float32, 2, 15)


def motion_costs(costs: Bits, canvas_set: int) -> MotionCosts:
    """The inter part of the motion substream's costs (spec 7.7), of Set 1 or 2."""
    inter = canvas_set - 1
    more = costs[INDEX_MORE + 4 * inter :][:4]
    entry = [more[:i, 1].sum() + (more[i, 0] if i < 4 else 0.0) for i in range(5)]
    component = np.zeros((2, 15), np.float32)
    for axis in range(2):
        nonzero = costs[VZERO + 2 * inter + axis]
        longer = costs[VMORE + 26 * inter + 13 * axis :][:13]
        component[axis, 0] = nonzero[0]
        for length in range(1, 15):
            g = length - 1
            stop = longer[g, 0] if g < 13 else 0.0
            component[axis, length] = nonzero[1] + longer[:g, 1].sum() + stop + g + 1
    return MotionCosts.make(
        split=costs[SPLIT + 9 * canvas_set :][:9].reshape(3, 3, 2),
        intra=costs[INTRA_FLAG + 3 * inter :][:3],
        merge=costs[MERGE_FLAG + 12 * inter :][:12].reshape(4, 3, 2),
        entry=entry,
        both=costs[BOTH : BOTH + 4],
        second=costs[SECOND],
        component=component,
    )
