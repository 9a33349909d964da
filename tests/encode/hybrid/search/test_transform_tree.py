"""Luma transform trees against all trees of a node."""

from itertools import product

import numpy as np
import pytest

from nvcodec.encode.hybrid.search.block import block_at
from nvcodec.encode.hybrid.search.transform_tree import append_tree, best_tree
from nvcodec.encode.hybrid.search.units import make_pools, transform_unit
from nvcodec.encode.hybrid.search.workspace import TransformSpace, Workspace
from tests.coding.hybrid.reference import log2, quarters

from .given import canvas_input

WEIGHT = 0.085
SPLIT_BITS = 6.0
"""Bits: what less energy is worth is not split."""


class Slow:
    """Costs of parts of a node, by trying everything."""

    def __init__(self, given, b, residual, n):
        self.given, self.b, self.n = given, b, n
        self.space = TransformSpace.make()
        self.space.residual[:] = residual
        self.units, self.sines = {}, {}

    def unit(self, x, y, n):
        """(cost, energy, levels) of one unit."""
        if (x, y, n) not in self.units:
            levels, content = np.zeros(n * n, np.int32), self.given.content
            cost, count, energy = transform_unit(
                self.space, y, x, n, log2(n), self.b.step, WEIGHT, content.units, content.sine[0],
                levels, False,
            )  # fmt: skip
            self.units[x, y, n] = float(cost), float(energy), levels if count else None
            self.sines[x, y, n] = int(self.space.sine[0])
        return self.units[x, y, n]

    def trees(self, x, y, n, depth):
        """All trees of a block with levels: (cost, units); a part without levels has no units."""
        tree = self.given.content.tree[log2(n) - 3].astype(float) if n > 4 else (0.0, 0.0)
        cost, energy, levels = self.unit(x, y, n)
        if levels is not None:
            yield cost + self.b.lam * tree[0], [(x, y, n)]
        if n == 4 or depth == 0 or energy <= SPLIT_BITS * self.b.lam:
            return
        part = self.b.lam * self.given.content.part[log2(n) - 3].astype(float)
        choices = []
        for quarter in quarters(x, y, n // 2):
            empty = self.unit(*quarter)[1] + part[0], []
            some = [(c + part[1], units) for c, units in self.trees(*quarter, depth - 1)]
            # Quarters do not depend on each other; the best of each is enough below the root.
            choices.append([empty, *some] if n == self.n else [min([empty, *some])])
        for parts in product(*choices):
            units = [unit for _, found in parts for unit in found]
            if units:
                yield self.b.lam * tree[1] + sum(c for c, _ in parts), units


def uneven(rng, n, step):
    """A residual of flat squares of all sizes, with noise in some places."""
    out = np.zeros((32, 32), np.float32)
    share = rng.choice([0.0, 0.1, 0.4])
    for size in (4, 8, 16, 32):
        for x, y in product(range(0, n, size), repeat=2):
            square = out[y : y + size, x : x + size]
            if rng.random() < (0.7 if size == n else share):
                square += step * rng.normal() * 2
            if size == 4 and rng.random() < share:
                square += step * rng.normal(0, 1.5, (4, 4))
    return out


@pytest.mark.parametrize("n", [8, 16, 32])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_best_of_all_trees(depth, n):
    rng = np.random.default_rng(100 * n + depth)
    given = canvas_input(np.zeros((64, 64), np.uint8), 30, depth=depth)
    b = block_at(given, 32, 0, n)
    workspace, sizes = Workspace.make(), set()
    for _ in range(20):
        residual = uneven(rng, n, b.step)
        workspace.transform.residual[:] = residual
        cost, count, energy = best_tree(given, workspace, b, n, 0)
        slow = Slow(given, b, residual, n)
        trees = sorted(slow.trees(0, 0, n, depth), key=lambda entry: entry[0])
        assert energy == pytest.approx((residual[:n, :n].astype(float) ** 2).sum(), rel=1e-4)
        if not trees:
            assert count == 0
            continue
        best, units = trees[0]
        pool = make_pools(64, 64, 1)[0]
        append_tree(pool, workspace, 32, 0, n)
        if count == 0:
            # Then one that has levels costs more than none.
            assert best >= energy * (1 - 1e-4)
            continue
        assert cost == pytest.approx(best, rel=1e-4)
        found = pool.units[: pool.counts[0]]
        assert found[:, :4].tolist() == [[0, x, y + 32, s] for x, y, s in units]
        assert count == pool.counts[1]
        for (x, y, s), (start, stop, sine) in zip(units, found[:, 4:].tolist(), strict=True):
            levels = np.zeros(s * s, np.int32)
            rows = pool.levels[start:][:stop]
            levels[rows[:, 0]] = rows[:, 1]
            np.testing.assert_array_equal(levels, slow.unit(x, y, s)[2])
            assert sine == slow.sines[x, y, s]
        sizes |= {s for _, _, s in units}
    assert max(sizes) == n
    assert len(sizes) == min(log2(n) - 1, depth + 1)
