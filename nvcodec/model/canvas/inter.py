"""Prediction of all cells that are not intra from the reference canvases (spec 8.3).

Takes the leaves, direction and vectors of the cells and the reference planes; gives samples. It
works leaf by leaf, as a leaf has one motion: of neighbours, only the strips of cells are predicted
that have another one, and only where they have weight. Leaves do not depend on each other, so rows
of root blocks can be predicted by several threads.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.leaves import INTRA, SIZE, X, Y
from nvcodec.model.canvas.plane import Integer, allocating, kernel
from nvcodec.model.canvas.vectors import blend_row, filter_row, filter_row_into, sample_row

LUMA_TAPS = np.array(
    [
        [0, 0, 0, 64, 0, 0, 0, 0],
        [-1, 4, -10, 58, 17, -5, 1, 0],
        [-1, 4, -11, 40, 40, -11, 4, -1],
        [0, 1, -5, 17, 58, -10, 4, -1],
    ],
    np.int32,
)
_CHROMA = np.array(
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

# Rows of luma weights by distance from above, the same from below, then those of a row beside the
# left and the right neighbour; the same for chroma, whose strips are 4 wide for 2 weights.
_ROWS = 32
_WEIGHTS = np.zeros((2, 6, _ROWS), np.int32)
_WEIGHTS[0, :4] = np.array([7, 5, 3, 1])[:, None]
_WEIGHTS[0, 4, :4] = 7, 5, 3, 1
_WEIGHTS[0, 5, :4] = 1, 3, 5, 7
_WEIGHTS[1, :2] = np.array([6, 2])[:, None]
_WEIGHTS[1, 4, :4] = 6, 2, 0, 0
_WEIGHTS[1, 5, :4] = 0, 0, 2, 6

BLOCK = 64
"""The largest block, and samples from row to row in the scratch arrays of sums."""

_VECTOR_BITS = 14
_VECTOR_MASK = (1 << _VECTOR_BITS) - 1


@kernel
def pack_motion(
    direction: Integer, vy0: Integer, vx0: Integer, vy1: Integer, vx1: Integer
) -> Integer:
    """A direction and the vectors that it uses in one integer: equal if they are. 0 for intra."""
    packed: Integer = np.int64(direction)
    if direction & 1:
        packed |= (vy0 & _VECTOR_MASK) << 2 | (vx0 & _VECTOR_MASK) << 16
    if direction & 2:
        packed |= (vy1 & _VECTOR_MASK) << 30 | (vx1 & _VECTOR_MASK) << 44
    return packed


@allocating
def packed_motion(direction: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`pack_motion` of all cells: int64 of the shape of direction; vectors are those of 8.2."""
    rows, columns = direction.shape
    packed = np.empty((rows, columns), np.int64)
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
    return packed


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
    to: Integer,
    double: Integer,
    keep: Integer,
) -> None:
    """`filter_row_into` for all rows of a block."""
    for i in range(rows):
        place, target = at + i * stride, to + i * BLOCK
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
    to: Integer,
    double: Integer,
    keep: Integer,
) -> None:
    """S of a block whose samples begin at the place `at`; fy or fx is not 0."""
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
        _rows_into(first, 0, BLOCK, BLOCK, rows, width, taps_y, out, to, double, keep)
    else:
        # As 64 * reference is the same first value, the shift leaves the sum of reference alone.
        taps, step = (taps_y, stride) if fy else (taps_x, 1)
        _rows_into(
            source, at - before * step, stride, step, rows, width, taps, out, to, double, keep
        )


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
def _luma_taps(f: Integer) -> tuple[Integer, ...]:
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
    return _CHROMA[f, 0], _CHROMA[f, 1], _CHROMA[f, 2], _CHROMA[f, 3]


