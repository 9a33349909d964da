"""Inter prediction of a canvas from its references (spec 8.3).

Takes the leaves, the direction and vectors of all cells, and the reference planes; gives samples.
It works leaf by leaf, as a leaf has one motion. Leaves do not depend on each other, so rows of root
blocks can be predicted by several threads.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import AFFINE, HEIGHT, INTRA, WIDTH, X, Y
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.rows import filter_row, filter_row_into, sample_row
from nvcodec.model.samples import peak_of, plane_number, plane_shift, type_of_sums

LUMA_TAPS = np.array(
    [
        [0, 0, 0, 64, 0, 0, 0, 0],
        [-1, 4, -10, 58, 17, -5, 1, 0],
        [-1, 4, -11, 40, 40, -11, 4, -1],
        [0, 1, -5, 17, 58, -10, 4, -1],
    ],
    np.int32,
)

# Filter taps by eighths of a chroma sample: a quarter of a luma sample where chroma is subsampled.
CHROMA_TAPS = np.array(
    [
        [0, 64, 0, 0],
        [-2, 58, 10, -2],
        [-4, 54, 16, -2],
        [-6, 46, 28, -4],
        [-4, 36, 36, -4],
        [-4, 28, 46, -6],
        [-2, 16, 54, -4],
        [-2, 10, 58, -2],
    ],
    np.int32,
)

_VECTOR_FRACTION = 2
"""Log2 of vector units per luma sample. In a chroma plane the fraction has more bits."""

_PRED_BITS = np.int32(7)
"""PRED is in 1/128 sample."""

BLOCK = 64
"""Side of the largest block, and row length of the scratch arrays of sums."""

_VECTOR_BITS = 14
_VECTOR_MASK = (1 << _VECTOR_BITS) - 1


@kernel
def pack_motion(
    direction: Integer, vy0: Integer, vx0: Integer, vy1: Integer, vx1: Integer
) -> Integer:
    """A direction and the vectors that it uses as one integer; 0 for intra.

    Two results are equal exactly if the motions are.
    """
    packed: Integer = np.int64(direction)
    if direction & 1:
        packed |= (vy0 & _VECTOR_MASK) << 2 | (vx0 & _VECTOR_MASK) << 16
    if direction & 2:
        packed |= (vy1 & _VECTOR_MASK) << 30 | (vx1 & _VECTOR_MASK) << 44
    return packed


def packed_motion(direction: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`pack_motion` of all cells: int64 (cell rows, cell columns).

    `direction` and `vectors` are those of `motion_of_leaves`.
    """
    packed = np.empty(direction.shape, np.int64)
    _pack_cells(direction, vectors, packed)
    return packed


@kernel
def _pack_cells(direction: np.ndarray, vectors: np.ndarray, packed: np.ndarray) -> None:
    rows, columns = direction.shape
    for y in range(rows):
        for x in range(columns):
            v = vectors[:, y, x]
            packed[y, x] = pack_motion(
                np.int64(direction[y, x]),
                np.int64(v[0, 0]),
                np.int64(v[0, 1]),
                np.int64(v[1, 0]),
                np.int64(v[1, 1]),
            )


@kernel
def _component(packed: Integer, number: Integer) -> Integer:
    return (packed << (48 - _VECTOR_BITS * number)) >> (64 - _VECTOR_BITS)


@kernel
def _rows_into(
    source: np.ndarray,
    at: Integer,
    stride: Integer,
    step: Integer,
    rows: Integer,
    width: Integer,
    taps: tuple[Integer, ...],
    out: np.ndarray,
    double: Integer,
    keep: Integer,
) -> None:
    """`filter_row_into` for all rows of a block."""
    for i in range(rows):
        place, target = at + i * stride, i * BLOCK
        if width >= 32:
            for j in range(0, width, 32):
                filter_row_into(32, source, place + j, step, taps, out, target + j, double, keep)
        elif width == 16:
            filter_row_into(16, source, place, step, taps, out, target, double, keep)
        elif width == 8:
            filter_row_into(8, source, place, step, taps, out, target, double, keep)
        else:
            filter_row_into(4, source, place, step, taps, out, target, double, keep)


