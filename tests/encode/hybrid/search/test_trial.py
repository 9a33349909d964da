"""Trials: the cost of a candidate with its residual coded."""

import pytest

from nvcodec.coding.hybrid.secondary import NO_MODE
from nvcodec.encode.hybrid.search.block import NEVER
from nvcodec.encode.hybrid.search.merge import offer_merges
from nvcodec.encode.hybrid.search.prediction import (
    DIFFERENCES,
    LISTS,
    MERGED,
    PLACES,
    VECTORS,
    Colours,
    clear,
    set_choice,
)
from nvcodec.encode.hybrid.search.transform_tree import best_tree
from nvcodec.encode.hybrid.search.trial import trial_cost
from nvcodec.encode.hybrid.search.vectors import offer_vectors
from nvcodec.encode.hybrid.search.workspace import Workspace
from tests.encode.hybrid.pictures import planes_of, smooth_noise

from .inter import HEIGHT, WIDTH, block_of, make_scene, noise_scene

BLOCKS = [(32, 64, 8, 8), (32, 48, 16, 16), (64, 96, 32, 32), (64, 64, 64, 64), (0, 0, 64, 64)]
BLOCKS += [(32, 64, 8, 32), (64, 96, 32, 16), (64, 64, 64, 32), (0, 0, 16, 64)]


@pytest.mark.parametrize("q", [20, 50])
def test_the_cost_is_error_plus_bits(q):
    """Of luma, in monochrome."""
    scene = noise_scene(q=q)
    s, c = (
        scene.search._replace(given=scene.search.given._replace(parts=0)),
        scene.search.candidates,
    )
    other, whether = Workspace.make(), set()
    for y, x, w, h in BLOCKS:
        b = block_of(scene, y, x, w, h)
        clear(c)
        offer_merges(s, b)
        offer_vectors(s, b)
        for place in range(PLACES):
            if c.cost[place] >= NEVER:
                continue
            choice = c.choice[place]
            vectors = choice[VECTORS:DIFFERENCES].reshape(2, 2)
            flag = s.given.content.coded[b.level, choice[MERGED], 1]
            residual = scene.residual(int(choice[LISTS]), vectors, y, x, w, h)
            with_units, energies = b.lam * float(flag[1]), 0.0
            wide, tall = min(w, 32), min(h, 32)
            for top in range(0, h, tall):
                for left in range(0, w, wide):
                    node = residual[top : top + tall, left : left + wide]
                    other.transform.residual[:tall, :wide] = node
                    cost, count, _ = best_tree(s.given, other, b, wide, tall, NO_MODE)
                    energy = float((node.astype(float) ** 2).sum())
                    energies += energy
                    with_units += min(cost, energy) if count else energy
            nothing = energies + b.lam * float(flag[0])
            expected = b.lam * c.bits[place] + min(with_units, nothing)
            assert trial_cost(s, b, place, NEVER) == pytest.approx(expected, rel=1e-4)
            assert expected / 2 <= trial_cost(s, b, place, expected / 2) <= expected * 1.0001
            whether.add(bool(with_units < nothing))
    # Fine steps are worth units somewhere, coarse ones are not everywhere.
    assert (q < 40) in whether


def test_chroma_counts():
    """Of two references with the same luma, the one with the chroma of the picture costs less."""
    picture = smooth_noise((HEIGHT, WIDTH), 3)
    scene = make_scene(picture, [picture, picture], q=30)
    near, far = planes_of(picture)[1:], [plane ^ 32 for plane in planes_of(picture)[1:]]
    s = scene.search._replace(colours=Colours(*near, *far))
    for y, x, w, h in BLOCKS:
        b = block_of(scene, y, x, w, h)
        costs = []
        for place, direction in enumerate((1, 3, 2)):
            set_choice(s.candidates.choice[place], direction, 0, 0, 0, 0)
            s.candidates.bits[place] = 0.0
            costs.append(trial_cost(s, b, place, NEVER))
        assert costs[0] < costs[1] < costs[2]
        # At most what the error of both planes is: units make it less.
        assert costs[2] - costs[0] <= 2 * (w * h / 4) * 32**2
