"""Weights of the fusion network in the order in which `layers` reads them (spec 9.2).

Takes a network, gives words of two signed 16-bit weights each, one block of units after another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.model.hybrid.fusion.weights import (
    CONSTANT,
    HIGH_PASS,
    LINEAR,
    PLANES,
    FusionShape,
    Network,
)
from nvcodec.products import pack_words

LINEAR_PAIRS = (LINEAR - 1) // 2
"""Words of the inputs that the output layer reads at a site."""

# Columns of `PackedNetwork.layers`.
KERNEL, INPUT_PAIRS, UNITS, SHIFT, WEIGHTS, BIASES = range(6)


class PackedNetwork(NamedTuple):
    """A network in the form that kernels take.

    `layers` is int64 (layers, 6), the output layer last; `weights` and `biases` are int32, those of
    all layers one after the other.
    """

    layers: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int32]
    biases: npt.NDArray[np.int32]
    halo: int

    @property
    def output_terms(self) -> int:
        """Words that the output layer reads at a site."""
        return int(self.layers[-1, INPUT_PAIRS]) + LINEAR_PAIRS


def pack_network(shape: FusionShape, network: Network) -> PackedNetwork:
    """Arrange the weights of a network in the order in which kernels read them."""
    matrices, biases, rows = [], [], []
    for number, (layer, (weights, bias)) in enumerate(
        zip(shape.hidden, network.hidden, strict=True)
    ):
        # Taps, then channels: a word holds a pair of channels of a site.
        matrices.append(weights.transpose(0, 2, 3, 1).reshape(layer.units, -1))
        biases.append(bias.astype(np.int64))
        rows.append((layer.kernel, shape.inputs(number) // 2, layer.units, layer.shift))
    constant, high_pass, changes, last = np.split(network.output, [1, 1 + HIGH_PASS, LINEAR], 1)
    windows = high_pass.reshape(PLANES, PLANES, 3, 3).transpose(0, 2, 3, 1)
    matrices.append(np.concatenate([last, windows.reshape(PLANES, -1), changes], 1))
    biases.append(CONSTANT * constant[:, 0].astype(np.int64))
    rows.append((1, shape.hidden[-1].units // 2, PLANES, shape.output_shift))
    words = [pack_words(matrix) for matrix in matrices]
    layers = np.zeros((len(rows), 6), np.int64)
    layers[:, :4] = rows
    layers[:, WEIGHTS] = np.cumsum([0, *(len(part) for part in words[:-1])])
    layers[:, BIASES] = np.cumsum([0, *(len(part) for part in biases[:-1])])
    rounded = [part + (1 << row[3] >> 1) for part, row in zip(biases, rows, strict=True)]
    return PackedNetwork(
        layers, np.concatenate(words), np.concatenate(rounded).astype(np.int32), shape.halo
    )
