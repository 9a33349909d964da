"""Inter canvases: leaves that tile the picture, the motion that they mean, and their cost."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import AFFINE, HEIGHT, INTRA, MERGE, WIDTH, X, Y
from nvcodec.coding.hybrid.motion import trace_motion
from nvcodec.encode.hybrid.search.block import packed_size
from nvcodec.encode.hybrid.search.inter_canvas import _walk_root, search_inter_blocks
from nvcodec.encode.hybrid.search.prediction import found_leaves, no_cells
from nvcodec.model.hybrid.canvas.motion import motion_of_leaves
from tests.encode.hybrid.pictures import smooth_noise
from tests.encode.hybrid.rate import recount

from .inter import Scene, make_scene, moved

SATD_WEIGHT = 0.3

LIMITS = {
    "split_margin": 0.0,
    "cell_margin": 0.0,
    "halves_bits": 0.0,
    "halves_satd": 1.2,
    "affine_rounds": 0,
}
"""Limits under which halves are tried, and costs are those of what is chosen; no affine leaves."""

KINDS = [(False, False), (True, False), (True, True)]
"""Whether there are two references, and whether it is an interior canvas."""


def canvas_scene(height, width, two, interior, trial, q=24):
    """Two halves that move in different ways, one bright corner, and something new."""
    rng = np.random.default_rng(7)
    # In the middle of a block of 16, so that halves of it differ.
    middle = width // 32 * 16 + 8
    picture = smooth_noise((height, width), 2)
    references = [moved(picture, (2, -3)), moved(picture, (-4, 1))]
    for reference, vector in zip(references, ((0, 6), (3, 3)), strict=True):
        reference[:, middle:] = moved(picture, vector)[:, middle:]
        noisy = reference + rng.normal(0, 4, reference.shape)
        reference[:] = np.clip(noisy, 0, 255).astype(np.uint8)
    stripes = (128 + 100 * np.sin(np.arange(32) ** 1.3)).astype(np.uint8)
    picture[32:64, 16:48] = stripes[None]
    made = make_scene(picture, references, q=q, two=two, interior=interior, **LIMITS)
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
        place = np.s_[leaf[Y] : leaf[Y] + leaf[HEIGHT], leaf[X] : leaf[X] + leaf[WIDTH]]
        covered[place] += 1
        assert covered[place].size == leaf[WIDTH] * leaf[HEIGHT]
    assert (covered == 1).all()
    # What the search has in mind is what a decoder derives.
    direction, vectors = np.zeros_like(cells.direction), np.zeros_like(cells.vectors)
    motion_of_leaves(leaves, 3 if interior else 1, s.projected, direction, vectors)
    np.testing.assert_array_equal(direction, cells.direction)
    np.testing.assert_array_equal(vectors, cells.vectors)
    np.testing.assert_array_equal(cells.available, direction > 0)
    of_cells = recount.leaf_map(leaves)
    for (column, row), leaf in of_cells.items():
        size = packed_size(leaf[WIDTH], leaf[HEIGHT])
        assert (cells.size[row, column], cells.merged[row, column]) == (size, leaf[MERGE])
    # It can be coded once the intra leaves have modes; 0 is one.
    canvas_set = 2 if interior else 1
    assert len(trace_motion(leaves.copy(), width, height, canvas_set, two=two)) > len(leaves)
    assert len(np.unique(leaves[:, WIDTH])) > 1
    assert (leaves[:, WIDTH] != leaves[:, HEIGHT]).any()
    assert leaves[:, MERGE].any()
    assert leaves[:, INTRA].any() == trial
    assert set(np.unique(cells.direction[cells.direction > 0])) == ({1, 2, 3} if two else {1})


def rotated(picture, angle, zoom):
    """A picture that is turned about its middle and zoomed, with linear interpolation."""
    most = np.array(picture.shape)[:, None, None] - 1
    y, x = np.indices(picture.shape) - most / 2
    sine, cosine = zoom * np.sin(angle), zoom * np.cos(angle)
    places = np.clip(np.stack([cosine * y - sine * x, sine * y + cosine * x]) + most / 2, 0, most)
    first = np.minimum(places.astype(int), most - 1)
    shares = places - first
    rows = [
        (1 - shares[1]) * picture[first[0] + k, first[1]]
        + shares[1] * picture[first[0] + k, first[1] + 1]
        for k in range(2)
    ]
    return np.rint((1 - shares[0]) * rows[0] + shares[0] * rows[1]).astype(np.uint8)


@pytest.mark.parametrize(("two", "interior"), KINDS)
@pytest.mark.parametrize("apart", [False, True])
def test_a_picture_that_turns(apart, two, interior):
    """Leaves are affine, and their cells have the vectors that a decoder derives."""
    picture = smooth_noise((128, 128), 2)
    # The references of an interior canvas lie on both sides of it.
    other = (-0.1, 1 / 1.05) if interior else (0.1, 1.05)
    references = [rotated(picture, 0.1, 1.05), rotated(picture, *other)]
    limits = LIMITS | {"apart": apart, "affine_rounds": 4}
    made = make_scene(picture, references, two=two, interior=interior, **limits)
    s = made.search._replace(cells=no_cells(128, 128))
    for row in range(2):
        search_inter_blocks(row_of(s, row), row, 0, 2)
    leaves, cells = leaves_of(s), s.cells
    direction, vectors = np.zeros_like(cells.direction), np.zeros_like(cells.vectors)
    motion_of_leaves(leaves, 3 if interior else 1, s.projected, direction, vectors)
    np.testing.assert_array_equal(direction, cells.direction)
    np.testing.assert_array_equal(vectors, cells.vectors)
    affine = leaves[leaves[:, AFFINE] == 1]
    assert (affine[:, WIDTH] * affine[:, HEIGHT]).sum() > 128 * 128 / 8
    assert set(affine[:, MERGE]) == {0, 1}


@pytest.mark.parametrize("affine_rounds", [0, 4])
@pytest.mark.parametrize(("two", "interior"), KINDS)
def test_the_cost_is_satd_plus_bits(two, interior, affine_rounds):
    """Without trials, the cost of a canvas is exact but for the flag of intra leaves."""
    height, width = 72, 104
    scene = canvas_scene(height, width, two, interior, False)
    s = scene.search._replace(limits=scene.search.limits._replace(affine_rounds=affine_rounds))
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
    bits += prices.intra[0, 0] * (leaves[:, WIDTH : HEIGHT + 1].max(1) == 64).sum()
    bits += recount.split_bits(prices, leaves, width, height, 2 if interior else 1)
    satd = 0
    assert (leaves[:, WIDTH] != leaves[:, HEIGHT]).any() or affine_rounds
    assert affine_rounds or not leaves[:, AFFINE].any()
    for x, y, w, h, affine in leaves[:, [X, Y, WIDTH, HEIGHT, AFFINE]].tolist():
        direction = s.cells.direction[y >> 3, x >> 3]
        tall, wide = (8, 8) if affine else (h, w)
        for top in range(y, y + h, tall):
            for left in range(x, x + w, wide):
                vectors = s.cells.vectors[:, top >> 3, left >> 3]
                satd += scene.satd(direction, vectors, top, left, tall=tall, wide=wide)
    step = 2 ** ((24 - 4) / 6)
    # SATD of two cells of an affine leaf at once is rounded once.
    rounded = int((leaves[:, AFFINE] * leaves[:, WIDTH] * leaves[:, HEIGHT]).sum()) / 128
    expected = satd + SATD_WEIGHT * step * bits
    assert cost == pytest.approx(expected, rel=1e-5, abs=rounded + 1e-5 * expected)


def striped_scene(size, turned, **limits):
    """Stripes of rows or columns, every other one of which moves, and noise in the reference."""
    still = smooth_noise((128, 128), 9)
    moving = moved(still, (0, 2) if turned else (2, 0))
    stripes = np.indices(still.shape)[int(not turned)] // size % 2
    noise = np.random.default_rng(4).normal(0, 8, still.shape)
    reference = np.clip(np.where(stripes, moving, still) + noise, 0, 255).astype(np.uint8)
    made = make_scene(still, [reference], interior=False, **LIMITS | limits)
    return Scene(made.search._replace(cells=no_cells(128, 128)), made.current, made.phases)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("size", [8, 16])
def test_halves(size, turned):
    """Stripes become halves, or halves of halves; none where the limit says so."""
    found = []
    for limit in (0.0, np.inf):
        s = striped_scene(size, turned, halves_bits=limit, halves_satd=3.0).search
        for row in range(2):
            search_inter_blocks(row_of(s, row), row, 0, 2)
        found.append(leaves_of(s))
    with_halves, without = found
    across, along = (HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT)
    assert (with_halves[:, across] == size)[with_halves[:, along] > size].any()
    assert (without[:, WIDTH] == without[:, HEIGHT]).all()
    assert len(with_halves) < len(without)
