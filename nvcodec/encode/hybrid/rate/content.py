"""Bits of the content substream (spec 7.5, 7.6), in the shapes that decisions look up."""

from __future__ import annotations

import math

import numpy as np

from nvcodec.coding.hybrid.levels import FULL, LAST, MORE, SECONDARY, SIG, SINE_FLAG
from nvcodec.coding.hybrid.palettes import PALETTES_END, REUSE
from nvcodec.coding.hybrid.secondary import SECONDARIES, SETS
from nvcodec.coding.hybrid.units import CB, CODED_FLAG, CR, LUMA, PART, TREE, UNEVEN_TREE
from nvcodec.compiled import Integer, kernel
from nvcodec.encode.hybrid.rate.bits import Bits
from nvcodec.records import Record, array, nested

MOST_LISTED = 15
"""Smallest magnitude of a level that is coded with an escape (spec 7.6)."""

UNAFFORDABLE = 1e10
"""Bits of a choice that is never to be made. Times any lambda they are below search.block.NEVER."""

CHROMA_SINE = 2
"""The row of ContentBits.sine for chroma, which has the cosine transform only."""


class UnitBits(Record):
    """Bits of the syntax of a unit (transform block) for one Set and P (spec 7.6).

    Sizes are 4, 8, 16, 32; places and classes are Place, SIGCLASS and GTCLASS of the spec.

    Attributes:
        sig: of a significance flag, (size, place, class, bit).
        level: of a magnitude with its sign, without escape, (place, class, magnitude 0..15).
        last: of a coordinate of the last level, (axis x or y, size, position).
        full: of a sub-block's flag, (size, whether the right or lower sub-block is full, bit).

    """

    sig = array(np.float32, 4, 4, 6, 2)
    level = array(np.float32, 4, 8, MOST_LISTED + 1)
    last = array(np.float32, 2, 4, 32)
    full = array(np.float32, 4, 2, 2)


class ContentBits(Record):
    """Bits of the content substream's syntax for one Set (spec 7.5).

    Sizes are those of luma, 8, 16, 32 unless said otherwise.

    Attributes:
        coded: whether a leaf has units, (size 8 to 64, merged, coded neighbours, bit).
        cb: whether a node has a unit of Cb, (size, bit).
        cr: whether a node has a unit of Cr, (size, whether it has one of Cb, bit).
        luma: whether a node has luma units, (size, whether it has chroma units, bit).
        tree: whether a transform block splits, (size, bit).
        uneven_tree: whether a node that is no square splits, (log2 of its samples minus 7, bit).
        part: whether a quarter of a split block has levels, (size of the quarter 4 to 16, bit).
        sine: whether a unit has the sine transform, (luma of an inter leaf, luma of an intra leaf,
            chroma; size 4 to 16; bit).
        secondary: of the number of the secondary transform, (set, or SETS for units that have none;
            size 4 to 32; number).
        palette: of each context of palettes, from REUSE on, (context, bit).
        units: of luma units.
        chroma_units: of chroma units.

    """

    coded = array(np.float32, 4, 2, 3, 2)
    cb = array(np.float32, 3, 2)
    cr = array(np.float32, 3, 2, 2)
    luma = array(np.float32, 3, 2, 2)
    tree = array(np.float32, 3, 2)
    uneven_tree = array(np.float32, 3, 2)
    part = array(np.float32, 3, 2)
    sine = array(np.float32, 3, 3, 2)
    secondary = array(np.float32, SETS + 1, 4, SECONDARIES + 1)
    palette = array(np.float32, PALETTES_END - REUSE, 2)
    units = nested(UnitBits)
    chroma_units = nested(UnitBits)


def unit_bits(costs: Bits, canvas_set: int, chroma: int) -> UnitBits:
    """The bits of units, from `costs`, the bits of all content contexts; `chroma` is P."""

    def part(first: int, size: int, shape: tuple[int, ...]) -> Bits:
        start = first + size * (2 * canvas_set + chroma)
        return costs[start : start + size].reshape(*shape, 2)

    more = part(MORE, 96, (4, 8, 3))
    level = np.zeros((4, 8, MOST_LISTED + 1), np.float32)
    for magnitude in range(1, MOST_LISTED + 1):
        bits = np.ones((4, 8), np.float32)
        for a in range(1, magnitude):
            bits += more[:, :, min(a - 1, 2), 1]
        if magnitude < MOST_LISTED:
            bits += more[:, :, min(magnitude - 1, 2), 0]
        level[:, :, magnitude] = bits
    prefix = part(LAST, 72, (2, 4, 9))
    last = np.zeros((2, 4, 32), np.float32)
    for axis in range(2):
        for size in range(4):
            for position in range(4 << size):
                p = position
                suffix = 0
                if position >= 4:
                    suffix = position.bit_length() - 2
                    p = 2 * (suffix + 1) + (position >> suffix & 1)
                cost = float(suffix)
                for i in range(2 * (size + 2) - 1):
                    cost += prefix[axis, size, i, int(i < p)]
                    if i == p:
                        break
                last[axis, size, position] = cost
    full = np.zeros((4, 2, 2), np.float32)
    full[1:] = part(FULL, 6, (3, 2))
    return UnitBits.make(sig=part(SIG, 96, (4, 4, 6)), level=level, last=last, full=full)


def content_bits(costs: Bits, canvas_set: int) -> ContentBits:
    """Rate tables of content from `costs`, the bits of all content contexts."""
    inter = max(0, canvas_set - 1)

    def part(first: int, number: int, shape: tuple[int, ...]) -> Bits:
        """Contexts of one kind, from index `first` on, hold several arrays: array `number`."""
        size = math.prod(shape)
        start = first + size * number
        return costs[start : start + size].reshape(*shape, 2)

    sine = np.full((3, 3, 2), UNAFFORDABLE, np.float32)
    sine[CHROMA_SINE, :, 0] = 0.0
    for intra in range(2):
        group = 2 * canvas_set - 1 + intra if canvas_set else 0
        sine[intra] = costs[SINE_FLAG + 3 * group :][:3]
    flags = costs[SECONDARY:].reshape(SETS, 4, SECONDARIES, 2)
    secondary = np.full((SETS + 1, 4, SECONDARIES + 1), UNAFFORDABLE, np.float32)
    secondary[:, :, 0] = 0.0
    for number in range(SECONDARIES + 1):
        secondary[:SETS, :, number] = flags[:, :, :number, 1].sum(2)
        if number < SECONDARIES:
            secondary[:SETS, :, number] += flags[:, :, number, 0]
    return ContentBits.make(
        coded=part(CODED_FLAG, inter, (4, 2, 3)),
        cb=part(CB, canvas_set, (3,)),
        cr=part(CR, canvas_set, (3, 2)),
        luma=part(LUMA, canvas_set, (3, 2)),
        tree=part(TREE, inter, (3,)),
        uneven_tree=part(UNEVEN_TREE, inter, (3,)),
        part=part(PART, inter, (3,)),
        sine=sine,
        secondary=secondary,
        palette=costs[REUSE:PALETTES_END],
        units=unit_bits(costs, canvas_set, 0),
        chroma_units=unit_bits(costs, canvas_set, 1),
    )


@kernel
def escape_bits(magnitude: Integer) -> Integer:
    """Bits of the escape of a level whose magnitude is 15 or more (spec 7.6).

    One too many from 14 + 32768 on, which no residual of 8-bit samples reaches.
    """
    r = magnitude - 14
    bits = 0
    while r > 1:
        r >>= 1
        bits += 2
    return bits + 1
