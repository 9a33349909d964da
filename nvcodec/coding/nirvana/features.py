"""The content substream of a group (spec 11.6): residuals of features to bytes and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.difference import magnitude
from nvcodec.coding.nirvana.contexts import default_contexts
from nvcodec.coding.nirvana.entropy import (
    CLASS,
    FRACTION,
    MEAN,
    PART,
    EntropyNetwork,
    Surroundings,
    entropy_network,
    predict,
    spread,
)
from nvcodec.coding.nirvana.table import ALWAYS, CLASSES, FEATURES, SLICES, STARTS
from nvcodec.coding.rangecoder import RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import ENCODING, STATE_SIZE, Direction, bit, bypass, compile_syntax
from nvcodec.compiled import Integer, kernel
from nvcodec.format.errors import CorruptError

BUCKETS = 36
FIRST = (len(SLICES) - 1) * BUCKETS
ZERO = FIRST + BUCKETS
SIGN = ZERO + 3 * CLASSES
MORE = SIGN + 2 * CLASSES
PREFIX = MORE + 6 * CLASSES
LAST = PREFIX + 10
NUMBER = LAST + len(SLICES) - ALWAYS
BUSY = 5

LEAST_QUANTISER, MOST_QUANTISER = 4, 63
MAX_RESIDUAL = 16383

_STARTS = np.array(STARTS, np.int64)


@kernel
def bucket(n: Integer) -> Integer:
    """Bucket(n) of spec 11.6: twice the logarithm of n >= 1."""
    log: Integer = np.int64(0)
    while n >> (log + 1) > 0:
        log += 1
    if log == 0:
        return log
    return min(np.int64(BUCKETS - 1), 2 * log + ((n >> (log - 1)) & 1))


@kernel
def number_class(seen: Surroundings, patch: Integer, number: Integer) -> Integer:
    """Which NUMBER(kind, number - ALWAYS, longer, busy) of spec 11.6 a patch takes, from 0 on."""
    columns, numbers = seen.columns, seen.number
    x = patch % columns
    longer, count = np.int64(0), np.int64(0)
    if x > 0 and numbers[patch - 1] > number:
        longer += 1
    if patch >= columns:
        if numbers[patch - columns] > number:
            longer += 1
        if x + 1 < columns and numbers[patch - columns + 1] > number:
            longer += 1
    for f in range(_STARTS[ALWAYS - 1], _STARTS[ALWAYS]):
        if seen.residual[patch, f] != 0:
            count += 1
    busy = np.int64(0)
    while count >> busy > 0 and busy < BUSY - 1:
        busy += 1
    first = (len(SLICES) - ALWAYS) * seen.kind + number - ALWAYS
    return (4 * first + longer) * BUSY + busy


def residuals(
    coder: np.ndarray,
    contexts: np.ndarray,
    buffer: np.ndarray,
    network: EntropyNetwork,
    seen: Surroundings,
    broken: np.ndarray,
) -> None:
    """Syntax of a layer of spec 11.6: codes `seen.number` and `seen.residual`.

    The decoder fills both. A residual out of range sets broken[0].
    """
    patches = seen.rows * seen.columns
    found = seen.found
    slices = _STARTS.size - 1
    for s in range(slices):
        first = _STARTS[s]
        count = _STARTS[s + 1] - first
        if s == ALWAYS:
            for patch in range(patches):
                number = ALWAYS
                more = 1
                while number < slices and more != 0:
                    place = NUMBER + number_class(seen, patch, number)
                    more = bit(place, 1 if seen.number[patch] > number else 0)
                    number += more
                seen.number[patch] = number
            for patch in range(patches):
                for f in range(_STARTS[ALWAYS]):
                    if seen.residual[patch, f] != 0:
                        spread(network, seen, f, patch, ALWAYS, slices)
        for patch in range(patches):
            if seen.number[patch] <= s:
                continue
            left = predict(network, seen, s, patch)
            coded = 0
            if ENCODING:
                for k in range(count):
                    if seen.residual[patch, first + k] != found[MEAN, k]:
                        coded = 1
            place = s * BUCKETS + bucket(left)
            if s >= ALWAYS and seen.number[patch] == s + 1:
                place = LAST + s - ALWAYS
            coded = bit(place, coded)
            begun = 0
            for k in range(count):
                mean = found[MEAN, k]
                kind = found[CLASS, k]
                part = found[PART, k]
                x = 0
                if ENCODING:
                    x = seen.residual[patch, first + k] - mean
                if coded != 0:
                    nonzero = 1
                    if begun != 0:
                        nonzero = bit(ZERO + 3 * kind + part, 1 if x != 0 else 0)
                    elif k < count - 1:
                        price = np.int64(network.zero_cost[kind, part])
                        number = bucket(16 * left // price)
                        nonzero = bit(FIRST + number, 1 if x != 0 else 0)
                        left -= price
                    if nonzero != 0:
                        begun = 1
                        m = magnitude(abs(x), MORE + 6 * kind, PREFIX)
                        negative = 0
                        if part == 0:
                            negative = bypass(1 if x < 0 else 0)
                        else:
                            down = 1 if found[FRACTION, k] < 0 else 0
                            opposite = bit(SIGN + 2 * kind + part - 1, (1 if x < 0 else 0) ^ down)
                            negative = opposite ^ down
                        x = -m if negative != 0 else m
                    else:
                        x = 0
                value = mean + x
                if abs(value) > 16383:
                    broken[0] = 1
                    value = 0
                seen.residual[patch, first + k] = value
                if value != 0:
                    if s < ALWAYS:
                        spread(network, seen, first + k, patch, 0, ALWAYS)
                    else:
                        spread(network, seen, first + k, patch, ALWAYS, slices)


def quantiser(coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, q: np.ndarray) -> None:
    """Syntax of `q` (spec 11.6): int64 (1,)."""
    value = 0
    for j in range(6):
        b = bypass((q[0] >> (5 - j)) & 1)
        value = 2 * value + b
    q[0] = value


def _most_bits(patches: int) -> int:
    return 64 * patches * FEATURES


class ContentEncoder:
    """Writes the content substream of a group: the quantiser index, then residuals by layers.

    `patches` are those of all layers.
    """

    def __init__(self, q: int, patches: int) -> None:
        self._encoder = RangeEncoder(default_contexts().content, 2 * _most_bits(patches) // 8)
        self._encoder.run(compile_syntax(quantiser, Direction.ENCODE), np.array([q], np.int64))

    def write(self, seen: Surroundings) -> None:
        """Write the residuals of the next layer."""
        encode, broken = compile_syntax(residuals, Direction.ENCODE), np.zeros(1, np.int64)
        self._encoder.run(encode, entropy_network(), seen, broken)

    def finish(self) -> bytes:
        """The substream."""
        return self._encoder.finish()


def trace_content(seen: Surroundings) -> npt.NDArray[np.int32]:
    """The context-coded bits of these residuals, in order: 2 * context + bit."""
    state = np.zeros(STATE_SIZE, np.int64)
    record = np.empty(_most_bits(len(seen.residual)), np.int32)
    broken = np.zeros(1, np.int64)
    compile_syntax(residuals, Direction.TRACE)(
        state, default_contexts().content, record, entropy_network(), seen, broken
    )
    return record[: int(state[4])]


class ContentDecoder:
    """Reads a content substream: first the quantiser index, then the residuals by layers."""

    def __init__(self, content: bytes) -> None:
        self._decoder = RangeDecoder(content, default_contexts().content)
        q = np.zeros(1, np.int64)
        self._decoder.run(compile_syntax(quantiser, Direction.DECODE), q)
        self.quantiser = int(q[0])
        if self.quantiser < LEAST_QUANTISER:
            raise CorruptError(f"quantiser index {self.quantiser} is below 4", rule="11.6")

    def read(self, seen: Surroundings) -> npt.NDArray[np.int32]:
        """The residuals of the next layer: int32 (patches, FEATURES). Raises CorruptError."""
        broken = np.zeros(1, np.int64)
        decode = compile_syntax(residuals, Direction.DECODE)
        self._decoder.run(decode, entropy_network(), seen, broken)
        if broken[0]:
            raise CorruptError(f"a residual exceeds {MAX_RESIDUAL}", rule="11.6")
        return seen.residual

    def close(self) -> None:
        """Check the end of the substream, after the last layer; raises CorruptError."""
        self._decoder.close()
