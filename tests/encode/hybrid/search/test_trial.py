"""Trials: the cost of a candidate with its residual coded."""

import pytest

from nvcodec.encode.hybrid.search.block import NEVER, block_at
from nvcodec.encode.hybrid.search.merge import offer_merges
from nvcodec.encode.hybrid.search.prediction import (
    DIFFERENCES,
    LISTS,
    MERGED,
    PLACES,
    VECTORS,
    clear,
)
from nvcodec.encode.hybrid.search.transform_tree import best_tree
from nvcodec.encode.hybrid.search.trial import trial_cost
from nvcodec.encode.hybrid.search.vectors import offer_vectors
from nvcodec.encode.hybrid.search.workspace import Workspace

from .inter import noise_scene

BLOCKS = [(32, 64, 8), (32, 48, 16), (64, 96, 32), (64, 64, 64), (0, 0, 64)]


@pytest.mark.parametrize("q", [20, 50])
def test_the_cost_is_error_plus_bits(q):
    scene = noise_scene(q=q)
    s, c = scene.search, scene.search.candidates
    other, whether = Workspace.make(), set()
    for y, x, n in BLOCKS:
        b = block_at(s.given, y, x, n)
        clear(c)
        offer_merges(s, b)
        offer_vectors(s, b)
        for place in range(PLACES):
            if c.cost[place] >= NEVER:
                continue
            choice = c.choice[place]
            vectors = choice[VECTORS:DIFFERENCES].reshape(2, 2)
            flag = s.given.content.coded[b.level, choice[MERGED], 1]
            residual = scene.residual(int(choice[LISTS]), vectors, y, x, n)
            with_units, energies = b.lam * float(flag[1]), 0.0
            size = min(n, 32)
            for top in range(0, n, size):
                for left in range(0, n, size):
                    node = residual[top : top + size, left : left + size]
                    other.transform.residual[:size, :size] = node
                    cost, count, _ = best_tree(s.given, other, b, size, 0)
                    energy = float((node.astype(float) ** 2).sum())
                    energies += energy
                    with_units += min(cost, energy) if count else energy
            nothing = energies + b.lam * float(flag[0])
            expected = b.lam * c.bits[place] + min(with_units, nothing)
            assert trial_cost(s, b, place) == pytest.approx(expected, rel=1e-4)
            whether.add(bool(with_units < nothing))
    # Fine steps are worth units somewhere, coarse ones are not everywhere.
    assert (q < 40) in whether
