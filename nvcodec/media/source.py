"""Video sources: anything that PyAV opens, delivered as pictures of one sample format."""

import contextlib
import math
import os
import stat
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from types import TracebackType
from typing import BinaryIO, Final, Self

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from nvcodec.format import Chapter, Hdr, Packet, Track
from nvcodec.media import chroma_location
from nvcodec.media.changes import Changes
from nvcodec.media.declared import declared
from nvcodec.media.ending import ends_early, stated_ends
from nvcodec.media.filters import DEINTERLACE, FrameFilter, cropping
from nvcodec.media.frame_rate import frame_rate
from nvcodec.media.hdr import read_hdr
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
    chroma_shift,
    is_gray,
    is_rgb,
    kept_format,
    range_of,
    rgb_matrix,
)
from nvcodec.media.remote import is_remote, open_remote
from nvcodec.media.streams import NoPictureError, picture_stream
from nvcodec.media.timestamps import Clock, CodingTimes
from nvcodec.media.tracks import CarriedTracks, read_about
from nvcodec.media.y4m_header import file_is_mixed
from nvcodec.options import DEFAULTS, NO_TRACKS, Reading, TrackChoice
from nvcodec.picture import SAMPLE_FORMATS, Picture, Planes, SampleFormat
from nvcodec.words import counted

# Formats whose pictures are even in time, by their nature, and whose rate is declared.
_EVEN_FORMATS: Final = frozenset({"yuv4mpegpipe", "rawvideo", "image2", "avi"})

_AHEAD: Final = 120
"""Packets that are read ahead to find the frame rate; less of a pipe, so that it does not wait."""

_AHEAD_LIVE: Final = 16

_FINEST: Final = Fraction(1, 10**6)
"""The finest time base that is kept, in seconds."""

_DROPPED_SIDE_DATA: Final = {
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "DOVI_METADATA": "Dolby Vision",
    "A53_CC": "closed captions",
    "ICC_PROFILE": "ICC profile",
    "STEREO3D": "stereo 3D",
    "SPHERICAL": "spherical video",
}


_INDEX_AT_END: Final = (
    "its index (moov) is not at its start, so it cannot be read from a pipe: give the file, or"
    " move the index (FFmpeg: -movflags faststart)"
)

# Seconds of video after which audio that is still missing is not waited for.
_FAR_ENOUGH: Final = 2

# Seconds before a picture to seek to, one after the other: some containers seek past the place.
_SEEK_MARGINS: Final = (0, 10)

_FILTER_SECONDS: Final = 1


class SourceError(Exception):
    """The input cannot be read (further). The message is one line that names the input."""


class NothingLeftError(SourceError):
    """The input can be read, but has no frame after the skipped ones."""


def _code_point(value: int) -> int:
    # 0 and 3 are reserved in H.273; above 255 are private values of FFmpeg.
    return UNSPECIFIED if value in (0, 3) or not 0 <= value <= 255 else value


