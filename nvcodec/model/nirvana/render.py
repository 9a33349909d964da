"""Features to frames (spec 13): a region of some frames of a group, in bands of patch rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.table import PATCH
from nvcodec.model.nirvana.parameters import Band, Grid, Parameters, bands
from nvcodec.model.nirvana.synthesis import render_rows, synthesis
from nvcodec.model.samples import FORMAT
from nvcodec.picture import Planes, Region
from nvcodec.tasks import TaskPool


@dataclass(frozen=True, eq=False)
class PatchPlanes:
    """Planes (frames, rows, columns) of whole patches around a region.

    `left`, `top` and `right` are patches; the region is `cut` within the planes.
    """

    planes: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
    left: int
    top: int
    right: int
    region: Region

    def cut(self) -> list[Planes]:
        """The region of each frame."""
        luma, blue, red = self.planes
        return [FORMAT.crop((luma[k], blue[k], red[k]), self.region) for k in range(len(luma))]


def frame_planes(grid: Grid, region: Region, frames: int) -> PatchPlanes:
    """Planes to render a region of a number of frames into."""
    x0, y0, x1, y1 = region
    left, top = x0 // PATCH, y0 // PATCH
    right, bottom = -(-x1 // PATCH), -(-y1 // PATCH)
    wide = min(grid.width, right * PATCH) - left * PATCH
    tall = min(grid.height, bottom * PATCH) - top * PATCH
    luma, blue, red = (
        np.empty((frames, *shape), FORMAT.dtype) for shape in FORMAT.plane_shapes(wide, tall)
    )
    dx, dy = left * PATCH, top * PATCH
    cut = (x0 - dx, y0 - dy, x1 - dx, y1 - dy)
    return PatchPlanes((luma, blue, red), left, top, right, cut)


def region_bands(region: Region) -> list[Band]:
    """The bands of a region; they can be rendered in any order."""
    return bands(region[1] // PATCH, -(-region[3] // PATCH))


def render_band(
    parameters: Parameters, frames: Sequence[int], band: Band, out: PatchPlanes
) -> None:
    """Render a band of frames of a group into `out`."""
    network = synthesis(parameters.quantiser, parameters.components)
    render_rows(
        network, parameters.features, *band, out.left, out.right,
        np.array(frames, np.int64), *out.planes, out.top,
    )  # fmt: skip


def render_frames(
    parameters: Parameters, grid: Grid, frames: Sequence[int], region: Region | None = None
) -> list[Planes]:
    """Render frames of a group, or a region of them, in this thread."""
    shown = region or (0, 0, grid.width, grid.height)
    out = frame_planes(grid, shown, len(frames))
    for band in region_bands(shown):
        render_band(parameters, frames, band, out)
    return out.cut()


def render_in_tasks(
    parameters: Parameters, grid: Grid, frames: Sequence[int], region: Region, tasks: TaskPool
) -> Future[list[Planes]]:
    """Begin to render a region of frames of a group, a task for each band."""
    out = frame_planes(grid, region, len(frames))
    rendered = [
        tasks.submit(partial(render_band, parameters, frames, band, out))
        for band in region_bands(region)
    ]
    return tasks.submit(out.cut, rendered)
