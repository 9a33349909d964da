"""Rate and quality of nvcodec against x264, x265 and SVT-AV1.

    python -m tools.bench.rd CLIP... --model hybrid:medium --model nirvana:medium --plot rd.png

Encodes every clip with every codec at every quality to real files and decodes them. Prints a table
of the points, and the bits of each of our models against each other codec at equal PSNR: the
BD-rate where the curves overlap, and the ratio at the highest PSNR that both reach. For all codecs,
key frames are the first frame and scene cuts only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nvcodec.media.quality import METRICS
from tools.lib import report
from tools.lib.bd_rate import compare
from tools.lib.clips import Clip
from tools.lib.lists import names_of
from tools.lib.measure import ONE_KEY, Figures, Model, ModelType, measure
from tools.lib.peers import PEERS, measure_peer

POINTS = {
    "clip": "{clip}",
    "codec": "{codec}",
    "crf": "{crf:g}",
    "bytes": "{bytes}",
    "bpp": "{bpp:.4f}",
    "PSNR": "{psnr:.2f}",
    "Y": "{psnr_y:.2f}",
}
SIMILARITY = {"ssim": {"SSIM": "{ssim:.4f}"}, "ms-ssim": {"MS-SSIM": "{ms_ssim:.4f}"}}
COST = {
    "keys": "{keys}",
    "encode s/frame": "{encode_seconds_per_frame:.3f}",
    "decode ms/frame": "{decode_ms_per_frame:.1f}",
}
COMPARISONS = {
    "clip": "{clip}",
    "codec": "{codec}",
    "against": "{against}",
    "common PSNR": "{common}",
    "BD-rate": "{bd_rate:+.1f} %",
    "bits": "{bits}",
}

MEANS = {
    "codec": "{codec}",
    "against": "{against}",
    "clips": "{clips}",
    "mean BD-rate": "{mean:+.1f} %",
    "greatest": "{greatest:+.1f} %",
}


def _qualities(_context: Any, _option: Any, values: tuple[str, ...]) -> dict[str, tuple[float]]:
    result = {}
    for value in values:
        label, equals, numbers = value.rpartition("=")
        try:
            result[label] = tuple(float(number) for number in numbers.split(","))
        except ValueError:
            equals = ""
        if not equals:
            raise click.BadParameter(f"{value!r} is not CODEC=CRF[,CRF...]")
    return result


@click.command("rd", cls=report.Tool, help=__doc__)
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--model",
    "models",
    multiple=True,
    type=ModelType(),
    default=["hybrid"],
    show_default=True,
    help="MODEL[:PRESET][,OPTION=VALUE...] with options of nvcodec.encode; repeat for more.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Choice(list(PEERS)),
    default=["x264", "x265", "svtav1"],
    show_default=True,
    help="The other codecs; repeat for more. Those that PyAV lacks are left out.",
)
@click.option("--frames", type=click.IntRange(min=1), help="Frames of each clip.  [default: all]")
@click.option(
    "--qualities",
    multiple=True,
    callback=_qualities,
    help="CODEC=CRF[,CRF...] in place of its default values; repeat for more codecs.",
)
@click.option(
    "--metrics",
    default="psnr",
    show_default=True,
    callback=names_of(METRICS),
    help="Metrics of psnr, ssim and ms-ssim, separated by commas.",
)
@report.json_option
@report.plot_option
def main(
    clips: tuple[Path, ...],
    models: tuple[Model, ...],
    against: tuple[str, ...],
    frames: int | None,
    qualities: dict[str, tuple[float, ...]],
    metrics: tuple[str, ...],
    json_path: Path | None,
    plot_path: Path | None,
) -> None:
    labels = [model.label for model in models]
    if unknown := set(qualities) - {*labels, *against}:
        raise click.UsageError(f"--qualities: no codec {', '.join(sorted(unknown))} in this run")
    if len({path.stem for path in clips}) < len(clips):
        raise click.UsageError("clips need different names")
    out = report.Report(json_path)
    missing = [name for name in against if not PEERS[name].available]
    peers = [name for name in against if name not in missing]
    chosen: dict[str, Any] = {name: PEERS[name] for name in peers}
    chosen |= {model.label: model for model in models}
    cases = [
        (Clip(path, frames), label, crf)
        for path in clips
        for label, codec in chosen.items()
        for crf in qualities.get(label, codec.qualities)
    ]
    for clip, label, crf in report.progress(cases, lambda c: f"{c[0].name} {c[1]} crf {c[2]:g}"):
        figures = _measure(clip, chosen[label], crf, metrics)
        out.add("points", {"clip": clip.name, "codec": label, "crf": crf} | figures.row())
    for path in clips:
        for label in labels:
            for peer in peers:
                _compare(out, Clip(path).name, label, peer)
    for label in labels:
        for peer in peers:
            _mean(out, label, peer)
    similarity = [columns for name, columns in SIMILARITY.items() if name in metrics]
    columns = POINTS | {k: v for part in similarity for k, v in part.items()} | COST
    out.show(
        "\n".join(f"PyAV has no {PEERS[name].codec}: {name} is left out." for name in missing),
        report.table(columns, out.rows("points")),
        report.table(COMPARISONS, out.rows("comparisons")) if peers else "",
        report.table(MEANS, out.rows("means")) if peers else "",
    )
    if plot_path is not None:
        _plot(out.rows("points"), plot_path)


def _measure(clip: Clip, codec: Any, crf: float, metrics: tuple[str, ...]) -> Figures:
    if isinstance(codec, Model):
        return measure(clip, codec, crf, metrics=metrics, key_interval=ONE_KEY)
    with clip.open() as source:
        pictures = [picture.planes for picture in source]
        return measure_peer(pictures, source.frame_rate, codec, crf, metrics)


def _compare(out: report.Report, clip: str, label: str, peer: str) -> None:
    """Add the comparison of a model with another codec on a clip."""
    curves = [
        [(p["bpp"], p["psnr"]) for p in out.rows("points") if (p["clip"], p["codec"]) == (clip, c)]
        for c in (peer, label)
    ]
    found = compare(*curves)
    if found.low is None:
        common = "no overlap"
        bits = (
            f"{found.bound} x{found.ratio:.2f}"
            f" ({found.quality:.2f} dB against {found.anchor_quality:.2f} dB)"
        )
    else:
        common = f"{found.low:.2f} to {found.high:.2f} dB"
        bits = f"x{found.ratio:.2f} at {found.high:.2f} dB"
    row = {"clip": clip, "codec": label, "against": peer, "common": common, "bits": bits}
    out.add("comparisons", row | vars(found))


def _mean(out: report.Report, label: str, peer: str) -> None:
    """Add the mean over the clips whose comparison has a BD-rate."""
    rates = [
        row["bd_rate"]
        for row in out.rows("comparisons")
        if (row["codec"], row["against"]) == (label, peer) and row["bd_rate"] is not None
    ]
    figures = {"mean": sum(rates) / len(rates), "greatest": max(rates)} if rates else {}
    out.add("means", {"codec": label, "against": peer, "clips": len(rates)} | figures)


def _plot(points: list[dict[str, Any]], path: Path) -> None:
    clips = list(dict.fromkeys(point["clip"] for point in points))
    with report.figure(path, len(clips)) as axes:
        for clip, axis in zip(clips, axes, strict=True):
            for codec in dict.fromkeys(point["codec"] for point in points):
                curve = sorted(
                    (p["bpp"], p["psnr"])
                    for p in points
                    if (p["clip"], p["codec"]) == (clip, codec)
                )
                axis.plot(*zip(*curve, strict=True), marker="o", label=codec)
            axis.set(title=clip, xlabel="bits per luma sample", ylabel="PSNR, all planes (dB)")
            axis.set_xscale("log")
            axis.grid(which="both", alpha=0.3)
            axis.legend()


if __name__ == "__main__":
    main()
