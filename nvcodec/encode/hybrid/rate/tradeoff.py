"""What a bit is worth: every lambda of the hybrid encoder, and where crf sets the quality.

All follow from the quantiser step of a block: squared errors are weighed in squared steps, sums of
absolute values in steps.
"""

from __future__ import annotations

from nvcodec.compiled import Real
from nvcodec.model.samples import FORMAT

WEIGHT = 0.12
"""Lambda: squared quantiser steps that a bit is worth."""

SATD_WEIGHT = 0.35
"""Lambda of SATD and SAD: quantiser steps that a bit is worth."""

LEAST = 0.55
"""Smallest coefficient that may be a unit's last, in steps; smaller ones never repay their bits."""

NETWORK_WEIGHT = 0.15
"""Lambda of the network substream, in squared steps of a block that nothing inherits."""

BASE = 10.0
"""Quantiser index minus crf of a block that nothing inherits: crf then gives about the PSNR that
x264 gives at the same number."""

CANVAS_STRENGTH = 3.0
"""Indices that each doubling of a canvas's mean weight takes off: right for errors that are
inherited in full."""

BLOCK_STRENGTH = 1.5
"""The same for a block relative to its canvas. Its weight is estimated less reliably."""

MOST_BLOCK_OFFSET = 12.0
"""Largest offset of a block to its canvas. Neighbours then differ by less than the 32 that a delta
can code."""

_NOISE_SHARE = 2
"""Levels allow 1 / _NOISE_SHARE of the bits of pure noise; pictures hardly reach that."""


def quantiser_index(crf: float, finer: Real = 0.0) -> Real:
    """The index, not rounded, of blocks that are finer by so many indices: float or array."""
    return crf + BASE - finer


def network_multiplier(crf: float) -> float:
    """Squared error that a bit of the network substream is worth."""
    return float(NETWORK_WEIGHT * 2.0 ** ((quantiser_index(crf) - 4) / 3))


def most_bits_per_sample(crf: float) -> float:
    """Bits for a sample that a file at this crf stays below."""
    # Noise of all bits has one less for each doubling of the step, which is every 6 of its index.
    return max(1.0, FORMAT.bit_depth - (crf - 4) / 6) / _NOISE_SHARE
