"""The output layer of a group (spec 13): that of the table, changed by the group's components."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.components import Components
from nvcodec.coding.nirvana.table import load

LARGEST_WEIGHT = 32639
"""The largest number that two signed bytes hold as 256 * high + low."""

CONSTANT = 2048
"""The constant input of a component, in units of the second hidden layer."""


@lru_cache(8)
def output_layer(components: Components) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """`weight` (VOLUME, WIDTH) and `bias` (VOLUME,) of spec 13; `bias` modulo 2^32."""
    table = load()
    change = np.zeros((len(table.third), table.third.shape[1] + 1), np.int64)
    for component in components:
        if component is not None:
            inputs, outputs = (
                np.frombuffer(part, np.int8).astype(np.int64)
                for part in (component.inputs, component.outputs)
            )
            product = 16 * np.outer(outputs, inputs)
            change += (product + (1 << component.shift >> 1)) >> component.shift
    weight = np.clip(table.third + change[:, :-1], -LARGEST_WEIGHT, LARGEST_WEIGHT)
    bias = table.third_bias + CONSTANT * change[:, -1]
    return weight.astype(np.int16), bias.astype(np.uint32).view(np.int32)
