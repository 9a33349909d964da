"""Key canvases: the partition, the reconstruction beside it, and its cost."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import CUT, HEIGHT, INTRA, LEAF_COLUMNS, MODE, WIDTH, X, Y
from nvcodec.encode.hybrid.analysis.repeats import NONE
from nvcodec.encode.hybrid.assemble import assemble
from nvcodec.encode.hybrid.search.block import packed_size
from nvcodec.encode.hybrid.search.intra import Intra, Rebuilt
from nvcodec.encode.hybrid.search.key_canvas import KeySearch, search_key_blocks
from nvcodec.encode.hybrid.search.partition import Walk
from nvcodec.encode.hybrid.search.units import make_pools
from nvcodec.encode.hybrid.search.workspace import Workspace
from nvcodec.model.hybrid.canvas.plane import schedule
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.picture import YUV420P8
from tests.coding.hybrid.reference import luma_blocks
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


def search(luma, q, tries=2, halves_bits=0.0):
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
            pool=make_pools(6 * width, 2 * height, 1)[0],
            tries=tries,
            earlier=NONE,
            palettes=False,
        ),
        halves_bits=halves_bits,
        leaves=np.zeros((width * height // 64, LEAF_COLUMNS), np.int32),
        used=np.zeros(1, np.int64),
    )
    # One table for all rows, as for screens.
    rows, columns = -(-height // 64), -(-width // 64)
    return s, sum(search_key_blocks(s, row, 0, columns) for row in range(rows))


def maps(leaves, height, width):
    """The mode of each 4 x 4 block of luma, and the size of the leaf of each cell."""
    modes, sizes = np.zeros((height // 4, width // 4)), np.zeros((height // 8, width // 8))
    for leaf in leaves.tolist():
        x, y, w, h = (side // 8 for side in recount.place_of(leaf))
        sizes[y : y + h, x : x + w] = packed_size(leaf[WIDTH], leaf[HEIGHT])
        blocks = luma_blocks(*recount.place_of(leaf), leaf[CUT])
        for mode, (x, y, w, h) in zip(leaf[MODE : MODE + 4], blocks, strict=False):
            modes[y // 4 : (y + h) // 4, x // 4 : (x + w) // 4] = mode
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
        place = np.s_[leaf[Y] : leaf[Y] + leaf[HEIGHT], leaf[X] : leaf[X] + leaf[WIDTH]]
        covered[place] += 1
        assert covered[place].size == leaf[WIDTH] * leaf[HEIGHT]
    assert (covered == 1).all()
    assert leaves[:, INTRA].all()
    assert leaves[:, WIDTH : HEIGHT + 1].max() <= 32
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
    bits += recount.split_bits(intra, leaves, width, height, 0)
    # The rest is rounding to samples, and the approximations of `quantise`.
    assert cost == pytest.approx(error + WEIGHT * REAL_STEP[q] ** 2 * bits, rel=0.04)
    if height > 40:
        assert leaves[:, CUT].any()
    if width > 100:
        assert len(np.unique(leaves[:, WIDTH])) == 3


def bands(height, width, size):
    """Noisy bands of rows, each with a pattern of its own that goes on along it or down it."""
    rng = np.random.default_rng(size)
    luma = np.zeros((height, width))
    for number, y in enumerate(range(0, height, size)):
        along = rng.integers(-80, 80, (size, 1)), rng.integers(-80, 80, (1, width))
        luma[y : y + size] = along[number % 2]
    return np.clip(128 + luma + rng.normal(0, 6, luma.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("size", [4, 8, 16])
def test_halves(size, turned):
    """Bands of 16 and of 8 become halves and their halves, those of 4 two luma blocks of a leaf."""
    luma = bands(64, 64, size)
    luma = np.ascontiguousarray(luma.T) if turned else luma
    blocks = np.full((2, 2), 30)
    found, costs = [], []
    for limit in (0.0, np.inf):
        s, cost = search(luma, blocks, halves_bits=limit)
        leaves = s.leaves[: s.used[0]]
        found.append(leaves)
        costs.append(cost)
        tables = assemble(leaves, s.intra.pool, s.intra.given.quantisers, 30)
        (step,) = schedule(1, key=True)
        canvas = reconstruct(*tables, step, [], (64, 64), 0, deblocking=False)
        for plane, rebuilt in zip(canvas.planes, s.intra.rebuilt[:3], strict=True):
            np.testing.assert_array_equal(plane, rebuilt)
    wide, tall = (WIDTH, HEIGHT) if not turned else (HEIGHT, WIDTH)
    with_halves, without = found
    if size == 4:
        assert (with_halves[:, CUT] == (3 if turned else 2)).any()
    else:
        assert (with_halves[:, tall] == size)[with_halves[:, wide] > size].any()
    assert (without[:, WIDTH] == without[:, HEIGHT]).all()
    assert without[:, CUT].max() < 2
    assert costs[0] < costs[1]


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
