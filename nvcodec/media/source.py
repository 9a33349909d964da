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
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from nvcodec.media import chroma_location
from nvcodec.media.libav import PromptReader, location, reason
from nvcodec.media.notes import Notes
from nvcodec.media.orientation import Orientation
from nvcodec.media.pixel_format import (
    LIMITED,
    UNSPECIFIED,
    ConversionError,
    Converter,
    is_gray,
    is_rgb,
    range_of,
)
from nvcodec.media.timestamps import Clock
from nvcodec.picture import YUV420P8, Picture, Planes, SampleFormat
from nvcodec.words import counted

# With these formats FFmpeg would render any text file as a picture of a terminal.
_TEXT_ART_FORMATS: Final = frozenset({"tty", "bin", "xbin", "adf", "idf"})

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
        frame_count_hint: number of pictures that the container states, None when unknown. It may
            be wrong.
        notes: one line for each thing converted, repaired or dropped. It grows while decoding.
        sample_format: that of all pictures.

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
    frame_count_hint: int | None
    notes: list[str]
    sample_format: SampleFormat = YUV420P8

    def __init__(
        self,
        container: InputContainer,
        name: str,
        reader: PromptReader | None,
        opened: contextlib.ExitStack,
        skip: int,
        frames: int | None,
    ) -> None:
        self._notes = Notes()
        self.notes = self._notes.lines
        self._name = name
        self._container = container
        self._reader = reader
        self._opened = opened
        self._frames = frames
        self._stream = self._choose_stream()
        self._decoder = self._decode()
        self._decoded = 0
        first = self._first_frame(skip)
        self._read_header(first, skip)
        self._pictures = self._deliver(first)

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
        self._decoder.close()
        self._opened.close()

    def _choose_stream(self) -> VideoStream:
        container = self._container
        if container.format.name in _TEXT_ART_FORMATS:
            raise SourceError(f"cannot read {self._name}: not a video")
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
            raise SourceError(f"cannot read {self._name}: it has no video track")
        # PyAV gives None for a codec without a decoder, though its declared type does not say so.
        context: Any = stream.codec_context
        if context is None:
            raise SourceError(f"cannot read {self._name}: no decoder for its video track")
        dropped: dict[str, list[str]] = {}
        for other in container.streams:
            if other.index != stream.index:
                dropped.setdefault(other.type, []).append(_describe(other))
        for kind, tracks in dropped.items():
            listed = ", ".join(
                f"{count} x {text}" if count > 1 else text
                for text, count in Counter(tracks).items()
            )
            self._notes.add(f"dropped {counted(len(tracks), f'{kind} track')}: {listed}")
        return stream

    def _decode(self) -> Generator[VideoFrame, None, None]:
        """All frames in display order; SourceError at the first damage."""
        context = self._stream.codec_context
        skipped = 0
        try:
            for packet in self._container.demux(self._stream):
                self._check_interrupt()
                try:
                    decoded = context.decode(packet)
                except av.FFmpegError:
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
                yield from decoded
        except (av.FFmpegError, OSError, ValueError) as error:
            self._check_interrupt()
            with contextlib.suppress(av.FFmpegError):
                yield from context.decode(None)
            raise SourceError(
                f"cannot read {self._name}: decoding failed at frame {self._decoded}: "
                f"{reason(error)}"
            ) from error
        self._check_interrupt()
        if skipped:
            raise SourceError(f"cannot read {self._name}: no packet of its video decodes")
        if self._decoded < self._stream.frames:
            declared = counted(self._stream.frames, "frame")
            self._notes.add(f"the source declares {declared} but ends after {self._decoded}")

    def _check_interrupt(self) -> None:
        if self._reader is not None:
            self._reader.check()

    def _next_frame(self) -> VideoFrame | None:
        frame = next(self._decoder, None)
        if frame is not None:
            if frame.is_corrupt:
                self._notes.add(f"frame {self._decoded} on: damaged in the source, concealed")
            self._decoded += 1
        return frame

    def _first_frame(self, skip: int) -> VideoFrame:
        while (frame := self._next_frame()) is not None:
            if self._decoded > skip:
                return frame
        if self._decoded:
            raise NothingLeftError(
                f"cannot read {self._name}: it has {counted(self._decoded, 'frame')}, "
                f"none is left after skipping {skip}"
            )
        raise SourceError(f"cannot read {self._name}: it has no frames")

    def _read_header(self, frame: VideoFrame, skip: int) -> None:
        stream = self._stream
        self._orientation = Orientation.of(frame, self._notes)
        self.width, self.height = self._orientation.size(frame.width, frame.height)

        self.frame_rate = stream.guessed_rate or stream.average_rate or None
        fallback = 1 / self.frame_rate if self.frame_rate else Fraction(1, 25)
        self.time_base = frame.time_base or stream.time_base or fallback
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

        if frame.interlaced_frame:
            self._notes.add("interlaced video is taken as progressive frames")
        for kind, text in _DROPPED_SIDE_DATA.items():
            if frame.side_data.get(kind) is not None:
                self._notes.add(f"dropped {text} metadata")

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
        return min(max(count - skip, 1), self._frames or count)

    def _read_chroma_location(self, frame: VideoFrame) -> int:
        if is_gray(frame.format):
            return chroma_location.UNKNOWN
        declared = chroma_location.of_stream(self._stream, self._container.format.name)
        # PyAV calls a component chroma only where it is subsampled.
        subsampled = any(c.is_chroma for c in frame.format.components)
        if declared == chroma_location.UNKNOWN and not subsampled:
            # libswscale centres the chroma samples that it makes, unless told otherwise.
            declared = chroma_location.CENTRED
        size = self.width, self.height
        return chroma_location.turned(declared, self._orientation, size, self._notes)

    def _convert(self, frame: VideoFrame) -> Planes:
        """The frame as 8-bit 4:2:0 of the header's size, range and orientation."""
        try:
            y, u, v = self._converter.planes(frame, self._decoded - 1)
        except ConversionError as error:
            raise SourceError(f"cannot read {self._name}: {error}") from error
        turn = self._orientation.apply
        return turn(y), turn(u), turn(v)

    def _deliver(self, first: VideoFrame) -> Generator[Picture, None, None]:
        """The selected pictures, each delivered once the next frame gives its duration."""
        clock = Clock(self.time_base, self.frame_rate)
        frame: VideoFrame | None = first
        del first
        held: tuple[Planes, int] | None = None
        count = 0
        failure: SourceError | None = None
        while frame is not None:
            try:
                planes = self._convert(frame)
            except SourceError as error:
                failure = error
                break
            pts = clock.stamp(frame)
            if clock.repaired:
                self._notes.add("repaired timestamps that were missing or did not increase")
            if held is not None:
                yield Picture(*held, duration=pts - held[1])
            held = planes, pts
            count += 1
            try:
                frame = None if count == self._frames else self._next_frame()
            except SourceError as error:
                failure = error
                break
        if held is not None:
            yield Picture(*held, duration=clock.last_duration())
        if failure is not None:
            raise failure


