"""The fusion network (spec 9) in floating point, as it is trained, and its conversion to integers.

Inputs, outputs of hidden layers and the output are in quantiser steps. Training does not round.
The conversion compensates for rounding in two ways:

* Outputs of hidden layers are scaled to use all of 13 bits. The last hidden layer is not scaled,
  because groups train the weights after it.
* The mean loss from right shifts of negative outputs is added to the next layer's biases.

With hidden outputs in units of 1/64 step, as inputs are, a quarter of the network's gain would be
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nvcodec.model.hybrid.fusion.layers import MAX_CORRECTION
from nvcodec.model.hybrid.fusion.weights import (
    CONSTANT,
    HIGH_PASS,
    INPUTS,
    LINEAR,
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
"""Planes that default weights change: luma only, as learned chroma weights harm some clips."""

_SLOPE = 1 / 8

_LOST = 7 / 16
"""Mean loss of a negative output, in its units, from the right shift by 3."""

_CLIPPED = 0.3
"""Outputs above this share of the largest one seen may be clipped; there are hardly any."""

_MOST_SCALE = 256.0

Outputs = Callable[[torch.Tensor], torch.Tensor]
"""Maps int16 inputs, with a fixed number of sites around them, to outputs in steps (n, LUMA, rows,
columns)."""


class FloatNetwork(nn.Module):
    """One network; `hidden` has (kernel, units) of each hidden layer."""

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
        """Multiplications per luma sample."""
        return sum(p.numel() for name, p in self.named_parameters() if "weight" in name) / 4

    def hidden_outputs(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """Outputs of each hidden layer in order, from inputs; both in steps."""
        for layer in self.hidden:
            x = nn.functional.leaky_relu(layer(x), _SLOPE).clamp(max=MAX_INPUT / UNIT)
            yield x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (n, LUMA, rows, columns) from inputs with `halo` sites around; both in steps."""
        *_, h = self.hidden_outputs(x)
        rows = x.shape[-2] - 2 * self.halo
        out = self.last(_inner(h, rows)) + self.high_pass(_inner(x[:, :PLANES], rows + 2))
        result: torch.Tensor = out + self.differences(_inner(x[:, PLANES:], rows))
        return result


def _inner(planes: torch.Tensor, rows: int) -> torch.Tensor:
    """The planes cropped equally on all sides to `rows` rows."""
    border = (planes.shape[-2] - rows) // 2
    return planes[..., border : border + rows, border : planes.shape[-1] - border]


@dataclass(frozen=True, eq=False)
class Seen:
    """Statistics of a hidden layer's units: largest magnitude and share of negative outputs."""

    largest: npt.NDArray[np.float64]
    negative: npt.NDArray[np.float64]


def seen(network: FloatNetwork, inputs: torch.Tensor) -> list[Seen]:
    """Statistics of a network's hidden layers for inputs int16 (n, INPUTS, rows, columns)."""
    found = []
    with torch.no_grad():
        for h in network.hidden_outputs(inputs / UNIT):
            largest, negative = h.abs().amax((0, 2, 3)), (h < 0).double().mean((0, 2, 3))
            found.append(Seen(largest.double().numpy(), negative.numpy()))
    return found


