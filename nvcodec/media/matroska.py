"""The little of Matroska (RFC 9559) that PyAV does not let us say."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, Final

from nvcodec.format.hdr import Hdr
from nvcodec.media.description import VideoDescription

_COLOUR: Final = 0x55B0
_CRC: Final = 0xBF
_DISPLAY_HEIGHT: Final = 0x54BA
_DISPLAY_UNIT: Final = 0x54B2
_DISPLAY_WIDTH: Final = 0x54B0
_LUMINANCES: Final = 0x55D9
_MASTERING: Final = 0x55D0
_MAX_CLL: Final = 0x55BC
_MAX_FALL: Final = 0x55BD
_NAME: Final = 0x536E
_PRIMARIES: Final = 0x55D1
_SEGMENT: Final = 0x18538067
_TRACKS: Final = 0x1654AE6B
_TRACK_ENTRY: Final = 0xAE
_VIDEO: Final = 0xE0
_VOID: Final = 0xEC

RESERVED_TITLE: Final = 400 * "-"
"""Title of a video track whose room `write_details` takes."""

# The tracks come after less than this many bytes.
_HEAD_BYTES: Final = 1 << 20


def element(identifier: int, data: bytes) -> bytes:
    """An element with a size of 8 bytes."""
    return _bytes_of(identifier) + (len(data) | 1 << 56).to_bytes(8, "big") + data


def unsigned(identifier: int, value: int) -> bytes:
    """An element that holds an unsigned integer."""
    return element(identifier, value.to_bytes(8, "big"))


def _bytes_of(identifier: int) -> bytes:
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")


def display_size(width: int, height: int, sar: Fraction) -> tuple[int, int]:
    """A width and height in the ratio that a picture is shown in, about as large as it.

    The ratio is exact unless that takes more than four times the height.
    """
    shown = sar * width / height
    if shown.denominator > 4 * height:
        return max(1, round(width * sar)), height
    times = max(1, round(Fraction(height, shown.denominator)))
    return shown.numerator * times, shown.denominator * times


def write_details(file: BinaryIO, description: VideoDescription) -> None:
    """Say `sar` and `hdr` in a complete file whose video track has RESERVED_TITLE.

    libavformat takes them from fields that PyAV does not set.

    Args:
        file: can be read, written and sought in; its position is at the end afterwards.
        description: what the video is.

    """
    video = b""
    if description.sar is not None:
        width, height = display_size(description.width, description.height, description.sar)
        video = unsigned(_DISPLAY_WIDTH, width) + unsigned(_DISPLAY_HEIGHT, height)
    colour = _mastering(description.hdr) if description.hdr is not None else b""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    start, end = next(
        (start, end)
        for kind, _, inside, _ in _elements(head, 0, len(head))
        if kind == _SEGMENT
        for kind, _, start, end in _elements(head, inside, len(head))
        if kind == _TRACKS
    )
    tracks = _amended(head[start:end], video, colour)
    file.seek(start)
    file.write(tracks)
    file.seek(0, 2)


def _mastering(hdr: Hdr) -> bytes:
    """Elements of Colour."""
    found = b""
    if hdr.light is not None:
        found += unsigned(_MAX_CLL, hdr.light[0]) + unsigned(_MAX_FALL, hdr.light[1])
    display = b""
    if hdr.primaries is not None:
        places = [Fraction(place, 50000) for point in hdr.primaries for place in point]
        display += b"".join(_real(_PRIMARIES + k, place) for k, place in enumerate(places))
    if hdr.luminance is not None:
        display += b"".join(
            _real(_LUMINANCES + k, Fraction(one, 10000)) for k, one in enumerate(hdr.luminance)
        )
    return found + (element(_MASTERING, display) if display else b"")


def _real(identifier: int, value: Fraction) -> bytes:
    return element(identifier, struct.pack(">d", value))


def _amended(tracks: bytes, video: bytes, colour: bytes) -> bytes:
    """The content of Tracks, of the same length, with more elements in Video and in its Colour."""
    amended = b""
    crc = None
    for kind, begin, start, end in _elements(tracks, 0, len(tracks)):
        part = tracks[begin:end]
        if kind == _CRC:
            crc = begin, end
        elif kind == _TRACK_ENTRY and RESERVED_TITLE.encode() in part:
            part = part[: start - begin] + _amended_entry(tracks[start:end], video, colour)
        amended += part
    if crc is not None:
        # The first element holds the CRC-32 of those after it.
        begin, end = crc
        checked = zlib.crc32(amended[end:]).to_bytes(4, "little")
        amended = amended[: end - 4] + checked + amended[end:]
    return amended


def _amended_entry(entry: bytes, video: bytes, colour: bytes) -> bytes:
    kept = b""
    for kind, begin, start, end in _elements(entry, 0, len(entry)):
        if kind == _VIDEO:
            said = b""
            for part, first, content, after in _elements(entry, start, end):
                if part == _COLOUR:
                    colour = entry[content:after] + colour
                elif part != _DISPLAY_UNIT or not video:
                    # FFmpeg says that the unit is unknown where the aspect ratio is.
                    said += entry[first:after]
            said += video + (element(_COLOUR, colour) if colour else b"")
            kept += element(_VIDEO, said)
        elif kind != _NAME:
            kept += entry[begin:end]
    # An element of 8 bytes of size that fills what is left.
    return kept + element(_VOID, bytes(len(entry) - len(kept) - 9))


def _elements(data: bytes, place: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """For each element: its identifier, and where it, its content and what follows it begin."""
    while place < stop:
        begin = place
        length = 9 - data[place].bit_length()
        identifier = int.from_bytes(data[place : place + length], "big")
        place += length
        length = 9 - data[place].bit_length()
        size = int.from_bytes(data[place : place + length], "big") & ((1 << 7 * length) - 1)
        place += length
        # A size of ones is unknown: the element goes on to the end.
        end = stop if size == (1 << 7 * length) - 1 else min(place + size, stop)
        yield identifier, begin, place, end
        place = end
