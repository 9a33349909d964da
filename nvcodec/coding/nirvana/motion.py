"""The motion substream of a group (spec 11.5): paths of blocks to bytes and back.

Takes and gives int32 paths (block rows, block columns, frames, 2), components (dy, dx) in quarters
of a luma sample, and which blocks are intra: uint8 (block rows, block columns).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.difference import difference, magnitude_class
from nvcodec.coding.nirvana.contexts import default_contexts
from nvcodec.coding.rangecoder import RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import ENCODING, STATE_SIZE, Direction, bit, compile_syntax
from nvcodec.compiled import Integer, kernel

INTRA = 0
TAKE = 3
VECTOR = 12
PER_KIND = 38

MAX_VECTOR = 2047

Paths = npt.NDArray[np.int32]


@kernel
def same_path(a: np.ndarray, b: np.ndarray, frames: Integer) -> bool:
    """Whether two paths are equal."""
    same = True
    for t in range(frames):
        same = same and a[t, 0] == b[t, 0] and a[t, 1] == b[t, 1]
    return same


@kernel
def candidates(
    paths: np.ndarray,
    intra: np.ndarray,
    y: Integer,
    x: Integer,
    frames: Integer,
    out: np.ndarray,
) -> Integer:
    """Near and the other candidates of a block, to out[0..] of int32 (3, frames, 2).

    Returns how many there are. Candidate 0 is Near.
    """
    beside, above = x > 0 and intra[y, x - 1] == 0, y > 0 and intra[y - 1, x] == 0
    for t in range(frames):
        for c in range(2):
            out[0, t, c] = 0
            if beside:
                out[0, t, c] = paths[y, x - 1, t, c]
            elif above:
                out[0, t, c] = paths[y - 1, x, t, c]
    count: Integer = np.int64(1)
    if above and beside:
        for t in range(frames):
            for c in range(2):
                out[1, t, c] = paths[y - 1, x, t, c]
        if not same_path(out[0], out[1], frames):
            count = np.int64(2)
    still = False
    for k in range(count):
        zero = True
        for t in range(frames):
            if out[k, t, 0] != 0 or out[k, t, 1] != 0:
                zero = False
        still = still or zero
    if not still:
        for t in range(frames):
            for c in range(2):
                out[count, t, c] = 0
        count += 1
    return count


def block_paths(
    coder: np.ndarray,
    contexts: np.ndarray,
    buffer: np.ndarray,
    paths: np.ndarray,
    intra: np.ndarray,
    joined: np.ndarray,
    near: np.ndarray,
    frames: int,
) -> None:
    """Syntax of spec 11.5.

    `joined`, zeros on entry, and int32 `near` (3, frames, 2) are scratch.
    """
    rows, columns = intra.shape
    for y in range(rows):
        for x in range(columns):
            of_intra = 0
            of_joined = 0
            if x > 0:
                of_intra += intra[y, x - 1]
                of_joined += joined[y, x - 1]
            if y > 0:
                of_intra += intra[y - 1, x]
                of_joined += joined[y - 1, x]
            alone = bit(INTRA + of_intra, intra[y, x])
            intra[y, x] = alone
            if alone != 0:
                for t in range(frames):
                    paths[y, x, t, 0] = 0
                    paths[y, x, t, 1] = 0
            else:
                count = candidates(paths, intra, y, x, frames, near)
                taken = 0
                for k in range(count):
                    if taken == 0:
                        same = 0
                        if ENCODING:
                            same = 1
                            for t in range(frames):
                                for c in range(2):
                                    if paths[y, x, t, c] != near[k, t, c]:
                                        same = 0
                        take = bit(TAKE + 3 * k + of_joined, same)
                        if take != 0:
                            taken = 1
                            for t in range(frames):
                                paths[y, x, t, 0] = near[k, t, 0]
                                paths[y, x, t, 1] = near[k, t, 1]
                joined[y, x] = taken
                if taken == 0:
                    last0 = 0
                    last1 = 0
                    for t in range(frames):
                        for c in range(2):
                            predicted = near[0, t, c]
                            number = 0
                            if t > 0:
                                predicted += paths[y, x, t - 1, c] - near[0, t - 1, c]
                                number = 1 + magnitude_class(last0 if c == 0 else last1)
                            base = VECTOR + PER_KIND * c
                            d = difference(
                                paths[y, x, t, c] - predicted, base + 7 * number, base + 28
                            )
                            paths[y, x, t, c] = min(2047, max(-2047, predicted + d))
                            if c == 0:
                                last0 = d
                            else:
                                last1 = d


def _scratch(intra: npt.NDArray[np.uint8], frames: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros_like(intra), np.zeros((3, frames, 2), np.int32)


def _most_bits(paths: Paths) -> int:
    return int(4 * paths.shape[0] * paths.shape[1] + 40 * paths.size + 64)


def encode_motion(paths: Paths, intra: npt.NDArray[np.uint8]) -> bytes:
    """The motion substream of a group that is no key group."""
    frames = paths.shape[2]
    encoder = RangeEncoder(default_contexts().motion, 2 * _most_bits(paths) // 8 + 64)
    encode = compile_syntax(block_paths, Direction.ENCODE)
    encoder.run(encode, paths.copy(), intra.copy(), *_scratch(intra, frames), frames)
    return encoder.finish()


def trace_motion(paths: Paths, intra: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """The context-coded bits of a motion substream, in order: 2 * context + bit."""
    frames = paths.shape[2]
    state = np.zeros(STATE_SIZE, np.int64)
    record = np.empty(_most_bits(paths), np.int32)
    compile_syntax(block_paths, Direction.TRACE)(
        state, default_contexts().motion, record, paths.copy(), intra.copy(),
        *_scratch(intra, frames), frames,
    )  # fmt: skip
    return record[: int(state[4])]


def decode_motion(
    motion: bytes, rows: int, columns: int, frames: int
) -> tuple[Paths, npt.NDArray[np.uint8]]:
    """The paths of rows x columns blocks, and which are intra. Raises CorruptError."""
    decoder = RangeDecoder(motion, default_contexts().motion)
    paths = np.zeros((rows, columns, frames, 2), np.int32)
    intra = np.zeros((rows, columns), np.uint8)
    decode = compile_syntax(block_paths, Direction.DECODE)
    decoder.run(decode, paths, intra, *_scratch(intra, frames), frames)
    decoder.close()
    return paths, intra
