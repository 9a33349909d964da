"""Speed and bit rate of presets as a curve, from the results of one `tools.bench.rd` run.

\b
    python -m tools.bench.rd CLIP... --model hybrid:fast --model hybrid:medium
        --model hybrid:slow --against x264 --against svtav1 --json rd.json
    python -m tools.bench.presets rd.json --plot presets.png

For each codec of the run it gives frames per second and CPU time over all encodes of all clips,
and the mean BD-rate against the first peer. Frames per second are valid only if the run had the
machine to itself. CPU time suffers less from other work; a first encode may load kernels in it.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from tools.lib import report

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
    rates = {row["codec"]: row.get("mean") for row in run["means"] if row["against"] == peer}
    rates[peer] = 0.0
    for codec, rate in rates.items():
        points = [point for point in run["points"] if point["codec"] == codec]
        frames = sum(point["frames"] for point in points)
        samples = sum(point["frames"] * point["width"] * point["height"] for point in points)
        seconds = sum(point["encode_seconds"] for point in points)
        cpu = 1000 * sum(point["encode_cpu_seconds"] for point in points) / frames
        row = {"codec": codec, "fps": frames / seconds, "cpu": cpu, "bd_rate": rate}
        out.add("presets", row | {"samples": samples / seconds})
    out.show(f"BD-rate against {peer}.", report.table(COLUMNS, out.rows("presets")))
    if plot_path is not None:
        with report.figure(plot_path, 1) as (axis,):
            for row in out.rows("presets"):
                axis.plot(row["fps"], row["bd_rate"], marker="o", label=row["codec"])
            axis.set(xlabel="frames a second", ylabel=f"BD-rate against {peer}, %")
            axis.set_xscale("log")
            axis.grid(which="both", alpha=0.3)
            axis.legend()


if __name__ == "__main__":
    main()
