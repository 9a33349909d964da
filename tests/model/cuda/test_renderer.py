"""All kernels together, in Triton's interpreter, give the same samples as the CPU renderer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nvcodec.model.resample import View, source_region
from nvcodec.model.resample import resample as resample_on_cpu
from nvcodec.model.sine.render import render_region
from nvcodec.model.sine.renderer import SineRenderer
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights
from nvcodec.picture import YUV420P8, Planes, SampleFormat
from tests.synthetic import DEEP, SMALL, random_weights

pytest.importorskip("triton", reason="Triton is not installed")

from nvcodec.model.cuda import renderer
from nvcodec.model.cuda.planes import to_host
from nvcodec.model.cuda.renderer import CudaRenderer
from nvcodec.model.cuda.resample import resample

pytestmark = pytest.mark.usefixtures("quick_interpreter")

CPU = torch.device("cpu")
SHAPES = {
    "small": SMALL,
    "deep": DEEP,
    "odd channels": replace(SMALL, depth=1, stem_channels=5, head_channels=9),
    "wide": replace(DEEP, patch=8, depth=2, width=70),
    "large": NetworkShape(16, 4, 3, 24, 8, 8),
}


def weights_of(shape: NetworkShape) -> GroupWeights:
    return random_weights(shape, None, np.random.default_rng(3), 0.5)


def same(a: list[Planes], b: list[Planes]) -> None:
    for left, right in zip(a, b, strict=True):
        for x, y in zip(left, right, strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    ("size", "frames", "region"),
    [
        ((25, 14), [0, 1], None),
        ((1, 1), [1], None),
        ((21, 13), [1, 0], (4, 2, 17, 13)),
        ((40, 9), [0], (38, 0, 40, 9)),
    ],
)
def test_bytes_equal_the_cpu(
    shape: NetworkShape,
    size: tuple[int, int],
    frames: list[int],
    region: tuple[int, int, int, int] | None,
) -> None:
    weights = weights_of(shape)
    expected = render_region(SineRenderer(weights), *size, frames, region)
    got = CudaRenderer(weights, CPU).pictures(*size, frames, region)
    assert all(isinstance(plane, torch.Tensor) for planes in got for plane in planes)
    same(to_host(got), expected)


@pytest.mark.parametrize(
    "shape", [SHAPES["small"], pytest.param(SHAPES["wide"], marks=pytest.mark.deep)]
)
@pytest.mark.parametrize("limit", ["batch", "VALUE", "SCRATCH"])
def test_memory_changes_nothing(
    shape: NetworkShape, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit != "batch":
        monkeypatch.setattr(renderer, f"_{limit}_BYTES", 1)
    size, frames, region = (13, 27), [0, 1], (2, 4, 13, 27)
    weights = weights_of(shape)
    expected = render_region(SineRenderer(weights), *size, frames, region)
    batch = 5 if limit == "batch" else None
    same(to_host(CudaRenderer(weights, CPU, batch).pictures(*size, frames, region)), expected)


def test_frames_out_of_range() -> None:
    network = CudaRenderer(weights_of(DEEP), CPU)
    with pytest.raises(ValueError, match="frames"):
        network.pictures(8, 8, [2])
    assert network.pictures(8, 8, []) == []


@pytest.mark.parametrize(
    ("size", "location"),
    [(None, 0), ((37, 22), 1), ((74, 44), 4), ((11, 50), 0), ((1, 1), 1)]
    + [((20, 31), location) for location in (0, 1, 4)],
)
def test_resampling_equals_the_cpu(size: tuple[int, int] | None, location: int) -> None:
    require_equal_resampling(size, location, YUV420P8)


@pytest.mark.parametrize("samples", [SampleFormat(10, 0), SampleFormat(12, 2), SampleFormat(12, 3)])
@pytest.mark.parametrize("size", [None, (20, 31)])
def test_resampling_of_other_formats_equals_the_cpu(
    size: tuple[int, int] | None, samples: SampleFormat
) -> None:
    require_equal_resampling(size, 1, samples)


def require_equal_resampling(
    size: tuple[int, int] | None, location: int, samples: SampleFormat
) -> None:
    rng = np.random.default_rng(0)
    width, height = 37, 22
    full = size or (width, height)
    views = [View.of(width, height, size, None, samples)]
    if full[0] > 9 and full[1] > 7:
        views.append(View.of(width, height, size, (5, 3, 4, 2), samples))
    for view in views:
        x0, y0, x1, y1 = source_region(view, width, height, location)
        shapes = samples.plane_shapes(x1 - x0, y1 - y0)
        planes = tuple(rng.integers(0, samples.peak + 1, s, samples.dtype) for s in shapes)
        tensors = tuple(torch.from_numpy(plane) for plane in planes)
        expected = resample_on_cpu(planes, (x0, y0), width, height, view, location)
        got = resample(tensors, (x0, y0), width, height, view, location)
        same(to_host([got]), [expected])
