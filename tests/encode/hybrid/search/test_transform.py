"""The encoder's transforms against matrix products, and against the decoder's."""

import numba
import numpy as np
import pytest

from nvcodec.encode.hybrid.search.transform import backward, forward
from nvcodec.model.hybrid.canvas.transform import add_unit, transform_scratch
from tests.model.hybrid.canvas.reference import matrix_of

SIZES = [(4, 2, 0), (8, 3, 0), (16, 4, 0), (32, 5, 0)]
SIZES += [(n, log2n, 1) for n, log2n, _ in SIZES[:3]]


@pytest.mark.parametrize(("n", "log2n", "sine"), SIZES)
def test_transforms(n, log2n, sine):
    rng = np.random.default_rng(n)
    block = rng.integers(-255, 256, (n, n)).astype(np.float32)
    matrix = np.array(matrix_of(n, sine)) / (64 * np.sqrt(n))
    scratch, there, back = (np.zeros(1024, np.float32) for _ in range(3))
    forward(block.ravel(), n, log2n, sine, np.float32(0.5), scratch, there)
    expected = 0.5 * matrix @ block @ matrix.T
    np.testing.assert_allclose(there[: n * n].reshape(n, n), expected, atol=1e-2)
    backward(there, n, log2n, sine, np.float32(2), scratch, back)
    expected = 2 * matrix.T @ there[: n * n].reshape(n, n) @ matrix
    np.testing.assert_allclose(back[: n * n].reshape(n, n), expected, atol=1e-2)
    # The decoder's integers are orthonormal but for a percent.
    assert np.linalg.norm(expected - block) < 0.015 * np.linalg.norm(block)
    assert not there[n * n :].any()
    assert not back[n * n :].any()


@pytest.mark.parametrize(("n", "log2n", "sine"), SIZES)
@pytest.mark.parametrize("q", [10, 33])
def test_the_decoder_has_the_same_transform(n, log2n, sine, q):
    levels = np.array([(0, 9), (1, -4), (n, 3), (2 * n + 1, -2), (n * n - 1, 1)], np.int32)
    plane = np.full((n, n), 128, np.uint8)
    add_unit(0, levels, 0, len(levels), log2n, sine, q, *transform_scratch(), plane, 0, 0)
    coefficients, scratch, out = (np.zeros(1024, np.float32) for _ in range(3))
    coefficients[levels[:, 0]] = levels[:, 1]
    backward(coefficients, n, log2n, sine, np.float32(2 ** ((q - 4) / 6)), scratch, out)
    expected = np.clip(128 + out[: n * n], 0, 255).reshape(n, n)
    assert abs(plane - expected).max() < 1.5


@pytest.mark.parametrize(("n", "log2n", "sine"), SIZES[:4])
@pytest.mark.parametrize("back", [False, True])
def test_many_blocks(back, n, log2n, sine, kernel_bench):
    rng = np.random.default_rng(n)
    count = 8192 // (n * n)
    blocks = rng.integers(-255, 256, (count, n * n)).astype(np.float32)
    out, scratch = np.zeros_like(blocks), np.zeros(1024, np.float32)
    matrix = np.array(matrix_of(n, sine)) / (64 * np.sqrt(n))

    @numba.njit
    def run(blocks, scratch, out):
        for k in range(count):
            if back:
                backward(blocks[k], n, log2n, sine, np.float32(0.5), scratch, out[k])
            else:
                forward(blocks[k], n, log2n, sine, np.float32(0.5), scratch, out[k])

    def call():
        run(blocks, scratch, out)
        return out.reshape(count, n, n)

    def peer():
        m = matrix.T if back else matrix
        return 0.5 * m @ blocks.reshape(count, n, n) @ m.T

    kernel_bench(
        f"{'backward' if back else 'forward'} {n}", blocks.size, call, peer, tolerance=2e-2
    )
