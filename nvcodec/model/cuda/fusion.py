"""Frames through the fusion network on a CUDA device (spec 9): canvases there to frames there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.model.cuda import fusion_kernels
from nvcodec.model.cuda.launch import run, tiles
from nvcodec.model.cuda.motion import single_predictions
from nvcodec.model.cuda.packed import Layout, PackedCanvas, pack
from nvcodec.model.cuda.planes import TensorPlanes
from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.fusion.inputs import RECIPROCAL
from nvcodec.model.hybrid.fusion.render import NetworkSource
from nvcodec.model.hybrid.fusion.weights import (
    CONSTANT,
    HIGH_PASS,
    INPUTS,
    LINEAR,
    PLANES,
    FusionShape,
    Network,
)
from nvcodec.picture import MONOCHROME, SampleFormat

_SITES = 256
"""Sites in a tile."""

_OUTPUTS = 8
"""Planes of the output layer's weights: six, padded to a power of two."""


_YUV420 = 1
"""HEAD's chroma_format in which a site has one sample of each chroma plane."""


@dataclass(frozen=True, eq=False)
class CudaSource:
    """What the network knows of a frame, on the device.

    `canvas` and its `references`, none to two, are packed. `motion` and `quantisers` are those of
    `PackedCanvas`. `set` is that of spec 7.2.
    """

    layout: Layout
    set: int
    canvas: torch.Tensor
    references: Sequence[torch.Tensor]
    motion: torch.Tensor
    quantisers: torch.Tensor
    chroma_offset: int

    @classmethod
    def of(
        cls,
        canvas: PackedCanvas,
        references: Sequence[PackedCanvas],
        layout: Layout,
        chroma_offset: int,
    ) -> CudaSource:
        """The source of a canvas."""
        return cls(
            layout,
            canvas.step.set,
            canvas.packed,
            [reference.packed for reference in references],
            canvas.motion,
            canvas.quantisers,
            chroma_offset,
        )

    @classmethod
    def uploaded(cls, source: NetworkSource, device: torch.device) -> CudaSource:
        """A copy of a source of the host."""
        height, width = source.canvas.planes[0].shape

        def packed(planes: Sequence[npt.NDArray[np.integer]]) -> torch.Tensor:
            return pack([torch.from_numpy(plane).to(device) for plane in planes])

        return cls(
            Layout(source.format, width, height),
            source.canvas.step.set,
            packed(source.canvas.planes),
            [packed(planes) for planes in source.references],
            torch.from_numpy(source.motion).to(device),
            torch.from_numpy(source.quantisers).to(device),
            source.chroma_offset,
        )


def _with_sites(layout: Layout, packed: torch.Tensor) -> torch.Tensor:
    """A packed canvas with one sample of Cb and Cr for each site (spec 9.1).

    Those of a site are averaged; in monochrome they are neutral.
    """
    samples = layout.format
    if samples.chroma_format == _YUV420:
        return packed
    rows, columns = layout.height // 2, layout.width // 2
    luma, *chroma = layout.planes(packed)
    if samples.chroma_format == MONOCHROME:
        neutral = torch.full_like(packed[: rows * columns], samples.middle)
        return pack([luma, neutral, neutral])
    across, down = samples.chroma_shift
    shape, count = (rows, 2 >> down, columns, 2 >> across), 4 >> across + down
    sums = [plane.view(shape).int().sum((1, 3)) for plane in chroma]
    means = [((total + count // 2) // count).to(packed.dtype) for total in sums]
    return pack([luma, *means])


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

    def picture(self, source: CudaSource) -> TensorPlanes:
        """The whole frame, at the coded size. Does not wait for the device."""
        device, layout = self._device, source.layout
        rows, columns = layout.height // 2, layout.width // 2
        size = rows * columns
        extra = layout.extra
        samples = _with_sites(layout, source.canvas)
        moving = bool(source.references)
        # A placeholder: kernels do not read predictions of a key canvas.
        predictions = samples
        if moving:
            single = single_predictions(layout, source.motion, source.references, source.canvas)
            predictions = pack([_with_sites(layout, one) for one in single])
        quantisers = source.quantisers
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
        shown = SampleFormat(layout.format.bit_depth, _YUV420)
        made = Layout(shown, layout.width, layout.height).planes(frame)
        if layout.format.chroma_format == _YUV420:
            return made
        # Chroma stays as the canvas has it.
        chroma = layout.planes(source.canvas)[1:]
        return made[0], *(plane.clone() for plane in chroma)
