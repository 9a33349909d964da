"""Bits of intra syntax against the bits that coding takes."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.motion import MOTION_CONTEXTS, trace_motion
from nvcodec.encode.hybrid.rate.bits import context_bits
from nvcodec.encode.hybrid.rate.intra import intra_bits
from tests.coding.hybrid.tables import random_leaves

from .recount import (
    bypass_bits,
    doubles,
    mode_bits,
    random_contexts,
    split_bits,
    traced_bits,
)


def test_prices_are_the_bits_of_coding():
    used = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        width, height = 8 * rng.integers(8, 25, 2)
        table = random_contexts(rng, MOTION_CONTEXTS)
        prices = doubles(intra_bits(context_bits(table), 0))
        leaves = random_leaves(rng, width, height, 0, rng.choice([0.2, 0.5, 0.8]))
        trace = trace_motion(leaves, width, height, 0)
        priced = mode_bits(prices, leaves, 0) + split_bits(prices, leaves, width, height, 0)
        # The first bit is that of the canvas.
        coded = traced_bits(trace[1:], table) + bypass_bits(leaves, width, height, 0, False)
        assert priced == pytest.approx(coded, rel=1e-6)
        used |= set(trace.tolist())
    # Nearly all contexts of the Set: 21 of the partition, 49 of modes and 28 of copy vectors.
    assert len(used) > 180
