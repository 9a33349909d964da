"""Train the default weights of the fusion network (spec 9.2, spec/tables/fusion.txt).

    python -m tools.train.fusion_data TRAIN CLIP... --crf 19,24,29,34
    python -m tools.train.fusion_data HELD CLIP... --crf 20,25,30,35
    python -m tools.train.theta0 TRAIN --held-out HELD --output spec/tables/fusion.txt

Learns from all patches of the folder TRAIN. The squared error of each encode is relative to that
without network, so that all clips and qualities have similar weight. Encodes with a small error
count less, because changes below half a sample value are lost when samples are rounded. Patches are
mirrored and transposed at random. Adam, with a cosine decay of the learning rate. The same seed
gives the same weights on the same machine.

For each held-out clip it prints the gain of the network, in floats as trained and in the integers
of the table: the BD-rate over all planes against encodes without network. Bits of the network are
not counted, as the default weights take none.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.fusion.weights import FusionWeights, weights_to_table
from tools.lib.bd_rate import compare
from tools.lib.fusion_float import (
    LUMA,
    UNIT,
    FloatNetwork,
    Outputs,
    Seen,
    integer_outputs,
    integers,
    seen,
)
from tools.train.fusion_data import HALO, PATCH, Patches

STEPS = torch.from_numpy(STEP.astype(np.float32) / 64)
"""Quantiser steps by index."""

CROP = 16
"""Sites across the part of a patch that a training step takes."""

ROUNDED = 2.0
"""Mean squared error of samples; encodes with a smaller one count less."""

_MIRRORS = ((1, 0, 3, 2, 4, 5), (2, 3, 0, 1, 4, 5), (0, 2, 1, 3, 4, 5))
"""Order of a site's planes after mirroring columns, mirroring rows, and transposing."""

_SAMPLE = 1024
"""Number of patches for the ranges of hidden units."""


