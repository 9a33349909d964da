"""nvenc: a video in, a `.nrv` file out."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from typing import TYPE_CHECKING, Any

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
    from nvcodec.encode.encoder import EncodedGroup, EncodeResult, Observer

COMMAND = "nvenc"


@click.command(
    COMMAND,
    help=f"""{NOT_NVIDIA}

    Encode the video IN to OUT, a .nrv file. IN is anything FFmpeg's libraries read, or "-" for
    Y4M on standard input; OUT is a path or "-". After Ctrl-C, OUT holds the groups that were
    finished.
    """,
    epilog=EXIT_CODES_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--model", type=click.Choice(["nirvana"]), default="nirvana", show_default=True)
@click.option(
    "--crf",
    type=click.FloatRange(0, 60),
    default=30.0,
    show_default=True,
    help="Quality; lower is better and bigger.",
)
@click.option(
    "--preset",
    type=click.Choice(["fast", "medium", "slow", "paper"]),
    default="medium",
    show_default=True,
    help="Training effort; paper is the recipe of arXiv 2212.14593.",
)
@click.option(
    "--network",
    type=click.Choice(["auto", "paper"]),
    default="auto",
    show_default=True,
    help="Network shape: by --crf and frame size, or the paper's.",
)
@click.option(
    "--group-size", type=click.IntRange(1, 32), help="Frames of a group.  [default: the network's]"
)
@click.option(
    "--key-interval",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds from key group to key group.",
)
@click.option("--skip", type=click.IntRange(min=0), default=0, help="Frames to leave out first.")
@click.option("--frames", type=click.IntRange(min=1), help="Frames to encode.  [default: all]")
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads.  [default: one for each core]"
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where networks are trained.",
)
@click.option("--psnr", is_flag=True, help="Report PSNR of each plane.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON lines on standard output.")
@click.option("-y", "--yes", is_flag=True, help="Overwrite OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@print_version(COMMAND)
@click.argument("source", metavar="IN")
@click.argument("output", metavar="OUT")
def main(
    source: str,
    output: str,
    psnr: bool,
    as_json: bool,
    yes: bool,
    quiet: bool,
    device: str,
    **options: Any,
) -> None:
    if as_json and output == "-":
        raise click.UsageError("--json and OUT '-' both want standard output")
    if output != "-" and not output.endswith(".nrv"):
        raise click.UsageError(f"OUT {output!r} is neither a .nrv path nor '-'")
    with ending(COMMAND):
        require_input(source)
        _require_device(device)
        report = _make_report(as_json, quiet, psnr)
        from nvcodec.encode.encoder import encode

        try:
            result = encode(
                sys.stdin.buffer if source == "-" else source,
                output,
                device=device,
                overwrite=yes,
                observer=report.observer,
                **options,
            )
        except BaseException as error:
            report.stopped(error)
            raise
        report.done(result)


def _require_device(device: str) -> None:
    if device == "cuda":
        import torch

        from nvcodec.format import UnsupportedError

        if not torch.cuda.is_available():
            raise UnsupportedError("device cuda: no CUDA device is available; use cpu")


def _make_report(as_json: bool, quiet: bool, psnr: bool) -> _Report:
    from tqdm import tqdm

    from nvcodec.encode.encoder import Observer

    class Progress(Observer):
        """Shows progress on a terminal and passes what has happened on to the report."""

        def __init__(self) -> None:
            self.bar: Any = None

        def started(self, result: EncodeResult, frame_count_hint: int | None) -> None:
            report.result = result
            self.bar = tqdm(
                total=frame_count_hint,
                unit="frame",
                disable=True if quiet else None,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total_fmt} frames"
                " [{elapsed}<{remaining}{postfix}]"
                if frame_count_hint
                else "{desc} {n:.1f} frames [{elapsed}{postfix}]",
            )
            report.line(
                "start",
                width=result.width,
                height=result.height,
                frame_count_hint=frame_count_hint,
                network=vars(result.shape),
            )

        def training(self, group: Any, ordinal: int, progress: Any) -> None:
            share = progress.iteration / progress.iterations
            self.bar.set_description_str(f"group {ordinal}", refresh=False)
            self.bar.set_postfix_str(
                f"iteration {progress.iteration}/{progress.iterations}"
                f" {10 * math.log10(255**2 / max(progress.error, 1e-9)):.2f} dB"
                f" {progress.bits / 1000:.0f} kbit",
                refresh=False,
            )
            self.bar.n = report.frames + share * len(group.pictures)
            self.bar.refresh()

        def encoded(self, group: EncodedGroup) -> None:
            report.frames += group.frames
            report.line("group", **vars(group) | {"psnr": _finite(group.psnr)})

    progress = Progress()
    report = _Report(as_json, quiet, psnr, progress)
    return report


class _Report:
    def __init__(self, as_json: bool, quiet: bool, psnr: bool, observer: Observer) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._psnr = psnr
        self.observer = observer
        self.frames = 0
        self.result: EncodeResult | None = None

    def line(self, kind: str, **members: Any) -> None:
        """Write one JSON line, if JSON is wanted."""
        if self._as_json:
            click.echo(json.dumps({"type": kind, **members}))

    def stopped(self, error: BaseException) -> None:
        """Report an encode that did not come to its end, and what it leaves."""
        self._close()
        if self.result is not None and self.result.groups:
            self._summary(self.result, "partial result")
        with contextlib.suppress(BrokenPipeError):
            self.line("error", message=message(error), exit_code=exit_code(error))

    def done(self, result: EncodeResult) -> None:
        """Report a complete encode."""
        self._close()
        self._summary(result, "encoded")
        self.line("done", **self._members(result))

    def _close(self) -> None:
        bar = getattr(self.observer, "bar", None)
        if bar is not None:
            bar.close()
        if self.result is not None and not self._quiet:
            for note in self.result.notes:
                click.echo(f"{COMMAND}: {note}", err=True)

    def _members(self, result: EncodeResult) -> dict[str, Any]:
        meter = result.meter
        return {
            "frames": result.frames,
            "groups": len(result.groups),
            "key_groups": sum(group.key for group in result.groups),
            "bytes": result.bytes,
            "network_bytes": sum(group.network_bytes for group in result.groups),
            "bits_per_pixel": result.bits_per_pixel,
            "seconds": result.seconds,
            "psnr": {name: _finite(getattr(meter, name)) for name in ("all", "y", "u", "v")},
            "notes": result.notes,
        }

    def _summary(self, result: EncodeResult, what: str) -> None:
        if self._quiet:
            return
        meter = result.meter
        network = sum(group.network_bytes for group in result.groups) / max(1, result.bytes)
        text = (
            f"{what}: {result.frames} frames in {len(result.groups)} groups,"
            f" {result.bytes} bytes ({result.bits_per_pixel:.4f} bpp, {network:.1%} network),"
            f" PSNR {meter.all:.2f} dB, {result.seconds:.1f} s"
            f" ({result.frames / max(result.seconds, 1e-9):.2f} fps)"
        )
        if self._psnr:
            text += f"; Y {meter.y:.2f} dB, Cb {meter.u:.2f} dB, Cr {meter.v:.2f} dB"
        click.echo(f"{COMMAND}: {text}", err=True)


def _finite(value: float) -> float | None:
    """JSON has no infinity: identical planes are null."""
    return value if math.isfinite(value) else None
