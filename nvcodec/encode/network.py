"""The siren network in floats for training: real-valued weights, quantised in the forward pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from nvcodec.encode.lattice import conform, real_steps
from nvcodec.model.shape import NetworkShape
from nvcodec.model.siren import time_code
from nvcodec.model.weights import GroupWeights, LayerParameters, default_tensor


class _Round(torch.autograd.Function):
    """Rounding whose gradient is that of the identity (straight-through)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return x.round()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient


def straight_through_round(x: torch.Tensor) -> torch.Tensor:
    """Round to integers; gradients pass unchanged."""
    rounded: torch.Tensor = _Round.apply(x)  # type: ignore[no-untyped-call]
    return rounded


def start_spread(
    shape: NetworkShape, patches: tuple[int, int]
) -> tuple[list[float], list[float]]:
    """Half-widths of the uniform start of each layer's weights and biases, in real units.

    Sine layers follow SIREN (arXiv 2006.09661) with the phase in turns; the first layer's
    frequencies go up to a turn in four patches of the longer axis.
    """
    weights = [0.25 * max(patches)]
    biases = [0.5]
    for _ in range(shape.depth - 1):
        weights.append(math.sqrt(6.0 / shape.width) / (2 * math.pi))
        biases.append(0.1)
    if shape.head_channels:
        weights.append(0.3 * math.sqrt(6.0 / shape.width))
        weights.append(math.sqrt(3.0 / (9 * shape.stem_channels)))
        weights.append(20 * math.sqrt(3.0 / (9 * shape.head_channels)))
        biases += [0.0, 0.0, 0.0]
    else:
        weights.append(0.0)
        biases.append(0.0)
    return weights, biases


class TrainedNetwork:
    """Weights in training: `tensors` (weights and bias of each layer in turn) in real units.

    While `quantised` is set, every tensor is rounded to the lattice of `parameters` in the forward
    pass, as are the outputs of sine layers; otherwise the network runs in floats.
    """

    def __init__(
        self, shape: NetworkShape, patches: tuple[int, int], device: torch.device
    ) -> None:
        self.shape = shape
        self.parameters: tuple[LayerParameters, ...] | None = None
        self.quantised = False
        self._device = device
        self.spread = start_spread(shape, patches)
        self.tensors: list[torch.Tensor] = []
        # The fine grid stands for the continuum: spec 4.3's defaults of any bound follow it.
        grid = 32767
        for number, layer in enumerate(shape.layers):
            for part, size in enumerate(((layer.rows, layer.columns), (layer.rows,))):
                unit = default_tensor(2 * number + part, size, grid).astype(np.float32) / grid
                self.tensors.append(torch.from_numpy(unit * self.spread[part][number]).to(device))
        self.steps: list[float] = []
        codes = [
            [time_code(t, c) / 256.0 for c in range(shape.stem_channels)]
            for t in range(shape.group_frames)
        ]
        self._codes = torch.tensor(codes, device=device)[..., None, None]
        for tensor in self.tensors:
            tensor.requires_grad_()

    def fix_lattice(self, parameters: tuple[LayerParameters, ...]) -> None:
        """Make the lattice of these parameters the one to quantise on."""
        self.parameters = parameters
        self.steps = [s for pair in real_steps(self.shape, parameters) for s in pair]

    def load(self, weights: GroupWeights) -> None:
        """Continue from integer weights."""
        self.fix_lattice(weights.parameters)
        for tensor, integers, step in zip(self.tensors, weights.tensors, self.steps, strict=True):
            tensor.data.copy_(torch.from_numpy(integers).to(self._device) * step)

    def integers(self) -> GroupWeights:
        """The quantised weights, moved where needed to what spec 4.4 and 4.5 allow."""
        assert self.parameters is not None
        tensors = tuple(
            (tensor.detach() / step).round().to(torch.int32).cpu().numpy()
            for tensor, step in zip(self.tensors, self.steps, strict=True)
        )
        return conform(GroupWeights(self.shape, self.parameters, tensors))

    def _tensor(self, index: int) -> torch.Tensor:
        if not self.quantised:
            return self.tensors[index]
        step = self.steps[index]
        return straight_through_round(self.tensors[index] / step) * step

    def forward(self, inputs: torch.Tensor, frames: int) -> torch.Tensor:
        """Samples minus 128 of patches: (n, 2) inputs to (n, frames, 6, G, G), as GroupPatches."""
        shape, half = self.shape, self.shape.half
        x = inputs
        for number in range(shape.depth):
            phase = functional.linear(x, self._tensor(2 * number), self._tensor(2 * number + 1))
            x = torch.sin((2 * math.pi) * phase)
            if self.quantised:
                x = straight_through_round(x * 127.0) / 127.0
        number = shape.depth
        weight, bias = self._tensor(2 * number), self._tensor(2 * number + 1)
        if not shape.head_channels:
            rows = frames * 6 * half * half
            return functional.linear(x, weight[:rows], bias[:rows]).reshape(
                -1, frames, 6, half, half
            )
        feature = functional.linear(x, weight, bias)
        feature = feature.reshape(-1, shape.stem_channels, half, half)
        return self._upsample(feature, frames)

    def _upsample(self, feature: torch.Tensor, frames: int) -> torch.Tensor:
        shape = self.shape
        first = 2 * (shape.depth + 1)
        t, c, h = shape.group_frames, shape.stem_channels, shape.head_channels
        weights1 = self._tensor(first).reshape(t, 4 * h, c, 3, 3)
        bias1 = self._tensor(first + 1).reshape(t, 4 * h)
        weights2 = self._tensor(first + 2).reshape(t, 3, h, 3, 3)
        bias2 = self._tensor(first + 3).reshape(t, 3)
        outputs = []
        # One convolution a frame: grouped ones are several times slower in training.
        for k in range(frames):
            x = functional.conv2d(feature + self._codes[k], weights1[k], bias1[k], padding=1)
            x = functional.gelu(functional.pixel_shuffle(x, 2))
            x = functional.conv2d(x, weights2[k], bias2[k], padding=1)
            luma = functional.pixel_unshuffle(x[:, :1], 2)
            outputs.append(torch.cat([luma, functional.avg_pool2d(x[:, 1:], 2)], dim=1))
        return torch.stack(outputs, dim=1)
