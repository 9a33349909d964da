"""Pictures at the coded size and luma at smaller sizes."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.analysis.pyramid import (
    COARSE_MARGIN,
    LOOKAHEAD_MARGIN,
    Pyramid,
    block_sums,
    half_luma,
    small_luma,
)


@pytest.mark.parametrize(
    ("smaller", "scale", "margin"),
    [(small_luma, 4, COARSE_MARGIN), (half_luma, 2, LOOKAHEAD_MARGIN)],
)
def test_smaller_luma(smaller, scale, margin):
    """Means of squares over whole blocks of 16, with repeated edges around."""
    luma = np.random.default_rng(0).integers(0, 256, (40, 56), np.uint8)
    found = smaller(block_sums(luma))
    padded = np.pad(luma, ((0, 8), (0, 8)), mode="edge").astype(float)
    rows, columns = 48 // scale, 64 // scale
    means = padded.reshape(rows, scale, columns, scale).mean((1, 3))
    inside = found[margin:-margin, margin:-margin]
    assert inside.shape == means.shape
    assert abs(inside - means).max() <= 0.5
    np.testing.assert_array_equal(found, np.pad(inside, margin, mode="edge"))


def test_coded_size():
    rng = np.random.default_rng(1)
    planes = tuple(rng.integers(0, 256, s, np.uint8) for s in ((45, 37), (23, 19), (23, 19)))
    pyramid = Pyramid.of(planes, 40, 48)
    for plane, own, size in zip(pyramid.planes, planes, ((48, 40), *[(24, 20)] * 2), strict=True):
        missing = [(0, a - b) for a, b in zip(size, own.shape, strict=True)]
        np.testing.assert_array_equal(plane, np.pad(own, missing, mode="edge"))
    assert pyramid.small.shape == tuple(n // 4 + 2 * COARSE_MARGIN for n in (48, 48))
