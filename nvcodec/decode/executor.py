"""The device that evaluates networks: weights to planes, and planes to views of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from nvcodec.device import require_device
from nvcodec.format import UnsupportedError
from nvcodec.model.resample import View, resample
from nvcodec.model.shape import NetworkShape
from nvcodec.picture import Planes, Region

if TYPE_CHECKING:
    from nvcodec.model.fusion.render import NetworkSource
    from nvcodec.model.fusion.weights import FusionWeights
    from nvcodec.model.weights import GroupWeights


class FusionDevice(Protocol):
    """Renders canvases to frames on a device, whole or in part (spec 9)."""

    def fuse(
        self, sources: Sequence[NetworkSource], weights: FusionWeights, region: Region
    ) -> list[Planes]:
        """Frames through the fusion network."""

    def show(self, pictures: list[Planes]) -> list[Planes]:
        """Frames that are canvases, where the device delivers frames."""


class Executor:
    """Renders and resamples on the CPU; subclasses do so on other devices.

    `threads` and `batch` (patches evaluated at once) change speed and memory, never samples.
    """

    device = "cpu"

    def __init__(self, threads: int, batch: int) -> None:
        self.threads = threads
        self._batch = batch

    def prepare(self, shape: NetworkShape) -> None:
        """Get ready for networks of a shape; raises UnsupportedError for a device that errs."""

    def render(
        self,
        weights: GroupWeights,
        width: int,
        height: int,
        frames: Sequence[int],
        region: tuple[int, int, int, int] | None = None,
    ) -> list[Planes]:
        """Render frames of a group, as `render_region` does."""
        # Not for other models: its kernels take a tenth of a second to load.
        from nvcodec.model.render import render_region
        from nvcodec.model.siren import SirenRenderer

        renderer = SirenRenderer(weights, self.threads, self._batch)
        return render_region(renderer, width, height, frames, region)

    def resample(
        self,
        planes: Planes,
        origin: tuple[int, int],
        source_width: int,
        source_height: int,
        view: View,
        chroma_location: int,
    ) -> Planes:
        """Planes of a view from rendered ones, as `nvcodec.model.resample.resample` does."""
        return resample(planes, origin, source_width, source_height, view, chroma_location)

    def fusion_device(self, network: bool) -> FusionDevice | None:
        """What renders frames of model 2, with or without network; None if the CPU shall.

        Raises UnsupportedError for a device that errs.
        """
        return None

    def on_host(self, pictures: list[Planes]) -> list[Planes]:
        """Rendered planes in the host's memory."""
        return pictures


def make_executor(device: str, threads: int | None, batch: int | None, tensors: bool) -> Executor:
    """The executor of a device.

    `threads` and `batch` None are one for each core and a good number for the device. `tensors`
    leaves planes on the device.

    Raises ValueError for an unknown device, for numbers below 1 and for `tensors` on the CPU,
    UnsupportedError for a device that this machine does not have or has no software for.
    """
    require_device(device)
    for name, number in (("threads", threads), ("batch", batch)):
        if number is not None and number < 1:
            raise ValueError(f"{name} {number} is not at least 1")
    if device == "cpu":
        if tensors:
            raise ValueError("tensors are for device cuda: planes are arrays on the CPU")
        return Executor(threads or os.cpu_count() or 1, batch or 64)
    try:
        from nvcodec.decode.cuda import CudaExecutor
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "triton":
            raise
        raise UnsupportedError(
            "device cuda: Triton is not installed: pip install 'nvcodec[cuda]', or use cpu"
        ) from error
    return CudaExecutor(batch, tensors, threads)
