"""Pictures and their sample format, as sources, the codec and writers pass them on.

A `SampleFormat` gives what follows from HEAD's bit depth and chroma format (spec 2.4): the type of
samples, their range, and the sizes of planes. All code that depends on these asks it. Compiled
functions use the constants of `nvcodec.model.samples`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from nvcodec.words import format_in_words, format_name

Plane = npt.NDArray[Any]
"""Samples of a plane, u8 or u16: (rows, columns)."""

Planes = tuple[Plane, ...]
"""Y, Cb and Cr of a `SampleFormat`, with its `dtype` and `plane_shapes`; Y alone in monochrome."""

Region = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in luma samples, x1 and y1 exclusive; x0 and y0 lie on the chroma grid."""

MONOCHROME = 0
"""HEAD's chroma_format of pictures that have luma alone."""

_CHROMA_SHIFTS = {MONOCHROME: (0, 0), 1: (1, 1), 2: (1, 0), 3: (0, 0)}
"""Log2 of luma samples per chroma sample, (x, y), by HEAD's chroma_format."""


class _Sliceable(Protocol):
    """A two-dimensional array or tensor."""

    def __getitem__(self, key: Any, /) -> Any: ...


_Plane = TypeVar("_Plane", bound=_Sliceable)


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
        """The sample value of neutral chroma and of mid-grey luma."""
        return 1 << (self.bit_depth - 1)

    @property
    def name(self) -> str:
        """The name that options take: FFmpeg's, without byte order, such as "yuv420p10"."""
        return format_name(self.chroma_format, self.bit_depth)

    def __str__(self) -> str:
        """The format in words, such as "10-bit 4:2:0"."""
        return format_in_words(self.chroma_format, self.bit_depth)

    @property
    def chroma_shift(self) -> tuple[int, int]:
        """Log2 of luma samples per chroma sample: along x, along y; 0 in monochrome."""
        return _CHROMA_SHIFTS[self.chroma_format]

    @property
    def planes(self) -> int:
        """Planes of a picture: 3, or 1 in monochrome."""
        return 1 if self.chroma_format == MONOCHROME else 3

    def plane_shift(self, plane: int) -> tuple[int, int]:
        """Log2 of luma samples per sample of plane 0 (Y), 1 (Cb) or 2 (Cr): along x, along y."""
        return self.chroma_shift if plane else (0, 0)

    def chroma_size(self, width: int, height: int) -> tuple[int, int]:
        """(ChromaWidth, ChromaHeight) for a luma size, rounded up."""
        across, down = self.chroma_shift
        return -(-width >> across), -(-height >> down)

    def plane_shapes(self, width: int, height: int) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of each plane of a picture of width x height luma samples."""
        columns, rows = self.chroma_size(width, height)
        return ((height, width), (rows, columns), (rows, columns))[: self.planes]

    def picture_bytes(self, width: int, height: int) -> int:
        """Bytes of all planes of a picture of width x height luma samples."""
        samples = sum(rows * columns for rows, columns in self.plane_shapes(width, height))
        return samples * self.dtype.itemsize

    def empty(self, width: int, height: int) -> Planes:
        """Uninitialised planes of a picture of width x height luma samples."""
        return tuple(np.empty(shape, self.dtype) for shape in self.plane_shapes(width, height))

    def chroma_region(self, region: Region) -> Region:
        """The part of Cb and Cr that belongs to a region: (x0, y0, x1, y1) in chroma samples."""
        x0, y0, x1, y1 = region
        across, down = self.chroma_shift
        return x0 >> across, y0 >> down, -(-x1 >> across), -(-y1 >> down)

    def luma_region(self, region: Region) -> Region:
        """The region in luma samples of one given in chroma samples, (x0, y0, x1, y1)."""
        x0, y0, x1, y1 = region
        across, down = self.chroma_shift
        return x0 << across, y0 << down, x1 << across, y1 << down

    def crop(self, planes: tuple[_Plane, ...], region: Region) -> tuple[_Plane, ...]:
        """A region of a picture: views of its planes, which may be arrays or tensors."""
        chroma = self.chroma_region(region)
        return tuple(_part(plane, chroma if k else region) for k, plane in enumerate(planes))


def _part(plane: _Plane, region: Region) -> _Plane:
    x0, y0, x1, y1 = region
    part: _Plane = plane[y0:y1, x0:x1]
    return part


def region_size(region: Region) -> tuple[int, int]:
    """(width, height) of a region in luma samples."""
    x0, y0, x1, y1 = region
    return x1 - x0, y1 - y0


def samples_crc(pictures: Iterable[Planes]) -> int:
    """CRC-32 of rendered frames in display order: `crc` of a group (spec 2.7).

    Samples of more than 8 bits count as u16, little-endian.
    """
    crc = 0
    for planes in pictures:
        for plane in planes:
            ordered = np.ascontiguousarray(plane, plane.dtype.newbyteorder("<"))
            crc = zlib.crc32(ordered.data, crc)
    return crc


YUV420P8 = SampleFormat(bit_depth=8, chroma_format=1)
"""8-bit 4:2:0."""

SAMPLE_FORMATS = tuple(SampleFormat(depth, chroma) for chroma in range(4) for depth in (8, 10, 12))
"""All formats of HEAD (spec 2.4)."""


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """One picture of a source.

    `planes` are C-contiguous. `pts` and `duration` are in ticks of the time base of the source;
    `duration` is in 1 .. 2**32 - 1.
    """

    planes: Planes
    pts: int
    duration: int
