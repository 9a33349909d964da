"""Bits of inter syntax against the bits that coding takes."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.motion import (
    MOTION_CONTEXTS,
    trace_motion,
)
from nvcodec.encode.hybrid.rate.bits import context_bits
from nvcodec.encode.hybrid.rate.intra import intra_bits
from nvcodec.encode.hybrid.rate.motion import motion_bits
from tests.coding.hybrid.tables import random_leaves

from .recount import (
    bypass_bits,
    doubles,
    inter_bits,
    mode_bits,
    random_contexts,
    split_bits,
    traced_bits,
)


@pytest.mark.parametrize(("canvas_set", "two"), [(1, False), (1, True), (2, True)])
def test_prices_are_the_bits_of_coding(canvas_set, two):
    used = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        width, height = 8 * rng.integers(8, 25, 2)
        table = random_contexts(rng, MOTION_CONTEXTS)
        costs = context_bits(table)
        motion = doubles(motion_bits(costs, canvas_set))
        intra = doubles(intra_bits(costs, canvas_set))
        split = rng.choice([0.2, 0.5, 0.8])
        leaves = random_leaves(rng, width, height, canvas_set, split, two=two)
        trace = trace_motion(leaves, width, height, canvas_set, two=two)
        # The first bit is that of the canvas.
        coded = traced_bits(trace[1:], table)
        coded += bypass_bits(leaves, width, height, canvas_set, two)
        priced = inter_bits(motion, leaves, two)
        priced += mode_bits(intra, leaves, canvas_set)
        priced += split_bits(motion, leaves, width, height, canvas_set)
        assert priced == pytest.approx(coded, rel=1e-6)
        for name in ("split", "halved", "beside"):
            assert (getattr(motion, name) == getattr(intra, name)).all()
        used |= set(trace.tolist())
    # Nearly all contexts of the Set, with both bits.
    assert len(used) > 280
