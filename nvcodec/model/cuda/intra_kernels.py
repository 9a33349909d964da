"""Triton kernels of intra prediction (spec 8.4): blocks whose neighbours are there.

A launch is a wave: blocks, of any size and plane, that do not depend on each other. The host says
what is available (`waves`). A row of the table of blocks has BLOCK_COLUMNS integers. Each program
computes one tile of a block.

A sample of a block's edge is t: left[-t] for t < 0, the corner for 0, top[t] for t > 0. A block of
width x height has width + height on each side. `edges` has for each t where in the plane the sample
is that it takes, or -1 where there is none at all.
"""

import triton
import triton.language as tl

from nvcodec.coding.hybrid import leaves
from nvcodec.model.hybrid.canvas import intra

BLOCK_COLUMNS = 13
(PLACE, PLANE, X, Y, WIDTH, HEIGHT, LOG, MODE) = range(8)
"""Columns: where the block begins in a packed canvas; its plane, place in it and size; log2 of the
number of its samples; its mode."""
(SMOOTH, ORDER, COPY_Y, COPY_X, EDGE) = range(8, 13)
"""Whether the edge is smoothed; the number of the block among those of luma or of chroma; the copy
vector in samples of the plane; where in `edges` the corner is."""

# Triton kernels can only use globals that are constexpr.
_BLOCK_COLUMNS = tl.constexpr(BLOCK_COLUMNS)
_PLACE, _PLANE, _X, _Y = tl.constexpr(PLACE), tl.constexpr(PLANE), tl.constexpr(X), tl.constexpr(Y)
_WIDTH, _HEIGHT, _LOG = tl.constexpr(WIDTH), tl.constexpr(HEIGHT), tl.constexpr(LOG)
_MODE, _SMOOTH, _ORDER = tl.constexpr(MODE), tl.constexpr(SMOOTH), tl.constexpr(ORDER)
_COPY_Y, _COPY_X = tl.constexpr(COPY_Y), tl.constexpr(COPY_X)
_EDGE = tl.constexpr(EDGE)
_PLANAR, _DC = tl.constexpr(intra.PLANAR), tl.constexpr(intra.DC)
_LINEAR, _COPY = tl.constexpr(leaves.LINEAR), tl.constexpr(leaves.COPY)
_PALETTE = tl.constexpr(leaves.PALETTE)
_POINTS = tl.constexpr(2 * intra.MOST)


@triton.jit
def _edge(samples, edges, t, middle):
    """The edge of a block at t."""
    place = tl.load(edges + t)
    known = place >= 0
    return tl.where(known, tl.load(samples + place, known, 0).to(tl.int32), middle)


@triton.jit
def _smoothed(samples, edges, t, reach, middle, smooth):
    """The edge at t from -reach to reach, smoothed if `smooth`."""
    value = _edge(samples, edges, t, middle)
    if smooth:
        before = _edge(samples, edges, tl.maximum(t - 1, -reach), middle)
        after = _edge(samples, edges, tl.minimum(t + 1, reach), middle)
        inner = (t > -reach) & (t < reach)
        value = tl.where(inner, (before + 2 * value + after + 2) >> 2, value)
    return value


@triton.jit
def _weight(k, scale):
    """The weight of spec 8.4."""
    return 32 >> ((2 * k) >> scale)


@triton.jit
def _flat(samples, edges, width, height, log, i, j, mode, middle, smooth):
    """Planar and DC."""
    reach = width + height
    left = _smoothed(samples, edges, -1 - i, reach, middle, smooth)
    above = _smoothed(samples, edges, 1 + j, reach, middle, smooth)
    value = tl.zeros_like(i)
    if mode == _PLANAR:
        right = _smoothed(samples, edges, value + (width + 1), reach, middle, smooth)
        below = _smoothed(samples, edges, value - (height + 1), reach, middle, smooth)
        level = (width - 1 - j) * left + (j + 1) * right
        upright = (height - 1 - i) * above + (i + 1) * below
        value = (height * level + width * upright + width * height) >> (log + 1)
    else:
        k = tl.arange(0, _POINTS)
        t = tl.where(k < height, -1 - k, tl.minimum(1 + k - height, width))
        edge = _edge(samples, edges, t, middle)
        total = tl.sum(tl.where(k < reach, edge, 0))
        value += (total + (reach >> 1)) // reach
    scale = ((log >> 1) - 1) >> 1
    change = _weight(j, scale) * (left - value) + _weight(i, scale) * (above - value)
    return value + ((change + 32) >> 6)


