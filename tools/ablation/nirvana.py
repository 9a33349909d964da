"""What each part of the nirvana model is worth: one change at a time, without training.

    python -m tools.ablation.nirvana CLIP --frames 8 --crf 26,32,38

Each change is measured by whole files that decode, at every crf. The figure of a change is the
BD-rate against the codec as it is; above 0 is what the part saves. Some changes are of the format's
table, so encoder and decoder have them alike; nothing is trained for them, so what is left is not
tuned to the part's absence. The axes are

\b
features    the first features of the table; others add nothing to samples
synthesis   the linear part alone; or no features of other patches in the synthesis network
before      every group is a key group
motion      all paths are 0; or no intra blocks
entropy     what a bit costs in the choice of residuals, times a factor
key         quantiser indices by which key groups are finer
gradient    gradient steps on the features
components  none, in place of changes of the output layer that pay for themselves
group       frames of a group, or whichever of 1 and 4 costs less; a patch has four in any case
start       an untrained network in place of the table: the Karhunen-Loeve transform of the clip
            itself, and an entropy network that knows the scale of each feature only; their bytes
            are not counted, though a file would have to send them

The width of the networks and the size of a patch are those of the table, and need a training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import torch

from nvcodec.coding.nirvana.features import LEAST_QUANTISER
from nvcodec.coding.nirvana.table import BLOCK, FRAMES, STARTS, Table, load
from nvcodec.encode.nirvana import choice, group
from nvcodec.encode.nirvana.choice import BITS_PER_SQUARE
from nvcodec.encode.nirvana.effort import EFFORTS
from nvcodec.encode.nirvana.group import CodedSubstreams, GroupCoder, LayerCoder
from nvcodec.encode.nirvana.paths import SIDE
from nvcodec.model.nirvana.layers import GroupParameters
from nvcodec.picture import Planes
from tools.ablation.other_table import table_of, with_table
from tools.lib import report
from tools.lib.bd_rate import compare
from tools.lib.clips import Clip
from tools.lib.lists import names_of, values_of
from tools.lib.measure import ONE_KEY, Model, measure, warm_up
from tools.train.nirvana import Sampler, start_network
from tools.train.nirvana_data import training_clip

_CROP, _BATCH = 96, 8


@dataclass(frozen=True)
class Change:
    """A change of the codec.

    table: gives another table for a clip.
    effort: other settings of the effort.
    inside: objects of the encoder, names in them, and the names' values.
    options: options of `nvcodec.encode`.
    """

    table: Callable[[Clip], Table] | None = None
    effort: Mapping[str, Any] = field(default_factory=dict)
    inside: tuple[tuple[Any, str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def changed(change: Change, clip: Clip) -> Iterator[None]:
    """While the block runs, encodes and decodes of this process have the change."""
    with ExitStack() as stack:
        if change.table is not None:
            stack.enter_context(with_table(change.table(clip)))
        efforts = {name: replace(e, **change.effort) for name, e in EFFORTS.items()}
        stack.enter_context(patch.dict(EFFORTS, efforts))
        for place, name, value in change.inside:
            stack.enter_context(patch.object(place, name, value))
        yield


def _first_features(count: int) -> Change:
    def table(_: Clip) -> Table:
        own = load()
        basis, scale = own.basis.copy(), own.scale.copy()
        basis[:, count:] = 0
        scale[count:] = 0
        return replace(own, basis=basis, scale=scale)

    return Change(table)


def _linear(_: Clip) -> Table:
    own = load()
    return replace(own, third=np.zeros_like(own.third), third_bias=np.zeros_like(own.third_bias))


def _alone(_: Clip) -> Table:
    own = load()
    first = np.zeros_like(own.first)
    first[:, :, 1, 1] = own.first[:, :, 1, 1]
    return replace(own, first=first)


def _untrained(clip: Clip) -> Table:
    """The table of a network that saw the clip's patches, and was not trained."""
    y, u, v = (np.stack(planes) for planes in zip(*clip.pictures(), strict=True))
    data = training_clip((y, u, v), 1.0)
    torch.manual_seed(0)
    crop = min(_CROP, *data.luma.shape[1:]) // SIDE * SIDE
    return table_of(start_network(Sampler([data], crop, 0), _BATCH))


def _key_gain(gain: int) -> Change:
    """Key groups finer by `gain`; the codec has 2."""
    code = GroupCoder.code

    def finer(
        coder: GroupCoder,
        pictures: Sequence[Planes],
        before: GroupParameters | None,
        quantiser: int,
    ) -> CodedSubstreams:
        q = quantiser if before is not None else max(LEAST_QUANTISER, quantiser + 2 - gain)
        return code(coder, pictures, before, q)

    return Change(inside=((GroupCoder, "code", finer),))


