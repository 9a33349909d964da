"""Where the chroma samples of a source lie (H.273 chroma sample location type)."""

from __future__ import annotations

import io
import re
from typing import Final

import av
from av.video.stream import VideoStream

from nvcodec.media.colour import CHROMA_OFFSETS
from nvcodec.media.notes import Notes
from nvcodec.media.orientation import Orientation

UNKNOWN: Final = 255
CENTRED: Final = 1

_Y4M_TYPES: Final = {b"C420mpeg2": 0, b"C420jpeg": 1, b"C420paldv": 2}


def of_stream(stream: VideoStream, container_format: str) -> int:
    """The type that a stream declares, or UNKNOWN."""
    # PyAV does not expose the chroma location, but muxers write it. So a header is made from the
    # stream's parameters and read: a Matroska header for coded video, a Y4M header for Y4M.
    is_y4m = "yuv4mpegpipe" in container_format
    sink = io.BytesIO()
    try:
        with av.open(
            sink,
            "w",
            format="yuv4mpegpipe" if is_y4m else "matroska",
            options={"strict": "-1"} if is_y4m else {},
        ) as output:
            output.add_stream_from_template(stream)
            output.start_encoding()
    except (av.FFmpegError, ValueError, RuntimeError):
        return UNKNOWN
    header = sink.getvalue()
    if is_y4m:
        tags = set(header.split(b"\n", 1)[0].split())
        return next((k for tag, k in _Y4M_TYPES.items() if tag in tags), UNKNOWN)
    # ChromaSitingHorz and ChromaSitingVert: one byte each, 1 co-sited, 2 half way.
    siting = re.search(rb"\x55\xb7\x81([\x01\x02])\x55\xb8\x81([\x01\x02])", header)
    if siting is None:
        return UNKNOWN
    return {(1, 2): 0, (2, 2): 1, (1, 1): 2, (2, 1): 3}[siting[1][0], siting[2][0]]


def turned(location: int, orientation: Orientation, size: tuple[int, int], notes: Notes) -> int:
    """The type, or the nearest one, after pictures have been turned; `size` is the displayed size.

    UNKNOWN is treated as type 0. If turning does not move that, the result is UNKNOWN again.
    """
    if not orientation:
        return location
    shown = 0 if location == UNKNOWN else location
    x, y = orientation.chroma_offset(CHROMA_OFFSETS[shown], *size)
    nearest = min(
        CHROMA_OFFSETS, key=lambda k: abs(CHROMA_OFFSETS[k][0] - x) + abs(CHROMA_OFFSETS[k][1] - y)
    )
    if CHROMA_OFFSETS[nearest] != (x, y):
        notes.add("chroma position after the rotation has no code: the nearest is signalled")
    return location if nearest == shown else nearest
