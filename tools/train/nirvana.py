"""Train the table of the nirvana network (spec 11.2).

    python -m tools.train.nirvana train SET --held-out HELD --seconds 3600 --output NET.pt
    python -m tools.train.nirvana train SET --seconds 900 --init NET.pt --output NEXT.pt
    python -m tools.train.nirvana export NET.pt spec/tables

SET and HELD are folders of tools.train.nirvana_data. `export` writes nirvana_weights.bin and
nirvana_biases.bin. tools.train.nirvana_contexts then trains nirvana_contexts.txt.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nvcodec.coding.nirvana.table import BLOCK, FEATURES, FRAMES, PATCH, VOLUME
from nvcodec.encode.nirvana.paths import SIDE
from tools.lib.nirvana_float import NirvanaNetwork, fold, lambda_of, step_of
from tools.lib.nirvana_table import integers
from tools.train.nirvana_data import TrainingClip

QUANTISERS = (20.0, 46.0)
"""Range of the quantiser indices of training; each chain of groups draws one."""

CHAIN = 4
"""Most groups of a chain."""

KEY_SHARE = 0.36
"""Share of the key group in the loss; the last group of a chain has the rest."""

PLANE_ODDS = (0.6, 0.2, 0.2)
"""How often a crop is of Y, of Cb, of Cr."""

EVEN = 0.7
"""Losses are divided by lambda to this power, so that all quantiser indices have a say."""

HELD_QUANTISERS = (26.0, 32.0, 38.0)

_HELD_SIZE = (192, 288)
_WARM = 300
_FLOOR = 0.02
_LOG_SECONDS = 60.0
_UNTIMED = 20
_START_BATCHES = 250
_START_QUANTISER = 36.0

Compiled = Callable[..., Tensor]


@dataclass(frozen=True)
class Recipe:
    """Settings of a training; one of `seconds` and `iterations` is None."""

    seconds: float | None
    iterations: int | None
    rate: float
    batch: int
    crop: int
    seed: int
    compiled: bool

    def progress(self, iteration: int, seconds: float) -> float:
        """The share of the training that is done."""
        if self.iterations is not None:
            return iteration / self.iterations
        assert self.seconds is not None
        return seconds / self.seconds


@dataclass(frozen=True, eq=False)
class Chain:
    """Consecutive groups of a batch of crops of planes, and the vectors of each but the first.

    `samples` are (batch, VOLUME, patch rows, patch columns) around 0; `vectors` as those of
    `NirvanaNetwork.moved`.
    """

    samples: list[Tensor]
    vectors: list[Tensor]

    @classmethod
    def of(cls, crops: Sequence[Crop]) -> Chain:
        """From crops of one size."""
        planes = np.stack([crop.plane for crop in crops])
        samples = []
        for first in range(0, planes.shape[1], FRAMES):
            group = torch.from_numpy(planes[:, first : first + FRAMES]).float() - 128
            samples.append(fold(group).contiguous())
        vectors = np.stack([crop.vectors for crop in crops], 1).astype(np.int64)
        return cls(samples, list(torch.from_numpy(vectors)))


@dataclass(frozen=True, eq=False)
class Crop:
    """A plane of consecutive groups, u8 (frames, rows, columns), and the vectors of its patches.

    `vectors` (groups - 1, patch rows, patch columns, FRAMES, 2) are in eighths of a sample.
    """

    plane: npt.NDArray[np.uint8]
    vectors: npt.NDArray[np.int16]

    def mirrored(self, mirrors: int) -> Crop:
        """Mirrored by bits of `mirrors`: columns, rows, then transposed."""
        plane, vectors = self.plane, self.vectors
        if mirrors & 1:
            plane = plane[:, :, ::-1]
            vectors = vectors[:, :, ::-1] * np.array([1, -1], np.int16)
        if mirrors & 2:
            plane = plane[:, ::-1]
            vectors = vectors[:, ::-1] * np.array([-1, 1], np.int16)
        if mirrors & 4:
            plane = plane.swapaxes(1, 2)
            vectors = vectors.swapaxes(1, 2)[..., ::-1]
        return Crop(plane, vectors)

    def single_frames(self) -> Crop:
        """Two groups of one frame: the last of the first group, and the next."""
        frames = [FRAMES - 1] * FRAMES + [FRAMES] * FRAMES
        return Crop(self.plane[frames], self.vectors[..., :1, :].repeat(FRAMES, -2))


def cut(
    clip: TrainingClip,
    number: int,
    group: int,
    groups: int,
    place: tuple[int, int],
    size: tuple[int, int],
) -> Crop:
    """A crop of plane `number` of consecutive groups; `group` is the second of them.

    `place` is in motion blocks, `size` in patches of the plane; in luma it is even.
    """
    first = int(clip.starts[group]) - FRAMES
    plane, step = (clip.luma, SIDE) if number == 0 else ((clip.blue, clip.red)[number - 1], PATCH)
    (y, x), (rows, columns) = place, size
    part = plane[
        first : first + groups * FRAMES,
        step * y : step * y + PATCH * rows,
        step * x : step * x + PATCH * columns,
    ]
    blocks = clip.paths[group : group + groups - 1]
    if number:
        return Crop(part, blocks[:, y : y + rows, x : x + columns])
    vectors = 2 * blocks[:, y : y + rows // BLOCK, x : x + columns // BLOCK]
    return Crop(part, vectors.repeat(BLOCK, 1).repeat(BLOCK, 2))


class Sampler:
    """Draws chains of groups from clips."""

    def __init__(self, clips: Sequence[TrainingClip], crop: int, seed: int) -> None:
        self._clips = clips
        self._patches = crop // PATCH
        self._random = np.random.default_rng(seed)
        odds = [
            clip.weight * math.sqrt(math.prod(clip.luma.shape[1:]) * min(len(clip.starts), 8))
            for clip in clips
        ]
        self._odds = np.array(odds) / sum(odds)

    def draw(self, batch: int, groups: int, *, single: bool = False) -> Chain:
        """Random crops of random clips, mirrored at random; `single` is two groups of one frame."""
        crops = [self._crop(groups) for _ in range(batch)]
        return Chain.of([crop.single_frames() if single else crop for crop in crops])

    def _crop(self, groups: int) -> Crop:
        random, n = self._random, self._patches
        clip = self._clips[random.choice(len(self._clips), p=self._odds)]
        group = int(random.integers(len(clip.starts) - groups + 2))
        number = int(random.choice(3, p=PLANE_ODDS))
        rows, columns = clip.paths.shape[1:3]
        # Chroma of a clip that is too small for a crop is left out.
        blocks = n if number and min(rows, columns) >= n else n // BLOCK
        number = number if blocks == n else 0
        place = int(random.integers(rows - blocks + 1)), int(random.integers(columns - blocks + 1))
        crop = cut(clip, number, group, groups, place, (n, n))
        return crop.mirrored(int(random.integers(8)))


class Steps:
    """The parts of an iteration that are compiled: choices of residuals, rates, errors."""

    def __init__(self, network: NirvanaNetwork, compiled: bool) -> None:
        def made(function: Compiled) -> Compiled:
            return torch.compile(function, dynamic=False) if compiled else function

        self._network = network
        self._choose_key = made(lambda x, q: network.choose(x, q, None, None))
        self._rate_key = made(lambda r, q: network.rate(r, q, None, None))
        self._choose, self._rate = made(network.choose), made(network.rate)
        self._error = made(network.error)

    def losses(self, chain: Chain, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(loss, bits of the key group, bits of the last group), a sample, of each crop."""
        network = self._network
        key = self._choose_key(chain.samples[0], q)
        features, moved, before, residual = key, key, key, key
        for samples, vectors in zip(chain.samples[1:], chain.vectors, strict=True):
            moved = network.without_intra(samples, q, network.moved(features, q, vectors))
            residual = self._choose(samples, q, moved, features)
            before, features = features, moved + residual
        count = sample_count(chain.samples[0])
        rates = [self._rate_key(key, q) / count, self._rate(residual, q, moved, before) / count]
        errors = [
            self._error(key, q, chain.samples[0]) / count,
            self._error(features, q, chain.samples[-1]) / count,
        ]
        price = lambda_of(q)
        costs = [error + price * rate for error, rate in zip(errors, rates, strict=True)]
        loss = (KEY_SHARE * costs[0] + (1 - KEY_SHARE) * costs[1]) / price**EVEN
        return loss, rates[0], rates[1]


