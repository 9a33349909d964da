"""Motion of all cells from a table of leaves (spec 8.2)."""

import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.motion import motion_of_leaves
from nvcodec.model.hybrid.canvas.plane import Canvas, schedule
from nvcodec.model.hybrid.canvas.projection import CANDIDATE, projected_motion
from tests.model.hybrid.canvas import reference
from tests.model.hybrid.canvas.tables import random_tables


def slow_motion(leaves, chain, height, width, projection):
    direction = np.zeros((height // 8, width // 8), np.uint8)
    vectors = np.zeros((2, height // 8, width // 8, 2), np.int16)
    for cell, (used, *both) in reference.motion(leaves, chain, height, width, projection).items():
        direction[cell] = used
        for r in range(2):
            vectors[(r, *cell)] = both[r]
    return direction, vectors


@pytest.mark.parametrize("chain", [True, False])
@pytest.mark.parametrize("most", [3, 16383])
@pytest.mark.parametrize("size", [(8, 8), (72, 40), (136, 200)])
def test_motion(size, most, chain, kernel_bench):
    height, width = size
    rng = np.random.default_rng(height + most)
    split = {64: 0.9, 32: 0.7, 16: 0.7}
    leaves, _, _ = random_tables(rng, height, width, 1 if chain else 2, split, most, two=True)
    direction = np.zeros((height // 8, width // 8), np.uint8)
    vectors = np.zeros((2, *direction.shape, 2), np.int16)

    projected, projection = np.zeros((*direction.shape, CANDIDATE), np.int16), {}
    for cell in np.argwhere(rng.random(direction.shape) < (0 if chain else 0.6)).tolist():
        projected[(*cell,)] = 3, *rng.integers(-8191, 8192, 4)
        v = projected[(*cell,)].tolist()
        projection[(*cell,)] = (v[1], v[2]), (v[3], v[4])

    def call():
        motion_of_leaves(leaves, 1 if chain else 3, projected, direction, vectors)
        return direction, vectors

    name = f"motion {width}x{height}, {'chain' if chain else 'interior'}, up to {most}"
    kernel_bench(
        name, len(leaves), call, lambda: slow_motion(leaves, chain, *size, projection), unit="leaf"
    )


@pytest.mark.parametrize("frames", [2, 5, 16, 32])
def test_projected_motion(frames):
    """Both sources, all distances; vectors that leave the canvas, and the longest ones."""
    rng = np.random.default_rng(frames)
    steps = {step.frame: step for step in schedule(frames, key=False)}
    steps[-1] = schedule(1, key=True)[0]
    canvases = {}
    for frame, step in steps.items():
        direction = rng.integers(0, 4 if step.set == 2 else 2, (6, 9)).astype(np.uint8)
        most = rng.choice([20, 8191])
        vectors = rng.integers(-most - 1, most + 1, (2, 6, 9, 2)).astype(np.int16)
        vectors[:, 0, :2] = [[-8192, 8191], [8191, -8192]]
        canvases[frame] = Canvas((), direction * (step.set > 0), vectors, step)
    for step in steps.values():
        references = [canvases[frame] for frame in step.references]
        if step.set == 0:
            continue
        found = projected_motion(step, references)
        expected = np.zeros_like(found)
        if step.set == 2:
            given = [(c.step, c.direction, c.vectors) for c in references]
            for cell, (v0, v1) in reference.projected(step, *given).items():
                expected[cell] = 3, *v0, *v1
            assert found.any()
        np.testing.assert_array_equal(found, expected)
