"""Inter canvases: leaves that tile the picture, the motion that they mean, and their cost."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import INTRA, MERGE, SIZE, X, Y
from nvcodec.coding.hybrid.motion import trace_motion
from nvcodec.encode.hybrid.search.inter_canvas import _walk_root, search_inter_blocks
from nvcodec.encode.hybrid.search.prediction import found_leaves, no_cells
from nvcodec.model.hybrid.canvas.motion import motion_of_leaves
from tests.encode.hybrid.pictures import smooth_noise
from tests.encode.hybrid.rate import recount

from .inter import Scene, make_scene, moved

SATD_WEIGHT = 0.3


KINDS = [(False, False), (True, False), (True, True)]
"""Whether there are two references, and whether it is an interior canvas."""


def canvas_scene(height, width, two, interior, trial, q=24):
    """Two halves that move in different ways, one bright corner, and something new."""
    rng = np.random.default_rng(7)
    picture = smooth_noise((height, width), 2)
    references = [moved(picture, (2, -3)), moved(picture, (-4, 1))]
    for reference, vector in zip(references, ((0, 6), (3, 3)), strict=True):
        reference[:, width // 2 :] = moved(picture, vector)[:, width // 2 :]
        noisy = reference + rng.normal(0, 4, reference.shape)
        reference[:] = np.clip(noisy, 0, 255).astype(np.uint8)
    stripes = (128 + 100 * np.sin(np.arange(32) ** 1.3)).astype(np.uint8)
    picture[32:64, 16:48] = stripes[None]
    made = make_scene(picture, references, q=q, two=two, interior=interior)
    search = made.search._replace(cells=no_cells(width, height), trial=trial)
    return Scene(search, made.current, made.phases)


def row_of(s, row):
    """The search of a row of root blocks."""
    return s._replace(cells=s.cells._replace(used=s.cells.used[row : row + 1]))


def leaves_of(s):
    return found_leaves(s.cells.leaves, s.cells.used, s.width, s.height)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (72, 104)])
@pytest.mark.parametrize(("two", "interior"), KINDS)
@pytest.mark.parametrize("trial", [False, True])
def test_a_canvas(trial, two, interior, height, width):
    s = canvas_scene(height, width, two, interior, trial).search
    for row in range(-(-height // 64)):
        search_inter_blocks(row_of(s, row), row, 0, -(-width // 64))
    leaves, cells = leaves_of(s), s.cells
    covered = np.zeros((height, width), int)
    for leaf in leaves:
        square = np.s_[leaf[Y] : leaf[Y] + leaf[SIZE], leaf[X] : leaf[X] + leaf[SIZE]]
        covered[square] += 1
        assert covered[square].size == leaf[SIZE] ** 2
    assert (covered == 1).all()
    # What the search has in mind is what a decoder derives.
    direction, vectors = np.zeros_like(cells.direction), np.zeros_like(cells.vectors)
    motion_of_leaves(leaves, 3 if interior else 1, s.projected, direction, vectors)
    np.testing.assert_array_equal(direction, cells.direction)
    np.testing.assert_array_equal(vectors, cells.vectors)
    np.testing.assert_array_equal(cells.available, direction > 0)
    of_cells = recount.leaf_map(leaves)
    for (column, row), leaf in of_cells.items():
        assert (cells.size[row, column], cells.merged[row, column]) == (leaf[SIZE], leaf[MERGE])
    # It can be coded once the intra leaves have modes; 0 is one.
    canvas_set = 2 if interior else 1
    assert len(trace_motion(leaves.copy(), width, height, canvas_set, two=two)) > len(leaves)
    assert len(np.unique(leaves[:, SIZE])) > 1
    assert leaves[:, MERGE].any()
    assert leaves[:, INTRA].any() == trial
    assert set(np.unique(cells.direction[cells.direction > 0])) == ({1, 2, 3} if two else {1})


@pytest.mark.parametrize(("two", "interior"), KINDS)
def test_the_cost_is_satd_plus_bits(two, interior):
    """Without trials, the cost of a canvas is exact but for the flag of intra leaves."""
    height, width = 72, 104
    scene = canvas_scene(height, width, two, interior, False)
    s = scene.search
    cost = sum(
        _walk_root(row_of(s, y // 64), 3, y, x, height, width)
        for y in range(0, height, 64)
        for x in range(0, width, 64)
    )
    leaves = leaves_of(s)
    prices = recount.doubles(s.bits)
    # The search takes it as if no neighbour were intra, in leaves of 64 too, which have none.
    prices.intra[1:] = prices.intra[0]
    bits = recount.inter_bits(prices, leaves, two)
    bits += prices.intra[0, 0] * (leaves[:, SIZE] == 64).sum()
    bits += recount.split_bits(prices.split, leaves, width, height, 2 if interior else 1)
    satd = 0
    for y, x, n in leaves[:, [Y, X, SIZE]].tolist():
        direction = s.cells.direction[y >> 3, x >> 3]
        satd += scene.satd(direction, s.cells.vectors[:, y >> 3, x >> 3], y, x, n)
    step = 2 ** ((24 - 4) / 6)
    assert cost == pytest.approx(satd + SATD_WEIGHT * step * bits, rel=1e-5)
