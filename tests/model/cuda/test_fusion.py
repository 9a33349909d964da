"""The fusion network's kernels, in Triton's interpreter, give the same samples as the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nvcodec.format import UnsupportedError
from nvcodec.model.hybrid.fusion.packed import pack_network
from nvcodec.model.hybrid.fusion.render import render
from nvcodec.model.hybrid.fusion.weights import FusionShape, HiddenLayer, default_weights
from nvcodec.model.samples import FORMAT
from nvcodec.picture import YUV420P8, SampleFormat
from tests.model.hybrid.fusion.samples import random_shape, random_source, random_weights

pytest.importorskip("triton", reason="Triton is not installed")

from nvcodec.model.cuda import fusion_kernels
from nvcodec.model.cuda.fusion import CudaFusion, CudaSource
from nvcodec.model.cuda.fusion_check import random_network, require_exact
from nvcodec.model.cuda.fusion_check import random_source as checked_source
from nvcodec.model.cuda.planes import to_host

pytestmark = pytest.mark.usefixtures("quick_interpreter")

CPU = torch.device("cpu")


@pytest.mark.parametrize("seed", range(4))
def test_bytes_equal_the_cpu(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = random_shape(rng)
    weights = random_weights(rng, shape, int(rng.choice([30, 300])))
    width, height = 8 * int(rng.integers(1, 5)), 8 * int(rng.integers(1, 4))
    source, _ = random_source(
        rng, width, height, seed % 3, int(rng.choice([20, 255])), int(rng.integers(-12, 13))
    )
    network = weights.of_set(seed % 3)
    planes = CudaFusion(shape, network, CPU).picture(CudaSource.uploaded(source, CPU))
    for region in ((0, 0, width, height), (2, 4, width - 1, height - 3)):
        expected = render(source, pack_network(shape, network), region)
        (got,) = to_host([FORMAT.crop(planes, region)])
        for plane, other in zip(got, expected, strict=True):
            np.testing.assert_array_equal(plane, other)


@pytest.mark.parametrize(
    "fmt",
    [SampleFormat(*x) for x in ((8, 0), (8, 2), (8, 3), (10, 1), (12, 3))],
    ids=lambda fmt: fmt.name,
)
@pytest.mark.usefixtures("large_tiles")
def test_other_formats(fmt: SampleFormat) -> None:
    rng = np.random.default_rng(1)
    source = checked_source(rng, True, 24, 16, fmt)
    network = random_network(rng, SHAPES[1], 0.05)
    uploaded = CudaSource.uploaded(source, CPU)
    (got,) = to_host([CudaFusion(SHAPES[1], network, CPU).picture(uploaded)])
    expected = render(source, pack_network(SHAPES[1], network), (0, 0, 24, 16))
    for plane, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(plane, other)
    assert any((a != b).any() for a, b in zip(got, source.canvas.planes, strict=True))


SHAPES = [
    default_weights().shape,
    FusionShape((0, 0, 0), 0, (HiddenLayer(3, 4, 9), HiddenLayer(1, 2, 8)), 9),
]


@pytest.mark.deep
@pytest.mark.parametrize("shape", SHAPES)
def test_a_device_that_computes_exactly_passes(shape: FusionShape) -> None:
    require_exact.__wrapped__(shape, YUV420P8, CPU)


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize("name", ["fusion_inputs", "fusion_hidden", "fusion_output"])
def test_a_device_that_does_not_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(fusion_kernels, name)

    class Wrong:
        """Changes what it takes."""

        def __getitem__(self, grid: Any) -> Any:
            def launch(first: torch.Tensor, *rest: Any, **named: Any) -> None:
                right[grid](
                    first + (torch.arange(first.numel()) % 7 == 0).view_as(first).to(first.dtype),
                    *rest,
                    **named,
                )

            return launch

    monkeypatch.setattr(fusion_kernels, name, Wrong())
    with pytest.raises(UnsupportedError, match="does not compute exactly"):
        require_exact.__wrapped__(SHAPES[1], YUV420P8, CPU)