def sample_count(samples: Tensor) -> int:
    """Samples of a group of these patches."""
    return int(samples.shape[2] * samples.shape[3] * VOLUME)


def start_network(sampler: Sampler, batch: int) -> NirvanaNetwork:
    """An untrained network: its basis is the Karhunen-Loeve transform of patches of the data."""
    network = NirvanaNetwork()
    products = torch.zeros(VOLUME, VOLUME)
    for _ in range(_START_BATCHES):
        patches = sampler.draw(batch, 2).samples[1].transpose(0, 1).flatten(1)
        products += patches @ patches.T
    vectors = torch.linalg.eigh(products).eigenvectors.flip(1)
    samples = sampler.draw(4 * batch, 2).samples[1]
    q = torch.full((len(samples),), _START_QUANTISER)
    with torch.no_grad():
        network.synthesis.basis.copy_(vectors[:, :FEATURES])
        features = network.analyse(samples, q)
        spread = (features * step_of(q)).square().mean((0, 2, 3)).sqrt()
        network.synthesis.scale.copy_(1 / (2 * spread.clamp_min(24)))
        rounded = features.sign() * (features.abs() + 0.33).floor()
        mean = rounded.abs().mean((0, 2, 3)) + 0.003
        network.entropy.log_scale.copy_((mean.log() - 0.2).view(-1, 1, 1))
    return network


