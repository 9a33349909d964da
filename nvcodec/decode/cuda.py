"""Rendering on a CUDA device: weights to planes on the device or in host memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import cast

import torch

from nvcodec.coding.nirvana.table import network_offset
from nvcodec.decode.cuda_canvases import CudaCanvases
from nvcodec.decode.cuda_queue import CudaQueue
from nvcodec.decode.device import Device
from nvcodec.model.cuda.canvas import CanvasMaker
from nvcodec.model.cuda.canvas_check import require_exact_canvases
from nvcodec.model.cuda.check import require_equal
from nvcodec.model.cuda.fusion_check import require_exact as require_exact_fusion
from nvcodec.model.cuda.planes import TensorPlanes, to_host
from nvcodec.model.cuda.renderer import CudaRenderer
from nvcodec.model.cuda.resample import resample
from nvcodec.model.cuda.synthesis import synthesis_of
from nvcodec.model.cuda.synthesis_check import require_exact as require_exact_synthesis
from nvcodec.model.description import CanvasShape
from nvcodec.model.hybrid.fusion.weights import default_weights
from nvcodec.model.nirvana.layers import GroupParameters, Layers
from nvcodec.model.resample import View
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights
from nvcodec.picture import Planes, Region, SampleFormat


class CudaDevice(Device):
    """Renders on the CUDA device that is current when this object is made.

    `threads` are threads of the host, which parses the substreams of the hybrid model and rebuilds
    the features of the nirvana model.

    With `tensors`, planes are tensors on the device and are resampled there. Work is queued on the
    stream that is current when this object is made, and then nothing waits for it. Otherwise planes
    are copied to the host once rendered.
    """

    device = "cuda"

    def __init__(self, batch: int | None, tensors: bool, threads: int | None = None) -> None:
        super().__init__(threads or os.cpu_count() or 1, 1)
        self._patches = batch
        self._tensors = tensors
        self._device = torch.device("cuda", torch.cuda.current_device())
        self._queue = CudaQueue(self._device)

    @property
    def place(self) -> str:
        """The device with its number."""
        return str(self._device)

    def prepare(self, shape: NetworkShape) -> None:
        """Compile and test the kernels."""
        with self._queue.held():
            require_equal(shape, self._device)

    def render(
        self,
        weights: GroupWeights,
        width: int,
        height: int,
        frames: Sequence[int],
        region: Region | None = None,
    ) -> list[Planes]:
        """Render frames of a group."""
        with self._queue.held():
            renderer = CudaRenderer(weights, self._device, self._patches)
            pictures = renderer.pictures(width, height, frames, region)
            return cast(list[Planes], pictures) if self._tensors else to_host(pictures)

    def resample(
        self,
        planes: Planes,
        origin: tuple[int, int],
        source_width: int,
        source_height: int,
        view: View,
        chroma_location: int,
    ) -> Planes:
        """Planes of a view, on the device or the host, wherever `planes` are."""
        if not self._tensors:
            return super().resample(
                planes, origin, source_width, source_height, view, chroma_location
            )
        with self._queue.held():
            shown = resample(
                cast(TensorPlanes, planes),
                origin,
                source_width,
                source_height,
                view,
                chroma_location,
            )
        return cast(Planes, shown)

    def canvas_device(
        self, shape: CanvasShape, size: tuple[int, int], samples: SampleFormat
    ) -> CudaCanvases:
        """Tests the kernels of canvases, and those of the fusion network if there is one."""
        with self._queue.held():
            require_exact_canvases(samples, self._device)
            if shape.network:
                require_exact_fusion(default_weights().shape, samples, self._device)
            maker = CanvasMaker(size, shape.chroma_offset, samples, self._device)
        return CudaCanvases(maker, self._queue, self._tensors)

    def synthesis_device(self) -> CudaDevice:
        """Return this device; tests the synthesis network's kernels."""
        with self._queue.held():
            require_exact_synthesis(self._device)
        return self

    def synthesize(
        self, parameters: GroupParameters, layers: Layers, frames: Sequence[int], region: Region
    ) -> list[Planes]:
        """Frames of the nirvana model."""
        if not frames:
            return []
        with self._queue.held():
            planes = []
            for k, (layer, grid) in enumerate(zip(parameters, layers.grids, strict=True)):
                offset = network_offset(layer.quantiser)
                network = synthesis_of(offset, layer.components, self._device)
                shown = layers.region_of(k, region)
                planes.append(network.plane(layer.features, grid, frames, shown, layers.format))
            pictures = list(zip(*planes, strict=True))
            return cast(list[Planes], pictures) if self._tensors else to_host(pictures)

    def on_host(self, pictures: list[Planes]) -> list[Planes]:
        """Rendered planes in the host's memory."""
        if not self._tensors:
            return pictures
        with self._queue.held():
            return to_host(cast(list[TensorPlanes], pictures))
