"""Triton kernels of the sine network, its samples and of resampling (spec 5 and 6).

Tensors have the layouts that `launch` describes. Each program computes one tile. Element offsets
are 32-bit: only planes can have 2^31 elements or more.
"""

import triton
import triton.language as tl

from nvcodec.model.samples import PEAK
from nvcodec.model.sine.render import ROUND, VALUE_BITS

# Triton kernels can only use globals that are constexpr.
_PEAK = tl.constexpr(PEAK)
_ROUND, _VALUE_BITS = tl.constexpr(ROUND), tl.constexpr(VALUE_BITS)


@triton.jit
def _sine(acc, scale, table):
    """SINE of int64 accumulators (spec 5.2); acc * scale may wrap: only its low 40 bits matter."""
    phase = (acc * scale + (1 << 23)) >> 24
    return tl.load(table + (((phase + 32) >> 6) & 1023).to(tl.int32))


@triton.jit
def _scaled(acc, scale, low, high):
    """Clip(low, high, RShift(acc * scale, 32)) of int32 accumulators (spec 5.3, 5.4)."""
    value = (acc.to(tl.int64) * scale + (1 << 31)) >> 32
    return tl.minimum(tl.maximum(value, low), high).to(tl.int32)


@triton.jit(do_not_specialize=["first", "count", "left", "top", "columns", "across", "down"])
def first_layer(
    weights,
    biases,
    scale,
    sine,
    out,
    first,
    count,
    left,
    top,
    columns,
    across,
    down,
    WIDTH: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Sine layer 0 (spec 5.2) of patches first..first+count-1 of a rectangle."""
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    patch = (first + m).to(tl.int64)
    x = ((2 * (left + patch % columns) + 1) * 32768) // across - 32768
    y = ((2 * (top + patch // columns) + 1) * 32768) // down - 32768
    used = n < WIDTH
    wx = tl.load(weights + 2 * n, used, 0).to(tl.int64)
    wy = tl.load(weights + 2 * n + 1, used, 0).to(tl.int64)
    acc = x[:, None] * wx[None, :] + y[:, None] * wy[None, :]
    acc += tl.load(biases + n, used, 0)[None, :]
    value = _sine(acc, tl.load(scale), sine)
    tl.store(out + m[:, None] * PITCH + n[None, :], value, (m < count)[:, None] & used[None, :])


@triton.jit
def _dense(inputs, weights, m, n, PITCH: tl.constexpr, BLOCK_K: tl.constexpr):
    """Dot products of rows m of `inputs` and rows n of `weights`, all of PITCH bytes: int32."""
    k = tl.arange(0, BLOCK_K)
    a = inputs + m[:, None] * PITCH + k[None, :]
    b = weights + n[None, :] * PITCH + k[:, None]
    acc = tl.zeros((m.shape[0], n.shape[0]), tl.int32)
    for _ in range(0, PITCH, BLOCK_K):
        acc = tl.dot(tl.load(a), tl.load(b), acc)
        a += BLOCK_K
        b += BLOCK_K
    return acc


@triton.jit(do_not_specialize=["count"])
def sine_layer(
    inputs,
    weights,
    biases,
    scale,
    sine,
    out,
    count,
    WIDTH: tl.constexpr,
    PITCH: tl.constexpr,
    OUT_PITCH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """A sine layer after the first one (spec 5.2)."""
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    acc = _dense(inputs, weights, m, n, PITCH, BLOCK_K) + tl.load(biases + n)[None, :]
    value = _sine(acc.to(tl.int64), tl.load(scale), sine)
    mask = (m < count)[:, None] & (n < WIDTH)[None, :]
    tl.store(out + m[:, None] * OUT_PITCH + n[None, :], value, mask)


@triton.jit(do_not_specialize=["count", "first_frame", "frames"])
def expand_sources(
    inputs,
    weights,
    biases,
    scale,
    codes,
    out,
    count,
    first_frame,
    frames,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """The expanding layer (spec 5.3) and the `input` of spec 5.4 for each frame."""
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    acc = _dense(inputs, weights, m, n, PITCH, BLOCK_K) + tl.load(biases + n)[None, :]
    maps = _scaled(acc, tl.load(scale), -2047, 2047)
    mask = (m < count)[:, None] & (n < ROWS)[None, :]
    for frame in range(frames):
        code = tl.load(codes + (first_frame + frame) * CHANNELS + n % CHANNELS)
        value = tl.minimum(tl.maximum(maps + code[None, :], -2047), 2047)
        place = (m * frames + frame)[:, None] * ROWS + n[None, :]
        tl.store(out + place, value.to(tl.float16), mask)


@triton.jit
def _windows(
    source,
    weights,
    patch,
    gy,
    gx,
    inside,
    n,
    STEP: tl.constexpr,
    WINDOW: tl.constexpr,
    SIDE: tl.constexpr,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Dot products of WINDOW x WINDOW samples around cells and rows n of `weights`: int32.

    The window of a cell (gy, gx) begins at sample (STEP * gy - 1, STEP * gx - 1) of a patch of
    SIDE x SIDE samples; samples outside the patch are 0. A row of the window has PITCH factors;
    those after the first WINDOW * CHANNELS have weights of 0.

    Factors are integers in float16 and sums are float32, as tensor cores compute them. Both are
    exact by spec 4.5.
    """
    steps: tl.constexpr = PITCH // BLOCK_K
    x = STEP * gx - 1
    acc = tl.zeros((patch.shape[0], n.shape[0]), tl.float32)
    for i in range(WINDOW * steps):
        y = STEP * gy - 1 + i // steps
        k = i % steps * BLOCK_K + tl.arange(0, BLOCK_K)
        column = x[:, None] + (k // CHANNELS)[None, :]
        mask = (inside & (y >= 0) & (y < SIDE))[:, None] & (column >= 0) & (column < SIDE)
        place = ((patch * SIDE + y) * SIDE + x) * CHANNELS
        a = tl.load(source + place[:, None] + k[None, :], mask, 0.0)
        b = tl.load(
            weights + n[None, :] * (WINDOW * PITCH) + (i * BLOCK_K + tl.arange(0, BLOCK_K))[:, None]
        )
        acc = tl.dot(a, b, acc)
    return acc.to(tl.int32)


@triton.jit(do_not_specialize=["count", "first_frame", "frames"])
def hidden_layer(
    source,
    weights,
    biases,
    scale,
    gelu,
    out,
    count,
    first_frame,
    frames,
    HALF: tl.constexpr,
    CHANNELS: tl.constexpr,
    HEADS: tl.constexpr,
    ROWS: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """The `hidden` of spec 5.4: rows n are (dy, dx, h) of cells (gy, gx)."""
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    frame = tl.program_id(2)
    inside = m < count * HALF * HALF
    patch = m // (HALF * HALF) * frames + frame
    gy = m // HALF % HALF
    gx = m % HALF
    rows = (first_frame + frame) * ROWS + n
    acc = _windows(
        source, weights, patch, gy, gx, inside, rows, 1, 3, HALF, CHANNELS, PITCH, BLOCK_K
    )
    acc += tl.load(biases + rows)[None, :]
    value = tl.load(gelu + (_scaled(acc, tl.load(scale), -2048, 2047) + 2048))
    side: tl.constexpr = 2 * HALF
    dy = n // (2 * HEADS)
    cell = ((patch * side + 2 * gy) * side + 2 * gx) * HEADS
    place = cell[:, None] + (dy * (side * HEADS) + n % (2 * HEADS))[None, :]
    tl.store(out + place, value, inside[:, None] & (n < 4 * HEADS)[None, :])


@triton.jit(do_not_specialize=["first", "count", "first_frame", "frames"])
def output_layer(
    hidden,
    weights,
    biases,
    scale,
    out,
    first,
    count,
    first_frame,
    frames,
    HALF: tl.constexpr,
    HEADS: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """The values of spec 5.4: rows n are (plane, dy, dx) of cells (gy, gx); 3 planes padded to 4.

    A row of `weights` covers the 4 x 4 hidden samples around the 2 x 2 of the cell.
    """
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.arange(0, 16)
    frame = tl.program_id(1)
    inside = m < count * HALF * HALF
    item = m // (HALF * HALF)
    patch = item * frames + frame
    gy = m // HALF % HALF
    gx = m % HALF
    rows = (first_frame + frame) * 16 + n
    side: tl.constexpr = 2 * HALF
    acc = _windows(hidden, weights, patch, gy, gx, inside, rows, 2, 4, side, HEADS, PITCH, BLOCK_K)
    acc += tl.load(biases + rows)[None, :]
    value = _scaled(acc, tl.load(scale), -32768, 32767)
    base = ((first + item) * frames + frame) * (6 * HALF * HALF)
    luma = (base + 2 * gy * side + 2 * gx)[:, None] + (n // 2 * side + n % 2)[None, :]
    tl.store(out + luma, value.to(tl.int16), inside[:, None] & (n < 4)[None, :])
    mean = (tl.sum(tl.reshape(value, (BLOCK_M, 4, 4)), 2) + 2) >> 2
    plane = tl.arange(0, 4)
    chroma = (base + gy * HALF + gx)[:, None] + ((plane + 3) * (HALF * HALF))[None, :]
    used = inside[:, None] & (plane > 0)[None, :] & (plane < 3)[None, :]
    tl.store(out + chroma, mean.to(tl.int16), used)


@triton.jit(
    do_not_specialize=[
        "frames",
        "top",
        "left",
        "row",
        "rows",
        "height",
        "width",
        "first_y",
        "first_x",
        "columns",
    ]
)
def place_samples(
    values,
    out,
    frames,
    top,
    left,
    row,
    rows,
    height,
    width,
    first_y,
    first_x,
    columns,
    SIDE: tl.constexpr,
    PLANES: tl.constexpr,
    SKIP: tl.constexpr,
    SIZE: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    """Samples of spec 5.5 in rows row..row+rows-1 of planes (frames, PLANES, height, width).

    Sample (row, 0) lies at (top, left) of the frame. `values` holds patches from (first_y, first_x)
    on, `columns` in a row, with SIZE values each; the planes begin at value SKIP.
    """
    y = tl.program_id(1) * BLOCK_Y + tl.arange(0, BLOCK_Y)
    x = tl.program_id(0) * BLOCK_X + tl.arange(0, BLOCK_X)
    frame = tl.program_id(2) // PLANES
    plane = tl.program_id(2) % PLANES
    inside = (y < rows)[:, None] & (x < width)[None, :]
    line = (top + y)[:, None]
    column = (left + x)[None, :]
    patch = (line // SIDE - first_y) * columns + column // SIDE - first_x
    base = (patch * frames + frame) * SIZE + SKIP + plane * (SIDE * SIDE)
    place = base + line % SIDE * SIDE + column % SIDE
    value = (tl.load(values + place, inside, 0).to(tl.int32) + _ROUND) >> _VALUE_BITS
    sample = tl.minimum(tl.maximum(value, 0), _PEAK).to(out.dtype.element_ty)
    base = (frame * PLANES + plane).to(tl.int64) * height * width
    tl.store(out + base + (row + y)[:, None] * width + x[None, :], sample, inside)


@triton.jit(do_not_specialize=["rows", "columns", "taps", "pitch"])
def filter_axis(
    source,
    start,
    coefficients,
    out,
    rows,
    columns,
    taps,
    pitch,
    SHIFT: tl.constexpr,
    PEAK: tl.constexpr,
    VERTICAL: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    """Mid of spec 6.4 from samples or, if VERTICAL, Out from Mid along the columns.

    SHIFT is that of the sums, PEAK the greatest sample. Source sample k of output sample i is
    start[i] + k; rows of `source` are `pitch` apart.
    """
    y = tl.program_id(1) * BLOCK_Y + tl.arange(0, BLOCK_Y)
    x = tl.program_id(0) * BLOCK_X + tl.arange(0, BLOCK_X)
    inside = (y < rows)[:, None] & (x < columns)[None, :]
    acc = tl.full((BLOCK_Y, BLOCK_X), 1 << (SHIFT - 1), tl.int32)
    for k in range(taps):
        if VERTICAL:
            row = tl.load(start + y, y < rows, 0) + k
            place = row[:, None] * pitch + x[None, :]
            factor = tl.load(coefficients + y * taps + k, y < rows, 0)[:, None]
        else:
            column = tl.load(start + x, x < columns, 0) + k
            place = y[:, None] * pitch + column[None, :]
            factor = tl.load(coefficients + x * taps + k, x < columns, 0)[None, :]
        acc += tl.load(source + place, inside, 0).to(tl.int32) * factor.to(tl.int32)
    value = acc >> SHIFT
    if VERTICAL:
        value = tl.minimum(tl.maximum(value, 0), PEAK)
    place = out + y[:, None] * columns + x[None, :]
    tl.store(place, value.to(out.dtype.element_ty), inside)