def _is_pipe(path: str) -> bool:
    return os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)


def _is_empty(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) == 0


def open_source(
    path_or_file: str | os.PathLike[str] | BinaryIO,
    *,
    skip: int = 0,
    frames: int | None = None,
) -> Source:
    """Open a video for a single pass and decode its first picture.

    `path_or_file` is a path or URL, or a readable binary file, which need not be seekable
    and is not closed. The first `skip` frames in display order are decoded and dropped. At most
    `frames` (None: all) are delivered; reading stops after them.

    Raises SourceError for input that is unreadable, empty, without a video track or without
    a frame after `skip`; ValueError for a negative `skip` or `frames` below 1.
    """
    if skip < 0 or (frames is not None and frames < 1):
        raise ValueError(f"skip={skip} and frames={frames} select nothing")
    av.logging.set_level(av.logging.PANIC)
    reader: PromptReader | None = None
    opened = contextlib.ExitStack()
    try:
        if not isinstance(path_or_file, (str, os.PathLike)):
            name = str(getattr(path_or_file, "name", "the input"))
            reader = PromptReader(path_or_file)
        else:
            name = os.fspath(path_or_file)
            if _is_pipe(name):
                # libav would wait for the pipe's writer and data, and ignore interrupts.
                reader = PromptReader(opened.enter_context(open(name, "rb")))  # noqa: SIM115
        # Accept tags that are not UTF-8.
        container = av.open(reader or location(name), "r", metadata_errors="replace")
        opened.callback(container.close)
        return Source(container, name, reader, opened, skip, frames)
    except BaseException as error:
        opened.close()
        if reader is not None:
            reader.check()
        if not isinstance(error, (av.FFmpegError, OSError, ValueError)):
            raise
        if not isinstance(error, av.InvalidDataError):
            raise SourceError(f"cannot read {name}: {reason(error)}") from error
        empty = _is_empty(name) if reader is None else reader.empty
        cause = "it is empty" if empty else "no known video format, or damaged"
        raise SourceError(f"cannot read {name}: {cause}") from error
