"""Where nvdec's frames go: a container, Y4M, images, an array, times as text, or nowhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from nvcodec.cli.outcome import RequestError
from nvcodec.words import counted

if TYPE_CHECKING:
    from nvcodec.cli.track_feed import TrackFeed
    from nvcodec.decode.decoder import Decoder
    from nvcodec.decode.frame import Frame
    from nvcodec.format import Chapter
    from nvcodec.media.container import ContainerWriter
    from nvcodec.media.description import VideoDescription
    from nvcodec.media.images import ImageWriter
    from nvcodec.media.npy import ArrayWriter
    from nvcodec.media.output import OutputFile
    from nvcodec.media.timecodes import TimecodeWriter
    from nvcodec.media.y4m import Y4mWriter

CONTAINERS = (".mkv", ".mp4", ".m4v", ".mov", ".webm")
AUDIO_SUFFIXES = (
    *(".mka", ".m4a", ".ogg", ".oga", ".opus", ".mp3", ".flac", ".wav", ".aac", ".ac3", ".eac3"),
    *CONTAINERS,
)
SUFFIXES = (".y4m", *CONTAINERS, ".png", ".npy")

# Durations that differ from the rate by more than this part of a frame, and a tick, vary.
_UNEVEN = Fraction(1, 20)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asks for.

    Attributes:
        path: OUT.
        overwrite: whether files are replaced.
        codec: FFmpeg's name of an encoder, None for the container's default.
        codec_options: options of the encoder, None for the defaults.
        timecodes: path for the times of frames, or None.
        say: is told each note.

    """

    path: str
    overwrite: bool
    codec: str | None = None
    codec_options: dict[str, str] | None = None
    timecodes: str | None = None
    say: Callable[[str], None] = field(repr=False)

    def check(self, frames: int | None) -> None:
        """Raise RequestError where the options do not go together; `frames` is their number."""
        if (self.codec or self.codec_options) and self.suffix not in CONTAINERS:
            raise RequestError(f"--codec is for OUT with one of {', '.join(CONTAINERS)}")
        if self.suffix == ".png" and frames != 1:
            from nvcodec.media.images import is_pattern

            if not is_pattern(self.path):
                raise RequestError(
                    f"OUT {self.path!r} is one image: give --frames 1,"
                    " or a pattern such as out_%05d.png"
                )

    @property
    def suffix(self) -> str:
        """Suffix of OUT in lower case; "" for "-" and "null"."""
        return "" if self.path == "-" else os.path.splitext(self.path)[1].lower()


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What a file holds beside the frames that are asked for.

    Attributes:
        feed: gives its tracks and packets.
        chapters: those of the video, none where it does not begin at its start.
        tags: what it says about itself.

    """

    feed: TrackFeed
    chapters: tuple[Chapter, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)


class Output(Protocol):
    """Takes the frames of one video, whose times may begin anywhere."""

    def begin(self, description: VideoDescription, beside: Beside) -> None:
        """Prepare for frames as described."""

    def write(self, frame: Frame) -> None:
        """Write the next frame."""

    def keep(self, whole: bool) -> None:
        """Complete what was written, and give it its name. `whole`: the video ends here."""


class _Nowhere:
    """Writes nothing."""

    def begin(self, description: VideoDescription, beside: Beside) -> None:
        pass

    def write(self, frame: Frame) -> None:
        pass

    def keep(self, whole: bool) -> None:
        pass


class _Y4m:
    """Writes Y4M, and says when times are lost."""

    def __init__(self, out: OutputFile, request: Request) -> None:
        self._out = out
        self._request = request
        self._writer: Y4mWriter | None = None
        self._last: Fraction | None = None
        self._told = False

    def begin(self, description: VideoDescription, beside: Beside) -> None:
        from nvcodec.media.y4m import Y4mWriter

        if beside.feed.tracks:
            self._request.say(
                f"left out {counted(len(beside.feed.tracks), 'track')}, for which Y4M has no place"
                " (a .mkv or .mp4 file has)"
            )
        self._interval = 1 / (description.frame_rate or Fraction(25))
        self._slack = description.time_base + self._interval * _UNEVEN
        self._writer = Y4mWriter(
            self._out.file,
            description.width,
            description.height,
            description.frame_rate,
            description.sar,
            description.colour.full_range,
            description.colour.chroma_location,
            description.sample_format,
            description.field_order,
        )

    def write(self, frame: Frame) -> None:
        assert self._writer is not None
        self._writer.write(frame.planes)
        self._out.mark()
        last, self._last = self._last, frame.time
        if last is None or self._told or self._request.timecodes is not None:
            return
        if abs(frame.time - last - self._interval) > self._slack:
            self._told = True
            self._request.say(
                f"frame {frame.index} on: times are not those of"
                f" {float(1 / self._interval):g} frames a second, and Y4M loses them"
                " (--timecodes writes them, --fps resamples, a .mkv or .mp4 file has them)"
            )

    def keep(self, whole: bool) -> None:
        self._out.commit()


class _Container:
    """Writes a container of FFmpeg."""

    def __init__(self, out: OutputFile, request: Request) -> None:
        self._out = out
        self._request = request
        self._writer: ContainerWriter | None = None

    def begin(self, description: VideoDescription, beside: Beside) -> None:
        from nvcodec.media.container import ContainerWriter
        from nvcodec.media.encoding import choose_encoding

        request = self._request
        encoding = choose_encoding(request.path, description, request.codec, request.codec_options)
        self._writer = ContainerWriter(
            self._out.file,
            request.path,
            description,
            encoding,
            beside.feed.tracks,
            beside.chapters,
            beside.tags,
        )
        self._feed = beside.feed
        request.say(f"{request.path}: {encoding.words}")
        self._say_left_out()

    def write(self, frame: Frame) -> None:
        assert self._writer is not None
        self._writer.write(frame.planes, frame.pts, frame.duration)
        for packet in self._feed.until(frame.time + frame.duration * frame.time_base):
            self._writer.write_packet(packet)

    def keep(self, whole: bool) -> None:
        assert self._writer is not None
        if whole:
            for packet in self._feed.rest():
                self._writer.write_packet(packet)
        self._writer.close()
        self._say_left_out()
        self._out.commit()

    def _say_left_out(self) -> None:
        assert self._writer is not None
        for line in self._writer.left_out:
            self._request.say(line)
        self._writer.left_out.clear()


class _Array:
    """Writes a .npy file."""

    def __init__(self, out: OutputFile) -> None:
        self._out = out
        self._writer: ArrayWriter | None = None

    def begin(self, description: VideoDescription, beside: Beside) -> None:
        from nvcodec.media.npy import ArrayWriter

        self._writer = ArrayWriter(self._out.file, description)

    def write(self, frame: Frame) -> None:
        assert self._writer is not None
        self._writer.write(frame.planes)
        self._out.mark()

    def keep(self, whole: bool) -> None:
        assert self._writer is not None
        self._writer.close()
        self._out.commit()


class _Images:
    """Writes PNG images. They have the number of their frame, or count frames of a new rate."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._writer: ImageWriter | None = None
        self._last: int | None = None

    def begin(self, description: VideoDescription, beside: Beside) -> None:
        from nvcodec.media.images import ImageWriter

        request = self._request
        self._writer = ImageWriter(request.path, description, overwrite=request.overwrite)

    def write(self, frame: Frame) -> None:
        assert self._writer is not None
        number = frame.index if self._last is None else self._last + 1
        self._writer.write(frame.planes, number)
        self._last = number

    def keep(self, whole: bool) -> None:
        pass


