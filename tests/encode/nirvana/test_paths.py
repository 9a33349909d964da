"""The search for paths: motion that is there is found."""

from contextlib import closing

import numpy as np
import pytest

from nvcodec.encode.nirvana.paths import SIDE, find_paths
from nvcodec.tasks import TaskPool
from tests.model.nirvana import reference


def smooth(rows, columns, seed=0):
    """Texture without fine detail, as u8."""
    rng = np.random.default_rng(seed)
    plane = rng.normal(0, 1, (rows + 8, columns + 8))
    for axis in (0, 1):
        plane = sum(np.roll(plane, k, axis) for k in range(-3, 4))
    plane = plane[4:-4, 4:-4]
    return np.clip(128 + 60 * plane / plane.std(), 0, 255).astype(np.uint8)


def moved(plane, vy, vx):
    """The plane moved by a vector in quarters of a sample (spec 12.2)."""
    size = plane.shape[0]
    samples = reference.moved_samples(plane.astype(np.int64) * 8, 0, 0, size, 2 * vy, 2 * vx)
    return np.clip((samples + 4) >> 3, 0, 255).astype(np.uint8)


def found(plane, targets, price=4, threads=2):
    with closing(TaskPool(threads)) as tasks:
        return find_paths(plane, np.stack(targets), price, tasks)


@pytest.mark.parametrize("vector", [(0, 0), (4, -8), (-12, 20), (5, -3), (2, 9)])
def test_a_picture_that_moves(vector):
    """Blocks whose samples are all within the plane before."""
    plane = smooth(8 * SIDE, 8 * SIDE)
    steps = [(vector[0] * t, vector[1] * t) for t in (1, 2)]
    paths = found(plane, [moved(plane, *step) for step in steps])
    assert (paths[2:-2, 2:-2] == np.array(steps)).all()


def test_blocks_that_move_apart():
    plane = smooth(8 * SIDE, 8 * SIDE, 1)
    target = moved(plane, 8, 4)
    target[:, 4 * SIDE :] = moved(plane, -4, 12)[:, 4 * SIDE :]
    paths = found(plane, [target])
    assert (paths[2:-2, 2:4, 0] == (8, 4)).all()
    assert (paths[2:-2, 4:-2, 0] == (-4, 12)).all()


def test_nothing_to_find_costs_nothing():
    """A still picture, and one without any texture."""
    plane = smooth(4 * SIDE, 4 * SIDE, 2)
    assert not found(plane, [plane] * 4).any()
    assert not found(np.full_like(plane, 90), [np.full_like(plane, 90)] * 4).any()


def test_threads_find_the_same():
    plane = smooth(6 * SIDE, 20 * SIDE, 3)
    targets = [smooth(6 * SIDE, 20 * SIDE, seed) for seed in (4, 5)]
    np.testing.assert_array_equal(
        found(plane, targets, threads=1), found(plane, targets, threads=4)
    )
