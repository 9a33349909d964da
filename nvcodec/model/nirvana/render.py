"""Features to frames (spec 13): a region of some frames of a group, in bands of patch rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import numpy as np

from nvcodec.coding.nirvana.table import PATCH
from nvcodec.model.nirvana.layers import GroupParameters, Layers
from nvcodec.model.nirvana.parameters import Band, Grid, Parameters, bands
from nvcodec.model.nirvana.synthesis import render_rows, synthesis
from nvcodec.picture import YUV420P8, Plane, Planes, Region, SampleFormat
from nvcodec.tasks import TaskPool


@dataclass(frozen=True, eq=False)
class PatchPlanes:
    """Planes (frames, rows, columns) of whole patches around a region of a layer.

    `left`, `top` and `right` are patches; the region is `cut` within the planes, of which there are
    three, or one of a layer of one plane.
    """

    planes: tuple[Plane, ...]
    left: int
    top: int
    right: int
    region: Region
    format: SampleFormat

    def cut(self) -> list[Planes]:
        """The region of each frame."""
        frames = len(self.planes[0])
        return [
            self.format.crop(tuple(plane[k] for plane in self.planes), self.region)
            for k in range(frames)
        ]


def frame_planes(
    grid: Grid, region: Region, frames: int, samples: SampleFormat = YUV420P8
) -> PatchPlanes:
    """Planes to render a region of a layer into, for a number of frames.

    `samples` is the format of the layer: monochrome if it has one plane.
    """
    x0, y0, x1, y1 = region
    left, top = x0 // PATCH, y0 // PATCH
    right, bottom = -(-x1 // PATCH), -(-y1 // PATCH)
    wide = min(grid.width, right * PATCH) - left * PATCH
    tall = min(grid.height, bottom * PATCH) - top * PATCH
    planes = tuple(
        np.empty((frames, *shape), samples.dtype) for shape in samples.plane_shapes(wide, tall)
    )
    dx, dy = left * PATCH, top * PATCH
    cut = (x0 - dx, y0 - dy, x1 - dx, y1 - dy)
    return PatchPlanes(planes, left, top, right, cut, samples)


def region_bands(region: Region) -> list[Band]:
    """The bands of a region; they can be rendered in any order."""
    return bands(region[1] // PATCH, -(-region[3] // PATCH))


def render_band(
    parameters: Parameters, frames: Sequence[int], band: Band, out: PatchPlanes
) -> None:
    """Render a band of frames of a layer into `out`."""
    network = synthesis(parameters.quantiser, parameters.components)
    none = np.empty((len(frames), 0, 0), out.format.dtype)
    luma, blue, red = out.planes if len(out.planes) == 3 else (*out.planes, none, none)
    render_rows(
        network, parameters.features, *band, out.left, out.right, np.array(frames, np.int64),
        out.format.bit_depth, luma, blue, red, out.top,
    )  # fmt: skip


def render_layer(
    parameters: Parameters, grid: Grid, frames: Sequence[int], region: Region | None = None
) -> list[Planes]:
    """Render frames of an 8-bit 4:2:0 layer, or a region of them, in this thread."""
    shown = region or (0, 0, grid.width, grid.height)
    out = frame_planes(grid, shown, len(frames))
    for band in region_bands(shown):
        render_band(parameters, frames, band, out)
    return out.cut()


def render_in_tasks(
    parameters: GroupParameters,
    layers: Layers,
    frames: Sequence[int],
    region: Region,
    tasks: TaskPool,
) -> Future[list[Planes]]:
    """Begin to render a region of frames of a group, a task for each band of each layer."""
    samples = layers.format if layers.joint else layers.format.of_plane
    outs, rendered = [], []
    for k, (layer, grid) in enumerate(zip(parameters, layers.grids, strict=True)):
        shown = layers.region_of(k, region)
        out = frame_planes(grid, shown, len(frames), samples)
        outs.append(out)
        for band in region_bands(shown):
            rendered.append(tasks.submit(partial(render_band, layer, frames, band, out)))

    def joined() -> list[Planes]:
        return [sum(planes, ()) for planes in zip(*(out.cut() for out in outs), strict=True)]

    return tasks.submit(joined, rendered)
