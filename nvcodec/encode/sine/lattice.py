"""The lattice (quantisation grid) of weights: real units to and from the records of spec 4.3."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nvcodec.model.sine.render import VALUE_BITS
from nvcodec.model.sine.shape import MAX_BIAS, NetworkShape
from nvcodec.model.sine.weights import (
    MAX_BIAS_SHIFT,
    MAX_STEP,
    GroupWeights,
    LayerParameters,
    row_sums,
)


@dataclass(frozen=True)
class Units:
    """The real values of one integer step at Scale = 1: of a weight, and of a bias at bias_shift 0.

    Real units: phases are in turns (a coordinate spans -1..1), outputs of sine layers and maps in
    1, samples in levels.
    """

    weight: float
    bias: float


def layer_units(shape: NetworkShape) -> list[Units]:
    """The units of each layer, from the shifts of spec 5.2 to 5.4."""
    phase, hidden, sample = 2.0**-40, 2.0**-40, 2.0 ** -(32 + VALUE_BITS)
    units = [Units(32768 * phase, phase)]
    units += [Units(127 * phase, phase)] * (shape.depth - 1)
    units.append(Units(127 * hidden, hidden))
    units += [Units(256 * hidden, hidden), Units(256 * sample, sample)]
    return units


def choose_parameters(
    shape: NetworkShape,
    weight_steps: list[float],
    bias_steps: list[float],
    weight_spread: list[float],
    bias_spread: list[float],
) -> tuple[LayerParameters, ...]:
    """The layer parameters whose steps are nearest to the given ones.

    All lists have one entry per layer, in real units. `weight_spread` and `bias_spread` are the
    half-widths of the uniform initial values, 0 for none. They become the bounds of the default
    weights (spec 4.3).
    """
    records = []
    for layer, units, weight_step, bias_step, spread, spread_bias in zip(
        shape.layers,
        layer_units(shape),
        weight_steps,
        bias_steps,
        weight_spread,
        bias_spread,
        strict=True,
    ):
        octaves = math.log2(weight_step / units.weight) - 14
        step = max(0, min(MAX_STEP, round(6 * octaves)))
        scale = LayerParameters(step, 0, 0, 0).scale
        # Training moves weights away from their initial values: half the range is left for that.
        most = layer.max_weight // 2
        weight_bound = min(most, round(spread / (units.weight * scale)))
        shift = round(math.log2(max(1.0, bias_step / (units.bias * scale))))
        shift = min(MAX_BIAS_SHIFT, shift)
        bias_bound = min(MAX_BIAS // 2, round(spread_bias / (units.bias * scale * 2**shift)))
        records.append(LayerParameters(step, shift, weight_bound, bias_bound))
    return tuple(records)


def real_steps(
    shape: NetworkShape, parameters: tuple[LayerParameters, ...]
) -> list[tuple[float, float]]:
    """(weight step, bias step) of each layer in real units."""
    return [
        (units.weight * record.scale, units.bias * record.scale * 2.0**record.bias_shift)
        for units, record in zip(layer_units(shape), parameters, strict=True)
    ]


def conform(weights: GroupWeights) -> GroupWeights:
    """Clip weights to the ranges of spec 4.4, and scale down rows that exceed the bound of 4.5."""
    tensors = [tensor.copy() for tensor in weights.tensors]
    for number, layer in enumerate(weights.shape.layers):
        matrix, bias = tensors[2 * number : 2 * number + 2]
        np.clip(matrix, -layer.max_weight, layer.max_weight, out=matrix)
        np.clip(bias, -MAX_BIAS, MAX_BIAS, out=bias)
        sums = row_sums(replace(weights, tensors=tuple(tensors)), number)
        for row in np.flatnonzero(sums >= layer.bound):
            # Rounding toward zero keeps the scaled row within the bound.
            factor = (layer.bound - 1) / float(sums[row])
            matrix[row] = _toward_zero(matrix[row] * factor)
            bias[row] = int(bias[row] * factor)
    return replace(weights, tensors=tuple(tensors))


def _toward_zero(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.trunc(values).astype(np.int32)
