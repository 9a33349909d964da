"""Values of patches by integer products (spec 5.2 to 5.4) against the slow renderer's."""

from __future__ import annotations

import numpy as np
import pytest

from nvcodec.model.sine import dot_product
from nvcodec.model.sine.integer_network import IntegerNetwork
from tests.kernels import KernelBench

from .networks import SHAPES, patch_inputs, slow_values, some_weights


@pytest.mark.skipif(not dot_product.usable(), reason="no integer products on this processor")
@pytest.mark.parametrize("name", SHAPES)
def test_values(name: str, kernel_bench: KernelBench) -> None:
    weights = some_weights(SHAPES[name])
    network, inputs = IntegerNetwork(weights), patch_inputs()
    patch, count = weights.shape.patch, len(inputs[0])
    luma = np.empty((1, count, patch, patch), np.int16)
    chroma = np.empty((1, 2, count, patch // 2, patch // 2), np.int16)

    def call() -> tuple[np.ndarray, np.ndarray]:
        network.evaluate(*inputs, [1], luma, chroma)
        return luma[0], chroma[0]

    kernel_bench(f"IntegerNetwork, {name}", luma.size, call, lambda: slow_values(weights, 1))
