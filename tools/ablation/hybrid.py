"""What each tool of the hybrid model is worth: bits of the encoder without it, at equal quality.

    python -m tools.ablation.hybrid CLIP... --frames 17 --crf 20,25,30,35 --jobs 2

Encodes every clip at every crf with the unchanged encoder, then with one tool switched off in each
row. The figure of a row is the BD-rate against the unchanged encoder, over PSNR of all planes and
the bytes of all substreams; a figure above 0 is what the tool saves. Nothing else is tuned. The
quantisers stay, and so do the trained contexts, so a flag that has become constant still costs the
bits of adapting to it. The fusion network has its own tool, tools.bench.fusion.

Rows are of three kinds:

\b
- without a tool of the format: what the format would lose (though it would not need the tool's
  flags either);
- without a tool of the encoder: the format is not changed;
- another group size.

The last line names the format's tools that are worth little on every clip.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np

from nvcodec.coding.hybrid.leaves import LAST_Q
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import group_pictures
from nvcodec.encode.hybrid.analysis.lookahead import GroupAnalysis
from nvcodec.encode.hybrid.analysis.quantisers import QuantiserMap, quantiser_maps
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.rate.tradeoff import quantiser_index
from nvcodec.encode.hybrid.tools import ALL, Tools
from nvcodec.encode.hybrid.video import HybridCoder, MapMaker
from nvcodec.encode.writing import source_header
from nvcodec.media.quality import QualityMeter
from nvcodec.options import HYBRID_GROUP, MODELS
from tools.lib import report
from tools.lib.bd_rate import compare
from tools.lib.clips import Clip
from tools.lib.lists import values_of
from tools.lib.measure import ONE_KEY

FORMAT, ENCODER, OPTION = "format", "encoder", "option"

LITTLE_ON_THE_MEAN, LITTLE_ON_A_CLIP = 1.0, 5.0
"""A tool of the format is worth little if it saves less than these percentages."""

_KEY, _CHAIN, _INTERIOR = -2, 0, 2
"""Fixed offsets of the quantiser index; for interior canvases the depth is added."""
_DEEPEST = 6
"""Offset of the deepest canvases of a group of 16, which are not references."""


def _flat_maps(crf: float, window: Sequence[GroupAnalysis]) -> list[QuantiserMap]:
    """One quantiser for each canvas: the mean of its map."""
    return [np.full_like(q, math.floor(q.mean() + 0.5)) for q in quantiser_maps(crf, window)]


def _fixed_maps(crf: float, window: Sequence[GroupAnalysis]) -> list[QuantiserMap]:
    """One quantiser for each canvas, which depends on its place in the group only."""
    result = []
    for step, q in zip(window[0].steps, quantiser_maps(crf, window), strict=True):
        offset = (_KEY, _CHAIN, _INTERIOR + step.depth)[step.set]
        index = math.floor(quantiser_index(crf, _DEEPEST - offset) + 0.5)
        result.append(np.full_like(q, min(LAST_Q, max(0, index))))
    return result


@dataclass(frozen=True)
class Row:
    """One change of the encoder, or a fixed group size."""

    kind: str
    tools: Tools = ALL
    maps: MapMaker = quantiser_maps
    group_size: int | None = None


ROWS = {
    "deblocking": Row(FORMAT, Tools(deblocking=False)),
    "merges": Row(FORMAT, Tools(merge=False)),
    "own vectors of two references": Row(FORMAT, Tools(bi=False)),
    "inter blocks of 64": Row(FORMAT, Tools(largest_inter=32)),
    "inter blocks of 8": Row(FORMAT, Tools(smallest_inter=16)),
    "rectangular leaves": Row(FORMAT, Tools(halves=False)),
    "affine leaves": Row(FORMAT, Tools(affine=False)),
    "transforms of 32, inter canvases": Row(FORMAT, Tools(inter_transform_32=False)),
    "transforms of 32, key canvases": Row(FORMAT, Tools(key_transform_32=False)),
    "transforms of 32": Row(FORMAT, Tools(inter_transform_32=False, key_transform_32=False)),
    "luma transforms of 4": Row(FORMAT, Tools(transform_4=False)),
    "chroma from luma": Row(FORMAT, Tools(linear_chroma=False)),
    "copied leaves": Row(FORMAT, Tools(copies=False)),
    "palettes": Row(FORMAT, Tools(palettes=False)),
    "sine transforms": Row(FORMAT, Tools(sine=False)),
    "secondary transforms": Row(FORMAT, Tools(secondary=False)),
    "intra leaves in inter canvases": Row(FORMAT, Tools(intra=False)),
    "adaptive filters": Row(FORMAT, Tools(adaptive_filter=False)),
    "second references of chain canvases": Row(FORMAT, Tools(second_reference=False)),
    "quantiser deltas": Row(FORMAT, maps=_flat_maps),
    "trained default contexts": Row(FORMAT, Tools(trained_contexts=False)),
    "lookahead": Row(ENCODER, maps=_fixed_maps),
    "trials": Row(ENCODER, Tools(trials=False)),
    "temporal filter": Row(ENCODER, Tools(temporal_filter=False)),
    **{
        f"groups of {frames}, not by content": Row(OPTION, group_size=frames)
        for frames in (1, 4, 8, HYBRID_GROUP, 32)
    },
}

POINTS = {
    "row": "{row}",
    "clip": "{clip}",
    "crf": "{crf:g}",
    "bytes": "{bytes}",
    "PSNR": "{psnr:.2f}",
}


@dataclass(frozen=True)
class _Case:
    """One encode; `row` is a name of ROWS, or "" for the unchanged encoder."""

    row: str
    clip: Clip
    crf: float
    preset: str

    def __str__(self) -> str:
        return f"{self.row or 'as it is'}, {self.clip.name} crf {self.crf:g}"


def measure(case: _Case) -> dict[str, Any]:
    """Bytes of the substreams of a clip, and PSNR of the decoded frames."""
    row = ROWS[case.row] if case.row else Row("")
    meter = QualityMeter()
    sizes = {"content": 0, "motion": 0, "network": 0}
    started = time.process_time()
    with case.clip.open() as source:
        coder = HybridCoder(
            source.width,
            source.height,
            steering=Steering(case.crf, source.time_base, whole=False),
            effort=EFFORTS[case.preset],
            group_size=row.group_size,
            network="trained",
            metrics=meter.metrics,
            threads=1,
            report=lambda ordinal, frames: None,
            tools=row.tools,
            make_maps=row.maps,
        )
        groups = group_pictures(
            source,
            coder.shape.group_frames,
            coder.key_frames,
            Fraction(ONE_KEY),
            source.time_base,
        )
        header = source_header(source, MODELS["hybrid"].number, coder.level)
        for coded in coder.code(groups, header):
            meter.merge(coded.meter)
            for name in sizes:
                sizes[name] += len(getattr(coded.group, name))
    return {
        "row": case.row,
        "clip": case.clip.name,
        "crf": case.crf,
        "bytes": sum(sizes.values()),
        "motion_bytes": sizes["motion"],
        "psnr": meter.values()["psnr"]["all"],
        "cpu_seconds": time.process_time() - started,
    }


def _measured(cases: Sequence[_Case], jobs: int) -> Generator[dict[str, Any], None, None]:
    """The points of cases, in their order; several jobs run in processes of their own."""
    if jobs == 1:
        yield from map(measure, cases)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(measure, cases)
    finally:
        pool.shutdown(cancel_futures=True)


def _names(_context: Any, _option: Any, values: tuple[str, ...]) -> list[str]:
    """Rows whose name begins with one of the values."""
    for value in values:
        if not any(name.startswith(value) for name in ROWS):
            raise click.BadParameter(f"{value!r} begins none of {', '.join(ROWS)}")
    return [name for name in ROWS if not values or name.startswith(values)]


@click.command("hybrid_ablation", cls=report.Tool, help=__doc__)
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--frames", type=click.IntRange(min=1), help="Frames of each clip.  [default: all]")
@click.option("--crf", "crfs", default="20,25,30,35", show_default=True, callback=values_of(float))
@click.option("--preset", type=click.Choice(list(EFFORTS)), default="medium", show_default=True)
@click.option(
    "--rows",
    "names",
    multiple=True,
    callback=_names,
    help="Measure rows whose names begin with this; repeat for more.  [default: all]",
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@report.json_option
def main(
    clips: tuple[Path, ...],
    frames: int | None,
    crfs: list[float],
    preset: str,
    names: list[str],
    jobs: int,
    json_path: Path | None,
) -> None:
    if len({path.stem for path in clips}) < len(clips):
        raise click.UsageError("clips need different names")
    out = report.Report(json_path)
    sources = [Clip(path, frames) for path in clips]
    cases = [
        _Case(name, clip, crf, preset) for name in ["", *names] for clip in sources for crf in crfs
    ]
    with closing(_measured(cases, jobs)) as points:
        for case in report.progress(cases, str):
            out.add("points", next(points))
            if case.row and (case.clip, case.crf) == (sources[-1], crfs[-1]):
                _compare(out, case.row, [clip.name for clip in sources])
    rows = out.rows("rows")
    columns = {"without": "{row}", "of the": "{kind}", "mean": "{mean:+.2f} %"}
    columns |= {clip.name: f"{{clip{k}:+.2f}} %" for k, clip in enumerate(sources)}
    cells = [
        row | {f"clip{k}": rate for k, rate in enumerate(row["rates"].values())} for row in rows
    ]
    base = [point | {"row": "as it is"} for point in out.rows("points") if not point["row"]]
    out.show(report.table(POINTS, base), report.table(columns, cells), _little(rows))


def _compare(out: report.Report, name: str, clips: list[str]) -> None:
    """Add a row to the report, once all its points are measured."""

    def curve(row: str, clip: str) -> list[tuple[float, float]]:
        points = out.rows("points")
        return [(p["bytes"], p["psnr"]) for p in points if (p["row"], p["clip"]) == (row, clip)]

    rates = {clip: compare(curve("", clip), curve(name, clip)).bd_rate for clip in clips}
    known = [rate for rate in rates.values() if rate is not None]
    mean = sum(known) / len(known) if len(known) == len(rates) else None
    out.add("rows", {"row": name, "kind": ROWS[name].kind, "mean": mean, "rates": rates})


def _little(rows: Sequence[Mapping[str, Any]]) -> str:
    """The line on the tools of the format that are worth little; "" if no figure is known."""
    known = [row for row in rows if row["kind"] == FORMAT and row["mean"] is not None]
    names = [
        f"{row['row']} ({row['mean']:+.2f} %, at most {max(row['rates'].values()):+.2f} %)"
        for row in known
        if row["mean"] < LITTLE_ON_THE_MEAN and max(row["rates"].values()) < LITTLE_ON_A_CLIP
    ]
    if not known:
        return ""
    return (
        f"Worth less than {LITTLE_ON_THE_MEAN:g} % on the mean and {LITTLE_ON_A_CLIP:g} % on every"
        f" clip: {', '.join(names) or 'none'}."
    )


if __name__ == "__main__":
    main()
