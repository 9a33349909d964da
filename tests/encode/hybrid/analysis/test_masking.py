"""Quantisers for the eye: finer where it is calm."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.analysis.masking import MOST_OFFSET, masked


def half_textured(contrast, bits):
    luma = np.random.default_rng(0).normal(128, contrast, (96, 136))
    luma[:, :64] = 128 + (luma[:, :64] - 128) / 20
    peak = (1 << bits) - 1
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.clip(luma * (1 << (bits - 8)), 0, peak).astype(dtype)


@pytest.mark.parametrize("bits", [8, 12])
def test_texture_is_coarser(bits):
    q = np.full((3, 5), 30, np.uint8)
    q[0] = 26
    found = masked(q, half_textured(20, bits), bits - 8)
    assert found.shape == q.shape
    assert (found[:, :2] < q[:, :2]).all()
    assert (found[:, 2:] > q[:, 2:]).all()
    assert abs(found.mean() - q.mean()) < 0.6
    # What a block inherits still counts.
    assert (found[0] < found[1] - 2).all()


def test_maps_stay_in_range():
    luma = half_textured(120, 8)
    for index in (0, 30, 63):
        found = masked(np.full((3, 5), index, np.uint8), luma, 0)
        assert found.max() <= 63
        assert int(found.max()) - int(found.min()) <= 2 * MOST_OFFSET
