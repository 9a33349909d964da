"""Syntax of one unit (spec 7.6): parts of the content substream's syntax, and their tables.

The encoder reads rows of the table of levels; the decoder writes them.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import LEVEL_POSITION, LEVEL_VALUE, PAINTED, SINE, lookup
from nvcodec.coding.hybrid.secondary import SECONDARIES
from nvcodec.coding.syntax import ENCODING, bit, bypass, part

# Numbers of the first context of each kind (spec 7.7).
LAST = 113
FULL = 545
SIG = 581
MORE = 1157
SINE_FLAG = 1733
SECONDARY = 1963
END = 1748
"""One more than the last context of a kind that is not SECONDARY."""

MAX_LEVEL = 14 + (1 << 16) - 1
"""Greatest magnitude of a level."""

HIDING = 4
"""A sub-block hides a sign if its first and last level are so far apart in its scan (spec 7.6)."""

# Row length of the array of a unit's magnitudes, clipped to 15 as no class distinguishes more. Two
# columns and two rows beyond the largest unit stay 0 for the sum over neighbours.
STRIDE = 34
SUB_STRIDE = 9


def diagonals(width: int, height: int) -> list[tuple[int, int]]:
    """DIAG(width, height): (x, y) of all positions of a rectangle."""
    positions = [(x, y) for y in range(height) for x in range(width)]
    return sorted(positions, key=lambda position: (sum(position), position[0]))


# Positions of sub-blocks in scan order: 64 entries for each shape of a unit. That is
# 4 * tall + wide, with log2 of its rows and columns minus 2.
_SUB_X = np.zeros(1024, np.int64)
_SUB_Y = np.zeros(1024, np.int64)
_SUB_NUMBER = np.zeros(1024, np.int64)
for _shape in range(16):
    for _i, (_x, _y) in enumerate(diagonals(1 << (_shape & 3), 1 << (_shape >> 2))):
        _SUB_X[64 * _shape + _i] = _x
        _SUB_Y[64 * _shape + _i] = _y
        _SUB_NUMBER[64 * _shape + 8 * _y + _x] = _i
_DIAG_X = lookup([x for x, _ in diagonals(4, 4)])
_DIAG_Y = lookup([y for _, y in diagonals(4, 4)])
_DIAG_SUM = _DIAG_X + _DIAG_Y
_DIAG_AT = _DIAG_Y * STRIDE + _DIAG_X
_DIAG_NUMBER = lookup([diagonals(4, 4).index((k & 3, k >> 2)) for k in range(16)])
# Place, SIGCLASS and GTCLASS of spec 7.6.
PLACE = lookup([0, 1, 1, 2, 2, 2, *[3] * 57])
SIG_CLASS = lookup([0, 1, 2, 3, 4, 4, *[5] * 70])
GREATER_CLASS = lookup([0, 1, 2, 3, 3, 4, 4, 5, 5, 5, *[6] * 5, *[7] * 61])
# Three contexts for each class.
_GREATER_AT = 3 * GREATER_CLASS


@part
def last(wanted: int, context: int, log: int) -> int:
    """`last` of spec 7.6 for one axis; its contexts begin at `context`."""
    prefix = 0
    if ENCODING:
        prefix = wanted
        if wanted >= 4:
            s = 1
            while wanted >> (s + 2) != 0:
                s += 1
            prefix = 2 * s + 2 + ((wanted >> s) & 1)
    p = 0
    while p < 2 * log + 3:
        more = bit(context + p, 1 if prefix > p else 0)
        if more == 0:
            break
        p += 1
    v = p
    if p >= 4:
        s = (p >> 1) - 1
        v = 2 + (p & 1)
        for j in range(s):
            b = bypass((wanted >> (s - 1 - j)) & 1)
            v = 2 * v + b
    return v


@part
def escape(magnitude: int) -> int:
    """The magnitude of a level that is at least 15 (spec 7.6)."""
    rest = magnitude - 14
    g = 0
    while g < 15:
        b = bypass(1 if (rest >> (g + 1)) > 0 else 0)
        if b == 0:
            break
        g += 1
    r = 1
    for j in range(g):
        b = bypass((rest >> (g - 1 - j)) & 1)
        r = 2 * r + b
    return 14 + r


@part
def sub_block(
    levels: np.ndarray,
    near: np.ndarray,
    level: int,
    stop: int,
    sub_x: int,
    sub_y: int,
    wide: int,
    size: int,
    scan: int,
    known: int,
    alone: int,
    family: int,
) -> int:
    """Code the positions of a sub-block from number `scan` down; returns the next level's number.

    If `known`, the level at the first position is not 0. If `alone`, some level of the sub-block is
    not 0 and none has been found so far. `wide` is log2 of the unit's columns minus 2, `size` that
    of R. In the encoder the unit's levels end at `stop`; a greater result means that the levels are
    not in coding order.
    """
    sig_base = SIG + 96 * family + 24 * size
    more_base = MORE + 96 * family
    at_base = 4 * (sub_y * STRIDE + sub_x)
    place_base = 4 * (sub_y + sub_x)
    position_base = 4 * ((sub_y << (wide + 2)) + sub_x)
    begin = level
    highest = 0
    lowest = 0
    total = 0
    while scan >= 0:
        at = at_base + _DIAG_AT[scan]
        t = (
            near[at + 1]
            + near[at + 2]
            + near[at + STRIDE]
            + near[at + STRIDE + 1]
            + near[at + 2 * STRIDE]
        )
        place = PLACE[place_base + _DIAG_SUM[scan]]
        position = position_base + (_DIAG_Y[scan] << (wide + 2)) + _DIAG_X[scan]
        value = 0
        if ENCODING and level < stop and levels[level, LEVEL_POSITION] == position:
            value = levels[level, LEVEL_VALUE]
        a = 1
        if known == 0 and not (scan == 0 and alone != 0):
            a = bit(sig_base + 6 * place + SIG_CLASS[t], 1 if value != 0 else 0)
        known = 0
        if a != 0:
            alone = 0
            context = more_base + 24 * place + _GREATER_AT[t]
            while a < 15:
                more = bit(context + min(a - 1, 2), 1 if abs(value) > a else 0)
                if more == 0:
                    break
                a += 1
            near[at] = a
            if a == 15:
                a = escape(abs(value))
            if level == begin:
                highest = scan
            lowest = scan
            total += a
            if ENCODING:
                if value == 0:
                    level = stop
                    scan = 0
            else:
                levels[level, LEVEL_POSITION] = position
                levels[level, LEVEL_VALUE] = a
            level += 1
        scan -= 1
    # Signs. Out of their order, levels have none.
    end = level
    if ENCODING and level > stop:
        end = begin
    hides = 1 if highest - lowest >= HIDING else 0
    number = begin
    while number < end:
        negative = total & 1
        wanted = 0
        if ENCODING:
            wanted = 1 if levels[number, LEVEL_VALUE] < 0 else 0
        if hides == 0 or number < end - 1:
            negative = bypass(wanted)
        if ENCODING:
            if wanted != negative:
                level = stop + 1
        else:
            if negative != 0:
                levels[number, LEVEL_VALUE] = -levels[number, LEVEL_VALUE]
        number += 1
    return level


@part
def unit_levels(
    levels: np.ndarray,
    near: np.ndarray,
    fulls: np.ndarray,
    start: int,
    stop: int,
    wide: int,
    tall: int,
    family: int,
    choice: int,
    secondaries: int,
    wanted: int,
) -> tuple[int, int]:
    """unit() of spec 7.6; returns the number of the next level, and its transform.

    The unit has 4 << wide columns and 4 << tall rows; `family` is 2 * Set + P. `choice` is the
    context of the flag `sine`, -1 if a unit of this plane and size has none, `secondaries` the
    first context of its secondary transform, -1 if it may have none. In the encoder its levels
    have the numbers start..stop-1; a result other than `stop` means that they are not in coding
    order. `near`, u8 (STRIDE * STRIDE), holds the magnitudes of levels, and `fulls`, int64
    (SUB_STRIDE * SUB_STRIDE), the flags of full sub-blocks. Both are 0 between units.
    """
    columns = 4 << wide
    size = (wide + tall + 1) >> 1
    sub_base = 64 * (4 * tall + wide)
    last_position = 0
    if ENCODING:
        last_position = levels[start, LEVEL_POSITION]
    last_x = 0
    last_y = 0
    for axis in range(2):
        place = 0
        if ENCODING:
            place = last_position & (columns - 1)
            if axis == 1:
                place = last_position >> (wide + 2)
        axis_log = tall if axis == 1 else wide
        coordinate = last(place, LAST + 72 * family + 36 * axis + 9 * axis_log, axis_log)
        if axis == 0:
            last_x = coordinate
        else:
            last_y = coordinate

    transform = 0
    if last_x + last_y > 0:
        number = 0
        if secondaries >= 0 and max(last_x, last_y) < 4:
            while number < SECONDARIES:
                more = bit(secondaries + number, 1 if wanted > PAINTED + number else 0)
                if more == 0:
                    break
                number += 1
        if number > 0:
            transform = PAINTED + number
        elif choice >= 0:
            transform = bit(choice, 1 if wanted == SINE else 0)

    full_base = FULL + 6 * family + 2 * (size - 1)
    last_sub = _SUB_NUMBER[sub_base + 8 * (last_y >> 2) + (last_x >> 2)]
    scan = _DIAG_NUMBER[4 * (last_y & 3) + (last_x & 3)]
    level = start
    sub = last_sub
    while sub >= 0:
        sub_x = _SUB_X[sub_base + sub]
        sub_y = _SUB_Y[sub_base + sub]
        full_at = sub_y * SUB_STRIDE + sub_x
        full = 1
        alone = 0
        if sub != last_sub and sub != 0:
            full = 0
            if ENCODING and level < stop:
                position = levels[level, LEVEL_POSITION]
                if position >> (wide + 4) == sub_y and (position & (columns - 1)) >> 2 == sub_x:
                    full = 1
            near_full = fulls[full_at + 1] | fulls[full_at + SUB_STRIDE]
            full = bit(full_base + near_full, full)
            alone = 1
        if full != 0:
            fulls[full_at] = 1
            known = 1 if sub == last_sub else 0
            level = sub_block(
                levels, near, level, stop, sub_x, sub_y, wide, size, scan, known, alone, family
            )
            if ENCODING and level > stop:
                break
        scan = 15
        sub -= 1

    for j in range(last_sub + 1):
        fulls[_SUB_Y[sub_base + j] * SUB_STRIDE + _SUB_X[sub_base + j]] = 0
    end = level
    if ENCODING:
        end = min(level, stop)
    for j in range(start, end):
        position = np.int64(levels[j, LEVEL_POSITION])
        near[(position >> (wide + 2)) * STRIDE + (position & (columns - 1))] = 0
    return level, transform
