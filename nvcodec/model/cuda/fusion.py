"""Frames through the fusion network on a CUDA device (spec 9): canvases to planes on the device.

The single-reference predictions are made on the host, all other inputs on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.model.cuda import fusion_kernels
from nvcodec.model.cuda.launch import run, tiles
from nvcodec.model.cuda.planes import TensorPlanes
from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.fusion.inputs import RECIPROCAL
from nvcodec.model.hybrid.fusion.render import NetworkSource, predicted_planes
from nvcodec.model.hybrid.fusion.weights import (
    CONSTANT,
    HIGH_PASS,
    INPUTS,
    LINEAR,
    PLANES,
    FusionShape,
    Network,
)
from nvcodec.model.samples import FORMAT
from nvcodec.picture import Plane, Planes

_SITES = 256
"""Sites in a tile."""

_OUTPUTS = 8
"""Planes of the output layer's weights: six, padded to a power of two."""


def _packed(planes: Sequence[Plane], device: torch.device) -> torch.Tensor:
    """Planes one after the other in a tensor on the device."""
    return torch.from_numpy(np.concatenate([plane.ravel() for plane in planes])).to(device)


def upload(planes: Planes, device: torch.device) -> TensorPlanes:
    """Copies of host planes on the device."""
    return tuple(torch.from_numpy(plane).to(device) for plane in planes)


def _split(frame: torch.Tensor, width: int, height: int) -> TensorPlanes:
    """The planes of a packed frame of width x height luma samples."""
    shapes = FORMAT.plane_shapes(width, height)
    sizes = [rows * columns for rows, columns in shapes]
    parts = torch.split(frame, sizes)
    luma, blue, red = (part.view(shape) for part, shape in zip(parts, shapes, strict=True))
    return luma, blue, red


@lru_cache
def _tables(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """RECIPROCAL and STEP of spec 9.1."""
    return torch.from_numpy(RECIPROCAL).to(device), torch.from_numpy(STEP).to(device)


def _padded(units: int) -> int:
    return 1 << (units - 1).bit_length()


class CudaFusion:
    """Renders frames through one network; the same samples as `hybrid.fusion.render`."""

    def __init__(self, shape: FusionShape, network: Network, device: torch.device) -> None:
        self._shape = shape
        self._device = device
        self._hidden = [
            self._layer(matrix, bias.astype(np.int64), layer.shift, _padded(layer.units))
            for layer, (matrix, bias) in zip(shape.hidden, network.hidden, strict=True)
        ]
        constant, taps, changes, last = np.split(network.output, [1, 1 + HIGH_PASS, LINEAR], 1)
        bias = CONSTANT * constant[:, 0].astype(np.int64)
        self._last, self._bias = self._layer(
            last[:, :, None, None], bias, shape.output_shift, _OUTPUTS
        )
        self._high_pass = self._weights(taps.reshape(PLANES, PLANES, 3, 3), _OUTPUTS)
        self._differences = self._weights(changes[:, :, None, None], _OUTPUTS)

    def _weights(self, matrix: npt.NDArray[np.int16], padded: int) -> torch.Tensor:
        """int16 (ky, kx, channels, padded units) of weights (units, channels, ky, kx)."""
        units = matrix.shape[0]
        ordered = np.zeros((*matrix.shape[2:], matrix.shape[1], padded), np.int16)
        ordered[..., :units] = matrix.transpose(2, 3, 1, 0)
        return torch.from_numpy(ordered).to(self._device)

    def _layer(
        self,
        matrix: npt.NDArray[np.int16],
        bias: npt.NDArray[np.int64],
        shift: int,
        padded: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of a layer on the device, and its biases plus half of 2^shift, for rounding."""
        biases = np.zeros(padded, np.int32)
        biases[: len(bias)] = bias + (1 << shift >> 1)
        return self._weights(matrix, padded), torch.from_numpy(biases).to(self._device)

    def picture(self, source: NetworkSource) -> TensorPlanes:
        """The whole frame, at the coded size. Does not wait for the device."""
        device = self._device
        rows, columns = source.sites
        size = rows * columns
        extra = source.format.bit_depth - 8
        samples = _packed(source.planes, device)
        moving = bool(source.references)
        # A placeholder: kernels do not read predictions of a key canvas.
        predictions = samples
        if moving:
            predictions = _packed(predicted_planes(source, 0, rows, 0, columns), device)
        quantisers = torch.from_numpy(source.quantisers).to(device)
        reciprocals, steps = _tables(device)
        inputs = torch.empty((INPUTS, size), dtype=torch.int16, device=device)
        run(
            fusion_kernels.fusion_inputs,
            (tiles(size, _SITES), PLANES),
            samples,
            predictions,
            quantisers,
            reciprocals,
            inputs,
            rows,
            columns,
            source.chroma_offset,
            EXTRA=extra,
            MOVING=moving,
            BLOCK=_SITES,
        )
        hidden = inputs
        for layer, (weights, biases) in zip(self._shape.hidden, self._hidden, strict=True):
            out = torch.empty((layer.units, size), dtype=torch.int16, device=device)
            run(
                fusion_kernels.fusion_hidden,
                (tiles(size, _SITES),),
                hidden,
                weights,
                biases,
                out,
                rows,
                columns,
                layer.shift,
                CHANNELS=weights.shape[2],
                KERNEL=layer.kernel,
                UNITS=layer.units,
                PADDED=weights.shape[3],
                BLOCK=_SITES,
            )
            hidden = out
        frame = torch.empty_like(samples)
        run(
            fusion_kernels.fusion_output,
            (tiles(size, _SITES),),
            hidden,
            inputs,
            self._last,
            self._high_pass,
            self._differences,
            self._bias,
            samples,
            quantisers,
            steps,
            frame,
            rows,
            columns,
            self._shape.output_shift,
            source.chroma_offset,
            EXTRA=extra,
            CHANNELS=self._last.shape[2],
            BLOCK=_SITES,
        )
        made = _split(frame, 2 * columns, 2 * rows)
        if source.format.chroma_format == FORMAT.chroma_format:
            return made
        # Chroma stays as the canvas has it.
        return made[0], *upload(source.canvas.planes[1:], device)
