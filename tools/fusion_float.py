"""The fusion network (spec 9) in floating point, as it is trained, and its integers.

Inputs and outputs of hidden layers are in quantiser steps, as is the output. Nothing is rounded:
weights have 11 to 13 bits after the point, which is measured to cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from nvcodec.model.fusion.weights import (
    HIGH_PASS,
    INPUTS,
    MAX_INPUT,
    PLANES,
    FusionShape,
    FusionWeights,
    HiddenLayer,
    Network,
)

UNIT = 64
"""Units of an input or of a hidden layer's output in a quantiser step."""

OUTPUT_UNIT = 1024
"""Units of the output in a quantiser step."""

LUMA = 4
"""Planes that default weights change: what they learned of chroma on some clips harms others."""

_SLOPE = 1 / 8


class FloatNetwork(nn.Module):
    """One network: hidden layers as (kernel, units), the first one on all inputs."""

    def __init__(self, hidden: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        layers, inputs = [], INPUTS
        for kernel, units in hidden:
            layer = nn.Conv2d(inputs, units, kernel)
            nn.init.kaiming_normal_(layer.weight, _SLOPE)
            nn.init.zeros_(layer.bias)
            layers.append(layer)
            inputs = units
        self.hidden = nn.ModuleList(layers)
        self.last = nn.Conv2d(inputs, LUMA, 1)
        self.high_pass = nn.Conv2d(PLANES, LUMA, 3, bias=False)
        self.differences = nn.Conv2d(INPUTS - PLANES, LUMA, 1, bias=False)
        for output in (self.last, self.high_pass, self.differences):
            nn.init.zeros_(output.weight)
        nn.init.zeros_(self.last.bias)
        self.halo = max(1, sum(kernel == 3 for kernel, _ in hidden))

    @property
    def products(self) -> float:
        """Products for each luma sample."""
        return sum(p.numel() for name, p in self.named_parameters() if "weight" in name) / 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs in steps, (n, LUMA, rows, columns), of inputs with `halo` sites around them."""
        h = x
        for layer in self.hidden:
            h = nn.functional.leaky_relu(layer(h), _SLOPE).clamp(max=MAX_INPUT / UNIT)
        rows = x.shape[-2] - 2 * self.halo
        out = self.last(_inner(h, rows)) + self.high_pass(_inner(x[:, :PLANES], rows + 2))
        result: torch.Tensor = out + self.differences(_inner(x[:, PLANES:], rows))
        return result


def _inner(planes: torch.Tensor, rows: int) -> torch.Tensor:
    """Planes without as much on each side as leaves so many rows."""
    border = (planes.shape[-2] - rows) // 2
    return planes[..., border : border + rows, border : planes.shape[-1] - border]


def integers(
    networks: Sequence[FloatNetwork], of_sets: tuple[int, int, int], difference_shift: int
) -> FusionWeights:
    """Trained networks as the format has them. Raises CorruptError when their sums do not fit."""
    hidden: list[HiddenLayer] = []
    for k, layer in enumerate(networks[0].hidden):
        largest = max(_largest_row(network.hidden[k]) for network in networks)
        shift = min(13, int(np.floor(np.log2((1 << 19) / largest))))
        hidden.append(HiddenLayer(layer.kernel_size[0], layer.out_channels, shift))
    output_shift = 7
    output = (OUTPUT_UNIT << output_shift) // UNIT
    shape = FusionShape(of_sets, difference_shift, tuple(hidden), output_shift)
    made = []
    for network in networks:
        layers = []
        for layer, sizes in zip(network.hidden, hidden, strict=True):
            weights = _rounded(layer.weight, 1 << sizes.shift).astype(np.int16)
            layers.append((weights, _rounded(layer.bias, UNIT << sizes.shift).astype(np.int32)))
        columns = [
            _rounded(network.last.bias, output)[:, None],
            _rounded(network.high_pass.weight, output).reshape(LUMA, HIGH_PASS),
            _rounded(network.differences.weight, output)[:, :, 0, 0],
            _rounded(network.last.weight, output)[:, :, 0, 0],
        ]
        luma = np.concatenate(columns, 1)
        chroma = np.zeros((PLANES - LUMA, luma.shape[1]))
        made.append(Network(tuple(layers), np.concatenate([luma, chroma]).astype(np.int16)))
    return FusionWeights(shape, tuple(made))


def _rounded(values: torch.Tensor, scale: float) -> np.ndarray:
    return np.rint(values.detach().numpy().astype(np.float64) * scale).astype(np.int64)


def _largest_row(layer: nn.Module) -> float:
    """The greatest sum of magnitudes of a unit, with its bias as a weight of the largest input."""
    weights, biases = (p.detach().abs().numpy() for p in (layer.weight, layer.bias))
    sums = weights.reshape(len(weights), -1).sum(1) + biases * UNIT / MAX_INPUT
    return float(max(sums.max(), weights.max() * 16))
