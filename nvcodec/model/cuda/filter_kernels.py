"""Triton kernels of the filters of a canvas: deblocking (spec 8.7), adaptive filters (8.8).

Planes lie in packed canvases: one begins at `first`. Deblocking works in place: edges of one
direction neither read nor write samples of each other. Each program computes one tile.
"""

import triton
import triton.language as tl

from nvcodec.coding.hybrid.leaves import LAST_Q

# Triton kernels can only use globals that are constexpr.
_LAST_Q = tl.constexpr(LAST_Q)


@triton.jit
def _clip(value, low, high):
    return tl.minimum(tl.maximum(value, low), high)


@triton.jit
def _sample(samples, place, inside):
    return tl.load(samples + place, inside, 0).to(tl.int32)


@triton.jit
def _store(samples, place, value, inside):
    tl.store(samples + place, value.to(samples.dtype.element_ty), inside)


@triton.jit
def _second(samples, place, across, inside):
    """|s2 - 2 * s1 + s0| of three samples from a place on."""
    s0 = _sample(samples, place, inside)
    s1 = _sample(samples, place + across, inside)
    return tl.abs(_sample(samples, place + 2 * across, inside) - 2 * s1 + s0)


@triton.jit
def _flat(samples, at, across, d, beta, tc, inside):
    """Whether a line allows the strong filter; `d` is d(k) of spec 8.7."""
    p0, q0 = _sample(samples, at - across, inside), _sample(samples, at, inside)
    p3 = _sample(samples, at - 4 * across, inside)
    q3 = _sample(samples, at + 3 * across, inside)
    flat = (2 * d < (beta >> 2)) & (tl.abs(p0 - q0) < (5 * tc + 1) >> 1)
    return flat & (tl.abs(p3 - p0) + tl.abs(q0 - q3) < (beta >> 3))


