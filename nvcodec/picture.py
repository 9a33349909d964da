"""Pictures and how their samples are stored, as they move between sources, the codec and writers.

A `SampleFormat` says what follows from HEAD's bit depth and chroma format (spec 2.4): the type of
samples, their range, and the sizes of planes. All code that depends on these asks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
"""Y, Cb and Cr of a `SampleFormat`, with its `dtype` and `plane_shapes`."""

Region = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in luma samples; x0 and y0 begin a chroma sample too."""

_CHROMA_SHIFTS = {1: (1, 1)}
"""Log2 of luma samples per chroma sample, (x, y), by HEAD's chroma_format."""


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """How samples are stored: HEAD's `bit_depth` and `chroma_format` (spec 2.4)."""

    bit_depth: int
    chroma_format: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of samples in arrays."""
        return np.dtype(np.uint8 if self.bit_depth == 8 else np.uint16)

    @property
    def peak(self) -> int:
        """The greatest sample."""
        return (1 << self.bit_depth) - 1

    @property
    def middle(self) -> int:
        """The sample of no colour in chroma, of mid-grey in luma."""
        return 1 << (self.bit_depth - 1)

    @property
    def chroma_shift(self) -> tuple[int, int]:
        """Log2 of luma samples per chroma sample: along x, along y."""
        return _CHROMA_SHIFTS[self.chroma_format]

    def chroma_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of Cb and Cr beside luma of a size; a part of a sample counts as one."""
        across, down = self.chroma_shift
        return -(-width >> across), -(-height >> down)

    def plane_shapes(self, width: int, height: int) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of each plane of a picture of so many luma samples."""
        columns, rows = self.chroma_size(width, height)
        return (height, width), (rows, columns), (rows, columns)

    def empty(self, width: int, height: int) -> Planes:
        """Planes, not set, of a picture of so many luma samples."""
        y, cb, cr = (np.empty(shape, self.dtype) for shape in self.plane_shapes(width, height))
        return y, cb, cr


YUV420P8 = SampleFormat(bit_depth=8, chroma_format=1)
"""8-bit 4:2:0, the only format so far."""


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """One picture of a source.

    `planes` are C-contiguous. `pts` and `duration` are in ticks of the time base of the source;
    `duration` is in 1 .. 2**32 - 1.
    """

    planes: Planes
    pts: int
    duration: int
