"""Time to quality: our training recipe against the paper's, on the same clip, in one run.

    python -m tools.bench.faster CLIP --size 88x72 --shape width=48,stem_channels=4,head_channels=4

The recipe of NIRVANA's authors (see tools/lib/paper_recipe.py) encodes the clip first, with the
paper's network or a variant of it. Our recipe then gets shares of the CPU seconds that this took,
with the same network. Each share is encoded at two to four crf, if possible on both sides of the
PSNR of the paper's recipe, so that the bytes at that PSNR can be interpolated. All figures are of
real files that were decoded. CPU seconds are those of this process from the first group to the
last, with coding and verifying, without warm-ups.

Two lines sum it up: the smallest share that reaches the PSNR of the paper's
recipe in no more than its bytes, and the bytes at that PSNR with the largest share.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from nvcodec.encode.result import EncodedGroup, EncodeResult, Observer
from nvcodec.encode.sine.settings import PAPER_SHAPE, PRESETS, rate_weight
from nvcodec.format import CorruptError
from nvcodec.media.source import open_source
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.options import CRF_RANGE
from tools.ablation.inside import Change, changed
from tools.lib import paper_recipe, report
from tools.lib.bd_rate import compare
from tools.lib.clips import Clip, scaled
from tools.lib.measure import ONE_KEY, Model, measure

# Preset of our recipe; its iterations are scaled to the CPU seconds.
_PRESET = "medium"
# Efforts of short encodes that measure the time of an iteration; the first one is a warm-up too.
_PROBES = (0.01, 0.01, 0.05)
# Change of crf to reach the other side of a PSNR: decibels per step of crf, and crf to add beyond.
_DECIBELS = 0.4
_BEYOND = 1.5
_TRIES = 4
# Number of encodes after which the search for the other side stops.
_FRUITLESS = 3
# Two encodes closer than this, in decibels, need no third between them.
_CLOSE = 1.0

ENCODES = {
    "recipe": "{recipe}",
    "shape": "{patch}/{width}x{depth}/{stem_channels}/{head_channels}",
    "crf": "{crf:.1f}",
    "iterations": "{key_iterations}+{iterations}",
    "CPU s": "{cpu_seconds:.1f}",
    "wall s": "{encode_seconds:.1f}",
    "of the paper's": "{of_paper:.3f}",
    "bytes": "{bytes}",
    "PSNR": "{psnr:.2f}",
}
BUDGETS = {
    "share": "{share}",
    "CPU s": "{cpu_seconds:.1f}",
    "of the paper's": "{of_paper:.3f}",
    "bytes at its PSNR": "{bytes_ratio}",
    "reached": "{reached}",
}


class _Clock(Observer):
    """CPU seconds of this process from the start of an encode to the end of its last group."""

    seconds = 0.0

    def started(self, result: EncodeResult, frame_count_hint: int | None) -> None:
        self._start = time.process_time()

    def encoded(self, group: EncodedGroup) -> None:
        self.seconds = time.process_time() - self._start


def _encode(clip: Clip, preset: str, crf: float) -> dict[str, Any]:
    """The row of one encode; `preset` includes the changes that are active now."""
    clock = _Clock()
    model = Model("sine", {"model": "nirvana", "network": "paper", "preset": preset})
    figures = measure(clip, model, crf, key_interval=ONE_KEY, observer=clock)
    shape = figures.shape
    assert shape is not None
    rows, columns = shape.grid(figures.width, figures.height)
    effort = PRESETS[preset].scaled(rows * columns)
    fields = {name: getattr(shape, name) for name in NetworkShape.__dataclass_fields__}
    return figures.row() | {
        "shape": fields,
        "crf": crf,
        "key_iterations": effort.key_iterations,
        "iterations": effort.iterations,
        "cpu_seconds": clock.seconds,
    }


@dataclass
class _Ours:
    """Our recipe: `encode` takes a time budget, estimated from earlier encodes."""

    clip: Clip
    shape: Mapping[str, int]
    crf: float
    _spent: dict[float, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for effort in _PROBES:
            self._run(effort, self.crf)

    def _run(self, effort: float, crf: float) -> dict[str, Any]:
        with changed(Change(shape=self.shape, effort=effort)):
            row = _encode(self.clip, _PRESET, crf)
        self._spent[effort] = row["cpu_seconds"]
        return row

    def encode(self, seconds: float, crf: float) -> dict[str, Any]:
        least, most = min(self._spent), max(self._spent)
        rise = self._spent[most] - self._spent[least]
        slope = rise / (most - least) if rise > 0 else self._spent[most] / most
        effort = least + (seconds - self._spent[least]) / slope
        return self._run(max(_PROBES[0], effort), crf)

    def around(self, seconds: float, psnr: float) -> list[dict[str, Any]]:
        """Encodes within these seconds with PSNR on both sides of `psnr`, if crf can reach both.

        Starts at `self.crf` and sets it to a better start for other budgets.
        """
        rows: list[dict[str, Any]] = []
        crf = self.crf
        while len(rows) < _TRIES:
            rows.append(self.encode(seconds, crf))
            above = min((r for r in rows if r["psnr"] >= psnr), key=_psnr, default=None)
            below = max((r for r in rows if r["psnr"] < psnr), key=_psnr, default=None)
            if above and below:
                gap = above["psnr"] - below["psnr"]
                part = (above["psnr"] - psnr) / gap
                self.crf = crf = above["crf"] + part * (below["crf"] - above["crf"])
                if gap <= _CLOSE:
                    break
            elif len(rows) == _FRUITLESS:
                break
            elif above:
                crf += (above["psnr"] - psnr) / _DECIBELS + _BEYOND
            elif below:
                crf -= (psnr - below["psnr"]) / _DECIBELS + _BEYOND
            crf = min(max(crf, CRF_RANGE[0]), CRF_RANGE[1])
        return rows


def _psnr(row: Mapping[str, Any]) -> float:
    value: float = row["psnr"]
    return value


def _budget(
    share: Fraction, rows: list[dict[str, Any]], paper: Mapping[str, Any]
) -> dict[str, Any]:
    """The result of the encodes within a share of the seconds, against the paper's recipe.

    Their seconds are those of the slowest one.
    """
    comparison = compare(
        [(paper["bytes"], paper["psnr"])], [(row["bytes"], row["psnr"]) for row in rows]
    )
    seconds = max(row["cpu_seconds"] for row in rows)
    return {
        "share": str(share),
        "cpu_seconds": seconds,
        "of_paper": seconds / paper["cpu_seconds"],
        "ratio": comparison.ratio,
        "bound": comparison.bound,
        "bytes_ratio": f"{comparison.bound} x {comparison.ratio:.3f}".lstrip(),
        "reached": comparison.bound != "at least" and comparison.ratio <= 1,
    }


def _conclusion(budgets: list[dict[str, Any]]) -> str:
    """The two lines on the budgets, which are in rising order."""
    said = "{bytes_ratio} of its bytes in {cpu_seconds:.1f} CPU s, {of_paper:.3f} of its seconds"
    most = budgets[-1]
    first = next((budget for budget in budgets if budget["reached"]), None)
    if first:
        reached = said.format(**first)
    else:
        reached = f"not reached within {most['of_paper']:.3f} of its seconds"
    return (
        f"To the PSNR of the paper's recipe in no more than its bytes: {reached}.\n"
        f"At the PSNR of the paper's recipe with most seconds: {said.format(**most)}."
    )


def _size(_context: Any, _option: Any, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    width, _, height = value.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise click.BadParameter(f"{value!r} is not WIDTHxHEIGHT")
    return int(width), int(height)


def _iterations(_context: Any, _option: Any, value: str) -> tuple[int, int]:
    first, _, later = value.partition(",")
    if not (first.isdecimal() and later.isdecimal() and int(first) and int(later)):
        raise click.BadParameter(f"{value!r} is not FIRST,LATER above 0")
    return int(first), int(later)


def _shares(_context: Any, _option: Any, value: str) -> list[Fraction]:
    try:
        shares = sorted({Fraction(part) for part in value.split(",")})
    except (ValueError, ZeroDivisionError) as error:
        raise click.BadParameter(f"{value!r} is not SHARE[,SHARE...]") from error
    if shares[0] <= 0:
        raise click.BadParameter(f"{value!r} has a share that is not above 0")
    return shares


def _lattice(_context: Any, _option: Any, value: str | None) -> paper_recipe.Lattice:
    if value is None:
        return paper_recipe.Lattice()
    try:
        matrix, other = (float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not MATRIX,OTHER") from error
    if not (matrix > 0 and other > 0 and math.isfinite(matrix + other)):
        raise click.BadParameter(f"{value!r} is not above 0")
    return paper_recipe.Lattice(matrix, other)


def _shape(_context: Any, _option: Any, value: str) -> dict[str, int]:
    changes = {}
    for part in filter(None, value.split(",")):
        name, _, number = part.partition("=")
        if name not in NetworkShape.__dataclass_fields__ or not number.isdecimal():
            raise click.BadParameter(f"{part!r} is not FIELD=VALUE")
        changes[name] = int(number)
    try:
        replace(PAPER_SHAPE, **changes)
    except CorruptError as error:
        raise click.BadParameter(str(error)) from error
    return changes


@click.command("faster", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--frames", type=click.IntRange(min=1), default=6, show_default=True)
@click.option("--size", callback=_size, help="WIDTHxHEIGHT to scale to.  [default: the clip's]")
@click.option(
    "--crf",
    type=float,
    help="crf of our first encode.  [default: that of the paper's loss]",
)
@click.option(
    "--shape",
    default="",
    callback=_shape,
    help="FIELD=VALUE[,FIELD=VALUE...]: changed fields of the network.",
)
@click.option(
    "--iterations",
    default="16000,2000",
    show_default=True,
    callback=_iterations,
    help="FIRST,LATER: iterations of the paper's recipe, for the first and for later groups.",
)
@click.option("--lattice", callback=_lattice, help="MATRIX,OTHER of paper_recipe.Lattice.")
@click.option("--shares", default="1/16,1/8,1/4,1", show_default=True, callback=_shares)
@report.json_option
def main(
    clip: Path,
    frames: int,
    size: tuple[int, int] | None,
    crf: float | None,
    shape: dict[str, int],
    iterations: tuple[int, int],
    lattice: paper_recipe.Lattice,
    shares: list[Fraction],
    json_path: Path | None,
) -> None:
    out = report.Report(json_path)
    with tempfile.TemporaryDirectory() as folder:
        source = Clip(clip, frames)
        if size is not None:
            source = scaled(source, size, Path(folder))
        if crf is None:
            crf = _paper_crf(source, replace(PAPER_SHAPE, **shape))
        _measure(out, source, crf, shape, iterations, lattice, shares)
    rows = [row | row["shape"] for row in out.rows("encodes")]
    out.show(
        f"{lattice}",
        report.table(ENCODES, rows),
        report.table(BUDGETS, out.rows("budgets")),
        _conclusion(out.rows("budgets")),
    )


def _paper_crf(clip: Clip, shape: NetworkShape) -> float:
    """The crf whose lambda is that of the loss in the paper."""
    with open_source(clip.path, frames=1) as opened:
        width, height = opened.width, opened.height
    samples = width * height * shape.group_frames
    return 3 * math.log2(paper_recipe.rate_weight(shape, samples) / rate_weight(0))


def _measure(
    out: report.Report,
    clip: Clip,
    crf: float,
    shape: dict[str, int],
    iterations: tuple[int, int],
    lattice: paper_recipe.Lattice,
    shares: list[Fraction],
) -> None:
    """Add all encodes and budgets to the report."""
    paper: dict[str, Any] = {}
    ours: _Ours | None = None
    for share in report.progress([None, *shares], lambda share: f"{share or 'paper'}"):
        if share is None:
            with changed(Change(shape=shape)):
                with paper_recipe.paper_recipe(1, 1, lattice):
                    _encode(clip, "paper", crf)  # a warm-up
                with paper_recipe.paper_recipe(*iterations, lattice):
                    paper = _encode(clip, "paper", crf)
            paper |= {"crf": None, "of_paper": 1.0}
            out.add("encodes", {"recipe": "paper's", "share": None} | paper)
            continue
        ours = ours or _Ours(clip, shape, crf)
        rows = ours.around(float(share) * paper["cpu_seconds"], paper["psnr"])
        for row in rows:
            of_paper = row["cpu_seconds"] / paper["cpu_seconds"]
            more = {"recipe": "ours", "share": str(share), "of_paper": of_paper}
            out.add("encodes", row | more)
        out.add("budgets", _budget(share, rows, paper))


if __name__ == "__main__":
    main()
