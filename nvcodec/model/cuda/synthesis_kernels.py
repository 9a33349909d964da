"""Triton kernels of the nirvana model's synthesis network (spec 13).

A number of 16 bits is 256 * high + low + 128, a weight 256 * high + low, of two signed bytes each:
its **halves**, so that tensor cores can multiply them. Halves of a patch lie side by side, all high
ones, then all low ones, as 8-bit instructions read both operands along the sum. Biases have 128
times the sum of a unit's weights added. Sums are exact modulo 2^32, and spec 11.2 keeps them below.

Patches are those of a rectangle, row by row; inputs have a frame of one more patch around it. Each
program computes one tile. Element offsets are 32-bit, but for features.
"""

import triton
import triton.language as tl

from nvcodec.coding.nirvana import table
from nvcodec.model.cuda import arithmetic_kernels

# Triton kernels can only use globals that are constexpr.
_FEATURES, _WIDE = tl.constexpr(table.FEATURES), tl.constexpr(table.WIDE)
_WIDTH = tl.constexpr(table.WIDTH)


@triton.jit
def _store_halves(out, value, inside, COUNT: tl.constexpr):
    """The halves of one of COUNT numbers of a patch."""
    tl.store(out, (value >> 8).to(tl.int8), inside)
    tl.store(out + COUNT, ((value & 255) - 128).to(tl.int8), inside)


@triton.jit(do_not_specialize=["rows", "columns", "top", "left", "count", "across"])
def synthesis_inputs(
    features,
    scale,
    out,
    rows,
    columns,
    top,
    left,
    count,
    across,
    BLOCK: tl.constexpr,
):
    """Halves of a(f) and then of features, for `count` patches from (top, left) on.

    A row has `across` of them. Those outside the grid of `features` are 0.
    """
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    patch, f = place // _FEATURES, place % _FEATURES
    inside = patch < count
    y, x = top + patch // across, left + patch % across
    known = inside & (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    source = (y.to(tl.int64) * columns + x) * _FEATURES + f
    value = tl.load(features + source, known, 0).to(tl.int32)
    scaled = arithmetic_kernels.clip((value * tl.load(scale + f) + (1 << 14)) >> 15, 4095)
    to = out + patch * (4 * _FEATURES) + f
    _store_halves(to, scaled, inside, _FEATURES)
    _store_halves(to + 2 * _FEATURES, value, inside, _FEATURES)


@triton.jit
def _add_products(high, middle, low, a, b, A_COUNT: tl.constexpr, B_COUNT: tl.constexpr):
    """Add products of halves, of numbers at `a` and weights at `b`, by their place in the sum."""
    a_high, a_low = tl.load(a), tl.load(a + A_COUNT)
    b_high, b_low = tl.load(b), tl.load(b + B_COUNT)
    high = tl.dot(a_high, b_high, high)
    middle = tl.dot(a_high, b_low, middle)
    middle = tl.dot(a_low, b_high, middle)
    low = tl.dot(a_low, b_low, low)
    return high, middle, low


@triton.jit
def _add_terms(
    high,
    middle,
    low,
    a,
    b,
    TERMS: tl.constexpr,
    A_COUNT: tl.constexpr,
    B_COUNT: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Add the products of TERMS numbers from `a` on and weights from `b` on."""
    for _ in range(TERMS // BLOCK_K):
        high, middle, low = _add_products(high, middle, low, a, b, A_COUNT, B_COUNT)
        a += BLOCK_K
        b += BLOCK_K
    return high, middle, low


@triton.jit
def _total(high, middle, low, biases, n):
    """The sums of units n, with their biases."""
    return (high << 16) + (middle << 8) + low + tl.load(biases + n)[None, :]


@triton.jit
def _store_hidden(out, acc, m, n, count, shift):
    """The halves of hidden units n of patches m."""
    value = arithmetic_kernels.hidden_unit(acc, shift)
    to = out + m[:, None] * (2 * _WIDTH) + n[None, :]
    _store_halves(to, value, (m < count)[:, None], _WIDTH)


@triton.jit(do_not_specialize=["count", "columns", "shift"])
def synthesis_first(
    inputs,
    weights,
    biases,
    out,
    count,
    columns,
    shift,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Halves of h1; weights are (unit, half, input), the taps of the window before the others."""
    near: tl.constexpr = _WIDE // BLOCK_K
    terms: tl.constexpr = 9 * _WIDE + _FEATURES - _WIDE
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    k = tl.arange(0, BLOCK_K)
    patch = tl.minimum(m, count - 1)
    corner = patch // columns * (columns + 2) + patch % columns
    window = inputs + corner[:, None] * (4 * _FEATURES) + k[None, :]
    b = weights + n[None, :] * (2 * terms) + k[:, None]
    high = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    middle, low = high, high
    for i in range(9 * near):
        tap = i // near
        neighbour = tap // 3 * (columns + 2) + tap % 3
        a = window + (neighbour * (4 * _FEATURES) + (i - tap * near) * BLOCK_K)
        high, middle, low = _add_products(high, middle, low, a, b, _FEATURES, terms)
        b += BLOCK_K
    own = window + ((columns + 3) * (4 * _FEATURES) + _WIDE)
    high, middle, low = _add_terms(
        high, middle, low, own, b, _FEATURES - _WIDE, _FEATURES, terms, BLOCK_K
    )
    acc = _total(high, middle, low, biases, n)
    _store_hidden(out, acc, m, n, count, shift)


@triton.jit(do_not_specialize=["count", "shift"])
def synthesis_second(
    hidden,
    weights,
    biases,
    out,
    count,
    shift,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Halves of h2 from those of h1."""
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    k = tl.arange(0, BLOCK_K)
    a = hidden + tl.minimum(m, count - 1)[:, None] * (2 * _WIDTH) + k[None, :]
    b = weights + n[None, :] * (2 * _WIDTH) + k[:, None]
    high = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    middle, low = high, high
    high, middle, low = _add_terms(high, middle, low, a, b, _WIDTH, _WIDTH, _WIDTH, BLOCK_K)
    acc = _total(high, middle, low, biases, n)
    _store_hidden(out, acc, m, n, count, shift)


@triton.jit(do_not_specialize=["count", "columns", "first", "units", "shift"])
def synthesis_output(
    inputs,
    hidden,
    weights,
    biases,
    out,
    count,
    columns,
    first,
    units,
    shift,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """The v of `units` samples from `first` on, as int16 (patch, sample)."""
    terms: tl.constexpr = _FEATURES + _WIDTH
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    k = tl.arange(0, BLOCK_K)
    patch = tl.minimum(m, count - 1)
    unit = first + tl.minimum(n, units - 1)
    middle_patch = (patch // columns + 1) * (columns + 2) + patch % columns + 1
    a = inputs + middle_patch[:, None] * (4 * _FEATURES) + (k + 2 * _FEATURES)[None, :]
    b = weights + unit[None, :] * (2 * terms) + k[:, None]
    high = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    middle, low = high, high
    high, middle, low = _add_terms(high, middle, low, a, b, _FEATURES, _FEATURES, terms, BLOCK_K)
    a = hidden + patch[:, None] * (2 * _WIDTH) + k[None, :]
    b += _FEATURES
    high, middle, low = _add_terms(high, middle, low, a, b, _WIDTH, _WIDTH, terms, BLOCK_K)
    acc = _total(high, middle, low, biases, unit)
    value = arithmetic_kernels.clip(acc >> shift, 8191)
    place = m[:, None] * units + n[None, :]
    tl.store(out + place, value.to(tl.int16), (m < count)[:, None] & (n < units)[None, :])
