"""Rendering on a CUDA device: weights to planes there, or in the host's memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from nvcodec.decode.executor import Executor
from nvcodec.model.cuda.check import require_equal
from nvcodec.model.cuda.renderer import CudaRenderer, TensorPlanes, to_host
from nvcodec.model.cuda.resample import resample
from nvcodec.model.resample import View
from nvcodec.model.shape import NetworkShape
from nvcodec.model.weights import GroupWeights
from nvcodec.picture import Planes


class CudaExecutor(Executor):
    """Renders on the CUDA device that is the current one when this is made.

    With `tensors` planes are tensors on that device, resampled there; its work is then queued on
    the current stream, and nothing waits for it. Else they are copied to the host once rendered.
    """

    device = "cuda"

    def __init__(self, batch: int | None, tensors: bool) -> None:
        super().__init__(1, 1)
        self._patches = batch
        self._tensors = tensors
        self._device = torch.device("cuda", torch.cuda.current_device())

    def prepare(self, shape: NetworkShape) -> None:
        """Compile and test the kernels."""
        with torch.cuda.device(self._device):
            require_equal(shape, self._device)

    def render(
        self,
        weights: GroupWeights,
        width: int,
        height: int,
        frames: Sequence[int],
        region: tuple[int, int, int, int] | None = None,
    ) -> list[Planes]:
        """Render frames of a group."""
        with torch.cuda.device(self._device):
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
        """Planes of a view, where `planes` are."""
        if not self._tensors:
            return super().resample(
                planes, origin, source_width, source_height, view, chroma_location
            )
        with torch.cuda.device(self._device):
            shown = resample(
                cast(TensorPlanes, planes),
                origin,
                source_width,
                source_height,
                view,
                chroma_location,
            )
        return cast(Planes, shown)

    def on_host(self, pictures: list[Planes]) -> list[Planes]:
        """Rendered planes in the host's memory."""
        return to_host(cast(list[TensorPlanes], pictures)) if self._tensors else pictures
