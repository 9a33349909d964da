"""The network substream of the hybrid model (spec 9.6): what a group does with the fusion network.

Takes and gives a mode and the changes of the output layer's weights. These are

* a filter that all luma planes share: int32 (networks, SHARED_TAPS);
* differences: int32 (networks, ROWS, LINEAR + units), a row for each plane of the output. Columns
  are the bias, the 3 x 3 taps of six planes, the six differences to each of two references, and the
  units of the last hidden layer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.difference import MAX_DIFFERENCE, difference
from nvcodec.coding.hybrid.leaves import lookup
from nvcodec.coding.hybrid.network_mode import KEEP, OFF, NetworkMode
from nvcodec.coding.rangecoder import Contexts, RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import ENCODING, STATE_SIZE, Direction, bit, compile_syntax
from nvcodec.tables import load_table

ROWS = 6
LINEAR = 67
"""Columns before those of the hidden units."""
SIDE = 5
"""Taps in a row of the shared filter."""
SHARED_TAPS = SIDE * SIDE
KINDS = 10
CLASSES = 3
PER_KIND = 7 * CLASSES + 10

# Numbers of the first context of each kind (spec 9.6).
CHANGED = 2
SHARED = 3
ROW = 4
DIFFERENCE = 6
NETWORK_CONTEXTS = DIFFERENCE + KINDS * PER_KIND

_SHARED_KIND = 7
_UNIT_KIND = 8
"""Kind of the hidden units' weights in luma rows; the next kind is theirs in chroma rows."""

Differences = npt.NDArray[np.int32]


def _kind(row: int, column: int) -> int:
    """Kind(p, i) of spec 9.6 for p = row, i = column: weights of a kind are coded alike."""
    if column == 0:
        return 0
    plane, kind = ((column - 1) // 9, 1) if column < 55 else ((column - 55) % 6, 4)
    if plane == row:
        return kind
    return kind + 1 if (plane < 4) == (row < 4) else kind + 2


_KIND = lookup([_kind(row, column) for row in range(ROWS) for column in range(LINEAR)])


def network_weights(
    coder: np.ndarray,
    contexts: np.ndarray,
    buffer: np.ndarray,
    mode: np.ndarray,
    shared: np.ndarray,
    d: np.ndarray,
) -> None:
    """Syntax of spec 9.6: `mode` is int64 (1,), `shared` and `d` are int32, zeros on entry of the
    decoder.
    """
    used = mode[0]
    keep = bit(KEEP, 1 if used == 0 else 0)
    mode[0] = 0
    if keep == 0:
        off = bit(OFF, 1 if used == 1 else 0)
        mode[0] = 2 - off
    count = d.shape[0]
    columns = d.shape[2]
    for n in range(count if mode[0] == 2 else 0):
        changed = 0
        filtered = 0
        if ENCODING:
            for j in range(SHARED_TAPS):
                if shared[n, j] != 0:
                    filtered = 1
            changed = filtered
            for r in range(ROWS):
                for i in range(columns):
                    if d[n, r, i] != 0:
                        changed = 1
        changed = bit(CHANGED, changed)
        if changed != 0:
            filtered = bit(SHARED, filtered)
            for j in range(SHARED_TAPS if filtered != 0 else 0):
                e = 0
                if j % SIDE > 0:
                    e += min(abs(shared[n, j - 1]), 15)
                if j >= SIDE:
                    e += min(abs(shared[n, j - SIDE]), 15)
                base = DIFFERENCE + PER_KIND * _SHARED_KIND
                x = difference(
                    shared[n, j], base + 7 * (0 if e == 0 else 1 if e < 3 else 2), base + 21
                )
                shared[n, j] = x
        previous = 1
        for r in range(ROWS if changed != 0 else 0):
            coded = 0
            if ENCODING:
                for i in range(columns):
                    if d[n, r, i] != 0:
                        coded = 1
            coded = bit(ROW + previous, coded)
            previous = coded
            left = 0
            for i in range(columns if coded != 0 else 0):
                e = left
                if r > 0:
                    e += min(abs(d[n, r - 1, i]), 15)
                kind = _UNIT_KIND if r < 4 else _UNIT_KIND + 1
                if i < LINEAR:
                    kind = _KIND[r * LINEAR + i]
                base = DIFFERENCE + PER_KIND * kind
                x = difference(
                    d[n, r, i], base + 7 * (0 if e == 0 else 1 if e < 3 else 2), base + 21
                )
                d[n, r, i] = x
                left = min(abs(x), 15)


def default_network_contexts() -> Contexts:
    """A fresh copy of the default contexts (spec 9.6): (NETWORK_CONTEXTS, 3) int32."""
    table = load_table("fusion_contexts.txt").reshape(NETWORK_CONTEXTS, 2)
    return np.ascontiguousarray(table[:, [0, 0, 1]])


def _most_bits(shared: Differences, differences: Differences) -> int:
    """Upper bound of the bits of these differences: 38 each (spec 3.3), and flags."""
    return 40 * (shared.size + differences.size) + 8


def _check(shared: Differences, differences: Differences) -> None:
    if (
        differences.ndim != 3
        or differences.shape[1] != ROWS
        or differences.shape[2] < LINEAR
        or shared.shape != (len(differences), SHARED_TAPS)
    ):
        raise ValueError(f"differences of shapes {shared.shape} and {differences.shape}")
    for part in (shared, differences):
        if part.size and int(np.abs(part.astype(np.int64)).max()) > MAX_DIFFERENCE:
            raise ValueError(f"a difference exceeds {MAX_DIFFERENCE}")


def no_differences(networks: int, units: int) -> tuple[Differences, Differences]:
    """A shared filter and differences, all 0; `units` are those of the last hidden layer."""
    shared = np.zeros((networks, SHARED_TAPS), np.int32)
    return shared, np.zeros((networks, ROWS, LINEAR + units), np.int32)


def encode_network(mode: NetworkMode, shared: Differences, differences: Differences) -> bytes:
    """The network substream of a group; empty for KEEP.

    `shared` and `differences` are used for NEW only. Raises ValueError when they cannot be coded.
    """
    _check(shared, differences)
    encoder = RangeEncoder(default_network_contexts(), 2 * _most_bits(shared, differences))
    parts = shared.astype(np.int32), differences.astype(np.int32)
    encode = compile_syntax(network_weights, Direction.ENCODE)
    encoder.run(encode, np.array([mode.value]), *parts)
    return encoder.finish()


def decode_network(
    data: bytes, networks: int, units: int
) -> tuple[NetworkMode, Differences, Differences]:
    """Mode, shared filter and differences of a network substream. Raises CorruptError.

    `units` is the number of units of the last hidden layer.
    """
    shared, differences = no_differences(networks, units)
    mode = np.zeros(1, np.int64)
    decoder = RangeDecoder(data, default_network_contexts())
    decoder.run(compile_syntax(network_weights, Direction.DECODE), mode, shared, differences)
    decoder.close()
    return NetworkMode(int(mode[0])), shared, differences


def trace_network(
    mode: NetworkMode, shared: Differences, differences: Differences
) -> npt.NDArray[np.int32]:
    """The context-coded bits of a substream, in order: int32 (bits,) of 2 * context + bit."""
    _check(shared, differences)
    record = np.empty(_most_bits(shared, differences), np.int32)
    state = np.zeros(STATE_SIZE, np.int64)
    parts = shared.astype(np.int32), differences.astype(np.int32)
    trace = compile_syntax(network_weights, Direction.TRACE)
    trace(state, default_network_contexts(), record, np.array([mode.value]), *parts)
    return record[: int(state[4])]
