"""Key canvases: the partition, the reconstruction beside it, and its cost."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import FOUR, INTRA, LEAF_COLUMNS, MODE, SIZE, X, Y
from nvcodec.encode.hybrid.analysis.repeats import NONE
from nvcodec.encode.hybrid.assemble import assemble
from nvcodec.encode.hybrid.search.intra import Intra, Rebuilt
from nvcodec.encode.hybrid.search.key_canvas import KeySearch, search_key_blocks
from nvcodec.encode.hybrid.search.partition import Walk
from nvcodec.encode.hybrid.search.units import make_pools
from nvcodec.encode.hybrid.search.workspace import Workspace
from nvcodec.model.hybrid.canvas.plane import schedule
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.picture import YUV420P8
from tests.encode.hybrid.pictures import smooth_noise
from tests.encode.hybrid.rate import recount

from .given import canvas_input

WEIGHT = 0.085


def picture(height, width, seed):
    """Noise of some texture, with a flat part and a sharp one."""
    rng = np.random.default_rng(seed)
    luma = smooth_noise((height, width), seed)
    luma[: height // 2, : width // 2] = 90
    luma[height // 2 :, width // 2 :] = rng.integers(
        0, 256, luma[height // 2 :, width // 2 :].shape
    )
    luma[5:30, 20:24] = 230
    return luma


def search(luma, q, tries=2):
    height, width = luma.shape
    workspace = Workspace.make()
    rebuilt = Rebuilt(
        *YUV420P8.empty(width, height),
        known=np.zeros((height // 4, width // 4), np.uint8),
        modes=np.ones((height // 4, width // 4), np.uint8),
        size=np.zeros((height // 8, width // 8), np.uint8),
    )
    s = KeySearch(
        walk=Walk.make(),
        intra=Intra(
            given=canvas_input(luma, q, 0),
            rebuilt=rebuilt,
            workspace=workspace,
            pool=make_pools(4 * width, 2 * height, 1)[0],
            tries=tries,
            earlier=NONE,
            palettes=False,
        ),
        leaves=np.zeros((width * height // 64, LEAF_COLUMNS), np.int32),
        used=np.zeros(1, np.int64),
    )
    # One table for all rows, as for screens.
    rows, columns = -(-height // 64), -(-width // 64)
    return s, sum(search_key_blocks(s, row, 0, columns) for row in range(rows))


def maps(leaves, height, width):
    """The mode of each 4 x 4 block of luma, and the size of the leaf of each cell."""
    modes, sizes = np.zeros((height // 4, width // 4)), np.zeros((height // 8, width // 8))
    for leaf in leaves:
        x, y, n = leaf[[X, Y, SIZE]] // 4
        sizes[y // 2 : (y + n) // 2, x // 2 : (x + n) // 2] = leaf[SIZE]
        half = n // 2
        for k in range(4):
            top, left = y + half * (k >> 1), x + half * (k & 1)
            modes[top : top + half, left : left + half] = leaf[MODE + k]
    return modes, sizes


@pytest.mark.parametrize(("height", "width"), [(64, 128), (72, 88), (8, 8), (40, 72)])
@pytest.mark.parametrize("q", [18, 36])
def test_a_canvas(q, height, width):
    luma = picture(height, width, q)
    blocks = np.full((-(-height // 32), -(-width // 32)), q)
    s, cost = search(luma, blocks)
    leaves = s.leaves[: s.used[0]]
    covered = np.zeros((height, width), int)
    for leaf in leaves:
        square = np.s_[leaf[Y] : leaf[Y] + leaf[SIZE], leaf[X] : leaf[X] + leaf[SIZE]]
        covered[square] += 1
        assert covered[square].size == leaf[SIZE] ** 2
    assert (covered == 1).all()
    assert leaves[:, INTRA].all()
    assert leaves[:, SIZE].max() <= 32
    modes, sizes = maps(leaves, height, width)
    np.testing.assert_array_equal(s.intra.rebuilt.modes, modes)
    np.testing.assert_array_equal(s.intra.rebuilt.size, sizes)
    assert s.intra.rebuilt.known.all()
    tables = assemble(leaves, s.intra.pool, s.intra.given.quantisers, q)
    (step,) = schedule(1, key=True)
    canvas = reconstruct(*tables, step, [], (width, height), 0, deblocking=False)
    error = 0.0
    for plane, found, source in zip(
        canvas.planes, s.intra.rebuilt[:3], s.intra.given[:3], strict=True
    ):
        np.testing.assert_array_equal(plane, found)
        error += ((plane.astype(float) - source) ** 2).sum()
    # Luma flags are priced as if there were a chroma unit.
    content, intra = recount.doubles(s.intra.given.content), recount.doubles(s.intra.given.intra)
    content.luma[:, 0] = content.luma[:, 1]
    bits = recount.content_bits(content, *tables)
    bits += recount.mode_bits(intra, leaves, 0)
    bits += recount.split_bits(intra.split, leaves, width, height, 0)
    # The rest is rounding to samples, and the approximations of `quantise`.
    assert cost == pytest.approx(error + WEIGHT * REAL_STEP[q] ** 2 * bits, rel=0.04)
    if height > 40:
        assert leaves[:, FOUR].any()
    if width > 100:
        assert len(np.unique(leaves[:, SIZE])) == 3


def test_varying_quantisers():
    """The canvas is still what its tables say."""
    luma = picture(96, 96, 1)
    blocks = np.array([[20, 34, 28], [40, 24, 30], [30, 30, 44]])
    s, _ = search(luma, blocks)
    tables = assemble(s.leaves[: s.used[0]], s.intra.pool, s.intra.given.quantisers, 20)
    (step,) = schedule(1, key=True)
    canvas = reconstruct(*tables, step, [], (96, 96), 0, deblocking=False)
    for plane, found in zip(canvas.planes, s.intra.rebuilt[:3], strict=True):
        np.testing.assert_array_equal(plane, found)
