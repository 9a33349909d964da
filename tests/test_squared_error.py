"""Sums of squared differences are those of the definition, at any size and depth."""

import numpy as np
import pytest

from nvcodec.squared_error import block_errors, squared_error


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (64, 130), (0, 4)])
def test_sums(bits, shape):
    rng = np.random.default_rng(bits)
    dtype = np.uint8 if bits == 8 else np.uint16
    first, second = rng.integers(0, 1 << bits, (2, *shape)).astype(dtype)
    squares = np.square(first.astype(np.int64) - second)
    assert squared_error(first, second) == squares.sum()
    errors = block_errors(first[:, ::-1], second[:, ::-1], 16, 32)
    assert errors.shape == (-(-shape[0] // 16), -(-shape[1] // 32))
    for (y, x), error in np.ndenumerate(errors):
        block = squares[:, ::-1][16 * y : 16 * y + 16, 32 * x : 32 * x + 32]
        assert error == block.sum()


def test_the_largest_differences():
    black, white = np.zeros((3, 1000), np.uint16), np.full((3, 1000), 65535, np.uint16)
    assert squared_error(black, white) == 3000 * 65535**2


def test_planes_of_different_shapes():
    with pytest.raises(ValueError, match="planes of"):
        squared_error(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
