"""nvdec: a `.nrv` file in, frames of any size and region out."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from nvcodec.cli import arguments, batch
from nvcodec.cli.outcome import (
    EXIT_CODES_HELP,
    NOT_NVIDIA,
    Console,
    RequestError,
    compilation_told,
    ending,
    message,
    print_version,
    require_input,
    require_memory,
    require_output,
    standard_input,
)
from nvcodec.cli.outputs import (
    AUDIO_SUFFIXES,
    SUFFIXES,
    Beside,
    Output,
    Request,
    copy_audio,
    opened,
)
from nvcodec.options import DEVICES
from nvcodec.words import counted

if TYPE_CHECKING:
    from nvcodec.cli.track_feed import TrackFeed
    from nvcodec.decode.decoder import Decoder
    from nvcodec.decode.frame import Frame
    from nvcodec.media.description import VideoDescription
    from nvcodec.media.y4m import FrameDigest
    from nvcodec.model.resample import View

COMMAND = "nvdec"

LEAST_MEMORY = 512
"""MiB that the libraries alone take, most of it reserved and not used."""

MANY_SUFFIXES = (".mkv", ".y4m", ".mp4", ".m4v", ".mov", ".webm", ".npy")
"""Suffixes of outputs that are one file each."""


@click.command(
    COMMAND,
    help=f"""{NOT_NVIDIA}

    Decode IN, a .nrv file or "-" for standard input, to OUT: a .y4m path, "-" for Y4M on standard
    output, a video file (.mkv, .mp4, .mov, .webm), PNG images (out_%05d.png), an array (.npy) or
    "null". Frames before damage in IN are delivered, and OUT keeps them, as it does after Ctrl-C.
    With --output-dir, each IN becomes a file of that folder.
    """,
    short_help="Decode a .nrv file.",
    epilog=EXIT_CODES_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--size", metavar="WxH|P%", callback=arguments.size, help="Output size, 1280x720 or 50%."
)
@click.option(
    "--crop",
    metavar="W:H:X:Y",
    callback=arguments.crop,
    help="Region of the (resized) frame; X and Y are even where chroma is subsampled.",
)
@click.option("--skip", type=click.IntRange(min=0), default=0, help="Frames to leave out first.")
@click.option("--frames", type=click.IntRange(min=1), help="Frames to decode.  [default: all]")
@click.option(
    "--fps",
    metavar="N",
    callback=arguments.frame_rate,
    help="Repeat and leave out frames, so that there are N a second: 25, 30000/1001.",
)
@click.option("--codec", help="FFmpeg's encoder for a video file.  [default: by container]")
@click.option(
    "--codec-options",
    metavar="K=V,...",
    callback=arguments.codec_options,
    help="Options of the encoder, in place of our defaults.",
)
@click.option(
    "--timecodes", metavar="FILE", help="Write the times of frames, as timecode format v2."
)
@click.option(
    "--audio-only", is_flag=True, help="Copy the sound alone, to .mka, .m4a, .opus, .mp3, .wav, ..."
)
@click.option("--verify", is_flag=True, help="Check the samples of every group against its CRC.")
@click.option("--md5", is_flag=True, help="Print the MD5 of all output samples.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: one per core]")
@click.option("--batch", type=click.IntRange(min=1), help="Patches evaluated at once.")
@click.option("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@click.option("--max-luma-samples", type=click.IntRange(min=1), help="Most luma samples per frame.")
@click.option("--max-weights", type=click.IntRange(min=1), help="Most weights of a network.")
@click.option("--max-unit-bytes", type=click.IntRange(min=1), help="Most bytes of a unit.")
@click.option(
    "--max-multiplications",
    type=click.IntRange(min=1),
    help="Most multiplications per luma sample.",
)
@click.option(
    "--max-memory",
    metavar="N",
    callback=arguments.whole_amount,
    help="Most bytes of working memory that IN may need: 500M, 2Gi.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0, min_open=True),
    callback=arguments.finite_or_none,
    help="Most seconds for a file; the frames before are delivered.",
)
@click.option("--json", "as_json", is_flag=True, help="Report as JSON lines on standard output.")
@click.option("-y", "--yes", is_flag=True, help="Overwrite OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@print_version(COMMAND)
@click.option(
    "--output-dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Decode many IN to DIR/NAME.mkv; without IN, those that standard input lists.",
)
@click.option(
    "--suffix",
    type=click.Choice(MANY_SUFFIXES),
    default=".mkv",
    show_default=True,
    help="Of the files of --output-dir.",
)
@click.option(
    "--resume", is_flag=True, help="With --output-dir: skip the files that are done and unchanged."
)
@click.argument("paths", nargs=-1, metavar="IN OUT")
def main(
    paths: tuple[str, ...],
    output_dir: Path | None,
    suffix: str,
    resume: bool,
    size: tuple[int, int] | float | None,
    crop: tuple[int, int, int, int] | None,
    skip: int,
    frames: int | None,
    fps: Fraction | None,
    codec: str | None,
    codec_options: dict[str, str] | None,
    timecodes: str | None,
    audio_only: bool,
    verify: bool,
    md5: bool,
    as_json: bool,
    yes: bool,
    quiet: bool,
    **decoding: Any,
) -> None:
    """Decode with these arguments."""
    console = Console(COMMAND, quiet=quiet, as_json=as_json)
    asked = _Asked(size, crop, skip, frames, fps, codec, codec_options, timecodes, verify, md5)
    if output_dir is not None:
        with ending(console, str(output_dir)):
            require_memory(LEAST_MEMORY)
            if audio_only or timecodes or md5:
                name = "audio-only" if audio_only else "timecodes" if timecodes else "md5"
                raise RequestError(f"--output-dir does not take --{name}")
            code = _decode_many(
                paths, output_dir, suffix, asked, decoding, console, resume=resume, overwrite=yes
            )
        sys.exit(code)
    if resume:
        raise click.UsageError("--resume goes with --output-dir")
    source, output = arguments.two_paths(paths)
    if output == "-" and (as_json or md5):
        raise click.UsageError("--json or --md5 and OUT '-' both want standard output")

    def note(text: str) -> None:
        console.say(text)
        console.line("note", text=text)

    request = asked.request(output, yes, note)
    with ending(console, source):
        require_memory(LEAST_MEMORY)
        if audio_only:
            # These do not show in the samples.
            free = ("threads", "batch", "device", *(k for k in decoding if k.startswith("max_")))
            given = decoding | asked._asdict()
            _refuse_with_audio_only({k: v for k, v in given.items() if k not in free})
            require_output(source, output, AUDIO_SUFFIXES, "anything else with --audio-only")
            require_input(source)
            _copy_audio(source, request, decoding, console)
            return
        if output != "null":
            require_output(source, output, SUFFIXES, "'-' nor 'null'")
        delivered = _decode(source, request, asked, decoding, console, digest=md5 or as_json)
        console.say(f"decoded: {delivered}")
        if delivered.digest is not None and not as_json:
            console.result(delivered.digest.hexdigest())
        console.line("done", **delivered.members())


class _Asked(NamedTuple):
    """The options of what is decoded, as of the command."""

    size: tuple[int, int] | float | None
    crop: tuple[int, int, int, int] | None
    skip: int
    frames: int | None
    fps: Fraction | None
    codec: str | None
    codec_options: dict[str, str] | None
    timecodes: str | None
    verify: bool
    md5: bool

    def request(self, path: str, overwrite: bool, say: Callable[[str], None]) -> Request:
        """What is asked of the output."""
        return Request(
            path=path,
            overwrite=overwrite,
            codec=self.codec,
            codec_options=self.codec_options,
            timecodes=self.timecodes,
            say=say,
        )


def _decode(
    source: str,
    request: Request,
    options: _Asked,
    decoding: dict[str, Any],
    console: Console,
    *,
    digest: bool,
) -> _Delivered:
    """Decode a file as the request says; gives what was delivered, at least a frame."""
    request.check(options.frames)
    require_input(source)
    from nvcodec.decode.decoder import Decoder
    from nvcodec.media.y4m import FrameDigest

    delivered = _Delivered(FrameDigest() if digest else None)
    console.members = delivered.members
    with (
        opened(request) as out,
        Decoder(
            standard_input() if source == "-" else source,
            **_decoder_options(decoding),
        ) as decoder,
    ):
        size = options.size
        if isinstance(size, float):
            width, height = decoder.header.width, decoder.header.height
            size = (max(1, round(width * size)), max(1, round(height * size)))
        view = decoder.view(size, options.crop)
        asked: dict[str, Any] = {"start": options.skip, "count": options.frames, "size": size}
        asked |= {"crop": options.crop, "verify": options.verify}
        with _kept(out, request, delivered, console):
            _deliver(
                decoder, view, asked, options.fps, out, delivered, console, decoding["threads"]
            )
    if decoder.metadata_error is not None:
        console.say(f"{message(decoder.metadata_error, source)}; no frame depends on it")
    if not delivered.frames:
        raise RequestError(f"{source}: no frame is left after skipping {options.skip}")
    return delivered


def _decode_many(
    sources: Sequence[str],
    folder: Path,
    suffix: str,
    options: _Asked,
    decoding: dict[str, Any],
    console: Console,
    *,
    resume: bool,
    overwrite: bool,
) -> int:
    """Decode all sources to a folder; gives the exit code."""
    from nvcodec.version import fingerprint

    basis = {k: v for k, v in options._asdict().items() if v}
    basis |= {"fps": str(options.fps)} if options.fps else {}
    basis["nvcodec"] = fingerprint()
    silent = Console(COMMAND, quiet=True, as_json=False)

    def decode(source: str, output: str) -> tuple[dict[str, Any], str]:
        notes: list[str] = []
        request = options.request(output, True, notes.append)
        delivered = _decode(source, request, options, decoding, silent, digest=False)
        notes = [text.removeprefix(f"{output}: ") for text in notes]
        made = {"frames": delivered.frames, "notes": notes}
        return made, counted(delivered.frames, "frame")

    return batch.run(
        batch.items(sources, folder, suffix),
        folder,
        basis,
        decode,
        console,
        verb="decoded",
        resume=resume,
        overwrite=overwrite,
    )


def _refuse_with_audio_only(options: dict[str, Any]) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        name = given[0].replace("_", "-")
        raise RequestError(f"--audio-only decodes no frames, so it does not take --{name}")


def _copy_audio(source: str, request: Request, decoding: dict[str, Any], console: Console) -> None:
    """Copy the packets of the audio tracks to OUT."""
    from nvcodec.decode.decoder import Decoder

    opened_source = standard_input() if source == "-" else source
    with Decoder(opened_source, **_decoder_options(decoding)) as decoder:
        packets, tracks = copy_audio(decoder, _texts(decoder.metadata.get("tags")), request)
    if not tracks:
        raise RequestError(f"{source}: it has no audio track")
    console.say(f"copied: {counted(packets, 'packet')} of {counted(tracks, 'audio track')}")
    console.line("done", packets=packets, tracks=tracks)


def _decoder_options(decoding: dict[str, Any]) -> dict[str, Any]:
    """Arguments of Decoder from options; options that begin with max_ are limits."""
    from nvcodec.format import Limits

    limits = {name: value for name, value in decoding.items() if name.startswith("max_")}
    given = {name: value for name, value in limits.items() if value is not None}
    others = {name: value for name, value in decoding.items() if name not in limits}
    return others | {"limits": Limits(**given)}


@dataclass
class _Delivered:
    """Frames and digest that have been delivered so far."""

    digest: FrameDigest | None
    width: int = 0
    height: int = 0
    format: str = ""
    frames: int = 0
    seconds: float = 0.0
    to_the_end: bool = True

    def members(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "width": self.width,
            "height": self.height,
            "format": self.format,
            "seconds": self.seconds,
            "md5": self.digest.hexdigest() if self.digest is not None else None,
        }

    def __str__(self) -> str:
        speed = self.frames / self.seconds if self.seconds else 0.0
        return (
            f"{counted(self.frames, 'frame')} of {self.width}x{self.height} {self.format}"
            f" in {self.seconds:.2f} s ({speed:.1f} fps)"
        )


@contextlib.contextmanager
def _kept(
    output: Output, request: Request, delivered: _Delivered, console: Console
) -> Iterator[None]:
    """However the block ends, the output keeps the frames delivered so far.

    A file that was there before stays, however, where the new one cannot be written.
    """
    whole = failed = False
    replaces = os.path.isfile(request.path)
    try:
        yield
        whole = delivered.to_the_end
    except OSError:
        failed = True
        raise
    finally:
        if failed and replaces:
            console.kept = f"{request.path} stays as it was"
        elif delivered.frames:
            try:
                output.keep(whole)
            except Exception:
                # What has ended the block says more: a container needs room for its end.
                if not failed:
                    raise
            else:
                if request.path != "null":
                    console.keeps(request.path, delivered.frames)


def _is_usual(decoder: Decoder) -> bool:
    """Whether a stream is of the model and samples that a first use most often has."""
    from nvcodec.format.header import HYBRID
    from nvcodec.picture import YUV420P8

    header = decoder.header
    return header.model == HYBRID and header.sample_format == YUV420P8


def _deliver(
    decoder: Decoder,
    view: View,
    asked: dict[str, Any],
    rate: Fraction | None,
    output: Output,
    delivered: _Delivered,
    console: Console,
    threads: int | None,
) -> None:
    """Decode the frames asked for, and write and count them."""
    from nvcodec.cli.track_feed import TrackFeed
    from nvcodec.decode.frame_rate import at_rate

    delivered.width, delivered.height = view.crop_width, view.crop_height
    delivered.format = view.samples.name
    delivered.to_the_end = asked["count"] is None
    feed = TrackFeed(decoder, moved=asked["start"] > 0)
    output.begin(_description(decoder, view, rate), _beside(decoder, feed))
    started = time.perf_counter()
    expected = _expected(decoder, asked, console) if rate is None else None
    frames = _from_origin(decoder.frames(**asked), feed)
    with (
        console.bar(expected, desc=COMMAND) as bar,
        compilation_told(console, "decoder", bar.clear, threads=threads, usual=_is_usual(decoder)),
    ):
        for frame in frames if rate is None else at_rate(frames, rate):
            output.write(frame)
            if delivered.digest is not None:
                delivered.digest.update(frame.planes)
            delivered.frames += 1
            delivered.seconds = time.perf_counter() - started
            bar.update()


def _from_origin(frames: Iterator[Frame], feed: TrackFeed) -> Iterator[Frame]:
    """The frames, with times from 0 on if the feed needs an origin, which they give it."""
    origin = None if feed.origin is None else 0
    for frame in frames:
        if origin is None:
            origin, feed.origin = frame.pts, frame.time
        yield replace(frame, pts=frame.pts - origin)


def _texts(tags: object) -> dict[str, str]:
    """Those members of a JSON object that are texts, as FFmpeg can have them."""
    members = tags.items() if isinstance(tags, dict) else ()
    texts = {name: text for name, text in members if isinstance(text, str)}
    return {
        name: text
        for name, text in texts.items()
        # A lone surrogate is lost in this.
        if "\0" not in name + text and (name + text).encode(errors="ignore").decode() == name + text
    }


def _beside(decoder: Decoder, feed: TrackFeed) -> Beside:
    return Beside(
        feed=feed,
        # Chapters have the times of the whole video.
        chapters=decoder.chapters if feed.origin is not None else (),
        tags=_texts(decoder.metadata.get("tags")),
    )


def _expected(decoder: Decoder, asked: dict[str, Any], console: Console) -> int | None:
    """Number of frames to come, for the progress bar; None if it is not known beforehand."""
    from nvcodec.format import NrvError

    count: int | None = asked["count"]
    if console.on_terminal:
        with contextlib.suppress(NrvError):
            left: int = max(0, len(decoder) - asked["start"])
            return left if count is None else min(left, count)
    return count


def _description(decoder: Decoder, view: View, rate: Fraction | None) -> VideoDescription:
    from nvcodec.media.colour import Colour
    from nvcodec.media.description import VideoDescription

    header = decoder.header
    sar = header.sar
    if sar is not None:
        # The picture keeps its shape when its axes are resized differently.
        sar *= Fraction(header.width * view.height, view.width * header.height)
    return VideoDescription(
        width=view.crop_width,
        height=view.crop_height,
        colour=Colour.of(header),
        time_base=header.time_base if rate is None else 1 / rate,
        frame_rate=header.frame_rate if rate is None else rate,
        sar=sar,
        hdr=decoder.hdr,
        field_order=_field_order(decoder, view),
    )


def _field_order(decoder: Decoder, view: View) -> str | None:
    """The field order of what is shown; None where rows are resized, which ends fields."""
    order = decoder.metadata.get("field_order")
    if order is None or view.height != decoder.header.height:
        return None
    if view.y % 2:
        return "bottom" if order == "top" else "top"
    return str(order)
