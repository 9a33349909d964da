"""Video sources: anything PyAV opens, delivered as 8-bit 4:2:0 pictures."""

import contextlib
import io
import os
import re
from collections import Counter
from collections.abc import Generator, Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from nvcodec.picture import Picture, Plane, Planes

_MAX_DURATION: Final = 2**32 - 1
_UNSPECIFIED: Final = 2  # code point of primaries, transfer and matrix, and our range value
_UNKNOWN_LOCATION: Final = 255

# FFmpeg renders any text file as a picture of a terminal; nobody wants that encoded.
_TEXT_ART_FORMATS: Final = frozenset({"tty", "bin", "xbin", "adf", "idf"})

# Their first three planes are 8-bit 4:2:0 as they stand.
_DIRECT_FORMATS: Final = frozenset({"yuv420p", "yuvj420p", "yuva420p"})

_EXACT: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

_SWS_MATRIX: Final = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}

# H.273 chroma location type: offset of the first chroma sample in luma samples, (x, y).
_CHROMA_OFFSETS: Final = {
    0: (0.0, 0.5),
    1: (0.5, 0.5),
    2: (0.0, 0.0),
    3: (0.5, 0.0),
    4: (0.0, 1.0),
    5: (0.5, 1.0),
}

_Y4M_LOCATION: Final = {b"C420mpeg2": 0, b"C420jpeg": 1, b"C420paldv": 2}

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
    """The input can be read, but has no frame after those to skip."""


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


class _PromptReader:
    """Hands libav what a buffered file has now, where `read` would wait for a full block."""

    def __init__(self, file: BinaryIO) -> None:
        self._read = getattr(file, "read1", file.read)
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable
        self.empty = True

    def read(self, size: int) -> bytes:
        data: bytes = self._read(size)
        if data:
            self.empty = False
        return data


def _location(path: str) -> str:
    # A file called "take:1.mkv" is not the URL of a protocol "take".
    return f"file:{path}" if re.match(r"[\w.+-]+:", path) and os.path.exists(path) else path


def _is_empty(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) == 0


def _is_gray(pixel_format: VideoFormat) -> bool:
    colour = [c for c in pixel_format.components if not c.is_alpha]
    return len(colour) == 1 and not pixel_format.has_palette and not _is_rgb(pixel_format)


def _is_rgb(pixel_format: VideoFormat) -> bool:
    return (
        pixel_format.is_rgb
        or pixel_format.has_palette
        or pixel_format.is_bayer
        or pixel_format.name.startswith("xyz")
    )


def _has_alpha(pixel_format: VideoFormat) -> bool:
    return any(c.is_alpha for c in pixel_format.components) and not pixel_format.has_palette


def _range_of(frame: VideoFrame) -> int:
    """Range of the frame's own samples: 0 limited, 1 full, 2 unspecified."""
    if frame.format.name.startswith("yuvj") or _is_rgb(frame.format):
        return 1
    declared = {1: 0, 2: 1}.get(frame.color_range, _UNSPECIFIED)
    # libswscale, hence every FFmpeg tool, takes untagged gray as full range.
    return 1 if declared == _UNSPECIFIED and _is_gray(frame.format) else declared


def _code_point(value: int) -> int:
    # 0 and 3 are reserved in H.273; above 255 are private values of FFmpeg.
    return _UNSPECIFIED if value in (0, 3) or not 0 <= value <= 255 else value


def _plane(frame: VideoFrame, index: int) -> Plane:
    plane = frame.planes[index]
    stride = abs(plane.line_size)
    rows = np.frombuffer(memoryview(plane), np.uint8, plane.height * stride)
    rows = rows.reshape(plane.height, stride)
    if plane.line_size < 0:
        rows = rows[::-1]
    return np.array(rows[:, : plane.width], order="C")


