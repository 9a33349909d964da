"""Weights of the fusion network (spec 9.2): the default ones, and a group's changes to them.

Takes the table `fusion.txt` and differences; gives checked integer arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nvcodec.format.errors import CorruptError
from nvcodec.tables import load_table

PLANES = 6
"""Planes of the grid of sites: four phases of luma, Cb, Cr."""

SIDE = 5
"""Taps, across and down, of the filter that the luma planes share."""

SHARED = SIDE * SIDE
"""All taps of the shared filter."""

INPUTS = 3 * PLANES
"""Input channels: high-pass, then differences to both references."""

MAX_INPUT = 4095
"""Largest magnitude of inputs and of outputs of hidden layers."""

CONSTANT = 64
"""The constant input that the output layer's bias is multiplied by."""

HIGH_PASS = 9 * PLANES
"""Columns of the output layer for the 3 x 3 taps of the high-pass inputs."""

LINEAR = 1 + HIGH_PASS + 2 * PLANES
"""Columns of the output layer before those of hidden units: bias, high-pass taps, differences."""

_MOST_WEIGHT = 32767
_SUM_LIMIT = 1 << 31

Weights = npt.NDArray[np.int16]
Biases = npt.NDArray[np.int32]


@dataclass(frozen=True)
class HiddenLayer:
    """A hidden layer: `kernel` x `kernel` taps (1 or 3), number of `units`, and right `shift`."""

    kernel: int
    units: int
    shift: int


@dataclass(frozen=True)
class FusionShape:
    """What the networks of a table have in common.

    `networks` has, for each Set of canvases, the number of the network that it uses.
    `difference_shift` scales the differences that groups code.
    """

    networks: tuple[int, int, int]
    difference_shift: int
    hidden: tuple[HiddenLayer, ...]
    output_shift: int

    @property
    def count(self) -> int:
        """Number of networks."""
        return max(self.networks) + 1

    def inputs(self, layer: int) -> int:
        """Input channels of a hidden layer."""
        return self.hidden[layer - 1].units if layer else INPUTS

    @property
    def halo(self) -> int:
        """Sites around a region whose inputs its samples depend on."""
        return max(1, sum(layer.kernel == 3 for layer in self.hidden))


@dataclass(frozen=True, eq=False)
class Network:
    """The weights of one network.

    `hidden` has, for each hidden layer, weights int16 (units, inputs, kernel, kernel) and biases
    int32 (units,). `output` is int16 (PLANES, LINEAR + units): columns of the bias, of the
    high-pass inputs (plane, ky, kx), of the differences d0, d1 and of the last hidden layer.
    """

    hidden: tuple[tuple[Weights, Biases], ...]
    output: Weights


@dataclass(frozen=True, eq=False)
class FusionWeights:
    """The weights that a group is rendered with.

    Raises CorruptError on construction unless they conform to spec 9.2.
    """

    shape: FusionShape
    networks: tuple[Network, ...]

    def __post_init__(self) -> None:
        for number, network in enumerate(self.networks):
            for layer, (weights, biases) in zip(self.shape.hidden, network.hidden, strict=True):
                _check_rows(weights, biases, layer.shift, f"network {number}")
            _check_rows(
                network.output[:, 1:],
                CONSTANT * network.output[:, 0].astype(np.int64),
                self.shape.output_shift,
                f"network {number}",
            )

    def of_set(self, canvas_set: int) -> Network:
        """The network of canvases of a Set."""
        return self.networks[self.shape.networks[canvas_set]]

    @cached_property
    def output(self) -> npt.NDArray[np.int16]:
        """The weights that groups may change: int16 (networks, PLANES, LINEAR + units)."""
        return np.stack([network.output for network in self.networks])

    def changed(
        self, shared: npt.NDArray[np.int32], differences: npt.NDArray[np.int32]
    ) -> FusionWeights:
        """These weights plus differences (networks, PLANES, LINEAR + units) in coded units.

        The filter `shared` (networks, SHARED) is added to all luma planes. Raises CorruptError when
        the sum does not conform.
        """
        total = differences.astype(np.int64)
        total[..., :LINEAR] += spread_shared(shared)
        total = self.output + (total << self.shape.difference_shift)
        if np.abs(total).max() > _MOST_WEIGHT:
            raise CorruptError("a weight of the fusion network exceeds 16 bits", rule="9.2")
        networks = zip(self.networks, total.astype(np.int16), strict=True)
        return replace(
            self, networks=tuple(replace(network, output=part) for network, part in networks)
        )


