"""Rendering (spec 5) gives the same bytes as a slow renderer written from the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.model.sine import dot_product, render
from nvcodec.model.sine.render import coordinates, render_region
from nvcodec.model.sine.renderer import SineRenderer
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights, LayerParameters, check_weights, row_sums
from tests.synthetic import DEEP, SMALL, random_weights

from .networks import slow


@pytest.fixture(params=["integer", "float"], autouse=True, scope="module")
def products(request: pytest.FixtureRequest) -> Iterator[None]:
    """All tests here run with both kinds of products, where there are both."""
    if request.param == "integer":
        if not dot_product.usable():
            pytest.skip("no integer products on this processor")
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dot_product, "usable", lambda: False)
        yield


def check(weights: GroupWeights, width: int, height: int, frames: list[int]) -> None:
    pictures = render_region(SineRenderer(weights), width, height, frames)
    for t, planes in zip(frames, pictures, strict=True):
        expected = slow(weights).render(width, height, t)
        for plane, rows in zip(planes, expected, strict=True):
            assert plane.dtype == np.uint8
            np.testing.assert_array_equal(plane, np.array(rows))


HEADS = {"odd and even": (3, 2), "even and odd": (2, 5)}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (9, 7), (17, 22)])
def test_sizes(head: tuple[int, int], size: tuple[int, int]) -> None:
    shape = NetworkShape(8, 2, 2, 6, *head)
    weights = random_weights(shape, None, np.random.default_rng(2), 0.5)
    check(weights, *size, [0, 1] if size[0] < 17 else [1])


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("patch", [4, 6, 10])
@pytest.mark.parametrize("depth", [1, 3])
def test_patches_and_depths(head: tuple[int, int], patch: int, depth: int) -> None:
    shape = NetworkShape(patch, 3, depth, 5, *head)
    weights = random_weights(shape, None, np.random.default_rng(patch), 0.5)
    check(weights, 13, 11, [2])


def test_many_frames_and_channels() -> None:
    """The time codes of the last frame and of channels beyond the 18th, whose rate is 1."""
    shape = NetworkShape(4, 32, 1, 4, 20, 3)
    weights = random_weights(shape, None, np.random.default_rng(4), 0.5)
    check(weights, 5, 4, [0, 7, 31])


def extreme(shape: NetworkShape, seed: int, step: int) -> GroupWeights:
    """Weights at their greatest magnitude, with sums just below the bound of 4.5."""
    rng = np.random.default_rng(seed)
    records, tensors = [], []
    for number, layer in enumerate(shape.layers):
        signs = rng.choice([-1, 1], (layer.rows, layer.columns))
        if number and seed % 2:
            signs = np.broadcast_to(rng.choice([-1, 1], (layer.rows, 1)), signs.shape)
        matrix = signs * layer.max_weight
        room = layer.columns
        if number:
            room = ((1 << 24) - 1) // (layer.max_weight * layer.max_input)
        records.append(LayerParameters(step if number >= shape.depth else 80 + step, 0, 0, 0))
        for row in matrix:
            row[rng.permutation(layer.columns)[room:]] = 0
        shift = 20
        if number:
            rest = (1 << 24) - 1 - int(np.abs(matrix[0]).sum()) * layer.max_input
            shift = max(0, rest.bit_length() - 15)
            bias = np.full(layer.rows, rest >> shift)
        else:
            bias = np.full(layer.rows, 32767)
        records[-1] = replace(records[-1], bias_shift=shift)
        tensors += [
            matrix.astype(np.int32),
            (bias * rng.choice([-1, 1], layer.rows)).astype(np.int32),
        ]
    weights = GroupWeights(shape, tuple(records), tuple(tensors))
    check_weights(weights)
    for number in range(1, len(shape.layers)):
        assert row_sums(weights, number).max() > (1 << 24) - 1024
    return weights


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [0, 30, 63, 140])
def test_extreme_weights_of_the_block(seed: int, step: int) -> None:
    shape = NetworkShape(4, 1, 2, 9, 2, 3)
    weights = extreme(shape, seed, min(step, 63))
    if step == 140:
        records = tuple(LayerParameters(143, r.bias_shift, 0, 0) for r in weights.parameters)
        weights = replace(weights, parameters=records)
    check(weights, 7, 6, [0])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("step", [28, 63])
def test_extreme_weights_of_wide_layers(seed: int, step: int) -> None:
    """1024 weights of 127 on inputs of 127: float32 products are exact to the last unit."""
    check(extreme(NetworkShape(4, 1, 2, 1024, 2, 1), seed, step), 7, 3, [0])


WIDTH, HEIGHT = 75, 46
SUBJECTS = {
    "small": random_weights(SMALL, None, np.random.default_rng(5), 0.5),
    "deep": random_weights(DEEP, None, np.random.default_rng(6), 0.5),
}
WHOLE = {
    name: render_region(
        SineRenderer(weights, batch=1 << 20), WIDTH, HEIGHT, range(weights.shape.group_frames)
    )
    for name, weights in SUBJECTS.items()
}


def same(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> bool:
    return all(x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("batch", [1, 2, 7, 16, 33, 64, 1000])
@pytest.mark.parametrize("threads", [1, 3])
def test_batch_and_threads(name: str, batch: int, threads: int) -> None:
    renderer = SineRenderer(SUBJECTS[name], threads, batch)
    frames = range(SUBJECTS[name].shape.group_frames)
    for found, whole in zip(
        render_region(renderer, WIDTH, HEIGHT, frames), WHOLE[name], strict=True
    ):
        assert same(found, whole)


@pytest.mark.parametrize("name", SUBJECTS)
def test_order_of_patches(name: str) -> None:
    renderer = SineRenderer(SUBJECTS[name], batch=8)
    ys, xs = (a.ravel() for a in np.meshgrid(coordinates(5), coordinates(9), indexing="ij"))
    luma, chroma = renderer.values(xs, ys, [1, 0])
    order = np.random.default_rng(7).permutation(xs.size)
    shuffled = renderer.values(xs[order], ys[order], [1, 0])
    np.testing.assert_array_equal(shuffled[0], luma[:, order])
    np.testing.assert_array_equal(shuffled[1], chroma[:, :, order])
    alone = renderer.values(xs[:1], ys[:1], [1])
    np.testing.assert_array_equal(alone[0], luma[:1, :1])
    np.testing.assert_array_equal(alone[1], chroma[:1, :, :1])


@pytest.mark.parametrize("name", SUBJECTS)
def test_subsets_of_frames(name: str) -> None:
    renderer = SineRenderer(SUBJECTS[name])
    last = SUBJECTS[name].shape.group_frames - 1
    for frames in ([last], [last, 0], [0, 0, last], range(last), []):
        found = render_region(renderer, WIDTH, HEIGHT, frames)
        assert len(found) == len(frames)
        assert all(same(a, WHOLE[name][t]) for a, t in zip(found, frames, strict=True))


@pytest.mark.parametrize("name", SUBJECTS)
def test_frames_that_are_not_there(name: str) -> None:
    for frame in (-1, SUBJECTS[name].shape.group_frames):
        with pytest.raises(ValueError, match="frames"):
            render_region(SineRenderer(SUBJECTS[name]), WIDTH, HEIGHT, [0, frame])


@given(st.sampled_from(sorted(SUBJECTS)), st.data())
@settings(max_examples=80, derandomize=True, deadline=None)
def test_regions(name: str, data: st.DataObject) -> None:
    x0 = 2 * data.draw(st.integers(0, (WIDTH - 1) // 2))
    y0 = 2 * data.draw(st.integers(0, (HEIGHT - 1) // 2))
    x1 = data.draw(st.integers(x0 + 1, WIDTH))
    y1 = data.draw(st.integers(y0 + 1, HEIGHT))
    renderer = SineRenderer(SUBJECTS[name])
    (planes,) = render_region(renderer, WIDTH, HEIGHT, [1], (x0, y0, x1, y1))
    luma, cb, cr = WHOLE[name][1]
    half = np.s_[y0 // 2 : (y1 + 1) // 2, x0 // 2 : (x1 + 1) // 2]
    assert same(planes, (luma[y0:y1, x0:x1], cb[half], cr[half]))


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("size", [1, 30_000])
def test_bands(name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is rendered at once, to bound memory, does not show."""
    monkeypatch.setattr(render, "_VALUE_BYTES", size)
    renderer = SineRenderer(SUBJECTS[name])
    found = render_region(renderer, WIDTH, HEIGHT, range(renderer.shape.group_frames))
    assert all(same(a, b) for a, b in zip(found, WHOLE[name], strict=True))
    for y0 in range(0, HEIGHT, 2):
        for y1 in (y0 + 1, min(HEIGHT, y0 + 27), HEIGHT):
            (planes,) = render_region(renderer, WIDTH, HEIGHT, [0], (0, y0, WIDTH, y1))
            luma, cb, cr = WHOLE[name][0]
            half = slice(y0 // 2, (y1 + 1) // 2)
            assert same(planes, (luma[y0:y1], cb[half], cr[half]))


def test_coordinates() -> None:
    for count in (1, 2, 3, 7, 100, 16384):
        expected = [((2 * i + 1) * 32768) // count - 32768 for i in range(count)]
        assert coordinates(count).tolist() == expected
        assert all(-32768 <= x < 32768 for x in expected)
