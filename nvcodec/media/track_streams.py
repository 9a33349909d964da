"""Streams of an output container for tracks whose packets are copied."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from functools import cache
from typing import Any, Final

import av
from av.container import OutputContainer
from av.packet import Packet as MuxedPacket
from av.stream import Disposition, Stream

from nvcodec.format.tracks import Track
from nvcodec.media.libav import reason
from nvcodec.media.matroska import element, unsigned

# PyAV makes a stream without an encoder from the stream of a file only. So a header of Matroska is
# made of the track and read. These are the names that Matroska has for FFmpeg's codecs.
_MATROSKA_NAMES: Final = {
    "aac": "A_AAC",
    "ac3": "A_AC3",
    "alac": "A_ALAC",
    "ass": "S_TEXT/ASS",
    "dts": "A_DTS",
    "dvb_subtitle": "S_DVBSUB",
    "dvd_subtitle": "S_VOBSUB",
    "eac3": "A_EAC3",
    "flac": "A_FLAC",
    "hdmv_pgs_subtitle": "S_HDMV/PGS",
    "hdmv_text_subtitle": "S_HDMV/TEXTST",
    "mlp": "A_MLP",
    "mp1": "A_MPEG/L1",
    "mp2": "A_MPEG/L2",
    "mp3": "A_MPEG/L3",
    "opus": "A_OPUS",
    "pcm_f32le": "A_PCM/FLOAT/IEEE",
    "pcm_f64le": "A_PCM/FLOAT/IEEE",
    "pcm_s16be": "A_PCM/INT/BIG",
    "pcm_s16le": "A_PCM/INT/LIT",
    "pcm_s24be": "A_PCM/INT/BIG",
    "pcm_s24le": "A_PCM/INT/LIT",
    "pcm_s32be": "A_PCM/INT/BIG",
    "pcm_s32le": "A_PCM/INT/LIT",
    "pcm_u8": "A_PCM/INT/LIT",
    "subrip": "S_TEXT/UTF8",
    "truehd": "A_TRUEHD",
    "tta": "A_TTA1",
    "vorbis": "A_VORBIS",
    "wavpack": "A_WAVPACK4",
    "webvtt": "S_TEXT/WEBVTT",
}
# Other codecs, with the container that an empty track of theirs can be read from.
_EMPTY_FILES: Final = {
    "amr_nb": "wav",
    "amr_wb": "wav",
    "eia_608": "mov",
    "mov_text": "mov",
    "pcm_alaw": "wav",
    "pcm_mulaw": "wav",
}
_PCM_BITS: Final = {"u8": 8, "s16": 16, "s24": 24, "s32": 32, "f32": 32, "f64": 64}
# Channel layouts of so many channels, as FFmpeg has them by default.
_LAYOUTS: Final = ("", "mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
_KINDS: Final = {"audio": 2, "subtitle": 0x11}


class TrackRefusedError(ValueError):
    """The container does not take a track."""


_BIBLIOGRAPHIC: Final = {
    "bod": "tib", "ces": "cze", "cym": "wel", "deu": "ger", "ell": "gre", "eus": "baq",
    "fas": "per", "fra": "fre", "hye": "arm", "isl": "ice", "kat": "geo", "mkd": "mac",
    "mri": "mao", "msa": "may", "mya": "bur", "nld": "dut", "ron": "rum", "slk": "slo",
    "sqi": "alb", "zho": "chi",
}  # fmt: skip
"""The older codes of ISO 639-2, by the newer ones of the same languages."""


@cache
def written_language(muxer: str, language: str) -> str:
    """The code that FFmpeg's muxer "mov" or "mp4" writes for a language, "" where it has none."""
    codes = (language, _BIBLIOGRAPHIC.get(language, language))
    return next((code for code in codes if _is_written(muxer, code)), "")


