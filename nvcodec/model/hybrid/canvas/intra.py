"""Intra prediction of one block of a plane from the samples around it (spec 8.4).

The samples around a block of wide x tall are one array `edge`: left[reach], .., left[1], the
corner, top[1], .., top[reach], with reach = wide + tall. So left[k] is edge[reach - k] and top[k]
is edge[reach + k].
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from llvmlite import ir

from nvcodec.compiled import Integer, allocating, inlined, kernel
from nvcodec.model.samples import extra_bits, peak_of, plane_number, plane_shift
from nvcodec.simd import NUMBER, PLACE, WORD, Operands, constant, operation
from nvcodec.tables import load_table

PLANAR, DC = 0, 1
MODES = 35
MOST = 32
"""Side of the largest block."""

ANGLES = np.array(
    [0, 0, 32, 26, 21, 17, 13, 9, 5, 2, 0, -2, -5, -9, -13, -17, -21, -26]
    + [-32, -26, -21, -17, -13, -9, -5, -2, 0, 2, 5, 9, 13, 17, 21, 26, 32],
    np.int64,
)
_CUBIC = load_table("cubic.txt").reshape(32, 4).astype(np.int32)

INVERSE = np.zeros(33, np.int64)
INVERSE[[2, 5, 9, 13, 17, 21, 26, 32]] = -4096, -1638, -910, -630, -482, -390, -315, -256


@kernel
def intra_references(
    plane: np.ndarray,
    available: np.ndarray,
    code: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    edge: np.ndarray,
) -> None:
    """Fill edge[0..2 * (wide + tall)] for the block of wide x tall samples at (x, y) of a plane.

    `code` is the plane's (`plane_code`). `available` says for each 4 x 4 block of luma (rows,
    columns) whether its luma and chroma samples are reconstructed.
    """
    height, width = plane.shape
    # Samples of the edge on each side; the number of the corner.
    reach = wide + tall
    across, down = plane_shift(code)
    # Log2 of the samples of the plane across a 4 x 4 luma block.
    shift_x, shift_y = 2 - across, 2 - down
    known = -1
    # In the order of the edge: left from the bottom up, the corner, then top.
    if x > 0:
        column = (x - 1) >> shift_x
        step = 1 << shift_y
        for start in range(reach - step, -1, -step):
            if y + start < height and available[(y + start) >> shift_y, column]:
                if known < 0:
                    known = reach - start - step
                for i in range(step):
                    edge[reach - 1 - start - i] = plane[y + start + i, x - 1]
            elif known >= 0:
                for i in range(step):
                    edge[reach - 1 - start - i] = edge[reach - start - step - 1]
        if y > 0 and available[(y - 1) >> shift_y, column]:
            if known < 0:
                known = reach
            edge[reach] = plane[y - 1, x - 1]
        elif known >= 0:
            edge[reach] = edge[reach - 1]
    if y > 0:
        row = (y - 1) >> shift_y
        step = 1 << shift_x
        if x == 0 and known >= 0:
            edge[reach] = edge[reach - 1]
        for start in range(0, reach, step):
            if x + start < width and available[row, (x + start) >> shift_x]:
                if known < 0:
                    known = reach + 1 + start
                for i in range(step):
                    edge[reach + 1 + start + i] = plane[y - 1, x + start + i]
            elif known >= 0:
                for i in range(step):
                    edge[reach + 1 + start + i] = edge[reach + start]
    elif known >= 0:
        for k in range(reach + 1, 2 * reach + 1):
            edge[k] = edge[reach]
    if known < 0:
        edge[: 2 * reach + 1] = 128 << extra_bits(plane, code)
    else:
        for k in range(known):
            edge[k] = edge[known]


@kernel
def intra_smooth(edge: np.ndarray, reach: Integer, smoothed: np.ndarray) -> None:
    """Fill smoothed[0..2 * reach] with the smoothed edge."""
    smoothed[0], smoothed[2 * reach] = edge[0], edge[2 * reach]
    for k in range(1, 2 * reach):
        smoothed[k] = (edge[k - 1] + 2 * edge[k] + edge[k + 1] + 2) >> 2


@kernel
def is_smoothed(mode: Integer, wide: Integer, tall: Integer) -> bool:
    """Whether a block of luma with this mode is predicted from the smoothed edge."""
    # The class N of a block whose longer side is at most four times the shorter one.
    size = max(min(wide, tall), max(wide, tall) >> 1)
    if size < 8 or mode == DC:
        return False
    if mode == PLANAR:
        return True
    most = 7 if size == 8 else 1 if size == 16 else 0
    return bool(min(abs(mode - 10), abs(mode - 26)) > most)


@kernel
def _weight(k: Integer, scale: Integer) -> Integer:
    """The weight, in 1/64, of a sample of the edge for those k away from it (spec 8.4)."""
    return 32 >> ((2 * k) >> scale)


@kernel
def _blend(
    wide: Integer, tall: Integer, log_size: Integer, edge: np.ndarray, out: np.ndarray
) -> None:
    """Draw the samples of a prediction to those of the edge in their row and column."""
    corner = wide + tall
    scale = (log_size - 1) >> 1
    reach = 3 << scale
    for i in range(tall):
        left = np.int32(edge[corner - 1 - i])
        above = np.int32(_weight(i, scale)) if i < reach else np.int32(0)
        for j in range(wide if i < reach else min(wide, reach)):
            value = np.int32(out[i, j])
            change = above * (np.int32(edge[corner + 1 + j]) - value)
            if j < reach:
                change += np.int32(_weight(j, scale)) * (left - value)
            out[i, j] = value + ((change + 32) >> 6)


@kernel
def intra_predict(
    mode: Integer,
    wide: Integer,
    tall: Integer,
    code: Integer,
    edge: np.ndarray,
    line: np.ndarray,
    out: np.ndarray,
) -> None:
    """Predict out[0..tall-1, 0..wide-1] by mode 0..34 from an edge, smoothed if `is_smoothed`.

    `code` is the plane's (`plane_code`), `line` is scratch of 3 * MOST + 2 elements. `out` has MOST
    rows and columns; what is outside the block becomes undefined.
    """
    corner = wide + tall
    log_wide, log_tall = 2, 2
    while 1 << log_wide < wide:
        log_wide += 1
    while 1 << log_tall < tall:
        log_tall += 1
    log_size = (log_wide + log_tall) >> 1
    if mode == PLANAR:
        below, right = np.int32(edge[corner - tall - 1]), np.int32(edge[corner + wide + 1])
        for i in range(tall):
            left = np.int32(edge[corner - 1 - i])
            for j in range(wide):
                level = (wide - 1 - j) * left + (j + 1) * right
                upright = (tall - 1 - i) * np.int32(edge[corner + 1 + j]) + (i + 1) * below
                total = (level << log_tall) + (upright << log_wide) + wide * tall
                out[i, j] = total >> (log_wide + log_tall + 1)
        _blend(wide, tall, log_size, edge, out)
    elif mode == DC:
        d = (wide + tall) >> 1
        for k in range(1, tall + 1):
            d += edge[corner - k]
        for k in range(1, wide + 1):
            d += edge[corner + k]
        d //= wide + tall
        for i in range(tall):
            for j in range(wide):
                out[i, j] = d
        _blend(wide, tall, log_size, edge, out)
    else:
        cubic = plane_number(code) == 0 and not is_smoothed(mode, wide, tall)
        _angular(mode, wide, tall, log_size, cubic, peak_of(out, code), edge, line, out)


@kernel
def _angular(
    mode: Integer,
    wide: Integer,
    tall: Integer,
    log_size: Integer,
    cubic: bool,
    peak: Integer,
    edge: np.ndarray,
    line: np.ndarray,
    out: np.ndarray,
) -> None:
    corner = wide + tall
    angle = ANGLES[mode]
    down = mode >= 18
    main = 1 if down else -1
    # Samples along the main side, and away from it.
    along, away = (wide, tall) if down else (tall, wide)
    # line[MOST + k] is ref(k).
    for k in range(corner + 1):
        line[MOST + k] = edge[corner + main * k]
    line[MOST + corner + 1] = line[MOST + corner]
    if angle < 0:
        inverse = INVERSE[-angle]
        for k in range((away * angle) >> 5, 0):
            line[MOST + k] = edge[corner - main * min(away, (k * inverse + 128) >> 8)]
    # Rows along the main side; they are turned to columns if that is the left one.
    for i in range(away):
        p, f = ((i + 1) * angle) >> 5, ((i + 1) * angle) & 31
        at, to = MOST + p, i * out.shape[1]
        if along == 4:
            _filter4(line, at, f, cubic, peak, out, to)
        elif along == 8:
            _filter8(line, at, f, cubic, peak, out, to)
        else:
            for j in range(0, along, 16):
                _filter16(line, at + j, f, cubic, peak, out, to + j)
    if angle == 0:
        _follow_side(along, away, log_size, main, peak, edge, out)
    if not down:
        _turn(along, away, out)


def _copied(code: Operands) -> None:
    code.store(code.load("line"), "out")


def _of_two(code: Operands) -> None:
    builder = code.builder
    first, second = code.load("line"), code.load("line", offset=1)
    far = builder.mul(second, code.splat(code["f"]))
    near = builder.mul(first, builder.sub(code.same(32), code.splat(code["f"])))
    code.store(code.rounded(builder.add(near, far), 5), "out")


def _of_four(code: Operands) -> None:
    builder = code.builder
    products = [
        builder.mul(code.load("line", offset=k), code.splat(code[f"t{k}"])) for k in range(4)
    ]
    value = code.rounded(reduce(builder.add, products), 6)
    code.store(code.between(value, code.same(0), code.splat(code["peak"])), "out")


_copy_row: Any = operation(_copied, line=None, at=PLACE, out=None, to=PLACE)
_mix_two: Any = operation(_of_two, line=None, at=PLACE, f=NUMBER, out=None, to=PLACE)
_mix_four: Any = operation(
    _of_four, line=None, at=PLACE, t0=NUMBER, t1=NUMBER, t2=NUMBER, t3=NUMBER, peak=NUMBER,
    out=None, to=PLACE,
)  # fmt: skip
"""Samples of a row of a prediction from the line: its own, or the weighted mean of two or four."""


def _make_filter(count: int) -> Any:
    """Make the function that predicts `count` samples of a row."""

    @inlined
    def filter_row(
        line: np.ndarray,
        at: Integer,
        f: Integer,
        cubic: bool,
        peak: Integer,
        out: np.ndarray,
        to: Integer,
    ) -> None:
        """Set out[to..], flat, to what is f/32 of the way from line[at + 1..] to the next ones."""
        if f == 0:
            _copy_row(count, line, at + 1, out, to)
        elif cubic:
            t0, t1, t2, t3 = _CUBIC[f]
            _mix_four(count, line, at, t0, t1, t2, t3, peak, out, to)
        else:
            _mix_two(count, line, at + 1, f, out, to)

    return filter_row


_filter4, _filter8, _filter16 = (_make_filter(count) for count in (4, 8, 16))


def _turned(code: Operands) -> None:
    builder, sample = code.builder, code.element("out")
    order = [4 * (k & 3) + (k >> 2) for k in range(16)]

    def joined(first: Any, second: Any) -> Any:
        lanes = list(range(2 * first.type.count))
        return builder.shuffle_vector(
            first, second, ir.Constant(ir.VectorType(WORD, len(lanes)), lanes)
        )

    tiles = []
    for name in ("first", "second"):
        places = [
            builder.add(code[name], builder.mul(code["stride"], constant(k))) for k in range(4)
        ]
        rows = [code.read(code.pointer("out", place, 4), sample) for place in places]
        tile = joined(joined(*rows[:2]), joined(*rows[2:]))
        tiles.append((places, code.part(tile, order)))
    for (places, _), (_, tile) in zip(tiles, reversed(tiles), strict=True):
        for k, place in enumerate(places):
            row = code.part(tile, range(4 * k, 4 * k + 4))
            code.write(row, code.pointer("out", place, 4))


_swap_tiles: Any = operation(_turned, out=None, at=PLACE, first=PLACE, second=PLACE, stride=PLACE)
"""Transpose the squares of 4 x 4 samples that begin at `first` and `second`, and swap them."""


@kernel
def _turn(wide: Integer, tall: Integer, out: np.ndarray) -> None:
    """Make columns of the rows of out[:tall, :wide], in place."""
    stride = out.shape[1]
    for y in range(0, max(wide, tall), 4):
        for x in range(0, min(y + 4, min(wide, tall)), 4):
            _swap_tiles(4, out, 0, y * stride + x, x * stride + y, stride)


@kernel
def _follow_side(
    along: Integer,
    away: Integer,
    log_size: Integer,
    main: Integer,
    peak: Integer,
    edge: np.ndarray,
    out: np.ndarray,
) -> None:
    """Let rows of a prediction along the main side follow the samples at the other side."""
    corner = along + away
    scale = (log_size - 1) >> 1
    for k in range(away):
        change = edge[corner - main * (1 + k)] - edge[corner]
        for j in range(min(along, 3 << scale)):
            value = edge[corner + main * (1 + j)] + ((_weight(j, scale) * change + 32) >> 6)
            out[k, j] = min(peak, max(0, value))


@allocating
def intra_scratch(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One thread's scratch arrays of `intra_block`, for such planes: edge, smoothed, line, out."""
    return (
        np.empty(4 * MOST + 1, np.int32),
        np.empty(4 * MOST + 1, np.int32),
        np.empty(3 * MOST + 2, np.int32),
        np.empty((MOST, MOST), plane.dtype),
    )


@kernel
def intra_block(
    mode: Integer,
    plane: np.ndarray,
    available: np.ndarray,
    code: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    edge: np.ndarray,
    smoothed: np.ndarray,
    line: np.ndarray,
    out: np.ndarray,
) -> None:
    """Predict out[0..tall-1, 0..wide-1] for the block at (x, y); see `intra_references`."""
    intra_references(plane, available, code, y, x, wide, tall, edge)
    if plane_number(code) == 0 and is_smoothed(mode, wide, tall):
        intra_smooth(edge, wide + tall, smoothed)
        intra_predict(mode, wide, tall, code, smoothed, line, out)
    else:
        intra_predict(mode, wide, tall, code, edge, line, out)
