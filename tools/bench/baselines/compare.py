"""Our codec against NeRV, PS-NeRV and SIREN on one clip: time to equal bytes and PSNR; decoding.

    python -m tools.bench.baselines.compare CLIP --model nirvana --crf 30 --seconds 10,40

Encodes the clip with our codec to a real file and decodes it. Then each baseline is trained to
about that many bytes, in each of --seconds, until it reaches our PSNR. Each time is a separate
training, because the schedule of the learning rate depends on it.

The baselines learn the samples that our codec codes, 8-bit Y'CbCr 4:2:0, by mean squared error;
chroma is the 2x2 average of their output. Their weights are rounded during the last part of
training and coded by our coder. The bytes contain all that a decoder needs. PSNR is that of the
decoded frames, over all samples of all planes. Steps of the tensors follow the curvature of the
error, as ours do. The peak learning rates and the bits per weight are the best of those tried on a
small clip. All evaluate a frame at a time: NeRV as a whole, PS-NeRV its patches, SIREN its samples.
All run on one CPU thread. Seconds are CPU time. The bytes of our default network are not counted:
it is a part of the format.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from tqdm import tqdm

from nvcodec.decode.decoder import Decoder
from nvcodec.encode.encoder import encode
from nvcodec.media.quality import PsnrMeter
from nvcodec.picture import Planes
from tools.bench.baselines import coding
from tools.bench.baselines.networks import NETWORKS, Network
from tools.bench.baselines.samples import Samples
from tools.bench.baselines.training import seconds, train
from tools.lib import report
from tools.lib.clips import Clip, scaled
from tools.lib.lists import above_0
from tools.lib.measure import ONE_KEY, Model, model_option, warm_up

TRAININGS = {
    "codec": "{codec}",
    "weights": "{weights}",
    "bytes": "{bytes}",
    "PSNR": "{psnr:.2f}",
    "CPU s": "{seconds:.1f}",
    "wall s": "{wall:.1f}",
    "decode fps": "{fps:.1f}",
}
RESULTS = {
    "codec": "{codec}",
    "bytes": "{bytes}",
    "PSNR": "{psnr:.2f}",
    "CPU s to our PSNR": "{reached}",
    "time / ours": "{time_ratio}",
    "decode fps": "{fps:.1f}",
    "fps / ours": "{fps_ratio:.2f}",
}
_DECODES = 3


def _size(_context: Any, _option: Any, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    width, _, height = value.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise click.BadParameter(f"{value!r} is not WIDTHxHEIGHT")
    return int(width), int(height)


@click.command("baselines.compare", cls=report.Tool, help=__doc__)
@click.argument("path", metavar="CLIP", type=click.Path(exists=True, path_type=Path))
@click.option("--frames", type=click.IntRange(1), default=12, show_default=True)
@click.option("--size", metavar="WxH", callback=_size, help="Scale the clip.  [default: its own]")
@model_option("nirvana")
@click.option("--crf", type=float, default=30.0, show_default=True)
@click.option(
    "--seconds",
    "budgets",
    default="10,40",
    show_default=True,
    callback=above_0(float),
    help="CPU seconds of the trainings of each baseline, the shortest first.",
)
@report.json_option
def main(
    path: Path,
    frames: int,
    size: tuple[int, int] | None,
    model: Model,
    crf: float,
    budgets: list[float],
    json_path: Path | None,
) -> None:
    torch.set_num_threads(1)
    result = report.Report(json_path)
    with tempfile.TemporaryDirectory() as folder:
        clip = Clip(path, frames)
        if size is not None:
            clip = scaled(clip, size, Path(folder))
        samples = Samples(clip.pictures())
        ours = result.add("trainings", measure_ours(clip, samples, model, crf, Path(folder)))
    result.add("results", ours | {"reached": f"{ours['seconds']:.1f}", "time_ratio": "1"})
    result.rows("results")[0]["fps_ratio"] = 1.0
    for kind in NETWORKS:
        rows = []
        for budget in budgets:
            rows.append(measure_baseline(kind, samples, ours["bytes"], budget))
            result.add("trainings", rows[-1])
            if rows[-1]["psnr"] >= ours["psnr"]:
                break
        result.add("results", conclusion(rows, ours))
    result.show(
        report.table(TRAININGS, result.rows("trainings")),
        report.table(RESULTS, result.rows("results")),
    )


def conclusion(rows: list[dict[str, Any]], ours: dict[str, Any]) -> dict[str, Any]:
    """The comparison of a baseline's trainings with ours; the last one may have our PSNR."""
    last, best = rows[-1], max(rows, key=lambda row: row["psnr"])
    ratio = last["seconds"] / ours["seconds"]
    if last["psnr"] >= ours["psnr"]:
        said = {"reached": f"{last['seconds']:.1f}", "time_ratio": f"{ratio:.1f}"}
    else:
        said = {
            "reached": f"not reached in {last['seconds']:.0f} s: best {best['psnr']:.2f} dB",
            "time_ratio": f"> {ratio:.1f}",
        }
        last = best
    return last | said | {"fps_ratio": last["fps"] / ours["fps"]}


def measure_ours(
    clip: Clip, samples: Samples, model: Model, crf: float, folder: Path
) -> dict[str, Any]:
    """The row of our codec."""
    options = {"crf": crf, "threads": 1, "key_interval": ONE_KEY} | dict(model.options)
    path = folder / "ours.nrv"
    warm_up(clip, model)
    started, wall = seconds(), time.perf_counter()
    encode(clip.path, path, **(options | {"frames": clip.frames}))
    row = {"seconds": seconds() - started, "wall": time.perf_counter() - wall}
    # Encoding has changed the number of threads.
    torch.set_num_threads(1)

    def decoded() -> list[Planes]:
        with Decoder(path, threads=1) as decoder:
            return [frame.planes for frame in decoder]

    row |= _decoding(decoded, samples)
    return {"codec": f"{model.label} crf {crf:g}", "bytes": path.stat().st_size, **row}


def measure_baseline(
    kind: type[Network], samples: Samples, target: int, budget: float
) -> dict[str, Any]:
    """The row of a baseline that is trained for `budget` seconds to about `target` bytes."""
    with tqdm(
        total=1.0,
        desc=f"{kind.title} {budget:.1f} s",
        bar_format="{desc} {percentage:3.0f}%{postfix}",
        disable=None,
        leave=False,
    ) as bar:

        def show(share: float, error: float) -> None:
            bar.set_postfix_str(f"{-10 * math.log10(max(error, 1e-9)):.2f} dB", refresh=False)
            bar.update(share - bar.n)

        started, wall = seconds(), time.perf_counter()
        data = train(kind, samples, target, budget, show)
        row = {"seconds": seconds() - started, "wall": time.perf_counter() - wall}
    row |= _decoding(lambda: list(coding.decode(data).pictures()), samples)
    weights = coding.decode(data).weights
    return {"codec": kind.title, "weights": weights, "bytes": len(data), **row}


def _decoding(decoded: Callable[[], list[Planes]], samples: Samples) -> dict[str, float]:
    """PSNR, and frames per second of CPU time of the fastest of a few decodes."""
    meter = PsnrMeter()
    for reference, planes in zip(samples.pictures, decoded(), strict=True):
        meter.add(reference, planes)
    times = []
    for _ in range(_DECODES):
        started = time.process_time()
        decoded()
        times.append(time.process_time() - started)
    return {"psnr": meter.all, "fps": len(samples.pictures) / max(min(times), 1e-9)}


if __name__ == "__main__":
    main()
