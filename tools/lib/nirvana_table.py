"""The float nirvana network to the integers of its table (spec 11.2).

Shifts of layers are the largest with which all weights have 16 bits and no sum leaves 32 bits,
whatever the inputs are and in whatever order they are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.coding.nirvana.features import MAX_RESIDUAL
from nvcodec.coding.nirvana.table import (
    CLASSES,
    PARTS,
    SECOND_UNITS,
    SLICES,
    STARTS,
    UNITS,
    WHOLE,
    WIDE,
    WIDTH,
    outputs,
)
from nvcodec.model.nirvana.moved import LIMIT
from nvcodec.model.nirvana.network import LARGEST_WEIGHT
from tools.lib.nirvana_float import OFFSET_UNIT, OUTPUT_SCALE, NirvanaNetwork, SliceNetwork, bits_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_BASIS = 8192
_OUTPUT = 65536
"""Units of the output layer's sums in a sample: inputs in 1/8 or 1/256, weights accordingly."""
_UNIT = 4095
"""Largest hidden unit, and input of the first hidden layer."""
_MOVED = 4096
_OFFSET = 16
"""Largest magnitude of CQ (spec 12.1)."""

_LOG = np.rint(64 * np.log1p(np.arange(4096) / 16)).astype(np.int64)
_FRACTIONS = np.array([2.0, 10.0, 24.0])
"""A fraction of the mean, in 1/64, for each Part (spec 12.3)."""


def zero_costs() -> Integers:
    """ZERO_COST of spec 11.2: (CLASSES, PARTS)."""
    # The middle of each class.
    scales = torch.from_numpy((18.0 * np.arange(CLASSES) - 243 + 9) / 64)[:, None]
    means = torch.from_numpy(_FRACTIONS / 64).expand(CLASSES, PARTS)
    bits = bits_of(torch.zeros_like(means), means, scales.expand_as(means)).numpy()
    return np.maximum(1, _rounded(512 * bits))


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer's weights (units, ...), its biases (n, units) and the largest magnitude that each of
    these is multiplied by."""

    weights: Floats
    biases: Floats
    times: Sequence[int]

    def rounded(self, shift: int, unit: int) -> tuple[Integers, Integers]:
        """Weights and biases times 2 ** shift; inputs are in 1 / `unit`."""
        return _rounded(self.weights * 2.0**shift), _rounded(self.biases * unit * 2.0**shift)

    def fits(self, shift: int, unit: int, most: int) -> bool:
        """Whether all is in range with inputs up to `most`."""
        weights, biases = self.rounded(shift, unit)
        sums = most * np.abs(weights).reshape(len(weights), -1).sum(1) + 2 ** (shift + 2)
        sums += np.array(self.times) @ np.abs(biases)
        return int(np.abs(weights).max()) <= LARGEST_WEIGHT and int(sums.max()) < 1 << 31


def _largest_shift(layers: Sequence[_Layer], unit: int, most: int) -> int:
    shift = 0
    while all(layer.fits(shift + 1, unit, most) for layer in layers):
        shift += 1
    return shift


def _floats(values: torch.Tensor | None) -> Floats:
    assert values is not None
    floats: Floats = values.detach().cpu().numpy().astype(np.float64)
    return floats


def _rounded(values: Floats) -> Integers:
    return np.rint(values).astype(np.int64)


def _check(what: str, sums: Integers) -> None:
    """Raise ValueError where sums of magnitudes may leave 32 bits."""
    if int(sums.max()) >= 1 << 31:
        raise ValueError(f"sums of {what} may leave 32 bits: {sums.max() / 2**31:.2f} times")


@dataclass(frozen=True, eq=False)
class _SliceTensors:
    """A slice's A, C, M, BC, then H, BH, then O, BO (spec 11.2), in floats."""

    earlier: Floats
    context: Floats
    own: Floats
    first_bias: Floats
    second: Floats
    second_bias: Floats
    output: Floats
    output_bias: Floats

    @classmethod
    def of(cls, network: NirvanaNetwork, number: int) -> _SliceTensors:
        part = network.entropy.slices[number]
        assert isinstance(part, SliceNetwork)
        start, size, kinds = STARTS[number], SLICES[number], outputs(number)
        taps = (9,) if number < WHOLE else ()
        earlier = np.zeros((UNITS, 2, start, *taps))
        if part.earlier is not None:
            earlier[:] = _floats(part.earlier.weight).reshape(earlier.shape)
        causal = _floats(part.causal_weights()).reshape(UNITS, 2, size, 6)
        bias = np.zeros((2, kinds, size))
        bias[0] = _floats(part.output.bias).reshape(kinds, size)
        chosen = slice(start, start + size)
        bias[0, 1] += _floats(network.entropy.log_scale)[chosen, 0, 0]
        bias[1, 1] = _floats(network.entropy.log_scale_of_q)[chosen, 0, 0] / OFFSET_UNIT
        return cls(
            earlier=earlier,
            context=causal[..., :4],
            own=_floats(part.own.weight).reshape(UNITS, 4, size),
            first_bias=np.stack(
                [
                    _floats(part.context.bias),
                    _floats(part.of_q)[:, 0, 0] / OFFSET_UNIT,
                    _floats(part.of_key)[:, 0, 0],
                ]
            ),
            second=_floats(part.second.weight)[:, :, 0, 0],
            second_bias=_floats(part.second.bias),
            output=_floats(part.output.weight).reshape(kinds, size, SECOND_UNITS),
            output_bias=bias,
        )

    def first_layer(self) -> _Layer:
        """The first hidden layer."""
        parts = (self.earlier, self.context, self.own)
        weights = np.concatenate([part.reshape(UNITS, -1) for part in parts], 1)
        return _Layer(weights, self.first_bias, (1, _OFFSET, 1))

    def second_layer(self) -> _Layer:
        """The second hidden layer."""
        return _Layer(self.second, self.second_bias[None], (1,))

    def outputs(self) -> _Layer:
        """The output layer."""
        return _Layer(
            self.output.reshape(-1, SECOND_UNITS), self.output_bias.reshape(2, -1), (1, _OFFSET)
        )


