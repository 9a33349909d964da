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
