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

from nvcodec.coding.nirvana.table import FEATURES, WIDTH, load

Floats = npt.NDArray[np.float32]

_LIMIT = 4095 / 256
_INPUT_LIMIT = 4095 / 512


class FloatNetwork(NamedTuple):
    """Weights in floats: `first` (9 * FEATURES, WIDTH), `second` (WIDTH, WIDTH), ..."""

    basis: Floats
    first: Floats
    second: Floats
    third: Floats
    first_bias: Floats
    second_bias: Floats
    third_bias: Floats
    scale: Floats


@lru_cache(16)
def float_network(q: int) -> FloatNetwork:
    """The network of table 1 for groups of quantiser index q."""
    table = load()
    offset = min(10, max(-16, q - 36))
    first, second = (2.0 ** int(shift) for shift in table.shifts[:2])
    taps = table.first.transpose(2, 3, 1, 0).reshape(-1, WIDTH)
    bias = table.first_bias[0] + offset * table.first_bias[1].astype(np.int64)

    def real(tensor: npt.NDArray[np.integer], unit: float) -> Floats:
        values: Floats = np.ascontiguousarray(tensor / unit, np.float32)
        return values

    return FloatNetwork(
        basis=real(table.basis, 8192),
        # Inputs are in 1/512, units in 1/256.
        first=real(taps, first / 2),
        second=real(table.second.T, second),
        third=real(table.third.T, 65536 / 256),
        first_bias=real(bias, 256 * first),
        second_bias=real(table.second_bias, 256 * second),
        third_bias=real(table.third_bias, 65536),
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


def _windows(a: Floats) -> Floats:
    """The 3 x 3 neighbours of each patch: (rows * columns, 9 * FEATURES), 0 outside."""
    rows, columns, count = a.shape
    padded = np.zeros((rows + 2, columns + 2, count), np.float32)
    padded[1:-1, 1:-1] = a
    out = np.empty((rows, columns, 9, count), np.float32)
    for tap in range(9):
        out[:, :, tap] = padded[tap // 3 : tap // 3 + rows, tap % 3 : tap % 3 + columns]
    return out.reshape(rows * columns, 9 * count)


def render(net: FloatNetwork, features: Floats) -> Rendered:
    """Values (rows * columns, VOLUME) of features (rows, columns, FEATURES) in samples."""
    scaled = features * net.scale
    inside = np.abs(scaled) < _INPUT_LIMIT
    first = _unit(
        _windows(np.clip(scaled, -_INPUT_LIMIT, _INPUT_LIMIT)) @ net.first + net.first_bias
    )
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
    taps = (first @ net.first.T).reshape(rows, columns, 9, count)
    padded = np.zeros((rows + 2, columns + 2, count), np.float32)
    for tap in range(9):
        padded[tap // 3 : tap // 3 + rows, tap % 3 : tap % 3 + columns] += taps[:, :, tap]
    scaled = padded[1:-1, 1:-1] * net.scale * rendered.inside
    return direct.reshape(rows, columns, count) + scaled
