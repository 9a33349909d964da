"""The search for paths: motion that is there is found."""

import numpy as np
import pytest

from nvcodec.encode.nirvana.paths import SIDE, pyramid, search_paths
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


def found(reference_plane, targets, price=4):
    rows, columns = (side // SIDE for side in reference_plane.shape)
    paths = np.zeros((rows, columns, len(targets), 2), np.int32)
    levels = tuple(level[0] for level in pyramid(reference_plane[None]))
    search_paths(levels, pyramid(np.stack(targets)), len(targets), price, paths)
    return paths


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