def _shared_taps() -> npt.NDArray[np.int64]:
    """Number of the shared filter's tap for each column (PLANES, LINEAR), -1 for none.

    The filter works on the grid of luma samples, so its taps alternate between the phases.
    """
    taps = np.full((PLANES, LINEAR), -1)
    for row in range(4):
        for plane in range(4):
            for tap in range(9):
                dy = 2 * (tap // 3 - 1) + plane // 2 - row // 2
                dx = 2 * (tap % 3 - 1) + plane % 2 - row % 2
                if max(abs(dy), abs(dx)) <= SIDE // 2:
                    column = 1 + 9 * plane + tap
                    taps[row, column] = SIDE * (dy + SIDE // 2) + dx + SIDE // 2
    return taps


_SHARED_TAP = _shared_taps()


def spread_shared(shared: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What shared filters (..., SHARED) add to columns (..., PLANES, LINEAR) of the output layer.

    Rows of chroma are 0. Any numeric dtype is allowed.
    """
    return np.where(_SHARED_TAP >= 0, shared[..., _SHARED_TAP], 0)


def _check_rows(
    weights: npt.NDArray[np.integer], biases: npt.NDArray[np.integer], shift: int, name: str
) -> None:
    """Raise CorruptError when a sum of a layer may leave 32 bits (spec 9.2)."""
    sums = np.abs(weights.reshape(len(weights), -1).astype(np.int64)).sum(1) * MAX_INPUT
    sums += np.abs(biases.astype(np.int64)) + (1 << shift >> 1)
    if sums.max() >= _SUM_LIMIT:
        raise CorruptError(f"sums of {name} exceed 32 bits", rule="9.2")


class _Integers:
    """Reads the integers of a table one after the other."""

    def __init__(self, values: Sequence[int] | npt.NDArray[np.int32]) -> None:
        self._values = np.asarray(values, np.int64)
        self._at = 0

    def one(self) -> int:
        return int(self.take(())[()])

    def take(self, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        count = int(np.prod(shape))
        part = self._values[self._at : self._at + count]
        self._at += count
        if len(part) < count:
            raise ValueError(f"{len(self._values)} integers, at least {self._at} are needed")
        return part.reshape(shape)

    def end(self) -> None:
        if self._at != len(self._values):
            raise ValueError(f"{len(self._values)} integers, not {self._at}")


def weights_from_table(values: Sequence[int] | npt.NDArray[np.int32]) -> FusionWeights:
    """The weights in the integers of a table (spec 9.2).

    Raises ValueError when their number is wrong, CorruptError when they do not conform.
    """
    integers = _Integers(values)
    count = integers.one()
    a, b, c, difference_shift, hidden_count = (integers.one() for _ in range(5))
    hidden = tuple(HiddenLayer(*(integers.one() for _ in range(3))) for _ in range(hidden_count))
    shape = FusionShape((a, b, c), difference_shift, hidden, integers.one())
    if shape.count != count:
        raise ValueError(f"{count} networks, of which {shape.count} are used")
    networks = []
    for _ in range(count):
        layers = []
        for number, layer in enumerate(hidden):
            size = layer.units, shape.inputs(number), layer.kernel, layer.kernel
            weights = integers.take(size).astype(np.int16)
            layers.append((weights, integers.take((layer.units,)).astype(np.int32)))
        rows = integers.take((PLANES, LINEAR + hidden[-1].units)).astype(np.int16)
        networks.append(Network(tuple(layers), rows))
    integers.end()
    return FusionWeights(shape, tuple(networks))


def weights_to_table(weights: FusionWeights) -> list[list[int]]:
    """The lines of integers that `weights_from_table` reads."""
    shape = weights.shape
    lines = [[shape.count, *shape.networks], [shape.difference_shift, len(shape.hidden)]]
    lines += [[layer.kernel, layer.units, layer.shift] for layer in shape.hidden]
    lines.append([shape.output_shift])
    for network in weights.networks:
        for matrix, biases in network.hidden:
            lines += matrix.reshape(len(matrix), -1).tolist()
            lines.append(biases.tolist())
        lines += network.output.tolist()
    return lines


@lru_cache
def default_weights() -> FusionWeights:
    """The default weights (spec 9.2), which a key group starts from."""
    return weights_from_table(load_table("fusion.txt"))