def parameter_groups(network: NirvanaNetwork, rate: float) -> list[dict[str, Any]]:
    """Parameters with their learning rates: the basis, a good start, moves slowly."""
    synthesis = network.synthesis
    slow, output = [synthesis.basis], list(synthesis.third.parameters())
    special = {id(p) for p in [*slow, *output]}
    rest = [p for p in synthesis.parameters() if id(p) not in special]
    entropy = list(network.entropy.parameters())
    shares: list[tuple[list[nn.Parameter], float]] = [
        (output, 0.5), (slow, 0.05), (entropy, 1.5), (rest, 1.0),
    ]  # fmt: skip
    return [{"params": part, "lr": share * rate, "most": share * rate} for part, share in shares]


@torch.no_grad()
def held_out(network: NirvanaNetwork, clips: dict[str, TrainingClip], groups: int) -> Iterator[str]:
    """A line for each quantiser index: mean J = D + lambda R, then each clip's figures.

    They are PSNR, bits a sample of each group, and J, of luma of the clip's top left part.
    """
    network.use_low_precision(False)
    for index in HELD_QUANTISERS if clips else ():
        q, costs, texts = torch.tensor([index]), [], []
        for clip in clips.values():
            height, width = clip.luma.shape[1:]
            rows, columns = (min(a, b) for a, b in zip((height, width), _HELD_SIZE, strict=True))
            size = rows // SIDE * BLOCK, columns // SIDE * BLOCK
            chain = Chain.of([cut(clip, 0, 0, min(groups, clip.chain), (0, 0), size)])
            count = sample_count(chain.samples[0])
            moved: Tensor | None = None
            features: Tensor | None = None
            errors, rates = [], []
            for k, samples in enumerate(chain.samples):
                before = features
                if features is not None:
                    moved = network.moved(features, q, chain.vectors[k - 1])
                    moved = network.without_intra(samples, q, moved)
                residual = network.choose(samples, q, moved, before)
                features = residual if moved is None else moved + residual
                rates.append(float(network.rate(residual, q, moved, before)) / count)
                errors.append(float(network.error(features, q, samples)) / count)
            error = float(np.mean(errors))
            costs.append(error + float(lambda_of(q)) * float(np.mean(rates)))
            psnr = 10 * math.log10(255**2 / error)
            bits = "/".join(f"{rate:.3f}" for rate in rates)
            texts.append(f"{psnr:.2f} dB {bits} J {costs[-1]:.1f}")
        yield f"  held out, q {index:.0f}: J {np.mean(costs):.2f}   {'   '.join(texts)}"


def save(path: Path, network: NirvanaNetwork, recipe: Recipe, iterations: int) -> None:
    """Write a checkpoint; the one before stays until it is whole."""
    part = path.with_suffix(".part")
    data = {
        "network": network.state_dict(),
        "recipe": asdict(recipe),
        "iterations": iterations,
    }
    torch.save(data, part)
    part.replace(path)


def load(path: Path) -> NirvanaNetwork:
    """The network of a checkpoint."""
    network = NirvanaNetwork()
    network.load_state_dict(torch.load(path, weights_only=True)["network"])
    return network


def train(
    network: NirvanaNetwork,
    clips: Sequence[TrainingClip],
    recipe: Recipe,
    told: Callable[[int, str], None],
) -> int:
    """Train a network in place; returns the number of iterations.

    Every second iteration has a chain of two to four groups, the others two groups; every fourth
    has two groups of one frame. `told` gets the
    number of iterations so far and a line about every minute.
    """
    torch.manual_seed(recipe.seed)
    pairs = Sampler(clips, recipe.crop, recipe.seed)
    long = [clip for clip in clips if clip.chain >= CHAIN]
    chains = Sampler(long, recipe.crop, recipe.seed + 1) if long else None
    lengths = np.random.default_rng(recipe.seed + 2)
    indices = torch.Generator().manual_seed(recipe.seed)
    groups = parameter_groups(network, recipe.rate)
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))
    steps = Steps(network, recipe.compiled)
    network.use_low_precision(True)
    low, high = QUANTISERS
    started = told_at = time.monotonic()
    mean, k = 0.0, 0
    while True:
        # The first iterations compile, and take no time of the training.
        if k <= _UNTIMED:
            started = time.monotonic()
        progress = recipe.progress(k, time.monotonic() - started)
        if progress >= 1:
            return k
        share = _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = group["most"] * share * min(1.0, (k + 1) / _WARM)
        if k % 2 and chains is not None:
            chain = chains.draw(recipe.batch, int(lengths.integers(2, CHAIN + 1)))
        else:
            chain = pairs.draw(recipe.batch, 2, single=k % 4 == 0)
        q = low + (high - low) * torch.rand(recipe.batch, generator=indices)
        losses, key, last = steps.losses(chain, q)
        loss = losses.mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        mean = loss.item() if k == 0 else 0.99 * mean + 0.01 * loss.item()
        k += 1
        now = time.monotonic()
        if now - told_at > _LOG_SECONDS:
            told_at = now
            bits = f"{key.mean().item():.4f} {last.mean().item():.4f}"
            told(
                k,
                f"{now - started:.0f} s, {k} iterations, loss {mean:.4f},"
                f" gradient {float(norm):.2f}, bits {bits}",
            )


