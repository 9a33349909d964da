"""Video sources: anything that PyAV opens, delivered as 8-bit 4:2:0 pictures."""

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Generator, Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from nvcodec.media import chroma_location
from nvcodec.media.changes import Changes
from nvcodec.media.declared import declared
from nvcodec.media.ending import ends_early
from nvcodec.media.filters import DEINTERLACE, FrameFilter, cropping
from nvcodec.media.frame_rate import frame_rate
from nvcodec.media.input_form import input_form
from nvcodec.media.libav import PromptReader, location, reason, side_data
from nvcodec.media.notes import Note, Notes
from nvcodec.media.orientation import Orientation
from nvcodec.media.packets import Packets
from nvcodec.media.pixel_format import (
    LIMITED,
    UNSPECIFIED,
    ConversionError,
    Converter,
    is_gray,
    is_rgb,
    range_of,
)
from nvcodec.media.streams import NoPictureError, picture_stream
from nvcodec.media.timestamps import Clock, CodingTimes
from nvcodec.media.y4m_header import file_is_mixed
from nvcodec.options import DEFAULTS, Reading
from nvcodec.picture import Picture, Planes
from nvcodec.words import counted

# Formats whose pictures are even in time, by their nature, and whose rate is declared.
_EVEN_FORMATS: Final = frozenset({"yuv4mpegpipe", "rawvideo", "image2", "avi"})

_AHEAD: Final = 120
"""Packets that are read ahead to find the frame rate; less of a pipe, so that it does not wait."""

_AHEAD_LIVE: Final = 16

_FINEST: Final = Fraction(1, 10**6)
"""The finest time base that is kept, in seconds."""

_DROPPED_SIDE_DATA: Final = {
    "MASTERING_DISPLAY_METADATA": "mastering display",
    "CONTENT_LIGHT_LEVEL": "content light level",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "DOVI_METADATA": "Dolby Vision",
    "A53_CC": "closed captions",
    "ICC_PROFILE": "ICC profile",
    "STEREO3D": "stereo 3D",
    "SPHERICAL": "spherical video",
}


class SourceError(Exception):
    """The input cannot be read (further). The message is one line that names the input."""


class NothingLeftError(SourceError):
    """The input can be read, but has no frame after the skipped ones."""


def _code_point(value: int) -> int:
    # 0 and 3 are reserved in H.273; above 255 are private values of FFmpeg.
    return UNSPECIFIED if value in (0, 3) or not 0 <= value <= 255 else value


def _describe(stream: Stream) -> str:
    context: Any = stream.codec_context
    name = "unknown codec" if context is None else str(context.name)
    if stream.type == "audio" and context is not None:
        channels = context.layout.nb_channels
        name += f" {context.sample_rate} Hz {counted(channels, 'channel')}"
    return name


