"""nvdec: a `.nrv` file in, frames of any size and region out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from nvcodec.cli import arguments
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
    require_output,
    standard_input,
)
from nvcodec.options import DEVICES
from nvcodec.words import counted

if TYPE_CHECKING:
    from nvcodec.decode.decoder import Decoder
    from nvcodec.media.output import OutputFile
    from nvcodec.media.y4m import FrameDigest, NullWriter, Y4mWriter
    from nvcodec.model.resample import View

COMMAND = "nvdec"


@click.command(
    COMMAND,
    help=f"""{NOT_NVIDIA}

    Decode IN, a .nrv file or "-" for standard input, to OUT: a .y4m path, "-" for Y4M on standard
    output, or "null". Frames before damage in IN are delivered, and OUT keeps them, as it does
    after Ctrl-C.
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
@click.option("--json", "as_json", is_flag=True, help="Report as JSON lines on standard output.")
@click.option("-y", "--yes", is_flag=True, help="Overwrite OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@print_version(COMMAND)
@click.argument("source", metavar="IN")
@click.argument("output", metavar="OUT")
def main(
    source: str,
    output: str,
    size: tuple[int, int] | float | None,
    crop: tuple[int, int, int, int] | None,
    skip: int,
    frames: int | None,
    verify: bool,
    md5: bool,
    as_json: bool,
    yes: bool,
    quiet: bool,
    **decoding: Any,
) -> None:
    """Decode with these arguments."""
    if output == "-" and (as_json or md5):
        raise click.UsageError("--json or --md5 and OUT '-' both want standard output")
    console = Console(COMMAND, quiet=quiet, as_json=as_json)
    with ending(console, source):
        if output != "null":
            require_output(source, output, ".y4m", "'-' nor 'null'")
        require_input(source)
        from nvcodec.decode.decoder import Decoder
        from nvcodec.media.y4m import FrameDigest

        delivered = _Delivered(FrameDigest() if md5 or as_json else None)
        console.members = delivered.members
        with (
            _opened(output, yes, delivered, console) as out,
            Decoder(
                standard_input() if source == "-" else source,
                **_decoder_options(decoding),
            ) as decoder,
        ):
            if isinstance(size, float):
                width, height = decoder.header.width, decoder.header.height
                size = (max(1, round(width * size)), max(1, round(height * size)))
            view = decoder.view(size, crop)
            asked = {"start": skip, "count": frames, "size": size, "crop": crop, "verify": verify}
            _deliver(decoder, view, asked, out, delivered, console)
        if decoder.metadata_error is not None:
            console.say(f"{message(decoder.metadata_error, source)}; no frame depends on it")
        if not delivered.frames:
            raise RequestError(f"{source}: no frame is left after skipping {skip}")
        console.say(f"decoded: {delivered}")
        if delivered.digest is not None and not as_json:
            console.result(delivered.digest.hexdigest())
        console.line("done", **delivered.members())


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
def _opened(
    output: str, overwrite: bool, delivered: _Delivered, console: Console
) -> Iterator[OutputFile | None]:
    """The output file. However the block ends, the file keeps the frames delivered so far."""
    if output == "null":
        yield None
        return
    from nvcodec.media.output import OutputFile

    with OutputFile(output, overwrite=overwrite) as out:
        try:
            yield out
        finally:
            if delivered.frames:
                out.commit()
                console.keeps(output, delivered.frames)


def _deliver(
    decoder: Decoder,
    view: View,
    asked: dict[str, Any],
    out: OutputFile | None,
    delivered: _Delivered,
    console: Console,
) -> None:
    """Decode the frames asked for, and write and count them."""
    delivered.width, delivered.height = view.crop_width, view.crop_height
    delivered.format = view.samples.name
    writer = _writer(decoder, view, out)
    started = time.perf_counter()
    expected = _expected(decoder, asked, console)
    with (
        console.bar(expected, desc=COMMAND) as bar,
        compilation_told(console, "decoder", bar.clear),
    ):
        for frame in decoder.frames(**asked):
            writer.write(frame.planes)
            if out is not None:
                out.mark()
            if delivered.digest is not None:
                delivered.digest.update(frame.planes)
            delivered.frames += 1
            delivered.seconds = time.perf_counter() - started
            bar.update()


def _expected(decoder: Decoder, asked: dict[str, Any], console: Console) -> int | None:
    """Number of frames to come, for the progress bar; None if it is not known beforehand."""
    from nvcodec.format import NrvError

    count: int | None = asked["count"]
    if console.on_terminal:
        with contextlib.suppress(NrvError):
            left: int = max(0, len(decoder) - asked["start"])
            return left if count is None else min(left, count)
    return count


def _writer(decoder: Decoder, view: View, out: OutputFile | None) -> Y4mWriter | NullWriter:
    from nvcodec.media.y4m import NullWriter, Y4mWriter

    if out is None:
        return NullWriter()
    header = decoder.header
    sar = header.sar
    if sar is not None:
        # The picture keeps its shape when its axes are resized differently.
        sar *= Fraction(header.width * view.height, view.width * header.height)
    return Y4mWriter(
        out.file,
        view.crop_width,
        view.crop_height,
        header.frame_rate,
        sar,
        header.full_range,
        header.chroma_location,
        header.sample_format,
    )
