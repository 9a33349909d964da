"""One configuration, unchanged, at several sizes of the same clip.

    python -m tools.bench.resolution CLIP --sizes 320x180,640x360,1280x720 --crf 33 --frames 8

CLIP is scaled to each size by swscale (Lanczos). Sizes above its own are marked as upscaled. Each
size is encoded and decoded in a process of its own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from nvcodec.media.source import open_source
from tools.lib import report
from tools.lib.apart import apart
from tools.lib.clips import Clip, scaled
from tools.lib.lists import sizes_of
from tools.lib.measure import ONE_KEY, Model, measure_warm, model_option

COLUMNS = {
    "size": "{width}x{height}",
    "scaling": "{scaling}",
    "frames": "{frames}",
    "bytes": "{bytes}",
    "bpp": "{bpp:.4f}",
    "PSNR": "{psnr:.2f}",
    "encode s/frame": "{encode_seconds_per_frame:.2f}",
    "decode ms/frame": "{decode_ms_per_frame:.1f}",
    "peak memory, MiB": "{peak_mib:.0f}",
}


@click.command("resolution", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--sizes", required=True, callback=sizes_of, help="WIDTHxHEIGHT[,WIDTHxHEIGHT...]")
@click.option("--crf", type=float, default=33.0, show_default=True)
@model_option("nirvana")
@click.option("--skip", type=click.IntRange(min=0), default=0, help="Frames to leave out first.")
@click.option("--frames", type=click.IntRange(min=1), help="Frames of the clip.  [default: all]")
@report.json_option
def main(
    clip: Path,
    sizes: list[tuple[int, int]],
    crf: float,
    model: Model,
    skip: int,
    frames: int | None,
    json_path: Path | None,
) -> None:
    out = report.Report(json_path)
    source = Clip(clip, frames, skip)
    with open_source(clip, frames=1) as opened:
        own = opened.width, opened.height
    for size in report.progress(sizes, "{0[0]}x{0[1]}".format):
        with tempfile.TemporaryDirectory() as folder:
            case = source if size == own else scaled(source, size, Path(folder))
            figures = apart(measure_warm, case, model, crf, key_interval=ONE_KEY)
        above = size[0] > own[0] or size[1] > own[1]
        scaling = "none" if size == own else "upscaled" if above else "downscaled"
        row = figures.row() | {"scaling": scaling, "peak_mib": figures.peak_memory / 2**20}
        out.add("sizes", row)
    out.show(report.table(COLUMNS, out.rows("sizes")))


if __name__ == "__main__":
    main()
