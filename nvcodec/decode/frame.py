"""What a decoder delivers: a frame or a region of one, with its time."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nvcodec.picture import Planes


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """A rendered frame.

    Attributes:
        index: number of the frame in the video, from 0.
        pts: presentation time in ticks of `time_base`.
        duration: ticks until the next frame.
        time_base: seconds per tick.
        planes: u8 arrays Y (height, width), Cb and Cr (half of both, rounded up).

    """

    index: int
    pts: int
    duration: int
    time_base: Fraction
    planes: Planes

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds."""
        return self.pts * self.time_base

    @property
    def width(self) -> int:
        """Luma samples per row."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Luma rows."""
        return int(self.planes[0].shape[0])


def samples_crc(pictures: Iterable[Planes]) -> int:
    """The `crc` of a group (spec 2.7) of its rendered frames in display order."""
    crc = 0
    for planes in pictures:
        for plane in planes:
            crc = zlib.crc32(np.ascontiguousarray(plane).data, crc)
    return crc
