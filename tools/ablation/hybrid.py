"""What each tool of the hybrid model is worth: bits of the encoder without it, at equal quality.

    python -m tools.ablation.hybrid CLIP... --frames 17 --crf 20,25,30,35 --jobs 2

Encodes every clip at every crf as it is, then again with one tool switched off in each row. The
figure of a row is the BD-rate against the encoder as it is, over PSNR of all planes and the bytes
of all substreams, which the encoder decodes again; above 0 is what the tool saves. Nothing is tuned
to what is missing: the quantisers stay, and so do the trained contexts, so that a flag that is
always the same costs what adapting to it takes. The fusion network has a tool of its own,
tools.bench.fusion.

Rows are of three kinds. Without a tool of the format: what the format would lose (it would not
have the tool's flags either). Without a tool of the encoder: the format stays as it is. An option:
another group size. The last line names the format's tools that are worth little everywhere.
"""

from __future__ import annotations

import io
import math
import multiprocessing
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np

from nvcodec.coding.hybrid import canvases
from nvcodec.coding.hybrid.leaves import INTRA, SIZE, X, Y
from nvcodec.encode.encoder import encode
from nvcodec.encode.hybrid import canvas as canvas_coder
from nvcodec.encode.hybrid import group
from nvcodec.encode.hybrid import video as coder
from nvcodec.encode.hybrid.analysis.quantisers import BASE, LAST
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.model.hybrid.canvas import reconstruct
from nvcodec.options import HYBRID_GROUP
from tools.lib import report
from tools.lib.bd_rate import compare
from tools.lib.clips import Clip
from tools.lib.measure import ONE_KEY

FORMAT, ENCODER, OPTION = "format", "encoder", "option"

LITTLE_ON_THE_MEAN, LITTLE_ON_A_CLIP = 1.0, 5.0
"""Percent below which a tool of the format is worth little."""

_HUGE = 1e11
"""Bits that nothing is worth; times any lambda it is still below what stands for impossible."""

_KEY, _CHAIN, _INTERIOR = -2, 0, 2
"""Fixed offsets to the quantiser index; of interior canvases the depth is added."""
_DEEPEST = 6
"""Offset of the deepest canvases of a group of 16, which no error is inherited from."""

Put = Callable[[Any, str, Any], None]
"""Replaces a name of a module while an encode runs."""
Change = Callable[[Put], None]


@dataclass(frozen=True)
class Row:
    """One change of the encoder: names put in place, and options of `nvcodec.encode`."""

    kind: str
    change: Change = lambda put: None
    options: Mapping[str, Any] = field(default_factory=dict)


def _without_deblocking(put: Put) -> None:
    put(reconstruct, "deblock", lambda *_: None)


def _dear(*choices: Callable[[Any], Any]) -> Change:
    """Choices that are never taken: each gives the part of a canvas's prices that becomes huge.

    A choice gives None in canvases that do not have it.
    """

    def change(put: Put) -> None:
        make = group.make_prices

        def made(*arguments: Any) -> Any:
            prices = make(*arguments)
            for choice in choices:
                bits = choice(prices)
                if bits is not None:
                    bits[...] = _HUGE
            return prices

        put(group, "make_prices", made)

    return change


