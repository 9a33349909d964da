"""The sine network in floats for training: real-valued weights, quantised in the forward pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from nvcodec.encode.sine.lattice import conform, real_steps
from nvcodec.model.sine.layers import time_code
from nvcodec.model.sine.shape import PHASES, PLANES, NetworkShape
from nvcodec.model.sine.weights import (
    GroupWeights,
    LayerParameters,
    default_tensor,
    default_weights,
)


class _Round(torch.autograd.Function):
    """Rounding whose gradient is that of the identity (straight-through)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


def straight_through_round(x: torch.Tensor) -> torch.Tensor:
    """Round to integers; gradients pass unchanged."""
    rounded: torch.Tensor = _Round.apply(x)  # type: ignore[no-untyped-call]
    return rounded


# Maps and hidden values are 12-bit integers in units of 1/256 (spec 5.3, 5.4).
_RANGE = 2047 / 256

_SHIFTS = [(ky, kx) for ky in (-1, 0, 1) for kx in (-1, 0, 1)]


def _window(shift: int, size: int) -> tuple[slice, slice]:
    """The y for which y and y + shift are both in 0..size-1: slices of y, and of y + shift."""
    return slice(max(0, -shift), size - max(0, shift)), slice(max(0, shift), size + min(0, shift))


def _spread(x: torch.Tensor, mirrored: bool = False) -> torch.Tensor:
    """(..., G, G, n) to (9, ..., G, G, n): entry k at (y, x) is x at (y, x) + shift k, or 0.

    With `mirrored` all shifts are reversed; shift 8 - k is the opposite of shift k.
    """
    size = x.shape[-2]
    result = x.new_zeros((9, *x.shape))
    for k, (dy, dx) in enumerate(_SHIFTS):
        (ys, yt), (xs, xt) = _window(dy, size), _window(dx, size)
        result[8 - k if mirrored else k][..., ys, xs, :] = x[..., yt, xt, :]
    return result


