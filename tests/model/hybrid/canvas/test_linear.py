import numba
import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.linear import linear_predict
from nvcodec.model.samples import plane_code
from nvcodec.picture import SampleFormat
from tests.model.hybrid.canvas import reference
from tests.model.hybrid.canvas.tables import SHAPES

MODES = (35, 36, 37)


def planes(rng, fmt, height, width, kind):
    """Luma and a chroma plane: unrelated, or chroma that follows luma."""
    across, down = fmt.chroma_shift
    luma = rng.integers(0, fmt.peak + 1, (height, width)).astype(fmt.dtype)
    if kind == "extremes":
        luma = (rng.integers(0, 2, luma.shape) * fmt.peak).astype(fmt.dtype)
    chroma = rng.integers(0, fmt.peak + 1, (height >> down, width >> across)).astype(fmt.dtype)
    if kind == "steep":
        luma = (luma & 3) + (fmt.peak >> 1)
        chroma = np.where(luma[:: 1 << down, :: 1 << across] & 1, fmt.peak, 0)
    return luma.astype(fmt.dtype), chroma.astype(fmt.dtype)


@pytest.mark.parametrize(("depth", "chroma_format"), [(8, 1), (10, 1), (12, 2), (8, 3), (12, 3)])
@pytest.mark.parametrize("kind", ["noise", "extremes", "steep"])
@pytest.mark.parametrize(("wide", "tall"), SHAPES)
def test_all_modes(wide, tall, kind, depth, chroma_format):
    """Blocks at the edges of the canvas and inside; the reference asserts the width of sums."""
    rng = np.random.default_rng(wide + tall)
    fmt = SampleFormat(depth, chroma_format)
    code = plane_code(fmt, 1)
    across, down = fmt.chroma_shift
    luma, chroma = planes(rng, fmt, 2 * tall << down, 2 * wide << across, kind)
    out = np.zeros((32, 32), fmt.dtype)
    for mode in MODES:
        for y in (0, tall):
            for x in (0, wide):
                linear_predict(mode, luma, chroma, code, y, x, wide, tall, out)
                expected = reference.linear(mode, luma, chroma, x, y, wide, tall, fmt)
                assert np.array_equal(out[:tall, :wide], expected), (mode, x, y)


def test_chroma_that_follows_luma():
    """An exact line is found: the prediction is the chroma itself."""
    rng = np.random.default_rng(0)
    luma = np.repeat(np.repeat(rng.integers(40, 200, (16, 16)), 2, 0), 2, 1).astype(np.uint8)
    light = [[reference.linear_light(luma, x, y) for x in range(16)] for y in range(16)]
    chroma = (200 - np.array(light) // 2).astype(np.uint8)
    out = np.zeros((32, 32), np.uint8)
    for mode in MODES:
        linear_predict(mode, luma, chroma, 1, 8, 8, 8, 8, out)
        assert abs(out[:8, :8].astype(int) - chroma[8:, 8:]).max() <= 1


@numba.njit
def predict_blocks(luma, chroma, n, block, out):
    """All blocks of n x n samples of a chroma plane, each from the plane's own samples."""
    for y in range(0, chroma.shape[0], n):
        for x in range(0, chroma.shape[1], n):
            linear_predict(35, luma, chroma, 1, y, x, n, n, block)
            out[y : y + n, x : x + n] = block[:n, :n]


@pytest.mark.parametrize("n", [4, 16])
def test_plane(n, kernel_bench):
    rng = np.random.default_rng(n)
    luma = rng.integers(0, 256, (96, 128), np.uint8)
    chroma = rng.integers(0, 256, (48, 64), np.uint8)
    block, out = np.zeros((32, 32), np.uint8), np.zeros_like(chroma)

    def call():
        predict_blocks(luma, chroma, n, block, out)
        return out

    def slow():
        expected = np.zeros(chroma.shape, np.int64)
        for y in range(0, 48, n):
            for x in range(0, 64, n):
                block = reference.linear(35, luma, chroma, x, y, n, n)
                expected[y : y + n, x : x + n] = block
        return expected

    kernel_bench(f"linear_predict {n}", chroma.size, call, slow)
