"""What the fusion network is worth: bits with it against those without, at equal quality.

    python -m tools.fusion_bench CLIP... --frames 33 --crf 20,25,30,35 --jobs 2

Encodes every clip at every crf with `--network` off, fixed and trained. The figures are BD-rates
over PSNR of all planes and the bytes of whole files: of the fixed default weights against off, of
trained ones against off (the whole network), and of trained against fixed (what training adds).
"""

from __future__ import annotations

import io
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from nvcodec.encode.encoder import encode
from nvcodec.encode.hybrid.effort import EFFORTS
from tools import report
from tools.bd_rate import compare
from tools.clips import Clip
from tools.measure import ONE_KEY

MODES = ("off", "fixed", "trained")

FIGURES = {"fixed": ("off", "fixed"), "whole": ("off", "trained"), "training": ("fixed", "trained")}
"""Names of figures: what is the anchor, and what is measured against it."""

POINTS = {
    "clip": "{clip}",
    "crf": "{crf:g}",
    "network": "{network}",
    "bytes": "{bytes}",
    "of the network": "{network_bytes}",
    "groups with trained weights": "{trained} of {groups}",
    "PSNR": "{psnr:.3f}",
    "CPU-s": "{cpu_seconds:.1f}",
}
RATES = {"clip": "{clip}"} | {name: f"{{{name}:+.2f}} %" for name in FIGURES}


@dataclass(frozen=True)
class _Case:
    """One encode."""

    clip: Clip
    crf: float
    network: str
    preset: str
    key_interval: float

    def __str__(self) -> str:
        return f"{self.clip.name} crf {self.crf:g}, {self.network}"


def measure(case: _Case) -> dict[str, Any]:
    """Bytes of the file and of its network substreams, and PSNR of what it decodes to."""
    started = time.process_time()
    result = encode(
        case.clip.path,
        io.BytesIO(),
        model="hybrid",
        network=case.network,
        crf=case.crf,
        preset=case.preset,
        frames=case.clip.frames,
        key_interval=case.key_interval,
        threads=1,
    )
    sizes = Counter(group.network_bytes > 1 for group in result.groups)
    return {
        "clip": case.clip.name,
        "crf": case.crf,
        "network": case.network,
        "bytes": result.bytes,
        "network_bytes": sum(group.network_bytes for group in result.groups),
        "trained": sizes[True],
        "groups": len(result.groups),
        "psnr": result.meter.values()["psnr"]["all"],
        "cpu_seconds": time.process_time() - started,
    }


def _measured(cases: Sequence[_Case], jobs: int) -> Iterator[dict[str, Any]]:
    """The points of cases in their order; several jobs are processes of their own."""
    if jobs == 1:
        yield from map(measure, cases)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(measure, cases)


def rates(points: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """The figures of one clip."""
    curves = {
        mode: [(p["bytes"], p["psnr"]) for p in points if p["network"] == mode] for mode in MODES
    }
    return {name: compare(curves[a], curves[b]).bd_rate for name, (a, b) in FIGURES.items()}


@click.command("fusion_bench", cls=report.Tool, help=__doc__)
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--frames", type=click.IntRange(min=1), help="Frames of each clip.  [default: all]")
@click.option("--crf", "crfs", default="20,25,30,35", show_default=True)
@click.option("--preset", type=click.Choice(list(EFFORTS)), default="medium", show_default=True)
@click.option("--key-interval", default=ONE_KEY, help="Seconds.  [default: one key]")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@report.json_option
def main(
    clips: tuple[Path, ...],
    frames: int | None,
    crfs: str,
    preset: str,
    key_interval: float,
    jobs: int,
    json_path: Path | None,
) -> None:
    out = report.Report(json_path)
    cases = [
        _Case(Clip(path, frames), float(crf), mode, preset, key_interval)
        for path in clips
        for crf in crfs.split(",")
        for mode in MODES
    ]
    points = _measured(cases, jobs)
    for _ in report.progress(cases, str):
        out.add("points", next(points))
    for path in clips:
        name = Clip(path).name
        of_clip = [point for point in out.rows("points") if point["clip"] == name]
        out.add("rates", {"clip": name} | rates(of_clip))
    mean: dict[str, Any] = {"clip": "mean"}
    for figure in FIGURES:
        known = [row[figure] for row in out.rows("rates")]
        mean[figure] = None if None in known else sum(known) / len(known)
    rows = [*out.rows("rates"), mean]
    out.show(report.table(POINTS, out.rows("points")), report.table(RATES, rows))


if __name__ == "__main__":
    main()
