"""The synthesis network's kernels, in Triton's interpreter, give the same samples as the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nvcodec.coding.nirvana.components import INPUTS, NO_COMPONENTS, SLOTS, Component
from nvcodec.coding.nirvana.table import PATCH, VOLUME, WIDE, network_offset
from nvcodec.format import UnsupportedError
from nvcodec.model.nirvana.network import LARGEST_WEIGHT, Network, synthesis_network
from nvcodec.model.nirvana.parameters import Grid, Parameters
from nvcodec.model.nirvana.render import layer_plane, region_bands, render_band
from nvcodec.picture import YUV420P8, Plane, Region, SampleFormat
from tests.model.nirvana.samples import random_features
from tests.nirvana import random_components, render_layer

pytest.importorskip("triton", reason="Triton is not installed")

from nvcodec.model.cuda import synthesis, synthesis_kernels
from nvcodec.model.cuda.launch import run, tiles
from nvcodec.model.cuda.synthesis import CudaSynthesis, synthesis_of
from nvcodec.model.cuda.synthesis_check import on_cpu, random_network, require_exact

pytestmark = pytest.mark.usefixtures("quick_interpreter")

CPU = torch.device("cpu")


def same(found: torch.Tensor, expected: Plane) -> None:
    assert found.numpy().dtype == expected.dtype
    np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize(
    ("size", "q", "frames", "region", "kind"),
    [
        ((1, 1), 4, [0], None, "lively"),
        ((45, 21), 63, [0, 1, 2, 3], None, "lively"),
        ((37, 14), 46, [0, 1, 2, 3], None, "extreme"),
        ((45, 30), 36, [3, 1], (10, 6, 41, 19), "calm"),
        # More than a tile of patches, and a region at the bottom right.
        ((131, 65), 30, [2], None, "lively"),
        ((131, 65), 20, [1, 2], (96, 40, 131, 65), "extreme"),
    ],
)
def test_bytes_equal_the_cpu(
    size: tuple[int, int], q: int, frames: list[int], region: Region | None, kind: str
) -> None:
    grid = Grid(*size)
    rng = np.random.default_rng(q)
    features = random_features(rng, grid.rows, grid.columns, kind)
    components = NO_COMPONENTS if q == 36 else random_components(rng, NO_COMPONENTS)
    expected = render_layer(Parameters(features, q, 4, components), grid, frames, region)
    shown = region or (0, 0, *size)
    network = synthesis_of(network_offset(q), components, CPU)
    same(network.plane(features, grid, frames, shown, YUV420P8), expected)


@pytest.mark.parametrize("depth", [10, 12])
def test_more_bits(depth: int) -> None:
    features = random_features(np.random.default_rng(0), GRID.rows, GRID.columns, "lively")
    samples = SampleFormat(depth, 0)
    out = layer_plane(GRID, WHOLE, 2, samples)
    for band in region_bands(WHOLE):
        render_band(Parameters(features, 30, 4, NO_COMPONENTS), [0, 3], band, out)
    network = synthesis_of(network_offset(30), NO_COMPONENTS, CPU)
    same(network.plane(features, GRID, [0, 3], WHOLE, samples), out.cut())


GRID = Grid(37, 20)
WHOLE = (0, 0, GRID.width, GRID.height)


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize(
    ("bits", "kind"),
    [(18, "calm"), (22, "lively"), (26, "calm"), (26, "extreme"), (31, "lively"), (31, "extreme")],
)
def test_any_weights(bits: int, kind: str) -> None:
    rng = np.random.default_rng(bits)
    network = random_network(rng, bits)
    features = random_features(rng, GRID.rows, GRID.columns, kind)
    expected = on_cpu(network, features, GRID, [0, 2], WHOLE)
    same(CudaSynthesis(network, CPU).plane(features, GRID, [0, 2], WHOLE, YUV420P8), expected)
    assert np.unique(expected).size > 8


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sums(sign: int) -> None:
    """The middle patch drives units as far as they go."""
    network, grid = synthesis_network(-16, NO_COMPONENTS), Grid(3 * PATCH, 3 * PATCH)
    units = np.argsort(-np.abs(network.first.matrix.astype(np.int64)).sum(1))[:2]
    region = (PATCH, PATCH, 2 * PATCH, 2 * PATCH)
    for weights in network.first.matrix[units]:
        features = np.zeros((3, 3, 192), np.int16)
        near = 9 * WIDE
        features[:, :, :WIDE] = 8191 * sign * np.sign(weights[:near]).reshape(3, 3, WIDE)
        features[1, 1, WIDE:] = 8191 * sign * np.sign(weights[near:])
        expected = on_cpu(network, features, grid, [3], region)
        same(CudaSynthesis(network, CPU).plane(features, grid, [3], region, YUV420P8), expected)


def test_sums_of_components_wrap() -> None:
    rng = np.random.default_rng(3)
    features = random_features(rng, GRID.rows, GRID.columns, "extreme")
    inputs, outputs = (
        rng.choice([-127, 127], n).astype(np.int8).tobytes() for n in (INPUTS, VOLUME)
    )
    components = (Component(0, inputs, outputs),) * SLOTS
    expected = render_layer(Parameters(features, 20, 4, components), GRID, [0, 3])
    network = synthesis_of(network_offset(20), components, CPU)
    same(network.plane(features, GRID, [0, 3], WHOLE, YUV420P8), expected)


def test_every_number_of_16_bits() -> None:
    """Halves of features, with patches of zeros around the grid."""
    features = np.resize(np.arange(-32768, 32768), (18, 19, 192)).astype(np.int16)
    assert np.unique(features).size == 1 << 16
    scale = torch.zeros(192, dtype=torch.int32)
    halves = torch.zeros((20 * 21, 4, 192), dtype=torch.int8)
    run(
        synthesis_kernels.synthesis_inputs,
        (tiles(halves.numel() // 4, 4096),),
        torch.from_numpy(features), scale, halves, 18, 19, -1, -1, 20 * 21, 21,
        BLOCK=4096,
    )  # fmt: skip
    high, low = halves.numpy().astype(int).reshape(20, 21, 2, 2, 192).transpose(3, 2, 0, 1, 4)
    scaled, plain = 256 * high + low + 128
    np.testing.assert_array_equal(scaled, 0)
    np.testing.assert_array_equal(plain, np.pad(features, ((1, 1), (1, 1), (0, 0))))


@pytest.mark.parametrize("most", [LARGEST_WEIGHT, LARGEST_WEIGHT + 1])
def test_weights_that_halves_cannot_hold(most: int) -> None:
    network = synthesis_network(0, NO_COMPONENTS)
    matrix = np.full((256, 256), -32768)
    matrix[5, 7] = most
    network = network._replace(second=network.second._replace(matrix=matrix))
    if most == LARGEST_WEIGHT:
        halves = CudaSynthesis(network, CPU)._second.weights.numpy().astype(int)
        np.testing.assert_array_equal(256 * halves[:, 0] + halves[:, 1], matrix)
    else:
        with pytest.raises(ValueError, match="above"):
            CudaSynthesis(network, CPU)


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize("region", [WHOLE, (10, 2, 30, 20)])
def test_memory_changes_nothing(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    features = random_features(np.random.default_rng(0), GRID.rows, GRID.columns, "lively")
    expected = render_layer(Parameters(features, 30, 4, NO_COMPONENTS), GRID, [0, 1], region)
    monkeypatch.setattr(synthesis, "_SCRATCH_BYTES", 1)
    network = synthesis_of(network_offset(30), NO_COMPONENTS, CPU)
    same(network.plane(features, GRID, [0, 1], region, YUV420P8), expected)


def test_a_device_that_computes_exactly_passes() -> None:
    require_exact.__wrapped__(CPU)


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize("part", ["inputs", "first", "second", "output"])
def test_a_device_that_does_not_fails(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"synthesis_{part}"
    right = getattr(synthesis_kernels, name)

    class Wrong:
        """Changes what it takes."""

        def __getitem__(self, grid: Any) -> Any:
            def launch(first: torch.Tensor, *rest: Any, **named: Any) -> None:
                wrong = (torch.arange(first.numel()) % 7 == 0).view_as(first).to(first.dtype)
                right[grid](first ^ wrong, *rest, **named)

            return launch

    monkeypatch.setattr(synthesis_kernels, name, Wrong())
    with pytest.raises(UnsupportedError, match="does not compute exactly"):
        require_exact.__wrapped__(CPU)


def test_networks_are_made_once() -> None:
    made = synthesis_of(3, NO_COMPONENTS, CPU)
    assert synthesis_of(3, NO_COMPONENTS, CPU) is made
    assert isinstance(synthesis_network(3, NO_COMPONENTS), Network)
