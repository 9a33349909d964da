"""A network to bytes and back: integer weights by the coder of spec 3, a step for each tensor.

The bytes are all that a decoder of the network needs: a header with its parameters, the float32
steps, and the two substreams of `nvcodec.coding.sine.weights`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from nvcodec.coding.sine.weights import (
    KINDS,
    MAX_DIFFERENCE,
    Matrix,
    decode_differences,
    encode_differences,
)
from tools.bench.baselines.networks import NETWORKS, Network

# Kind of network, width, height, frames, units, bytes of the tables substream.
_HEADER = struct.Struct("<BHHHHH")
_BISECTIONS = 14


def encode(network: Network, steps: Sequence[float]) -> bytes:
    """The network with each tensor rounded to multiples of its step."""
    steps32 = np.array(steps, "<f4")
    integers = _zeros(network)
    for tensor, step, (_, matrix) in zip(network.parameters(), steps32, integers, strict=True):
        matrix[:] = (tensor.detach() / float(step)).round().reshape(matrix.shape).numpy()
    tables, run = encode_differences(integers)
    number = NETWORKS.index(type(network))
    header = _HEADER.pack(number, *network.size, network.frames, network.units, len(tables))
    return header + steps32.tobytes() + tables + run


def decode(data: bytes) -> Network:
    """The network in these bytes."""
    number, width, height, frames, units, length = _HEADER.unpack_from(data)
    network = NETWORKS[number]((width, height), frames, units)
    tensors = list(network.parameters())
    start = _HEADER.size + 4 * len(tensors)
    steps = np.frombuffer(data, "<f4", len(tensors), _HEADER.size)
    substreams = data[start : start + length], data[start + length :]
    integers = _zeros(network)
    decode_differences(*substreams, integers)
    with torch.no_grad():
        for tensor, step, (_, matrix) in zip(tensors, steps, integers, strict=True):
            tensor.copy_(torch.from_numpy(matrix).reshape(tensor.shape) * float(step))
    return network


def fit(network: Network, curvatures: Sequence[float], target: int) -> list[float]:
    """The finest steps with which the bytes are at most `target`.

    A tensor's step is proportional to 1 / sqrt(curvature), where the curvature is the mean effect
    of a change of its weights on the squared error. The common factor is found by bisection.
    """
    largest = [float(tensor.detach().abs().max()) + 1e-12 for tensor in network.parameters()]
    shares = [max(curvature, 1e-20) ** -0.5 for curvature in curvatures]

    def steps(octave: float) -> list[float]:
        return [
            # Some headroom, as weights may grow in further training.
            max(2**octave * share, most / (0.5 * MAX_DIFFERENCE))
            for share, most in zip(shares, largest, strict=True)
        ]

    # From the largest possible integers to all integers 0.
    octaves = [math.log2(most / share) for share, most in zip(shares, largest, strict=True)]
    low, high = min(octaves) - 16, max(octaves) + 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if len(encode(network, steps(middle))) > target:
            low = middle
        else:
            high = middle
    return steps(high)


def _zeros(network: Network) -> list[tuple[int, Matrix]]:
    """A matrix of zeros for each tensor; the first three layers have their own contexts."""
    matrices: list[tuple[int, Matrix]] = []
    for number, layer in enumerate(network.layers):
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        kind = min(number, KINDS - 1)
        rows = layer.weight.shape[0]
        for shape in ((rows, layer.weight.numel() // rows), (1, rows)):
            matrices.append((kind, np.zeros(shape, np.int32)))
    return matrices
