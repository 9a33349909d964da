"""Bi-predicted blocks with coded vectors."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.search.bi import offer_both
from nvcodec.encode.hybrid.search.merge import offer_merges
from nvcodec.encode.hybrid.search.prediction import OWN_VECTORS, clear
from nvcodec.encode.hybrid.search.vectors import offer_vectors
from tests.encode.hybrid.pictures import smooth_noise

from .inter import HEIGHT, WIDTH, block_of, listed, make_scene, moved, noise_scene
from .test_vectors import check

SHAPES = [(8, 8), (16, 16), (32, 32), (64, 64), (16, 32), (64, 16)]
BLOCKS = [(y, x, w, h) for w, h in SHAPES for y, x in ((0, 64), (64, 64), (64, 128))]


def mean_scene(seed=0, **options):
    """Both references are the picture, moved, each with noise of its own."""
    rng = np.random.default_rng(seed)
    picture = smooth_noise((HEIGHT, WIDTH), 11)
    references = [
        np.clip(moved(picture, vector) + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
        for vector in ((2, -3), (-4, 1))
    ]
    return make_scene(picture, references, seed=seed, **options)


def test_it_never_makes_a_block_worse():
    scene = mean_scene()
    s, c = scene.search, scene.search.candidates
    better = 0
    for place in BLOCKS:
        b = block_of(scene, *place)
        clear(c)
        offer_merges(s, b)
        offer_vectors(s, b)
        before = c.cost[OWN_VECTORS]
        start = np.array(c.single)
        offer_both(s, b)
        assert c.cost[OWN_VECTORS] <= before
        direction, _ = check(scene, b)
        if direction != 3:
            assert c.cost[OWN_VECTORS] == before
            continue
        better += 1
        assert c.cost[OWN_VECTORS] < before
        # Refinement begins with the best vector to each reference.
        np.testing.assert_array_equal(c.single, start)
    assert better >= 6


@pytest.mark.parametrize("refinements", [1, 4])
def test_it_finds_both_displacements(refinements):
    scene = mean_scene(seed=1, refinements=refinements)
    s, c = scene.search, scene.search.candidates
    for place in [(64, 64, 32, 32), (64, 64, 64, 64), (64, 64, 32, 64)]:
        b = block_of(scene, *place)
        clear(c)
        offer_merges(s, b)
        offer_vectors(s, b)
        offer_both(s, b)
        direction, vectors = check(scene, b)
        assert direction == 3
        # Noise and bits move them by less than a sample.
        assert abs(vectors - [(-8, 12), (16, -4)]).max() < 4


def test_a_canvas_with_one_reference_has_none():
    scene = noise_scene(interior=False)
    s, b = scene.search, block_of(scene, 64, 64, 16, 16)
    offer_merges(s, b)
    offer_vectors(s, b)
    before = s.candidates.cost.copy(), s.candidates.choice.copy()
    offer_both(s, b)
    np.testing.assert_array_equal(s.candidates.cost, before[0])
    np.testing.assert_array_equal(s.candidates.choice, before[1])


def test_the_best_merge_of_both():
    found = set()
    for seed in range(4):
        scene = noise_scene(seed=seed)
        for place in BLOCKS:
            b = block_of(scene, *place)
            clear(scene.search.candidates)
            offer_merges(scene.search, b)
            entries, _ = listed(scene, b)
            costs = {
                k: scene.satd(3, vectors, *place)
                for k, (direction, vectors) in enumerate(entries)
                if direction == 3
            }
            expected = min(costs, key=costs.__getitem__) if costs else -1
            chosen, least = scene.search.candidates.of_both
            assert chosen == expected
            assert chosen < 0 or least == costs[chosen]
            found.add(expected)
    assert len(found) > 3
