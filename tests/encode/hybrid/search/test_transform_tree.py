"""Luma transform trees against all trees of a node."""

from itertools import product

import numpy as np
import pytest

from nvcodec.coding.hybrid.secondary import NO_MODE
from nvcodec.encode.hybrid.search.block import area_at
from nvcodec.encode.hybrid.search.transform_tree import append_tree, best_tree
from nvcodec.encode.hybrid.search.units import make_pools, transform_unit
from nvcodec.encode.hybrid.search.workspace import TransformSpace, Workspace
from tests.coding.hybrid.reference import log2, tree_parts

from .given import as_compiled, canvas_input, choice_of

SHAPES = [(8, 8), (16, 16), (32, 32), (8, 16), (8, 32), (32, 8), (16, 32)]
"""Of nodes."""

WEIGHT = 0.085
SPLIT_BITS = 6.0
"""Bits: what less energy is worth is not split."""


class Slow:
    """Costs of parts of a node, by trying everything."""

    def __init__(self, given, b, residual):
        self.given, self.b = given, b
        self.space = TransformSpace.make()
        self.space.residual[:] = residual
        self.units, self.transforms = {}, {}

    def unit(self, x, y, w, h):
        """(cost, energy, levels) of one unit."""
        if (x, y, w, h) not in self.units:
            levels, content = np.zeros(w * h, np.int32), self.given.content
            cost, count, energy = transform_unit(
                self.space, y, x, w, h, self.b.step, WEIGHT, content.units,
                choice_of(self.given, NO_MODE), levels,
            )  # fmt: skip
            self.units[x, y, w, h] = float(cost), float(energy), levels if count else None
            self.transforms[x, y, w, h] = int(self.space.transform[0])
        return self.units[x, y, w, h]

    def trees(self, x, y, w, h, depth):
        """All trees of a block with levels: (cost, units); a part without levels has no units."""
        content = self.given.content
        tree = np.zeros(2)
        if w != h:
            tree = content.uneven_tree[log2(w * h) - 7].astype(float)
        elif w > 4:
            tree = content.tree[log2(w) - 3].astype(float)
        cost, energy, levels = self.unit(x, y, w, h)
        if levels is not None:
            yield cost + self.b.lam * tree[0], [(x, y, w, h)]
        if max(w, h) == 4 or depth == 0 or energy <= SPLIT_BITS * self.b.lam:
            return
        choices, whole = [], (w, h) == (self.b.wide, self.b.tall)
        for place in tree_parts(x, y, w, h):
            part = self.b.lam * content.part[log2(place[2]) - 2].astype(float)
            empty = self.unit(*place)[1] + part[0], []
            some = [(c + part[1], units) for c, units in self.trees(*place, depth - 1)]
            # Parts do not depend on each other; the best of each is enough below the root.
            choices.append([empty, *some] if whole else [min([empty, *some])])
        for parts in product(*choices):
            units = [unit for _, found in parts for unit in found]
            if units:
                yield self.b.lam * tree[1] + sum(c for c, _ in parts), units


def uneven(rng, w, h, step):
    """A residual of flat squares of all sizes, with noise in some places."""
    out = np.zeros((32, 32), np.float32)
    share = rng.choice([0.0, 0.1, 0.4])
    shares = {min(w, h): max(share, 0.2), max(w, h): 0.7}
    for size in (4, 8, 16, 32):
        for x, y in product(range(0, w, size), range(0, h, size)):
            square = out[y : y + size, x : x + size]
            if rng.random() < shares.get(size, share):
                square += step * rng.normal() * 2
            if size == 4 and rng.random() < share:
                square += step * rng.normal(0, 1.5, (4, 4))
    return out


@pytest.mark.parametrize(("w", "h"), SHAPES)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_best_of_all_trees(depth, w, h):
    rng = np.random.default_rng(100 * w + depth)
    given = canvas_input(np.zeros((64, 64), np.uint8), 30, depth=depth)
    b = as_compiled(area_at(given, 32, 0, w, h, 0, 0))
    workspace, sizes = Workspace.make(), set()
    for _ in range(20):
        residual = uneven(rng, w, h, b.step)
        workspace.transform.residual[:] = residual
        cost, count, energy = best_tree(given, workspace, b, w, h, NO_MODE)
        slow = Slow(given, b, residual)
        trees = sorted(slow.trees(0, 0, w, h, depth), key=lambda entry: entry[0])
        assert energy == pytest.approx((residual[:h, :w].astype(float) ** 2).sum(), rel=1e-4)
        if not trees:
            assert count == 0
            continue
        best, units = trees[0]
        pool = make_pools(64, 64, 1)[0]
        append_tree(pool, workspace, 32, 0, w, h)
        if count == 0:
            # Then one that has levels costs more than none.
            assert best >= energy * (1 - 1e-4)
            continue
        assert cost == pytest.approx(best, rel=1e-4)
        found = pool.units[: pool.counts[0]]
        assert found[:, :5].tolist() == [[0, x, y + 32, *sides] for x, y, *sides in units]
        assert count == pool.counts[1]
        for place, (start, stop, transform) in zip(units, found[:, 5:].tolist(), strict=True):
            levels = np.zeros(place[2] * place[3], np.int32)
            rows = pool.levels[start:][:stop]
            levels[rows[:, 0]] = rows[:, 1]
            np.testing.assert_array_equal(levels, slow.unit(*place)[2])
            assert transform == slow.transforms[place]
        sizes |= {place[2:] for place in units}
    assert (w, h) in sizes
    squares = log2(min(w, h)) - 1
    assert len(sizes) == min(squares if w == h else squares + 1, depth + 1)
