"""Quantiser indices and their steps (spec 8.6)."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import LAST_Q
from nvcodec.compiled import Integer, kernel
from nvcodec.model.samples import EXTRA, plane_number

_OCTAVE = 6
"""Indices that double the step, so those that a bit of the samples adds."""

_MOST_EXTRA = 4
"""Most bits of a sample beyond 8."""

INDICES = LAST_Q + 1 + _OCTAVE * _MOST_EXTRA
"""Number of indices of samples of 12 bits. The coarsest step of each bit depth, 912 sample values
of 8 bits, exceeds any difference."""

_SIXTHS = (40, 45, 51, 57, 64, 72)
"""S6 of spec 8.6: the six steps of an octave."""

STEP = np.array([_SIXTHS[q % 6] << (q // 6) for q in range(INDICES)], np.int32)
"""STEP of spec 8.6: the integer step of each index in 1/64 sample, which decoders use."""

REAL_STEP = np.array([2.0 ** ((q - 4) / 6) for q in range(INDICES)], np.float32)
"""The real step of each index in samples; STEP is this in 1/64 sample, rounded."""


@kernel
def plane_index(q: Integer, code: Integer, chroma_offset: Integer) -> Integer:
    """The index that a plane (`plane_code`) of a leaf with index q is quantised with."""
    if plane_number(code) == 0:
        return q
    return min(LAST_Q + _OCTAVE * (code >> EXTRA), max(0, q + chroma_offset))


@kernel
def base_index(q: Integer, extra: Integer) -> Integer:
    """The index 0..63 of the step of q among those of 8-bit samples (spec 8.6).

    `extra` is the number of bits of a sample beyond 8. Finer steps count as the finest.
    """
    return min(LAST_Q, max(0, q - _OCTAVE * extra))
