"""Where a source ends: the times that it states, and a sentence where it was cut."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from nvcodec.media.packets import Packets
from nvcodec.words import counted

_CLOCK: Final = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")

_WITHOUT_HEADERS: Final = ("yuv4mpegpipe", "rawvideo")
"""Formats of frames of one size, one after the other."""

_DECLARING: Final = ("matroska", "mov", "avi", "flv", "asf")
"""Formats whose headers state a length; that of others is an estimate from what is there."""


def ends_early(
    container: InputContainer,
    stream: VideoStream,
    packets: Packets,
    found: int,
    size: int | None,
    rate: Fraction | None,
) -> str | None:
    """Say what is missing at the end of a source that has been read whole; None if nothing is.

    Args:
        container: the source.
        stream: its video.
        packets: all of them have been read.
        found: frames that they gave.
        size: bytes of the source, None when unknown.
        rate: frames per second, None when unknown.

    """
    names = container.format.name.split(",")
    if any(name in _WITHOUT_HEADERS for name in names):
        if packets.end is not None and size is not None and size > packets.end:
            return f"the source ends inside frame {found}"
        return None
    declared: int | None = stream.frames or None
    about = ""
    if not packets.cut:
        if not any(name in _DECLARING for name in names):
            return None
        length = _declared_length(container)
        if length is None or packets.reached is None:
            if found >= stream.frames:
                return None
        elif packets.reached >= length - 2 / (rate or Fraction(25)) - length / 100:
            return None
        elif declared is None and rate:
            declared, about = round(length * rate), "about "
    if declared is None or declared <= found:
        return f"the source is cut: it ends after {counted(found, 'frame')}"
    return f"the source declares {about}{counted(declared, 'frame')} but ends after {found}"


def stated_ends(container: InputContainer, stream: VideoStream) -> list[Fraction]:
    """Times in seconds at which the source says that its video ends, then its last track."""
    ends = []
    # Matroska has it for each track.
    stated = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if stated:
        hours, minutes, seconds = stated.groups()
        ends.append(3600 * int(hours) + 60 * int(minutes) + Fraction(seconds))
    length = _declared_length(container)
    if length is not None:
        ends.append(Fraction(container.start_time or 0, av.time_base) + length)
    return ends


def _declared_length(container: InputContainer) -> Fraction | None:
    """The time in seconds at which the last track ends."""
    if not container.duration:
        return None
    return Fraction(container.duration, av.time_base)
