"""All layers of the fusion network over a frame (spec 9.4), for several shapes."""

import numpy as np
import pytest

from nvcodec.model.hybrid.fusion.packed import pack_network
from nvcodec.model.hybrid.fusion.render import output_inputs, render
from nvcodec.model.hybrid.fusion.weights import FusionShape, HiddenLayer
from tests.model.hybrid.fusion import reference
from tests.model.hybrid.fusion.samples import random_source, random_weights

LAYERS = {
    "1x8": (HiddenLayer(1, 8, 6),),
    "3x8": (HiddenLayer(3, 8, 7),),
    "1x10, 3x12": (HiddenLayer(1, 10, 6), HiddenLayer(3, 12, 8)),
    "1x24, 3x24, 3x16": (HiddenLayer(1, 24, 6), HiddenLayer(3, 24, 9), HiddenLayer(3, 16, 9)),
}
SITES = 36 * 68


def network(hidden):
    shape = FusionShape((0, 0, 0), 0, hidden, 10)
    return random_weights(np.random.default_rng(1), shape, 60)


@pytest.mark.parametrize("hidden", LAYERS.values(), ids=LAYERS)
def test_frame(hidden, kernel_bench):
    rng = np.random.default_rng(0)
    source, leaves = random_source(rng, 136, 72, 2)
    weights = network(hidden)
    packed = pack_network(weights.shape, weights.of_set(2))
    of_set = weights.of_set(2)
    products = of_set.output.size + sum(matrix.size for matrix, _ in of_set.hidden)

    def slow():
        return reference.render(source.canvas, leaves, source.references, 0, weights)

    name = "fusion " + ", ".join(f"{layer.kernel}x{layer.units}" for layer in hidden)
    kernel_bench(
        name,
        products * SITES,
        lambda: render(source, packed, (0, 0, 136, 72)),
        slow,
        unit="product",
    )


def test_what_the_output_layer_takes():
    """Inputs with their windows, then hidden values, in the order of the weights."""
    rng = np.random.default_rng(2)
    source, leaves = random_source(rng, 72, 40, 2)
    weights = network(LAYERS["1x8"])
    packed = pack_network(weights.shape, weights.of_set(2))
    rows = [0, 7, 19]
    taken, made = output_inputs(source, packed, rows, 36)
    x = reference.inputs(source.canvas, leaves, source.references, 0)
    ((matrix, biases),) = weights.of_set(2).hidden
    v = reference.rshift(reference.convolve(matrix, x) + biases[:, None, None], 6)
    hidden = np.clip(np.maximum(v, v >> 3), -4095, 4095)
    padded = np.pad(x[:6], ((0, 0), (1, 1), (1, 1)))
    around = [padded[:, ky : ky + 20, kx : kx + 36] for ky in range(3) for kx in range(3)]
    windows = np.stack(around, 1).reshape(54, 20, 36)
    expected = np.concatenate([windows, x[6:], hidden])
    np.testing.assert_array_equal(taken, expected[:, rows])
    luma, *chroma = render(source, packed, (0, 0, 72, 40))
    np.testing.assert_array_equal(made[0], luma.reshape(20, 2, 72)[rows].reshape(6, 72))
    for plane, whole in zip(made[1:], chroma, strict=True):
        np.testing.assert_array_equal(plane, whole[rows])
