"""The entropy network (spec 12.3): from features to how probable each residual is.

Takes residuals of the patches and slices that are coded already, moved features and features of the
group before. Gives the mean, class and part of each feature of a slice in a patch. A residual that
is not 0 is *spread*: its products are added to the sums of all units that see it. So the work
follows the number of such residuals.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.table import (
    CLASSES,
    FEATURES,
    NEAR,
    SLICES,
    STARTS,
    UNITS,
    WIDE,
    load,
    network_offset,
    outputs,
)
from nvcodec.compiled import Integer, kernel
from nvcodec.products import add_products, sum_products

_TAPS = 9
_CENTRE = 4
_CAUSAL = 4
"""Taps of the own slice: the patches up-left, up, up-right and left."""
_PAIRS = UNITS // 2
_LANES = 16
_STARTS = np.array(STARTS, np.int64)
_KINDS = np.array([outputs(s) for s in range(len(SLICES))], np.int64)
# Outputs of a slice, rounded up to whole vectors, and their first places.
_ROOM = np.array([-(-k * n // _LANES) * _LANES for k, n in zip(_KINDS, SLICES, strict=True)])
_OUTPUT_AT = np.concatenate([[0], np.cumsum(_ROOM)]).astype(np.int64)
_WEIGHTS_AT = (_OUTPUT_AT * _PAIRS).astype(np.int64)
_OWN_AT = (_STARTS * 2 * UNITS).astype(np.int64)
_SLICE = np.repeat(np.arange(len(SLICES)), SLICES).astype(np.int64)

MOST_OUTPUTS = int(_ROOM.max())
MOST_FEATURES = max(SLICES)


class EntropyNetwork(NamedTuple):
    """The network's weights as words of pairs, in the order in which kernels read them.

    `spread` has, for each feature, slice and tap, a word for each unit. `own` has, for each slice,
    its inputs' words, `output` its units'. `hidden_bias` is (3, slices, UNITS), `output_bias`
    (2, outputs of all slices).
    """

    spread: npt.NDArray[np.int32]
    own: npt.NDArray[np.int32]
    output: npt.NDArray[np.int32]
    hidden_bias: npt.NDArray[np.int32]
    output_bias: npt.NDArray[np.int32]
    neighbour: npt.NDArray[np.int32]
    log: npt.NDArray[np.int32]
    zero_cost: npt.NDArray[np.int32]
    shifts: npt.NDArray[np.int32]


def _words(pairs: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Words of the last axis, which has pairs."""
    return np.ascontiguousarray(pairs.astype(np.int16)).view(np.int32)[..., 0]


@lru_cache
def entropy_network() -> EntropyNetwork:
    """The network of table 1."""
    table = load()
    spread = np.zeros((FEATURES, len(SLICES), _TAPS, UNITS), np.int32)
    own, output, output_bias = [], [], []
    for s, n in enumerate(SLICES):
        # Tap (ky, kx) sees the residuals of the patch at (ky - 1, kx - 1).
        earlier, start = (
            table.earlier[s].transpose(2, *range(3, table.earlier[s].ndim), 0, 1),
            STARTS[s],
        )
        taps = slice(None) if start < WIDE else _CENTRE
        spread[:start, s, taps] = _words(earlier)
        spread[start : STARTS[s + 1], s, :_CAUSAL] = _words(table.context[s].transpose(2, 3, 0, 1))
        # Inputs in pairs: (value, logarithm) of the moved feature, then of the difference to it.
        mine = table.own[s].reshape(UNITS, 2, 2, n)
        own.append(_words(mine.transpose(3, 1, 0, 2)).ravel())
        room = int(_ROOM[s])
        weights = np.zeros((room, UNITS), np.int16)
        weights[: outputs(s) * n] = table.output[s].reshape(-1, UNITS)
        output.append(_words(weights.reshape(room, _PAIRS, 2).transpose(1, 0, 2)).ravel())
        bias = np.zeros((2, room), np.int32)
        bias[:, : outputs(s) * n] = table.output_bias[s].reshape(2, -1)
        output_bias.append(bias)
    return EntropyNetwork(
        spread=spread.ravel(),
        own=np.concatenate(own),
        output=np.concatenate(output),
        hidden_bias=np.ascontiguousarray(np.stack(table.context_bias, 1)),
        output_bias=np.concatenate(output_bias, 1),
        neighbour=table.neighbour.astype(np.int32),
        log=table.log.astype(np.int32),
        zero_cost=table.zero_cost.astype(np.int32),
        shifts=table.shifts.astype(np.int32),
    )


