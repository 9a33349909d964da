"""A differentiable estimate of the bits that weight differences take."""

from __future__ import annotations

from collections.abc import Sequence

import torch

# Mean magnitude below which the density is not made sharper: a start at no differences at all
# would otherwise cost any difference so much that training could never leave it.
_LEAST_SCALE = 0.15


def difference_bits(
    tensors: Sequence[torch.Tensor], steps: Sequence[float], start: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Bits of real-valued `tensors` on lattices of `steps`, against integers `start` (scalar).

    Each tensor has a Laplace density integrated over a step, its scale taken from the rounded
    differences; the density is evaluated at the unrounded ones, so that its gradient is smooth.
    """
    total = torch.zeros((), device=tensors[0].device)
    for tensor, step, base in zip(tensors, steps, start, strict=True):
        difference = (tensor / step - base).abs()
        scale = difference.detach().round().mean().clamp_min(_LEAST_SCALE)
        inside = 1 - 0.5 * (
            torch.exp((difference - 0.5) / scale) + torch.exp((-difference - 0.5) / scale)
        )
        # Log of the tail's probability, written so that it never underflows.
        width = torch.log(torch.exp(0.5 / scale) - torch.exp(-0.5 / scale)) + torch.log(
            scale.new_tensor(0.5)
        )
        nats = torch.where(
            difference < 0.5,
            -torch.log(inside.clamp_min(1e-12)),
            difference / scale - width,
        )
        total = total + nats.sum()
    return total / 0.6931471805599453
