"""The synthesis network of a group (spec 13), in the order in which renderers take it.

It is that of table 1, its output layer changed by the group's components.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.components import Components
from nvcodec.coding.nirvana.table import WIDTH, load

LARGEST_WEIGHT = 32639
"""The largest weight: what two signed bytes hold as 256 * high + low."""

CONSTANT = 2048
"""The constant input of a component, in units of the second hidden layer."""


class Dense(NamedTuple):
    """A layer: int16 weights (units, inputs), biases without the rounding term, right shift."""

    matrix: npt.NDArray[np.signedinteger]
    bias: npt.NDArray[np.signedinteger]
    shift: int


class Network(NamedTuple):
    """The layers, and int32 SCALE.

    Inputs of the first layer are features below N of the window, (ky, kx, f), then the others of
    the patch itself. Those of the output layer are features, then units.
    """

    first: Dense
    second: Dense
    output: Dense
    scale: npt.NDArray[np.int32]


@lru_cache(8)
def output_layer(components: Components) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """`weight` (VOLUME, WIDTH) and `bias` (VOLUME,) of spec 13; `bias` modulo 2^32."""
    table = load()
    change = np.zeros((len(table.third), table.third.shape[1] + 1), np.int64)
    for component in components:
        if component is not None:
            inputs, outputs = component.values()
            product = 16 * np.outer(outputs, inputs)
            change += (product + (1 << component.shift >> 1)) >> component.shift
    weight = np.clip(table.third + change[:, :-1], -LARGEST_WEIGHT, LARGEST_WEIGHT)
    bias = table.third_bias + CONSTANT * change[:, -1]
    return weight.astype(np.int16), bias.astype(np.uint32).view(np.int32)


def synthesis_network(offset: int, components: Components) -> Network:
    """The network in a group of CQ = `offset` (spec 12.1) with these components."""
    table = load()
    third, third_bias = output_layer(components)
    bias = table.first_bias.astype(np.int64)
    near = table.first.transpose(0, 2, 3, 1).reshape(WIDTH, -1)
    taps = np.concatenate([near, table.first_own], 1)
    output = np.concatenate([table.basis, third], 1)
    return Network(
        first=Dense(taps, bias[0] + offset * bias[1], int(table.shifts[0])),
        second=Dense(table.second, table.second_bias, int(table.shifts[1])),
        output=Dense(output, third_bias, 12),
        scale=table.scale.astype(np.int32),
    )
