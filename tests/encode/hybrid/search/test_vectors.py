"""Blocks with a coded vector: what the search finds, and what it says that this costs."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.search.merge import offer_merges
from nvcodec.encode.hybrid.search.prediction import (
    DIFFERENCES,
    LISTS,
    MERGED,
    OWN_VECTORS,
    VECTORS,
    clear,
    make_candidates,
)
from nvcodec.encode.hybrid.search.vectors import offer_vectors, step_of
from nvcodec.model.hybrid.canvas.motion import predicted_vector
from tests.encode.hybrid.pictures import smooth_noise

from .inter import HEIGHT, WIDTH, block_of, make_scene, merged_near, moved, noise_scene

BLOCKS = [(32, 64, 8, 8), (32, 48, 16, 16), (64, 96, 32, 32), (64, 64, 64, 64)]
BLOCKS += [(32, 64, 16, 8), (64, 32, 64, 32), (64, 96, 8, 32)]


def predicted(scene, b, r):
    cells = scene.search.cells
    return predicted_vector(r, cells.vectors, cells.available, b.y >> 3, b.x >> 3, b.wide >> 3)


def own_bits(scene, b, direction, vectors):
    """Of a block with coded vectors (list, y and x)."""
    bits = scene.search.bits
    total = float(bits.merge[b.level, merged_near(scene, b), 0]) + float(bits.intra[0, 0])
    if min(b.wide, b.tall) > 8:
        total += float(bits.affine[0, b.level, 0, 0])
    if scene.search.two:
        total += float(bits.both[b.level, int(direction == 3)])
        if direction != 3:
            total += float(bits.second[direction - 1])
    for r in range(2):
        if direction >> r & 1:
            total += float(scene.vector_bits(vectors[r], predicted(scene, b, r)))
    return total


def check(scene, b):
    """The candidate of a block against a recount; returns its direction and vectors."""
    c = scene.search.candidates
    choice = c.choice[OWN_VECTORS]
    direction, vectors = int(choice[LISTS]), choice[VECTORS:DIFFERENCES].reshape(2, 2)
    bits = own_bits(scene, b, direction, vectors)
    assert c.bits[OWN_VECTORS] == pytest.approx(bits, rel=1e-6)
    cost = scene.satd(direction, vectors, b.y, b.x, b.wide, b.tall) + b.lam_satd * bits
    assert c.cost[OWN_VECTORS] == pytest.approx(cost, rel=1e-6)
    assert choice[MERGED] == 0
    for r in range(2):
        used = direction >> r & 1
        difference = vectors[r] - predicted(scene, b, r) if used else [0, 0]
        np.testing.assert_array_equal(choice[DIFFERENCES + 2 * r :][:2], difference)
    if direction != 3:
        # The unused reference has this vector or the opposite one (spec 8.2).
        sign = -1 if scene.search.interior else 1
        np.testing.assert_array_equal(vectors[0], sign * vectors[1])
    return direction, vectors


@pytest.mark.parametrize("place", BLOCKS)
@pytest.mark.parametrize("r", [0, 1])
def test_a_planted_displacement_is_found(r, place):
    """The picture is in one reference, moved; the other one is another picture."""
    picture, other = smooth_noise((HEIGHT, WIDTH), 3), smooth_noise((HEIGHT, WIDTH), 4)
    references = [other, other]
    references[r] = moved(picture, (5, -7))
    scene = make_scene(picture, references, seed=place[2])
    s, b = scene.search, block_of(scene, *place)
    # Coarse vectors are nearly right.
    s.coarse[r] = -22, 25
    offer_merges(s, b)
    offer_vectors(s, b)
    direction, vectors = check(scene, b)
    assert direction == r + 1
    np.testing.assert_array_equal(vectors[r], [-20, 28])
    np.testing.assert_array_equal(s.candidates.single[r], [-20, 28])


@pytest.mark.parametrize(("two", "interior"), [(False, False), (True, False), (True, True)])
def test_costs_and_what_is_left_for_bi_prediction(two, interior):
    scene = noise_scene(two=two, interior=interior, seed=5)
    s, c = scene.search, scene.search.candidates
    directions = set()
    edges = [(0, 0, 16, 16), (0, 64, 32, 32), (64, 0, 8, 8), (120, 184, 8, 8), (96, 176, 16, 32)]
    for place in [*BLOCKS, *edges]:
        b = block_of(scene, *place)
        clear(c)
        offer_merges(s, b)
        offer_vectors(s, b)
        directions.add(check(scene, b)[0])
        costs = []
        for r in range(2 if two else 1):
            np.testing.assert_array_equal(c.predicted[r], predicted(scene, b, r))
            vectors = np.stack([c.single[r]] * 2)
            bits = own_bits(scene, b, r + 1, vectors)
            costs.append(scene.satd(r + 1, vectors, *place) + b.lam_satd * bits)
        assert c.cost[OWN_VECTORS] == pytest.approx(min(costs), rel=1e-6)
    assert directions == ({1, 2} if two else {1})


@pytest.mark.parametrize("place", BLOCKS)
def test_no_neighbouring_vector_is_better(place):
    scene = noise_scene(interior=False, seed=1)
    s, b = scene.search, block_of(scene, *place)
    offer_merges(s, b)
    offer_vectors(s, b)
    cost = s.candidates.cost[OWN_VECTORS]
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            vectors = [s.candidates.single[0] + [dy, dx]]
            bits = own_bits(scene, b, 1, vectors)
            assert cost <= scene.satd(1, vectors, *place) + b.lam_satd * bits + 1e-3


def test_the_fifth_step_goes_between_the_better_sides():
    c = make_candidates()
    for sides, step in (((1, 2, 3, 4), (1, 1)), ((2, 1, 4, 3), (-1, -1)), ((1, 2, 4, 3), (-1, 1))):
        c.sides[:] = sides
        assert step_of(c, 4, 5) == step
    assert [step_of(c, k, 5) for k in range(4)] == [(0, 1), (0, -1), (1, 0), (-1, 0)]
    assert len({step_of(c, k, 8) for k in range(8)}) == 8
