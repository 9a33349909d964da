"""Planes of frames on a device: filled from the values of patches, and copied to the host."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nvcodec.model.cuda import launch
from nvcodec.model.cuda.launch import Patches
from nvcodec.model.samples import FORMAT
from nvcodec.picture import Planes, Region, region_size

TensorPlanes = tuple[torch.Tensor, ...]
"""Tensors of `launch.SAMPLES` of the shapes of `Planes`, on the device that rendered them."""


class RegionPlanes:
    """A region of `count` consecutive frames from `first` on, those that hold all of `frames`."""

    def __init__(self, region: Region, frames: Sequence[int], device: torch.device) -> None:
        self.first = min(frames)
        self.count = max(frames) - self.first + 1
        self._region = region
        luma, chroma, _ = FORMAT.plane_shapes(*region_size(region))
        self._luma, self._chroma = (
            torch.empty((self.count, planes, *shape), dtype=launch.SAMPLES, device=device)
            for planes, shape in ((1, luma), (2, chroma))
        )

    def place(self, values: torch.Tensor, patches: Patches, start: int, stop: int) -> None:
        """Fill luma rows start..stop-1 of the whole frame, and their chroma.

        `values` are those that `launch.place_samples` takes, of patches that cover these rows.
        """
        x0, y0, _, _ = self._region
        for number, planes in enumerate((self._luma, self._chroma)):
            across, down = FORMAT.plane_shift(number)
            launch.place_samples(
                values,
                patches,
                (start >> down, x0 >> across),
                (start - y0) >> down,
                -(-(stop - start) >> down),
                planes,
            )

    def pictures(self, frames: Sequence[int]) -> list[TensorPlanes]:
        """The planes of frames."""
        return [
            (self._luma[k, 0], self._chroma[k, 0], self._chroma[k, 1])
            for k in (frame - self.first for frame in frames)
        ]


def to_host(pictures: Sequence[TensorPlanes]) -> list[Planes]:
    """Copies in host memory, staged in pinned memory; waits for the device once."""
    staged = [
        tuple(
            torch.empty(plane.shape, dtype=plane.dtype, pin_memory=plane.is_cuda).copy_(
                plane, non_blocking=True
            )
            for plane in planes
        )
        for planes in pictures
    ]
    if any(plane.is_cuda for planes in pictures for plane in planes):
        torch.cuda.current_stream(pictures[0][0].device).synchronize()
    # Callers may keep frames for long, and pinned memory is scarce: copy them out of it.
    return [tuple(plane.numpy().copy() for plane in planes) for planes in staged]
