"""Output containers: frames in, coded by FFmpeg's codecs, and the packets of tracks, copied."""

from __future__ import annotations

import io
import math
import os
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, BinaryIO, Final

import av
from av.container import OutputContainer
from av.packet import Packet as MuxedPacket
from av.packet import PacketSideData
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from nvcodec.format.chapters import Chapter
from nvcodec.format.hdr import Hdr
from nvcodec.format.tracks import Packet, Track
from nvcodec.media.conversion import Conversion
from nvcodec.media.description import VideoDescription
from nvcodec.media.encoding import Encoding, OutputError, suffix_of
from nvcodec.media.libav import PromptWriter, reason
from nvcodec.media.matroska import RESERVED_TITLE, write_details
from nvcodec.media.track_streams import TrackRefusedError, add_track_stream, written_language
from nvcodec.media.video_frame import pixel_format, range_code, video_frame
from nvcodec.picture import Planes
from nvcodec.words import counted

# FFmpeg's names of the containers. Others have that of their suffix.
_MUXERS: Final = {
    ".aac": "adts",
    ".m4a": "ipod",
    ".m4v": "mp4",
    ".mka": "matroska",
    ".mkv": "matroska",
}

_ONE_TRACK: Final = (".aac", ".ac3", ".eac3", ".flac", ".mp3", ".wav")

# In these, the durations of frames are those between times of decoding.
_QUICKTIME: Final = ("ipod", "mov", "mp4")
_MATROSKA: Final = ("matroska", "webm")

_MOST_RATIO: Final = 1 << 16
_MOST_TICKS: Final = 2**31 - 1
"""Most ticks a second of a time base in FFmpeg."""

# AV_PKT_DATA_SKIP_SAMPLES: where PyAV keeps its number is no part of its API.
_SKIP_SAMPLES: Final = 11

# For each encoder with options for it: the option, the names in it of mastering display and content
# light level, and the units of chromaticities and luminances beside those of Hdr.
_MASTERING: Final = {
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light", 1 / 50000, 1 / 10000),
    "libx264": ("x264-params", "mastering-display", "cll", 1, 1),
    "libx265": ("x265-params", "master-display", "max-cll", 1, 1),
}


_FIELD_ORDERS: Final = {"top": "tt", "bottom": "bb"}
"""FFmpeg's names of the field orders of frames that are coded whole."""

_WITHOUT_FIELDS: Final = ("libsvtav1", "libvpx-vp9", "libx264")
"""Encoders that mark all frames as progressive."""


