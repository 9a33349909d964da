"""Bytes of each group of a static and a moving clip at one quality.

    python -m tools.bench.adaptive --static A.mkv --moving B.mkv --crf 33 --frames 24

A group codes differences to the group before it: of features, or of the sine network's weights. In
a static clip they cost little. In a moving clip they cost more, up to the bytes of the first group.
Key groups are the first group and scene cuts only.
"""

from __future__ import annotations

from pathlib import Path

import click

from tools.lib import report
from tools.lib.clips import Clip
from tools.lib.measure import ONE_KEY, Model, measure, model_option

CLIPS = {
    "clip": "{clip}",
    "content": "{content}",
    "frames": "{frames}",
    "bytes": "{bytes}",
    "bpp": "{bpp:.4f}",
    "PSNR": "{psnr:.2f}",
    "later groups, mean": "{later_share:.1%}",
    "last group": "{last_share:.1%}",
}
GROUPS = {
    "clip": "{clip}",
    "group": "{group}",
    "frames": "{frames}",
    "key": "{key}",
    "bytes": "{bytes}",
    "of the first": "{share:.1%}",
    "bpp": "{bpp:.4f}",
    "PSNR": "{psnr:.2f}",
}

_PATH = click.Path(exists=True, path_type=Path)


@click.command("adaptive", cls=report.Tool, help=__doc__)
@click.option("--static", type=_PATH, required=True, help="A clip that hardly changes.")
@click.option("--moving", type=_PATH, required=True, help="A clip that changes much.")
@click.option("--crf", type=float, default=33.0, show_default=True)
@model_option("nirvana")
@click.option("--frames", type=click.IntRange(min=1), help="Frames of each clip.  [default: all]")
@report.json_option
def main(
    static: Path, moving: Path, crf: float, model: Model, frames: int | None, json_path: Path | None
) -> None:
    out = report.Report(json_path)
    cases = [("static", Clip(static, frames)), ("moving", Clip(moving, frames))]
    for content, clip in report.progress(cases, lambda case: case[1].name):
        figures = measure(clip, model, crf, key_interval=ONE_KEY)
        first, *later = (group["bytes"] for group in figures.groups)
        row = {"clip": clip.name, "content": content} | figures.row()
        row["later_share"] = sum(later) / len(later) / first if later else None
        row["last_share"] = later[-1] / first if later else None
        out.add("clips", row)
        luma = figures.width * figures.height
        for number, group in enumerate(figures.groups):
            bpp = 8 * group["bytes"] / (luma * group["frames"])
            extra = {"clip": clip.name, "group": number, "bpp": bpp}
            out.add("groups", group | extra | {"share": group["bytes"] / first})
    out.show(
        report.table(CLIPS, out.rows("clips")),
        report.table(GROUPS, out.rows("groups")),
    )


if __name__ == "__main__":
    main()
