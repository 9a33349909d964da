"""The encoder's transforms against the matrices of the spec, and against the decoder's."""

import numba
import numpy as np
import pytest

from nvcodec.encode.hybrid.search.transform import forward
from nvcodec.model.hybrid.canvas.transform import add_unit, transform_scratch
from tests.coding.hybrid.reference import log2
from tests.model.hybrid.canvas.reference import matrix_of
from tests.model.hybrid.canvas.tables import SHAPES

KINDS = [(w, h, sine) for w, h in SHAPES for sine in range(1 + (max(w, h) < 32))]


def matrices(w, h, sine):
    """Orthonormal ones for rows and for columns."""
    return [np.array(matrix_of(n, sine)) / (64 * np.sqrt(n)) for n in (w, h)]


@pytest.mark.parametrize(("w", "h", "sine"), KINDS)
def test_transforms(w, h, sine):
    rng = np.random.default_rng(w)
    block = rng.integers(-255, 256, (h, w)).astype(np.float32)
    across, down = matrices(w, h, sine)
    scratch, out = np.zeros((2, 1024), np.float32)
    forward(block.ravel(), w, h, log2(w), log2(h), sine, np.float32(0.5), scratch, out)
    expected = 0.5 * down @ block @ across.T
    np.testing.assert_allclose(out[: w * h].reshape(h, w), expected, atol=1e-2)
    # The decoder's integers are orthonormal but for a percent.
    back = 2 * down.T @ expected @ across
    assert np.linalg.norm(back - block) < 0.015 * np.linalg.norm(block)
    assert not out[w * h :].any()


@pytest.mark.parametrize(("w", "h", "sine"), KINDS)
@pytest.mark.parametrize("q", [10, 33])
def test_the_decoder_has_the_same_transform(w, h, sine, q):
    levels = np.array([(0, 9), (1, -4), (w, 3), (2 * w + 1, -2), (w * h - 1, 1)], np.int32)
    plane = np.full((h, w), 128, np.uint8)
    logs = log2(w), log2(h)
    add_unit(0, levels, 0, len(levels), *logs, sine, -1, q, *transform_scratch(), plane, 0, 0)
    coefficients = np.zeros(w * h)
    coefficients[levels[:, 0]] = 2 ** ((q - 4) / 6) * levels[:, 1]
    across, down = matrices(w, h, sine)
    expected = np.clip(128 + down.T @ coefficients.reshape(h, w) @ across, 0, 255)
    assert abs(plane - expected).max() < 1.5


@numba.njit
def transform_blocks(blocks, w, h, wide_log, tall_log, sine, scratch, out):
    for k in range(len(blocks)):
        forward(blocks[k], w, h, wide_log, tall_log, sine, np.float32(0.5), scratch, out[k])


@pytest.mark.parametrize(("w", "h"), [(4, 4), (8, 8), (16, 16), (32, 32), (8, 32)])
def test_many_blocks(w, h, kernel_bench):
    rng = np.random.default_rng(w)
    count = 8192 // (w * h)
    blocks = rng.integers(-255, 256, (count, w * h)).astype(np.float32)
    out, scratch = np.zeros_like(blocks), np.zeros(1024, np.float32)
    across, down = matrices(w, h, 0)

    def call():
        transform_blocks(blocks, w, h, log2(w), log2(h), 0, scratch, out)
        return out.reshape(count, h, w)

    def peer():
        return 0.5 * down @ blocks.reshape(count, h, w) @ across.T

    kernel_bench(f"forward {w} x {h}", blocks.size, call, peer, tolerance=2e-2)
