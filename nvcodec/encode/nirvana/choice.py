"""Residuals by rate and distortion: real features in, integers out (spec 11.6, 12.3).

Residuals are chosen in coding order, with the entropy network's own prediction of each.
"""

from __future__ import annotations

import math
from concurrent.futures import Future
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.contexts import default_contexts
from nvcodec.coding.nirvana.entropy import (
    CLASS,
    FRACTION,
    MEAN,
    SLICE_OF,
    EntropyNetwork,
    Surroundings,
    alone,
    entropy_network,
    predict,
    spread,
)
from nvcodec.coding.nirvana.features import NUMBER, number_class
from nvcodec.coding.nirvana.table import ALWAYS, CLASSES, SLICES, STARTS
from nvcodec.compiled import Integer, kernel
from nvcodec.model.nirvana.moved import step_of
from nvcodec.tasks import TaskPool

_STARTS = np.array(STARTS, np.int64)
_WORTH = np.float32(0.5)
"""Smallest wanted residual that is worth bits."""
_BAND = 4
"""Rows of patches of a task."""
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
    s: Integer,
    begin: Integer,
    end: Integer,
    bits: np.ndarray,
    gain: np.ndarray,
) -> None:
    """Fill `seen.residual` of slice s of patches begin..end-1, where patches have that slice.

    `wanted` has real residuals, float32 (patches, FEATURES), in steps. A bit costs 1 / `per_square`
    of the squared error of a step. `bits` and `gain`, float32 (patches, slices), get the bits of
    the slice, and how much its cost is below that of residuals of 0 without bits.
    """
    found, first = seen.found, _STARTS[s]
    scale = np.float32(1.0 / per_square)
    for patch in range(begin, end):
        if seen.number[patch] <= s:
            continue
        predict(network, seen, s, patch)
        total, saved = np.float32(0), np.float32(0)
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
            total += chosen
            saved += z * z - least
            best = min(np.int64(16383), max(np.int64(-16383), best))
            seen.residual[patch, f] = best
            if best != 0:
                spread(network, seen, f, patch, 0, len(SLICES))
        bits[patch, s], gain[patch, s] = total, saved


@lru_cache(1)
def number_prices() -> npt.NDArray[np.float32]:
    """Bits of `more` in each class of spec 11.6: float32 (classes, 2)."""
    one = default_contexts().content[NUMBER:, 0] / 65536
    return -np.log2(np.stack([1 - one, one], 1)).astype(np.float32)


@kernel
def limit_numbers(wanted: np.ndarray, number: np.ndarray) -> None:
    """Fill `number`: after so many slices no wanted residual of a patch is worth any bits."""
    for patch in range(number.size):
        f = wanted.shape[1]
        while f > _STARTS[ALWAYS] and abs(wanted[patch, f - 1]) < _WORTH:
            f -= 1
        number[patch] = SLICE_OF[f - 1] + 1


@kernel
def settle_numbers(
    seen: Surroundings, prices: np.ndarray, per_square: Integer, bits: np.ndarray, gain: np.ndarray
) -> float:
    """Cut the numbers of slices of all patches where these cost more than they gain.

    Residuals of slices that are cut become 0. Takes what `choose_residuals` gives; returns the bits
    of the layer.
    """
    scale, total = np.float32(1.0 / per_square), 0.0
    slices = _STARTS.size - 1
    for patch in range(seen.number.size):
        best: Integer = np.int64(ALWAYS)
        most, kept = np.float32(-1e30), np.float32(0)
        # Of the slices so far: what they gain, their bits, the bits of `more`.
        value, used, more = np.float32(0), np.float32(0), np.float32(0)
        for n in range(ALWAYS, seen.number[patch] + 1):
            if n > ALWAYS:
                value += gain[patch, n - 1]
                used += bits[patch, n - 1]
            end, following = np.float32(0), np.float32(0)
            if n < slices:
                end, following = prices[number_class(seen, patch, n)]
            if value - scale * (more + end) > most:
                most, best = value - scale * (more + end), n
                kept = used + more + end
            more += following
        seen.number[patch] = best
        total += float(kept)
        for s in range(ALWAYS):
            total += float(bits[patch, s])
        for f in range(_STARTS[best], seen.residual.shape[1]):
            seen.residual[patch, f] = 0
    return total


def choose_all(
    seen: Surroundings, wanted: npt.NDArray[np.float32], per_square: float, tasks: TaskPool
) -> float:
    """Choose the residuals and numbers of slices of a layer in tasks; returns the bits.

    A slice sees earlier slices of patches around it, and patches above in its own. So a band of a
    slice comes after the band above, and after the band below in the slice before. Bands of two
    rows and more that run at the same time then add to the sums of different patches.
    """
    network, prices = entropy_network(), price_table()
    edges = [*range(0, seen.rows, _BAND), seen.rows]
    bits, gain = np.zeros((2, len(wanted), len(SLICES)), np.float32)
    limit_numbers(wanted, seen.number)
    before: list[Future[None]] = []
    for s in range(len(SLICES)):
        here: list[Future[None]] = []
        for k, (first, end) in enumerate(pairwise(edges)):
            work = partial(
                choose_residuals, network, alone(seen), wanted, prices, per_square, s,
                first * seen.columns, end * seen.columns, bits, gain,
            )  # fmt: skip
            here.append(tasks.submit(work, here[-1:] + before[k : k + 2][-1:]))
        before = here
    before[-1].result()
    return float(settle_numbers(seen, number_prices(), per_square, bits, gain))
