"""Compares quality, speed and memory of a long encode with those of a short one.

    python -m tools.bench.long_video CLIP --frames 24 --times 10 --crf 33

Encodes the first FRAMES frames, then TIMES as many, each in a process of its own. For the first,
middle and last tenth of the long clip's groups it shows quality, bits and seconds per group.
"""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from nvcodec.media.source import open_source
from tools.lib import report
from tools.lib.apart import apart
from tools.lib.clips import Clip, palindrome
from tools.lib.measure import Figures, Model, decibels, measure_warm, model_option

RUNS = {
    "run": "{run}",
    "frames": "{frames}",
    "groups": "{group_count}",
    "keys": "{keys}",
    "bytes": "{bytes}",
    "bpp": "{bpp:.4f}",
    "PSNR": "{psnr:.2f}",
    "encode s/frame": "{encode_seconds_per_frame:.2f}",
    "peak memory, MiB": "{peak_mib:.0f}",
}
TENTHS = {
    "tenth": "{tenth}",
    "frames": "{first_frame} to {last_frame}",
    "groups": "{group_count}",
    "keys": "{keys}",
    "bpp": "{bpp:.4f}",
    "PSNR": "{psnr:.2f}",
    "seconds a group": "{seconds:.2f}",
}


@click.command("long_video", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--frames", type=click.IntRange(min=1), default=24, show_default=True)
@click.option("--times", type=click.IntRange(min=2), default=10, show_default=True)
@click.option("--crf", type=float, default=33.0, show_default=True)
@model_option("nirvana")
@click.option(
    "--palindrome", "back_and_forth", is_flag=True, help="Play the clip forward and backward."
)
@report.json_option
def main(
    clip: Path,
    frames: int,
    times: int,
    crf: float,
    model: Model,
    back_and_forth: bool,
    json_path: Path | None,
) -> None:
    wanted = frames * times
    with tempfile.TemporaryDirectory() if back_and_forth else nullcontext("") as folder:
        if back_and_forth:
            source = palindrome(Clip(clip, wanted), wanted, Path(folder)).path
        else:
            source = clip
            with open_source(clip, frames=wanted) as opened:
                there = sum(1 for _ in opened)
            if there < wanted:
                raise click.UsageError(
                    f"{clip} has {there} frames, {times} x {frames} = {wanted} are wanted:"
                    " --palindrome plays it forward and backward"
                )
        out = report.Report(json_path)
        cases = [("short", Clip(source, frames)), ("long", Clip(source, wanted))]
        for name, case in report.progress(cases, lambda case: case[0]):
            figures = apart(measure_warm, case, model, crf)
            row = figures.row() | {"run": name, "group_count": len(figures.groups)}
            out.add("runs", row | {"peak_mib": figures.peak_memory / 2**20})
    for name, begin in _tenths(len(figures.groups)):
        out.add("tenths", {"tenth": name} | _tenth(figures, begin))
    out.show(report.table(RUNS, out.rows("runs")), report.table(TENTHS, out.rows("tenths")))


def _size(groups: int) -> int:
    return max(1, groups // 10)


def _tenths(groups: int) -> list[tuple[str, int]]:
    """The first group of the first, middle and last tenth."""
    size = _size(groups)
    return [("first", 0), ("middle", (groups - size) // 2), ("last", groups - size)]


def _tenth(figures: Figures, begin: int) -> dict[str, Any]:
    groups = figures.groups[begin : begin + _size(len(figures.groups))]
    first = groups[0]["first_frame"]
    frames = sum(group["frames"] for group in groups)
    size = sum(group["bytes"] for group in groups)
    return {
        "first_frame": first,
        "last_frame": first + frames - 1,
        "group_count": len(groups),
        "keys": sum(group["key"] for group in groups),
        "bytes": size,
        "bpp": 8 * size / (figures.width * figures.height * frames),
        "psnr": decibels(figures.errors[first : first + frames]),
        "seconds": sum(group["seconds"] for group in groups) / len(groups),
    }


if __name__ == "__main__":
    main()
