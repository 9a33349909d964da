"""SIMD operations on a few neighbouring array elements, for the kernels of spec 8.

Each takes a literal `width`, C-contiguous arrays, and a place in each array: the number of an
element. It works on `width` elements from there on. Places are not checked.
"""

from __future__ import annotations

from typing import Any

from nvcodec.simd import INDEX, NUMBER, PLACE, WORD, Operands, constant, operation


def _taps(code: Operands, bits: int) -> Any:
    """Sum over k of taps[k] * elements of the source from at + k * step on, modulo 2^bits."""
    place, total = code["at"], None
    for k in range(code.type("taps").count):
        factor = code.number(code.builder.extract_value(code["taps"], k), bits)
        product = code.builder.mul(code.load("source", bits, place), factor)
        total = product if total is None else code.builder.add(total, product)
        place = code.builder.add(place, code["step"])
    return total


def _filter(code: Operands) -> None:
    code.store(_taps(code, code.element("out").width), "out")


def _filter_into(code: Operands) -> None:
    builder = code.builder
    if code.element("source").width == 8:
        total = builder.sext(_taps(code, 16), code.vector())
    elif not code.type("source").dtype.signed:
        total = _taps(code, 32)
    else:
        total = builder.ashr(_taps(code, 32), code.same(6))
    before = builder.and_(code.load("out"), code.splat(code["keep"]))
    code.store(builder.add(builder.shl(total, code.splat(code["double"])), before), "out")


def _samples(code: Operands) -> None:
    value = code.rounded(code.load("values"), code["shift"])
    code.store(_sample(code, value, "peak"), "out")


def _sample(code: Operands, value: Any, peak: str) -> Any:
    """The value clipped to the range of samples; `peak` is not looked at for 8 bits."""
    if code.element("out").width == 8:
        return code.clip(value, 0, 255)
    return code.between(value, code.same(0), code.splat(code[peak]))


def _combine(code: Operands) -> None:
    builder = code.builder
    zero = constant(0)
    entry = builder.block
    loop, after = builder.append_basic_block("term"), builder.append_basic_block("terms.end")
    builder.branch(loop)

    builder.position_at_end(loop)
    k, place, factor_at = builder.phi(INDEX), builder.phi(INDEX), builder.phi(INDEX)
    total = builder.phi(code.vector(WORD))
    factor = code.number(builder.load(code.pointer("factors", factor_at)))
    more = builder.add(total, builder.mul(code.load("matrix", place=place), factor))
    next_k = builder.add(k, constant(1))
    next_place = builder.add(place, code["step"])
    next_factor = builder.add(factor_at, code["factors_step"])
    end = builder.block
    builder.cbranch(builder.icmp_signed("<", next_k, code["count"]), loop, after)
    for phi, first, later in (
        (k, zero, next_k),
        (place, code["at"], next_place),
        (factor_at, code["factors_at"], next_factor),
        (total, code.same(0), more),
    ):
        phi.add_incoming(first, entry)
        phi.add_incoming(later, end)

    builder.position_at_end(after)
    value = code.rounded(more, code["shift"])
    if code.element("out").width < 32:
        value = _sample(code, builder.add(value, code.load("out")), "most")
    else:
        most = code.splat(code["most"])
        value = code.between(value, builder.xor(most, code.same(-1)), most)
    code.store(value, "out")


filter_row: Any = operation(
    _filter, source=None, at=PLACE, step=PLACE, taps=None, out=None, to=PLACE
)
"""out[to..] = Sum over k of taps[k] * source[at + k * step..], in the bits of `out`."""

filter_row_into: Any = operation(
    _filter_into,
    source=None, at=PLACE, step=PLACE, taps=None, out=None, to=PLACE, double=NUMBER, keep=NUMBER,
)  # fmt: skip
"""out[to..] = (out[to..] & keep) + (S << double), in 32 bits.

S is Sum over k of taps[k] * source[at + k * step..]. Samples of u8 are summed in 16 bits, those of
u16 in 32 bits. A source of sums (signed) is summed in 32 bits and shifted right by 6.
"""

sample_row: Any = operation(
    _samples, values=None, at=PLACE, shift=NUMBER, out=None, to=PLACE, peak=NUMBER
)
"""out[to..] = Clip(0, peak, RShift(values[at..], shift)), shift > 0; `peak` is 255 if out is u8."""

combine_rows: Any = operation(
    _combine,
    matrix=None, at=PLACE, step=PLACE, factors=None, factors_at=PLACE, factors_step=PLACE,
    count=PLACE, shift=NUMBER, out=None, to=PLACE, most=NUMBER,
)  # fmt: skip
"""Rounded sums T = RShift(Sum of factors[..] * rows of matrix, shift) of count > 0 products.

Rows begin at `at` and are `step` apart, factors likewise. Sums have 32 bits. If out has samples
(u8, u16), T is added to out[to..] and the result is clipped to 0..most, which is 255 for u8.
Otherwise T, clipped to -most - 1..most, replaces out[to..].
"""
