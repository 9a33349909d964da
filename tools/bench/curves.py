"""The rate-distortion plot of the README: results of `tools.bench.rd` for three clips.

    python -m tools.bench.curves docs/results/hybrid.json --against x265 --plot docs/rd.png

Draws the clips with the highest, the median and the lowest gain of a model over one other codec,
each with the curves of all codecs of the run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tools.lib import report

COLUMNS = {"clip": "{clip}", "BD-rate": "{bd_rate:+.1f} %"}
_WIDTH, _HEIGHT = 3.6, 3.0


@click.command("curves", cls=report.Tool, help=__doc__)
@click.argument("measured", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", help="Label of the model that clips are chosen for.  [default: the first]")
@click.option("--against", help="The codec that clips are chosen by.  [default: the first]")
@report.plot_option
def main(measured: Path, model: str | None, against: str | None, plot_path: Path | None) -> None:
    run = json.loads(measured.read_text("utf-8"))
    first = run["comparisons"][0]
    pair = (model or first["codec"], against or first["against"])
    chosen = spread([row for row in run["comparisons"] if (row["codec"], row["against"]) == pair])
    if not chosen:
        raise click.UsageError(f"{measured} has no BD-rate of {pair[0]} against {pair[1]}")
    out = report.Report(None)
    out.show(f"{pair[0]} against {pair[1]}", report.table(COLUMNS, chosen))
    if plot_path is not None:
        _plot([row["clip"] for row in chosen], run["points"], pair[0], plot_path)


def spread(comparisons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The comparisons with the lowest, the median and the highest BD-rate, each once."""
    rows = sorted(
        (row for row in comparisons if row["bd_rate"] is not None), key=lambda row: row["bd_rate"]
    )
    places = sorted({0, len(rows) // 2, len(rows) - 1}) if rows else []
    return [rows[place] for place in places]


def _plot(clips: list[str], points: list[dict[str, Any]], model: str, path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    codecs = list(dict.fromkeys(point["codec"] for point in points))
    drawing = Figure(figsize=(_WIDTH * len(clips), _HEIGHT), layout="constrained", dpi=110)
    axes = drawing.subplots(1, len(clips), squeeze=False)[0]
    for clip, axis in zip(clips, axes, strict=True):
        for codec in codecs:
            curve = sorted(
                (p["bpp"], p["psnr"]) for p in points if (p["clip"], p["codec"]) == (clip, codec)
            )
            ours = {"color": "black", "linewidth": 2.2, "zorder": 3} if codec == model else {}
            axis.plot(*zip(*curve, strict=True), marker=".", label=codec, **ours)
        axis.set_title(clip, fontsize=9)
        axis.set(xlabel="bits per luma sample", xscale="log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(which="both", alpha=0.25)
    axes[0].set_ylabel("PSNR of all planes (dB)")
    axes[-1].legend(fontsize=8, loc="lower right")
    drawing.savefig(path)


if __name__ == "__main__":
    main()
