"""Which video codec an output file gets, and in which sample format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

import av
from av.codec import Codec

from nvcodec.media.description import VideoDescription
from nvcodec.media.video_frame import pixel_format
from nvcodec.picture import MONOCHROME, SampleFormat

# The codecs of each container, in the order in which they are tried, when none is asked for.
_DEFAULTS: Final = {
    ".mkv": ("ffv1",),
    ".mov": ("libx264", "libx265", "prores_ks"),
    ".webm": ("libvpx-vp9", "libsvtav1"),
}
_DEFAULTS_OF_MP4: Final = ("libx264", "libx265", "libvpx-vp9", "libsvtav1")

# Options that codecs get when none are asked for, and in words what they mean. Without frames that
# are shown in another order than coded, MP4 has the duration of each.
_OPTIONS: Final[Mapping[str, tuple[dict[str, str], str]]] = {
    "ffv1": ({"level": "3", "slicecrc": "1"}, "lossless"),
    "libvpx-vp9": ({"lossless": "1", "row-mt": "1", "cpu-used": "4"}, "lossless"),
    "libx264": ({"crf": "6", "bf": "0"}, "near-lossless, crf 6"),
    "libx265": ({"crf": "6", "bf": "0"}, "near-lossless, crf 6"),
    "libsvtav1": ({"crf": "8", "preset": "8"}, "near-lossless, crf 8"),
}

# libx264 and libx265 take only whole chroma samples.
_WHOLE_CHROMA: Final = ("libx264", "libx265")

_FORMATS: Final = {
    pixel_format(sample_format): sample_format
    for sample_format in (SampleFormat(depth, k) for depth in (8, 10, 12) for k in range(4))
}


class OutputError(ValueError):
    """The output file cannot be as it is asked for; the message says what to do."""


@dataclass(frozen=True)
class Encoding:
    """How a video is coded in an output file.

    Attributes:
        codec: FFmpeg's name of the encoder.
        options: options of the encoder.
        sample_format: the format that the encoder gets.
        words: the choice in words: "ffv1, lossless".

    """

    codec: str
    sample_format: SampleFormat
    options: dict[str, str] = field(default_factory=dict)
    words: str = ""


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix of a path, in lower case."""
    return PurePath(path).suffix.lower()


def choose_encoding(
    path: str | os.PathLike[str],
    description: VideoDescription,
    codec: str | None = None,
    options: Mapping[str, str] | None = None,
) -> Encoding:
    """How the described video is coded in a file at `path`.

    Args:
        path: its suffix names the container: .mkv, .mp4, .m4v, .mov or .webm.
        description: what the video is.
        codec: an encoder or a codec of FFmpeg; None for the container's default, which is lossless
            where the container has a codec for that which programs play.
        options: of the encoder; they replace the defaults, None for these.

    Raises:
        OutputError: there is no such encoder, or it takes none of the formats of a video.

    """
    if codec is not None:
        return _encoding(codec, description, options)
    names = _DEFAULTS.get(suffix_of(path), _DEFAULTS_OF_MP4)
    encodings = [_encoding(name, description, options) for name in names if _exists(name)]
    if not encodings:
        raise OutputError(f"FFmpeg has none of {', '.join(names)} here: name another with --codec")
    fitting = [e for e in encodings if _takes_size(e, description)] or encodings
    given = description.sample_format
    # The first of those that lose the least.
    return min(fitting, key=lambda e: _loss(given, e.sample_format)[:2])


def _exists(codec: str) -> bool:
    try:
        Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _takes_size(encoding: Encoding, description: VideoDescription) -> bool:
    across, down = encoding.sample_format.chroma_shift
    whole = not description.width % (1 << across) and not description.height % (1 << down)
    return whole or encoding.codec not in _WHOLE_CHROMA


def _encoding(
    codec: str, description: VideoDescription, options: Mapping[str, str] | None
) -> Encoding:
    if not _exists(codec):
        raise OutputError(f"FFmpeg has no encoder {codec!r} here (--codec)")
    encoder = Codec(codec, "w")
    if encoder.type != "video":
        raise OutputError(f"{codec} is a codec of {encoder.type}, not of video (--codec)")
    given = description.sample_format
    taken = [_FORMATS[f.name] for f in encoder.video_formats or () if f.name in _FORMATS]
    if encoder.video_formats and not taken:
        raise OutputError(f"{codec} takes no YCbCr of 8, 10 or 12 bits: name another with --codec")
    target = min(taken, key=lambda one: _loss(given, one)) if taken else given
    defaults, meaning = _OPTIONS.get(encoder.name, ({}, "its own defaults"))
    if options is not None:
        defaults, meaning = dict(options), ",".join(f"{k}={v}" for k, v in options.items())
    words = f"{encoder.name}, {meaning}"
    if target != given and not _only_neutral_chroma_added(given, target):
        words += f", converted from {pixel_format(given)} to {pixel_format(target)}"
    return Encoding(encoder.name, target, dict(defaults), words)


def _loss(given: SampleFormat, target: SampleFormat) -> tuple[int, int, int, int]:
    """What a conversion loses, then what it adds in vain; smaller is better."""
    bits, chroma = target.bit_depth - given.bit_depth, target.chroma_format - given.chroma_format
    return max(0, -bits), max(0, -chroma), max(0, bits), max(0, chroma)


def _only_neutral_chroma_added(given: SampleFormat, target: SampleFormat) -> bool:
    return given.chroma_format == MONOCHROME and target.bit_depth == given.bit_depth