@triton.jit
def _reference(samples, edges, reach, away, k, sign, inverse, middle, smooth):
    """ref(k) of spec 8.4; `sign` is 1 if the main edge is the upper one, else -1.

    `away` is the length of the side.
    """
    side = tl.minimum((k * inverse + 128) >> 8, away)
    t = sign * tl.where(k < 0, -side, tl.minimum(k, reach))
    return _smoothed(samples, edges, t, reach, middle, smooth)


@triton.jit
def _angular(
    samples,
    edges,
    directions,
    cubic,
    width,
    height,
    log,
    i,
    j,
    mode,
    middle,
    smooth,
    chroma,
    PEAK: tl.constexpr,
):
    """Modes 2 to 34; `directions` has ANGLE and INVERSE of all modes."""
    angle, inverse = tl.load(directions + 2 * mode), tl.load(directions + 2 * mode + 1)
    sign = tl.where(mode >= 18, 1, -1)
    along, line = tl.where(mode >= 18, j, i), tl.where(mode >= 18, i, j)
    reach, away = width + height, tl.where(mode >= 18, height, width)
    k = along + (((line + 1) * angle) >> 5)
    f = ((line + 1) * angle) & 31
    one = _reference(samples, edges, reach, away, k + 1, sign, inverse, middle, smooth)
    value = one
    if angle == 0:
        # Modes 10 and 26 follow the samples at their side.
        side = _edge(samples, edges, -sign * (1 + line), middle)
        scale = ((log >> 1) - 1) >> 1
        change = _weight(along, scale) * (side - _edge(samples, edges, 0 * line, middle))
        value = tl.minimum(tl.maximum(one + ((change + 32) >> 6), 0), PEAK)
    else:
        two = _reference(samples, edges, reach, away, k + 2, sign, inverse, middle, smooth)
        if chroma or smooth:
            value = ((32 - f) * one + f * two + 16) >> 5
        else:
            before = _reference(samples, edges, reach, away, k, sign, inverse, middle, smooth)
            after = _reference(samples, edges, reach, away, k + 3, sign, inverse, middle, smooth)
            taps = cubic + 4 * f
            value = tl.load(taps) * before + tl.load(taps + 1) * one
            value += tl.load(taps + 2) * two + tl.load(taps + 3) * after
            value = tl.minimum(tl.maximum((value + 32) >> 6, 0), PEAK)
    return value


@triton.jit
def _copied(samples, orders, order, rows, stride, down, across, grid, y, x, middle):
    """Samples at (x, y) of the plane, where earlier blocks have them.

    `orders` has the numbers of blocks, `grid` of them in a row; `down` and `across` are log2 of
    the samples that have one number.
    """
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < stride)
    number = tl.load(orders + (y >> down) * grid + (x >> across), inside, order)
    known = inside & (number < order)
    return tl.where(known, tl.load(samples + y * stride + x, known, 0).to(tl.int32), middle)


@triton.jit
def _luma_at(samples, width, y, x, inside, DOWN: tl.constexpr, ACROSS: tl.constexpr):
    """D of spec 8.4: the luma of the chroma sample at (x, y)."""
    value = tl.zeros_like(y)
    if ACROSS == 0:
        value = tl.load(samples + y * width + x, inside, 0).to(tl.int32)
    else:
        value += 2 << DOWN
        for r in tl.static_range(1 << DOWN):
            row = samples + ((y << DOWN) + r) * width
            value += tl.load(row + tl.maximum(2 * x - 1, 0), inside, 0).to(tl.int32)
            value += 2 * tl.load(row + 2 * x, inside, 0).to(tl.int32)
            value += tl.load(row + 2 * x + 1, inside, 0).to(tl.int32)
        value = value >> (2 + DOWN)
    return value