def _bit_price(factor: float) -> Change:
    worth = BITS_PER_SQUARE / factor if factor else np.inf
    return Change(inside=tuple((module, "BITS_PER_SQUARE", worth) for module in (choice, group)))


def _no_paths(before: np.ndarray, planes: np.ndarray, *_: Any) -> np.ndarray:
    return np.zeros((*(side // SIDE for side in before.shape), len(planes), 2), np.int32)


def _no_intra(coder: LayerCoder, analysis: np.ndarray, *_: Any) -> np.ndarray:
    return np.zeros((-(-len(analysis) // BLOCK), coder.grid.block_columns), np.uint8)


AXES: dict[str, dict[str, Change]] = {
    "features": {str(count): _first_features(count) for count in STARTS[2:-1]},
    "synthesis": {"linear part alone": Change(_linear), "own patch alone": Change(_alone)},
    "before": {"key groups only": Change(options={"key_interval": 1e-6})},
    "motion": {
        "no motion": Change(inside=((group, "find_paths", _no_paths),)),
        "no intra blocks": Change(inside=((LayerCoder, "_intra", _no_intra),)),
    },
    "entropy": {f"x {factor:g}": _bit_price(factor) for factor in (0, 0.5, 2)},
    "key": {str(gain): _key_gain(gain) for gain in (0, 4)},
    "gradient": {f"{steps} steps": Change(effort={"steps": steps}) for steps in (1, 4)},
    "components": {"a new one in a group": Change(effort={"saving": 0.5})},
    "group": {str(frames): Change(options={"group_size": frames}) for frames in (1, 2)}
    | {"4": Change(effort={"split": False})},
    "start": {"untrained": Change(_untrained)},
}

COLUMNS = {
    "axis": "{axis}",
    "change": "{change}",
    "bytes": "{bytes}",
    "PSNR": "{psnr}",
    "encode s": "{seconds:.1f}",
    "BD-rate": "{rate}",
}


@click.command("nirvana_ablation", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--axes", default=",".join(AXES), show_default=True, callback=names_of(AXES))
@click.option("--crf", "crfs", default="26,32,38", show_default=True, callback=values_of(float))
@click.option("--preset", type=click.Choice(list(EFFORTS)), default="medium", show_default=True)
@click.option("--frames", type=click.IntRange(min=2 * FRAMES), help="Frames.  [default: all]")
@report.json_option
def main(
    clip: Path,
    axes: tuple[str, ...],
    crfs: list[float],
    preset: str,
    frames: int | None,
    json_path: Path | None,
) -> None:
    out = report.Report(json_path)
    source = Clip(clip, frames)
    model = Model(f"nirvana:{preset}", {"model": "nirvana", "preset": preset})
    warm_up(source, model)
    cases = [("", "as it is", Change())]
    cases += [(axis, name, change) for axis in axes for name, change in AXES[axis].items()]
    for axis, name, change in report.progress(cases, lambda case: f"{case[0]} {case[1]}"):
        options: dict[str, Any] = {"key_interval": ONE_KEY} | dict(change.options)
        with changed(change, source):
            for crf in crfs:
                figures = measure(source, model, crf, **options)
                case = {"axis": axis, "change": name, "crf": crf}
                out.add("points", case | figures.row())
        out.add("rows", _row(out, axis, name))
    rows = [row | _cells(row) for row in out.rows("rows")]
    title = f"{model.label}, crf {', '.join(f'{crf:g}' for crf in crfs)}"
    out.show(title, report.table(COLUMNS, rows))


def _row(out: report.Report, axis: str, change: str) -> dict[str, Any]:
    """The figures of a change, once all its points are measured."""
    points = out.rows("points")
    own = [p for p in points if (p["axis"], p["change"]) == (axis, change)]
    anchor, curve = (
        [(p["bytes"], p["psnr"]) for p in some]
        for some in ([p for p in points if not p["axis"]], own)
    )
    return {
        "axis": axis,
        "change": change,
        "bytes": [p["bytes"] for p in own],
        "psnr": [p["psnr"] for p in own],
        "seconds": sum(p["encode_seconds"] for p in own),
        **vars(compare(anchor, curve)),
    }


def _cells(row: dict[str, Any]) -> dict[str, str]:
    known = row["bd_rate"] is not None
    return {
        "bytes": " / ".join(map(str, row["bytes"])),
        "psnr": " / ".join(f"{psnr:.2f}" for psnr in row["psnr"]),
        # Without a common PSNR, a bound from the nearest points.
        "rate": f"{row['bd_rate']:+.1f} %" if known else f"{row['bound']} x{row['ratio']:.2f}",
    }


if __name__ == "__main__":
    main()
