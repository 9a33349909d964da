"""The float and the integer network give the same values for any shape and weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.encode.sine.settings import PAPER_SHAPE
from nvcodec.model.sine import dot_product
from nvcodec.model.sine.float_network import FloatNetwork
from nvcodec.model.sine.integer_network import IntegerNetwork
from nvcodec.model.sine.renderer import SineRenderer
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights
from tests.synthetic import DEEP, SMALL, random_weights

from .test_render import extreme

needs_integer_products = pytest.mark.skipif(
    not dot_product.usable(), reason="no integer products on this processor"
)


def check(weights: GroupWeights, count: int, frames: list[int], seed: int = 0) -> None:
    """Both networks fill views of larger arrays with the same values, and nothing around them."""
    shape = weights.shape
    rng = np.random.default_rng(seed)
    xs, ys = rng.integers(-32768, 32768, (2, count))
    found = []
    for network in (FloatNetwork(weights), IntegerNetwork(weights)):
        luma = np.full((len(frames), count + 2, shape.patch, shape.patch), 7, np.int16)
        chroma = np.full((len(frames), 2, count + 2, shape.half, shape.half), 7, np.int16)
        network.evaluate(xs, ys, frames, luma[:, 1:-1], chroma[:, :, 1:-1])
        assert (luma[:, [0, -1]] == 7).all()
        assert (chroma[:, :, [0, -1]] == 7).all()
        found.append((luma, chroma))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


@needs_integer_products
@given(st.data())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_any_shape(data: st.DataObject) -> None:
    shape = NetworkShape(
        patch=2 * data.draw(st.integers(2, 6)),
        group_frames=data.draw(st.integers(1, 3)),
        depth=data.draw(st.integers(1, 3)),
        width=data.draw(st.integers(1, 40)),
        stem_channels=data.draw(st.integers(1, 5)),
        head_channels=data.draw(st.integers(1, 5)),
    )
    seed = data.draw(st.integers(0, 99))
    weights = random_weights(shape, None, np.random.default_rng(seed), 0.5)
    frames = data.draw(st.lists(st.integers(0, shape.group_frames - 1), max_size=3))
    check(weights, data.draw(st.integers(1, 140)), frames, seed)


@needs_integer_products
def test_shape_of_the_paper() -> None:
    check(random_weights(PAPER_SHAPE, None, np.random.default_rng(1), 0.5), 70, [2, 0])


@needs_integer_products
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [NetworkShape(8, 2, 3, 150, 3, 5), PAPER_SHAPE, DEEP])
def test_extreme_weights(shape: NetworkShape, seed: int) -> None:
    check(extreme(shape, seed, 60), 21, [0], seed)


@pytest.mark.parametrize("usable", [True, False])
def test_choice(usable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dot_product, "usable", lambda: usable)
    weights = random_weights(SMALL, None, np.random.default_rng(1), 0.5)
    network = SineRenderer(weights)._network
    assert isinstance(network, IntegerNetwork if usable else FloatNetwork)
