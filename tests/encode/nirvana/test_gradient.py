"""The synthesis network in floats: what decoders render, and its gradient."""

import numpy as np
import pytest

from nvcodec.coding.nirvana.components import NO_COMPONENTS
from nvcodec.coding.nirvana.table import PATCH, VOLUME
from nvcodec.encode.nirvana.gradient import float_network, render, slope
from nvcodec.encode.nirvana.group import fold
from nvcodec.model.nirvana.parameters import Grid
from tests.model.nirvana import reference
from tests.model.nirvana.samples import random_features
from tests.nirvana import random_components

GRID = Grid(5 * PATCH, 3 * PATCH)
ALL = 0, GRID.rows


def features(seed):
    drawn = random_features(np.random.default_rng(seed), GRID.rows, GRID.columns, "calm")
    return drawn // 3


@pytest.mark.parametrize("q", [10, 30, 50])
def test_about_what_decoders_render(q):
    drawn = features(q)
    components = random_components(np.random.default_rng(q), NO_COMPONENTS)
    frames = reference.render(drawn, q, components)
    planes = [frame.astype(np.uint8) for frame in frames]
    expected = fold(planes, GRID, (0, GRID.rows))
    output = render(float_network(q, components), drawn.astype(np.float32) / 8, ALL).output
    assert output.shape == expected.shape == (GRID.patches, VOLUME)
    assert np.abs(np.clip(output, -128, 127) - expected).max() < 1


def test_the_slope_is_that_of_the_squared_error():
    net, rng = float_network(30, NO_COMPONENTS), np.random.default_rng(3)
    at = features(1).astype(np.float32) / 8
    wanted = rng.normal(0, 30, (GRID.patches, VOLUME)).astype(np.float32)

    def cost(x):
        return np.square((render(net, x, ALL).output - wanted).astype(np.float64)).sum() / 2

    def part(band):
        rendered = render(net, at, band)
        patches = slice(band[0] * GRID.columns, band[1] * GRID.columns)
        return slope(net, rendered, rendered.output - wanted[patches])

    gradient = part(ALL)[1:-1]
    # Bands add up.
    total = np.zeros((GRID.rows + 2, *at.shape[1:]), np.float32)
    for band in ((0, 1), (1, GRID.rows)):
        total[band[0] : band[1] + 2] += part(band)
    np.testing.assert_allclose(total[1:-1], gradient, rtol=1e-3, atol=1e-3 * gradient.std())
    for _ in range(4):
        # Along the slope in some features, so that the change is large.
        step = gradient / gradient.std() * (rng.random(at.shape) < 0.3)
        size = 0.02
        found = (cost(at + size * step) - cost(at - size * step)) / (2 * size)
        assert found == pytest.approx(float((gradient * step).sum()), rel=0.03)


def test_fold_repeats_edges_and_the_last_picture():
    rng = np.random.default_rng(5)
    height, width = 11, 13
    planes = [rng.integers(0, 256, (height, width), np.uint8) for _ in range(2)]
    grid = Grid(width, height)
    bands = [fold(planes, grid, band) for band in ((0, 1), (1, grid.rows))]
    folded = np.concatenate(bands).reshape(grid.rows, grid.columns, VOLUME)
    deep = fold([4 * plane.astype(np.uint16) for plane in planes], grid, (0, grid.rows), 10)
    np.testing.assert_array_equal(deep.reshape(folded.shape), folded)
    for t in range(4):
        plane, found = planes[min(t, 1)], reference.frame_of(folded, t)
        rows = np.minimum(np.arange(len(found)), height - 1)
        columns = np.minimum(np.arange(found.shape[1]), width - 1)
        np.testing.assert_array_equal(found + 128, plane[rows][:, columns])
