"""What each part of the sine network's recipe is worth: one change at a time from a base.

    python -m tools.ablation.sine CLIP --model nirvana:fast,network=paper --plot ablation.png

J is the squared error of all planes plus lambda times the bits, both per luma sample, with the
base's lambda. Less is better. The axes are

\b
entropy     bits in the training loss times a factor, with the base's lattice
lambda      lambda times a factor, also in the choice of the lattice
patch       luma samples across a patch
group       frames of a group
iterations  iterations of all groups times a factor
start       each group from a fresh network, with the iterations of a first group
floats      share of the iterations in floats, for the first group and for others
width       units of a sine layer times a factor
depth       sine layers
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nvcodec.encode.sine.settings import rate_weight
from nvcodec.model.sine.shape import NetworkShape
from tools.ablation.inside import Change, changed
from tools.lib import report
from tools.lib.clips import Clip
from tools.lib.lists import names_of
from tools.lib.measure import ONE_KEY, Figures, Model, measure, model_option

Cases = list[tuple[str, Change]]


def _fields(name: str, *values: int) -> Callable[[NetworkShape], Cases]:
    """Cases with other values of a field of the shape."""

    def cases(shape: NetworkShape) -> Cases:
        own = getattr(shape, name)
        return [(str(value), Change(shape={name: value})) for value in values if value != own]

    return cases


def _factors(name: str, *values: float) -> Callable[[NetworkShape], Cases]:
    return lambda shape: [(f"x {value:g}", Change(**{name: value})) for value in values]


def _widths(shape: NetworkShape) -> Cases:
    values = [(factor, max(1, round(factor * shape.width))) for factor in (0.5, 2)]
    return [(f"x {factor:g}", Change(shape={"width": units})) for factor, units in values]


def _floats(_: NetworkShape) -> Cases:
    pairs = ((0.1, 0.1), (0.1, 0.5), (0.3, 0.1), (0.3, 0.8), (0.6, 0.5))
    return [
        (f"{first:g}, {later:g}", Change(float_shares=(first, later))) for first, later in pairs
    ]


def _starts(_: NetworkShape) -> Cases:
    # Every group is a key group, so each starts from a fresh network.
    return [("fresh", Change(options={"key_interval": 1e-6}))]


AXES: dict[str, Callable[[NetworkShape], Cases]] = {
    "entropy": _factors("entropy_factor", 0, 0.25, 4),
    "lambda": _factors("rate_factor", 0.25, 4),
    "patch": _fields("patch", 8, 16, 32),
    "group": _fields("group_frames", 1, 2, 4, 8),
    "iterations": _factors("effort", 0.5, 2, 4),
    "start": _starts,
    "floats": _floats,
    "width": _widths,
    "depth": _fields("depth", 1, 2, 3),
}

COLUMNS = {
    "axis": "{axis}",
    "change": "{change}",
    "bytes": "{bytes}",
    "bpp": "{bpp:.4f}",
    "PSNR": "{psnr:.2f}",
    "J": "{cost:.2f}",
    "J against the base": "{against_base:+.1%}",
    "encode s": "{encode_seconds:.1f}",
}


@click.command("ablation", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--axes", default=",".join(AXES), show_default=True, callback=names_of(AXES))
@click.option("--crf", type=float, default=33.0, show_default=True)
@model_option("nirvana,network=paper")
@click.option("--frames", type=click.IntRange(min=1), help="Frames of the clip.  [default: all]")
@report.json_option
@report.plot_option
def main(
    clip: Path,
    axes: list[str],
    crf: float,
    model: Model,
    frames: int | None,
    json_path: Path | None,
    plot_path: Path | None,
) -> None:
    out = report.Report(json_path)
    weight = rate_weight(crf)
    source = Clip(clip, frames)

    def add(axis: str, change: str, figures: Figures) -> None:
        cost = figures.squared_error + weight * figures.bits_per_pixel
        base = out.rows("rows")[0]["cost"] if out.rows("rows") else cost
        row = {"axis": axis, "change": change, "cost": cost, "against_base": cost / base - 1}
        out.add("rows", row | figures.row())

    base = measure(source, model, crf, key_interval=ONE_KEY)
    add("base", "", base)
    cases = [(axis, *case) for axis in axes for case in AXES[axis](base.shape)]
    for axis, name, change in report.progress(cases, lambda case: f"{case[0]} {case[1]}"):
        with changed(change):
            options = {"key_interval": ONE_KEY} | dict(change.options)
            add(axis, name, measure(source, model, crf, **options))
    out.show(
        f"Base: {base.shape}, lambda {weight:.3f}",
        report.table(COLUMNS, out.rows("rows")),
    )
    if plot_path is not None:
        _plot(out.rows("rows"), plot_path)


def _plot(rows: list[dict[str, Any]], path: Path) -> None:
    with report.figure(path, 2) as (points, costs):
        for axis in dict.fromkeys(row["axis"] for row in rows):
            some = [row for row in rows if row["axis"] == axis]
            bpp, psnr = [row["bpp"] for row in some], [row["psnr"] for row in some]
            marker = {"marker": "*", "s": 150} if axis == "base" else {}
            points.scatter(bpp, psnr, label=axis, **marker)
            for row in some:
                points.annotate(
                    row["change"],
                    (row["bpp"], row["psnr"]),
                    xytext=(4, 4),
                    textcoords="offset points",
                    fontsize=7,
                )
        points.set(xlabel="bits per luma sample", ylabel="PSNR, all planes (dB)")
        points.grid(alpha=0.3)
        points.legend()
        names = [f"{row['axis']} {row['change']}" for row in rows]
        costs.barh(names[::-1], [row["cost"] for row in rows][::-1])
        costs.axvline(rows[0]["cost"], color="black", linewidth=1)
        costs.set(xlabel="J, squared error + lambda x bits, per luma sample")
        costs.tick_params(axis="y", labelsize=8)


if __name__ == "__main__":
    main()
