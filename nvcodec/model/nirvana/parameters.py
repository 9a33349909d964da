"""The parameters of a group of the nirvana network (spec 12): substreams to features.

Takes the substreams of a group and the parameters of the group before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.entropy import Surroundings, surroundings
from nvcodec.coding.nirvana.features import ContentDecoder
from nvcodec.coding.nirvana.motion import Paths, decode_motion
from nvcodec.coding.nirvana.table import BLOCK, FEATURES, PATCH
from nvcodec.format.errors import CorruptError
from nvcodec.model.nirvana.moved import (
    Features,
    add_residuals,
    in_steps,
    linear,
    make_trace,
    move_features,
    reciprocal_of,
    step_of,
    trace_planes,
)


@dataclass(frozen=True)
class Grid:
    """The patches of a frame (spec 11.3)."""

    width: int
    height: int

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
        """Motion blocks down."""
        return -(-self.rows // BLOCK)

    @property
    def block_columns(self) -> int:
        """Motion blocks across."""
        return -(-self.columns // BLOCK)


@dataclass(frozen=True, eq=False)
class Parameters:
    """A group: its features in 1/8 sample, its quantiser index and its number of frames."""

    features: Features
    quantiser: int
    frames: int


def moved_features(
    grid: Grid, before: Parameters | None, paths: Paths, intra: npt.NDArray[np.uint8]
) -> Features:
    """Moved(f) of all patches: int16 (rows, columns, FEATURES); 0 without a group before."""
    moved = np.zeros((grid.rows, grid.columns, FEATURES), np.int16)
    if before is not None:
        trace = trace_planes(grid.rows, grid.columns)
        make_trace(linear(), before.features, before.frames - 1, trace)
        move_features(linear(), trace, paths, intra, 0, grid.rows, moved)
    return moved


def seen_features(
    grid: Grid, before: Parameters | None, moved: Features, quantiser: int
) -> Surroundings:
    """What the entropy network sees before the first residual of a group."""
    flat = moved.reshape(grid.patches, FEATURES)
    steps, change = np.zeros((2, *flat.shape), np.int32)
    if before is not None:
        reciprocal = reciprocal_of(quantiser)
        in_steps(moved.ravel(), reciprocal, steps.ravel())
        in_steps(before.features.ravel(), reciprocal, change.ravel())
        change -= steps
    return surroundings(grid.rows, grid.columns, before is None, quantiser, steps, change)


def with_residuals(
    grid: Grid, moved: Features, residual: npt.NDArray[np.int32], quantiser: int, frames: int
) -> Parameters:
    """The parameters of a group from its residuals (spec 12.1)."""
    features = np.empty((grid.patches, FEATURES), np.int16)
    flat = moved.reshape(grid.patches, FEATURES)
    add_residuals(flat, residual, step_of(quantiser), features)
    return Parameters(features.reshape(moved.shape), quantiser, frames)


def rebuild_parameters(
    grid: Grid, before: Parameters | None, frames: int, content: bytes, motion: bytes
) -> Parameters:
    """The parameters of a group from its substreams; `before` is None for a key group.

    Raises CorruptError.
    """
    paths = np.zeros((grid.block_rows, grid.block_columns, frames, 2), np.int32)
    intra = np.zeros((grid.block_rows, grid.block_columns), np.uint8)
    if before is None and motion:
        raise CorruptError("motion is not empty in a key group", rule="11.4")
    if before is not None:
        paths, intra = decode_motion(motion, grid.block_rows, grid.block_columns, frames)
    decoder = ContentDecoder(content)
    moved = moved_features(grid, before, paths, intra)
    residual = decoder.read(seen_features(grid, before, moved, decoder.quantiser))
    return with_residuals(grid, moved, residual, decoder.quantiser, frames)
