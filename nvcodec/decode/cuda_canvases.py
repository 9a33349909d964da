"""The hybrid model on a CUDA device: tables of canvases to frames, there or in host memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from nvcodec.coding.hybrid.canvases import ReadCanvas
from nvcodec.decode.cuda_queue import CudaQueue
from nvcodec.model.cuda.canvas import CanvasMaker
from nvcodec.model.cuda.fusion import CudaFusion, CudaSource
from nvcodec.model.cuda.packed import PackedCanvas
from nvcodec.model.cuda.planes import TensorPlanes, to_host
from nvcodec.model.hybrid.canvas.plane import Canvas, Step
from nvcodec.model.hybrid.fusion.weights import FusionWeights, Network
from nvcodec.picture import Planes, Region


class CudaCanvases:
    """A `CanvasDevice`: makes the canvases and frames of one bitstream by queueing work.

    Any thread may call it. Work is queued in the order of the calls, so a canvas may be used as
    soon as it is returned. Canvases stay on the device, frames do with `tensors`.
    """

    def __init__(self, maker: CanvasMaker, queue: CudaQueue, tensors: bool) -> None:
        self._maker = maker
        self._queue = queue
        self._tensors = tensors

    def reconstruct(
        self, tables: ReadCanvas, step: Step, references: Sequence[Canvas]
    ) -> tuple[Canvas, CudaSource]:
        """The canvas of a step, and its source for the network."""
        on_device = cast(Sequence[PackedCanvas], references)
        prepared = self._maker.prepare(tables, step, references)
        with self._queue.held():
            canvas = self._maker.make(prepared, on_device)
        return canvas, CudaSource.of(canvas, on_device, self._maker.layout, self._maker.offset)

    def fuse(
        self, sources: Sequence[CudaSource], weights: FusionWeights, region: Region
    ) -> list[Planes]:
        """Frames through the fusion network."""
        crop, networks = self._maker.layout.format.crop, dict[Network, CudaFusion]()
        pictures = []
        with self._queue.held():
            for source in sources:
                network = weights.of_set(source.set)
                if network not in networks:
                    networks[network] = CudaFusion(weights.shape, network, self._maker.device)
                pictures.append(crop(networks[network].picture(source), region))
        return self._delivered(pictures)

    def show(self, canvases: Sequence[Canvas], region: Region) -> list[Planes]:
        """Frames without the network."""
        layout = self._maker.layout
        with self._queue.held():
            pictures = [
                layout.format.crop(layout.planes(canvas.packed), region)
                for canvas in cast(Sequence[PackedCanvas], canvases)
            ]
            if self._tensors:
                # Copies, as the caller may write to them and canvases serve as references.
                pictures = [tuple(part.clone() for part in picture) for picture in pictures]
        return self._delivered(pictures)

    def _delivered(self, pictures: list[TensorPlanes]) -> list[Planes]:
        if self._tensors:
            return cast(list[Planes], pictures)
        # Others may queue work while this waits.
        with torch.cuda.stream(self._queue.stream):
            return to_host(pictures)
