"""How a picture is turned to be displayed: planes, and where their chroma samples lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from nvcodec.media.libav import side_data
from nvcodec.media.notes import Notes
from nvcodec.picture import Plane, SampleFormat

# Terms beside the axes that are smaller than this part of the others are rounding errors.
_ROUNDING = 0.01


def _weighs(off: int, off_too: int, axis: int, axis_too: int) -> bool:
    return max(abs(off), abs(off_too)) > _ROUNDING * min(abs(axis), abs(axis_too))


@dataclass(frozen=True)
class Orientation:
    """A display matrix that swaps, flips and scales axes; the swap comes first.

    Scaling is left to the sample aspect ratio.
    """

    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: VideoFrame, notes: Notes) -> Orientation:
        """The orientation of a frame's display matrix; none for a matrix that does more."""
        data = side_data(frame).get("DISPLAYMATRIX")
        if data is None:
            return cls()
        # (p, q) is shown at (a p + c q, b p + d q), 16.16 fixed point. Scales that differ are in
        # the sample aspect ratio already: FFmpeg's demuxer has seen to that.
        a, b, _, c, d = (int(value) for value in np.frombuffer(memoryview(data), np.int32, 5))
        if a * d and not _weighs(b, c, a, d):
            orientation = cls(False, a < 0, d < 0)
        elif b * c and not _weighs(a, d, b, c):
            orientation = cls(True, c < 0, b < 0)
        else:
            notes.add(f"display rotation of {-frame.rotation} degrees clockwise is not applied")
            return cls()
        if orientation:
            notes.add(f"{orientation} as the source asks to be displayed")
        return orientation

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return self.swap or self.flip_x or self.flip_y

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) as displayed."""
        return (height, width) if self.swap else (width, height)

    def apply(self, plane: Plane) -> Plane:
        """A plane as displayed, C-contiguous; the plane itself where that changes nothing."""
        if self.swap:
            plane = plane.T
        if self.flip_y:
            plane = plane[::-1]
        if self.flip_x:
            plane = plane[:, ::-1]
        return np.ascontiguousarray(plane)

    def chroma_offset(
        self, offset: tuple[float, float], samples: SampleFormat, width: int, height: int
    ) -> tuple[float, float]:
        """Where the first chroma sample lies, (x, y) in luma samples from the first luma sample.

        `offset` is the same before the picture is turned; `samples`, `width` and `height` are the
        displayed ones.
        """
        x, y = offset[::-1] if self.swap else offset
        across, down = samples.chroma_shift
        columns, rows = samples.chroma_size(width, height)
        # After a flip, the last sample is the first one.
        if self.flip_x:
            x = width - 1 - ((columns - 1) << across) - x
        if self.flip_y:
            y = height - 1 - ((rows - 1) << down) - y
        return x, y

    def __str__(self) -> str:
        turns = {
            (True, True, False): "rotated 90 degrees clockwise",
            (False, True, True): "rotated 180 degrees",
            (True, False, True): "rotated 90 degrees counterclockwise",
            (False, True, False): "mirrored left to right",
            (False, False, True): "mirrored top to bottom",
            (True, False, False): "transposed",
            (True, True, True): "transposed about the other diagonal",
            (False, False, False): "as it is",
        }
        return turns[self.swap, self.flip_x, self.flip_y]