@kernel
def _sums(
    source: np.ndarray,
    at: Integer,
    rows: Integer,
    width: Integer,
    fy: Integer,
    fx: Integer,
    taps_y: tuple[Integer, ...],
    taps_x: tuple[Integer, ...],
    first: np.ndarray,
    out: np.ndarray,
    double: Integer,
    keep: Integer,
) -> None:
    """Out = (out & keep) + (S << double) of a block whose samples begin at the place `at`.

    At least one of fy and fx is not 0.
    """
    stride = source.shape[1]
    before = len(taps_y) // 2 - 1
    if fy and fx:
        place = at - before * (stride + 1)
        for i in range(rows + len(taps_y) - 1):
            target = i * BLOCK
            if width >= 32:
                for j in range(0, width, 32):
                    filter_row(32, source, place + j, 1, taps_x, first, target + j)
            elif width == 16:
                filter_row(16, source, place, 1, taps_x, first, target)
            elif width == 8:
                filter_row(8, source, place, 1, taps_x, first, target)
            else:
                filter_row(4, source, place, 1, taps_x, first, target)
            place += stride
        _rows_into(first, 0, BLOCK, BLOCK, rows, width, taps_y, out, double, keep)
    else:
        # Without the other pass `first` is 64 * reference, so its shift by 6 gives back reference.
        taps, step = (taps_y, stride) if fy else (taps_x, 1)
        _rows_into(source, at - before * step, stride, step, rows, width, taps, out, double, keep)


@kernel
def _fetch(
    reference: np.ndarray,
    y: Integer,
    x: Integer,
    rows: Integer,
    width: Integer,
    samples: np.ndarray,
) -> None:
    """samples[i, j] = reference(x + j, y + i) with clipped coordinates."""
    height, across = reference.shape
    inside = min(width, max(0, -x))
    end = max(inside, min(width, across - x))
    for i in range(rows):
        line = min(height - 1, max(0, y + i))
        for j in range(inside):
            samples[i, j] = reference[line, 0]
        for j in range(inside, end):
            samples[i, j] = reference[line, x + j]
        for j in range(end, width):
            samples[i, j] = reference[line, across - 1]


@kernel
def luma_taps(f: Integer) -> tuple[Integer, ...]:
    """Taps for a fraction of f quarters."""
    return (
        LUMA_TAPS[f, 0],
        LUMA_TAPS[f, 1],
        LUMA_TAPS[f, 2],
        LUMA_TAPS[f, 3],
        LUMA_TAPS[f, 4],
        LUMA_TAPS[f, 5],
        LUMA_TAPS[f, 6],
        LUMA_TAPS[f, 7],
    )


@kernel
def _chroma_taps(f: Integer) -> tuple[Integer, ...]:
    """Taps for a fraction of f eighths."""
    return CHROMA_TAPS[f, 0], CHROMA_TAPS[f, 1], CHROMA_TAPS[f, 2], CHROMA_TAPS[f, 3]


@kernel
def _inside(
    code: Integer,
    source: np.ndarray,
    at: Integer,
    rows: Integer,
    width: Integer,
    fy: Integer,
    fx: Integer,
    first: np.ndarray,
    out: np.ndarray,
    double: Integer,
    keep: Integer,
) -> None:
    """Out = (out & keep) + (S << double) of a block whose samples are all inside `source`."""
    if fy == 0 and fx == 0:
        taps, stride = (np.int32(64),), source.shape[1]
        _rows_into(source, at, stride, 0, rows, width, taps, out, double, keep)
    elif plane_number(code):
        # Fractions are in eighths along subsampled axes, else in quarters.
        across_shift, down_shift = plane_shift(code)
        taps_y, taps_x = (
            _chroma_taps(fy << (1 - down_shift)),
            _chroma_taps(fx << (1 - across_shift)),
        )
        _sums(source, at, rows, width, fy, fx, taps_y, taps_x, first, out, double, keep)
    else:
        long_y, long_x = luma_taps(fy), luma_taps(fx)
        _sums(source, at, rows, width, fy, fx, long_y, long_x, first, out, double, keep)


@kernel
def _one_reference(
    code: Integer,
    reference: np.ndarray,
    y: Integer,
    x: Integer,
    rows: Integer,
    width: Integer,
    vector: tuple[Integer, Integer],
    first: np.ndarray,
    samples: np.ndarray,
    out: np.ndarray,
    double: Integer,
    keep: Integer,
) -> None:
    """Out = (out & keep) + (S << double) of a block, from one reference by a vector (y, x)."""
    vy, vx = vector
    before, after = (1, 2) if plane_number(code) else (3, 4)
    across_shift, down_shift = plane_shift(code)
    bits_y, bits_x = _VECTOR_FRACTION + down_shift, _VECTOR_FRACTION + across_shift
    fy, fx = vy & ((1 << bits_y) - 1), vx & ((1 << bits_x) - 1)
    y, x = y + (vy >> bits_y), x + (vx >> bits_x)
    up, down = (before, after) if fy else (0, 0)
    left, right = (before, after) if fx else (0, 0)
    height, across = reference.shape
    if y < up or x < left or y + rows + down > height or x + width + right > across:
        more = before + after
        _fetch(reference, y - before, x - before, rows + more, width + more, samples)
        at = before * (samples.shape[1] + 1)
        _inside(code, samples, at, rows, width, fy, fx, first, out, double, keep)
    else:
        at = y * across + x
        _inside(code, reference, at, rows, width, fy, fx, first, out, double, keep)


