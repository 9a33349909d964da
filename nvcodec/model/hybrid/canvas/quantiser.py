"""Quantiser indices and their steps (spec 8.6)."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import LAST_Q
from nvcodec.compiled import Integer, kernel

INDICES = LAST_Q + 1
"""Number of indices. With 8 bits the coarsest step, 912 sample values, exceeds any difference."""

_SIXTHS = (40, 45, 51, 57, 64, 72)
"""S6 of spec 8.6: the six steps of an octave."""

STEP = np.array([_SIXTHS[q % 6] << (q // 6) for q in range(INDICES)], np.int32)
"""STEP of spec 8.6: the integer step of each index in 1/64 sample, which decoders use."""

REAL_STEP = np.array([2.0 ** ((q - 4) / 6) for q in range(INDICES)], np.float32)
"""The real step of each index in samples; STEP is this in 1/64 sample, rounded."""


@kernel
def plane_index(q: Integer, plane: Integer, chroma_offset: Integer) -> Integer:
    """The index that a plane of a leaf with index q is quantised with."""
    return min(LAST_Q, max(0, q + chroma_offset)) if plane else q
