"""Weight differences to bytes and back (spec 3.3, 3.4, 3.5, 4.4).

Takes and gives the differences of a group: int32 matrices with their kinds. A row of a matrix is a
row of spec 4.4; a bias vector is a matrix of one row. Also chooses the tables substream.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nvcodec.coding.adaptation import FAST_SHIFT, NEXT_COUNT, SLOW_SHIFT
from nvcodec.coding.difference import MAX_DIFFERENCE, difference
from nvcodec.coding.rangecoder import Contexts, RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import ENCODING, Direction, bit, bypass, compile_syntax
from nvcodec.compiled import allocating
from nvcodec.tables import load_table

KINDS = 4
CLASSES = 6
PER_KIND = 52
ROW = KINDS * PER_KIND
CONTEXTS = ROW + 2 * KINDS

# Bits of a changed context in the tables substream, without its flag (spec 3.4).
_ENTRY_BITS = 8
_ENTRY_COUNT = 4

Matrix = npt.NDArray[np.int32]

Differences = Sequence[tuple[int, Matrix]]
"""The content of a network substream (spec 4.4): pairs of kind and (rows, columns)."""

CLASS = np.array(
    [0, 1, 1, 2, 2, 2, *[3] * 6, *[4] * 12, *[5] * (6 * 15 - 23)],
    np.int64,
)


def weight_rows(
    coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, d: np.ndarray, kind: int
) -> None:
    """Syntax of spec 4.4: `d` is an int32 (rows, columns) matrix, zeros on entry of the decoder."""
    rows, columns = d.shape
    base = PER_KIND * kind
    previous = 1
    for r in range(rows):
        coded = 0
        if ENCODING:
            for i in range(columns):
                if d[r, i] != 0:
                    coded = 1
        coded = bit(ROW + 2 * kind + previous, coded)
        previous = coded
        if coded != 0:
            left = 0
            left2 = 0
            for i in range(columns):
                e = 2 * left + left2
                if r > 0:
                    e += 2 * min(abs(d[r - 1, i]), 15)
                if r > 1:
                    e += min(abs(d[r - 2, i]), 15)
                x = difference(d[r, i], base + 7 * CLASS[e], base + 42)
                d[r, i] = x
                left2 = left
                left = min(abs(x), 15)


def table_entries(
    coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, entries: np.ndarray
) -> None:
    """Syntax of spec 3.4: `entries` is int32 (CONTEXTS,): k for a changed context, else -1."""
    for c in range(entries.size):
        k = 0
        if ENCODING:
            k = entries[c]
        changed = bit(0, 1 if k >= 0 else 0)
        if changed != 0:
            value = 0
            for j in range(8):
                b = bypass((k >> (7 - j)) & 1)
                value = 2 * value + b
            entries[c] = value
        else:
            entries[c] = -1


def _most_bits(differences: Differences) -> int:
    """Upper bound of the coded bits: 38 for each number (spec 3.3) and a flag for each row."""
    return sum(38 * matrix.size + len(matrix) for _, matrix in differences)


def default_contexts() -> Contexts:
    """A fresh copy of the default tables (spec 3.5): (CONTEXTS, 3) int32."""
    table = load_table("contexts.txt").reshape(CONTEXTS, 2)
    return np.ascontiguousarray(table[:, [0, 0, 1]])


def _table_contexts() -> Contexts:
    return np.array([[32768, 32768, 0]], np.int32)


def _apply_entries(contexts: Contexts, entries: npt.NDArray[np.int32]) -> None:
    changed = entries >= 0
    contexts[changed, 0] = contexts[changed, 1] = 256 * entries[changed] + 128
    contexts[changed, 2] = _ENTRY_COUNT


def trace(differences: Differences) -> npt.NDArray[np.int32]:
    """The context-coded bits of these differences, in order: int32 (bits,), 2 * context + bit."""
    state = np.zeros(5, np.int64)
    record = np.empty(_most_bits(differences), np.int32)
    contexts = default_contexts()
    for kind, matrix in differences:
        compile_syntax(weight_rows, Direction.TRACE)(state, contexts, record, matrix, kind)
    return record[: int(state[4])]


@allocating
def context_costs(
    record: np.ndarray, contexts: np.ndarray, only: int
) -> np.ndarray:  # pragma: no cover - compiled
    """Ideal code length in bits of a traced record, for each context; adapts `contexts` in place.

    If `only` >= 0, just that context is counted.
    """
    costs = np.zeros(contexts.shape[0])
    for entry in record:
        c = entry >> 1
        if only >= 0 and c != only:
            continue
        fast = np.int64(contexts[c, 0])
        slow = np.int64(contexts[c, 1])
        count = np.int64(contexts[c, 2])
        p = ((fast + slow) >> 1) / 65536.0
        contexts[c, 2] = NEXT_COUNT[count]
        if entry & 1:
            costs[c] -= np.log2(p)
            contexts[c, 0] = fast + ((65536 - fast) >> FAST_SHIFT[count])
            contexts[c, 1] = slow + ((65536 - slow) >> SLOW_SHIFT[count])
        else:
            costs[c] -= np.log2(1.0 - p)
            contexts[c, 0] = fast - (fast >> FAST_SHIFT[count])
            contexts[c, 1] = slow - (slow >> SLOW_SHIFT[count])
    return costs


def _choose_entries(record: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Entries for the contexts where a new start probability saves more than it costs, else -1."""
    entries = np.full(CONTEXTS, -1, np.int32)
    ones = np.bincount(record >> 1, weights=record & 1, minlength=CONTEXTS)
    uses = np.bincount(record >> 1, minlength=CONTEXTS)
    before = context_costs(record, default_contexts(), -1)
    candidate = np.where(uses > 0, np.clip(ones / np.maximum(uses, 1) * 256, 0, 255), 0)
    started = default_contexts()
    _apply_entries(started, candidate.astype(np.int32))
    after = context_costs(record, started, -1)
    worth = before - after > _ENTRY_BITS + 1
    entries[worth] = candidate[worth].astype(np.int32)
    return entries


