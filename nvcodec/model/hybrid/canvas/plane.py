"""Canvases: integer sample planes with the motion of their cells (spec 7.2), and their schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nvcodec.picture import YUV420P8, Planes, SampleFormat

T = TypeVar("T")

CELL = 8
"""Luma samples across a cell."""

ROOT = 64
"""Luma samples across a root block."""


EARLIER, KEY = -2, -3
"""Numbers of canvases of earlier groups, see Step."""

SECOND = (None, EARLIER, KEY)
"""Reference 1 of a chain canvas, by `second` of its group (spec 7.2)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One canvas of a group: that of `frame`, predicted from the canvases of frames a and b.

    Frames are numbered within the group; -1 is the last frame of the group before, EARLIER that of
    the group before this one, KEY the frame of the last key group. A key canvas has neither a nor
    b, a chain canvas may have no b. `depth` is 0 for these, 1 or more for interior canvases.
    """

    frame: int
    a: int | None
    b: int | None
    depth: int

    @property
    def set(self) -> int:
        """Set of spec 7.2: 0 for the key canvas, 1 for a chain canvas, 2 for an interior one."""
        return 0 if self.a is None else 2 if self.depth else 1

    @property
    def references(self) -> list[int]:
        """Frames a and b, without those that are None."""
        return [frame for frame in (self.a, self.b) if frame is not None]


def schedule(frames: int, key: bool, second: int = 0) -> list[Step]:
    """The canvases of a group of `frames` frames in coding order (spec 7.2).

    `second` is that of the group: 0, or the number of the chain canvas's reference 1 in SECOND.

    Raises ValueError when a key group does not have exactly one frame, or a group has none.
    """
    if frames < 1 or (key and frames > 1):
        raise ValueError(f"a {'key ' if key else ''}group of {frames} frames")
    if key:
        return [Step(0, None, None, 0)]
    steps = [Step(frames - 1, -1, SECOND[second], 0)]
    intervals, depth = [(-1, frames - 1)], 1
    while intervals:
        split = [(a, (a + b) >> 1, b) for a, b in intervals if b - a > 1]
        steps += [Step(m, a, b, depth) for a, m, b in split]
        intervals = [part for a, m, b in split for part in ((a, m), (m, b))]
        depth += 1
    return steps


def handed_on(before: Mapping[int, T], last: T) -> dict[int, T]:
    """The canvases that a group hands to the next one, by the numbers of Step (spec 7.2).

    `last` is its key or chain canvas; `before` are those that it was given, none for a key group.
    """
    return {-1: last, EARLIER: before[-1], KEY: before[KEY]} if before else {-1: last, KEY: last}


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
