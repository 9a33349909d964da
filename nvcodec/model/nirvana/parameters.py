"""The parameters of a group of the nirvana network (spec 12): substreams to features, and on.

Takes the substreams of a group and the parameters of the group before. Gives features, and renders
any frames and patches from them.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from nvcodec.model.nirvana.synthesis import render_rows, synthesis
from nvcodec.picture import YUV420P8, Planes, Region


@dataclass(frozen=True)
class Grid:
    """The patches of a frame (spec 11.3)."""

    width: int
    height: int

    @property
    def rows(self) -> int:
        return -(-self.height // PATCH)

    @property
    def columns(self) -> int:
        return -(-self.width // PATCH)

    @property
    def patches(self) -> int:
        return self.rows * self.columns

    @property
    def block_rows(self) -> int:
        return -(-self.rows // BLOCK)

    @property
    def block_columns(self) -> int:
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


def render_frames(
    parameters: Parameters, grid: Grid, frames: Sequence[int], region: Region | None = None
) -> list[Planes]:
    """Render frames of a group, or a region of them (x0, y0, x1, y1) in luma samples."""
    x0, y0, x1, y1 = region or (0, 0, grid.width, grid.height)
    left, top = x0 // PATCH, y0 // PATCH
    right, bottom = -(-x1 // PATCH), -(-y1 // PATCH)
    wide, tall = min(grid.width, right * PATCH), min(grid.height, bottom * PATCH)
    shapes = YUV420P8.plane_shapes(wide - left * PATCH, tall - top * PATCH)
    planes = [np.empty((len(frames), *shape), np.uint8) for shape in shapes]
    render_rows(
        synthesis(parameters.quantiser), parameters.features, top, bottom, left, right,
        np.array(frames, np.int64), *planes, top,
    )  # fmt: skip
    cut = (x0 - left * PATCH, y0 - top * PATCH, x1 - left * PATCH, y1 - top * PATCH)
    return [
        YUV420P8.crop((planes[0][k], planes[1][k], planes[2][k]), cut) for k in range(len(frames))
    ]
