"""What a bit is worth: every lambda of the hybrid encoder, and what crf means.

Every lambda is relative to the quantiser step of a block: in squared steps for squared errors, in
steps for SAD and SATD.
"""

from __future__ import annotations

from nvcodec.compiled import Real

WEIGHT = 0.085
"""Lambda for squared errors: a bit is worth this many squared quantiser steps."""

SATD_WEIGHT = 0.3
"""Lambda for SATD and SAD: a bit is worth this many quantiser steps."""

LEAST = 0.55
"""Smallest coefficient that may be a unit's last, in steps; smaller ones never repay their bits."""

NETWORK_WEIGHT = 0.12
"""Lambda of the network substream, in squared quantiser steps of an unreferenced block."""

BASE = 11.0
"""Quantiser index minus crf, for an unreferenced block. The PSNR is then about that of x264 at the
same crf."""

CANVAS_STRENGTH = 3.0
"""Each doubling of a canvas's mean error weight lowers its quantiser indices by this much. 3 is
right for errors that later canvases inherit in full."""

KEY_STRENGTH = 3.3
"""The same for key canvases; it measured better (decision 0056)."""

BLOCK_STRENGTH = 1.0
"""The same for a block relative to its canvas; estimated less reliably, hence smaller."""

MOST_BLOCK_OFFSET = 12.0
"""Largest offset of a block's index from its canvas's mean. It keeps neighbouring blocks within a
difference of 32, which the syntax can code (spec 7.5)."""

_BITS = 8
"""Bits of a sample of pure noise, where a step is one 8-bit sample value."""

_NOISE_SHARE = 2
"""Levels allow 1 / _NOISE_SHARE of the bits of pure noise; pictures hardly reach that."""


def quantiser_index(crf: float, finer: Real = 0.0) -> Real:
    """The quantiser index, unrounded, for crf; lower by `finer`, a float or an array."""
    return crf + BASE - finer


def quantiser_step(crf: float) -> float:
    """The quantiser step (spec 8.6) of an unreferenced block, in samples of 8 bits."""
    return float(2.0 ** ((quantiser_index(crf) - 4) / 6))


def network_multiplier(crf: float, bit_depth: int = 8) -> float:
    """Lambda of the network substream: the squared error in samples that a bit is worth."""
    return NETWORK_WEIGHT * (quantiser_step(crf) * float(2 ** (bit_depth - 8))) ** 2


def most_bits_per_sample(crf: float) -> float:
    """Bits per sample that a file at this crf is expected to stay below, at any bit depth."""
    # Noise takes a bit less for each doubling of the quantiser step: for 6 more of its index.
    return max(1.0, _BITS - (crf - 4) / 6) / _NOISE_SHARE