class Surroundings(NamedTuple):
    """What the network sees of a group, and the sums of its units so far.

    `sums` is int32, (slices, patches, UNITS) flat. `residual`, `moved` and `change` are int32
    (patches, FEATURES): residuals, moved features in 1/16 step, and the difference to them of the
    features of the group before. `totals`, `words` and `found` are for intermediate results;
    `found` is int64 (4, MOST_FEATURES): mean, class, part and fraction of each feature of a slice.
    """

    sums: npt.NDArray[np.int32]
    residual: npt.NDArray[np.int32]
    moved: npt.NDArray[np.int32]
    change: npt.NDArray[np.int32]
    totals: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    found: npt.NDArray[np.int64]
    rows: int
    columns: int
    key: bool
    offset: int
    """CQ of spec 12.1."""


MEAN, CLASS, PART, FRACTION = range(4)
"""Rows of `Surroundings.found`."""


def surroundings(
    rows: int,
    columns: int,
    key: bool,
    q: int,
    moved: npt.NDArray[np.int32],
    change: npt.NDArray[np.int32],
) -> Surroundings:
    """Those of a group before its first residual."""
    patches = rows * columns
    network, offset = entropy_network(), network_offset(q)
    start = network.hidden_bias[0] + offset * network.hidden_bias[1]
    if key:
        start = start + network.hidden_bias[2]
    sums = np.repeat(start.astype(np.int32)[:, None], patches, 1)
    return Surroundings(
        sums=sums.ravel(),
        residual=np.zeros((patches, FEATURES), np.int32),
        moved=moved,
        change=change,
        totals=np.zeros(max(MOST_OUTPUTS, UNITS), np.int32),
        words=np.zeros(max(_PAIRS, 2 * MOST_FEATURES), np.int32),
        found=np.zeros((4, MOST_FEATURES), np.int64),
        rows=rows,
        columns=columns,
        key=key,
        offset=offset,
    )


@kernel
def _word(network: EntropyNetwork, a: Integer) -> Integer:
    """The word of Value(a) and Log(a)."""
    value = min(240, max(-240, a))
    return np.int32((value & 0xFFFF) | (network.log[min(4095, abs(a))] << 16))


@kernel
def _hidden(network: EntropyNetwork, seen: Surroundings, s: Integer, patch: Integer) -> None:
    """Words of pairs of the hidden units of a slice in a patch."""
    totals, words = seen.totals, seen.words
    at = (s * seen.rows * seen.columns + patch) * UNITS
    for u in range(UNITS):
        totals[u] = seen.sums[at + u]
    if not seen.key:
        first, end = _STARTS[s], _STARTS[s + 1]
        for f in range(first, end):
            words[2 * (f - first)] = _word(network, np.int64(seen.moved[patch, f]))
            words[2 * (f - first) + 1] = _word(network, np.int64(seen.change[patch, f]))
        sum_products(3, totals, 0, network.own, _OWN_AT[s], UNITS, words, 0, 2 * (end - first))
    shift = network.shifts[2]
    half = np.int32(1) << (shift - 1)
    for pair in range(_PAIRS):
        low = (totals[2 * pair] + half) >> shift
        high = (totals[2 * pair + 1] + half) >> shift
        low = min(np.int32(4095), max(np.int32(-4095), max(low, low >> 3)))
        high = min(np.int32(4095), max(np.int32(-4095), max(high, high >> 3)))
        words[pair] = np.int32((np.int64(low) & 0xFFFF) | (np.int64(high) << 16))