@kernel
def predict_block(
    code: Integer,
    reference0: np.ndarray,
    reference1: np.ndarray,
    y: Integer,
    x: Integer,
    rows: Integer,
    width: Integer,
    packed: Integer,
    first: np.ndarray,
    samples: np.ndarray,
    out: np.ndarray,
) -> None:
    """PRED of a block at (x, y) of a plane, by a motion of `pack_motion`.

    `code` is the plane's (`plane_code`). Vectors may point outside the plane.
    The width is 4, 8, 16, 32 or 64, with up to 64 rows. Sample (i, j) goes to out[i, j], int32 with
    rows of BLOCK, in units of 1/128 sample. `first` and `samples` are the scratch arrays of
    `scratch`. A reference that the motion does not use may be any plane.
    """
    # Not literals: Numba would compile everything that takes them once for each.
    double: Integer = np.int64(1)
    keep: Integer = np.int64(0)
    if packed & 1:
        double -= packed >> 1 & 1
        vector = _component(packed, 0), _component(packed, 1)
        _one_reference(
            code, reference0, y, x, rows, width, vector, first, samples, out, double, keep
        )
        keep -= 1
    if packed & 2:
        vector = _component(packed, 2), _component(packed, 3)
        _one_reference(
            code, reference1, y, x, rows, width, vector, first, samples, out, double, keep
        )


@allocating
def scratch(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One thread's scratch arrays `first` and `samples` of `predict_block`, for such planes.

    With 8-bit samples the range of `first` is -6120..22440, as negative taps sum to -24 and
    positive ones to 88: 16 bits. With 12 bits it has 20.
    """
    first = np.empty((BLOCK + 7, BLOCK), type_of_sums(plane))
    return first, np.empty((BLOCK + 7, BLOCK + 8), plane.dtype)


@kernel
def store_rows(
    code: Integer, values: np.ndarray, rows: Integer, width: Integer, out: np.ndarray, to: Integer
) -> None:
    """Store rows x width values of `predict_block` as samples from element `to` of `out` on."""
    stride, peak = out.shape[1], peak_of(out, code)
    for i in range(rows):
        at, place = i * BLOCK, to + i * stride
        if width >= 32:
            for j in range(0, width, 32):
                sample_row(32, values, at + j, _PRED_BITS, out, place + j, peak)
        elif width == 16:
            sample_row(16, values, at, _PRED_BITS, out, place, peak)
        elif width == 8:
            sample_row(8, values, at, _PRED_BITS, out, place, peak)
        else:
            sample_row(4, values, at, _PRED_BITS, out, place, peak)


@allocating
def predict_rows(
    code: Integer,
    leaves: np.ndarray,
    row0: Integer,
    row1: Integer,
    packed: np.ndarray,
    reference0: np.ndarray,
    reference1: np.ndarray,
    out: np.ndarray,
) -> None:
    """Predict, in one plane, the inter leaves in rows row0..row1-1 of root blocks.

    `code` is the plane's (`plane_code`), `leaves` is a table of leaves, `packed` the motion of all
    cells (`packed_motion`). References and `out` are planes of the coded size; a chain canvas
    passes reference0 twice. Samples of intra leaves stay as they are.
    """
    first, samples = scratch(reference0)
    values = np.empty((BLOCK, BLOCK), np.int32)
    across, down = plane_shift(code)
    for number in range(len(leaves)):
        y, x = np.int64(leaves[number, Y]), np.int64(leaves[number, X])
        if leaves[number, INTRA] or y < row0 * BLOCK or y >= row1 * BLOCK:
            continue
        tall, wide = np.int64(leaves[number, HEIGHT]), np.int64(leaves[number, WIDTH])
        part_y, part_x = (8, 8) if leaves[number, AFFINE] else (tall, wide)
        rows, width = part_y >> down, part_x >> across
        for i in range(y, y + tall, part_y):
            for j in range(x, x + wide, part_x):
                motion = packed[i >> 3, j >> 3]
                top, left = i >> down, j >> across
                predict_block(
                    code, reference0, reference1, top, left, rows, width, motion, first, samples,
                    values,
                )  # fmt: skip
                store_rows(code, values, rows, width, out, top * out.shape[1] + left)
