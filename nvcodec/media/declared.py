"""What a stream declares and PyAV has no name for: crop, chroma siting, Dolby Vision.

Muxers write these. So a header is made from the stream's parameters and read: a Matroska header for
coded video, a Y4M header for Y4M.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import av
from av.video.stream import VideoStream

from nvcodec.media.chroma_location import UNKNOWN

# Elements of Matroska (RFC 9559): those that have elements in them, on the way to a video track.
_MASTERS: Final = {0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x55B0, 0x41E4}
_CROPS: Final = {0x54CC: 0, 0x54BB: 1, 0x54DD: 2, 0x54AA: 3}
_SITING_ACROSS: Final = 0x55B7
_SITING_DOWN: Final = 0x55B8
_ADDITION_TYPE: Final = 0x41E7
_ADDITION_DATA: Final = 0x41ED

_DOLBY_VISION: Final = (b"dvcC", b"dvvC", b"dvwC")
# (ChromaSitingHorz, ChromaSitingVert): 1 co-sited, 2 half way.
_SITINGS: Final = {(1, 2): 0, (2, 2): 1, (1, 1): 2, (2, 1): 3}
_Y4M_TYPES: Final = {b"C420mpeg2": 0, b"C420jpeg": 1, b"C420paldv": 2}


class Crop(NamedTuple):
    """Samples to cut off the coded picture at each side, before it is turned."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


_WHOLE: Final = Crop()


@dataclass(frozen=True)
class Declared:
    """What a stream declares.

    Attributes:
        crop: samples that are not to be shown.
        chroma_location: H.273 chroma sample location type 0..5, 255 unspecified.
        dolby_vision: profile of Dolby Vision, None without.

    """

    crop: Crop = _WHOLE
    chroma_location: int = UNKNOWN
    dolby_vision: int | None = None


def declared(stream: VideoStream, container_format: str) -> Declared:
    """What a stream of a container of that format declares."""
    if "yuv4mpegpipe" in container_format:
        tags = set(_header(stream, "yuv4mpegpipe").split(b"\n", 1)[0].split())
        return Declared(
            chroma_location=next((k for tag, k in _Y4M_TYPES.items() if tag in tags), UNKNOWN)
        )
    crop = [0, 0, 0, 0]
    siting = [0, 0]
    profile: int | None = None
    addition = b""
    for kind, payload in _elements(_header(stream, "matroska")):
        if kind in _CROPS:
            crop[_CROPS[kind]] = int.from_bytes(payload, "big")
        elif kind in (_SITING_ACROSS, _SITING_DOWN):
            siting[kind - _SITING_ACROSS] = int.from_bytes(payload, "big")
        elif kind == _ADDITION_TYPE:
            addition = payload
        elif kind == _ADDITION_DATA and addition in _DOLBY_VISION and len(payload) > 2:
            profile = payload[2] >> 1
    return Declared(Crop(*crop), _SITINGS.get((siting[0], siting[1]), UNKNOWN), profile)


def _header(stream: VideoStream, container_format: str) -> bytes:
    sink = io.BytesIO()
    options = {"strict": "-1"} if container_format == "yuv4mpegpipe" else {}
    try:
        with av.open(sink, "w", format=container_format, options=options) as output:
            output.add_stream_from_template(stream)
            output.start_encoding()
    except (av.FFmpegError, ValueError, RuntimeError):
        return b""
    return sink.getvalue()


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a Matroska header that have no elements in them: (identifier, payload)."""
    at = 0
    while at < len(data):
        kind, at = _number(data, at, marked=True)
        size, at = _number(data, at, marked=False)
        if kind in _MASTERS:
            continue
        yield kind, data[at : at + size]
        at += size


def _number(data: bytes, at: int, *, marked: bool) -> tuple[int, int]:
    """(the number of variable length at a place, the place after it)."""
    length = 9 - data[at].bit_length() if data[at] else 8
    value = int.from_bytes(data[at : at + length], "big")
    return (value if marked else value & ((1 << 7 * length) - 1)), at + length
