"""Training of the network of a group, on batches of patches: distortion plus lambda times bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from nvcodec.encode.sine.lattice import choose_parameters
from nvcodec.encode.sine.network import TrainedNetwork
from nvcodec.encode.sine.patches import GroupPatches
from nvcodec.encode.sine.rate import difference_bits
from nvcodec.model.sine.shape import MAX_BIAS, NetworkShape
from nvcodec.model.sine.weights import GroupWeights

# Share of a group's iterations that run in floats: of a fresh network, and of one that continues
# from the group before. Floats come first, as straight-through gradients converge less well.
_FRESH_FLOAT_SHARE = 0.3
_FLOAT_SHARE = 0.5
_RAMP = 20
_LEAST_RATE = 0.15
# Weight of the newest batch in the running mean of the error.
_ERROR_MEMORY = 0.05
_PROBES = 4
_PROBE_PATCHES = 512


@dataclass(frozen=True)
class Progress:
    """State of a group's training after an iteration.

    `error` is the mean squared error per sample of its batch, `bits` the estimate for the group.
    """

    iteration: int
    iterations: int
    error: float
    bits: float


Report = Callable[[Progress], None]


def learning_rates(shape: NetworkShape, network: TrainedNetwork) -> list[float]:
    """Peak learning rates of Adam for each tensor, in its real units.

    For matrices whose columns are sine units, they fall with the number of columns, because a step
    changes an output by the sum over all columns.
    """
    rates = [0.001 * network.spread[0][0], 0.002]
    rates += [0.34 / shape.width, 0.002] * (shape.depth - 1)
    rates += [2.2 / shape.width, 0.02, 0.01, 0.01, 0.3, 0.3]
    return rates


def curvature(
    network: TrainedNetwork, patches: GroupPatches, generator: torch.Generator
) -> list[float]:
    """Mean over each tensor of half the second derivative of the group's squared error.

    This is the Gauss-Newton approximation, estimated by random signs: the expected squared gradient
    of a randomly signed sum of outputs is the sum of the squared derivatives of all outputs.
    """
    totals = [0.0] * len(network.tensors)
    for _ in range(_PROBES):
        index = torch.randperm(patches.count, generator=generator)[:_PROBE_PATCHES]
        index = index.to(patches.inputs.device)
        inputs, _ = patches.batch(index)
        outputs = network.forward(inputs, patches.frames)
        signs = torch.randint(0, 2, outputs.shape, generator=generator) * 2.0 - 1.0
        probe = (outputs * signs.to(outputs.device)).sum()
        share = patches.count / len(index)
        for k, gradient in enumerate(torch.autograd.grad(probe, network.tensors)):
            totals[k] += float(gradient.square().mean()) * share / _PROBES
    return totals


def fit_lattice(
    network: TrainedNetwork, patches: GroupPatches, weight: float, generator: torch.Generator
) -> None:
    """Set the lattice whose steps minimise distortion plus lambda (`weight`) times bits.

    With curvature h, rounding to a step s costs h * s^2 / 12, and half the step takes one bit more.
    Setting the derivative of the sum to zero gives s^2 = 6 * lambda / (h * ln 2).
    """
    shape = network.shape
    steps = [
        math.sqrt(6 * weight / (math.log(2) * max(h, 1e-12)))
        for h in curvature(network, patches, generator)
    ]
    for number, layer in enumerate(shape.layers):
        matrix, bias = network.tensors[2 * number : 2 * number + 2]
        # Leave room to grow by a third before the integers reach their limits (spec 4.4, 4.5).
        least = float(matrix.detach().abs().max()) / (0.75 * layer.max_weight)
        if number > 0:
            sums = float(matrix.detach().abs().sum(dim=1).max()) * layer.max_input
            least = max(least, sums / (0.75 * layer.bound))
        steps[2 * number] = max(steps[2 * number], least)
        largest = float(bias.detach().abs().max()) / (0.5 * MAX_BIAS)
        steps[2 * number + 1] = max(steps[2 * number + 1], largest)
    network.fix_lattice(
        choose_parameters(shape, steps[::2], steps[1::2], network.spread[0], network.spread[1])
    )


def _peak_share(
    network: TrainedNetwork, patches: GroupPatches, generator: torch.Generator
) -> float:
    """Factor on the peak learning rates for a network that continues from the group before.

    If the picture has not changed, full rates would first undo what was learned, and that costs
    bits. If it has changed, small rates would not adapt far enough.
    """
    index = torch.randperm(patches.count, generator=generator)[:_PROBE_PATCHES]
    index = index.to(patches.inputs.device)
    inputs, targets = patches.batch(index)
    network.quantised = True
    with torch.no_grad():
        outputs = network.forward(inputs, patches.frames)
        error = (outputs - targets).square().mean().item()
    growth = math.sqrt(error / max(network.error.item(), 1e-3))
    return min(1.0, _LEAST_RATE * max(1.0, growth))


def train_group(
    network: TrainedNetwork,
    patches: GroupPatches,
    previous: GroupWeights | None,
    weight: float,
    iterations: int,
    batch: int,
    seed: int,
    report: Report,
) -> GroupWeights:
    """Train `network` in place on one group and return its integer weights.

    `previous` are the weights that the coded differences refer to; None in a key group, where they
    refer to the defaults. A network without a lattice gets one after its iterations in floats.
    `weight` is lambda (settings.rate_weight). `batch` is the number of patches in a step, 0 for
    all. The random choice of patches depends on `seed` only.
    """
    device = patches.inputs.device
    generator = torch.Generator().manual_seed(seed)
    fresh = network.parameters is None
    warm = round((_FRESH_FLOAT_SHARE if fresh else _FLOAT_SHARE) * iterations)
    peak = 1.0 if fresh else _peak_share(network, patches, generator)
    network.quantised = False
    rates = learning_rates(network.shape, network)
    optimiser = torch.optim.Adam(
        [{"params": [tensor], "lr": 0.0} for tensor in network.tensors], betas=(0.9, 0.99)
    )
    start: list[torch.Tensor] = []
    for iteration in range(iterations):
        if iteration == warm:
            if fresh:
                fit_lattice(network, patches, weight, generator)
            network.quantised = True
        if not start and network.parameters is not None:
            start = network.start(previous)
        decay = 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * iteration / iterations))
        ramp = min(1.0, (iteration + 1) / _RAMP)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * peak * ramp * decay
        index: torch.Tensor | slice = slice(None)
        if 0 < batch < patches.count:
            index = torch.randint(0, patches.count, (batch,), generator=generator)
            index = torch.unique(index).to(device)
        inputs, targets = patches.batch(index)
        outputs = network.forward(inputs, patches.frames)
        error = (outputs - targets).square().mean()
        loss = 1.5 * error
        bits = torch.zeros(())
        if start:
            bits = difference_bits(network.tensors, network.steps, start)
            loss = loss + (weight / patches.samples) * bits
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        network.error.lerp_(error.detach(), _ERROR_MEMORY)
        if iteration % 10 == 9 or iteration == iterations - 1:
            report(Progress(iteration + 1, iterations, error.item(), bits.item()))
    return network.integers()