def _is_written(muxer: str, language: str) -> bool:
    sink = io.BytesIO()
    with av.open(sink, "w", format=muxer) as container:
        stream = container.add_mux_stream("pcm_s16le", rate=8000)
        stream.metadata["language"] = language
        packet: MuxedPacket[Any] = MuxedPacket(bytes(2))
        packet.stream = stream
        packet.pts = packet.dts = 0
        container.mux(packet)
    with av.open(io.BytesIO(sink.getvalue()), "r") as written:
        return written.streams[0].metadata.get("language") == language


def add_track_stream(output: OutputContainer, track: Track) -> Stream:
    """Add a stream for the packets of a track to a container whose header is not yet written.

    Raises TrackRefusedError when the container does not take it.
    """
    try:
        stream = _add(output, track)
        stream.time_base = track.time_base
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise TrackRefusedError(reason(error)) from error
    disposition = Disposition(0)
    for name in track.disposition:
        disposition |= Disposition.__members__.get(name, Disposition(0))
    stream.disposition = disposition
    for name, text in (("language", track.language), ("title", track.title)):
        if text:
            stream.metadata[name] = text
    return stream


def _add(output: OutputContainer, track: Track) -> Stream:
    if track.codec in _MATROSKA_NAMES:
        data = _matroska(track)
    elif track.codec in _EMPTY_FILES:
        data = _empty_file(track)
    elif track.kind == "data":
        return output.add_data_stream(track.codec or None)
    else:
        raise TrackRefusedError(f"packets of {track.codec} are not copied")
    with av.open(io.BytesIO(data), "r") as template:
        stream = output.add_stream_from_template(template.streams[0])
    context: Any = stream.codec_context
    context.extradata = track.extradata or None
    if track.kind == "audio":
        context.sample_rate = track.rate
        # A template may have no layout, which is then named by its number of channels.
        known = context.layout.name in _LAYOUTS and context.channels == track.channels
        if track.layout:
            context.layout = track.layout
        elif not known and track.channels < len(_LAYOUTS):
            context.layout = _LAYOUTS[track.channels]
    return stream


def _empty_file(track: Track) -> bytes:
    """A file with a track of the same codec and one packet."""
    sink = io.BytesIO()
    with av.open(sink, "w", format=_EMPTY_FILES[track.codec]) as container:
        stream = container.add_mux_stream(track.codec, rate=track.rate or None)
        stream.time_base = track.time_base
        packet: MuxedPacket[Any] = MuxedPacket(bytes(64))
        packet.stream = stream
        packet.pts = packet.dts = 0
        packet.duration = 1
        container.mux(packet)
    return sink.getvalue()


def _matroska(track: Track) -> bytes:
    """A header of Matroska (RFC 9559) with this track, and an empty cluster."""
    entry = [
        unsigned(0xD7, 1),
        unsigned(0x73C5, 1),
        unsigned(0x83, _KINDS[track.kind]),
        element(0x86, _MATROSKA_NAMES[track.codec].encode()),
    ]
    if track.extradata:
        entry.append(element(0x63A2, _private(track)))
    if track.kind == "audio":
        sound = element(0xB5, struct.pack(">d", track.rate)) + unsigned(0x9F, track.channels)
        if track.codec.startswith("pcm_"):
            sound += unsigned(
                0x6264, _PCM_BITS[track.codec[4:].removesuffix("le").removesuffix("be")]
            )
        if track.priming and track.rate:
            delay = round(track.priming * Fraction(10**9, track.rate))
            entry.append(unsigned(0x56AA, delay))
        entry.append(element(0xE1, sound))
    tracks = element(0x1654AE6B, element(0xAE, b"".join(entry)))
    cluster = element(0x1F43B675, unsigned(0xE7, 0))
    head = element(0x1A45DFA3, element(0x4282, b"matroska"))
    return head + element(0x18538067, tracks + cluster)


def _private(track: Track) -> bytes:
    """The extradata of FFmpeg as Matroska has it."""
    if track.codec == "flac" and not track.extradata.startswith(b"fLaC"):
        # The last metadata block of a FLAC file, STREAMINFO.
        return b"fLaC\x80" + len(track.extradata).to_bytes(3, "big") + track.extradata
    if track.codec == "alac":
        # Without the head of the box that MP4 has it in.
        return track.extradata[12:]
    return track.extradata