@triton.jit
def _linear(
    luma, samples, stride, luma_stride, y, x, width, height, i, j, mode, middle,
    DOWN: tl.constexpr, ACROSS: tl.constexpr, EXTRA: tl.constexpr,
):  # fmt: skip
    """Chroma from luma."""
    k = tl.arange(0, _POINTS)
    left = tl.where(mode == _LINEAR + 2, 0, x)
    above = tl.where(mode == _LINEAR + 1, 0, y)
    # Of two sides as many points.
    both = (left > 0) & (above > 0)
    side = tl.minimum(width, height)
    points = tl.where(both, side, height)
    step_y, step_x = tl.where(both, height // side, 1), tl.where(both, width // side, 1)
    of_left = k < points
    used = (tl.where(of_left, left, above) > 0) & (k < points + tl.where(both, side, width))
    row = tl.where(of_left, y + k * step_y, y - 1)
    column = tl.where(of_left, x - 1, x + (k - points) * step_x)
    light = _luma_at(luma, luma_stride, row, column, used, DOWN, ACROSS)
    light = tl.where(used, light, 0)
    colour = tl.load(samples + row * stride + column, used, 0).to(tl.int32)
    count = tl.sum(used.to(tl.int32))
    sum_l, sum_c = tl.sum(light), tl.sum(colour)
    sum_ll, sum_lc = tl.sum(light * light).to(tl.int64), tl.sum(light * colour).to(tl.int64)
    value = tl.zeros_like(i) + middle
    if count > 0:
        spread = count * sum_ll - sum_l.to(tl.int64) * sum_l
        spread += (2 * count * count) << (2 * EXTRA)
        rise = (count * sum_lc - sum_l.to(tl.int64) * sum_c) * 256
        # Rounded down; the division of integers rounds to 0.
        slope = tl.where(rise < 0, -((spread - 1 - rise) // spread), rise // spread)
        slope = tl.minimum(tl.maximum(slope, -2048), 2047).to(tl.int32)
        # 8 + log2(count): 4 to 64 points.
        shift = 10 + (count > 4).to(tl.int32) + (count > 8) + (count > 16) + (count > 32)
        here = _luma_at(luma, luma_stride, y + i, x + j, i >= 0, DOWN, ACROSS)
        value = slope * (count * here - sum_l) + 256 * sum_c + 128 * count
        value = tl.minimum(tl.maximum(value >> shift, 0), (256 << EXTRA) - 1)
    return value


@triton.jit(do_not_specialize=["first", "width", "height"])
def intra_wave(
    samples,
    residuals,
    blocks,
    programs,
    orders,
    edges,
    directions,
    cubic,
    first,
    width,
    height,
    DOWN: tl.constexpr,
    ACROSS: tl.constexpr,
    EXTRA: tl.constexpr,
    TILE: tl.constexpr,
):
    """Predict the blocks of a wave and add their residuals.

    Row `first` + program of `programs` has the numbers of a block and of a tile of it. `width` and
    `height` are those of luma.
    """
    middle: tl.constexpr = 128 << EXTRA
    peak: tl.constexpr = (256 << EXTRA) - 1
    program = programs + 2 * (first + tl.program_id(0))
    block = blocks + tl.load(program) * _BLOCK_COLUMNS
    place, plane = tl.load(block + _PLACE), tl.load(block + _PLANE)
    x, y = tl.load(block + _X), tl.load(block + _Y)
    columns, lines = tl.load(block + _WIDTH), tl.load(block + _HEIGHT)
    log, mode = tl.load(block + _LOG), tl.load(block + _MODE)
    smooth = tl.load(block + _SMOOTH) != 0
    chroma = plane > 0
    down, across = tl.where(chroma, DOWN, 0), tl.where(chroma, ACROSS, 0)
    stride, rows = width >> across, height >> down
    down, across = 2 - down, 2 - across
    element = tl.load(program + 1) * TILE + tl.arange(0, TILE)
    inside = element < columns * lines
    element = tl.minimum(element, columns * lines - 1)
    i, j = element // columns, element % columns
    plane_samples = samples + (place - y * stride - x)
    predicted = tl.zeros((TILE,), tl.int32)
    if mode == _COPY:
        numbers = orders + tl.where(chroma, (width >> 2) * (height >> 2), 0)
        predicted = _copied(
            plane_samples, numbers, tl.load(block + _ORDER), rows, stride, down, across, width >> 2,
            y + i + tl.load(block + _COPY_Y), x + j + tl.load(block + _COPY_X), middle,
        )  # fmt: skip
    elif mode == _PALETTE:
        pass  # the residuals are the samples
    elif mode >= _LINEAR:
        predicted = _linear(
            samples, plane_samples, stride, width, y, x, columns, lines, i, j, mode, middle, DOWN,
            ACROSS, EXTRA,
        )  # fmt: skip
    else:
        edge = edges + tl.load(block + _EDGE)
        if mode <= _DC:
            predicted = _flat(plane_samples, edge, columns, lines, log, i, j, mode, middle, smooth)
        else:
            predicted = _angular(
                plane_samples, edge, directions, cubic, columns, lines, log, i, j, mode, middle,
                smooth, chroma, peak,
            )  # fmt: skip
    at = place + i * stride + j
    sample = predicted + tl.load(residuals + at).to(tl.int32)
    sample = tl.minimum(tl.maximum(sample, 0), peak)
    tl.store(samples + at, sample.to(samples.dtype.element_ty), inside)