def _chroma_location(stream: VideoStream, container_format: str) -> int:
    # PyAV exposes no chroma location, but muxers write it: a header made from the stream's
    # parameters shows it. Matroska takes coded video, Y4M the raw video of Y4M.
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
        return _UNKNOWN_LOCATION
    header = sink.getvalue()
    if is_y4m:
        tags = set(header.split(b"\n", 1)[0].split())
        return next((k for tag, k in _Y4M_LOCATION.items() if tag in tags), _UNKNOWN_LOCATION)
    # ChromaSitingHorz and ChromaSitingVert: one byte each, 1 co-sited, 2 half way.
    siting = re.search(rb"\x55\xb7\x81([\x01\x02])\x55\xb8\x81([\x01\x02])", header)
    if siting is None:
        return _UNKNOWN_LOCATION
    return {(1, 2): 0, (2, 2): 1, (1, 1): 2, (2, 1): 3}[siting[1][0], siting[2][0]]


class _Orientation:
    """A display matrix that only swaps and flips axes."""

    def __init__(self, swap: bool, flip_x: bool, flip_y: bool) -> None:
        self.swap, self.flip_x, self.flip_y = swap, flip_x, flip_y

    def apply(self, plane: Plane) -> Plane:
        if self.swap:
            plane = plane.T
        if self.flip_y:
            plane = plane[::-1]
        if self.flip_x:
            plane = plane[:, ::-1]
        return np.ascontiguousarray(plane)

    def chroma_offset(
        self, offset: tuple[float, float], width: int, height: int
    ) -> tuple[float, float]:
        """Offset after the transform, for the displayed width and height."""
        x, y = offset[::-1] if self.swap else offset
        # A flipped odd width leaves the last chroma column on the first luma column.
        if self.flip_x:
            x = (width + 1) % 2 - x
        if self.flip_y:
            y = (height + 1) % 2 - y
        return x, y

    def __str__(self) -> str:
        turns = {
            (True, True, False): "rotated 90 degrees clockwise",
            (False, True, True): "rotated 180 degrees",
            (True, False, True): "rotated 90 degrees counterclockwise",
            (False, True, False): "mirrored left to right",
            (False, False, True): "mirrored top to bottom",
            (True, False, False): "transposed",
            (True, True, True): "transposed about the other diagonal",
        }
        return turns[self.swap, self.flip_x, self.flip_y]


def _describe(stream: Stream) -> str:
    context: Any = stream.codec_context
    name = "unknown codec" if context is None else str(context.name)
    if stream.type == "audio" and context is not None:
        channels = context.layout.nb_channels
        name += f" {context.sample_rate} Hz {channels} channel{'s' if channels > 1 else ''}"
    return name


