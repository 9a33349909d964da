"""A differentiable estimate of the bits of differences of weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch

# Smallest scale of the density. Without it, a tensor that starts without differences would make any
# difference so expensive that training could never introduce one.
_LEAST_SCALE = 0.15


def difference_bits(
    tensors: Sequence[torch.Tensor], steps: Sequence[float], start: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Bits (a scalar) of the differences between `tensors`, in units of `steps`, and `start`.

    Models each tensor by a Laplace density integrated over a step. Its scale comes from the rounded
    differences; it is evaluated at the unrounded ones, so that the gradient is smooth.
    """
    total = torch.zeros((), device=tensors[0].device)
    for tensor, step, base in zip(tensors, steps, start, strict=True):
        difference = (tensor / step - base).abs()
        scale = difference.detach().round().mean().clamp_min(_LEAST_SCALE)
        # Clamped: torch.where would not take an overflow here, but pass on its gradient as NaN.
        near = difference.clamp_max(0.5)
        inside = 1 - 0.5 * (torch.exp((near - 0.5) / scale) + torch.exp((-near - 0.5) / scale))
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
