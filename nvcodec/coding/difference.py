"""Syntaxes of integers near 0, parts of other syntaxes: spec 3.3, and that of vectors and taps."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.syntax import ENCODING, bit, bypass, part
from nvcodec.compiled import Integer, kernel

MAX_DIFFERENCE = (1 << 16) + 5
"""Largest magnitude."""


@kernel
def magnitude_class(value: Integer) -> Integer:
    """Min(2, BitLength(|value|)): classes of what follows a value (spec 11.5, 11.8)."""
    return min(np.int64(2), abs(np.int64(value)))


@part
def magnitude(size: int, more_context: int, prefix: int) -> int:
    """The part of spec 3.3 after `nonzero`: m >= 1, with MORE from `more_context` on."""
    m = 1
    while m < 7:
        more = bit(more_context + m - 1, 1 if size > m else 0)
        if more == 0:
            break
        m += 1
    if m == 7:
        rest = size - 6
        g = 0
        while g < 15:
            more = bit(prefix + min(g, 9), 1 if (rest >> (g + 1)) > 0 else 0)
            if more == 0:
                break
            g += 1
        remainder = 1
        for j in range(g):
            low_bit = bypass((rest >> (g - 1 - j)) & 1)
            remainder = 2 * remainder + low_bit
        m = 6 + remainder
    return m


@part
def exponential(value: int, zero: int, more: int, most: int) -> int:
    """`component` of spec 7.4 and `tap` of 7.8: an integer below 2^(most + 1) in magnitude.

    `zero` is the context of `nonzero`, `more` that of the first `more`.
    """
    size = 0
    if ENCODING:
        size = abs(int(value))
    nonzero = bit(zero, 1 if size > 0 else 0)
    v = 0
    if nonzero != 0:
        g = 0
        while g < most:
            longer = bit(more + g, 1 if (size >> (g + 1)) > 0 else 0)
            if longer == 0:
                break
            g += 1
        r = 1
        for j in range(g):
            low_bit = bypass((size >> (g - 1 - j)) & 1)
            r = 2 * r + low_bit
        negative = bypass(1 if value < 0 else 0)
        v = -r if negative != 0 else r
    return v


@part
def difference(value: int, context: int, prefix: int) -> int:
    """Syntax of spec 3.3 with the contexts ZERO and MORE from `context`, PREFIX from `prefix`."""
    size = 0
    if ENCODING:
        size = abs(value)
    nonzero = bit(context, 1 if size > 0 else 0)
    d = 0
    if nonzero != 0:
        m = magnitude(size, context + 1, prefix)
        negative = bypass(1 if value < 0 else 0)
        d = -m if negative != 0 else m
    return d