class Source:
    """One video as a stream of pictures; made by `open_source`.

    A context manager, and an iterator for a single pass. It holds two pictures at most.
    Iteration raises `SourceError` where decoding breaks, after the pictures before the
    damage were delivered; the message has the number of the frame in the source, from 0.

    width, height: displayed size in luma samples.
    frame_rate: frames per second, None when unknown.
    time_base: seconds per tick of `Picture.pts`.
    sar: sample aspect ratio, None when unknown; both terms are below 65536.
    colour_primaries, transfer, matrix: H.273 code points, 2 is unspecified.
    full_range: 0 limited, 1 full, 2 unspecified.
    chroma_location: H.273 chroma sample location type 0..5, 255 unspecified.
    frame_count_hint: number of pictures to expect, None when unknown; containers lie.
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
    frame_count_hint: int | None
    notes: list[str]

    def __init__(self, container: InputContainer, name: str, skip: int, frames: int | None) -> None:
        self.notes = []
        self._name = name
        self._container = container
        self._frames = frames
        self._reformatter = VideoReformatter()
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
        self._container.close()

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _choose_stream(self) -> VideoStream:
        container = self._container
        if container.format.name in _TEXT_ART_FORMATS:
            raise SourceError(f"cannot read {self._name}: not a video")
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
            raise SourceError(f"cannot read {self._name}: it has no video track")
        # For a codec without a decoder PyAV leaves None, against its declared type.
        context: Any = stream.codec_context
        if context is None:
            raise SourceError(f"cannot read {self._name}: no decoder for its video track")
        dropped: dict[str, list[str]] = {}
        for other in container.streams:
            if other.index != stream.index:
                dropped.setdefault(other.type, []).append(_describe(other))
        for kind, tracks in dropped.items():
            plural = "s" if len(tracks) > 1 else ""
            listed = ", ".join(
                f"{count} x {text}" if count > 1 else text
                for text, count in Counter(tracks).items()
            )
            self._note(f"dropped {len(tracks)} {kind} track{plural}: {listed}")
        return stream

    def _decode(self) -> Generator[VideoFrame, None, None]:
        """All frames in display order; SourceError at the first damage."""
        context = self._stream.codec_context
        skipped = 0
        try:
            for packet in self._container.demux(self._stream):
                try:
                    decoded = context.decode(packet)
                except av.FFmpegError:
                    # A cut stream starts with frames whose references are missing.
                    if self._decoded or packet.size == 0:
                        raise
                    skipped += 1
                    continue
                if decoded and skipped:
                    self._note(f"skipped {skipped} undecodable packets before the first frame")
                    skipped = 0
                yield from decoded
        except (av.FFmpegError, OSError, ValueError) as error:
            with contextlib.suppress(av.FFmpegError):
                yield from context.decode(None)
            raise SourceError(
                f"cannot read {self._name}: decoding failed at frame {self._decoded}: "
                f"{_reason(error)}"
            ) from error
        if skipped:
            raise SourceError(f"cannot read {self._name}: no packet of its video decodes")
        if self._decoded < self._stream.frames:
            self._note(
                f"the source declares {self._stream.frames} frames but ends after {self._decoded}"
            )

    def _next_frame(self) -> VideoFrame | None:
        frame = next(self._decoder, None)
        if frame is not None:
            if frame.is_corrupt:
                self._note(f"frame {self._decoded} on: damaged in the source, concealed")
            self._decoded += 1
        return frame

    def _first_frame(self, skip: int) -> VideoFrame:
        while (frame := self._next_frame()) is not None:
            if self._decoded > skip:
                return frame
        if self._decoded:
            raise NothingLeftError(
                f"cannot read {self._name}: it has {self._decoded} frames, "
                f"none is left after skipping {skip}"
            )
        raise SourceError(f"cannot read {self._name}: it has no frames")

    def _read_header(self, frame: VideoFrame, skip: int) -> None:
        stream = self._stream
        self._coded_size = (frame.width, frame.height)
        self._orientation = self._read_orientation(frame)
        self.width, self.height = self._coded_size
        if self._orientation is not None and self._orientation.swap:
            self.width, self.height = self.height, self.width

        self.frame_rate = stream.guessed_rate or stream.average_rate or None
        fallback = 1 / self.frame_rate if self.frame_rate else Fraction(1, 25)
        self.time_base = frame.time_base or stream.time_base or fallback
        self.sar = self._read_aspect()
        self.frame_count_hint = self._read_count(skip)

        self.colour_primaries = _code_point(frame.color_primaries)
        self.transfer = _code_point(frame.color_trc)
        self.matrix = _code_point(frame.colorspace)
        self.full_range = _range_of(frame)
        if _is_rgb(frame.format):
            self.matrix = 1 if self.height >= 720 else 6
            self.full_range = 0
        self.chroma_location = self._read_chroma_location(frame)

        if frame.interlaced_frame:
            self._note("interlaced video is taken as progressive frames")
        for kind, text in _DROPPED_SIDE_DATA.items():
            if frame.side_data.get(kind) is not None:
                self._note(f"dropped {text} metadata")

    def _read_orientation(self, frame: VideoFrame) -> _Orientation | None:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
        if data is None:
            return None
        # (p, q) is shown at (a p + c q, b p + d q), 16.16 fixed point.
        a, b, _, c, d = (int(value) for value in np.frombuffer(memoryview(data), np.int32, 5))
        if (b, c) == (0, 0) and abs(a) == abs(d) != 0:
            orientation = _Orientation(False, a < 0, d < 0)
        elif (a, d) == (0, 0) and abs(b) == abs(c) != 0:
            orientation = _Orientation(True, c < 0, b < 0)
        else:
            self._note(f"display rotation of {-frame.rotation} degrees clockwise is not applied")
            return None
        if orientation.swap or orientation.flip_x or orientation.flip_y:
            self._note(f"{orientation} as the source asks to be displayed")
            return orientation
        return None

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
        return 1 / aspect if self._orientation and self._orientation.swap else aspect

    def _read_count(self, skip: int) -> int | None:
        count: int | None = self._stream.frames or None
        duration = self._container.duration
        if count is None and duration and self.frame_rate:
            count = max(1, round(duration * self.frame_rate / av.time_base))
        if count is None:
            return None
        return min(max(count - skip, 1), self._frames or count)

    def _read_chroma_location(self, frame: VideoFrame) -> int:
        pixel_format = frame.format
        if _is_gray(pixel_format):
            return _UNKNOWN_LOCATION
        location = _chroma_location(self._stream, self._container.format.name)
        # PyAV calls a component chroma only where it is subsampled.
        if location == _UNKNOWN_LOCATION and not any(c.is_chroma for c in pixel_format.components):
            # libswscale centers the chroma that it makes when nothing else is said.
            location = 1
        if self._orientation is None:
            return location
        shown = 0 if location == _UNKNOWN_LOCATION else location
        x, y = self._orientation.chroma_offset(_CHROMA_OFFSETS[shown], self.width, self.height)
        nearest = min(
            _CHROMA_OFFSETS,
            key=lambda k: abs(_CHROMA_OFFSETS[k][0] - x) + abs(_CHROMA_OFFSETS[k][1] - y),
        )
        if _CHROMA_OFFSETS[nearest] != (x, y):
            self._note("chroma position after the rotation has no code: the nearest is signalled")
        return location if nearest == shown else nearest

    def _convert(self, frame: VideoFrame) -> Planes:
        """The frame as 8-bit 4:2:0 of the header's size, range and orientation."""
        name = frame.format.name
        extent = "full" if self.full_range == 1 else "limited"
        same_range = (_range_of(frame) == 1) == (self.full_range == 1)
        resized = (frame.width, frame.height) != self._coded_size
        if resized:
            self._note(
                f"frame {self._decoded - 1} on: scaled from {frame.width}x{frame.height} to "
                f"{self._coded_size[0]}x{self._coded_size[1]}, the size of the first frame"
            )
        if _has_alpha(frame.format):
            self._note("dropped the alpha channel")
        if _is_rgb(frame.format):
            matrix = {1: "BT.709", 6: "BT.601"}.get(self.matrix, f"H.273 {self.matrix}")
            self._note(f"converted {name} to 8-bit 4:2:0, {matrix} matrix, {extent} range")
        elif name not in _DIRECT_FORMATS:
            self._note(f"converted {name} to 8-bit 4:2:0")
        elif not same_range:
            self._note(f"frame {self._decoded - 1} on: converted to {extent} range")
        if name not in _DIRECT_FORMATS or resized or not same_range:
            frame = self._reformat(frame, same_range)
        planes = _plane(frame, 0), _plane(frame, 1), _plane(frame, 2)
        if self._orientation is None:
            return planes
        y, u, v = planes
        turn = self._orientation.apply
        return turn(y), turn(u), turn(v)

    def _reformat(self, frame: VideoFrame, same_range: bool) -> VideoFrame:
        target = ColorRange.JPEG if self.full_range == 1 else ColorRange.MPEG
        source = ColorRange.JPEG if _range_of(frame) == 1 else ColorRange.MPEG
        matrix = None
        flags = _EXACT
        if _is_rgb(frame.format):
            matrix = _SWS_MATRIX.get(self.matrix, Colorspace.ITU601)
            flags |= Interpolation.FULL_CHR_H_INP
        else:
            # The matrix stays as it is; one that libswscale does not know is refused.
            frame.colorspace = _UNSPECIFIED
            if same_range and _is_gray(frame.format):
                # libswscale has no limited-range gray and would rescale it.
                source = target = ColorRange.JPEG
        try:
            return self._reformatter.reformat(
                frame,
                *self._coded_size,
                "yuv420p",
                dst_colorspace=matrix,
                interpolation=flags,
                src_color_range=source,
                dst_color_range=target,
                threads=1,
            )
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(
                f"cannot read {self._name}: no conversion of {frame.format.name} "
                f"at frame {self._decoded - 1}: {_reason(error)}"
            ) from error

    def _deliver(self, first: VideoFrame) -> Generator[Picture, None, None]:
        """The selected pictures; each waits for the next one, which ends its duration."""
        clock = _Clock(self.time_base, self.frame_rate)
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
                self._note("repaired timestamps that were missing or did not increase")
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


