import numba
import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.intra import DC, PLANAR, intra_block, intra_scratch
from nvcodec.model.samples import plane_code
from nvcodec.picture import SampleFormat
from tests.model.hybrid.canvas import reference
from tests.model.hybrid.canvas.tables import SHAPES


@pytest.mark.parametrize(("depth", "chroma_format"), [(8, 1), (10, 1), (12, 2), (8, 3)])
@pytest.mark.parametrize("chroma", [False, True])
@pytest.mark.parametrize(("wide", "tall"), SHAPES)
def test_all_modes(wide, tall, chroma, depth, chroma_format):
    rng = np.random.default_rng(wide + tall)
    fmt = SampleFormat(depth, chroma_format)
    code = plane_code(fmt, int(chroma))
    height, width = (72, 88) if not chroma else (72, 64)
    across, down = fmt.plane_shift(int(chroma))
    step_x, step_y = 4 >> across, 4 >> down
    room = intra_scratch(np.zeros((1, 1), fmt.dtype))
    for mode in range(35):
        for share in (0.0, 0.6, 0.95, 1.0) if mode < 3 else (0.8,):
            plane = rng.integers(0, fmt.peak + 1, (height, width)).astype(fmt.dtype)
            if mode % 3 == 0:
                plane[:] = rng.choice([0, fmt.peak], plane.shape)
            known = (rng.random((height // step_y, width // step_x)) < share).astype(np.uint8)
            samples = np.repeat(np.repeat(known, step_y, 0), step_x, 1)
            last = [(width - wide) // 4, (height - tall) // 4]
            corners = [(0, 0), (last[0], 0), (0, last[1]), tuple(last)]
            for x, y in 4 * np.array([*corners, rng.integers(0, last)]):
                given = x, y, wide, tall, not chroma, fmt
                expected = reference.intra(mode, plane, samples, *given)
                out = room[3]
                intra_block(mode, plane, known, code, y, x, wide, tall, *room[:3], out)
                assert np.array_equal(out[:tall, :wide], expected), (mode, x, y, share)


def predict_blocks(mode, plane, available, n, room, out):
    """All blocks of n x n samples of a luma plane, each from the plane's own samples."""
    height, width = plane.shape
    edge, smoothed, line, block = room
    for y in range(0, height, n):
        for x in range(0, width, n):
            intra_block(mode, plane, available, 0, y, x, n, n, edge, smoothed, line, block)
            out[y : y + n, x : x + n] = block[:n, :n]


@pytest.mark.parametrize("n", [4, 8, 32])
@pytest.mark.parametrize("mode", [PLANAR, DC, 10, 14, 26, 34])
def test_plane_of_one_mode(mode, n, kernel_bench, request):
    # Its compilation would take longer than the whole test.
    predict = numba.njit(predict_blocks) if request.config.getoption("bench") else predict_blocks
    plane = np.random.default_rng(n).integers(0, 256, (32, 64), np.uint8)
    available = np.ones((8, 16), np.uint8)
    known, out, room = np.ones(plane.shape, bool), np.zeros_like(plane), intra_scratch(plane)

    def call():
        predict(mode, plane, available, n, room, out)
        return out

    def slow():
        expected = np.zeros(plane.shape, np.int64)
        for y in range(0, 32, n):
            for x in range(0, 64, n):
                block = reference.intra(mode, plane, known, x, y, n, n, True)
                expected[y : y + n, x : x + n] = block
        return expected

    kernel_bench(f"intra {n}, mode {mode}", plane.size, call, slow)
