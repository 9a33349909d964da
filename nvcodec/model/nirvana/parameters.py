"""The parameters of a layer of the nirvana network (spec 12): residuals to features.

Takes residuals and paths of a layer, and its parameters in the group before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.components import Components
from nvcodec.coding.nirvana.entropy import Surroundings, surroundings
from nvcodec.coding.nirvana.motion import Paths
from nvcodec.coding.nirvana.table import BLOCK, FEATURES, PATCH
from nvcodec.model.nirvana.moved import (
    Features,
    Trace,
    add_residuals,
    linear,
    make_trace,
    move_features,
    reciprocal_of,
    step_of,
)


@dataclass(frozen=True)
class Grid:
    """The patches of a layer (spec 11.3) of `width` x `height` samples.

    `across` and `down` are log2 of samples of layer 0 for one of this layer. `kind` is 0 for layer
    0, 1 for others.
    """

    width: int
    height: int
    kind: int = 0
    across: int = 0
    down: int = 0

    @property
    def rows(self) -> int:
        """Patches down."""
        return -(-self.height // PATCH)

    @property
    def columns(self) -> int:
        """Patches across."""
        return -(-self.width // PATCH)

    @property
    def patches(self) -> int:
        """Patches of the grid."""
        return self.rows * self.columns

    @property
    def block_rows(self) -> int:
        """Motion blocks down, of layer 0."""
        return -(-self.rows // BLOCK)

    @property
    def block_columns(self) -> int:
        """Motion blocks across, of layer 0."""
        return -(-self.columns // BLOCK)


_BAND = 8

Band = tuple[int, int]
"""Patch rows, from the first up to the one after the last."""


def bands(first: int, end: int) -> list[Band]:
    """Patch rows in bands: few rows enough to share the work, many enough for what is around."""
    return [(y, min(end, y + _BAND)) for y in range(first, end, _BAND)]


@dataclass(frozen=True, eq=False)
class Parameters:
    """A layer of a group: features in 1/8 sample, quantiser index, number of frames, components."""

    features: Features
    quantiser: int
    frames: int
    components: Components


class Movement:
    """Moves the features of a layer along the paths of a group, in bands of patch rows.

    All bands of the trace come before the first one of `move`; otherwise any order does. `moved` is
    then Moved(f) of all patches: int16 (rows, columns, FEATURES).
    """

    def __init__(
        self, grid: Grid, before: Parameters, paths: Paths, intra: npt.NDArray[np.uint8]
    ) -> None:
        self.paths, self.intra = paths, intra
        self.trace: Trace = np.empty((grid.rows * PATCH, grid.columns * PATCH), np.int16)
        self.moved = no_features(grid)
        self._before, self._grid = before, grid

    def make_trace(self, band: Band) -> None:
        """Make patch rows of the trace of the group before."""
        make_trace(linear(), self._before.features, self._before.frames - 1, *band, self.trace)

    def move(self, band: Band) -> None:
        """Move the features of patch rows."""
        grid = self._grid
        move_features(
            linear(), self.trace, self.paths, self.intra, grid.across, grid.down, *band, self.moved
        )

    def whole(self) -> Features:
        """Move all features in this thread; returns `moved`."""
        self.make_trace((0, self._grid.rows))
        self.move((0, self._grid.rows))
        return self.moved


def no_features(grid: Grid) -> Features:
    """Moved(f) in a key group: int16 (rows, columns, FEATURES) of 0."""
    return np.zeros((grid.rows, grid.columns, FEATURES), np.int16)


def moved_features(
    grid: Grid, before: Parameters | None, paths: Paths, intra: npt.NDArray[np.uint8]
) -> Features:
    """Moved(f) of all patches: int16 (rows, columns, FEATURES); 0 without a group before."""
    return no_features(grid) if before is None else Movement(grid, before, paths, intra).whole()


def seen_features(
    grid: Grid, before: Parameters | None, moved: Features, quantiser: int
) -> Surroundings:
    """What the entropy network sees before the first residual of a layer."""
    return surroundings(
        grid.rows,
        grid.columns,
        grid.kind,
        quantiser,
        reciprocal_of(quantiser),
        moved.reshape(grid.patches, FEATURES),
        None if before is None else before.features.reshape(grid.patches, FEATURES),
    )


def with_residuals(
    grid: Grid,
    moved: Features,
    residual: npt.NDArray[np.int32],
    quantiser: int,
    frames: int,
    components: Components,
) -> Parameters:
    """The parameters of a layer from its residuals (spec 12.1)."""
    features = np.empty((grid.patches, FEATURES), np.int16)
    flat = moved.reshape(grid.patches, FEATURES)
    add_residuals(flat, residual, step_of(quantiser), features)
    return Parameters(features.reshape(moved.shape), quantiser, frames, components)
