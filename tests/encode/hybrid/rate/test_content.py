"""Bits of content against the bits that coding takes."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.content import (
    CONTENT_CONTEXTS,
    content_capacity,
    default_content_contexts,
    encode_content,
    trace_content,
)
from nvcodec.coding.hybrid.leaves import LEVEL_VALUE
from nvcodec.coding.rangecoder import RangeEncoder
from nvcodec.encode.hybrid.rate.bits import context_bits
from nvcodec.encode.hybrid.rate.content import content_bits
from tests.coding.hybrid.reference import Content, contexts
from tests.coding.hybrid.tables import random_content, random_leaves
from tests.coding.hybrid.test_content import motion_of
from tests.coding.reference import Decoder

from . import recount

HEAD_BITS = 7
"""Bits without a context at the head of a canvas: the quantiser index, and whether it varies."""
MOST = 14 + 32767
"""The greatest level that is priced right. No residual of 8-bit samples comes near it."""


def bypass_bits(leaves, units, levels, width, height, canvas_set):
    """How many bits without a context a slow decoder reads after the head."""
    capacity = content_capacity(leaves, units, levels)
    encoder = RangeEncoder(default_content_contexts(), capacity)
    encode_content(encoder, leaves, units, levels, 20, False, canvas_set)
    decoder = Decoder(encoder.finish())
    Content(decoder, contexts("content"), motion_of(leaves, width, height, canvas_set))
    return sum(probability is None for probability, _ in decoder.bins) - HEAD_BITS


@pytest.mark.parametrize("canvas_set", [0, 1, 2])
def test_prices_are_the_bits_of_coding(canvas_set):
    used = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        width, height = 8 * rng.integers(8, 15, 2)
        table = recount.random_contexts(rng, CONTENT_CONTEXTS)
        prices = recount.doubles(content_bits(context_bits(table), canvas_set))
        split = rng.choice([0.2, 0.5, 0.8])
        leaves = random_leaves(rng, width, height, canvas_set, split, palettes=0)
        units, levels = random_content(rng, leaves, 20, False, rng.choice([0.2, 0.6, 0.9]))
        levels[:, LEVEL_VALUE] = levels[:, LEVEL_VALUE].clip(-MOST, MOST)
        trace = trace_content(leaves, units, levels, 20, False, canvas_set)
        coded = traced = recount.traced_bits(trace, table)
        coded += bypass_bits(leaves, units, levels, width, height, canvas_set)
        priced = recount.content_bits(prices, leaves, units, levels)
        assert priced == pytest.approx(coded, rel=1e-6)
        assert traced < priced
        used |= set((trace >> 1).tolist())
    # Nearly all contexts of the Set.
    assert len(used) > 420
