"""The layers of a group of the nirvana network (spec 11.3, 11.4): substreams to parameters.

In 4:2:0 a group is one layer, in other chroma formats one for each plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.components import NO_COMPONENTS, Components, decode_components
from nvcodec.coding.nirvana.features import ContentDecoder
from nvcodec.coding.nirvana.motion import Paths, decode_motion
from nvcodec.coding.nirvana.table import FEATURES
from nvcodec.format.errors import CorruptError
from nvcodec.model.nirvana.moved import Features
from nvcodec.model.nirvana.parameters import (
    Grid,
    Movement,
    Parameters,
    seen_features,
    with_residuals,
)
from nvcodec.picture import YUV420P8, Planes, Region, SampleFormat

GroupParameters = tuple[Parameters, ...]
"""The parameters of a group, layer by layer."""

_JOINT = YUV420P8.chroma_format
"""The chroma format whose planes are one layer."""


@dataclass(frozen=True)
class Layers:
    """The layers of the groups of a video."""

    width: int
    height: int
    format: SampleFormat

    @property
    def joint(self) -> bool:
        """Whether one layer has all planes."""
        return self.format.chroma_format == _JOINT

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grid of each layer."""
        if self.joint:
            return (Grid(self.width, self.height),)
        shapes = self.format.plane_shapes(self.width, self.height)
        return tuple(Grid(columns, rows) for rows, columns in shapes)

    @property
    def patches(self) -> int:
        """Patches of all layers."""
        return sum(grid.patches for grid in self.grids)

    def planes_of(self, layer: int, planes: Planes) -> Planes:
        """The planes of a picture that a layer has."""
        return planes if self.joint else planes[layer : layer + 1]

    def region_of(self, layer: int, region: Region) -> Region:
        """A region of pictures in the samples of a layer."""
        return self.format.chroma_region(region) if layer else region

    def motion_of(
        self, layer: int, paths: Paths, intra: npt.NDArray[np.uint8]
    ) -> tuple[Paths, npt.NDArray[np.uint8]]:
        """Paths and intra blocks of a layer from those of layer 0 (spec 11.4)."""
        across, _ = self.format.chroma_shift
        if layer == 0 or across == 0:
            return paths, intra
        columns = self.grids[layer].block_columns
        halved = paths[:, ::2][:, :columns] >> np.array([0, 1], np.int32)
        return halved, np.ascontiguousarray(intra[:, ::2][:, :columns])


def read_movements(
    layers: Layers, before: GroupParameters, frames: int, motion: bytes
) -> list[Movement]:
    """The movement of each layer from the motion substream; raises CorruptError."""
    first = layers.grids[0]
    decoded = decode_motion(motion, first.block_rows, first.block_columns, frames)
    return [
        Movement(grid, before[k], *layers.motion_of(k, *decoded))
        for k, grid in enumerate(layers.grids)
    ]


def key_parameters(
    layers: Layers, frames: int, content: bytes, motion: bytes, network: bytes
) -> GroupParameters:
    """The parameters of a key group from its substreams; raises CorruptError."""
    if motion:
        raise CorruptError("motion is not empty in a key group", rule="11.4")
    moved = [np.zeros((g.rows, g.columns, FEATURES), np.int16) for g in layers.grids]
    return read_parameters(layers, None, moved, frames, content, network)


def read_parameters(
    layers: Layers,
    before: GroupParameters | None,
    moved: list[Features],
    frames: int,
    content: bytes,
    network: bytes,
) -> GroupParameters:
    """The parameters of a group from moved features, the content and the network substream.

    Raises CorruptError.
    """
    old = NO_COMPONENTS if before is None else before[0].components
    components: list[Components] = [decode_components(network, old)]
    components += [NO_COMPONENTS] * (len(layers.grids) - 1)
    decoder = ContentDecoder(content)
    q, read = decoder.quantiser, []
    for k, grid in enumerate(layers.grids):
        last = None if before is None else before[k]
        residual = decoder.read(seen_features(grid, last, moved[k], q))
        read.append(with_residuals(grid, moved[k], residual, q, frames, components[k]))
    decoder.close()
    return tuple(read)


def rebuild_parameters(
    layers: Layers,
    before: GroupParameters | None,
    frames: int,
    content: bytes,
    motion: bytes,
    network: bytes,
) -> GroupParameters:
    """The parameters of a group from its substreams; `before` is None for a key group.

    Raises CorruptError.
    """
    if before is None:
        return key_parameters(layers, frames, content, motion, network)
    moved = []
    for grid, movement in zip(
        layers.grids, read_movements(layers, before, frames, motion), strict=True
    ):
        movement.make_trace((0, grid.rows))
        movement.move((0, grid.rows))
        moved.append(movement.moved)
    return read_parameters(layers, before, moved, frames, content, network)