@kernel
def _gate(a: Integer) -> Integer:
    return min(np.int64(64), max(np.int64(0), 32 + (np.int64(a) >> 2)))


@kernel
def _near(network: EntropyNetwork, seen: Surroundings, f: Integer, patch: Integer) -> Integer:
    """`near` of spec 12.3."""
    x, columns = patch % seen.columns, seen.columns
    total: Integer = np.int64(0)
    if patch >= columns:
        if x > 0:
            total += np.int64(network.neighbour[f, 0]) * seen.residual[patch - columns - 1, f]
        total += np.int64(network.neighbour[f, 1]) * seen.residual[patch - columns, f]
        if x + 1 < columns:
            total += np.int64(network.neighbour[f, 2]) * seen.residual[patch - columns + 1, f]
    if x > 0:
        total += np.int64(network.neighbour[f, 3]) * seen.residual[patch - 1, f]
    return total >> 2


@kernel
def predict(network: EntropyNetwork, seen: Surroundings, s: Integer, patch: Integer) -> Integer:
    """Fill `seen.found` for a slice of a patch; returns the sum of its prices of zeros."""
    _hidden(network, seen, s, patch)
    totals, found = seen.totals, seen.found
    room, first = _ROOM[s], _STARTS[s]
    count = _STARTS[s + 1] - first
    at = _OUTPUT_AT[s]
    for k in range(room):
        totals[k] = network.output_bias[0, at + k] + seen.offset * network.output_bias[1, at + k]
    for k in range(0, room, _LANES):
        sum_products(
            1, totals, k, network.output, _WEIGHTS_AT[s] + k, room, seen.words, 0, _PAIRS
        )  # fmt: skip
    shift = network.shifts[3]
    half = np.int32(1) << (shift - 1)
    price: Integer = np.int64(0)
    for k in range(count):
        f = first + k
        mean = np.int64((totals[k] + half) >> shift)
        # Features of the first two slices are those that NEAR counts.
        if first < NEAR:
            gate = _gate((totals[3 * count + k] + half) >> shift)
            mean += (gate * _near(network, seen, f, patch)) >> 6
        if not seen.key:
            gate = _gate((totals[2 * count + k] + half) >> shift)
            mean += (gate * np.int64(seen.change[patch, f])) >> 4
        rounded = (mean + 32) >> 6
        fraction = mean - 64 * rounded
        part = 0 if abs(fraction) < 5 else 1 if abs(fraction) < 16 else 2
        scale = np.int64((totals[count + k] + half) >> shift)
        kind: Integer = min(CLASSES - 1, max(0, (scale + 243) // 18))
        found[MEAN, k] = rounded
        found[FRACTION, k] = fraction
        found[PART, k] = part
        found[CLASS, k] = kind
        price += network.zero_cost[kind, part]
    return price


@kernel
def spread(network: EntropyNetwork, seen: Surroundings, f: Integer, patch: Integer) -> None:
    """Add the products of a residual that is not 0 to all sums that it enters."""
    word = _word(network, 16 * np.int64(seen.residual[patch, f]))
    own = _SLICE[f]
    x, y = patch % seen.columns, patch // seen.columns
    patches = seen.rows * seen.columns
    for s in range(own, len(SLICES)):
        weights = (f * len(SLICES) + s) * _TAPS
        # Tap (ky, kx) of a patch sees the patch at (ky - 1, kx - 1) from it.
        begin, end = 0, _CAUSAL if s == own else _TAPS
        if s > own and _STARTS[s] >= WIDE:
            begin, end = _CENTRE, _CENTRE + 1
        for tap in range(begin, end):
            row, column = y + 1 - tap // 3, x + 1 - tap % 3
            if 0 <= row < seen.rows and 0 <= column < seen.columns:
                at = (s * patches + row * seen.columns + column) * UNITS
                add_products(3, seen.sums, at, network.spread, (weights + tap) * UNITS, word)
