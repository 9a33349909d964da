"""Operations on a few neighbouring array elements at once, as all kernels of clause 8 need them.

Each takes a literal `width`, C-contiguous arrays and the places in them, counted in elements from
the first one, and works on `width` elements from there on. Places are not checked. The code is
LLVM's for any processor; loops of such short rows are hardly ever made vectors by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_WORD = ir.IntType(32)
_INDEX = ir.IntType(64)


class _Code:
    """What the operations below have in common: vectors of one width at places of arrays."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.context, self.builder, self.types, self.args = context, builder, signature.args, args
        self.width: int = signature.args[0].literal_value

    def vector(self, bits: int) -> Any:
        return ir.VectorType(ir.IntType(bits), self.width)

    def pointer(self, array: int, place: Any) -> Any:
        """Where the element `place` of the argument `array` is."""
        made = self.context.make_array(self.types[array])(
            self.context, self.builder, self.args[array]
        )
        element = ir.IntType(self.types[array].dtype.bitwidth)
        data = self.builder.bitcast(made.data, element.as_pointer())
        return self.builder.gep(data, [place])

    def load(self, array: int, place: Any, bits: int) -> Any:
        """Elements of the argument `array` from `place` on, in integers of `bits` bits."""
        own = self.types[array].dtype.bitwidth
        place = self.builder.bitcast(self.pointer(array, place), self.vector(own).as_pointer())
        value = self.builder.load(place, align=own // 8)
        if own == bits:
            return value
        widen = self.builder.sext if self.types[array].dtype.signed else self.builder.zext
        return widen(value, self.vector(bits))

    def store(self, value: Any, array: int, place: Any) -> None:
        own = self.types[array].dtype.bitwidth
        if value.type != self.vector(own):
            value = self.builder.trunc(value, self.vector(own))
        place = self.builder.bitcast(self.pointer(array, place), self.vector(own).as_pointer())
        self.builder.store(value, place, align=own // 8)

    def same(self, value: int) -> Any:
        return ir.Constant(self.vector(32), [value] * self.width)

    def splat(self, value: Any, bits: int) -> Any:
        """The integer `value` in all elements."""
        element = ir.IntType(bits)
        if value.type.width > bits:
            value = self.builder.trunc(value, element)
        elif value.type.width < bits:
            value = self.builder.sext(value, element)
        blank = ir.Constant(self.vector(bits), ir.Undefined)
        single = self.builder.insert_element(blank, value, ir.Constant(_WORD, 0))
        lanes = ir.Constant(ir.VectorType(_WORD, self.width), [0] * self.width)
        return self.builder.shuffle_vector(single, blank, lanes)

    def clip(self, value: Any, low: int, high: int) -> Any:
        """32-bit elements clipped to low..high."""
        least, most = self.same(low), self.same(high)
        value = self.builder.select(self.builder.icmp_signed("<", value, least), least, value)
        return self.builder.select(self.builder.icmp_signed(">", value, most), most, value)

    def taps(self, array: int, place: Any, step: Any, factors: int, bits: int) -> Any:
        """Sum over k of factors[k] * elements from place + k * step on, modulo 2^bits."""
        total = None
        for k in range(self.types[factors].count):
            factor = self.splat(self.builder.extract_value(self.args[factors], k), bits)
            product = self.builder.mul(self.load(array, place, bits), factor)
            total = product if total is None else self.builder.add(total, product)
            place = self.builder.add(place, step)
        return total


def _operation(generate: Callable[[_Code], None], *kinds: Any) -> Callable[..., Any]:
    """Signature and code of an operation; kinds are its scalars, None for any other argument."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        generate(_Code(context, builder, signature, args))
        return context.get_dummy_value()

    def typed(*arguments: Any) -> tuple[Any, Callable[..., Any]]:
        taken = [a if kind is None else kind for a, kind in zip(arguments, kinds, strict=True)]
        return types.void(*taken), code

    return typed


_PLACE = types.int64
_NUMBER = types.int32


def _filter_code(code: _Code) -> None:
    _, _, at, step, _, _, to = code.args
    code.store(code.taps(1, at, step, 4, 16), 5, to)


def _type_filter(
    context: Any, width: Any, source: Any, at: Any, step: Any, taps: Any, out: Any, to: Any
) -> Any:
    """out[to..] = Sum over k of taps[k] * source[at + k * step..], in 16 bits."""
    kinds = (None, None, _PLACE, _PLACE, None, None, _PLACE)
    return _operation(_filter_code, *kinds)(width, source, at, step, taps, out, to)


def _filter_into_code(code: _Code) -> None:
    builder = code.builder
    _, _, at, step, _, _, to, double, keep = code.args
    if code.types[1].dtype.bitwidth == 8:
        total = builder.sext(code.taps(1, at, step, 4, 16), code.vector(32))
    else:
        total = builder.ashr(code.taps(1, at, step, 4, 32), code.same(6))
    before = builder.and_(code.load(5, to, 32), code.splat(keep, 32))
    code.store(builder.add(builder.shl(total, code.splat(double, 32)), before), 5, to)


def _type_filter_into(
    context: Any,
    width: Any,
    source: Any,
    at: Any,
    step: Any,
    taps: Any,
    out: Any,
    to: Any,
    double: Any,
    keep: Any,
) -> Any:
    """out[to..] = (out[to..] & keep) + (S << double), in 32 bits.

    S is Sum over k of taps[k] * source[at + k * step..]: of samples (u8) in 16 bits, of anything
    else in 32 bits and shifted right by 6.
    """
    kinds = (None, None, _PLACE, _PLACE, None, None, _PLACE, _NUMBER, _NUMBER)
    typed = _operation(_filter_into_code, *kinds)
    return typed(width, source, at, step, taps, out, to, double, keep)


def _samples_code(code: _Code) -> None:
    builder = code.builder
    _, _, at, shift, _, to = code.args
    half = builder.shl(ir.Constant(_WORD, 1), builder.sub(shift, ir.Constant(_WORD, 1)))
    total = builder.add(code.load(1, at, 32), code.splat(half, 32))
    code.store(code.clip(builder.ashr(total, code.splat(shift, 32)), 0, 255), 4, to)


def _type_samples(
    context: Any, width: Any, values: Any, at: Any, shift: Any, out: Any, to: Any
) -> Any:
    """out[to..] = Clip(0, 255, RShift(values[at..], shift)), shift > 0."""
    kinds = (None, None, _PLACE, _NUMBER, None, _PLACE)
    return _operation(_samples_code, *kinds)(width, values, at, shift, out, to)


def _combine_code(code: _Code) -> None:
    builder = code.builder
    _, _, at, step, _, factors_at, factors_step, count, shift, _, to = code.args
    zero = ir.Constant(_INDEX, 0)
    entry = builder.block
    loop, after = builder.append_basic_block("term"), builder.append_basic_block("terms.end")
    builder.branch(loop)

    builder.position_at_end(loop)
    k, place, factor_at = builder.phi(_INDEX), builder.phi(_INDEX), builder.phi(_INDEX)
    total = builder.phi(code.vector(32))
    factor = code.splat(builder.load(code.pointer(4, factor_at)), 32)
    more = builder.add(total, builder.mul(code.load(1, place, 32), factor))
    next_k = builder.add(k, ir.Constant(_INDEX, 1))
    next_place, next_factor = builder.add(place, step), builder.add(factor_at, factors_step)
    builder.cbranch(builder.icmp_signed("<", next_k, count), loop, after)
    for phi, first, later in (
        (k, zero, next_k),
        (place, at, next_place),
        (factor_at, factors_at, next_factor),
        (total, code.same(0), more),
    ):
        phi.add_incoming(first, entry)
        phi.add_incoming(later, loop)

    builder.position_at_end(after)
    half = builder.shl(ir.Constant(_WORD, 1), builder.sub(shift, ir.Constant(_WORD, 1)))
    value = builder.ashr(builder.add(more, code.splat(half, 32)), code.splat(shift, 32))
    if code.types[9].dtype.bitwidth == 8:
        value = code.clip(builder.add(value, code.load(9, to, 32)), 0, 255)
    else:
        value = code.clip(value, -32768, 32767)
    code.store(value, 9, to)


def _type_combine(
    context: Any,
    width: Any,
    matrix: Any,
    at: Any,
    step: Any,
    factors: Any,
    factors_at: Any,
    factors_step: Any,
    count: Any,
    shift: Any,
    out: Any,
    to: Any,
) -> Any:
    """Rounded sums T = RShift(Sum of factors[..] * rows of matrix, shift) of count > 0 products.

    The rows begin at `at` and `step` apart, the factors likewise; all in 32 bits. If out has
    samples (u8), T is added to out[to..], else it replaces it; results are clipped to 0..255, else
    to signed 16 bits.
    """
    places = (None, None, _PLACE, _PLACE, None, _PLACE, _PLACE, _PLACE, _NUMBER, None, _PLACE)
    typed = _operation(_combine_code, *places)
    return typed(width, matrix, at, step, factors, factors_at, factors_step, count, shift, out, to)


filter_row: Any = intrinsic(prefer_literal=True)(_type_filter)
filter_row_into: Any = intrinsic(prefer_literal=True)(_type_filter_into)
sample_row: Any = intrinsic(prefer_literal=True)(_type_samples)
combine_rows: Any = intrinsic(prefer_literal=True)(_type_combine)
