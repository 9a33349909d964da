"""nvdec: a `.nrv` file in, frames of any size and region out."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from nvcodec.cli.outcome import (
    EXIT_CODES_HELP,
    NOT_NVIDIA,
    ending,
    exit_code,
    message,
    print_version,
    require_input,
)

if TYPE_CHECKING:
    from nvcodec.decode.decoder import Decoder
    from nvcodec.media.y4m import NullWriter, Y4mWriter
    from nvcodec.model.resample import View

COMMAND = "nvdec"


class _Size(click.ParamType):
    name = "WxH|P%"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int] | float:
        if match := re.fullmatch(r"(\d{1,6})x(\d{1,6})", value):
            return int(match[1]), int(match[2])
        if match := re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)%", value):
            return float(match[1]) / 100
        self.fail(f"{value!r} is neither WIDTHxHEIGHT nor a percentage such as 50%")


class _Crop(click.ParamType):
    name = "W:H:X:Y"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int, int, int]:
        match = re.fullmatch(r"(\d{1,6}):(\d{1,6}):(\d{1,6}):(\d{1,6})", value)
        if not match:
            self.fail(f"{value!r} is not WIDTH:HEIGHT:X:Y")
        w, h, x, y = (int(part) for part in match.groups())
        return w, h, x, y


@click.command(
    COMMAND,
    help=f"""{NOT_NVIDIA}

    Decode IN, a .nrv file or "-" for standard input, to OUT: a .y4m path, "-" for Y4M on standard
    output, or "null". Frames before damage in IN are delivered, and OUT keeps them.
    """,
    epilog=EXIT_CODES_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--size", type=_Size(), help="Output size, 1280x720 or 50%.")
@click.option("--crop", type=_Crop(), help="Region of the (resized) frame; X and Y are even.")
@click.option("--skip", type=click.IntRange(min=0), default=0, help="Frames to leave out first.")
@click.option("--frames", type=click.IntRange(min=1), help="Frames to decode.  [default: all]")
@click.option("--verify", is_flag=True, help="Check the samples of every group against its CRC.")
@click.option("--md5", is_flag=True, help="Print the MD5 of all output samples.")
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads.  [default: one for each core]"
)
@click.option("--batch", type=click.IntRange(min=1), help="Patches evaluated at once.")
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True
)
@click.option("--max-luma-samples", type=click.IntRange(min=1), help="Limit per frame.")
@click.option("--max-weights", type=click.IntRange(min=1), help="Limit of a network.")
@click.option("--max-unit-bytes", type=click.IntRange(min=1), help="Limit of a unit.")
@click.option("--max-multiplications", type=click.IntRange(min=1), help="Limit per luma sample.")
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
    threads: int | None,
    batch: int | None,
    device: str,
    as_json: bool,
    yes: bool,
    quiet: bool,
    **limits: int | None,
) -> None:
    if output not in ("-", "null") and not output.endswith(".y4m"):
        raise click.UsageError(f"OUT {output!r} is neither a .y4m path nor '-' nor 'null'")
    if output == "-" and (as_json or md5):
        raise click.UsageError("--json or --md5 and OUT '-' both want standard output")
    with ending(COMMAND):
        require_input(source)
        from nvcodec.media.output import OutputFile

        opened = None if output == "null" else OutputFile(output, overwrite=yes)
        run = _Run(output, quiet, as_json, md5)
        try:
            from nvcodec.decode.decoder import Decoder
            from nvcodec.format import Limits

            wanted = {name: value for name, value in limits.items() if value is not None}
            with Decoder(
                sys.stdin.buffer if source == "-" else source,
                device=device,
                threads=threads,
                batch=batch,
                limits=Limits(**wanted),
            ) as decoder:
                run.decode(decoder, opened.file if opened else None, size, crop, skip, frames, verify)
            run.finish()
        except BaseException as error:
            run.stopped(error)
            raise
        finally:
            if opened is not None:
                with opened:
                    if run.frames:
                        opened.commit()


class _Run:
    """One decode: counts, times and reports it."""

    def __init__(self, output: str, quiet: bool, as_json: bool, md5: bool) -> None:
        self._output = output
        self._quiet = quiet
        self._as_json = as_json
        self._md5 = md5
        self._digest: Any = None
        self._seconds = 0.0
        self._size = (0, 0)
        self.frames = 0

    def decode(
        self,
        decoder: Decoder,
        file: BinaryIO | None,
        size: tuple[int, int] | float | None,
        crop: tuple[int, int, int, int] | None,
        skip: int,
        frames: int | None,
        verify: bool,
    ) -> None:
        from tqdm import tqdm

        from nvcodec.media.y4m import FrameDigest

        header = decoder.header
        if isinstance(size, float):
            size = (max(1, round(header.width * size)), max(1, round(header.height * size)))
        view = decoder.view(size, crop)
        self._size = (view.crop_width, view.crop_height)
        writer = _writer(decoder, view, file)
        self._digest = FrameDigest() if self._md5 or self._as_json else None
        total = frames
        if total is None and header.frame_count != 0xFFFFFFFF:
            total = max(0, header.frame_count - skip)
        started = time.perf_counter()
        hidden = True if self._quiet else None
        with tqdm(total=total, unit="frame", disable=hidden, desc=COMMAND) as bar:
            for frame in decoder.frames(
                start=skip, count=frames, size=size, crop=crop, verify=verify
            ):
                writer.write(frame.planes)
                if file is not None:
                    file.flush()
                if self._digest is not None:
                    self._digest.update(frame.planes)
                self.frames += 1
                self._seconds = time.perf_counter() - started
                bar.update()

    def finish(self) -> None:
        if not self._quiet:
            click.echo(f"{COMMAND}: {self._summary('decoded')}", err=True)
        if self._md5 and not self._as_json:
            click.echo(self._digest.hexdigest())
        self._line("done")

    def stopped(self, error: BaseException) -> None:
        if self.frames and not self._quiet and not isinstance(error, BrokenPipeError):
            click.echo(f"{COMMAND}: {self._summary('partial result')}", err=True)
        if not isinstance(error, BrokenPipeError):
            self._line("error", message=message(error), exit_code=exit_code(error))

    def _summary(self, what: str) -> str:
        width, height = self._size
        speed = self.frames / self._seconds if self._seconds else 0.0
        return (
            f"{what}: {self.frames} frames of {width}x{height}"
            f" in {self._seconds:.2f} s ({speed:.1f} fps)"
        )

    def _line(self, kind: str, **members: Any) -> None:
        if self._as_json:
            report = {
                "type": kind,
                "frames": self.frames,
                "width": self._size[0],
                "height": self._size[1],
                "seconds": self._seconds,
                "md5": self._digest.hexdigest() if self._digest is not None else None,
                **members,
            }
            click.echo(json.dumps(report))


def _writer(decoder: Decoder, view: View, file: BinaryIO | None) -> Y4mWriter | NullWriter:
    from nvcodec.media.y4m import NullWriter, Y4mWriter

    if file is None:
        return NullWriter()
    header = decoder.header
    sar = header.sar
    if sar is not None:
        # The picture keeps its shape when its axes are resized differently.
        sar *= (header.width * view.height) / _fraction(view.width * header.height)
    return Y4mWriter(
        file,
        view.crop_width,
        view.crop_height,
        header.frame_rate,
        sar,
        header.full_range,
        header.chroma_location,
    )


def _fraction(value: int) -> Any:
    from fractions import Fraction

    return Fraction(value)
