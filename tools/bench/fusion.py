"""What the fusion network is worth: bits with it against those without, at equal quality.

    python -m tools.bench.fusion CLIP... --frames 33 --crf 20,25,30,35 --jobs 2

Encodes every clip at every crf without network, then adds to its groups the network substreams that
`--network` fixed and trained would choose. Canvases do not depend on the network, so this gives the
files of those options. The figures are BD-rates over PSNR of all planes and the bytes of whole
files: of the fixed default weights against off, of trained weights against off (the whole gain),
and of trained against fixed (the gain of training).
"""

from __future__ import annotations

import io
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from nvcodec.encode.encoder import encode
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.fusion.choice import GroupFrames, choose_network
from nvcodec.format import GroupUnit, UnitReader
from nvcodec.media.quality import QualityMeter
from nvcodec.model.hybrid.fusion.weights import default_weights
from nvcodec.picture import Planes
from tools.lib import report
from tools.lib.bd_rate import compare
from tools.lib.clips import Clip
from tools.lib.measure import ONE_KEY
from tools.train.fusion_data import network_sources

MODES = ("off", "fixed", "trained")

FIGURES = {"fixed": ("off", "fixed"), "whole": ("off", "trained"), "training": ("fixed", "trained")}
"""For each figure, the anchor and the mode that is compared with it."""

POINTS = {
    "clip": "{clip}",
    "crf": "{crf:g}",
    "network": "{network}",
    "bytes": "{bytes}",
    "of the network": "{network_bytes}",
    "groups kept, off, new": "{kept}, {off}, {trained}",
    "PSNR": "{psnr:.3f}",
    "CPU-s": "{cpu_seconds:.1f}",
}
RATES = {"clip": "{clip}"} | {name: f"{{{name}:+.2f}} %" for name in FIGURES}


@dataclass(frozen=True)
class _Case:
    """One encode."""

    clip: Clip
    crf: float
    preset: str
    key_interval: float

    def __str__(self) -> str:
        return f"{self.clip.name} crf {self.crf:g}"


def measure(case: _Case) -> list[dict[str, Any]]:
    """For each mode, bytes of the file and of its network substreams, and PSNR of its frames."""
    file = io.BytesIO()
    encode(
        case.clip.path,
        file,
        model="hybrid",
        network="off",
        crf=case.crf,
        preset=case.preset,
        frames=case.clip.frames,
        key_interval=case.key_interval,
        threads=1,
    )
    groups = _groups(file.getvalue(), case.clip.pictures())
    return [_through(case, mode, groups, file.tell()) for mode in MODES]


def _groups(stream: bytes, pictures: Sequence[Planes]) -> list[tuple[bool, GroupFrames]]:
    """Whether groups are key groups, and their frames."""
    sources = dict(network_sources(stream))
    reader = UnitReader(io.BytesIO(stream))
    reader.open()
    units = [event.group for event in reader if isinstance(event, GroupUnit)]
    spans = [(unit, range(unit.first_frame, unit.first_frame + unit.frame_count)) for unit in units]
    return [
        (unit.key, GroupFrames([sources[k] for k in span], [pictures[k] for k in span]))
        for unit, span in spans
    ]


def _through(
    case: _Case, mode: str, groups: Sequence[tuple[bool, GroupFrames]], size: int
) -> dict[str, Any]:
    """The row of a mode; `size` is the bytes of the file without network."""
    started = time.process_time()
    weights, substreams, meter = default_weights(), [], QualityMeter()
    for key, group in groups:
        frames = group.canvases()
        if mode != "off":
            before = default_weights() if key else weights
            effort = EFFORTS[case.preset]
            sites = effort.network_sites if mode == "trained" else 0
            coded = choose_network(
                group, before, case.crf, sites, by_estimate=effort.network_estimate
            )
            weights, frames = coded.weights, coded.frames
            substreams.append(coded.substream)
        for picture, planes in zip(group.pictures, frames, strict=True):
            meter.add(picture, planes)
    network_bytes = sum(map(len, substreams))
    return {
        "clip": case.clip.name,
        "crf": case.crf,
        "network": mode,
        "bytes": size + network_bytes,
        "network_bytes": network_bytes,
        "kept": sum(not part for part in substreams),
        "off": sum(len(part) == 1 for part in substreams),
        "trained": sum(len(part) > 1 for part in substreams),
        "psnr": meter.values()["psnr"]["all"],
        "cpu_seconds": time.process_time() - started,
    }


def _measured(cases: Sequence[_Case], jobs: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of cases, in their order; several jobs run in processes of their own."""
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
        _Case(Clip(path, frames), float(crf), preset, key_interval)
        for path in clips
        for crf in crfs.split(",")
    ]
    measured = _measured(cases, jobs)
    for _ in report.progress(cases, str):
        for row in next(measured):
            out.add("points", row)
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
