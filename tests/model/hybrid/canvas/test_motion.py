"""Motion of all cells from a table of leaves (spec 8.2)."""

import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.motion import motion_of_leaves
from tests.model.hybrid.canvas import reference
from tests.model.hybrid.canvas.tables import random_tables


def slow_motion(leaves, chain, height, width):
    direction = np.zeros((height // 8, width // 8), np.uint8)
    vectors = np.zeros((2, height // 8, width // 8, 2), np.int16)
    for cell, (used, *both) in reference.motion(leaves, chain, height, width).items():
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

    def call():
        motion_of_leaves(leaves, 1 if chain else 3, direction, vectors)
        return direction, vectors

    name = f"motion {width}x{height}, {'chain' if chain else 'interior'}, up to {most}"
    kernel_bench(name, len(leaves), call, lambda: slow_motion(leaves, chain, *size), unit="leaf")