@dataclass(frozen=True, eq=False)
class Data:
    """The patches of several encodes, with the probability and the error weight of each."""

    inputs: torch.Tensor
    errors: torch.Tensor
    quantisers: torch.Tensor
    odds: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, encodes: Sequence[Patches], sets: Sequence[int]) -> Data:
        """The patches of some Sets.

        A patch that stands for several that were not kept is drawn more often and counts more.
        """
        odds, weights, chosen = [], [], []
        for patches in encodes:
            chosen.append(np.isin(patches.sets, sets))
            kept = np.maximum(np.bincount(patches.sets, minlength=3), 1)
            stands_for = np.sqrt(patches.counts / kept)[patches.sets[chosen[-1]]]
            odds.append(stands_for)
            weights.append(stands_for / (patches.squares / patches.samples + ROUNDED))
        odd = np.concatenate(odds).astype(np.float32)
        weight = np.concatenate(weights).astype(np.float32) / odd.mean()

        def gathered(name: str) -> torch.Tensor:
            arrays = [getattr(p, name)[c] for p, c in zip(encodes, chosen, strict=True)]
            return torch.from_numpy(np.concatenate(arrays))

        return cls(
            gathered("inputs"),
            gathered("errors"),
            gathered("quantisers"),
            torch.from_numpy(odd),
            torch.from_numpy(weight),
        )

    def sample(self, count: int, seed: int) -> torch.Tensor:
        """Inputs of patches drawn as in training."""
        random = torch.Generator().manual_seed(seed)
        return self.inputs[torch.multinomial(self.odds, count, replacement=True, generator=random)]

    def loss(
        self, network: FloatNetwork, chosen: torch.Tensor, place: tuple[int, int], mirrors: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted squared error of patches with a network, and without.

        It is over CROP x CROP sites at `place` in each patch. Bit k of `mirrors` says whether
        mirror k is applied.
        """
        y, x = (slice(at, at + CROP) for at in place)
        border = HALO - network.halo
        around = (slice(at + border, at + CROP + 2 * HALO - border) for at in place)
        inputs = mirrored(self.inputs[(chosen, slice(None), *around)], mirrors) / UNIT
        steps = STEPS[mirrored(self.quantisers[chosen, :1, y, x], mirrors).int()]
        errors = mirrored(self.errors[chosen, :, y, x], mirrors)[:, :LUMA].float()
        left = errors - network(inputs.contiguous(memory_format=torch.channels_last)) * steps
        weights = self.weights[chosen]
        return (
            (left.square().mean((1, 2, 3)) * weights).mean(),
            (errors.square().mean((1, 2, 3)) * weights).mean(),
        )


def mirrored(patches: torch.Tensor, mirrors: int) -> torch.Tensor:
    """Mirrored patches (n, channels, rows, columns); channels are planes, or one for all planes."""
    for k, planes in enumerate(_MIRRORS):
        if mirrors >> k & 1:
            if patches.shape[1] > 1:
                groups = range(0, patches.shape[1], len(planes))
                patches = patches[:, [group + plane for group in groups for plane in planes]]
            patches = (patches.flip(-1), patches.flip(-2), patches.mT)[k]
    return patches


def train(
    data: Data,
    hidden: Sequence[tuple[int, int]],
    iterations: int,
    *,
    batch: int = 48,
    rate: float = 3e-3,
    seed: int = 0,
    told: Callable[[str], None] = print,
) -> FloatNetwork:
    """A network trained on patches."""
    torch.manual_seed(seed)
    network = FloatNetwork(hidden).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    random = torch.Generator().manual_seed(seed)
    started, through, without = time.process_time(), 0.0, 0.0
    for k in range(iterations):
        optimiser.param_groups[0]["lr"] = rate * (0.5 + 0.5 * math.cos(math.pi * k / iterations))
        chosen = torch.multinomial(data.odds, batch, replacement=True, generator=random)
        optimiser.zero_grad(set_to_none=True)
        y, x = torch.randint(0, PATCH - CROP + 1, (2,), generator=random).tolist()
        mirrors = int(torch.randint(0, 1 << len(_MIRRORS), (), generator=random))
        loss, plain = data.loss(network, chosen, (y, x), mirrors)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        through += float(loss.detach())
        without += float(plain)
        if (k + 1) % 2000 == 0:
            seconds = time.process_time() - started
            gain = 10 * math.log10(without / through)
            told(f"  {k + 1} iterations, {seconds:.0f} CPU-s: {gain:.3f} dB")
            through = without = 0.0
    return network


def encodes(folder: Path) -> dict[str, dict[str, Patches]]:
    """The files of a folder by clip and crf."""
    found: dict[str, dict[str, Patches]] = defaultdict(dict)
    for path in sorted(folder.glob("*.npz")):
        clip, crf = path.stem.rsplit("-", 1)
        found[clip][crf] = Patches.load(path)
    return found


def float_outputs(network: FloatNetwork) -> Outputs:
    """The outputs of a network in floats, as it was trained."""

    def apply(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return network(x / UNIT)

    return apply


def of_patches(outputs: Outputs, halo: int) -> Outputs:
    """The same outputs for inputs with HALO sites around them instead of `halo`."""
    border = HALO - halo

    def apply(x: torch.Tensor) -> torch.Tensor:
        return outputs(x[..., border : x.shape[-2] - border, border : x.shape[-1] - border])

    return apply


def left_over(patches: Patches, outputs: Sequence[Outputs]) -> float:
    """Squared error of an encode with a network for each Set, over that without network.

    Outputs are rounded to samples.
    """
    before = after = 0.0
    for canvas_set, apply in enumerate(outputs):
        (chosen,) = np.nonzero(patches.sets == canvas_set)
        if not chosen.size:
            continue
        scale = patches.counts[canvas_set] / chosen.size
        for part in np.array_split(chosen, -(-chosen.size // 64)):
            errors = torch.from_numpy(patches.errors[part]).float()
            steps = STEPS[torch.from_numpy(patches.quantisers[part, :1]).int()]
            before += scale * float(errors.square().sum())
            errors[:, :LUMA] -= (apply(torch.from_numpy(patches.inputs[part])) * steps).round()
            after += scale * float(errors.square().sum())
    return after / before


def worth(clip: dict[str, Patches], outputs: Sequence[Outputs]) -> tuple[float, list[float]]:
    """BD-rate of a clip in percent, and the gain in dB of each encode."""
    without, through, gains = [], [], []
    for patches in clip.values():
        quality = -10 * math.log10(patches.squares / patches.samples)
        gains.append(-10 * math.log10(left_over(patches, outputs)))
        without.append((float(patches.bytes), quality))
        through.append((float(patches.bytes), quality + gains[-1]))
    rate = compare(without, through).bd_rate
    return math.nan if rate is None else rate, gains


def report(
    held: dict[str, dict[str, Patches]], outputs: Sequence[Outputs], told: Callable[[str], None]
) -> float:
    """Report the gain of the networks of the three Sets on clips; returns the mean."""
    rates = []
    for clip, files in held.items():
        rate, gains = worth(files, outputs)
        rates.append(rate)
        told(f"  {clip}: {rate:+.2f} %, dB {' '.join(f'{gain:.2f}' for gain in gains)}")
    mean = float(np.mean(rates))
    told(f"  mean of {len(rates)} clips: {mean:+.2f} %")
    return mean


def parse_hidden(text: str) -> list[tuple[int, int]]:
    """Parse layers such as "1x16,3x14": kernel and units."""
    layers = []
    for part in text.split(","):
        kernel, units = part.split("x")
        layers.append((int(kernel), int(units)))
    return layers


def write_table(path: Path, weights: FusionWeights) -> None:
    """Write the table of the spec."""
    head = "# default weights of the fusion network (spec 9.2)"
    lines = [" ".join(map(str, line)) for line in weights_to_table(weights)]
    path.write_text("\n".join([head, *lines]) + "\n", encoding="ascii")


@click.command(help=__doc__)
@click.argument("training", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.option("--held-out", type=click.Path(exists=True, path_type=Path), multiple=True)
@click.option("--hidden", default="1x24,3x24,3x16", show_default=True)
@click.option("--networks", default="0,1,1", show_default=True, help="Network of each Set.")
@click.option(
    "--iterations", default="20000,50000", show_default=True, help="Iterations of each network."
)
@click.option("--seed", default=0, show_default=True)
@click.option("--difference-shift", default=6, show_default=True)
@click.option("--save", type=click.Path(path_type=Path), help="File for the trained floats.")
@click.option("--output", type=click.Path(path_type=Path), help="File for the table.")
def main(
    training: Path,
    held_out: tuple[Path, ...],
    hidden: str,
    networks: str,
    iterations: str,
    seed: int,
    difference_shift: int,
    save: Path | None,
    output: Path | None,
) -> None:
    torch.set_num_threads(1)
    a, b, c = map(int, networks.split(","))
    counts = [int(n) for n in iterations.split(",")]
    files = [patches for clip in encodes(training).values() for patches in clip.values()]
    trained: list[FloatNetwork] = []
    outputs: list[list[Seen]] = []
    for number in range(max(a, b, c) + 1):
        sets = [s for s, network in enumerate((a, b, c)) if network == number]
        data = Data.of(files, sets)
        click.echo(f"network {number}: Sets {sets}, {len(data.weights)} patches, hidden {hidden}")
        many = counts[min(number, len(counts) - 1)]
        trained.append(train(data, parse_hidden(hidden), many, seed=seed, told=click.echo))
        outputs.append(seen(trained[-1], data.sample(_SAMPLE, seed)))
        del data
    click.echo(f"{trained[0].products:.0f} products a luma sample")
    if save is not None:
        torch.save([network.state_dict() for network in trained], save)
    weights = integers(trained, (a, b, c), difference_shift, outputs)
    halo = weights.shape.halo
    for folder in held_out:
        clips = encodes(folder)
        for text, made in (
            ("floats", [float_outputs(trained[n]) for n in (a, b, c)]),
            ("integers", [integer_outputs(weights.shape, weights.of_set(s)) for s in range(3)]),
        ):
            click.echo(f"held out in {folder.name}, {text}:")
            report(clips, [of_patches(each, halo) for each in made], click.echo)
    if output is not None:
        write_table(output, weights)


if __name__ == "__main__":
    main()
