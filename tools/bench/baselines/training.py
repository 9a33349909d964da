"""Training of a baseline for a given time towards a given number of bytes."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable

import torch
from torch.func import functional_call

from nvcodec.encode.sine.network import straight_through_round
from tools.bench.baselines import coding
from tools.bench.baselines.networks import Network, fitting
from tools.bench.baselines.samples import Samples

# Shares of the time: when the learning rate is at its peak, and when weights begin to be rounded to
# the steps that they are coded with.
_RAMP = 0.05
_FLOAT = 0.7
_PROBES = 8


def seconds() -> float:
    """CPU time of this process and the child processes it has waited for."""
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + of_children.ru_utime + of_children.ru_stime


def train(
    kind: type[Network],
    samples: Samples,
    target: int,
    budget: float,
    report: Callable[[float, float], None] = lambda share, error: None,
) -> bytes:
    """Train for `budget` seconds of CPU time; returns a network in about `target` bytes.

    Adam on the mean squared error of all samples, with a short warm-up and a cosine decay of the
    learning rate. The first part is in floats. Then each tensor gets the step that it is coded
    with, and training continues through the rounding with straight-through gradients. `report` is
    called from time to time with the share of the time and the error.
    """
    started = seconds()
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    network = fitting(kind, samples.size, len(samples.pictures), target)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.0)
    steps: list[float] = []
    iteration = 0
    while (share := (seconds() - started) / budget) < 1:
        if share >= _FLOAT and not steps:
            steps = _steps(network, samples, target, generator)
        for group in optimiser.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * share))
            group["lr"] = network.peak_rate * min(1.0, share / _RAMP) * cosine
        tensors = dict(network.named_parameters())
        if steps:
            tensors = {
                name: straight_through_round(tensor / step) * step
                for (name, tensor), step in zip(tensors.items(), steps, strict=True)
            }
        predicted, true = functional_call(network, tensors, (samples, generator))
        error = (predicted - true).square().mean()
        optimiser.zero_grad(set_to_none=True)
        error.backward()
        optimiser.step()
        if iteration % 50 == 0:
            report(share, error.item())
        iteration += 1
    if not steps:
        steps = _steps(network, samples, target, generator)
    return coding.encode(network, steps)


def _steps(
    network: Network, samples: Samples, target: int, generator: torch.Generator
) -> list[float]:
    """Steps for the present weights; curvatures are from random sign probes, as in our encoder."""
    totals = [0.0] * len(list(network.parameters()))
    for _ in range(_PROBES):
        predicted, _ = network(samples, generator)
        signs = 2.0 * torch.randint(0, 2, predicted.shape, generator=generator) - 1.0
        gradients = torch.autograd.grad((predicted * signs).sum(), list(network.parameters()))
        for k, gradient in enumerate(gradients):
            totals[k] += float(gradient.square().mean())
    return coding.fit(network, totals, target)