class Source:
    """One video as a stream of pictures; made by `open_source`.

    A context manager, and an iterator for a single pass. It holds two pictures at most.
    At damage, iteration delivers the pictures before it and then raises `SourceError`. The message
    has the number of the frame in the source, from 0.

    Attributes:
        width: displayed width in luma samples.
        height: displayed height in luma samples.
        sample_format: how the samples of pictures are stored.
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
        hdr: mastering display and content light level, None where there is neither.
        tags: what the container says about itself as a whole.
        chapters: those of the container.
        notes: one line for each thing converted, repaired or dropped. It grows while decoding.

    """

    width: int
    height: int
    sample_format: SampleFormat
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
    hdr: Hdr | None
    tags: dict[str, str]
    chapters: tuple[Chapter, ...]
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
        sample_formats: Sequence[SampleFormat],
        tracks: TrackChoice,
    ) -> None:
        self._sample_formats = sample_formats
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
        self._stream, self._alpha = self._choose_stream()
        self._declared = declared(self._stream, container.format.name)
        self._say_dolby_vision()
        if reader is not None and reader.mixed:
            self._notes.add("mixed interlaced and progressive frames, taken as progressive")
        self._carried = self._choose_tracks(tracks)
        self._packets = Packets(container, self._stream, self._carried.take)
        self._ended_early = False
        self.frame_rate = self._read_rate()
        self._coding_times = self._read_coding_times()
        self._changes = Changes(self._notes, deinterlacing=reading.deinterlace)
        self._decoded = 0
        self._delivered = 0
        self._taken: deque[int] = deque()
        self._shown = self._frames()
        first = self._first_frame(skip)
        self._read_header(first, skip)
        if skip and first.pts is not None:
            self._carried.start_at(first.pts * (first.time_base or self.time_base))
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
        picture = next(self._pictures)
        self._delivered += 1
        if self._carried.tracks:
            self._taken.append(self._carried.taken)
        return picture

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks that are carried beside the video, in the order of the source."""
        return self._carried.with_priming()

    def packets_before(self, end: Fraction, frames: int) -> list[Packet]:
        """Take the packets of tracks that begin before `end`, in seconds.

        They are those that were read when the last of the first `frames` pictures was delivered.
        So they do not depend on how far the source has been read since.
        """
        while len(self._taken) > 1 and self._delivered - len(self._taken) + 1 < frames:
            self._taken.popleft()
        return self._carried.before(end, self._taken[0] if self._taken else None)

    def planes_from(self, pts: int) -> Generator[Planes, None, None]:
        """The planes of the pictures from the one at `pts` on, in ticks of the time base.

        Seeks there, so the pictures are not always exactly those of reading on: the caller has to
        compare them. The source delivers nothing else after that.

        Raises SourceError where there is no picture of that time, or at damage.
        """
        time_base = self._stream.time_base or self.time_base
        for margin in _SEEK_MARGINS:
            # A filter needs frames before the first that is right.
            back = margin + (_FILTER_SECONDS if self._reading.deinterlace else 0)
            place = math.floor((pts * self.time_base - back) / time_base)
            with contextlib.suppress(av.FFmpegError, SourceError):
                self._shown.close()
                self._container.seek(place, stream=self._stream)
                self._packets = Packets(self._container, self._stream, lambda packet: None)
                self._decoded = 0
                self._shown = self._frames()
                for frame in self._shown:
                    own = None if frame.pts is None else frame.pts * (frame.time_base or time_base)
                    if own is not None and round(own / self.time_base) >= pts:
                        break
                else:
                    continue
                if round(own / self.time_base) == pts:
                    break
        else:
            raise SourceError(f"cannot read {self._name}: it has no frame at {pts}")
        number = 0
        following: VideoFrame | None = frame
        while following is not None:
            yield self._convert(following, number)
            number += 1
            following = next(self._shown, None)

    def last_packets(self, end: Fraction, *, whole: bool) -> list[Packet]:
        """Take the packets left when the coded part ends at `end`, in seconds.

        They are all packets, but where the part was limited to so many frames, or is not all that
        was read (`whole` is False), only those that begin before its end.
        """
        if whole and not self._ended_early:
            found = self._carried.before(None, None)
        else:
            unread = not whole or self._read_tracks(end)
            found = self._carried.before(end, None)
            self._carried.cut(unread=unread)
        self._carried.note_cut()
        return found

    def _read_tracks(self, end: Fraction) -> bool:
        """Read on until all audio before `end`, in seconds, is there; False if nothing is left."""
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            for packet in self._packets:
                self._check_interrupt()
                if packet.dts is not None and packet.dts * packet.time_base > end + _FAR_ENOUGH:
                    return True
                if self._carried.reached(end):
                    return True
        return False

    def close(self) -> None:
        """Free the decoder. A file object given to `open_source` stays open."""
        self._pictures.close()
        self._shown.close()
        self._packets.close()
        self._opened.close()

    def _choose_stream(self) -> tuple[VideoStream, set[int]]:
        try:
            return picture_stream(self._container, self._notes)
        except NoPictureError as error:
            raise SourceError(f"cannot read {self._name}: {error}") from error

    def _choose_tracks(self, choice: TrackChoice) -> CarriedTracks:
        missing = choice.numbers - {stream.index for stream in self._container.streams}
        if missing:
            raise SourceError(f"cannot read {self._name}: it has no stream {min(missing)}")
        return CarriedTracks(
            self._container, {self._stream.index, *self._alpha}, choice, self._notes
        )

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
            why = f"decoding failed at frame {self._decoded}: {reason(error)}"
            if not self._decoded and _is_iso_pipe(self._reader):
                why = _INDEX_AT_END
            raise SourceError(f"cannot read {self._name}: {why}") from error
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
            self.matrix = rgb_matrix(self.colour_primaries, self.height)
            self.full_range = LIMITED
        self._read_sample_format(frame)

        self.hdr = read_hdr(frame)
        about = read_about(self._container, self._notes)
        self.tags, self.chapters = about.tags, about.chapters
        for kind, data in side_data(frame).items():
            # A stereo kind of 0 is plain, flat video.
            if kind in _DROPPED_SIDE_DATA and (kind != "STEREO3D" or any(bytes(data)[:4])):
                self._notes.add(f"dropped {_DROPPED_SIDE_DATA[kind]} metadata")

    def _read_rate(self) -> Fraction | None:
        """The frame rate: of the coming times, where the container may have guessed it."""
        stream = self._stream
        stated = stream.guessed_rate, stream.average_rate
        if stream.frames == 1:
            # The guess for HEIC is seconds a frame.
            stated = stated[::-1]
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
        # Of the number that is at most 1; one that is next to nothing says nothing.
        least = min(aspect, 1 / aspect).limit_denominator(65535)
        if not least:
            return None
        return least if (aspect <= 1) != self._orientation.swap else 1 / least

    def _read_count(self, skip: int) -> int | None:
        count: int | None = self._stream.frames or None
        duration = self._container.duration
        if count is None and duration and self.frame_rate:
            count = max(1, round(duration * self.frame_rate / av.time_base))
        if count is None:
            return None
        return min(max(count - skip, 1), self._limit or count)

    def _read_sample_format(self, frame: VideoFrame) -> None:
        """Choose the format of pictures, with where its chroma lies and how frames get it."""
        turned = self._orientation.swap
        self.sample_format = samples = kept_format(frame.format, self._sample_formats, turned)
        across, down = samples.chroma_shift
        shift = (down, across) if turned else (across, down)
        declared = chroma_location.UNKNOWN
        if not is_gray(frame.format):
            declared = self._declared.chroma_location
        made = declared
        if not is_gray(frame.format) and shift != chroma_shift(frame.format):
            made = chroma_location.resampled(declared)
        self.chroma_location = chroma_location.UNKNOWN
        if any(shift):
            size = self.width, self.height
            self.chroma_location = chroma_location.turned(
                made, self._orientation, samples, size, self._notes
            )
        self._converter = Converter(
            (frame.width, frame.height),
            samples,
            shift,
            matrix=self.matrix,
            full_range=self.full_range,
            sites=(chroma_location.rendered(declared), chroma_location.rendered(made)),
            notes=self._notes,
        )

    def _convert(self, frame: VideoFrame, number: int) -> Planes:
        """The frame in the header's size, sample format, range and orientation."""
        try:
            planes = self._converter.planes(frame, number)
        except ConversionError as error:
            raise SourceError(f"cannot read {self._name}: {error}") from error
        return tuple(self._orientation.apply(plane) for plane in planes)

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
                self._ended_early = count == self._limit
                frame = self._following(count)
            except SourceError as error:
                failure = error
                break
        if held is not None:
            ends = stated_ends(self._container, self._stream)
            yield Picture(*held, duration=clock.last_duration(ends))
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
        return _starts_iso(file.read(8))


