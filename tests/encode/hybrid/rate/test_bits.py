"""Bits of contexts against the length of what the range coder makes."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.rate.bits import context_bits
from tests.coding import reference


@pytest.mark.parametrize("ones", [0.03, 0.4, 0.9])
def test_they_add_up_to_the_substream(ones):
    context = reference.Context(32768, 0)
    bins, total = [], 0.0
    for bit in (np.random.default_rng(1).random(4000) < ones).astype(int).tolist():
        bins.append(((context.fast + context.slow) >> 1, bit))
        total += context_bits(np.array([[context.fast, context.slow, 0]], np.int32))[0, bit]
        context.adapt(bit)
    assert 8 * len(reference.encode(bins)) == pytest.approx(total, rel=1e-3, abs=40)


def test_certain_contexts_have_finite_bits():
    bits = context_bits(np.array([[1, 1, 0], [65535, 65535, 0]], np.int32))
    np.testing.assert_allclose(bits, [[0, 16], [16, 0]], atol=1e-4)
