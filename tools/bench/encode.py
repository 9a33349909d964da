"""Encoding speed of presets at several sizes, beside SVT-AV1 at equal quality.

\b
    python -m tools.bench.encode CLIP --sizes 640x360,1280x720,1920x1080
        --model hybrid:fast --model hybrid:medium --against svtav1 --against svtav1:4

CLIP is scaled to each size by swscale (Lanczos); sizes above its own are marked. Each encode has a
process of its own, which has loaded its kernels. CPU time is that of all threads, for reading the
source too, which the peers have in memory. A peer's time and bits are those at our PSNR, between
its own points; "times" is our CPU time in peers, "bits" the same for bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import click
import numpy as np

from nvcodec.media.source import open_source
from tools.lib import report
from tools.lib.apart import apart
from tools.lib.clips import Clip, scaled
from tools.lib.lists import sizes_of
from tools.lib.measure import ONE_KEY, Figures, Model, ModelType, measure_warm
from tools.lib.peers import PEERS, Peer, measure_peer

COLUMNS = {
    "size": "{size}",
    "codec": "{codec}",
    "crf": "{crf:g}",
    "bpp": "{bpp:.4f}",
    "PSNR": "{psnr:.2f}",
    "CPU ms/frame": "{cpu_ms:.1f}",
    "frames a second": "{fps:.1f}",
    "peak memory, MiB": "{peak_mib:.0f}",
}
RATIOS = {
    "size": "{size}",
    "codec": "{codec}",
    "against": "{against}",
    "times": "{times:.1f}",
    "bits": "{bits:.2f}",
}


@click.command("encode", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--sizes", required=True, callback=sizes_of, help="WIDTHxHEIGHT[,WIDTHxHEIGHT...]")
@click.option("--crf", type=float, default=27.0, show_default=True, help="Of our models.")
@click.option(
    "--model",
    "models",
    multiple=True,
    type=ModelType(),
    default=["hybrid:ultrafast", "hybrid:fast", "hybrid:medium"],
    show_default=True,
    help="MODEL[:PRESET][,OPTION=VALUE...] with options of nvcodec.encode; repeat for more.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Choice(list(PEERS)),
    default=["svtav1", "svtav1:4"],
    show_default=True,
    help="The other codecs; repeat for more.",
)
@click.option("--frames", type=click.IntRange(min=1), help="Frames of the clip.  [default: all]")
@click.option("--rounds", default=1, type=click.IntRange(1), help="Encodes of each.  [default: 1]")
@report.json_option
def main(
    clip: Path,
    sizes: list[tuple[int, int]],
    crf: float,
    models: tuple[Model, ...],
    against: tuple[str, ...],
    frames: int | None,
    rounds: int,
    json_path: Path | None,
) -> None:
    out = report.Report(json_path)
    with open_source(clip) as source:
        own = source.width, source.height
    with tempfile.TemporaryDirectory() as folder:
        for size in report.progress(sizes, lambda size: f"{size[0]}x{size[1]}"):
            part = Clip(clip, frames)
            part = part if size == own else scaled(part, size, Path(folder))
            name = f"{size[0]}x{size[1]}" + (", upscaled" if size > own else "")
            for _ in range(rounds):
                for model in models:
                    options = {"key_interval": ONE_KEY}
                    figures = apart(measure_warm, part, model, crf, **options)
                    _add(out, name, model.label, crf, figures)
                for peer in against:
                    for quality in PEERS[peer].qualities:
                        figures = apart(_peer, part, PEERS[peer], quality)
                        _add(out, name, peer, quality, figures)
    rows = _least(out.rows("encodes"))
    for row in rows:
        for peer in against if row["codec"] not in against else ():
            points = [r for r in rows if (r["size"], r["codec"]) == (row["size"], peer)]
            out.add(
                "ratios",
                {"size": row["size"], "codec": row["codec"], "against": peer} | ratios(row, points),
            )
    out.show(report.table(COLUMNS, rows), report.table(RATIOS, out.rows("ratios")))


def _peer(clip: Clip, peer: Peer, quality: float) -> Figures:
    with clip.open() as source:
        pictures = [picture.planes for picture in source]
        return measure_peer(pictures, source.frame_rate, peer, quality)


def _add(out: report.Report, size: str, codec: str, crf: float, figures: Figures) -> None:
    row = figures.row() | {"size": size, "codec": codec, "crf": crf}
    row["cpu_ms"] = 1000 * figures.encode_cpu_seconds / figures.frames
    row["fps"] = figures.frames / figures.encode_seconds
    row["peak_mib"] = figures.peak_memory / (1 << 20) if figures.peak_memory else None
    del row["groups"], row["shape"]
    out.add("encodes", row)


def _least(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of several encodes of the same, the one that took the least CPU time."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        name = row["size"], row["codec"], row["crf"]
        if name not in found or row["cpu_ms"] < found[name]["cpu_ms"]:
            found[name] = row
    return list(found.values())


def ratios(row: dict[str, Any], points: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """CPU time and bits against a peer's at equal PSNR; None outside the peer's range."""
    points = sorted(points, key=lambda point: point["psnr"])
    at = [point["psnr"] for point in points]
    if not at or not at[0] <= row["psnr"] <= at[-1]:
        return {"times": None, "bits": None}

    def ratio(figure: str) -> float:
        logs = [log(point[figure]) for point in points]
        return float(row[figure] / np.exp(np.interp(row["psnr"], at, logs)))

    return {"times": ratio("cpu_ms"), "bits": ratio("bpp")}


if __name__ == "__main__":
    main()
