import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.intra import intra_block, intra_scratch
from tests.model.hybrid.canvas import reference


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
@pytest.mark.parametrize("chroma", [False, True])
@pytest.mark.parametrize("n", [4, 8, 16, 32])
def test_all_modes(n, chroma, dtype):
    rng = np.random.default_rng(n)
    height, width = (72, 88) if not chroma else (72, 64)
    cell = 2 if chroma else 4
    room = intra_scratch()
    for mode in range(35):
        for share in (0.0, 0.6, 0.95, 1.0) if mode < 3 else (0.8,):
            plane = rng.integers(0, 256, (height, width)).astype(dtype)
            if mode % 3 == 0:
                plane[:] = rng.choice([0, 255], plane.shape)
            known = (rng.random((height // cell, width // cell)) < share).astype(np.uint8)
            samples = np.repeat(np.repeat(known, cell, 0), cell, 1)
            places = {0, (width - n) // 4 * 4}, {0, (height - n) // 4 * 4}
            inner = [int(v) * 4 for v in rng.integers(0, [(width - n) // 4, (height - n) // 4])]
            for x in places[0] | {inner[0]}:
                for y in places[1] | {inner[1]}:
                    expected = reference.intra(mode, plane, samples, x, y, n, not chroma)
                    out = room[3]
                    intra_block(mode, plane, known, chroma, y, x, n, *room[:3], out)
                    assert np.array_equal(out[:n, :n], expected), (mode, x, y, share)