class Source:
    """One video as a stream of pictures; made by `open_source`.

    A context manager, and an iterator for a single pass. It holds two pictures at most.
    At damage, iteration delivers the pictures before it and then raises `SourceError`. The message
    has the number of the frame in the source, from 0.

    Attributes:
        width: displayed width in luma samples.
        height: displayed height in luma samples.
        frame_rate: frames per second, None when unknown.
        time_base: seconds per tick of `Picture.pts`.
        sar: sample aspect ratio, None when unknown; both terms are below 65536.
        colour_primaries: H.273 code point, 2 is unspecified.
        transfer: H.273 code point, 2 is unspecified.
        matrix: H.273 code point, 2 is unspecified.
        full_range: 0 limited, 1 full, 2 unspecified.
        chroma_location: H.273 chroma sample location type 0..5, 255 unspecified.
        field_order: "top" or "bottom", the field of interlaced frames that comes first; None for
            progressive ones.
        frame_count_hint: number of pictures that the container states, None when unknown. It may
            be wrong.
        missing: what is missing at the end of a source that ends early; None if nothing is, and
            until the end is reached.
        notes: one line for each thing converted, repaired or dropped. It grows while decoding.

    """

    width: int
    height: int
    frame_rate: Fraction | None
    time_base: Fraction
    sar: Fraction | None
    colour_primaries: int
    transfer: int
    matrix: int
    full_range: int
    chroma_location: int
    field_order: str | None
    frame_count_hint: int | None
    missing: str | None
    notes: list[Note]

    def __init__(
        self,
        container: InputContainer,
        name: str,
        reader: PromptReader | None,
        opened: contextlib.ExitStack,
        skip: int,
        frames: int | None,
        reading: Reading,
        left_out: str | None,
    ) -> None:
        self._notes = Notes()
        self.notes = self._notes.lines
        self._name = name
        self._container = container
        self._reader = reader
        self._opened = opened
        self._reading = reading
        self._left_out = left_out
        self.missing = None
        self._limit = frames
        self._stream = self._choose_stream()
        self._declared = declared(self._stream, container.format.name)
        self._say_dolby_vision()
        if reader is not None and reader.mixed:
            self._notes.add("mixed interlaced and progressive frames, taken as progressive")
        self._packets = Packets(container, self._stream)
        self.frame_rate = self._read_rate()
        self._coding_times = self._read_coding_times()
        self._changes = Changes(self._notes, deinterlacing=reading.deinterlace)
        self._decoded = 0
        self._shown = self._frames()
        first = self._first_frame(skip)
        self._read_header(first, skip)
        # Turned rows are no longer fields.
        self.field_order = None if self._orientation else self._changes.field_order
        self._pictures = self._deliver(first, skip)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Picture]:
        return self

    def __next__(self) -> Picture:
        return next(self._pictures)

    def close(self) -> None:
        """Free the decoder. A file object given to `open_source` stays open."""
        self._pictures.close()
        self._shown.close()
        self._packets.close()
        self._opened.close()

    def _choose_stream(self) -> VideoStream:
        try:
            stream, alpha = picture_stream(self._container, self._notes)
        except NoPictureError as error:
            raise SourceError(f"cannot read {self._name}: {error}") from error
        dropped: dict[str, list[str]] = {}
        for other in self._container.streams:
            if other.index != stream.index and other.index not in alpha:
                dropped.setdefault(other.type, []).append(_describe(other))
        for kind, tracks in dropped.items():
            listed = ", ".join(
                f"{count} x {text}" if count > 1 else text
                for text, count in Counter(tracks).items()
            )
            self._notes.add(f"dropped {counted(len(tracks), f'{kind} track')}: {listed}")
        return stream

    def _frames(self) -> Generator[VideoFrame, None, None]:
        """All frames in display order as they are to be shown; SourceError at the first damage."""
        chain = [DEINTERLACE] if self._reading.deinterlace else []
        crop = self._declared.crop
        if any(crop):
            chain.append(cropping(crop))
            self._notes.add(
                "cropped as the source asks: {} left, {} top, {} right, {} bottom".format(*crop)
            )
        decoded = self._decode()
        if not chain:
            yield from decoded
            return
        time_base = self._stream.time_base or Fraction(1, 25)
        try:
            yield from FrameFilter(chain, time_base).of(decoded)
        except av.FFmpegError as error:
            raise SourceError(
                f"cannot read {self._name}: frame {self._decoded - 1} cannot be cropped or"
                f" deinterlaced: {reason(error)}"
            ) from error

    def _decode(self) -> Generator[VideoFrame, None, None]:
        """All frames in display order; SourceError at the first damage."""
        context = self._stream.codec_context
        packets = self._packets
        skipped = 0
        try:
            for packet in packets:
                self._check_interrupt()
                try:
                    decoded = context.decode(packet)
                except av.FFmpegError:
                    if packets.cut and packets.is_last():
                        continue
                    # A stream that was cut may start with frames whose references are missing.
                    if self._decoded or packet.size == 0:
                        raise
                    skipped += 1
                    continue
                if decoded and skipped:
                    self._notes.add(
                        f"skipped {counted(skipped, 'undecodable packet')} before the first frame"
                    )
                    skipped = 0
                for frame in decoded:
                    yield self._seen(frame)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._check_interrupt()
            with contextlib.suppress(av.FFmpegError):
                for frame in context.decode(None):
                    yield self._seen(frame)
            raise SourceError(
                f"cannot read {self._name}: decoding failed at frame {self._decoded}: "
                f"{reason(error)}"
            ) from error
        self._check_interrupt()
        if skipped:
            cause = "no packet of its video decodes"
            if self._container.format.name == "webp_pipe":
                cause = (
                    "FFmpeg's libraries decode no animated WebP: convert it to APNG or GIF first"
                )
            raise SourceError(f"cannot read {self._name}: {cause}")
        self.missing = self._left_out or ends_early(
            self._container,
            self._stream,
            packets,
            self._decoded,
            self._size(),
            self.frame_rate,
        )
        if self.missing is not None:
            self._notes.add(self.missing)

    def _seen(self, frame: VideoFrame) -> VideoFrame:
        """Take the next decoded frame: its number, its time, and what is to be said of it."""
        if frame.is_corrupt:
            self._notes.at(self._decoded, "damaged", "damaged in the source, concealed")
        self._changes.watch(frame, self._decoded, self._stream.codec_context.sample_aspect_ratio)
        if self._coding_times is not None:
            frame.pts = self._coding_times.time(frame, self._packets.first_dts)
        self._decoded += 1
        return frame

    def _size(self) -> int | None:
        """Bytes of a source that has been read to its end."""
        if self._reader is not None and not self._reader.seekable():
            return self._reader.taken
        return self._container.size if self._container.size > 0 else None

    def _check_interrupt(self) -> None:
        if self._reader is not None:
            self._reader.check()

    def _first_frame(self, skip: int) -> VideoFrame:
        found = 0
        for frame in self._shown:
            found += 1
            if found > skip:
                return frame
        if found:
            raise NothingLeftError(
                f"cannot read {self._name}: it has {counted(found, 'frame')}, "
                f"none is left after skipping {skip}"
            )
        raise SourceError(f"cannot read {self._name}: it has no frames")

    def _read_header(self, frame: VideoFrame, skip: int) -> None:
        stream = self._stream
        self._orientation = Orientation.of(frame, self._notes)
        self.width, self.height = self._orientation.size(frame.width, frame.height)

        fallback = 1 / self.frame_rate if self.frame_rate else Fraction(1, 25)
        # Durations have 32 bits: nanoseconds would leave four seconds.
        self.time_base = max(frame.time_base or stream.time_base or fallback, _FINEST)
        self.sar = self._read_aspect()
        self.frame_count_hint = self._read_count(skip)

        self.colour_primaries = _code_point(frame.color_primaries)
        self.transfer = _code_point(frame.color_trc)
        self.matrix = _code_point(frame.colorspace)
        self.full_range = range_of(frame)
        if is_rgb(frame.format):
            self.matrix = 1 if self.height >= 720 else 6
            self.full_range = LIMITED
        self._converter = Converter(
            (frame.width, frame.height), self.matrix, self.full_range, self._notes
        )
        self.chroma_location = self._read_chroma_location(frame)

        for kind, data in side_data(frame).items():
            # A stereo kind of 0 is plain, flat video.
            if kind in _DROPPED_SIDE_DATA and (kind != "STEREO3D" or any(bytes(data)[:4])):
                self._notes.add(f"dropped {_DROPPED_SIDE_DATA[kind]} metadata")

    def _read_rate(self) -> Fraction | None:
        """The frame rate: of the coming times, where the container may have guessed it."""
        stream = self._stream
        stated = stream.guessed_rate, stream.average_rate
        times: list[int] = []
        if self._container.format.name not in _EVEN_FORMATS and stream.time_base:
            live = self._reader is not None and not self._reader.seekable()
            times, complete = self._packets.times_ahead(_AHEAD_LIVE if live else _AHEAD)
        if not times or not stream.time_base:
            return next((rate for rate in stated if rate), None)
        mean = None
        if stream.frames and stream.duration and not complete:
            mean = stream.frames / (stream.duration * stream.time_base)
        return frame_rate(times, stream.time_base, stated, mean)

    def _read_coding_times(self) -> CodingTimes | None:
        if self._container.format.name != "avi" or not self._stream.time_base:
            return None
        rate = self.frame_rate or Fraction(25)
        return CodingTimes(max(1, round(1 / (rate * self._stream.time_base))))

    def _say_dolby_vision(self) -> None:
        if self._declared.dolby_vision == 5:
            self._notes.add(
                "the colours will be wrong, green and magenta: Dolby Vision profile 5 has no YCbCr"
                " picture (convert it to HDR10 or SDR first)"
            )

    def _read_aspect(self) -> Fraction | None:
        aspect = self._stream.sample_aspect_ratio
        if not aspect or aspect < 0:
            return None
        if aspect <= 1:
            aspect = aspect.limit_denominator(65535)
        else:
            aspect = 1 / (1 / aspect).limit_denominator(65535)
        if not aspect or max(aspect.numerator, aspect.denominator) > 65535:
            return None
        return 1 / aspect if self._orientation.swap else aspect

    def _read_count(self, skip: int) -> int | None:
        count: int | None = self._stream.frames or None
        duration = self._container.duration
        if count is None and duration and self.frame_rate:
            count = max(1, round(duration * self.frame_rate / av.time_base))
        if count is None:
            return None
        return min(max(count - skip, 1), self._limit or count)

    def _read_chroma_location(self, frame: VideoFrame) -> int:
        if is_gray(frame.format):
            return chroma_location.UNKNOWN
        location = self._declared.chroma_location
        # PyAV calls a component chroma only where it is subsampled.
        subsampled = any(c.is_chroma for c in frame.format.components)
        if location == chroma_location.UNKNOWN and not subsampled:
            # libswscale centres the chroma samples that it makes, unless told otherwise.
            location = chroma_location.CENTRED
        size = self.width, self.height
        return chroma_location.turned(location, self._orientation, size, self._notes)

    def _convert(self, frame: VideoFrame, number: int) -> Planes:
        """The frame as 8-bit 4:2:0 of the header's size, range and orientation."""
        try:
            y, u, v = self._converter.planes(frame, number)
        except ConversionError as error:
            raise SourceError(f"cannot read {self._name}: {error}") from error
        turn = self._orientation.apply
        return turn(y), turn(u), turn(v)

    def _deliver(self, first: VideoFrame, skip: int) -> Generator[Picture, None, None]:
        """The selected pictures, each delivered once the next frame gives its duration."""
        clock = Clock(self.time_base, self.frame_rate)
        frame: VideoFrame | None = first
        del first
        held: tuple[Planes, int] | None = None
        count = 0
        failure: SourceError | None = None
        while frame is not None:
            pts = clock.stamp(frame)
            if clock.repaired:
                self._notes.add("repaired timestamps that were missing or did not increase")
            if held is not None:
                yield Picture(*held, duration=pts - held[1])
                held = None
            if count == self._limit:
                break
            try:
                held = self._convert(frame, skip + count), pts
                count += 1
                frame = self._following(count)
            except SourceError as error:
                failure = error
                break
        if held is not None:
            yield Picture(*held, duration=clock.last_duration())
        if failure is not None:
            raise failure

    def _following(self, count: int) -> VideoFrame | None:
        """The frame after `count` ones; after the last of a limit, for its time only."""
        if count != self._limit:
            return next(self._shown, None)
        if self._container.format.name in _EVEN_FORMATS:
            return None
        with contextlib.suppress(SourceError):
            return next(self._shown, None)
        return None


