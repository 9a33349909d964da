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
from nvcodec.picture import Plane, Planes, Region, SampleFormat
from nvcodec.tasks import TaskPool


@dataclass(frozen=True, eq=False)
class LayerPlane:
    """The plane of a layer (frames, rows, columns), whole patches around a region.

    `left`, `top` and `right` are patches; the region is `cut` within the plane, whose samples have
    `depth` bits.
    """

    plane: Plane
    left: int
    top: int
    right: int
    depth: int
    region: Region

    def cut(self) -> Plane:
        """The region of all frames."""
        x0, y0, x1, y1 = self.region
        return self.plane[:, y0:y1, x0:x1]


def layer_plane(grid: Grid, region: Region, frames: int, samples: SampleFormat) -> LayerPlane:
    """A plane to render a region of a layer into, for a number of frames."""
    x0, y0, x1, y1 = region
    left, top = x0 // PATCH, y0 // PATCH
    right, bottom = -(-x1 // PATCH), -(-y1 // PATCH)
    wide = min(grid.width, right * PATCH) - left * PATCH
    tall = min(grid.height, bottom * PATCH) - top * PATCH
    plane = np.empty((frames, tall, wide), samples.dtype)
    dx, dy = left * PATCH, top * PATCH
    cut = (x0 - dx, y0 - dy, x1 - dx, y1 - dy)
    return LayerPlane(plane, left, top, right, samples.bit_depth, cut)


def region_bands(region: Region) -> list[Band]:
    """The bands of a region; they can be rendered in any order."""
    return bands(region[1] // PATCH, -(-region[3] // PATCH))


def render_band(parameters: Parameters, frames: Sequence[int], band: Band, out: LayerPlane) -> None:
    """Render a band of frames of a layer into `out`."""
    network = synthesis(parameters.quantiser, parameters.components)
    render_rows(
        network, parameters.features, *band, out.left, out.right, np.array(frames, np.int64),
        out.depth, out.plane, out.top,
    )  # fmt: skip


def render_in_tasks(
    parameters: Future[GroupParameters],
    layers: Layers,
    frames: Sequence[int],
    region: Region,
    tasks: TaskPool,
) -> Future[list[Planes]]:
    """Begin to render a region of frames of a group, a task for each band of each layer.

    They start once the parameters are there, and after tasks that parameters wait for.
    """
    outs: list[LayerPlane] = []
    rendered: list[Future[None]] = []

    def render(k: int, band: Band) -> None:
        render_band(parameters.result()[k], frames, band, outs[k])

    for k, grid in enumerate(layers.grids):
        shown = layers.region_of(k, region)
        outs.append(layer_plane(grid, shown, len(frames), layers.format))
        for band in region_bands(shown):
            rendered.append(tasks.submit(partial(render, k, band), [parameters], last=True))

    def pictures() -> list[Planes]:
        return list(zip(*(out.cut() for out in outs), strict=True))

    return tasks.submit(pictures, rendered)
