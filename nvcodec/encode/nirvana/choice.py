"""Residuals by rate and distortion: real features in, integers out (spec 11.6, 12.3).

Residuals are chosen in coding order, with the entropy network's own prediction of each.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.entropy import (
    CLASS,
    FRACTION,
    MEAN,
    EntropyNetwork,
    Surroundings,
    predict,
    spread,
)
from nvcodec.coding.nirvana.table import CLASSES, SLICES, STARTS
from nvcodec.compiled import Integer, kernel
from nvcodec.model.nirvana.moved import step_of

_STARTS = np.array(STARTS, np.int64)
_REACH = 12
_FRACTIONS = 64
# Share of the broad distribution in which every residual is possible, and its scale.
_BROAD, _BROAD_SCALE = 0.002, 1.2

BITS_PER_SQUARE = 5.0
"""Bits that the squared error of a whole quantiser step is worth: step^2 / lambda."""


def bit_price(quantiser: int) -> float:
    """Squared error that a bit is worth in groups of this quantiser index."""
    return (step_of(quantiser) / 64) ** 2 / BITS_PER_SQUARE


def _laplace(x: npt.NDArray[np.float64], scale: float) -> npt.NDArray[np.float64]:
    """Probability of the unit interval around x, of a Laplace distribution of this scale."""
    a = np.abs(x)
    tail = 0.5 * (np.exp(-np.maximum(a - 0.5, 0) / scale) - np.exp(-(a + 0.5) / scale))
    inner = (
        1
        - 0.5 * np.exp(-(0.5 - np.minimum(a, 0.5)) / scale)
        - 0.5 * np.exp(-(0.5 + np.minimum(a, 0.5)) / scale)
    )
    return np.where(a > 0.5, tail, inner)


@lru_cache(1)
def price_table() -> npt.NDArray[np.float32]:
    """Bits of x residuals above the mean, |x| <= 12: float32 (CLASSES, 64 fractions, 25)."""
    x = np.arange(-_REACH, _REACH + 1)[None] - (np.arange(_FRACTIONS)[:, None] - 32) / 64
    out = np.empty((CLASSES, *x.shape), np.float32)
    for kind in range(CLASSES):
        scale = math.exp((18 * kind - 243 + 9) / 64)
        p = (1 - _BROAD) * _laplace(x, scale) + _BROAD * _laplace(x, _BROAD_SCALE)
        out[kind] = -np.log2(p)
    return out


@kernel
def _price(prices: np.ndarray, kind: Integer, fraction: Integer, x: Integer) -> Integer:
    """Bits of a residual x above the mean; those far away follow the slope of the last two."""
    row = prices[kind, fraction + 32]
    if abs(x) <= _REACH:
        return row[x + _REACH]
    end = 2 * _REACH if x > 0 else 0
    inner = end - 1 if x > 0 else 1
    return row[end] + (abs(x) - _REACH) * max(np.float32(0.05), row[end] - row[inner])


@kernel
def choose_residuals(
    network: EntropyNetwork,
    seen: Surroundings,
    wanted: np.ndarray,
    prices: np.ndarray,
    per_square: Integer,
) -> Integer:
    """Fill `seen.residual` for real residuals `wanted`, float32 (patches, FEATURES), in steps.

    A bit costs 1 / `per_square` of the squared error of a step. Returns the bits.
    """
    bits = 0.0
    scale = np.float32(1.0 / per_square)
    found = seen.found
    for s in range(len(SLICES)):
        first = _STARTS[s]
        for patch in range(seen.rows * seen.columns):
            predict(network, seen, s, patch)
            for k in range(_STARTS[s + 1] - first):
                f = first + k
                z = wanted[patch, f]
                mean, kind, fraction = found[MEAN, k], found[CLASS, k], found[FRACTION, k]
                near = np.int64(np.floor(z + np.float32(0.5)))
                best = mean
                d = z - np.float32(mean)
                chosen = _price(prices, kind, fraction, 0)
                least = d * d + scale * chosen
                if near != mean:
                    inner = near - 1 if near > mean else near + 1
                    for c in range(3):
                        r = near if c == 0 else inner if c == 1 else np.int64(0)
                        d = z - np.float32(r)
                        price = _price(prices, kind, fraction, r - mean)
                        cost = d * d + scale * price
                        if cost < least:
                            least, best, chosen = cost, r, price
                bits += chosen
                best = min(np.int64(16383), max(np.int64(-16383), best))
                seen.residual[patch, f] = best
                if best != 0:
                    spread(network, seen, f, patch)
    return bits
