"""Canvases: integer sample planes with the motion of their cells (spec 7.2), and their schedule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.picture import YUV420P8, Planes, SampleFormat

CELL = 8
"""Luma samples across a cell."""

ROOT = 64
"""Luma samples across a root block."""


@dataclass(frozen=True, slots=True)
class Step:
    """One canvas of a group: that of `frame`, predicted from the canvases of frames a and b.

    Frames are numbered within the group; -1 is the last frame of the group before. A key canvas has
    neither a nor b, a chain canvas no b. `depth` is 0 for these, 1 or more for interior canvases.
    """

    frame: int
    a: int | None
    b: int | None
    depth: int

    @property
    def set(self) -> int:
        """Set of spec 7.2: 0 for the key canvas, 1 for a chain canvas, 2 for an interior one."""
        return 0 if self.a is None else 1 if self.b is None else 2

    @property
    def references(self) -> list[int]:
        """Frames a and b, without those that are None."""
        return [frame for frame in (self.a, self.b) if frame is not None]


def schedule(frames: int, key: bool) -> list[Step]:
    """The canvases of a group of `frames` frames in coding order (spec 7.2).

    Raises ValueError when a key group does not have exactly one frame, or a group has none.
    """
    if frames < 1 or (key and frames > 1):
        raise ValueError(f"a {'key ' if key else ''}group of {frames} frames")
    if key:
        return [Step(0, None, None, 0)]
    steps = [Step(frames - 1, -1, None, 0)]
    intervals, depth = [(-1, frames - 1)], 1
    while intervals:
        split = [(a, (a + b) >> 1, b) for a, b in intervals if b - a > 1]
        steps += [Step(m, a, b, depth) for a, m, b in split]
        intervals = [part for a, m, b in split for part in ((a, m), (m, b))]
        depth += 1
    return steps


@dataclass(frozen=True, eq=False, slots=True)
class Canvas:
    """A reconstructed canvas.

    `planes` have the coded size; `direction` is u8 (cell rows, cell columns), `vectors` int16
    (2, cell rows, cell columns, 2) of y and x.
    """

    planes: Planes
    direction: npt.NDArray[np.uint8]
    vectors: npt.NDArray[np.int16]
    step: Step
    format: SampleFormat = YUV420P8

    def crop(self, width: int, height: int) -> Planes:
        """The frame of width x height luma samples (views of the planes)."""
        return self.format.crop(self.planes, (0, 0, width, height))


def coded_size(width: int, height: int) -> tuple[int, int]:
    """CodedWidth and CodedHeight of a video of width x height luma samples (spec 7.2)."""
    return -(-width // CELL) * CELL, -(-height // CELL) * CELL
