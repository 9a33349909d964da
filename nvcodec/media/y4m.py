"""Y4M output, and writers that only count or digest pictures.

Does not import PyAV, as nvdec uses this module.
"""

import hashlib
from fractions import Fraction
from typing import BinaryIO, Final

from nvcodec.picture import YUV420P8, Planes

_FORMAT: Final = YUV420P8
"""The format that Y4mWriter writes, as in its chroma tags."""

# Y4M names three of the six H.273 chroma locations. The others take the name nearest in
# position: 3 (top) and 5 (bottom) are half a luma row from center, 4 (bottom left) from left.
_CHROMA_TAG: Final = {
    0: "C420mpeg2",
    1: "C420jpeg",
    2: "C420paldv",
    3: "C420jpeg",
    4: "C420mpeg2",
    5: "C420jpeg",
    255: "C420mpeg2",
}
_RANGE_TAG: Final = {0: " XCOLORRANGE=LIMITED", 1: " XCOLORRANGE=FULL", 2: ""}


def _check_shapes(planes: Planes, width: int, height: int) -> None:
    dtype = _FORMAT.dtype
    for plane, shape in zip(planes, _FORMAT.plane_shapes(width, height), strict=True):
        if plane.shape != shape or plane.dtype != dtype:
            raise ValueError(f"plane of {plane.dtype} {plane.shape}, expected {dtype} {shape}")


class Y4mWriter:
    """Writes progressive 8-bit 4:2:0 pictures as YUV4MPEG2.

    The header is written on construction. `file` is a buffered binary file; it is neither
    flushed nor closed. `frame_rate` None is written as 25:1, because most readers refuse an
    unknown rate, and `sar` None as 0:0, which means unknown. `full_range` is 0 limited, 1 full,
    2 unspecified. `chroma_location` is an H.273 type 0..5, or 255 for unspecified, which is
    written as left.

    Raises KeyError for another range or location, OSError when the file does.
    """

    def __init__(
        self,
        file: BinaryIO,
        width: int,
        height: int,
        frame_rate: Fraction | None,
        sar: Fraction | None,
        full_range: int,
        chroma_location: int,
    ) -> None:
        rate = Fraction(25) if frame_rate is None else frame_rate
        aspect = "0:0" if sar is None else f"{sar.numerator}:{sar.denominator}"
        header = (
            f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A{aspect} "
            f"{_CHROMA_TAG[chroma_location]}{_RANGE_TAG[full_range]}\n"
        )
        self._file = file
        self._size = (width, height)
        self.frames = 0
        """Pictures written so far."""
        file.write(header.encode("ascii"))

    def write(self, planes: Planes) -> None:
        """Append one picture: 8-bit 4:2:0 planes of the size in the header.

        Raises ValueError for planes of another size or type, OSError when the file does.
        """
        _check_shapes(planes, *self._size)
        self._file.write(b"FRAME\n")
        for plane in planes:
            self._file.write(plane.tobytes())
        self.frames += 1


class NullWriter:
    """Takes pictures like `Y4mWriter` and only counts them."""

    def __init__(self) -> None:
        self.frames = 0
        """Pictures taken so far."""

    def write(self, planes: Planes) -> None:
        """Count one picture."""
        self.frames += 1


class FrameDigest:
    """MD5 over the samples of all pictures: Y, Cb, Cr of each, row by row."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, planes: Planes) -> None:
        """Add one picture; planes of any size and type."""
        for plane in planes:
            self._md5.update(plane.tobytes())

    def hexdigest(self) -> str:
        """The 32 lower-case hexadecimal digits of the digest so far."""
        return self._md5.hexdigest()
