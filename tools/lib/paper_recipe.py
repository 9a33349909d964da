"""The training recipe of NIRVANA's authors (arXiv 2212.14593) in our format, instead of our own.

Like `nvcodec.encode.sine.train.train_group`, it takes a network, a group's patches and the
weights before it, and gives integer weights.

As theirs: weights are rounded from the first iteration, with straight-through gradients. Every
iteration takes every patch. Adam has constant rates. The loss is the mean squared error of samples
in 0..1 plus `BIT_PRICE` times the bits per weight. The weights of the iteration with the smallest
error are kept. Different, because the result must be a file of our format:

* Their quantiser learns a scale for each tensor and group. Ours has a lattice that is constant from
  one key group to the next; here it is fixed at the start, as fine as `Lattice` says.
* They keep convolutions and biases in floats. Our format stores every parameter, so these have a
  lattice too, and their bits count in the loss.
* Bits are those of our Laplace density at unrounded differences, instead of a learned density at
  differences with uniform noise.
* Networks start from our defaults, which, like theirs, follow SIREN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch

from nvcodec.encode.sine import segment
from nvcodec.encode.sine.lattice import choose_parameters
from nvcodec.encode.sine.network import TrainedNetwork
from nvcodec.encode.sine.patches import GroupPatches
from nvcodec.encode.sine.rate import difference_bits
from nvcodec.encode.sine.settings import PRESETS, Preset
from nvcodec.encode.sine.train import Progress, Report
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights

BIT_PRICE = 1e-3
"""Price of one bit per weight, in squared error of samples in 0..1."""

# Adam's rates: for matrices in steps of their lattice, for the rest in the authors' real units.
_LATENT_RATE = 2e-2
_REAL_RATE = 2e-4
# Their phases are 30 times the sums of sine layers, in radians; ours are in turns.
_TURNS = 30 / (2 * math.pi)
_LEVELS = 255.0


@dataclass(frozen=True)
class Lattice:
    """How fine weights are quantised.

    matrix: steps in the half-width of the uniform initial distribution of the matrices before the
        convolutions.
    other: size of a step of convolutions and biases, in the authors' real units.

    The defaults gave the smallest loss of the authors among the values tried. For `matrix`: 1, 2,
    4, 8 and 16 with 2000+250 iterations, 2 and 4 with 8000+1000. For `other`: 6e-4, 2.5e-3 and
    1e-2. The test was two groups of carphone at 88x72, width 48, four channels in stem and head.
    """

    matrix: float = 2.0
    other: float = 2.5e-3


def rate_weight(shape: NetworkShape, samples: int) -> float:
    """The lambda (settings.rate_weight) of the loss, for groups of `samples` luma samples."""
    return 1.5 * _LEVELS**2 * BIT_PRICE * samples / shape.weights


def _real_units(shape: NetworkShape) -> list[tuple[float, float]]:
    """The authors' unit of (matrix, bias) of each layer, in our units."""
    units = [(_TURNS, _TURNS)] * shape.depth
    return [*units, (1.0, 1.0), (1.0, 1.0), (_LEVELS, _LEVELS)]


def fix_lattice(network: TrainedNetwork, lattice: Lattice) -> None:
    """Fix the lattice of a network at its start, with room for rows to grow."""
    shape = network.shape
    steps, bias_steps = [], []
    for number, (layer, (unit, bias_unit)) in enumerate(
        zip(shape.layers, _real_units(shape), strict=True)
    ):
        matrix = network.tensors[2 * number].detach().abs()
        step = network.spread[0][number] / lattice.matrix
        if number > shape.depth:
            step = lattice.other * unit
        least = float(matrix.max()) / (0.5 * layer.max_weight)
        if number > 0:
            sums = float(matrix.sum(dim=1).max()) * layer.max_input
            least = max(least, sums / (0.5 * layer.bound))
        steps.append(max(step, least))
        bias_steps.append(lattice.other * bias_unit)
    network.fix_lattice(choose_parameters(shape, steps, bias_steps, *network.spread))


def _rates(network: TrainedNetwork) -> list[float]:
    """Adam's rate for each tensor, in our real units."""
    rates = [_REAL_RATE * unit for pair in _real_units(network.shape) for unit in pair]
    for number in range(0, 2 * network.shape.depth + 2, 2):
        rates[number] = _LATENT_RATE * network.steps[number]
    return rates


def train_group(
    network: TrainedNetwork,
    patches: GroupPatches,
    previous: GroupWeights | None,
    weight: float,
    iterations: int,
    batch: int,
    seed: int,
    report: Report,
    *,
    lattice: Lattice,
) -> GroupWeights:
    """Train `network` in place on one group.

    Like `train.train_group`, with two differences: the price of a bit is the authors', so `weight`
    is not used; `batch` must be 0, and nothing is random.
    """
    if batch:
        raise ValueError(f"the paper's recipe has no batches of {batch} patches")
    if network.parameters is None:
        fix_lattice(network, lattice)
    assert network.parameters is not None
    network.quantised = True
    start = network.start(previous)
    optimiser = torch.optim.Adam(
        [
            {"params": [tensor], "lr": rate}
            for tensor, rate in zip(network.tensors, _rates(network), strict=True)
        ]
    )
    inputs, targets = patches.batch(slice(None))
    price = rate_weight(network.shape, patches.samples) / patches.samples
    least = math.inf
    best = [tensor.detach().clone() for tensor in network.tensors]
    for iteration in range(iterations):
        error = (network.forward(inputs, patches.frames) - targets).square().mean()
        if error.item() < least:
            least = error.item()
            for kept, tensor in zip(best, network.tensors, strict=True):
                kept.copy_(tensor.detach())
        bits = difference_bits(network.tensors, network.steps, start)
        optimiser.zero_grad(set_to_none=True)
        (1.5 * error + price * bits).backward()
        optimiser.step()
        if iteration % 10 == 9 or iteration == iterations - 1:
            report(Progress(iteration + 1, iterations, error.item(), bits.item()))
    for kept, tensor in zip(best, network.tensors, strict=True):
        tensor.data.copy_(kept)
    return network.integers()


@contextmanager
def paper_recipe(
    key_iterations: int, iterations: int, lattice: Lattice | None = None
) -> Iterator[None]:
    """While the block runs, encodes of this process (one job, preset "paper") use this recipe.

    The only place that patches the recipe into the encoder.
    """
    trains = partial(train_group, lattice=lattice or Lattice())
    preset = Preset(key_iterations, iterations, 0)
    with (
        patch.object(segment, "train_group", trains),
        patch.dict(PRESETS, {"paper": preset}),
    ):
        yield
