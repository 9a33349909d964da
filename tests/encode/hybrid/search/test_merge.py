"""Merged blocks against a loop over the merge list."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.search.block import NEVER
from nvcodec.encode.hybrid.search.merge import marked_beside, offer_merges
from nvcodec.encode.hybrid.search.prediction import (
    BEST_MERGE,
    DIFFERENCES,
    ENTRY,
    LISTS,
    MERGED,
    OWN_VECTORS,
    SECOND_MERGE,
    VECTORS,
    clear,
)

from .inter import HEIGHT, WIDTH, block_of, listed, merged_near, noise_scene


def slow_merges(scene, b):
    """(cost, bits, entry) of all different entries, the best first."""
    bits, found = scene.search.bits, []
    entries, count = listed(scene, b)
    flags = bits.merge[b.level, merged_near(scene, b), 1] + bits.intra[0, 0]
    if min(b.wide, b.tall) > 8:
        flags += bits.affine[1, b.level, 0, 0]
    # Entries after the first one that fills up the list are the same, and take more bits.
    for k, (direction, vectors) in enumerate(entries[: count + 1]):
        distance = scene.satd(direction, vectors, b.y, b.x, b.wide, b.tall)
        if distance is not None:
            rate = float(flags) + float(bits.entry[k])
            found.append((distance + b.lam_satd * rate, rate, k))
    return sorted(found), entries


@pytest.mark.parametrize("interior", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_two_best_entries(interior, seed):
    scene = noise_scene(interior=interior, seed=seed, spread=40)
    s, c = scene.search, scene.search.candidates
    taken = set()
    for w, h in ((8, 8), (16, 16), (32, 32), (64, 64), (16, 8), (8, 32), (64, 16)):
        for y in range(0, HEIGHT, h)[:4]:
            for x in range(0, WIDTH, w)[:6]:
                b = block_of(scene, y, x, w, h)
                assert marked_beside(s.cells.merged, b) == merged_near(scene, b)
                clear(c)
                offer_merges(s, b)
                slow, entries = slow_merges(scene, b)
                for place, (cost, bits, k) in zip((BEST_MERGE, SECOND_MERGE), slow, strict=False):
                    direction, vectors = entries[k]
                    choice = c.choice[place]
                    assert c.cost[place] == pytest.approx(cost, rel=1e-6)
                    assert c.bits[place] == pytest.approx(bits, rel=1e-6)
                    assert (choice[MERGED], choice[ENTRY]) == (1, k)
                    assert choice[LISTS] == direction
                    np.testing.assert_array_equal(choice[VECTORS:DIFFERENCES], vectors.ravel())
                    assert not choice[DIFFERENCES:].any()
                    taken.add(k)
                assert (c.cost[SECOND_MERGE] < NEVER) == (len(slow) > 1)
                assert c.cost[OWN_VECTORS] == NEVER
    assert len(taken) > 2
