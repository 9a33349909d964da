"""Bits of inter syntax against the bits that coding takes."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.motion import (
    MOTION_CONTEXTS,
    default_motion_contexts,
    encode_motion,
    motion_capacity,
    trace_motion,
)
from nvcodec.coding.rangecoder import RangeEncoder
from nvcodec.encode.hybrid.rate.bits import context_bits
from nvcodec.encode.hybrid.rate.intra import intra_bits
from nvcodec.encode.hybrid.rate.motion import motion_bits
from tests.coding.hybrid.reference import Motion, contexts
from tests.coding.hybrid.tables import random_leaves
from tests.coding.reference import Decoder

from .recount import doubles, inter_bits, mode_bits, random_contexts, split_bits, traced_bits


def bypass_bits(leaves, width, height, canvas_set, two):
    """How many bits without a context a slow decoder reads."""
    encoder = RangeEncoder(default_motion_contexts(), motion_capacity(leaves))
    encode_motion(encoder, leaves, width, height, canvas_set, two=two)
    decoder = Decoder(encoder.finish())
    Motion(decoder, contexts("motion"), width, height, canvas_set, two=two)
    return sum(probability is None for probability, _ in decoder.bins)


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
        coded = traced_bits(trace, table) + bypass_bits(leaves, width, height, canvas_set, two)
        priced = inter_bits(motion, leaves, two)
        priced += mode_bits(intra, leaves, canvas_set)
        assert priced + split_bits(
            motion.split, leaves, width, height, canvas_set
        ) == pytest.approx(coded, rel=1e-6)
        assert (motion.split == intra.split).all()
        used |= set(trace.tolist())
    # Nearly all of the 94 or 99 contexts of the Set, with both bits.
    assert len(used) > (180 if canvas_set == 1 else 190)
