"""A test of the synthesis network on a device against the CPU, up to the bounds of spec 11.2."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.coding.nirvana.components import NO_COMPONENTS
from nvcodec.coding.nirvana.table import FEATURES, PATCH, VOLUME, WIDE, WIDTH
from nvcodec.format import UnsupportedError
from nvcodec.model.cuda.synthesis import CudaSynthesis
from nvcodec.model.nirvana.moved import LIMIT, Features
from nvcodec.model.nirvana.network import LARGEST_WEIGHT, Dense, Network, synthesis_network
from nvcodec.model.nirvana.parameters import Grid
from nvcodec.model.nirvana.render import layer_plane
from nvcodec.model.nirvana.synthesis import pack_network, render_rows
from nvcodec.picture import YUV420P8, Plane, Region

_GRID = Grid(8 * PATCH - 3, 5 * PATCH - 5)
_HIDDEN = np.full(WIDTH, 4095)
_INPUT = np.full(9 * WIDE + FEATURES - WIDE, 4095)


@lru_cache
def require_exact(device: torch.device) -> None:
    """Raise UnsupportedError unless the network's kernels are exact on this device.

    They are compared with the CPU for the network of table 1 and for networks whose sums come near
    their bounds, or are so small that their last bits show.
    """
    rng = np.random.default_rng(0)
    random = [random_network(rng, bits) for bits in (18, 25, 31)]
    frames, region = [3, 1], (2, 0, _GRID.width, _GRID.height)
    for network, scale in zip(
        [synthesis_network(0, NO_COMPONENTS), *random], (300, 300, 3000, 40000), strict=True
    ):
        features = random_features(rng, _GRID, scale)
        expected = on_cpu(network, features, _GRID, frames, region)
        synthesis = CudaSynthesis(network, device)
        got = synthesis.plane(features, _GRID, frames, region, YUV420P8)
        if not np.array_equal(got.cpu().numpy(), expected):
            raise UnsupportedError(
                "device cuda: the nirvana network does not compute exactly here; use cpu"
            )


def on_cpu(
    network: Network, features: Features, grid: Grid, frames: list[int], region: Region
) -> Plane:
    """What the CPU renders through any network: u8 (frames, rows, columns)."""
    out = layer_plane(grid, region, len(frames), YUV420P8)
    render_rows(
        pack_network(network), features, out.top, -(-region[3] // PATCH), out.left, out.right,
        np.array(frames, np.int64), out.depth, out.plane, out.top,
    )  # fmt: skip
    return out.cut()


def random_features(rng: np.random.Generator, grid: Grid, scale: float) -> Features:
    """Features of about a magnitude, cut to the limits of spec 12.1."""
    values = rng.laplace(0, scale, (grid.rows, grid.columns, FEATURES))
    return np.clip(np.rint(values), -LIMIT, LIMIT).astype(np.int16)


def random_network(rng: np.random.Generator, bits: int) -> Network:
    """A network whose units have few great or many small weights, and sums up to 2^`bits`."""
    return Network(
        first=_layer(rng, WIDTH, _INPUT, bits, 12),
        second=_layer(rng, WIDTH, _HIDDEN, bits, 12),
        output=_layer(rng, VOLUME, np.concatenate([LIMIT, _HIDDEN]), bits, 11),
        # The largest ones whose products with features stay in 32 bits.
        scale=rng.integers(0, ((1 << 31) - (1 << 14)) // LIMIT).astype(np.int32),
    )


def _layer(
    rng: np.random.Generator, units: int, limits: npt.NDArray[np.integer], bits: int, left: int
) -> Dense:
    """A layer for inputs of magnitudes up to `limits`; the largest sums have `left` bits left."""
    matrix = rng.integers(-LARGEST_WEIGHT, LARGEST_WEIGHT + 1, (units, len(limits)))
    matrix[rng.random(matrix.shape) > rng.choice([0.01, 0.1, 1], (units, 1))] = 0
    most = np.abs(matrix) @ limits.astype(np.int64)
    share = np.minimum(1, 0.9 * (1 << bits) / np.maximum(1, most))
    bias = rng.integers(-(1 << bits) // 16, (1 << bits) // 16, units)
    return Dense((matrix * share[:, None]).astype(np.int16), bias, bits - left)