class ContainerWriter:
    """Writes a video, tracks, or both to a container.

    Frames and packets may come in any order of each other; the container gets them interleaved.
    Times are kept as exactly as the container has them: Matroska and WebM have milliseconds.

    Args:
        file: a binary file, which is neither flushed nor closed. Most containers need to seek.
        path: its suffix names the container.
        description: what the video is; None for tracks alone.
        encoding: how it is coded, from `choose_encoding`; None for tracks alone.
        tracks: the tracks to copy.
        chapters: of the video.
        tags: title and the like, of the whole file.

    Attributes:
        frames: frames written so far.
        left_out: for each track or part of one that the container does not take, a line that says
            so.

    Raises:
        OutputError: the container does not take the codec, or the codec not the options or size.
        OSError: the file cannot be written, here and in all methods.

    """

    def __init__(
        self,
        file: BinaryIO,
        path: str | os.PathLike[str],
        description: VideoDescription | None = None,
        encoding: Encoding | None = None,
        tracks: Sequence[Track] = (),
        chapters: Sequence[Chapter] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        av.logging.set_level(av.logging.PANIC)
        self.frames = 0
        self.left_out: list[str] = []
        self._suffix = suffix_of(path)
        self._muxer = _MUXERS.get(self._suffix, self._suffix[1:])
        self._file = file
        self._sink = PromptWriter(file, os.fspath(path))
        options = {}
        if self._muxer in _QUICKTIME:
            # Where tracks begin is counted in these.
            bases = [] if description is None else [description.time_base]
            options["movie_timescale"] = str(_movie_timescale(bases, tracks))
        self._container: OutputContainer = av.open(
            self._sink, "w", format=self._muxer, container_options=options
        )
        self._container.metadata.update(tags or {})
        self._container.set_chapters(
            [
                {
                    "id": number,
                    "start": chapter.start,
                    "end": chapter.end,
                    "time_base": chapter.time_base,
                    "metadata": {"title": chapter.title},
                }
                for number, chapter in enumerate(chapters, 1)
            ]
        )
        self._durations: dict[int, int] = {}
        self._first_pts = self._end = 0
        self._first_dts: int | None = None
        self._held: MuxedPacket[Any] | None = None
        self._video: VideoStream | None = None
        if description is not None and encoding is not None:
            self._conversion = Conversion(description, encoding.sample_format)
            self._video = self._add_video(self._conversion.description, encoding)
        self._tracks: dict[int, tuple[Track, Stream]] = {}
        self._refused: Counter[int] = Counter()
        for track in tracks:
            self._add_track(track)
        if not self._container.streams:
            raise OutputError(f"nothing is left to write: {'; '.join(self.left_out)}")
        try:
            self._container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(self._refusal(encoding, error)) from error
        self._sink.check()
        if self._video is not None and encoding is not None:
            self._require_known_options(encoding)

    def _refusal(self, encoding: Encoding | None, error: Exception) -> str:
        log: Any = error.log if isinstance(error, av.FFmpegError) else None
        why = " ".join(log[2].split()) if log else reason(error)
        asked = f"{encoding.codec} in " if encoding is not None else ""
        return f"{asked}a {self._suffix} file is not possible as asked for: {why}"

    def _add_video(self, description: VideoDescription, encoding: Encoding) -> VideoStream:
        # These encoders print on standard error unless they are told not to.
        if encoding.codec == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")
        options = dict(encoding.options)
        if encoding.codec == "libx265":
            _extend(options, "x265-params", "log-level=error")
        if description.hdr is not None:
            _add_mastering(options, encoding.codec, description.hdr)
        options["chroma_sample_location"] = description.colour.chroma_location_name
        if description.field_order is not None:
            options.setdefault("field_order", _FIELD_ORDERS[description.field_order])
            if encoding.codec in _WITHOUT_FIELDS:
                self.left_out.append(
                    f"left out the field order, {description.field_order} field first, which"
                    f" {encoding.codec} does not write: a .mkv file has it"
                )
        rate = description.frame_rate
        base = description.time_base
        if max(base.numerator, base.denominator) > _MOST_TICKS:
            raise OutputError(f"a time base of {base} s is more than FFmpeg has: use --fps")
        try:
            stream = self._container.add_stream(encoding.codec, rate=rate or 25, options=options)
        except ValueError as error:
            raise OutputError(
                f"a {self._suffix} file does not take {encoding.codec}: name another codec with"
                " --codec, or another container"
            ) from error
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height = description.width, description.height
        context.pix_fmt = pixel_format(encoding.sample_format)
        context.time_base = description.time_base
        if encoding.codec == "libx265" and self._muxer in _QUICKTIME:
            # Without this tag QuickTime does not play it.
            context.codec_tag = "hvc1"
        stream.time_base = description.time_base
        if description.sar is not None:
            context.sample_aspect_ratio = description.sar.limit_denominator(_MOST_RATIO)
        if self._needs_details:
            stream.metadata["title"] = RESERVED_TITLE
        context.color_primaries = description.colour.primaries
        context.color_trc = description.colour.transfer
        context.colorspace = description.colour.matrix
        context.color_range = range_code(description.colour.full_range)
        return stream

    @property
    def _needs_details(self) -> bool:
        """Whether the complete file has to be amended."""
        described = self._conversion.description
        known = described.sar is not None or described.hdr is not None
        return self._muxer in _MATROSKA and known and self._file.readable()

    def _require_known_options(self, encoding: Encoding) -> None:
        assert self._video is not None
        # What an encoder does not know is left there when it has been opened.
        unknown = sorted(set(self._video.codec_context.options) & set(encoding.options))
        if unknown:
            raise OutputError(f"{encoding.codec} has no option {unknown[0]!r} (--codec-options)")

    def _add_track(self, track: Track) -> None:
        if self._tracks and self._suffix in _ONE_TRACK:
            self.left_out.append(
                f"left out track {track.number} ({track.kind}, {track.codec}):"
                f" a {self._suffix} file has one"
            )
            return
        try:
            if self._suffix == ".wav" and not track.codec.startswith("pcm_"):
                # FFmpeg writes others, too, but then hardly anything reads the file.
                raise TrackRefusedError(f"{track.codec} is no PCM")
            # A refusal may come as late as with the header, hence the trial.
            with av.open(io.BytesIO(), "w", format=self._muxer) as trial:
                add_track_stream(trial, track)
                trial.start_encoding()
            stream = add_track_stream(self._container, track)
        except (TrackRefusedError, av.FFmpegError, ValueError):
            self.left_out.append(
                f"left out track {track.number} ({track.kind}, {track.codec}):"
                f" a {self._suffix} file does not take it"
            )
            return
        self._tracks[track.number] = track, stream
        if track.language and self._muxer in _QUICKTIME:
            muxer = "mov" if self._muxer == "mov" else "mp4"
            stream.metadata["language"] = written_language(muxer, track.language)
            if not stream.metadata["language"]:
                self.left_out.append(
                    f"left out the language {track.language} of track {track.number}:"
                    f" a {self._suffix} file has no code for it"
                )

    def write(self, planes: Planes, pts: int, duration: int) -> None:
        """Write the next frame, at `pts` ticks of the description's time base.

        Raises ValueError for planes of another size or format, OutputError when the encoder fails.
        """
        assert self._video is not None
        described = self._conversion.description
        if planes[0].shape != (described.height, described.width):
            raise ValueError(
                f"a picture of {planes[0].shape}, expected {described.height, described.width}"
            )
        frame = video_frame(self._conversion.planes(planes), described.colour)
        frame.pts = pts
        frame.time_base = described.time_base
        if not self.frames:
            self._first_pts = pts
        self._durations[pts] = duration
        self._end = pts + duration
        self.frames += 1
        self._mux_video(self._encoded(frame))

    def _encoded(self, frame: VideoFrame | None) -> list[MuxedPacket[Any]]:
        assert self._video is not None
        try:
            packets = self._video.encode(frame)
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(f"{self._video.codec_context.name}: {reason(error)}") from error
        for packet in packets:
            # Encoders make durations of the frame rate, which is a hint only.
            if packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
        return packets

    def _mux_video(self, packets: Iterable[MuxedPacket[Any]]) -> None:
        """Mux packets of the video, all but the last."""
        for packet in packets:
            if self._first_dts is None:
                self._first_dts = packet.dts
            if self._held is not None:
                self._mux([self._held])
            self._held = packet

    def _mux_held(self) -> None:
        """Mux the last packet of the video."""
        last = self._held
        if last is None:
            return
        if self._muxer in _QUICKTIME and last.dts is not None and self._first_dts is not None:
            # Where frames are shown in another order than coded, this makes the film end in time.
            last.duration = max(1, self._end - self._first_pts - (last.dts - self._first_dts))
        self._mux([last])

    def write_packet(self, packet: Packet) -> None:
        """Write the next packet of its track; those of tracks that are left out are ignored."""
        if packet.track not in self._tracks:
            return
        track, stream = self._tracks[packet.track]
        muxed: MuxedPacket[Any] = MuxedPacket(packet.data)
        muxed.stream = stream
        muxed.time_base = track.time_base
        muxed.pts = packet.pts
        muxed.dts = packet.pts if packet.dts is None else packet.dts
        muxed.duration = packet.duration
        muxed.is_keyframe = packet.key
        if packet.skip or packet.discard:
            _say_unheard(muxed, packet.skip, packet.discard)
        try:
            self._container.mux(muxed)
        except av.error.ArgumentError:
            # Its time is before that of the packet before, which few containers take.
            self._refused[track.number] += 1
        except av.FFmpegError as error:
            raise OutputError(f"writing a {self._suffix} file: {reason(error)}") from error
        self._sink.check()

    def _mux(self, packets: Iterable[MuxedPacket[Any]]) -> None:
        try:
            self._container.mux(list(packets))
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
                raise
            raise OutputError(f"writing a {self._suffix} file: {reason(error)}") from error
        self._sink.check()

    def close(self) -> None:
        """Write what encoder and container still hold, and the end of the file.

        After it, `left_out` also has a line for each track of which packets were not taken.
        """
        if self._video is not None:
            self._mux_video(self._encoded(None))
            self._mux_held()
        self._container.close()
        if self._video is not None and self._needs_details:
            write_details(self._file, self._conversion.description)
        self.left_out += [
            f"left out {counted(number, 'packet')} of track {track}: a {self._suffix} file does not"
            " take their times"
            for track, number in sorted(self._refused.items())
        ]
        self._sink.check()


def _add_mastering(options: dict[str, str], codec: str, hdr: Hdr) -> None:
    """Let an encoder that has options for it say how the video was mastered."""
    if codec not in _MASTERING:
        return
    option, display_name, light_name, place, luminance = _MASTERING[codec]
    if hdr.primaries is not None and hdr.luminance is not None:
        named = zip(("R", "G", "B", "WP"), hdr.primaries, strict=True)
        points = {name: f"{name}({x * place:g},{y * place:g})" for name, (x, y) in named}
        most, least = (f"{one * luminance:.9g}" for one in hdr.luminance)
        display = "".join(points[name] for name in ("G", "B", "R", "WP"))
        _extend(options, option, f"{display_name}={display}L({most},{least})")
    if hdr.light is not None:
        _extend(options, option, f"{light_name}={hdr.light[0]},{hdr.light[1]}")


def _extend(options: dict[str, str], name: str, text: str) -> None:
    """Put `text` before the parts of an option with colons between them."""
    options[name] = f"{text}:{options[name]}" if options.get(name) else text


def _movie_timescale(bases: Sequence[Fraction], tracks: Sequence[Track]) -> int:
    """Ticks a second in which all time bases are whole, if there are not too many."""
    scale = 1000
    for base in (*bases, *(track.time_base for track in tracks)):
        common = math.lcm(scale, base.denominator)
        scale = common if common <= _MOST_TICKS else scale
    return scale


def _say_unheard(packet: MuxedPacket[Any], first: int, last: int) -> None:
    """Let a packet say how many of its first and last samples are not heard."""
    # Its declared type knows no arguments.
    make: Any = PacketSideData
    data = make(_SKIP_SAMPLES, 10)
    memoryview(data)[:] = struct.pack("<2I2x", first, last)
    data.to_packet(packet)
