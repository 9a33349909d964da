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
from nvcodec.model.sine.weights import GroupWeights, LayerParameters, default_weights
from nvcodec.picture import Planes
from tests.synthetic import DIRECT, UPSAMPLING, random_parameters, random_weights

pytest.importorskip("triton", reason="Triton is not installed")

from nvcodec.model.cuda import renderer
from nvcodec.model.cuda.renderer import CudaRenderer, to_host
from nvcodec.model.cuda.resample import resample

CPU = torch.device("cpu")
SHAPES = {
    "upsampling": UPSAMPLING,
    "direct": DIRECT,
    "half overlap": replace(UPSAMPLING, overlap=4, depth=1, stem_channels=5, head_channels=9),
    "direct overlap": replace(DIRECT, patch=8, overlap=4, depth=2, width=70),
    "default": NetworkShape(16, 0, 4, 3, 24, 8, 8),
    "features": replace(UPSAMPLING, features=70),
    "direct features": replace(DIRECT, overlap=2, features=1),
}


def weights_of(shape: NetworkShape, size: tuple[int, int]) -> GroupWeights:
    return random_weights(shape, shape.grid(*size), None, np.random.default_rng(3), 0.5)


def same(a: list[Planes], b: list[Planes]) -> None:
    for left, right in zip(a, b, strict=True):
        for x, y in zip(left, right, strict=True):
            assert x.dtype == y.dtype == np.uint8
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
    weights = weights_of(shape, size)
    expected = render_region(SineRenderer(weights), *size, frames, region)
    got = CudaRenderer(weights, CPU).pictures(*size, frames, region)
    assert all(isinstance(plane, torch.Tensor) for planes in got for plane in planes)
    same(to_host(got), expected)


@pytest.mark.parametrize("shape", [SHAPES["features"], SHAPES["direct overlap"]])
@pytest.mark.parametrize("limit", ["batch", "VALUE", "SCRATCH"])
def test_memory_changes_nothing(
    shape: NetworkShape, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit != "batch":
        monkeypatch.setattr(renderer, f"_{limit}_BYTES", 1)
    size, frames, region = (13, 27), [0, 1], (2, 4, 13, 27)
    weights = weights_of(shape, size)
    expected = render_region(SineRenderer(weights), *size, frames, region)
    batch = 5 if limit == "batch" else None
    same(to_host(CudaRenderer(weights, CPU, batch).pictures(*size, frames, region)), expected)


def test_frames_out_of_range() -> None:
    network = CudaRenderer(weights_of(DIRECT, (8, 8)), CPU)
    with pytest.raises(ValueError, match="frames"):
        network.pictures(8, 8, [2])
    assert network.pictures(8, 8, []) == []


@pytest.mark.parametrize("location", [0, 1, 4])
@pytest.mark.parametrize("size", [None, (37, 22), (20, 31), (74, 44), (11, 50), (1, 1)])
def test_resampling_equals_the_cpu(size: tuple[int, int] | None, location: int) -> None:
    rng = np.random.default_rng(0)
    width, height = 37, 22
    full = size or (width, height)
    views = [View.of(width, height, size, None)]
    if full[0] > 9 and full[1] > 7:
        views.append(View.of(width, height, size, (5, 3, 4, 2)))
    for view in views:
        x0, y0, x1, y1 = source_region(view, width, height, location)
        half = -(-y1 // 2) - y0 // 2, -(-x1 // 2) - x0 // 2
        arrays = [rng.integers(0, 256, s, np.uint8) for s in ((y1 - y0, x1 - x0), half, half)]
        planes = arrays[0], arrays[1], arrays[2]
        tensors = tuple(torch.from_numpy(plane) for plane in arrays)
        expected = resample_on_cpu(planes, (x0, y0), width, height, view, location)
        got = resample(tensors, (x0, y0), width, height, view, location)
        same(to_host([got]), [expected])


@pytest.mark.parametrize("head", [(3, 2), (0, 0)])
@pytest.mark.parametrize("batch", [None, 2])
def test_features_add_to_the_biases_of_their_patch(
    head: tuple[int, int], batch: int | None
) -> None:
    """Without overlap, a patch is that of a network whose biases hold what its features add."""
    plain = NetworkShape(8, 0, 2, 2, 9, *head)
    shape = replace(plain, features=5)
    rng = np.random.default_rng(0)
    width, height = 23, 17
    grid = shape.grid(width, height)
    records = random_parameters(plain, rng)
    # A scale as great as that of the sines' part, so that sums can be added before scaling.
    featured = LayerParameters(records[shape.depth].step, 0, 120, 0)
    weights = GroupWeights(
        shape, grid, (*records, featured), default_weights(shape, grid, (*records, featured))
    )
    features = rng.integers(-127, 128, weights.tensors[-1].shape).astype(np.int32)
    weights = replace(weights, tensors=(*weights.tensors[:-1], features))
    (got,) = to_host(CudaRenderer(weights, CPU, batch).pictures(width, height, [1]))
    for py in range(grid[0]):
        for px in range(grid[1]):
            tensors = list(weights.tensors[:-2])
            shifted = weights.shifted_bias(shape.depth) + weights.tensors[-2] @ features[:, py, px]
            tensors[2 * shape.depth + 1] = shifted.astype(np.int32)
            parameters = list(records)
            parameters[shape.depth] = replace(records[shape.depth], bias_shift=0)
            alone = GroupWeights(plain, grid, tuple(parameters), tuple(tensors))
            region = 8 * px, 8 * py, min(8 * px + 8, width), min(8 * py + 8, height)
            (expected,) = to_host(CudaRenderer(alone, CPU).pictures(width, height, [1], region))
            x0, y0, x1, y1 = region
            half = np.s_[y0 // 2 : -(-y1 // 2), x0 // 2 : -(-x1 // 2)]
            same([(got[0][y0:y1, x0:x1], got[1][half], got[2][half])], [expected])
