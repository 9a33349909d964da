"""CPU time and bit rate of presets as a curve, from the results of one `tools.bench.rd` run.

\b
    python -m tools.bench.rd CLIP... --model hybrid:fast --model hybrid:medium
        --model hybrid:slow --against svtav1 --against svtav1:4 --against svtav1:8 --json rd.json
    python -m tools.bench.presets rd.json --plot presets.png

For each codec of the run, peers too, it gives frames per second and CPU time over all encodes of
all clips, and the mean BD-rate against the first peer. Frames per second are valid only if the run
had the machine to itself. CPU time suffers less from other work; a first encode may load kernels in
it. The plot has a curve for the presets of each codec.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tools.lib import report
from tools.lib.bd_rate import compare

COLUMNS = {
    "codec": "{codec}",
    "frames a second": "{fps:.1f}",
    "CPU ms a frame": "{cpu:.1f}",
    "luma samples a second": "{samples:.3g}",
    "mean BD-rate": "{bd_rate:+.1f} %",
}


@click.command("presets", cls=report.Tool, help=__doc__)
@click.argument("measured", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@report.json_option
@report.plot_option
def main(measured: Path, json_path: Path | None, plot_path: Path | None) -> None:
    run = json.loads(measured.read_text())
    out = report.Report(json_path)
    peer = run["means"][0]["against"]
    for codec in dict.fromkeys(point["codec"] for point in run["points"]):
        points = [point for point in run["points"] if point["codec"] == codec]
        frames = sum(point["frames"] for point in points)
        samples = sum(point["frames"] * point["width"] * point["height"] for point in points)
        seconds = sum(point["encode_seconds"] for point in points)
        cpu = 1000 * sum(point["encode_cpu_seconds"] for point in points) / frames
        rate = _mean_rate(run["points"], codec, peer)
        row = {"codec": codec, "fps": frames / seconds, "cpu": cpu, "bd_rate": rate}
        out.add("presets", row | {"samples": samples / seconds})
    out.show(f"BD-rate against {peer}.", report.table(COLUMNS, out.rows("presets")))
    if plot_path is not None:
        with report.figure(plot_path, 1) as (axis,):
            rows = [row for row in out.rows("presets") if row["bd_rate"] is not None]
            for family in dict.fromkeys(_family(row["codec"]) for row in rows):
                curve = [row for row in rows if _family(row["codec"]) == family]
                curve.sort(key=lambda row: row["cpu"])
                at = [row["cpu"] for row in curve], [row["bd_rate"] for row in curve]
                axis.plot(*at, marker="o", label=family)
                for row, *place in zip(curve, *at, strict=True):
                    name = row["codec"].partition(":")[2] or row["codec"]
                    axis.annotate(name, place, (4, 4), textcoords="offset points")
            axis.margins(x=0.1)
            axis.set(xlabel="CPU ms a frame", ylabel=f"BD-rate against {peer}, %")
            axis.set_xscale("log")
            axis.grid(which="both", alpha=0.3)
            axis.legend()


def _family(codec: str) -> str:
    return codec.partition(":")[0]


def _mean_rate(points: list[dict[str, Any]], codec: str, peer: str) -> float | None:
    """The mean BD-rate over the clips on which both codecs overlap."""
    rates = []
    for clip in dict.fromkeys(point["clip"] for point in points):
        curves = [
            [(p["bpp"], p["psnr"]) for p in points if (p["clip"], p["codec"]) == (clip, name)]
            for name in (peer, codec)
        ]
        rates.append(compare(*curves).bd_rate)
    known = [rate for rate in rates if rate is not None]
    return sum(known) / len(known) if known else None


if __name__ == "__main__":
    main()
