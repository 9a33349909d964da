"""The layers of a group of the nirvana network (spec 11.3, 11.4): substreams to parameters.

A group has a layer for each plane of its pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

from nvcodec.coding.nirvana.components import NO_COMPONENTS, Components, decode_components
from nvcodec.coding.nirvana.features import ContentDecoder
from nvcodec.coding.nirvana.motion import decode_motion
from nvcodec.format.errors import CorruptError
from nvcodec.model.nirvana.moved import Features
from nvcodec.model.nirvana.parameters import (
    Grid,
    Movement,
    Parameters,
    no_features,
    seen_features,
    with_residuals,
)
from nvcodec.picture import Region, SampleFormat

GroupParameters = tuple[Parameters, ...]
"""The parameters of a group, layer by layer."""


@dataclass(frozen=True)
class Layers:
    """The layers of the groups of a video: one for each plane."""

    width: int
    height: int
    format: SampleFormat

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grid of each layer."""
        shapes = self.format.plane_shapes(self.width, self.height)
        return tuple(
            Grid(columns, rows, min(k, 1), *self.format.plane_shift(k))
            for k, (rows, columns) in enumerate(shapes)
        )

    @property
    def patches(self) -> int:
        """Patches of all layers."""
        return sum(grid.patches for grid in self.grids)

    def region_of(self, layer: int, region: Region) -> Region:
        """A region of pictures in the samples of a layer."""
        return self.format.chroma_region(region) if layer else region


def read_movements(
    layers: Layers, before: GroupParameters, frames: int, motion: bytes
) -> list[Movement]:
    """The movement of each layer from the motion substream; raises CorruptError."""
    first = layers.grids[0]
    decoded = decode_motion(motion, first.block_rows, first.block_columns, frames)
    return [Movement(grid, before[k], *decoded) for k, grid in enumerate(layers.grids)]


def key_parameters(
    layers: Layers, frames: int, content: bytes, motion: bytes, network: bytes
) -> GroupParameters:
    """The parameters of a key group from its substreams; raises CorruptError."""
    if motion:
        raise CorruptError("motion is not empty in a key group", rule="11.4")
    moved = [no_features(grid) for grid in layers.grids]
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
    moved = [movement.whole() for movement in read_movements(layers, before, frames, motion)]
    return read_parameters(layers, before, moved, frames, content, network)
