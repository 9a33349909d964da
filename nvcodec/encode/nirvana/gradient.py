"""The synthesis network in floats, and its gradient with respect to the features (spec 13).

Takes features in samples; gives rendered values of a band of patch rows and, for the error of
these, the gradient by the features. The same bands give the same numbers on any number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.components import Components
from nvcodec.coding.nirvana.table import WIDE, WIDTH, load, network_offset
from nvcodec.model.nirvana.network import output_layer
from nvcodec.model.nirvana.parameters import Band

Floats = npt.NDArray[np.float32]

_LIMIT = 4095 / 256
_NEAR = 9 * WIDE
_INPUT_LIMIT = 4095 / 512


class FloatNetwork(NamedTuple):
    """Weights in floats, (inputs, units); those of `first` are in the order of spec 13."""

    basis: Floats
    first: Floats
    second: Floats
    third: Floats
    first_bias: Floats
    second_bias: Floats
    third_bias: Floats
    scale: Floats


@lru_cache(16)
def float_network(q: int, components: Components) -> FloatNetwork:
    """The network of table 1 for groups of quantiser index q, with their components."""
    table = load()
    third, third_bias = output_layer(components)
    offset = network_offset(q)
    first, second = (2.0 ** int(shift) for shift in table.shifts[:2])
    near = table.first.transpose(2, 3, 1, 0).reshape(-1, WIDTH)
    taps = np.concatenate([near, table.first_own.T])
    bias = table.first_bias[0] + offset * table.first_bias[1].astype(np.int64)

    def real(tensor: npt.NDArray[np.integer], unit: float) -> Floats:
        values: Floats = np.ascontiguousarray(tensor / unit, np.float32)
        return values

    return FloatNetwork(
        basis=real(table.basis, 8192),
        # Inputs are in 1/512, units in 1/256.
        first=real(taps, first / 2),
        second=real(table.second.T, second),
        third=real(third.T, 65536 / 256),
        first_bias=real(bias, 256 * first),
        second_bias=real(table.second_bias, 256 * second),
        third_bias=real(third_bias, 65536),
        scale=real(table.scale, 64 * 32768),
    )


class Rendered(NamedTuple):
    """A rendered band: the output of its patches (rows * columns, VOLUME), and for `slope` more.

    `inside` (rows + 2, columns, FEATURES) says which inputs are not clipped, also of the rows
    around; `first` and `second` are the hidden layers' units.
    """

    output: Floats
    inside: npt.NDArray[np.bool_]
    first: Floats
    second: Floats


def _unit(x: Floats) -> Floats:
    units: Floats = np.clip(np.maximum(x, x * np.float32(0.125)), -_LIMIT, _LIMIT)
    return units


def render(net: FloatNetwork, features: Floats, band: Band) -> Rendered:
    """Values around 0 of a band of features (rows, columns, FEATURES) in samples."""
    first, end = band
    rows, (height, columns, count) = end - first, features.shape
    around = np.zeros((rows + 2, columns, count), np.float32)
    top, bottom = max(0, first - 1), min(height, end + 1)
    around[top - first + 1 : bottom - first + 1] = features[top:bottom]
    around *= net.scale
    inside = np.abs(around) < _INPUT_LIMIT
    np.clip(around, -_INPUT_LIMIT, _INPUT_LIMIT, out=around)
    # The first layer takes WIDE features of 3 x 3 patches, 0 outside, then the other features.
    wide = np.pad(around[:, :, :WIDE], ((0, 0), (1, 1), (0, 0)))
    inputs = np.empty((rows, columns, _NEAR + count - WIDE), np.float32)
    for tap in range(9):
        part = wide[tap // 3 : tap // 3 + rows, tap % 3 : tap % 3 + columns]
        inputs[:, :, tap * WIDE : (tap + 1) * WIDE] = part
    inputs[:, :, _NEAR:] = around[1:-1, :, WIDE:]
    one = _unit(inputs.reshape(rows * columns, -1) @ net.first + net.first_bias)
    two = _unit(one @ net.second + net.second_bias)
    output = features[first:end].reshape(-1, count) @ net.basis.T
    output += two @ net.third
    output += net.third_bias
    return Rendered(output, inside, one, two)


def slope(net: FloatNetwork, rendered: Rendered, error: Floats) -> Floats:
    """Half the gradient of a band's squared `error`, rendered minus wanted values, by features.

    (rows + 2, columns, FEATURES): a band sees the rows around it too.
    """
    _, columns, count = rendered.inside.shape
    rows = len(rendered.inside) - 2

    def back(gradient: Floats, units: Floats) -> Floats:
        gradient *= np.where(units > 0, np.float32(1), np.float32(0.125))
        gradient *= np.abs(units) < _LIMIT
        return gradient

    second = back(error @ net.third.T, rendered.second)
    first = back(second @ net.second.T, rendered.first)
    taps = (first @ net.first.T).reshape(rows, columns, -1)
    wide = np.zeros((rows + 2, columns + 2, WIDE), np.float32)
    for tap in range(9):
        part = wide[tap // 3 : tap // 3 + rows, tap % 3 : tap % 3 + columns]
        part += taps[:, :, tap * WIDE : (tap + 1) * WIDE]
    change = np.zeros((rows + 2, columns, count), np.float32)
    change[:, :, :WIDE] = wide[:, 1:-1]
    change[1:-1, :, WIDE:] = taps[:, :, _NEAR:]
    change *= net.scale
    change *= rendered.inside
    change[1:-1] += (error @ net.basis).reshape(rows, columns, count)
    return change