@kernel
def _inside(
    chroma: bool,
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
    """Out = (out & keep) + (S << double) of a block all of whose samples are in `source`."""
    if fy == 0 and fx == 0:
        taps, stride = (np.int32(64),), source.shape[1]
        _rows_into(source, at, stride, 0, rows, width, taps, out, 0, double, keep)
    elif chroma:
        taps_y, taps_x = _chroma_taps(fy), _chroma_taps(fx)
        _sums(source, at, rows, width, fy, fx, taps_y, taps_x, first, out, 0, double, keep)
    else:
        long_y, long_x = _luma_taps(fy), _luma_taps(fx)
        _sums(source, at, rows, width, fy, fx, long_y, long_x, first, out, 0, double, keep)


@kernel
def _one_reference(
    chroma: bool,
    reference: np.ndarray,
    y: Integer,
    x: Integer,
    rows: Integer,
    width: Integer,
    vy: Integer,
    vx: Integer,
    first: np.ndarray,
    samples: np.ndarray,
    out: np.ndarray,
    double: Integer,
    keep: Integer,
) -> None:
    """Out = (out & keep) + (S << double) of a block of one reference, anywhere."""
    if chroma:
        bits, before, after = 3, 1, 2
    else:
        bits, before, after = 2, 3, 4
    fy, fx = vy & ((1 << bits) - 1), vx & ((1 << bits) - 1)
    y, x = y + (vy >> bits), x + (vx >> bits)
    up, down = (before, after) if fy else (0, 0)
    left, right = (before, after) if fx else (0, 0)
    height, across = reference.shape
    if y < up or x < left or y + rows + down > height or x + width + right > across:
        more = before + after
        _fetch(reference, y - before, x - before, rows + more, width + more, samples)
        at = before * (samples.shape[1] + 1)
        _inside(chroma, samples, at, rows, width, fy, fx, first, out, double, keep)
    else:
        at = y * across + x
        _inside(chroma, reference, at, rows, width, fy, fx, first, out, double, keep)


@kernel
def predict_block(
    chroma: bool,
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
    """PRED, not blended, of a block of a plane at (x, y) by a motion, wherever its vectors point.

    The width is 4, 8, 16, 32 or 64, there are up to 64 rows. Sample (i, j) goes to out[i, j], int32
    of width BLOCK; divided by 128 and rounded it is a sample. `first` and `samples` are scratch
    arrays, see `scratch`. A reference that the motion does not use may be any plane.
    """
    # Not literals, which would compile all of this twice.
    double: Integer = np.int64(1)
    keep: Integer = np.int64(0)
    if packed & 1:
        double -= packed >> 1 & 1
        vy, vx = _component(packed, 0), _component(packed, 1)
        _one_reference(
            chroma, reference0, y, x, rows, width, vy, vx, first, samples, out, double, keep
        )
        keep -= 1
    if packed & 2:
        vy, vx = _component(packed, 2), _component(packed, 3)
        _one_reference(
            chroma, reference1, y, x, rows, width, vy, vx, first, samples, out, double, keep
        )


@allocating
def scratch() -> tuple[np.ndarray, np.ndarray]:
    """A thread's scratch arrays `first` and `samples` of `predict_block`."""
    return np.empty((BLOCK + 7, BLOCK), np.int16), np.empty((BLOCK + 7, BLOCK + 8), np.uint8)


_ABOVE, _BELOW, _LEFT, _RIGHT = range(4)


@kernel
def _strips(
    packed: np.ndarray, row: Integer, column: Integer, cells: Integer, out: np.ndarray
) -> Integer:
    """Strips along a leaf's sides whose neighbours have another motion; returns their number.

    Each is (side, first cell along the side, cells, the neighbours' motion). Above and below, the
    cells are a power of 2.
    """
    rows, columns = packed.shape
    own = packed[row, column]
    count = 0
    for side in range(4):
        y, x, dy, dx = row, column, 0, 0
        if side == _ABOVE:
            y, dx = row - 1, 1
        elif side == _BELOW:
            y, dx = row + cells, 1
        elif side == _LEFT:
            x, dy = column - 1, 1
        else:
            x, dy = column + cells, 1
        if y < 0 or x < 0 or y >= rows or x >= columns:
            continue
        k = 0
        while k < cells:
            other = packed[y + k * dy, x + k * dx]
            end = k + 1
            while end < cells and packed[y + end * dy, x + end * dx] == other:
                end += 1
            if other == own or other == 0:
                k = end
            while k < end:
                length = end - k
                if dx:
                    while length & (length - 1):
                        length &= length - 1
                out[count, 0], out[count, 1], out[count, 2], out[count, 3] = side, k, length, other
                count += 1
                k += length
    return count


@kernel
def _blend_rows(
    out: np.ndarray,
    own: np.ndarray,
    at: Integer,
    other: np.ndarray,
    rows: Integer,
    width: Integer,
    weights: np.ndarray,
    weights_at: Integer,
    weights_step: Integer,
) -> None:
    """Add the weighted differences of a strip at `at` of out and own."""
    for i in range(rows):
        place, weight = at + i * BLOCK, weights_at + i * weights_step
        if width >= 32:
            for j in range(0, width, 32):
                blend_row(32, out, own, place + j, other, i * BLOCK + j, weights, weight)
        elif width == 16:
            blend_row(16, out, own, place, other, i * BLOCK, weights, weight)
        elif width == 8:
            blend_row(8, out, own, place, other, i * BLOCK, weights, weight)
        else:
            blend_row(4, out, own, place, other, i * BLOCK, weights, weight)


@kernel
def _store_rows(
    values: np.ndarray, size: Integer, shift: Integer, out: np.ndarray, to: Integer
) -> None:
    """Samples of size x size values, at the element `to` of the plane `out`."""
    stride = out.shape[1]
    for i in range(size):
        at, place = i * BLOCK, to + i * stride
        if size >= 32:
            for j in range(0, size, 32):
                sample_row(32, values, at + j, shift, out, place + j)
        elif size == 16:
            sample_row(16, values, at, shift, out, place)
        elif size == 8:
            sample_row(8, values, at, shift, out, place)
        else:
            sample_row(4, values, at, shift, out, place)


@allocating
def predict_rows(
    chroma: bool,
    leaves: np.ndarray,
    row0: Integer,
    row1: Integer,
    packed: np.ndarray,
    reference0: np.ndarray,
    reference1: np.ndarray,
    out: np.ndarray,
) -> None:
    """Predict, in one plane, the leaves in rows row0..row1-1 of root blocks that are not intra.

    `leaves` is a table of leaves, `packed` the motion of all cells
    (`packed_motion`). References and `out` are u8 planes of the coded size; a chain canvas has
    reference0 twice. Samples of intra leaves stay as they are.
    """
    first, samples = scratch()
    own = np.empty((BLOCK, BLOCK), np.int32)
    other = np.empty((BLOCK, BLOCK), np.int32)
    blended = np.empty((BLOCK, BLOCK), np.int32)
    strips = np.empty((32, 4), np.int64)
    sub = 1 if chroma else 0
    cell, depth = 8 >> sub, 4 >> sub
    weights = _WEIGHTS[sub]
    for number in range(len(leaves)):
        y, x = np.int64(leaves[number, Y]), np.int64(leaves[number, X])
        if leaves[number, INTRA] or y < row0 * BLOCK or y >= row1 * BLOCK:
            continue
        cells = np.int64(leaves[number, SIZE]) >> 3
        row, column = y >> 3, x >> 3
        y, x, size = y >> sub, x >> sub, cells * cell
        motion: Integer = packed[row, column]
        count = _strips(packed, row, column, cells, strips)
        shift = 12 if count else 7
        for k in range(count + 1):
            # The leaf itself first, then what its neighbours would have predicted.
            dy: Integer = 0
            dx: Integer = 0
            height: Integer = size
            width: Integer = size
            side, weight, weight_step = 0, 0, 0
            if k:
                side, start, length = strips[k - 1, 0], strips[k - 1, 1], strips[k - 1, 2]
                motion = strips[k - 1, 3]
                if side in (_ABOVE, _BELOW):
                    dx, height, width = start * cell, depth, length * cell
                    weight, weight_step = 0, _ROWS
                    if side == _BELOW:
                        dy, weight, weight_step = size - depth, (depth - 1) * _ROWS, -_ROWS
                else:
                    dy, height, width = start * cell, length * cell, 4
                    dx = 0 if side == _LEFT else size - 4
                    weight = (2 + side) * _ROWS
            predict_block(
                chroma,
                reference0,
                reference1,
                y + dy,
                x + dx,
                height,
                width,
                motion,
                first,
                samples,
                other if k else own,
            )
            if k:
                at = dy * BLOCK + dx
                _blend_rows(blended, own, at, other, height, width, weights, weight, weight_step)
            elif count:
                for i in range(size):
                    for j in range(size):
                        blended[i, j] = own[i, j] << np.int32(5)
        _store_rows(blended if count else own, size, shift, out, y * out.shape[1] + x)