class _Timed:
    """Writes the times of frames beside another output."""

    def __init__(self, output: Output, out: OutputFile) -> None:
        from nvcodec.media.timecodes import TimecodeWriter

        self._output = output
        self._out = out
        self._writer: TimecodeWriter = TimecodeWriter(out.file)

    def begin(self, description: VideoDescription, beside: Beside) -> None:
        self._output.begin(description, beside)

    def write(self, frame: Frame) -> None:
        self._output.write(frame)
        self._writer.write(frame.time, frame.duration * frame.time_base)

    def keep(self, whole: bool) -> None:
        self._output.keep(whole)
        self._writer.close()
        self._out.commit()


@contextlib.contextmanager
def opened(request: Request) -> Iterator[Output]:
    """The output that is asked for. What is not kept leaves nothing behind.

    Raises FileExistsError for files that may not be overwritten, OSError, and RequestError.
    """
    with contextlib.ExitStack() as files:

        def file(path: str) -> OutputFile:
            from nvcodec.media.output import OutputFile

            return files.enter_context(OutputFile(path, overwrite=request.overwrite))

        output = _made(request, file)
        if request.timecodes is not None:
            output = _Timed(output, file(request.timecodes))
        yield output


def _made(request: Request, file: Callable[[str], OutputFile]) -> Output:
    if request.path == "null":
        return _Nowhere()
    if request.suffix == ".png":
        return _Images(request)
    if request.suffix == ".npy":
        out = file(request.path)
        _require_seekable(out)
        return _Array(out)
    if request.suffix in CONTAINERS:
        out = file(request.path)
        return _Container(out, request)
    return _Y4m(file(request.path), request)


def _require_seekable(out: OutputFile) -> None:
    if not out.file.seekable():
        raise RequestError(f"{out.name} is a pipe, which cannot take a {out.name[-4:]} file")


def copy_audio(decoder: Decoder, tags: dict[str, str], request: Request) -> tuple[int, int]:
    """Copy the packets of the audio tracks to a container: (packets, tracks) that are there.

    Nothing is left behind when there is no such track. Packets before damage are kept.

    Raises NrvError for damage, OutputError when the container takes no track.
    """
    from nvcodec.cli.track_feed import primed
    from nvcodec.media.container import ContainerWriter
    from nvcodec.media.output import OutputFile

    audio = tuple(track for track in decoder.tracks if track.kind == "audio")
    if not audio:
        return 0, 0
    numbers = {track.number for track in audio}
    written = 0
    tracks = primed(audio, (p for p in decoder.packets() if p.track in numbers))
    with OutputFile(request.path, overwrite=request.overwrite) as out:
        writer = ContainerWriter(out.file, request.path, tracks=tracks, tags=tags)
        said = len(writer.left_out)
        for line in writer.left_out:
            request.say(line)
        try:
            for packet in decoder.packets():
                if packet.track in numbers:
                    writer.write_packet(packet)
                    written += 1
        finally:
            if written:
                writer.close()
                for line in writer.left_out[said:]:
                    request.say(line)
                out.commit()
    return written, len(tracks) - said
