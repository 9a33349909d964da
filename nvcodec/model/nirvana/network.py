"""The synthesis network of table 1 (spec 13), in the order in which renderers take it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.table import WIDTH, load
from nvcodec.model.nirvana.volume import ORDER


class Dense(NamedTuple):
    """A layer: int16 weights (units, inputs), biases without the rounding term, right shift."""

    matrix: npt.NDArray[np.signedinteger]
    bias: npt.NDArray[np.signedinteger]
    shift: int


class Network(NamedTuple):
    """The layers, and int32 SCALE.

    Inputs of the first layer are features below N of the window, (ky, kx, f), then the others of
    the patch itself. Those of the output layer are features, then units; its samples are in ORDER.
    """

    first: Dense
    second: Dense
    output: Dense
    scale: npt.NDArray[np.int32]


def synthesis_network(offset: int) -> Network:
    """The network in a group of CQ = `offset` (spec 12.1)."""
    table = load()
    bias = table.first_bias.astype(np.int64)
    near = table.first.transpose(0, 2, 3, 1).reshape(WIDTH, -1)
    taps = np.concatenate([near, table.first_own], 1)
    output = np.concatenate([table.basis, table.third], 1)[ORDER]
    return Network(
        first=Dense(taps, bias[0] + offset * bias[1], int(table.shifts[0])),
        second=Dense(table.second, table.second_bias, int(table.shifts[1])),
        output=Dense(output, table.third_bias[ORDER], 12),
        scale=table.scale.astype(np.int32),
    )
