"""The PyTorch renderer, which CUDA devices run, gives the CPU renderer's values."""

from dataclasses import replace

import numpy as np
import pytest

from nvcodec.model.render import coordinates
from nvcodec.model.siren import SirenRenderer
from nvcodec.model.siren_torch import TorchSirenRenderer
from tests.synthetic import DIRECT, UPSAMPLING, random_weights


@pytest.mark.parametrize("batch", [1, 5, 4096])
@pytest.mark.parametrize(
    "shape", [UPSAMPLING, DIRECT, replace(UPSAMPLING, depth=4, stem_channels=5)]
)
def test_values_equal_the_cpu_renderer(shape, batch):
    weights = random_weights(shape, None, np.random.default_rng(7), 0.5)
    ys, xs = np.meshgrid(coordinates(3), coordinates(4), indexing="ij")
    frames = list(range(shape.group_frames))[::-1]
    expected = SirenRenderer(weights).values(xs.ravel(), ys.ravel(), frames)
    got = TorchSirenRenderer(weights, "cpu", batch).values(xs.ravel(), ys.ravel(), frames)
    for a, b in zip(expected, got, strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
