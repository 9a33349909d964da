"""The synthesis network in floats, and its gradient with respect to the features (spec 13).

Takes features of a band of patch rows in samples; gives rendered values around 0 and, for the error
of these, the change of features that makes it smaller. Matrix products of fixed bands: the same
numbers for any number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.components import Components
from nvcodec.coding.nirvana.table import FEATURES, WIDE, WIDTH, load, network_offset
from nvcodec.model.nirvana.network import output_layer

Floats = npt.NDArray[np.float32]

_LIMIT = 4095 / 256
_NEAR = 9 * WIDE
_INPUT_LIMIT = 4095 / 512
_BAND = 8
"""Rows of patches whose inputs are laid out at once."""


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
    """What `slope` needs of a rendering: the output and the hidden layers' units."""

    output: Floats
    inside: npt.NDArray[np.bool_]
    first: Floats
    second: Floats


def _unit(x: Floats) -> Floats:
    units: Floats = np.clip(np.maximum(x, x * np.float32(0.125)), -_LIMIT, _LIMIT)
    return units


def _first_layer(net: FloatNetwork, a: Floats) -> Floats:
    """Sums of the first layer: (rows * columns, WIDTH).

    Its inputs are WIDE features of 3 x 3 patches (0 outside), then the others. They are nine times
    the features, so they are laid out for a few rows at once.
    """
    rows, columns, count = a.shape
    padded = np.zeros((rows + 2, columns + 2, WIDE), np.float32)
    padded[1:-1, 1:-1] = a[:, :, :WIDE]
    sums = np.empty((rows * columns, WIDTH), np.float32)
    for y in range(0, rows, _BAND):
        band = min(_BAND, rows - y)
        inputs = np.empty((band, columns, _NEAR + count - WIDE), np.float32)
        for tap in range(9):
            top, left = y + tap // 3, tap % 3
            part = padded[top : top + band, left : left + columns]
            inputs[:, :, tap * WIDE : (tap + 1) * WIDE] = part
        inputs[:, :, _NEAR:] = a[y : y + band, :, WIDE:]
        part = inputs.reshape(band * columns, -1) @ net.first
        sums[y * columns : (y + band) * columns] = part
    return sums + net.first_bias


def _first_slope(net: FloatNetwork, gradient: Floats, rows: int, columns: int) -> Floats:
    """The gradient by scaled features from that by the sums of the first layer."""
    count = FEATURES - WIDE
    near = np.zeros((rows + 2, columns + 2, WIDE), np.float32)
    own = np.empty((rows, columns, count), np.float32)
    for y in range(0, rows, _BAND):
        band = min(_BAND, rows - y)
        taps = gradient[y * columns : (y + band) * columns] @ net.first.T
        taps = taps.reshape(band, columns, -1)
        for tap in range(9):
            top, left = y + tap // 3, tap % 3
            part = near[top : top + band, left : left + columns]
            part += taps[:, :, tap * WIDE : (tap + 1) * WIDE]
        own[y : y + band] = taps[:, :, _NEAR:]
    return np.concatenate([near[1:-1, 1:-1], own], 2)


def render(net: FloatNetwork, features: Floats) -> Rendered:
    """Values (rows * columns, VOLUME) of features (rows, columns, FEATURES) in samples."""
    scaled = features * net.scale
    inside = np.abs(scaled) < _INPUT_LIMIT
    first = _unit(_first_layer(net, np.clip(scaled, -_INPUT_LIMIT, _INPUT_LIMIT)))
    second = _unit(first @ net.second + net.second_bias)
    output = features.reshape(-1, FEATURES) @ net.basis.T + second @ net.third + net.third_bias
    return Rendered(output, inside, first, second)


def slope(net: FloatNetwork, rendered: Rendered, error: Floats) -> Floats:
    """Half the gradient of the squared `error`, rendered minus wanted values, by the features."""
    rows, columns, count = rendered.inside.shape
    direct = error @ net.basis

    def back(gradient: Floats, units: Floats) -> Floats:
        gradient *= np.where(units > 0, np.float32(1), np.float32(0.125))
        gradient *= np.abs(units) < _LIMIT
        return gradient

    second = back(error @ net.third.T, rendered.second)
    first = back(second @ net.second.T, rendered.first)
    scaled = _first_slope(net, first, rows, columns)
    change: Floats = direct.reshape(rows, columns, count) + scaled * net.scale * rendered.inside
    return change
