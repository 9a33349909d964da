"""Tracks beside the video, as a file keeps them: what they are, and their packets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Track:
    """A track of the source that is not its video.

    Attributes:
        number: from 0 on, in the order of the file.
        kind: "audio", "subtitle" or "data".
        codec: the registered name of its codec, as FFmpeg has it ("aac", "opus", "subrip").
        time_base: seconds of a tick of its packets' times.
        extradata: what a decoder needs before the first packet.
        language: as in the source, ISO 639-2, or "".
        title: "" where there is none.
        disposition: names of what it is for ("default", "forced", "comment").
        rate: samples a second of audio, else 0.
        channels: of audio, else 0.
        priming: samples of audio before the first that is heard.
        padding: samples of audio after the last that is heard.

    """

    number: int
    kind: str
    codec: str
    time_base: Fraction
    extradata: bytes = b""
    language: str = ""
    title: str = ""
    disposition: tuple[str, ...] = ()
    rate: int = 0
    channels: int = 0
    priming: int = 0
    padding: int = 0


@dataclass(frozen=True)
class Packet:
    """A packet of a track, as the source had it.

    `pts`, `dts` and `duration` are in ticks of its track; `dts` is None where it is as `pts`.
    """

    track: int
    pts: int
    duration: int
    data: bytes
    dts: int | None = None
    key: bool = True
