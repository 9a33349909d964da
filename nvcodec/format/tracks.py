"""The aTRK unit (spec 2.14), and what a track and its packets are: a payload to a Track, and back.

Track and Packet are what readers and writers of a file pass; the aPKt unit is in `packets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Final

import construct as c

from nvcodec.format.errors import CorruptError, require
from nvcodec.format.payloads import read_text, require_bytes

AUDIO: Final = "audio"
KINDS: Final = (AUDIO, "subtitle", "data")
"""Kinds of tracks by their number in aTRK."""

DISPOSITIONS: Final = (
    "default",
    "dub",
    "original",
    "comment",
    "lyrics",
    "karaoke",
    "forced",
    "hearing_impaired",
    "visual_impaired",
    "clean_effects",
    "non_diegetic",
    "captions",
    "descriptions",
    "metadata",
    "dependent",
)
"""Names of the bits of `disposition`, from bit 0 on."""

MAX_TRACKS: Final = 64
MAX_TRACK_BYTES: Final = 1 << 18

_RULE: Final = "2.14"

_require = partial(require, rule=_RULE)
_require_bytes = partial(require_bytes, most=MAX_TRACK_BYTES, what="a track", rule=_RULE)

_TRACK: Final = c.Struct(
    "number" / c.Int8ul,
    "kind" / c.Int8ul,
    "disposition" / c.Int32ul,
    "time_base_num" / c.Int32ul,
    "time_base_den" / c.Int32ul,
    "rate" / c.Int32ul,
    "channels" / c.Int16ul,
    "priming" / c.Int32ul,
    "codec" / c.Prefixed(c.Int8ul, c.GreedyBytes),
    "layout" / c.Prefixed(c.Int8ul, c.GreedyBytes),
    "language" / c.Prefixed(c.Int8ul, c.GreedyBytes),
    "title" / c.Prefixed(c.Int16ul, c.GreedyBytes),
    "extradata" / c.Prefixed(c.Int32ul, c.GreedyBytes),
    c.Terminated,
)


@dataclass(frozen=True)
class Track:
    """A track of the source that is not its video.

    Attributes:
        number: ascending in the order of the file.
        kind: "audio", "subtitle" or "data".
        codec: the registered name of its codec, as FFmpeg has it ("aac", "opus", "subrip").
        time_base: seconds of a tick of its packets' times.
        extradata: what a decoder needs before the first packet.
        language: as in the source, ISO 639-2, or "".
        title: "" where there is none.
        disposition: names of what it is for ("default", "forced", "comment").
        rate: samples a second of audio, else 0.
        channels: of audio, else 0.
        priming: samples of audio before the first that is heard. Those after the last are in
            its last packets (`Packet.discard`).
        layout: the channel layout of audio, as FFmpeg has it ("stereo", "5.1(side)"), or "".

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
    layout: str = ""


@dataclass(frozen=True)
class Packet:
    """A packet of a track, as the source had it.

    `pts`, `dts` and `duration` are in ticks of its track; `dts` is None where it is as `pts`.
    `skip` and `discard` are decoded samples of audio that are not heard at its start and end.
    """

    track: int
    pts: int
    duration: int
    data: bytes
    dts: int | None = None
    key: bool = True
    skip: int = 0
    discard: int = 0


def parse_track(payload: bytes) -> Track:
    """Read the payload of an aTRK unit (spec 2.14).

    Raises:
        CorruptError: a field is outside its rule, or the payload is not what its fields say.
        OverLimitError: it is above 2^18 bytes.

    """
    _require_bytes(len(payload))
    try:
        fields = _TRACK.parse(payload)
    except c.ConstructError as error:
        raise CorruptError("the payload is not as long as its fields", rule=_RULE) from error
    _require(fields.kind < len(KINDS), f"kind {fields.kind} is not in 0..{len(KINDS) - 1}")
    _require(
        not fields.disposition >> len(DISPOSITIONS),
        f"disposition {fields.disposition:#x} has undefined bits set",
    )
    _require(fields.time_base_num >= 1 and fields.time_base_den >= 1, "time_base has a 0")
    track = Track(
        number=fields.number,
        kind=KINDS[fields.kind],
        codec=_word("codec", fields.codec),
        time_base=Fraction(fields.time_base_num, fields.time_base_den),
        extradata=fields.extradata,
        language=_word("language", fields.language),
        title=read_text("title", fields.title, _RULE),
        disposition=tuple(
            name for bit, name in enumerate(DISPOSITIONS) if fields.disposition >> bit & 1
        ),
        rate=fields.rate,
        channels=fields.channels,
        priming=fields.priming,
        layout=_word("layout", fields.layout),
    )
    _require_rules(track)
    return track


def build_track(track: Track) -> bytes:
    """The payload of the aTRK unit of a track (spec 2.14).

    Raises:
        CorruptError: a value does not fit its field or breaks its rule.
        OverLimitError: the payload is above 2^18 bytes.

    """
    _require(track.kind in KINDS, f"kind {track.kind!r} is none of {', '.join(KINDS)}")
    for name in track.disposition:
        _require(name in DISPOSITIONS, f"disposition {name!r} is not defined")
    _require_rules(track)
    try:
        payload: bytes = _TRACK.build(
            {
                "number": track.number,
                "kind": KINDS.index(track.kind),
                "disposition": sum(
                    1 << DISPOSITIONS.index(name) for name in set(track.disposition)
                ),
                "time_base_num": track.time_base.numerator,
                "time_base_den": track.time_base.denominator,
                "rate": track.rate,
                "channels": track.channels,
                "priming": track.priming,
                "codec": track.codec.encode("ascii"),
                "layout": track.layout.encode("ascii"),
                "language": track.language.encode("ascii"),
                "title": track.title.encode("utf-8"),
                "extradata": track.extradata,
            }
        )
    except (c.ConstructError, UnicodeError) as error:
        raise CorruptError(f"a value does not fit its field: {error}", rule=_RULE) from error
    _require_bytes(len(payload))
    return payload


def is_word(text: str) -> bool:
    """Whether a text is ASCII without spaces and controls, as codec, layout and language are."""
    return all(33 <= ord(letter) <= 126 for letter in text)


def _word(name: str, data: bytes) -> str:
    text = data.decode("latin-1")
    _require(is_word(text), f"{name} is not of ASCII letters")
    return text


def _require_rules(track: Track) -> None:
    _require(track.codec != "", "codec is empty")
    _require(
        is_word(track.codec + track.layout + track.language),
        "codec, layout or language is not of ASCII letters",
    )
    _require(track.time_base > 0, "time_base is not above 0")
    of_audio = track.rate, track.channels, track.priming
    _require(
        track.kind == AUDIO or not (any(of_audio) or track.layout),
        f"a {track.kind} track has rate, channels, priming or layout",
    )