@triton.jit
def _luma_line(samples, at, across, strong, side_p, side_q, tc, inside, PEAK: tl.constexpr):
    """Filter a line; q0 is at the place `at`."""
    p0, q0 = _sample(samples, at - across, inside), _sample(samples, at, inside)
    p1, q1 = _sample(samples, at - 2 * across, inside), _sample(samples, at + across, inside)
    p2, q2 = _sample(samples, at - 3 * across, inside), _sample(samples, at + 2 * across, inside)
    most = 2 * tc
    p3 = _sample(samples, at - 4 * across, inside & strong)
    q3 = _sample(samples, at + 3 * across, inside & strong)
    strong_p0 = _clip((p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3, p0 - most, p0 + most)
    strong_p1 = _clip((p2 + p1 + p0 + q0 + 2) >> 2, p1 - most, p1 + most)
    strong_p2 = _clip((2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3, p2 - most, p2 + most)
    strong_q0 = _clip((q2 + 2 * q1 + 2 * q0 + 2 * p0 + p1 + 4) >> 3, q0 - most, q0 + most)
    strong_q1 = _clip((q2 + q1 + q0 + p0 + 2) >> 2, q1 - most, q1 + most)
    strong_q2 = _clip((2 * q3 + 3 * q2 + q1 + q0 + p0 + 4) >> 3, q2 - most, q2 + most)
    e = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4
    changed = inside & (strong | (tl.abs(e) < 10 * tc))
    e = _clip(e, -tc, tc)
    half = tc >> 1
    change_p = _clip((((p2 + p0 + 1) >> 1) - p1 + e) >> 1, -half, half)
    change_q = _clip((((q2 + q0 + 1) >> 1) - q1 - e) >> 1, -half, half)
    new_p0 = tl.where(strong, strong_p0, _clip(p0 + e, 0, PEAK))
    new_q0 = tl.where(strong, strong_q0, _clip(q0 - e, 0, PEAK))
    _store(samples, at - across, new_p0, changed)
    _store(samples, at, new_q0, changed)
    new_p1 = tl.where(strong, strong_p1, _clip(p1 + change_p, 0, PEAK))
    new_q1 = tl.where(strong, strong_q1, _clip(q1 + change_q, 0, PEAK))
    _store(samples, at - 2 * across, new_p1, changed & (strong | side_p))
    _store(samples, at + across, new_q1, changed & (strong | side_q))
    _store(samples, at - 3 * across, strong_p2, changed & strong)
    _store(samples, at + 2 * across, strong_q2, changed & strong)


@triton.jit(do_not_specialize=["rows", "columns"])
def deblock_luma(
    samples,
    strengths,
    indices,
    table,
    rows,
    columns,
    HORIZONTAL: tl.constexpr,
    EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Filter the left or, if HORIZONTAL, the upper edges of cells; four lines for each element.

    `strengths` are those of these edges, `indices` Q of the cells; `table` has BETA and TC.
    """
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    cell, half = number // 2, number % 2
    inside = cell < rows * columns
    strength = tl.load(strengths + cell, inside, 0).to(tl.int32)
    inside = inside & (strength > 0)
    stride = 8 * columns
    if HORIZONTAL:
        before, across, along = columns, stride, 1
    else:
        before, across, along = 1, 1, stride
    q = tl.load(indices + cell, inside, 0).to(tl.int32)
    q = (q + tl.load(indices + cell - before, inside, 0).to(tl.int32) + 1) >> 1
    index = _clip(q - 6 * EXTRA, 0, _LAST_Q)
    beta = tl.load(table + 2 * index) << EXTRA
    stronger = tl.minimum(index + 2 * (strength - 1), _LAST_Q)
    tc = tl.load(table + 2 * tl.where(inside, stronger, 0) + 1) << EXTRA
    at = cell // columns * 8 * stride + cell % columns * 8 + half * 4 * along
    last = at + 3 * along
    dp0, dq0 = _second(samples, at - across, -across, inside), _second(samples, at, across, inside)
    dp3 = _second(samples, last - across, -across, inside)
    dq3 = _second(samples, last, across, inside)
    inside = inside & (dp0 + dq0 + dp3 + dq3 < beta)
    strong = _flat(samples, at, across, dp0 + dq0, beta, tc, inside)
    strong = strong & _flat(samples, last, across, dp3 + dq3, beta, tc, inside)
    side = (beta + (beta >> 1)) >> 3
    for k in tl.static_range(4):
        _luma_line(
            samples, at + k * along, across, strong, dp0 + dp3 < side, dq0 + dq3 < side, tc,
            inside, (256 << EXTRA) - 1,
        )  # fmt: skip


@triton.jit(do_not_specialize=["first", "rows", "columns", "offset"])
def deblock_chroma(
    samples,
    strengths,
    indices,
    table,
    first,
    rows,
    columns,
    offset,
    DOWN: tl.constexpr,
    ACROSS: tl.constexpr,
    HORIZONTAL: tl.constexpr,
    EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Do the same for Cb and Cr, the second axis of the grid; one line for each element."""
    lines: tl.constexpr = 8 >> (ACROSS if HORIZONTAL else DOWN)
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    cell, k = number // lines, number % lines
    y, x = cell // columns, cell % columns
    inside = y < rows
    stride = columns * (8 >> ACROSS)
    if HORIZONTAL:
        before, across, along = columns, stride, 1
        inside = inside & (y % (1 << DOWN) == 0)
    else:
        before, across, along = 1, 1, stride
        inside = inside & (x % (1 << ACROSS) == 0)
    strength = tl.load(strengths + cell, inside, 0).to(tl.int32)
    inside = inside & (strength > 0)
    q = tl.load(indices + cell, inside, 0).to(tl.int32)
    q = (q + tl.load(indices + cell - before, inside, 0).to(tl.int32) + 1) >> 1
    index = _clip(q + offset - 6 * EXTRA, 0, _LAST_Q)
    stronger = tl.minimum(index + 2 * (strength - 1), _LAST_Q)
    tc = tl.load(table + 2 * tl.where(inside, stronger, 0) + 1) << EXTRA
    plane = first + tl.program_id(1) * (rows * (8 >> DOWN) * stride)
    at = plane + y * (8 >> DOWN) * stride + x * (8 >> ACROSS) + k * along
    p0, q0 = _sample(samples, at - across, inside), _sample(samples, at, inside)
    p1, q1 = _sample(samples, at - 2 * across, inside), _sample(samples, at + across, inside)
    e = _clip((4 * (q0 - p0) + p1 - q1 + 4) >> 3, -tc, tc)
    peak: tl.constexpr = (256 << EXTRA) - 1
    _store(samples, at - across, _clip(p0 + e, 0, peak), inside)
    _store(samples, at, _clip(q0 - e, 0, peak), inside)


@triton.jit
def _near(samples, y, x, rows, columns):
    """The sample at clipped coordinates."""
    place = _clip(y, 0, rows - 1) * columns + _clip(x, 0, columns - 1)
    return tl.load(samples + place).to(tl.int32)


@triton.jit
def _bend(samples, y, x, v, u, twice, rows, columns):
    """|twice - s(y - v, x - u) - s(y + v, x + u)|."""
    before = _near(samples, y - v, x - u, rows, columns)
    return tl.abs(twice - before - _near(samples, y + v, x + u, rows, columns))


@triton.jit(do_not_specialize=["rows", "columns"])
def classify(samples, activities, out, rows, columns, EXTRA: tl.constexpr, BLOCK: tl.constexpr):
    """Classes u8 of the 4 x 4 blocks of luma of rows x columns samples."""
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    across = columns // 4
    inside = number < rows // 4 * across
    top, left = 4 * (number // across) - 2, 4 * (number % across) - 2
    vertical = tl.zeros((BLOCK,), tl.int32)
    horizontal, falling, rising = vertical, vertical, vertical
    for k in range(32):
        # Every second sample, in the pattern of a chess board.
        y = top + k // 4
        x = left + 2 * (k % 4) + k // 4 % 2
        # A coordinate is clipped for each sample by itself, this one's too.
        twice = 2 * _near(samples, y, x, rows, columns)
        vertical += _bend(samples, y, x, 1, 0, twice, rows, columns)
        horizontal += _bend(samples, y, x, 0, 1, twice, rows, columns)
        falling += _bend(samples, y, x, 1, 1, twice, rows, columns)
        rising += _bend(samples, y, x, 1, -1, twice, rows, columns)
    straight, low = tl.maximum(vertical, horizontal), tl.minimum(vertical, horizontal)
    slanted, slanted_low = tl.maximum(falling, rising), tl.minimum(falling, rising)
    is_straight = straight.to(tl.int64) * slanted_low >= slanted.to(tl.int64) * low
    kind = tl.where(straight > 2 * low, tl.where(vertical > horizontal, 1, 2), 0)
    other = tl.where(slanted > 2 * slanted_low, tl.where(falling > rising, 3, 4), 0)
    activity = tl.load(activities + tl.minimum((vertical + horizontal) >> (5 + EXTRA), 15))
    value = 5 * tl.where(is_straight, kind, other) + activity
    tl.store(out + number, value.to(tl.uint8), inside)


@triton.jit(do_not_specialize=["first", "rows", "columns", "roots"])
def filter_plane(
    samples,
    classes,
    numbers,
    taps,
    places,
    on,
    out,
    first,
    rows,
    columns,
    roots,
    TAPS: tl.constexpr,
    DOWN: tl.constexpr,
    ACROSS: tl.constexpr,
    EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Filter the samples in root blocks that are `on`; others stay.

    `places` are y and x of the TAPS taps; `taps` are those of filter after filter. Of chroma, which
    has 6 taps and one filter, `classes` and `numbers` are not read.
    """
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y, x = place // columns, place % columns
    inside = y < rows
    root = (y >> (6 - DOWN)) * roots + (x >> (6 - ACROSS))
    inside = inside & (tl.load(on + root, inside, 0) != 0)
    weights = tl.zeros((BLOCK,), tl.int32)
    if TAPS == 12:
        kind = tl.load(classes + (y >> 2) * (columns >> 2) + (x >> 2), inside, 0)
        weights = tl.load(numbers + kind.to(tl.int32)) * TAPS
    plane = samples + first
    sample = _near(plane, y, x, rows, columns)
    total = tl.full((BLOCK,), 64, tl.int32)
    for k in range(TAPS):
        v, u = tl.load(places + 2 * k), tl.load(places + 2 * k + 1)
        one = _near(plane, y + v, x + u, rows, columns)
        other = _near(plane, y - v, x - u, rows, columns)
        total += tl.load(taps + weights + k, inside, 0) * (one + other - 2 * sample)
    value = _clip(sample + (total >> 7), 0, (256 << EXTRA) - 1)
    _store(out + first, place, value, inside)