def _output_layer(network: NirvanaNetwork) -> tuple[Integers, Integers, Integers]:
    """BASIS, W3 and B3. Raises ValueError for sums out of range."""
    synthesis = network.synthesis
    limit = LIMIT.astype(np.int64)
    basis = _rounded(_floats(synthesis.basis) * _BASIS)
    third = _rounded(_floats(synthesis.third.weight)[:, :, 0, 0] * OUTPUT_SCALE * _OUTPUT / 256)
    bias = _rounded(_floats(synthesis.third.bias) * OUTPUT_SCALE * _OUTPUT)
    linear = np.abs(basis) @ limit
    _check("samples", linear + _UNIT * np.abs(third).sum(1) + np.abs(bias) + (1 << 11))
    _check("the trace", linear + (1 << 11))
    _check("moved features", _MOVED * np.abs(basis).sum(0) + (1 << 13))
    return basis, third, bias


def integers(network: NirvanaNetwork) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """The entries of `nirvana_weights.bin` and of `nirvana_biases.bin`.

    Raises ValueError when a weight or a sum may be out of range.
    """
    synthesis = network.synthesis
    basis, third, third_bias = _output_layer(network)
    near = _floats(synthesis.first.weight).reshape(WIDTH, -1)
    first = _Layer(
        np.concatenate([near, _floats(synthesis.first_own.weight)[:, :, 0, 0]], 1),
        np.stack(
            [_floats(synthesis.first.bias), _floats(synthesis.first_of_q)[:, 0, 0] / OFFSET_UNIT]
        ),
        (1, _OFFSET),
    )
    second = _Layer(
        _floats(synthesis.second.weight)[:, :, 0, 0], _floats(synthesis.second.bias)[None], (1,)
    )
    slices = [_SliceTensors.of(network, s) for s in range(len(SLICES))]
    # Inputs of the first layer are in 1/512, of the entropy network in 1/64, units in 1/256.
    first_shift = _largest_shift([first], 512, _UNIT)
    second_shift = _largest_shift([second], 256, _UNIT)
    context_shift = _largest_shift([part.first_layer() for part in slices], 64, int(_LOG.max()))
    hidden_shift = _largest_shift([part.second_layer() for part in slices], 256, _UNIT)
    output_shift = _largest_shift([part.outputs() for part in slices], 256, _UNIT)
    first_weights, first_bias = first.rounded(first_shift, 512)
    second_weights, second_bias = second.rounded(second_shift, 256)
    neighbour = _rounded(_floats(network.entropy.neighbour_weights()) * 256)
    # A gate multiplies a quarter of the sum by up to 64.
    _check("neighbours", 16 * MAX_RESIDUAL * np.abs(neighbour).sum((1, 2, 3)))
    scale = _rounded(_floats(synthesis.scale) * 64 * 32768)
    _check("inputs", np.abs(scale) * LIMIT.astype(np.int64) + (1 << 14))
    context, hidden, output = 2.0**context_shift, 2.0**hidden_shift, 2.0**output_shift
    weights = [basis, first_weights[:, : 9 * WIDE], first_weights[:, 9 * WIDE :]]
    weights += [second_weights, third]
    for part in slices:
        weights += [_rounded(part.earlier * context), _rounded(part.context * context)]
    weights += [_rounded(part.own * context) for part in slices]
    weights += [_rounded(part.second * hidden) for part in slices]
    weights += [_rounded(part.output * output) for part in slices]
    weights.append(neighbour)
    # From the unit of a layer's inputs to that of its outputs.
    shifts = np.array(
        [first_shift + 1, second_shift, context_shift - 2, hidden_shift, output_shift + 2]
    )
    if shifts.min() < 1:
        raise ValueError(f"weights are too large: shifts {shifts}")
    biases = [scale, shifts, first_bias, second_bias, third_bias]
    biases += [_rounded(part.first_bias * 64 * context) for part in slices]
    biases += [_rounded(part.second_bias * 256 * hidden) for part in slices]
    biases += [_rounded(part.output_bias * 256 * output) for part in slices]
    biases += [_LOG, zero_costs()]
    return _flat("weight", weights, 16).astype(np.int16), _flat("bias", biases, 32).astype(np.int32)


def _flat(what: str, tensors: Sequence[Integers], bits: int) -> Integers:
    entries = np.concatenate([tensor.ravel() for tensor in tensors])
    if int(np.abs(entries).max()) >= 1 << (bits - 1):
        raise ValueError(f"a {what} has more than {bits} bits: {np.abs(entries).max()}")
    return entries