def _gather(x: torch.Tensor, mirrored: bool = False) -> torch.Tensor:
    """(9, ..., G, G, n) to (..., G, G, n): the sum over k of entry k at (y, x) + shift k.

    `mirrored` as in `_spread`.
    """
    size = x.shape[-2]
    result = x[4].clone()
    for k, (dy, dx) in enumerate(_SHIFTS):
        if k != 4:
            (ys, yt), (xs, xt) = _window(dy, size), _window(dx, size)
            result[..., ys, xs, :] += x[8 - k if mirrored else k][..., yt, xt, :]
    return result


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return _spread(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _gather(gradient, mirrored=True)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return _gather(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _spread(gradient, mirrored=True)


def _inside(half: int) -> torch.Tensor:
    """(9, G, G): 1 if (y, x) + shift k is inside the patch, else 0."""
    return _spread(torch.ones(half, half, 1))[..., 0]


def _fold() -> torch.Tensor:
    """The second convolution as one at half resolution: (shift, output, input phase, plane, tap).

    Outputs are the four luma phases, Cb and Cr. Cb and Cr are means over the four phases. A tap at
    full resolution reads one input phase at one shift.
    """
    fold = torch.zeros(9, PLANES, PHASES, 3, 9)
    for phase in range(PHASES):
        for tap, (ky, kx) in enumerate(_SHIFTS):
            y, x = phase // 2 + ky, phase % 2 + kx
            shift = 3 * (y // 2 + 1) + (x // 2 + 1)
            source = 2 * (y % 2) + x % 2
            fold[shift, phase, source, 0, tap] += 1.0
            fold[shift, PHASES, source, 1, tap] += 1 / PHASES
            fold[shift, PHASES + 1, source, 2, tap] += 1 / PHASES
    return fold


def start_spread(shape: NetworkShape, patches: tuple[int, int]) -> tuple[list[float], list[float]]:
    """Half-widths of the uniform initial weights and biases of each layer, in real units.

    Sine layers follow SIREN (arXiv 2006.09661) with the phase in turns; the first layer's
    frequencies go up to a turn in two patches of the longer axis.
    """
    weights = [0.25 * max(patches)]
    biases = [0.5]
    for _ in range(shape.depth - 1):
        weights.append(math.sqrt(6.0 / shape.width) / (2 * math.pi))
        biases.append(0.1)
    weights.append(0.3 * math.sqrt(6.0 / shape.width))
    weights.append(math.sqrt(3.0 / (9 * shape.stem_channels)))
    weights.append(20 * math.sqrt(3.0 / (9 * shape.head_channels)))
    biases += [0.0, 0.0, 0.0]
    return weights, biases


class TrainedNetwork:
    """Weights in training.

    `tensors` are the weights and the bias of each layer in turn, in real units.

    If `quantised` is set, the forward pass rounds every tensor to the lattice of `parameters`, and
    also the phases and outputs of sine layers. Otherwise the network runs in floats. `error` is the
    running mean of the squared error in training (a scalar tensor).
    """

    def __init__(self, shape: NetworkShape, patches: tuple[int, int], device: torch.device) -> None:
        self.shape = shape
        self.parameters: tuple[LayerParameters, ...] | None = None
        self.quantised = False
        self.error = torch.zeros((), device=device)
        self._device = device
        self.spread = start_spread(shape, patches)
        self.tensors: list[torch.Tensor] = []
        # The grid is fine enough to be close to the default weights (spec 4.3) of any bound.
        grid = 32767
        for number, layer in enumerate(shape.layers):
            for part, size in enumerate(((layer.rows, layer.columns), (layer.rows,))):
                unit = default_tensor(2 * number + part, size, grid).astype(np.float32) / grid
                spread = self.spread[part][number]
                self.tensors.append(torch.from_numpy(unit * spread).to(device))
        self.steps: list[float] = []
        codes = [
            [time_code(t, c) / 256.0 for c in range(shape.stem_channels)]
            for t in range(shape.group_frames)
        ]
        self._codes = torch.tensor(codes, device=device)
        self._inside = _inside(shape.half).to(device)
        self._fold = _fold().to(device)
        for tensor in self.tensors:
            tensor.requires_grad_()

    def fix_lattice(self, parameters: tuple[LayerParameters, ...]) -> None:
        """Set the lattice to quantise on."""
        self.parameters = parameters
        self.steps = [s for pair in real_steps(self.shape, parameters) for s in pair]

    def load(self, weights: GroupWeights) -> None:
        """Continue from integer weights."""
        self.fix_lattice(weights.parameters)
        for tensor, integers, step in zip(self.tensors, weights.tensors, self.steps, strict=True):
            tensor.data.copy_(torch.from_numpy(integers).to(self._device) * step)

    def start(self, previous: GroupWeights | None) -> list[torch.Tensor]:
        """Integers that coded differences refer to, as `tensors`; the defaults for None."""
        assert self.parameters is not None
        integers = previous.tensors if previous else default_weights(self.shape, self.parameters)
        return [torch.from_numpy(base).to(self._device).float() for base in integers]

    def integers(self) -> GroupWeights:
        """The quantised weights, changed where spec 4.4 or 4.5 would not allow them."""
        assert self.parameters is not None
        tensors = [
            (tensor.detach() / step).round().to(torch.int32).cpu().numpy()
            for tensor, step in zip(self.tensors, self.steps, strict=True)
        ]
        return conform(GroupWeights(self.shape, self.parameters, tuple(tensors)))

    def _tensor(self, index: int) -> torch.Tensor:
        tensor = self.tensors[index]
        if not self.quantised:
            return tensor
        step = self.steps[index]
        return straight_through_round(tensor / step) * step

    def forward(self, inputs: torch.Tensor, frames: int) -> torch.Tensor:
        """Predict patches: from inputs (2, n) to samples as `GroupPatches.batch` gives them."""
        shape, half = self.shape, self.shape.half
        x = inputs
        for number in range(shape.depth + 1):
            weight, bias = self._tensor(2 * number), self._tensor(2 * number + 1)
            x = torch.addmm(bias[:, None], weight, x)
            if number < shape.depth:
                if self.quantised:
                    # The table of spec 5.2: 1024 phases, 127 steps.
                    x = straight_through_round(x * 1024.0) / 1024.0
                x = torch.sin((2 * math.pi) * x)
                if self.quantised:
                    x = straight_through_round(x * 127.0) / 127.0
        return self._upsample(x.reshape(shape.stem_channels, half, half, -1), frames)

    def _upsample(self, maps: torch.Tensor, frames: int) -> torch.Tensor:
        """Upsampling blocks (spec 5.4) of all frames as matrix products: (C, G, G, n) to targets.

        The first convolution is one product with the shifted maps, for all frames. The time
        code is constant over a patch, so it adds a map that is the same for all patches. The second
        convolution stays at half resolution: products for all shifts, then their shifted sum. With
        so few channels, both are several times faster than convolutions of the library.
        """
        shape, half = self.shape, self.shape.half
        t, c, h = shape.group_frames, shape.stem_channels, shape.head_channels
        first = 2 * (shape.depth + 1)
        weights1 = self._tensor(first).reshape(t, 4 * h, c, 9)[:frames]
        bias1 = self._tensor(first + 1).reshape(t, 4 * h, 1, 1)[:frames]
        weights2 = self._tensor(first + 2).reshape(t, 3, h, 9)[:frames]
        bias2 = self._tensor(first + 3).reshape(t, 3)[:frames]

        shifted = _Spread.apply(maps.clamp(-_RANGE, _RANGE)).reshape(9 * c, -1)  # type: ignore[no-untyped-call]
        matrix = weights1.permute(0, 1, 3, 2).reshape(frames * 4 * h, 9 * c)
        codes = torch.einsum("tock,tc,kyx->toyx", weights1, self._codes[:frames], self._inside)
        hidden = (matrix @ shifted).reshape(frames, 4 * h, half, half, -1)
        hidden = (hidden + (codes + bias1)[..., None]).clamp(-_RANGE, _RANGE)
        hidden = functional.gelu(hidden)

        taps = torch.einsum("soqpk,tphk->tsohq", self._fold, weights2)
        products = taps.reshape(frames, 9 * PLANES, 4 * h) @ hidden.reshape(frames, 4 * h, -1)
        products = products.reshape(frames, 9, PLANES, half, half, -1).transpose(0, 1)
        samples: torch.Tensor = _Gather.apply(products)  # type: ignore[no-untyped-call]
        planes = bias2[:, [*[0] * PHASES, 1, 2]]
        return samples + planes[..., None, None, None]
