"""Features to frames against the text (spec 13): whole frames, regions, bands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.nirvana.components import INPUTS, NO_COMPONENTS, SLOTS, Component
from nvcodec.coding.nirvana.table import PATCH, VOLUME
from nvcodec.model.nirvana.moved import LIMIT
from nvcodec.model.nirvana.parameters import Grid, Parameters
from nvcodec.model.nirvana.render import layer_plane, region_bands, render_band
from nvcodec.picture import YUV420P8
from tests.coding.nirvana.reference import F, N, table
from tests.kernels import KernelBench
from tests.nirvana import random_components, render_layer

from . import reference
from .samples import KINDS, random_features


def slow(parameters: Parameters, grid: Grid, frames: Sequence[int]) -> np.ndarray:
    """What the text renders, at display size."""
    rendered = reference.render(parameters.features, parameters.quantiser, parameters.components)
    return np.stack([rendered[t][: grid.height, : grid.width] for t in frames])


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("width", "height", "q"), [(1, 1, 4), (16, 24, 20), (37, 21, 36), (131, 9, 46), (3, 150, 63)]
)
def test_frames(width: int, height: int, q: int, kind: str) -> None:
    """Sizes of one patch, of parts of patches, of rows longer than vectors, of several bands."""
    grid = Grid(width, height)
    features = random_features(np.random.default_rng(q), grid.rows, grid.columns, kind)
    components = NO_COMPONENTS
    if q != 36:
        components = random_components(np.random.default_rng(q), NO_COMPONENTS)
    parameters = Parameters(features, q, 4, components)
    expected = slow(parameters, grid, range(4))
    assert_same(render_layer(parameters, grid, range(4)), expected)
    assert_same(render_layer(parameters, grid, [2]), expected[2:3])
    assert_same(render_layer(parameters, grid, [3, 0]), expected[[3, 0]])


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sums(sign: int) -> None:
    """The middle patch of each grid drives a unit, or a sample, as far as it goes."""
    data, grid = table(), Grid(3 * PATCH, 3 * PATCH)
    units = np.argsort(-np.abs(data.W1).sum((1, 2, 3)))[:3]
    driven = []
    for u in units:
        weights = np.zeros((3, 3, F), np.int64)
        weights[:, :, :N] = data.W1[u].transpose(1, 2, 0)
        weights[1, 1, N:] = data.W1C[u]
        driven.append(weights)
    samples = np.argsort(-(np.abs(data.BASIS) @ LIMIT))[:3]
    driven += [np.tile(data.BASIS[i], (3, 3, 1)) for i in samples]
    for weights in driven:
        features = (sign * np.sign(weights) * LIMIT).astype(np.int16)
        parameters = Parameters(features, 4, 4, NO_COMPONENTS)
        assert_same(render_layer(parameters, grid, range(4)), slow(parameters, grid, range(4)))


def test_sums_of_components_wrap() -> None:
    """With extreme components sums leave 32 bits; they wrap as the text says."""
    rng, grid = np.random.default_rng(3), Grid(40, 24)
    features = random_features(rng, grid.rows, grid.columns, "extreme")
    inputs, outputs = (
        rng.choice([-127, 127], n).astype(np.int8).tobytes() for n in (INPUTS, VOLUME)
    )
    components = tuple(Component(0, inputs, outputs) for _ in range(SLOTS))
    parameters = Parameters(features, 20, 4, components)
    assert_same(render_layer(parameters, grid, range(4)), slow(parameters, grid, range(4)))


GRID = Grid(77, 141)
FEATURES = random_features(np.random.default_rng(9), GRID.rows, GRID.columns, "calm")
PARAMETERS = Parameters(FEATURES, 30, 4, NO_COMPONENTS)


@given(st.data())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_regions(data: st.DataObject) -> None:
    """A region of some frames is the slice of the whole."""
    whole = render_layer(PARAMETERS, GRID, range(4))
    x0 = data.draw(st.integers(0, GRID.width - 1))
    y0 = data.draw(st.integers(0, GRID.height - 1))
    x1 = data.draw(st.integers(x0 + 1, GRID.width))
    y1 = data.draw(st.integers(y0 + 1, GRID.height))
    frames = data.draw(st.permutations(range(4)))[: data.draw(st.integers(1, 4))]
    expected = whole[list(frames), y0:y1, x0:x1]
    assert_same(render_layer(PARAMETERS, GRID, frames, (x0, y0, x1, y1)), expected)


@pytest.mark.parametrize("region", [(0, 0, 77, 141), (6, 62, 40, 130), (70, 138, 77, 141)])
def test_bands_in_any_order(region: tuple[int, int, int, int]) -> None:
    bands = region_bands(region)
    rows = [y for first, end in bands for y in range(first, end)]
    assert rows == list(range(region[1] // PATCH, -(-region[3] // PATCH)))
    out = layer_plane(GRID, region, 4, YUV420P8)
    out.plane[:] = 77
    for band in reversed(bands):
        render_band(PARAMETERS, range(4), band, out)
    assert_same(out.cut(), render_layer(PARAMETERS, GRID, range(4), region))


def test_pictures_vary() -> None:
    """Otherwise equality would prove little."""
    for plane in render_layer(PARAMETERS, GRID, range(4)):
        assert np.unique(plane).size > 8


def test_bench(kernel_bench: KernelBench) -> None:
    grid = Grid(96, 64)
    features = random_features(np.random.default_rng(0), grid.rows, grid.columns, "lively")
    assert features.shape == (8, 12, F)
    parameters = Parameters(features, 30, 4, NO_COMPONENTS)
    kernel_bench(
        "render patches",
        96 * 64 * 4,
        lambda: render_layer(parameters, grid, range(4)),
        lambda: slow(parameters, grid, range(4)),
    )
