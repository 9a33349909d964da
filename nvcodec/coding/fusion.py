"""The network substream of the hybrid model (spec 9.6): what a group does with the fusion network.

Takes and gives a mode and differences of trained weights: int32 (networks, rows, columns), a row
for each plane of the output, columns of the bias, of the 3 x 3 taps of six planes and of twice six
differences to references.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from nvcodec.coding.leaves import lookup
from nvcodec.coding.rangecoder import Contexts, RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import ENCODING, STATE_SIZE, Direction, bit, compile_syntax
from nvcodec.coding.weights import MAX_DIFFERENCE, difference
from nvcodec.tables import load_table

ROWS = 6
COLUMNS = 67
KINDS = 7
CLASSES = 3
PER_KIND = 7 * CLASSES + 10

# Numbers of the first context of each kind (spec 9.6).
KEEP = 0
OFF = 1
CHANGED = 2
ROW = 3
DIFFERENCE = 5
NETWORK_CONTEXTS = DIFFERENCE + KINDS * PER_KIND

Differences = npt.NDArray[np.int32]


class NetworkMode(Enum):
    """What a group does with the fusion network."""

    KEEP = 0
    """Use it with the weights that the group starts from."""
    OFF = 1
    """Do not use it; the weights stay as they are for the next group."""
    NEW = 2
    """Change its weights, and use it."""


def _kind(row: int, column: int) -> int:
    """How a weight is expected to change: by what it takes and what it gives."""
    if column == 0:
        return 0
    plane, kind = ((column - 1) // 9, 1) if column < 55 else ((column - 55) % 6, 4)
    if plane == row:
        return kind
    return kind + 1 if (plane < 4) == (row < 4) else kind + 2


_KIND = lookup([_kind(row, column) for row in range(ROWS) for column in range(COLUMNS)])


def network_weights(
    coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, mode: np.ndarray, d: np.ndarray
) -> None:
    """Syntax of spec 9.6: `mode` is int64 (1,), `d` int32 (networks, ROWS, COLUMNS), zeros on entry
    of the decoder.
    """
    used = mode[0]
    keep = bit(KEEP, 1 if used == 0 else 0)
    mode[0] = 0
    if keep == 0:
        off = bit(OFF, 1 if used == 1 else 0)
        mode[0] = 2 - off
    count = d.shape[0]
    for n in range(count if mode[0] == 2 else 0):
        changed = 0
        if ENCODING:
            for r in range(ROWS):
                for i in range(COLUMNS):
                    if d[n, r, i] != 0:
                        changed = 1
        changed = bit(CHANGED, changed)
        previous = 1
        for r in range(ROWS if changed != 0 else 0):
            coded = 0
            if ENCODING:
                for i in range(COLUMNS):
                    if d[n, r, i] != 0:
                        coded = 1
            coded = bit(ROW + previous, coded)
            previous = coded
            left = 0
            for i in range(COLUMNS if coded != 0 else 0):
                e = left
                if r > 0:
                    e += min(abs(d[n, r - 1, i]), 15)
                base = DIFFERENCE + PER_KIND * _KIND[r * COLUMNS + i]
                x = difference(
                    d[n, r, i], base + 7 * (0 if e == 0 else 1 if e < 3 else 2), base + 21
                )
                d[n, r, i] = x
                left = min(abs(x), 15)


_encode = compile_syntax(network_weights, Direction.ENCODE)
_decode = compile_syntax(network_weights, Direction.DECODE)
_trace = compile_syntax(network_weights, Direction.TRACE)


def default_network_contexts() -> Contexts:
    """A fresh copy of the default contexts (spec 9.6): (NETWORK_CONTEXTS, 3) int32."""
    table = load_table("fusion_contexts.txt").reshape(NETWORK_CONTEXTS, 2)
    return np.ascontiguousarray(table[:, [0, 0, 1]])


def _most_bits(differences: Differences) -> int:
    """Bits that coding differences cannot exceed: 38 each (spec 3.3), and flags."""
    return 40 * differences.size + 8


def _check(differences: Differences) -> None:
    if differences.ndim != 3 or differences.shape[1:] != (ROWS, COLUMNS):
        raise ValueError(f"differences of shape {differences.shape}")
    if differences.size and int(np.abs(differences.astype(np.int64)).max()) > MAX_DIFFERENCE:
        raise ValueError(f"a difference exceeds {MAX_DIFFERENCE}")


def encode_network(mode: NetworkMode, differences: Differences) -> bytes:
    """The network substream of a group; KEEP has none.

    `differences` matter for NEW only. Raises ValueError when they cannot be coded.
    """
    _check(differences)
    encoder = RangeEncoder(default_network_contexts(), 2 * _most_bits(differences))
    encoder.run(_encode, np.array([mode.value]), differences.astype(np.int32))
    return encoder.finish()


def decode_network(data: bytes, networks: int) -> tuple[NetworkMode, Differences]:
    """Mode and differences in a network substream. Raises CorruptError."""
    differences = np.zeros((networks, ROWS, COLUMNS), np.int32)
    mode = np.zeros(1, np.int64)
    decoder = RangeDecoder(data, default_network_contexts())
    decoder.run(_decode, mode, differences)
    decoder.close()
    return NetworkMode(int(mode[0])), differences


def network_mode(data: bytes) -> NetworkMode:
    """The mode of a network substream; nothing else of it is read. Raises CorruptError."""
    mode = np.zeros(1, np.int64)
    decoder = RangeDecoder(data, default_network_contexts())
    decoder.run(_decode, mode, np.zeros((0, ROWS, COLUMNS), np.int32))
    return NetworkMode(int(mode[0]))


def trace_network(mode: NetworkMode, differences: Differences) -> npt.NDArray[np.int32]:
    """The bits with contexts that a substream takes, in order: 2 * context + bit."""
    _check(differences)
    record = np.empty(_most_bits(differences), np.int32)
    state = np.zeros(STATE_SIZE, np.int64)
    _trace(
        state,
        default_network_contexts(),
        record,
        np.array([mode.value]),
        differences.astype(np.int32),
    )
    return record[: int(state[4])]