def _starts_iso(start: bytes) -> bool:
    """Whether these are the first bytes of a file of the MP4 family."""
    return start[4:8] == b"ftyp"


def _is_iso_pipe(reader: PromptReader | None) -> bool:
    return reader is not None and not reader.seekable() and _starts_iso(reader.start)


def open_source(
    path_or_file: str | os.PathLike[str] | BinaryIO,
    *,
    skip: int = 0,
    frames: int | None = None,
    tracks: TrackChoice = NO_TRACKS,
    reading: Reading = DEFAULTS.reading,
    sample_formats: Sequence[SampleFormat] = SAMPLE_FORMATS,
) -> Source:
    """Open a video for a single pass and decode its first picture.

    `path_or_file` is a path or URL, or a readable binary file, which need not be seekable
    and is not closed. The first `skip` frames in display order are decoded and dropped. At most
    `frames` (None: all) are delivered; reading stops after them, or after the frame that follows
    and says how long the last one lasts. Pictures have the one of `sample_formats` that keeps most
    of the source. `tracks` says which tracks are carried beside the video: their packets wait
    until they are taken.

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
            if is_remote(name):
                file = opened.enter_context(open_remote(name))
                reader = PromptReader(file)
            elif _is_pipe(name) or file_is_mixed(name):
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
        return Source(
            container,
            name,
            reader,
            opened,
            skip,
            frames,
            reading,
            form.missing,
            sample_formats,
            tracks,
        )
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
        if _is_iso_pipe(reader):
            raise SourceError(f"cannot read {name}: {_INDEX_AT_END}") from error
        empty = _is_empty(name) if reader is None else not reader.taken
        cause = "it is empty" if empty else "no known video format, or damaged"
        raise SourceError(f"cannot read {name}: {cause}") from error
