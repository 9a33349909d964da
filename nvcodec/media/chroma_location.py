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
from nvcodec.picture import SampleFormat

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


def rendered(location: int) -> int:
    """The type 0..5 that a type or UNKNOWN renders as (spec 2.4)."""
    return 0 if location == UNKNOWN else location


def resampled(location: int) -> int:
    """The type that chroma gets at another resolution: across as before, down half way."""
    return CENTRED if CHROMA_OFFSETS[rendered(location)][0] else 0


def turned(
    location: int,
    orientation: Orientation,
    samples: SampleFormat,
    size: tuple[int, int],
    notes: Notes,
) -> int:
    """The type, or the nearest one, after pictures have been turned.

    `samples` and `size` are those of the displayed pictures. UNKNOWN is treated as type 0. If
    turning does not move that, the result is UNKNOWN again.
    """
    if not orientation:
        return location
    x, y = orientation.chroma_offset(CHROMA_OFFSETS[rendered(location)], samples, *size)
    across, down = samples.chroma_shift

    def distance(type_: int) -> float:
        column, row = CHROMA_OFFSETS[type_]
        return across * abs(column - x) + down * abs(row - y)

    nearest = min(CHROMA_OFFSETS, key=distance)
    if distance(nearest):
        notes.add("chroma position after the rotation has no code: the nearest is signalled")
    return location if distance(rendered(location)) == distance(nearest) else nearest
