"""Features to planes on a CUDA device (spec 13), where these stay."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from nvcodec.coding.nirvana.components import Components
from nvcodec.coding.nirvana.table import FEATURES, FRAME, PATCH, WIDTH
from nvcodec.model.cuda import synthesis_kernels
from nvcodec.model.cuda.launch import Patches, run, tiles
from nvcodec.model.nirvana.moved import Features
from nvcodec.model.nirvana.network import LARGEST_WEIGHT, Dense, Network, synthesis_network
from nvcodec.model.nirvana.parameters import Grid
from nvcodec.picture import Region, SampleFormat

_TILE = {"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_K": 64, "num_warps": 8, "num_stages": 3}
"""Patches, units and terms of a tile. 8 warps, as there are three sums for each number."""

_INPUTS = 1024
"""Features in a tile."""

_SCRATCH_BYTES = 1 << 28
"""Memory budget for inputs, hidden units and values, in bytes; a row of patches is always allowed.
"""


class _Layer(NamedTuple):
    """Halves of weights, int8 (units, 2, inputs), and int32 biases, on the device."""

    weights: torch.Tensor
    biases: torch.Tensor
    shift: int

    @classmethod
    def of(cls, layer: Dense, device: torch.device) -> _Layer:
        """The layer as kernels take it; raises ValueError for weights above LARGEST_WEIGHT."""
        matrix = layer.matrix.astype(np.int64)
        if matrix.max() > LARGEST_WEIGHT:
            raise ValueError(f"a weight is above {LARGEST_WEIGHT}")
        high = (matrix + 128) >> 8
        halves = np.stack([high, matrix - (high << 8)], 1).astype(np.int8)
        biases = layer.bias + (1 << (layer.shift - 1)) + 128 * matrix.sum(axis=1)
        # Modulo 2^32, as all sums.
        wrapped = biases.astype(np.int64).astype(np.int32)
        return cls(
            torch.from_numpy(halves).to(device), torch.from_numpy(wrapped).to(device), layer.shift
        )


class CudaSynthesis:
    """Renders features through one network; the same samples as on the CPU."""

    def __init__(self, network: Network, device: torch.device) -> None:
        self._device = device
        self._first = _Layer.of(network.first, device)
        self._second = _Layer.of(network.second, device)
        self._output = _Layer.of(network.output, device)
        self._scale = torch.from_numpy(network.scale).to(device)

    def plane(
        self,
        features: Features,
        grid: Grid,
        frames: Sequence[int],
        region: Region,
        samples: SampleFormat,
    ) -> torch.Tensor:
        """Render a region of frames of a layer: samples (frames, rows, columns).

        All frames between the first and the last of `frames` are computed. Waits for the device no
        longer than the copy of features to it takes.
        """
        x0, y0, x1, y1 = region
        left, right = x0 // PATCH, -(-x1 // PATCH)
        top, bottom = y0 // PATCH, -(-y1 // PATCH)
        # The patches of the region and their neighbours above and below.
        above = max(0, top - 1)
        uploaded = torch.from_numpy(features[above : bottom + 1]).to(self._device)
        dtype = torch.uint8 if samples.bit_depth == 8 else torch.uint16
        out = self._empty(dtype, len(frames), y1 - y0, x1 - x0)
        first, count = min(frames), max(frames) - min(frames) + 1
        chosen = torch.tensor([frame - first for frame in frames], device=self._device)
        row_bytes = (right - left + 2) * (4 * FEATURES + 4 * WIDTH + 2 * FRAME * count)
        rows = max(1, _SCRATCH_BYTES // row_bytes)
        shift = 12 - samples.bit_depth
        for start in range(top, bottom, rows):
            end = min(bottom, start + rows)
            patches = Patches(start, left, end - start, right - left, grid.rows, grid.columns)
            values = self._values(uploaded, above, patches, first, count)
            shape = end - start, right - left, count, PATCH, PATCH
            shown = values.view(shape).permute(2, 0, 3, 1, 4)[chosen]
            shown = shown.reshape(len(frames), (end - start) * PATCH, (right - left) * PATCH)
            begin, stop = max(y0, start * PATCH), min(y1, end * PATCH)
            cut = shown[:, begin - start * PATCH : stop - start * PATCH]
            cut = cut[:, :, x0 - left * PATCH : x1 - left * PATCH].int()
            cut = (cut + 2048 + (1 << shift >> 1)) >> shift
            out[:, begin - y0 : stop - y0] = cut.clamp(0, samples.peak).to(dtype)
        return out

    def _values(
        self, features: torch.Tensor, above: int, patches: Patches, first_frame: int, frames: int
    ) -> torch.Tensor:
        """Values of patches in 1/16 sample: int16 (patches, frames, FRAME).

        `features` are those of whole rows of patches from row `above` on.
        """
        count, columns = patches.count, patches.columns
        framed = (patches.rows + 2) * (columns + 2)
        inputs = self._empty(torch.int8, framed, 4, FEATURES)
        run(
            synthesis_kernels.synthesis_inputs,
            (tiles(framed * FEATURES, _INPUTS),),
            features,
            self._scale,
            inputs,
            features.shape[0],
            features.shape[1],
            patches.top - 1 - above,
            patches.left - 1,
            framed,
            columns + 2,
            BLOCK=_INPUTS,
        )
        first, second = (self._empty(torch.int8, count, 2, WIDTH) for _ in range(2))
        run(
            synthesis_kernels.synthesis_first,
            self._tiles(count, WIDTH),
            inputs,
            self._first.weights,
            self._first.biases,
            first,
            count,
            columns,
            self._first.shift,
            **_TILE,
        )
        run(
            synthesis_kernels.synthesis_second,
            self._tiles(count, WIDTH),
            first,
            self._second.weights,
            self._second.biases,
            second,
            count,
            self._second.shift,
            **_TILE,
        )
        values = self._empty(torch.int16, count, frames, FRAME)
        run(
            synthesis_kernels.synthesis_output,
            self._tiles(count, frames * FRAME),
            inputs,
            second,
            self._output.weights,
            self._output.biases,
            values,
            count,
            columns,
            first_frame * FRAME,
            frames * FRAME,
            self._output.shift,
            **_TILE,
        )
        return values

    def _empty(self, dtype: torch.dtype, *size: int) -> torch.Tensor:
        return torch.empty(size, dtype=dtype, device=self._device)

    @staticmethod
    def _tiles(patches: int, units: int) -> tuple[int, int]:
        return tiles(patches, _TILE["BLOCK_M"]), tiles(units, _TILE["BLOCK_N"])


@lru_cache(27)
def synthesis_of(offset: int, components: Components, device: torch.device) -> CudaSynthesis:
    """The network for one of the 27 values of CQ (spec 12.1), with these components."""
    return CudaSynthesis(synthesis_network(offset, components), device)