def _scaled_layers(
    network: FloatNetwork, outputs: Sequence[Seen]
) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Weights and biases of the hidden layers with scaled outputs; biases in output units."""
    layers = []
    before, lost = np.ones(INPUTS), np.zeros(INPUTS)
    for number, (layer, given) in enumerate(zip(network.hidden, outputs, strict=True)):
        scale = np.ones(len(given.largest))
        if number < len(outputs) - 1:
            most = np.maximum(_CLIPPED * given.largest, 1e-9)
            scale = np.clip(MAX_INPUT / UNIT / most, 1, _MOST_SCALE)
        weights, biases = _floats(layer.weight), _floats(layer.bias)
        weights = weights * scale[:, None, None, None] / before[:, None, None]
        biases = biases * scale * UNIT + weights.sum((2, 3)) @ lost
        layers.append((weights, biases))
        before, lost = scale, _LOST * given.negative
    return layers


def integers(
    networks: Sequence[FloatNetwork],
    of_sets: tuple[int, int, int],
    difference_shift: int,
    outputs: Sequence[Sequence[Seen]],
) -> FusionWeights:
    """Trained networks in the format's integers; `outputs` has the statistics of each.

    Raises CorruptError when a sum may overflow.
    """
    scaled = [_scaled_layers(*pair) for pair in zip(networks, outputs, strict=True)]
    hidden: list[HiddenLayer] = []
    for k, layer in enumerate(networks[0].hidden):
        largest = max(_largest_row(*layers[k]) for layers in scaled)
        shift = min(13, int(np.floor(np.log2((1 << 19) / largest))))
        hidden.append(HiddenLayer(layer.kernel_size[0], layer.out_channels, shift))
    output_shift = 7
    unit = (OUTPUT_UNIT << output_shift) // UNIT
    shape = FusionShape(of_sets, difference_shift, tuple(hidden), output_shift)
    made = []
    for network, layers, given in zip(networks, scaled, outputs, strict=True):
        rounded = [
            (_rounded(weights, 1 << sizes.shift), _rounded(biases, 1 << sizes.shift))
            for (weights, biases), sizes in zip(layers, hidden, strict=True)
        ]
        last = _floats(network.last.weight)[:, :, 0, 0]
        constant = _floats(network.last.bias) + last @ (_LOST / UNIT * given[-1].negative)
        columns = [
            constant[:, None],
            _floats(network.high_pass.weight).reshape(LUMA, HIGH_PASS),
            _floats(network.differences.weight)[:, :, 0, 0],
            last,
        ]
        luma = _rounded(np.concatenate(columns, 1), unit)
        chroma = np.zeros((PLANES - LUMA, luma.shape[1]))
        made.append(
            Network(
                tuple((w.astype(np.int16), b.astype(np.int32)) for w, b in rounded),
                np.concatenate([luma, chroma]).astype(np.int16),
            )
        )
    return FusionWeights(shape, tuple(made))


def integer_outputs(shape: FusionShape, network: Network) -> Outputs:
    """The outputs of a network's integers; inputs have `shape.halo` sites around them."""
    hidden = [[torch.from_numpy(part.astype(np.float64)) for part in p] for p in network.hidden]
    output = torch.from_numpy(network.output[:LUMA].astype(np.float64))
    constant, high_pass, differences, last = output.split(
        [1, HIGH_PASS, LINEAR - 1 - HIGH_PASS, output.shape[1] - LINEAR], 1
    )

    def shifted(values: torch.Tensor, shift: int) -> torch.Tensor:
        return torch.floor((values + (1 << shift >> 1)) / (1 << shift))

    def apply(x: torch.Tensor) -> torch.Tensor:
        # Sums are below 2^31, so these floats are exact.
        h = x = x.double()
        conv = nn.functional.conv2d
        for layer, (weights, biases) in zip(shape.hidden, hidden, strict=True):
            v = shifted(conv(h, weights, biases), layer.shift)
            h = torch.maximum(v, torch.floor(v / 8)).clamp(-MAX_INPUT, MAX_INPUT)
        rows = x.shape[-2] - 2 * shape.halo
        windows = high_pass.reshape(LUMA, PLANES, 3, 3)
        total = conv(_inner(x[:, :PLANES], rows + 2), windows, CONSTANT * constant[:, 0])
        total += conv(_inner(x[:, PLANES:], rows), differences[:, :, None, None])
        total += conv(_inner(h, rows), last[:, :, None, None])
        total = shifted(total, shape.output_shift).clamp(-MAX_CORRECTION, MAX_CORRECTION)
        return (total / OUTPUT_UNIT).float()

    return apply


def _floats(values: torch.Tensor) -> npt.NDArray[np.float64]:
    floats: npt.NDArray[np.float64] = values.detach().numpy().astype(np.float64)
    return floats


def _rounded(values: npt.NDArray[np.float64], scale: float) -> npt.NDArray[np.int64]:
    return np.rint(values * scale).astype(np.int64)


def _largest_row(weights: npt.NDArray[np.float64], biases: npt.NDArray[np.float64]) -> float:
    """The largest sum of magnitudes in a row; a bias counts as a weight of the largest input."""
    magnitudes = np.abs(weights)
    sums = magnitudes.reshape(len(weights), -1).sum(1) + np.abs(biases) / MAX_INPUT
    return float(max(sums.max(), magnitudes.max() * 16))
