"""Triton kernels of the fusion network (spec 9).

A frame is its planes Y, Cb, Cr at the coded size, one after the other, with a sample of Cb and Cr
for each site. EXTRA is that of spec 9.1: bits of a sample above 8. Channels are int16 planes
over all sites, one after the other. Each program computes one tile. Offsets are 32-bit: at every
level, sites times channels stay below 2^31.
"""

import triton
import triton.language as tl

from nvcodec.coding.hybrid.leaves import LAST_Q
from nvcodec.model.cuda import arithmetic_kernels

# Triton kernels can only use globals that are constexpr.
_LAST_Q = tl.constexpr(LAST_Q)


@triton.jit
def _indices(quantisers, y, x, plane, columns, chroma_offset, inside, EXTRA: tl.constexpr):
    """Q of planes at sites (spec 8.6, 9.1); `quantisers` has an index for 4 x 4 sites."""
    q = tl.load(quantisers + (y // 4) * (columns // 4) + x // 4, inside, 0).to(tl.int32)
    index = q + tl.where(plane < 4, 0, chroma_offset) - 6 * EXTRA
    return tl.minimum(tl.maximum(index, 0), _LAST_Q)


@triton.jit
def _places(y, x, plane, rows, columns):
    """Offsets in a frame of the samples that planes have at sites (spec 9.1)."""
    luma = (2 * y + plane // 2) * (2 * columns) + 2 * x + plane % 2
    chroma = plane * (rows * columns) + y * columns + x
    return tl.where(plane < 4, luma, chroma)


@triton.jit(do_not_specialize=["rows", "columns", "chroma_offset"])
def fusion_inputs(
    samples,
    predictions,
    quantisers,
    reciprocals,
    out,
    rows,
    columns,
    chroma_offset,
    EXTRA: tl.constexpr,
    MOVING: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Input channels (spec 9.3) of a plane; programs are (tile of sites, plane).

    `predictions` has a frame for each reference. If MOVING is false, it is not read and the
    differences are 0.
    """
    site = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    plane = tl.program_id(1)
    y, x = site // columns, site % columns
    size = rows * columns
    inside = site < size
    # Both in samples of the plane.
    scale = tl.where(plane < 4, 2, 1)
    line = scale * y + tl.where(plane < 4, plane // 2, 0)
    column = scale * x + tl.where(plane < 4, plane % 2, 0)
    first = tl.where(plane < 4, 0, plane * size)
    sample = tl.load(samples + first + line * (scale * columns) + column, inside, 0).to(tl.int32)
    box = tl.zeros((BLOCK,), tl.int32)
    for i in tl.static_range(5):
        near = tl.minimum(tl.maximum(line + i - 2, 0), scale * rows - 1) * (scale * columns)
        for j in tl.static_range(5):
            beside = tl.minimum(tl.maximum(column + j - 2, 0), scale * columns - 1)
            box += tl.load(samples + first + near + beside, inside, 0).to(tl.int32)
    index = _indices(quantisers, y, x, plane, columns, chroma_offset, inside, EXTRA)
    factor = tl.load(reciprocals + index)
    high_pass = (25 * sample - box + (1 << EXTRA >> 1)) >> EXTRA
    value = arithmetic_kernels.clip((high_pass * factor + (1 << 14)) >> 15, 4095)
    tl.store(out + plane * size + site, value.to(tl.int16), inside)
    for r in tl.static_range(2):
        change = tl.zeros((BLOCK,), tl.int32)
        if MOVING:
            at = r * 6 * size + first + line * (scale * columns) + column
            change = tl.load(predictions + at, inside, 0).to(tl.int32) - sample
        scaled = (change * factor + (1 << (9 + EXTRA))) >> (10 + EXTRA)
        value = arithmetic_kernels.clip(scaled, 4095)
        tl.store(out + (6 + 6 * r + plane) * size + site, value.to(tl.int16), inside)


@triton.jit
def _sums(
    acc,
    source,
    weights,
    y,
    x,
    n,
    rows,
    columns,
    inside,
    CHANNELS: tl.constexpr,
    KERNEL: tl.constexpr,
):
    """Add to `acc` a window of channels, 0 outside the grid, times weights (k, k, c, n)."""
    reach: tl.constexpr = KERNEL // 2
    for k in range(KERNEL * KERNEL):
        line = y + k // KERNEL - reach
        column = x + k % KERNEL - reach
        used = inside & (line >= 0) & (line < rows) & (column >= 0) & (column < columns)
        at = source + line * columns + column
        for c in range(CHANNELS):
            value = tl.load(at + c * rows * columns, used, 0).to(tl.int32)
            factor = tl.load(weights + (k * CHANNELS + c) * n.shape[0] + n).to(tl.int32)
            acc += value[:, None] * factor[None, :]
    return acc


@triton.jit(do_not_specialize=["rows", "columns", "shift"])
def fusion_hidden(
    source,
    weights,
    biases,
    out,
    rows,
    columns,
    shift,
    CHANNELS: tl.constexpr,
    KERNEL: tl.constexpr,
    UNITS: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A hidden layer (spec 9.4); half of 2^shift is added to the biases, for rounding."""
    site = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, PADDED)
    inside = site < rows * columns
    acc = tl.zeros((BLOCK, PADDED), tl.int32) + tl.load(biases + n)[None, :]
    acc = _sums(
        acc, source, weights, site // columns, site % columns, n, rows, columns, inside,
        CHANNELS, KERNEL,
    )  # fmt: skip
    value = arithmetic_kernels.hidden_unit(acc, shift)
    place = n[None, :] * (rows * columns) + site[:, None]
    tl.store(out + place, value.to(tl.int16), inside[:, None] & (n < UNITS)[None, :])


@triton.jit(do_not_specialize=["rows", "columns", "shift", "chroma_offset"])
def fusion_output(
    hidden,
    inputs,
    weights,
    high_pass,
    differences,
    biases,
    samples,
    quantisers,
    steps,
    out,
    rows,
    columns,
    shift,
    chroma_offset,
    EXTRA: tl.constexpr,
    CHANNELS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The output layer and the frame (spec 9.4, 9.5); six planes, padded to eight."""
    site = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, 8)
    y, x = site // columns, site % columns
    size = rows * columns
    inside = site < size
    acc = tl.zeros((BLOCK, 8), tl.int32) + tl.load(biases + n)[None, :]
    acc = _sums(acc, hidden, weights, y, x, n, rows, columns, inside, CHANNELS, 1)
    acc = _sums(acc, inputs, high_pass, y, x, n, rows, columns, inside, 6, 3)
    acc = _sums(acc, inputs + 6 * size, differences, y, x, n, rows, columns, inside, 12, 1)
    correction = arithmetic_kernels.clip(acc >> shift, 16383)
    used = inside[:, None] & (n < 6)[None, :]
    index = _indices(
        quantisers, y[:, None], x[:, None], n[None, :], columns, chroma_offset, used, EXTRA
    )
    change = (correction * tl.load(steps + index) + (1 << (15 - EXTRA))) >> (16 - EXTRA)
    place = _places(y[:, None], x[:, None], n[None, :], rows, columns)
    sample = tl.load(samples + place, used, 0).to(tl.int32) + change
    clipped = tl.minimum(tl.maximum(sample, 0), (256 << EXTRA) - 1)
    tl.store(out + place, clipped.to(out.dtype.element_ty), used)