def _is_pipe(path: str) -> bool:
    return os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)


def _is_empty(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) == 0


def _is_iso(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(8)[4:] == b"ftyp"


def open_source(
    path_or_file: str | os.PathLike[str] | BinaryIO,
    *,
    skip: int = 0,
    frames: int | None = None,
    reading: Reading = DEFAULTS.reading,
) -> Source:
    """Open a video for a single pass and decode its first picture.

    `path_or_file` is a path or URL, or a readable binary file, which need not be seekable
    and is not closed. The first `skip` frames in display order are decoded and dropped. At most
    `frames` (None: all) are delivered; reading stops after them, or after the frame that follows
    and says how long the last one lasts.

    Raises SourceError for input that is unreadable, empty, without a video track or without
    a frame after `skip`; ValueError for a negative `skip` or `frames` below 1; OptionError for a
    `reading` that does not fit the input.
    """
    if skip < 0 or (frames is not None and frames < 1):
        raise ValueError(f"skip={skip} and frames={frames} select nothing")
    av.logging.set_level(av.logging.PANIC)
    reader: PromptReader | None = None
    opened = contextlib.ExitStack()
    path = os.fspath(path_or_file) if isinstance(path_or_file, (str, os.PathLike)) else None
    form = input_form(path, reading)
    try:
        if not isinstance(path_or_file, (str, os.PathLike)):
            name = str(getattr(path_or_file, "name", "the input"))
            reader = PromptReader(path_or_file)
        else:
            name = os.fspath(path_or_file)
            if _is_pipe(name) or file_is_mixed(name):
                # libav would wait for the pipe's writer and data, and ignore interrupts; and it
                # refuses some files.
                reader = PromptReader(opened.enter_context(open(name, "rb")))  # noqa: SIM115
        # Accept tags that are not UTF-8.
        container = av.open(
            reader or location(name),
            "r",
            format=form.format,
            options=form.options,
            metadata_errors="replace",
        )
        opened.callback(container.close)
        return Source(container, name, reader, opened, skip, frames, reading, form.missing)
    except BaseException as error:
        opened.close()
        if reader is not None:
            reader.check()
        if not isinstance(error, (av.FFmpegError, OSError, ValueError)):
            raise
        if not isinstance(error, av.InvalidDataError):
            raise SourceError(f"cannot read {name}: {reason(error)}") from error
        if "moov atom not found" in str(error) and _is_iso(name):
            raise SourceError(
                f"cannot read {name}: it has no index (moov): it was cut, or not finished"
            ) from error
        empty = _is_empty(name) if reader is None else not reader.taken
        cause = "it is empty" if empty else "no known video format, or damaged"
        raise SourceError(f"cannot read {name}: {cause}") from error
