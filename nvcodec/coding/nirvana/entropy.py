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
    ALWAYS,
    FEATURES,
    GATED,
    NEAR,
    NEAR_INPUTS,
    SECOND_UNITS,
    SLICES,
    STARTS,
    UNITS,
    WHOLE,
    load,
    network_offset,
    outputs,
)
from nvcodec.compiled import Integer, inlined, kernel
from nvcodec.products import add_products, sum_products

_TAPS = 9
_CENTRE = 4
_CAUSAL = 4
"""Taps of the own slice: the patches up-left, up, up-right and left."""
_PAIRS = UNITS // 2
_SECOND_PAIRS = SECOND_UNITS // 2
_GROUP = 48
"""Outputs that are summed at once, in three vectors of 16."""
_STARTS = np.array(STARTS, np.int64)
_KINDS = np.array([outputs(s) for s in range(len(SLICES))], np.int64)
# Outputs of a slice, rounded up to whole groups, and their first places.
_ROOM = np.array([-(-k * n // _GROUP) * _GROUP for k, n in zip(_KINDS, SLICES, strict=True)])
_OUTPUT_AT = np.concatenate([[0], np.cumsum(_ROOM)]).astype(np.int64)
_WEIGHTS_AT = (_OUTPUT_AT * _SECOND_PAIRS).astype(np.int64)
_OWN_AT = (_STARTS * 2 * UNITS).astype(np.int64)
SLICE_OF = np.repeat(np.arange(len(SLICES)), SLICES).astype(np.int64)
"""The slice of each feature."""

MOST_OUTPUTS = int(_ROOM.max())
MOST_FEATURES = max(SLICES)


class EntropyNetwork(NamedTuple):
    """The network's weights as words of pairs, in the order in which kernels read them.

    `spread` has, for each feature, slice and tap, a word for each unit. `own` has, for each slice,
    its inputs' words, `second` and `output` those of hidden units. `near` has, for each of
    NEAR_INPUTS features and tap, a word for each feature that it predicts. `first_bias` is (3,
    slices, UNITS), `second_bias` (slices, SECOND_UNITS), `output_bias` (2, outputs of all slices).
    """

    spread: npt.NDArray[np.int32]
    near: npt.NDArray[np.int32]
    own: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    output: npt.NDArray[np.int32]
    first_bias: npt.NDArray[np.int32]
    second_bias: npt.NDArray[np.int32]
    output_bias: npt.NDArray[np.int32]
    log: npt.NDArray[np.int32]
    zero_cost: npt.NDArray[np.int32]
    shifts: npt.NDArray[np.int32]


def _columns(matrix: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Words of inputs of a layer (units, inputs) as `_activate` pairs them: for each all units."""
    units, inputs = matrix.shape
    return _words(matrix.reshape(units, 2, inputs // 2).transpose(2, 0, 1)).ravel()


def _words(pairs: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Words of the last axis, which has pairs."""
    return np.ascontiguousarray(pairs.astype(np.int16)).view(np.int32)[..., 0]


@lru_cache
def entropy_network() -> EntropyNetwork:
    """The network of table 1."""
    table = load()
    spread = np.zeros((FEATURES, len(SLICES), _TAPS, UNITS), np.int32)
    own, second, output, output_bias = [], [], [], []
    for s, n in enumerate(SLICES):
        # Tap (ky, kx) sees the residuals of the patch at (ky - 1, kx - 1).
        earlier, start = (
            table.earlier[s].transpose(2, *range(3, table.earlier[s].ndim), 0, 1),
            STARTS[s],
        )
        taps = slice(None) if s < WHOLE else _CENTRE
        spread[:start, s, taps] = _words(earlier)
        spread[start : STARTS[s + 1], s, :_CAUSAL] = _words(table.context[s].transpose(2, 3, 0, 1))
        # Inputs in pairs: (value, logarithm) of the moved feature, then of the difference to it.
        mine = table.own[s].reshape(UNITS, 2, 2, n)
        own.append(_words(mine.transpose(3, 1, 0, 2)).ravel())
        second.append(_columns(table.hidden[s]))
        room = int(_ROOM[s])
        weights = np.zeros((room, SECOND_UNITS), np.int16)
        weights[: outputs(s) * n] = table.output[s].reshape(-1, SECOND_UNITS)
        output.append(_columns(weights))
        bias = np.zeros((2, room), np.int32)
        bias[:, : outputs(s) * n] = table.output_bias[s].reshape(2, -1)
        output_bias.append(bias)
    near = np.zeros((NEAR_INPUTS, _TAPS, NEAR, 2), np.int16)
    near[..., 0] = table.neighbour.reshape(NEAR, NEAR_INPUTS, _TAPS).transpose(1, 2, 0)
    return EntropyNetwork(
        spread=spread.ravel(),
        near=_words(near).ravel(),
        own=np.concatenate(own),
        second=np.concatenate(second),
        output=np.concatenate(output),
        first_bias=np.ascontiguousarray(np.stack(table.context_bias, 1)),
        second_bias=np.stack(table.hidden_bias).astype(np.int32),
        output_bias=np.concatenate(output_bias, 1),
        log=table.log.astype(np.int32),
        zero_cost=table.zero_cost.astype(np.int32),
        shifts=table.shifts.astype(np.int32),
    )


@kernel
def _word(network: EntropyNetwork, a: Integer) -> Integer:
    """The word of Value(a) and Log(a)."""
    value = min(240, max(-240, a))
    return np.int32((value & 0xFFFF) | (network.log[min(4095, abs(a))] << 16))


class Surroundings(NamedTuple):
    """What the network sees of a layer of a group, and its sums so far.

    `sums` is int32, (slices, patches, UNITS) flat, `near` (patches, NEAR) flat: `near` of spec 12.3
    in 1/256. `bias` are the outputs' of all slices. `residual` is int32 (patches, FEATURES),
    `number` int32 (patches,): how many slices a patch has, at least ALWAYS. Sums of other slices
    are not kept up. `moved` and `before` are int16 (patches, FEATURES), both empty in a key group:
    moved features, and the features of the group before; `reciprocal` makes steps of them (spec
    12.1). `totals`, `words`, `own`, `change` and `found` are for intermediate results; `found` is
    int32 (4, MOST_FEATURES): mean, class, part and fraction of each feature of a slice. `kind` is
    that of spec 11.6.
    """

    sums: npt.NDArray[np.int32]
    near: npt.NDArray[np.int32]
    bias: npt.NDArray[np.int32]
    residual: npt.NDArray[np.int32]
    number: npt.NDArray[np.int32]
    moved: npt.NDArray[np.int16]
    before: npt.NDArray[np.int16]
    totals: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    own: npt.NDArray[np.int32]
    change: npt.NDArray[np.int32]
    found: npt.NDArray[np.int32]
    reciprocal: int
    rows: int
    columns: int
    kind: int
    key: bool


MEAN, CLASS, PART, FRACTION = range(4)
"""Rows of `Surroundings.found`."""


def surroundings(
    rows: int,
    columns: int,
    kind: int,
    q: int,
    reciprocal: int,
    moved: npt.NDArray[np.int16],
    before: npt.NDArray[np.int16] | None,
) -> Surroundings:
    """Those of a layer before its first residual; its patches have all slices.

    `moved` and `before` are int16 (patches, FEATURES) in 1/8 sample. `before` is None in a key
    group.
    """
    patches, key = rows * columns, before is None
    network, offset = entropy_network(), network_offset(q)
    start = network.first_bias[0] + offset * network.first_bias[1]
    if before is None:
        start = start + network.first_bias[2]
        moved = before = np.empty((0, FEATURES), np.int16)
    bias = network.output_bias[0] + offset * network.output_bias[1]
    sums = np.repeat(start.astype(np.int32)[:, None], patches, 1)
    return Surroundings(
        sums=sums.ravel(),
        near=np.zeros(patches * NEAR, np.int32),
        bias=bias.astype(np.int32),
        residual=np.zeros((patches, FEATURES), np.int32),
        number=np.full(patches, len(SLICES), np.int32),
        moved=moved,
        before=before,
        totals=np.zeros(max(MOST_OUTPUTS, UNITS, SECOND_UNITS), np.int32),
        words=np.zeros(max(_PAIRS, _SECOND_PAIRS), np.int32),
        own=np.zeros(2 * MOST_FEATURES, np.int32),
        change=np.zeros(MOST_FEATURES, np.int32),
        found=np.zeros((4, MOST_FEATURES), np.int32),
        reciprocal=reciprocal,
        rows=rows,
        columns=columns,
        kind=kind,
        key=key,
    )


def alone(seen: Surroundings) -> Surroundings:
    """The same with intermediate results of its own, for one of several tasks."""
    return seen._replace(
        totals=np.empty_like(seen.totals),
        words=np.empty_like(seen.words),
        own=np.empty_like(seen.own),
        change=np.empty_like(seen.change),
        found=np.empty_like(seen.found),
    )


@kernel
def _in_steps(a: Integer, reciprocal: np.int32) -> np.int32:
    """InSteps(a) of spec 12.1."""
    v = (np.int32(a) * reciprocal + np.int32(16384)) >> np.int32(15)
    return min(np.int32(32767), max(np.int32(-32767), v))


@kernel
def _activate(seen: Surroundings, pairs: Integer, shift: np.int32) -> None:
    """Words of hidden units u and u + `pairs`, from `seen.totals` (Hidden of spec 12.3)."""
    totals, words = seen.totals, seen.words
    half = np.int32(1) << (shift - np.int32(1))
    for u in range(pairs):
        low = (totals[u] + half) >> shift
        high = (totals[pairs + u] + half) >> shift
        low = min(np.int32(4095), max(np.int32(-4095), max(low, low >> np.int32(3))))
        high = min(np.int32(4095), max(np.int32(-4095), max(high, high >> np.int32(3))))
        words[u] = (low & np.int32(0xFFFF)) | (high << np.int32(16))


@inlined
def _hidden(network: EntropyNetwork, seen: Surroundings, s: Integer, patch: Integer) -> None:
    """Words of pairs of the units of the second hidden layer, for a slice in a patch."""
    totals, words = seen.totals, seen.words
    at = (s * seen.rows * seen.columns + patch) * UNITS
    for u in range(UNITS):
        totals[u] = seen.sums[at + u]
    if not seen.key:
        first = _STARTS[s]
        count = _STARTS[s + 1] - first
        reciprocal = np.int32(seen.reciprocal)
        for k in range(count):
            moved = _in_steps(seen.moved[patch, first + k], reciprocal)
            change = _in_steps(seen.before[patch, first + k], reciprocal) - moved
            seen.change[k] = change
            seen.own[2 * k] = _word(network, np.int64(moved))
            seen.own[2 * k + 1] = _word(network, np.int64(change))
        sum_products(3, totals, 0, network.own, _OWN_AT[s], UNITS, seen.own, 0, 2 * count)
    _activate(seen, _PAIRS, network.shifts[2])
    for u in range(SECOND_UNITS):
        totals[u] = network.second_bias[s, u]
    weights = s * SECOND_UNITS * _PAIRS
    sum_products(4, totals, 0, network.second, weights, SECOND_UNITS, words, 0, _PAIRS)
    _activate(seen, _SECOND_PAIRS, network.shifts[3])


@kernel
def _gate(a: np.int32) -> np.int32:
    return min(np.int32(64), max(np.int32(0), np.int32(32) + (a >> np.int32(2))))


@inlined
def predict(network: EntropyNetwork, seen: Surroundings, s: Integer, patch: Integer) -> Integer:
    """Fill `seen.found` for a slice of a patch; returns the sum of its prices of zeros."""
    _hidden(network, seen, s, patch)
    totals, found, near = seen.totals, seen.found, seen.near
    room, first = _ROOM[s], _STARTS[s]
    count = _STARTS[s + 1] - first
    at = _OUTPUT_AT[s]
    for k in range(room):
        totals[k] = seen.bias[at + k]
    for k in range(0, room, _GROUP):
        weights = _WEIGHTS_AT[s] + k
        sum_products(3, totals, k, network.output, weights, room, seen.words, 0, _SECOND_PAIRS)
    shift = network.shifts[4]
    half = np.int32(1) << (shift - np.int32(1))
    for k in range(room):
        totals[k] = (totals[k] + half) >> shift
    for k in range(count):
        found[MEAN, k] = totals[k]
    predicted = patch * NEAR + first
    if first < GATED:
        for k in range(count):
            value = np.int64(near[predicted + k] >> np.int32(2))
            found[MEAN, k] += (_gate(totals[3 * count + k]) * value) >> 6
    elif first < NEAR:
        for k in range(count):
            found[MEAN, k] += near[predicted + k] >> np.int32(2)
    if not seen.key:
        for k in range(count):
            gate = _gate(totals[2 * count + k])
            found[MEAN, k] += (gate * seen.change[k]) >> np.int32(4)
    price: Integer = np.int64(0)
    for k in range(count):
        mean = found[MEAN, k]
        rounded = (mean + np.int32(32)) >> np.int32(6)
        fraction = mean - np.int32(64) * rounded
        size = abs(fraction)
        part = np.int32(size >= 5) + np.int32(size >= 16)
        # Divided by 18: exact for all that is not clipped.
        level = min(np.int32(467), max(np.int32(0), totals[count + k] + np.int32(243)))
        kind = (level * np.int32(3641)) >> np.int32(16)
        found[MEAN, k] = rounded
        found[FRACTION, k] = fraction
        found[PART, k] = part
        found[CLASS, k] = kind
    for k in range(count):
        price += network.zero_cost[found[CLASS, k], found[PART, k]]
    return price


@inlined
def spread(
    network: EntropyNetwork,
    seen: Surroundings,
    f: Integer,
    patch: Integer,
    begin: Integer,
    end: Integer,
) -> None:
    """Add the products of a residual that is not 0 to all sums of slices begin..end-1.

    Also to `near` of these slices.
    """
    word = _word(network, 16 * np.int64(seen.residual[patch, f]))
    value = np.int32(seen.residual[patch, f] & 0xFFFF)
    own = SLICE_OF[f]
    x, y = patch % seen.columns, patch // seen.columns
    patches = seen.rows * seen.columns
    for tap in range(_TAPS):
        # Tap (ky, kx) of a patch sees the patch at (ky - 1, kx - 1) from it.
        row, column = y + 1 - tap // 3, x + 1 - tap % 3
        if row < 0 or row >= seen.rows or column < 0 or column >= seen.columns:
            continue
        target = row * seen.columns + column
        last = min(end, np.int64(seen.number[target]))
        if tap != _CENTRE and own < WHOLE:
            last = min(last, np.int64(WHOLE))
        for s in range(max(begin, own if tap < _CAUSAL else own + 1), last):
            at = (s * patches + target) * UNITS
            weights = ((f * len(SLICES) + s) * _TAPS + tap) * UNITS
            add_products(3, seen.sums, at, network.spread, weights, word)
        if f < NEAR_INPUTS:
            # Blocks of 16: three for the slices that all patches have, two for slice ALWAYS.
            at, weights = target * NEAR, (f * _TAPS + tap) * NEAR
            if begin == 0:
                add_products(3, seen.near, at, network.near, weights, value)
            if last > ALWAYS:
                add_products(2, seen.near, at + 48, network.near, weights + 48, value)