def _inter(choice: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A choice of canvases that are not key."""
    return lambda prices: None if prices.motion is None else choice(prices)


def _key(choice: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda prices: choice(prices) if prices.motion is None else None


def _both(*changes: Change) -> Change:
    def change(put: Put) -> None:
        for one in changes:
            one(put)

    return change


def _quartered_intra(put: Put) -> None:
    """Intra leaves of 32 samples in inter canvases become four of 16: no price is theirs alone."""
    search = canvas_coder.search_motion

    def searched(given: Any, found: Any) -> None:
        search(given, found)
        leaves = found.leaves[: found.count[0]]
        parts = np.where((leaves[:, INTRA] == 1) & (leaves[:, SIZE] == 32), 4, 1)
        number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
        leaves, quarter = np.repeat(leaves, parts, 0), np.repeat(parts == 4, parts)
        leaves[quarter, SIZE] = 16
        leaves[quarter, X] += 16 * (number[quarter] & 1)
        leaves[quarter, Y] += 16 * (number[quarter] >> 1)
        found.leaves[: len(leaves)] = leaves
        found.count[0] = len(leaves)

    put(canvas_coder, "search_motion", searched)


def _without_intra(put: Put) -> None:
    search = canvas_coder.Search
    put(canvas_coder, "Search", lambda *given: search(*given)._replace(intra=False))


def _flat_maps(put: Put) -> None:
    make = coder.quantiser_maps

    def maps(crf: float, window: Sequence[Any]) -> list[Any]:
        return [np.full_like(q, math.floor(q.mean() + 0.5)) for q in make(crf, window)]

    put(coder, "quantiser_maps", maps)


def _fixed_maps(put: Put) -> None:
    make = coder.quantiser_maps

    def maps(crf: float, window: Sequence[Any]) -> list[Any]:
        result = []
        for step, q in zip(window[0].steps, make(crf, window), strict=True):
            offset = (_KEY, _CHAIN, _INTERIOR + step.depth)[step.set]
            index = math.floor(crf + BASE - _DEEPEST + offset + 0.5)
            result.append(np.full_like(q, min(LAST, max(0, index))))
        return result

    put(coder, "quantiser_maps", maps)


def _flat_contexts(put: Put) -> None:
    for name in ("default_motion_contexts", "default_content_contexts"):
        make = getattr(group, name)

        def flat(make: Callable[[], Any] = make) -> Any:
            contexts = make()
            contexts[:] = 32768, 32768, 0
            return contexts

        for module in (group, canvases):
            put(module, name, flat)


def _without_trials(put: Put) -> None:
    efforts = {name: replace(effort, trial=False) for name, effort in EFFORTS.items()}
    for name, effort in efforts.items():
        put(EFFORTS, name, effort)


_LARGE_INTER = _dear(_inter(lambda p: p.content.tree[2, :1]))
_LARGE_KEY = _dear(_key(lambda p: p.intra.split[1, :, 0]))

ROWS = {
    "deblocking": Row(FORMAT, _without_deblocking),
    "merges": Row(FORMAT, _dear(_inter(lambda p: p.motion.merge[..., 1]))),
    "own vectors of two references": Row(FORMAT, _dear(_inter(lambda p: p.motion.both[:, 1]))),
    "inter blocks of 64": Row(FORMAT, _dear(_inter(lambda p: p.motion.split[2, :, 0]))),
    "inter blocks of 8": Row(FORMAT, _dear(_inter(lambda p: p.motion.split[0, :, 1]))),
    "transforms of 32, inter canvases": Row(FORMAT, _both(_LARGE_INTER, _quartered_intra)),
    "transforms of 32, key canvases": Row(FORMAT, _LARGE_KEY),
    "transforms of 32": Row(FORMAT, _both(_LARGE_INTER, _LARGE_KEY, _quartered_intra)),
    "luma transforms of 4": Row(
        FORMAT, _dear(lambda p: p.content.tree[0, 1:], lambda p: p.intra.four[1:])
    ),
    "intra leaves in inter canvases": Row(FORMAT, _without_intra),
    "quantiser deltas": Row(FORMAT, _flat_maps),
    "trained default contexts": Row(FORMAT, _flat_contexts),
    "lookahead": Row(ENCODER, _fixed_maps),
    "trials": Row(ENCODER, _without_trials),
    **{
        f"groups of {frames}, not by content": Row(OPTION, options={"group_size": frames})
        for frames in (1, 4, 8, HYBRID_GROUP, 32)
    },
}

POINTS = {
    "row": "{row}",
    "clip": "{clip}",
    "crf": "{crf:g}",
    "bytes": "{bytes}",
    "PSNR": "{psnr:.2f}",
}


@contextmanager
def switched(row: Row) -> Iterator[None]:
    """Encodes of this process are changed while the block runs."""
    with ExitStack() as stack:

        def put(place: Any, name: str, value: Any) -> None:
            if isinstance(place, dict):
                stack.enter_context(patch.dict(place, {name: value}))
            else:
                stack.enter_context(patch.object(place, name, value))

        row.change(put)
        yield


@dataclass(frozen=True)
class _Case:
    """One encode; `row` is a name of ROWS, "" for the encoder as it is."""

    row: str
    clip: Clip
    crf: float
    preset: str

    def __str__(self) -> str:
        return f"{self.row or 'as it is'}, {self.clip.name} crf {self.crf:g}"


def measure(case: _Case) -> dict[str, Any]:
    """Bytes of the substreams of a clip, and PSNR of what they decode to."""
    row = ROWS[case.row] if case.row else Row("")
    started = time.process_time()
    with switched(row):
        result = encode(
            case.clip.path,
            io.BytesIO(),
            model="hybrid",
            crf=case.crf,
            preset=case.preset,
            frames=case.clip.frames,
            key_interval=ONE_KEY,
            threads=1,
            **row.options,
        )
    return {
        "row": case.row,
        "clip": case.clip.name,
        "crf": case.crf,
        "bytes": sum(
            part.content_bytes + part.motion_bytes + part.network_bytes for part in result.groups
        ),
        "motion_bytes": sum(part.motion_bytes for part in result.groups),
        "psnr": result.meter.values()["psnr"]["all"],
        "cpu_seconds": time.process_time() - started,
    }


def _measured(cases: Sequence[_Case], jobs: int) -> Generator[dict[str, Any], None, None]:
    """The points of cases in their order; several jobs are processes of their own."""
    if jobs == 1:
        yield from map(measure, cases)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(measure, cases)
    finally:
        pool.shutdown(cancel_futures=True)


def _list(kind: Callable[[str], Any]) -> Callable[[Any, Any, str], list[Any]]:
    def values(_context: Any, _option: Any, value: str) -> list[Any]:
        try:
            return list(dict.fromkeys(kind(part.strip()) for part in value.split(",")))
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: {error}") from error

    return values


def _names(_context: Any, _option: Any, values: tuple[str, ...]) -> list[str]:
    """Rows whose name begins with one of the values."""
    for value in values:
        if not any(name.startswith(value) for name in ROWS):
            raise click.BadParameter(f"{value!r} begins none of {', '.join(ROWS)}")
    return [name for name in ROWS if not values or name.startswith(values)]


@click.command("hybrid_ablation", cls=report.Tool, help=__doc__)
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--frames", type=click.IntRange(min=1), help="Frames of each clip.  [default: all]")
@click.option("--crf", "crfs", default="20,25,30,35", show_default=True, callback=_list(float))
@click.option("--preset", type=click.Choice(list(EFFORTS)), default="medium", show_default=True)
@click.option(
    "--rows",
    "names",
    multiple=True,
    callback=_names,
    help="How rows begin that are measured; repeat for more.  [default: all]",
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@report.json_option
def main(
    clips: tuple[Path, ...],
    frames: int | None,
    crfs: list[float],
    preset: str,
    names: list[str],
    jobs: int,
    json_path: Path | None,
) -> None:
    if len({path.stem for path in clips}) < len(clips):
        raise click.UsageError("clips need different names")
    out = report.Report(json_path)
    sources = [Clip(path, frames) for path in clips]
    cases = [
        _Case(name, clip, crf, preset) for name in ["", *names] for clip in sources for crf in crfs
    ]
    with closing(_measured(cases, jobs)) as points:
        for case in report.progress(cases, str):
            out.add("points", next(points))
            if case.row and (case.clip, case.crf) == (sources[-1], crfs[-1]):
                _compare(out, case.row, [clip.name for clip in sources])
    rows = out.rows("rows")
    columns = {"without": "{row}", "of the": "{kind}", "mean": "{mean:+.2f} %"}
    columns |= {clip.name: f"{{clip{k}:+.2f}} %" for k, clip in enumerate(sources)}
    cells = [
        row | {f"clip{k}": rate for k, rate in enumerate(row["rates"].values())} for row in rows
    ]
    base = [point | {"row": "as it is"} for point in out.rows("points") if not point["row"]]
    out.show(report.table(POINTS, base), report.table(columns, cells), _little(rows))


def _compare(out: report.Report, name: str, clips: list[str]) -> None:
    """Add a row whose points are all there."""

    def curve(row: str, clip: str) -> list[tuple[float, float]]:
        points = out.rows("points")
        return [(p["bytes"], p["psnr"]) for p in points if (p["row"], p["clip"]) == (row, clip)]

    rates = {clip: compare(curve("", clip), curve(name, clip)).bd_rate for clip in clips}
    known = [rate for rate in rates.values() if rate is not None]
    mean = sum(known) / len(known) if len(known) == len(rates) else None
    out.add("rows", {"row": name, "kind": ROWS[name].kind, "mean": mean, "rates": rates})


def _little(rows: Sequence[Mapping[str, Any]]) -> str:
    """The line on the tools of the format that are worth little; without them when unknown."""
    known = [row for row in rows if row["kind"] == FORMAT and row["mean"] is not None]
    names = [
        f"{row['row']} ({row['mean']:+.2f} %, at most {max(row['rates'].values()):+.2f} %)"
        for row in known
        if row["mean"] < LITTLE_ON_THE_MEAN and max(row["rates"].values()) < LITTLE_ON_A_CLIP
    ]
    if not known:
        return ""
    return (
        f"Worth less than {LITTLE_ON_THE_MEAN:g} % on the mean and {LITTLE_ON_A_CLIP:g} % on every"
        f" clip: {', '.join(names) or 'none'}."
    )


if __name__ == "__main__":
    main()
