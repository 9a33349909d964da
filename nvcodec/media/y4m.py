"""Y4M output, and writers that only count or digest pictures.

Does not import PyAV, as nvdec uses this module.
"""

import hashlib
from fractions import Fraction
from typing import BinaryIO, Final

from nvcodec.picture import YUV420P8, Planes, SampleFormat

# Y4M names three of the six H.273 chroma locations, in 8-bit 4:2:0 only. The others take the name
# nearest in position: 3 (top) and 5 (bottom) are half a luma row from center, 4 (bottom left) from
# left.
_LOCATION_TAG: Final = {
    0: "C420mpeg2",
    1: "C420jpeg",
    2: "C420paldv",
    3: "C420jpeg",
    4: "C420mpeg2",
    5: "C420jpeg",
    255: "C420mpeg2",
}
_FIELD_TAG: Final = {None: "Ip", "top": "It", "bottom": "Ib"}
_RANGE_TAG: Final = {0: " XCOLORRANGE=LIMITED", 1: " XCOLORRANGE=FULL", 2: ""}


_LAYOUT_TAG: Final = {0: "Cmono", 1: "C420", 2: "C422", 3: "C444"}


def _chroma_tag(samples: SampleFormat, chroma_location: int) -> str:
    """The tag of a format, which FFmpeg's programs know."""
    located = _LOCATION_TAG[chroma_location]
    if samples == YUV420P8:
        return located
    layout, depth = _LAYOUT_TAG[samples.chroma_format], samples.bit_depth
    if depth == 8:
        return layout
    if not samples.chroma_format:
        return f"{layout}{depth}"
    return f"{layout}p{depth} XYSCSS={layout[1:]}P{depth}"


def _check_shapes(planes: Planes, samples: SampleFormat, width: int, height: int) -> None:
    dtype, shapes = samples.dtype, samples.plane_shapes(width, height)
    if len(planes) != len(shapes):
        raise ValueError(f"{len(planes)} planes, {samples} has {len(shapes)}")
    for plane, shape in zip(planes, shapes, strict=True):
        if plane.shape != shape or plane.dtype != dtype:
            raise ValueError(f"plane of {plane.dtype} {plane.shape}, expected {dtype} {shape}")


class Y4mWriter:
    """Writes pictures as YUV4MPEG2; samples above 8 bits as u16, little-endian.

    The header is written on construction. `file` is a buffered binary file; it is neither
    flushed nor closed. `frame_rate` None is written as 25:1, because most readers refuse an
    unknown rate, and `sar` None as 0:0, which means unknown. `full_range` is 0 limited, 1 full,
    2 unspecified. `chroma_location` is an H.273 type 0..5, or 255 for unspecified, which is
    written as left; formats other than 8-bit 4:2:0 have no tag for it. `field_order` is the field
    that comes first, "top" or "bottom", or None for progressive pictures.

    Raises KeyError for another range, location or field, OSError when the file does.
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
        sample_format: SampleFormat = YUV420P8,
        field_order: str | None = None,
    ) -> None:
        rate = Fraction(25) if frame_rate is None else frame_rate
        aspect = "0:0" if sar is None else f"{sar.numerator}:{sar.denominator}"
        fields = (
            f"W{width} H{height} F{rate.numerator}:{rate.denominator} {_FIELD_TAG[field_order]}",
            f"A{aspect} {_chroma_tag(sample_format, chroma_location)}{_RANGE_TAG[full_range]}",
        )
        self._file = file
        self._size = (width, height)
        self._samples = sample_format
        self.frames = 0
        """Pictures written so far."""
        file.write(f"YUV4MPEG2 {' '.join(fields)}\n".encode("ascii"))

    def write(self, planes: Planes) -> None:
        """Append one picture: planes of the format and size in the header.

        Raises ValueError for planes of another number, size or type, OSError when the file does.
        """
        _check_shapes(planes, self._samples, *self._size)
        stored = self._samples.dtype.newbyteorder("<")
        self._file.write(b"FRAME\n")
        for plane in planes:
            self._file.write(plane.astype(stored, copy=False).tobytes())
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
