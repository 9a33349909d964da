"""Bits of coding with adaptive contexts (spec 3.1, 7.7)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.float32]
"""Bits of syntax elements; for flags, the last axis is the value of the flag."""


def context_bits(contexts: npt.NDArray[np.int32]) -> Bits:
    """Bits of coding 0 and 1 with each context: (n, 2) for n contexts (spec 3.1)."""
    one = (contexts[:, 0].astype(np.int64) + contexts[:, 1]) / 131072.0
    return np.stack([-np.log2(1.0 - one), -np.log2(one)], 1).astype(np.float32)


def component_bits(costs: Bits, zero: int, more: int) -> Bits:
    """Bits of a component of a coded vector difference with its sign (spec 7.4): (2, 15).

    `costs` are the bits of all motion contexts, `zero` and `more` the numbers of the component's
    first contexts. The axes are y or x, and the bit length of the magnitude.
    """
    component = np.zeros((2, 15), np.float32)
    for axis in range(2):
        nonzero = costs[zero + axis]
        longer = costs[more + 13 * axis :][:13]
        component[axis, 0] = nonzero[0]
        for length in range(1, 15):
            g = length - 1
            stop = longer[g, 0] if g < 13 else 0.0
            component[axis, length] = nonzero[1] + longer[:g, 1].sum() + stop + g + 1
    return component
