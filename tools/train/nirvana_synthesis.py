"""Train the synthesis network of the nirvana model alone, on features as the encoder makes them.

    python -m tools.train.nirvana_synthesis SET NET.pt --seconds 900 --output NEXT.pt

SET is a folder of tools.train.nirvana_data. The features are those of `fast`, with the table that
the codec has: groups of four frames or of one, all planes. The basis and the entropy network stay
as they are, so features keep their meaning. What is minimised is the squared error, relative to
that of NET.pt.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from nvcodec.coding.nirvana.table import FRAME, FRAMES
from nvcodec.encode.nirvana.effort import EFFORTS, quantiser_index
from nvcodec.encode.nirvana.group import GroupCoder, fold
from nvcodec.encode.nirvana.paths import SIDE
from nvcodec.model.nirvana.layers import GroupParameters, Layers
from nvcodec.picture import YUV420P8
from nvcodec.tasks import TaskPool
from tools.lib.nirvana_float import Synthesis
from tools.train.nirvana import Recipe, load, save
from tools.train.nirvana_data import TrainingClip

CRFS = (18, 42)
"""Qualities, from the first on, before the last one."""

SINGLE_SHARE = 0.4
"""Share of clips in groups of one frame."""

CROP = (144, 192)
"""Most rows and columns of a clip that are coded; of its frames, two groups of four."""

LUMA_WEIGHT, CHROMA_WEIGHT = 1.5, 0.6

HELD_SHARE = 0.1
"""Share of the clips that are measured only."""

_FLOOR = 0.3
"""Squared error that is added on both sides, so that flat patches do not rule."""
_MAPS = 6
_WARM = 50
_REPORT = 150


@dataclass(frozen=True, eq=False)
class Map:
    """A layer of a group: features in samples and samples around 0, (1, numbers, rows, columns)."""

    q: float
    frames: int
    luma: bool
    features: Tensor
    samples: Tensor

    def error(self, network: Synthesis) -> Tensor:
        """Mean squared error of the frames that are shown."""
        shown = FRAME * self.frames
        made = network(self.features, torch.tensor([self.q]))
        return (made[:, :shown] - self.samples[:, :shown]).square().mean()


def maps(clip: TrainingClip, random: np.random.Generator, tasks: TaskPool) -> Iterator[Map]:
    """Code a part of a clip; give the layers of its groups."""
    rows, columns = (
        min(side, most) // SIDE * SIDE for side, most in zip(clip.luma.shape[1:], CROP, strict=True)
    )
    count = min(len(clip.luma) // FRAMES, 2) * FRAMES
    first = int(random.integers(len(clip.luma) - count + 1))
    top, left = (
        2 * int(random.integers((side - part) // 2 + 1))
        for side, part in zip(clip.luma.shape[1:], (rows, columns), strict=True)
    )
    parts = [
        plane[
            first : first + count, top // s : (top + rows) // s, left // s : (left + columns) // s
        ]
        for plane, s in ((clip.luma, 1), (clip.blue, 2), (clip.red, 2))
    ]
    layers = Layers(columns, rows, YUV420P8)
    coder = GroupCoder(layers, EFFORTS["fast"], tasks)
    crf, frames = float(random.integers(*CRFS)), FRAMES
    if random.random() < SINGLE_SHARE:
        frames = 1
    before: GroupParameters | None = None
    for start in range(0, count, frames):
        q = quantiser_index(crf, frames, before is None)
        pictures = [(parts[0][k], parts[1][k], parts[2][k]) for k in range(start, start + frames)]
        before = coder.code(pictures, before, q).parameters
        for k, (layer, grid) in enumerate(zip(before, layers.grids, strict=True)):
            samples = fold([picture[k] for picture in pictures], grid, (0, grid.rows))
            shape = grid.rows, grid.columns, -1
            yield Map(
                q=float(q),
                frames=frames,
                luma=k == 0,
                features=_batch(layer.features.astype(np.float32) / 8),
                samples=_batch(samples.reshape(shape)),
            )


def _batch(numbers: np.ndarray) -> Tensor:
    """(rows, columns, numbers) as a batch of one."""
    return torch.from_numpy(np.ascontiguousarray(numbers.transpose(2, 0, 1)))[None]


def train(
    network: Synthesis,
    trained: list[Map],
    held: list[Map],
    recipe: Recipe,
    told: Callable[[str], None],
) -> int:
    """Train in place; returns the number of iterations. `told` gets lines of held-out figures."""
    random = np.random.default_rng(0)
    with torch.no_grad():
        start = {id(part): part.error(network).item() + _FLOOR for part in trained + held}

    def gains() -> str:
        """Decibels won on held-out luma and chroma."""
        with torch.no_grad():
            found = [(p.luma, start[id(p)] / (p.error(network).item() + _FLOOR)) for p in held]
        luma, chroma = (
            10 * float(np.mean([math.log10(ratio) for of_luma, ratio in found if of_luma == kind]))
            for kind in (True, False)
        )
        return f"held-out luma {luma:+.3f} dB, chroma {chroma:+.3f} dB"

    weights = [p for name, p in network.named_parameters() if name != "basis"]
    optimiser = torch.optim.Adam(weights, lr=recipe.rate)
    begun, k = time.monotonic(), 0
    while (progress := recipe.progress(k, time.monotonic() - begun)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * min(1, (k + 1) / _WARM) * max(0.02, 1 - progress)
        optimiser.zero_grad()
        for number in random.integers(len(trained), size=_MAPS):
            part = trained[number]
            weight = LUMA_WEIGHT if part.luma else CHROMA_WEIGHT
            loss = weight / _MAPS * (part.error(network) + _FLOOR) / start[id(part)]
            loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        k += 1
        if k % _REPORT == 0:
            told(f"{time.monotonic() - begun:.0f} s, {k} iterations, {gains()}")
    told(f"{k} iterations, {gains()}")
    return k


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option("--clips", default=300, show_default=True, help="Clips that are drawn.")
@click.option("--seconds", type=click.FloatRange(min=1))
@click.option("--iterations", type=click.IntRange(min=1), help="In place of --seconds.")
@click.option("--rate", default=3e-4, show_default=True, help="Learning rate.")
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), required=True)
def main(
    folder: Path, checkpoint: Path, clips: int, seconds: float | None, iterations: int | None,
    rate: float, seed: int, threads: int, output: Path,
) -> None:  # fmt: skip
    if (seconds is None) == (iterations is None):
        raise click.UsageError("give one of --seconds and --iterations")
    torch.set_num_threads(threads)
    random, network = np.random.default_rng(seed), load(checkpoint)
    paths = random.permutation(np.array(sorted(folder.glob("*.npz"))))[:clips]
    if len(paths) < 2:
        raise click.UsageError(f"{folder} has fewer than two clips")
    with closing(TaskPool(threads)) as tasks:
        found = [list(maps(TrainingClip.load(path), random, tasks)) for path in paths]
    held = max(1, round(HELD_SHARE * len(found)))
    trained = [part for parts in found[held:] for part in parts]
    others = [part for parts in found[:held] for part in parts]
    click.echo(f"{len(trained)} layers of groups, {len(others)} held out")
    synthesis = network.synthesis
    assert isinstance(synthesis, Synthesis)
    recipe = Recipe(seconds, iterations, rate, _MAPS, CROP[1], seed, compiled=False)
    done = train(synthesis, trained, others, recipe, click.echo)
    save(output, network, recipe, done)


if __name__ == "__main__":
    main()