class _Clock:
    """Turns the timestamps of frames into ones that increase by 1 .. 2**32 - 1 ticks."""

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None) -> None:
        self._time_base = time_base
        self._step = 1 / (time_base * (frame_rate or 25))
        self._last: int | None = None
        self._gap = 0
        self._own_duration = 0
        # Repaired times count from the last good one, so that rounding does not add up.
        self._good = 0
        self._since_good = 0
        self.repaired = False
        """Whether any timestamp so far was repaired."""

    def _ticks(self, value: int, frame: VideoFrame) -> int:
        if frame.time_base in (None, self._time_base):
            return value
        return round(value * frame.time_base / self._time_base)

    def stamp(self, frame: VideoFrame) -> int:
        """Presentation time of the next frame, in ticks."""
        declared = None if frame.pts is None else self._ticks(frame.pts, frame)
        self._own_duration = self._ticks(frame.duration or 0, frame)
        last = self._last
        if declared is not None and (last is None or 0 < declared - last <= _MAX_DURATION):
            pts = self._good = declared
            self._since_good = 0
        else:
            self.repaired = True
            if last is None:
                pts = 0
            else:
                self._since_good += 1
                expected = self._good + round(self._since_good * self._step)
                pts = min(max(expected, last + 1), last + _MAX_DURATION)
        if last is not None:
            self._gap = pts - last
        self._last = pts
        return pts

    def last_duration(self) -> int:
        """Ticks that the frame stamped last is shown for when no frame follows."""
        ticks = self._own_duration if self._own_duration > 0 else self._gap or round(self._step)
        return min(max(ticks, 1), _MAX_DURATION)