def _encode_tables(entries: npt.NDArray[np.int32]) -> bytes:
    if not (entries >= 0).any():
        return b""
    encoder = RangeEncoder(_table_contexts(), 8 * CONTEXTS)
    encoder.run(compile_syntax(table_entries, Direction.ENCODE), entries.copy())
    return encoder.finish()


def _encode_network(differences: Differences, contexts: Contexts) -> bytes:
    # A bit costs at most two bytes.
    encoder = RangeEncoder(contexts, 2 * _most_bits(differences))
    for kind, matrix in differences:
        encoder.run(compile_syntax(weight_rows, Direction.ENCODE), matrix, kind)
    return encoder.finish()


def encode_differences(differences: Differences) -> tuple[bytes, bytes]:
    """Code differences; returns the tables and the network substream.

    The tables substream is empty unless it makes the sum of both smaller. Raises ValueError for
    magnitudes above MAX_DIFFERENCE.
    """
    for _, matrix in differences:
        if matrix.size and int(np.abs(matrix.astype(np.int64)).max()) > MAX_DIFFERENCE:
            raise ValueError(f"a difference exceeds {MAX_DIFFERENCE}")
    plain = _encode_network(differences, default_contexts())
    entries = _choose_entries(trace(differences))
    tables = _encode_tables(entries)
    if not tables:
        return b"", plain
    contexts = default_contexts()
    _apply_entries(contexts, entries)
    tuned = _encode_network(differences, contexts)
    return (tables, tuned) if len(tables) + len(tuned) < len(plain) else (b"", plain)


def decode_differences(tables: bytes, network: bytes, differences: Differences) -> None:
    """Decode into `differences`, which are all 0 before, from their substreams.

    Raises CorruptError when a substream does not end where its data ends. For any bytes, the work
    is bounded by the sizes of the arrays.
    """
    contexts = default_contexts()
    if tables:
        entries = np.zeros(CONTEXTS, np.int32)
        table_decoder = RangeDecoder(tables, _table_contexts())
        table_decoder.run(compile_syntax(table_entries, Direction.DECODE), entries)
        table_decoder.close()
        _apply_entries(contexts, entries)
    decoder = RangeDecoder(network, contexts)
    for kind, matrix in differences:
        decoder.run(compile_syntax(weight_rows, Direction.DECODE), matrix, kind)
    decoder.close()