@click.group(help=__doc__)
def main() -> None:
    pass


def _clips(folders: Sequence[Path]) -> dict[str, TrainingClip]:
    return {
        path.stem: TrainingClip.load(path)
        for folder in folders
        for path in sorted(folder.glob("*.npz"))
    }


_FOLDER = click.Path(exists=True, path_type=Path, file_okay=False)


@main.command("train")
@click.argument("sets", nargs=-1, required=True, type=_FOLDER)
@click.option("--held-out", "held", type=_FOLDER, multiple=True, help="Sets for measurement only.")
@click.option("--seconds", type=click.FloatRange(min=1))
@click.option("--iterations", type=click.IntRange(min=1), help="In place of --seconds.")
@click.option("--rate", default=1e-3, show_default=True, help="Learning rate.")
@click.option("--batch", default=8, show_default=True, help="Crops of an iteration.")
@click.option("--crop", default=96, show_default=True, help="Luma samples across; 16 divides it.")
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--compile/--no-compile", "compiled", default=True, help="Use torch.compile.")
@click.option(
    "--report", default=900.0, show_default=True, help="Seconds between held-out figures."
)
@click.option("--init", type=click.Path(exists=True, path_type=Path), help="Start from it.")
@click.option("--output", type=click.Path(path_type=Path), required=True)
def train_command(
    sets: tuple[Path, ...],
    held: tuple[Path, ...],
    init: Path | None,
    output: Path,
    threads: int,
    report: float,
    **settings: Any,
) -> None:
    """Train a network on sets, and write a checkpoint every minute and at the end.

    A line of held-out figures has, for a quantiser index, the mean of J = D + lambda R: squared
    error and bits of a luma sample. Then for each clip PSNR, bits of each group, and J.
    """
    recipe = Recipe(**settings)
    if (recipe.seconds is None) == (recipe.iterations is None):
        raise click.UsageError("give one of --seconds and --iterations")
    if recipe.crop % SIDE or recipe.crop < SIDE:
        raise click.UsageError(f"--crop is no multiple of {SIDE}")
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    others = _clips(held)
    clips = [c for c in _clips(sets).values() if min(c.luma.shape[1:]) >= recipe.crop]
    if not clips:
        raise click.UsageError(f"no clip has {recipe.crop} rows and columns")
    long = sum(clip.chain >= CHAIN for clip in clips)
    click.echo(f"{len(clips)} clips, {long} with chains of {CHAIN} groups")
    if init is None:
        network = start_network(Sampler(clips, recipe.crop, recipe.seed), recipe.batch)
    else:
        network = load(init)
    reported = time.monotonic()

    def told(iterations: int, line: str) -> None:
        nonlocal reported
        click.echo(line)
        save(output, network, recipe, iterations)
        if time.monotonic() - reported > report:
            reported = time.monotonic()
            for figures in held_out(network, others, CHAIN):
                click.echo(figures)
            network.use_low_precision(True)

    iterations = train(network, clips, recipe, told)
    save(output, network, recipe, iterations)
    click.echo(f"{iterations} iterations")
    for figures in held_out(network, others, 2 * CHAIN):
        click.echo(figures)


@main.command("export")
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.argument("folder", type=_FOLDER)
def export_command(checkpoint: Path, folder: Path) -> None:
    """Write the table's data files to FOLDER; fails when a sum may leave 32 bits."""
    try:
        weights, biases = integers(load(checkpoint))
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    (folder / "nirvana_weights.bin").write_bytes(weights.astype("<i2").tobytes())
    (folder / "nirvana_biases.bin").write_bytes(biases.astype("<i4").tobytes())
    click.echo(f"{weights.size} weights, {biases.size} biases")


if __name__ == "__main__":
    main()
