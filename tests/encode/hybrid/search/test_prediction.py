"""Prediction of blocks from padded phases, against slices of them."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.search.phases import MARGIN
from nvcodec.encode.hybrid.search.prediction import (
    CHOICE,
    FAR,
    block_satd,
    load_prediction,
    place_of,
    set_choice,
    vector_bits,
)

from .inter import HEIGHT, WIDTH, block_of, make_scene, noise_scene

BLOCKS = [(0, 0, 64, 64), (40, 88, 8, 8), (96, 160, 32, 32), (64, 128, 64, 64)]
BLOCKS += [(112, 176, 16, 8), (96, 160, 8, 32)]


@pytest.fixture(scope="module")
def scene():
    return noise_scene()


@pytest.mark.parametrize(("y", "x", "wide", "tall"), BLOCKS)
def test_place_of(scene, y, x, wide, tall):
    flat = scene.search.phases0
    limits = [
        (-4 * (y + MARGIN), 4 * (HEIGHT + MARGIN - tall - y) + 3),
        (-4 * (x + MARGIN), 4 * (WIDTH + MARGIN - wide - x) + 3),
    ]
    rng = np.random.default_rng(y)
    for _ in range(200):
        vy, vx = (int(rng.integers(low, high + 1)) for low, high in limits)
        at = place_of(scene.search, vy, vx, y, x, wide, tall)
        block = scene.predicted(1, [(vy, vx)], y, x, wide, tall)
        row = at + np.arange(tall) * (WIDTH + 2 * MARGIN)
        np.testing.assert_array_equal(flat[row[:, None] + np.arange(wide)], block)
    # One quarter sample further than the first or the last place is outside.
    for axis in range(2):
        for limit, outside in zip(limits[axis], (-1, 1), strict=True):
            v = [0, 0]
            v[axis] = limit
            assert place_of(scene.search, *v, y, x, wide, tall) >= 0
            v[axis] += outside
            assert place_of(scene.search, *v, y, x, wide, tall) == -1


def test_vectors_that_cannot_be_coded_have_no_place():
    """A wide canvas, in which the longest vector still ends inside."""
    picture = np.zeros((8, 2200), np.uint8)
    search = make_scene(picture, [picture], interior=False).search
    assert place_of(search, 0, 8191, 0, 0, 8, 8) >= 0
    assert place_of(search, 0, 8192, 0, 0, 8, 8) == -1
    assert place_of(search, 0, -8191, 0, 2192, 8, 8) >= 0
    assert place_of(search, 0, -8192, 0, 2192, 8, 8) == -1


@pytest.mark.parametrize("direction", [1, 2, 3])
@pytest.mark.parametrize(("w", "h"), [(8, 8), (16, 16), (32, 32), (64, 64), (8, 32), (64, 32)])
def test_block_satd(direction, w, h, kernel_bench):
    scene = noise_scene()
    s, b = scene.search, block_of(scene, 64, 64, w, h)
    vectors = np.array([(-9, 14), (21, -6)])

    def call():
        return block_satd(s, b, direction, *vectors.ravel(), FAR)

    def slow():
        return scene.satd(direction, vectors, b.y, b.x, w, h)

    kernel_bench(f"block_satd {w} x {h}, direction {direction}", w * h, call, slow)
    # Only a reference that is used has to exist.
    for r in range(2):
        far = vectors.copy()
        far[r, 0] = 4 * (HEIGHT + MARGIN)
        found = block_satd(s, b, direction, *far.ravel(), FAR)
        assert found == (FAR if direction >> r & 1 else call())


@pytest.mark.parametrize("direction", [1, 2, 3])
@pytest.mark.parametrize(
    ("y", "x", "wide", "tall"), [(0, 0, 32, 32), (40, 88, 8, 8), (96, 160, 16, 16), (64, 32, 32, 8)]
)
def test_load_prediction(scene, direction, y, x, wide, tall):
    vectors = np.array([(-9, 14), (21, -6)])
    choice = np.full(CHOICE, 99, np.int64)
    set_choice(choice, direction, *vectors.ravel())
    residual = scene.search.workspace.transform.residual
    residual[:] = 1000
    b = block_of(scene, y, x, wide, tall)
    load_prediction(scene.search, b, choice, y, x, wide, tall)
    expected = scene.residual(direction, vectors, y, x, wide, tall)
    np.testing.assert_array_equal(residual[:tall, :wide], expected)
    assert (residual[tall:] == 1000).all()
    assert (residual[:, wide:] == 1000).all()


def test_vector_bits(scene):
    component = scene.search.bits.component
    # Hardly any two are the same, so a wrong one shows.
    assert len(np.unique(component)) > 0.8 * component.size
    for d in [0, 1, -1, 2, 3, -4, 7, 8, 100, -8191, 16383]:
        for other in (0, -5):
            expected = component[0, abs(d).bit_length()] + component[1, abs(other).bit_length()]
            assert vector_bits(scene.search, d, other) == expected
            expected = component[0, abs(other).bit_length()] + component[1, abs(d).bit_length()]
            assert vector_bits(scene.search, other, d) == expected