def open_source(
    path_or_file: str | os.PathLike[str] | BinaryIO,
    *,
    skip: int = 0,
    frames: int | None = None,
) -> Source:
    """Open a video for a single pass and decode its first picture.

    `path_or_file` is a path or URL, or a readable binary file, which need not be seekable
    and is not closed. `skip` frames in display order are decoded and left out, at most
    `frames` (all if None) are delivered; reading stops after them.

    Raises SourceError for input that is unreadable, empty, without a video track or without
    a frame after `skip`; ValueError for a negative `skip` or `frames` below 1.
    """
    if skip < 0 or (frames is not None and frames < 1):
        raise ValueError(f"skip={skip} and frames={frames} select nothing")
    av.logging.set_level(av.logging.PANIC)
    file: str | _PromptReader
    if isinstance(path_or_file, (str, os.PathLike)):
        name = os.fspath(path_or_file)
        file = _location(name)
    else:
        name = str(getattr(path_or_file, "name", "the input"))
        file = _PromptReader(path_or_file)
    with contextlib.ExitStack() as on_failure:
        try:
            # Tags in another encoding than UTF-8 are no reason to refuse a video.
            container = av.open(file, "r", metadata_errors="replace")
            on_failure.callback(container.close)
            source = Source(container, name, skip, frames)
        except av.InvalidDataError as error:
            empty = file.empty if isinstance(file, _PromptReader) else _is_empty(name)
            reason = "it is empty" if empty else "no known video format, or damaged"
            raise SourceError(f"cannot read {name}: {reason}") from error
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"cannot read {name}: {_reason(error)}") from error
        on_failure.pop_all()
    return source
