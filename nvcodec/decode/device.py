"""The device that evaluates networks: weights to planes, and planes to views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nvcodec.model.resample import View, resample
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.picture import Planes, Region, SampleFormat

if TYPE_CHECKING:
    from nvcodec.coding.hybrid.canvases import ReadCanvas
    from nvcodec.model.description import CanvasShape
    from nvcodec.model.hybrid.canvas.plane import Canvas, Step
    from nvcodec.model.hybrid.fusion.weights import FusionWeights
    from nvcodec.model.nirvana.layers import GroupParameters, Layers
    from nvcodec.model.sine.weights import GroupWeights


class CanvasDevice(Protocol):
    """Makes the canvases and frames of a bitstream of the hybrid model on a device (spec 8, 9).

    The planes of its canvases are the device's, and nobody else's.
    """

    def reconstruct(
        self, tables: ReadCanvas, step: Step, references: Sequence[Canvas]
    ) -> tuple[Canvas, Any]:
        """The canvas of a step, and what `fuse` takes of it."""

    def fuse(self, sources: Sequence[Any], weights: FusionWeights, region: Region) -> list[Planes]:
        """Frames through the fusion network."""

    def show(self, canvases: Sequence[Canvas], region: Region) -> list[Planes]:
        """Frames without the network."""


class SynthesisDevice(Protocol):
    """Renders features to frames on a device, whole or in part (spec 13)."""

    def synthesize(
        self, parameters: GroupParameters, layers: Layers, frames: Sequence[int], region: Region
    ) -> list[Planes]:
        """A region of frames of a group."""


class Device:
    """Renders and resamples on the CPU; subclasses do so on other devices.

    `threads` and `batch` (patches evaluated at once) change speed and memory, never samples.
    """

    device = "cpu"

    def __init__(self, threads: int, batch: int) -> None:
        self.threads = threads
        self._batch = batch

    @property
    def place(self) -> str:
        """The device in PyTorch's words, for tensors of frames."""
        return self.device

    def prepare(self, shape: NetworkShape) -> None:
        """Prepare for networks of a shape; raises UnsupportedError if the device miscomputes."""

    def render(
        self,
        weights: GroupWeights,
        width: int,
        height: int,
        frames: Sequence[int],
        region: Region | None = None,
    ) -> list[Planes]:
        """Render frames of a group, as `render_region` does."""
        # Imported here, as its kernels take 0.1 s to load and other models do not need them.
        from nvcodec.model.sine.render import render_region
        from nvcodec.model.sine.renderer import SineRenderer

        renderer = SineRenderer(weights, self.threads, self._batch)
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

    def canvas_device(
        self, shape: CanvasShape, size: tuple[int, int], samples: SampleFormat
    ) -> CanvasDevice | None:
        """What makes canvases and frames of the hybrid model; None for the CPU.

        `size` is the coded one.

        Raises UnsupportedError for a device that miscomputes.
        """
        return None

    def synthesis_device(self) -> SynthesisDevice | None:
        """The renderer of frames of the nirvana model; None for the CPU.

        Raises UnsupportedError for a device that miscomputes.
        """
        return None

    def on_host(self, pictures: list[Planes]) -> list[Planes]:
        """Rendered planes in the host's memory."""
        return pictures
