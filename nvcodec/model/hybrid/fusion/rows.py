"""Operations on a few neighbouring samples or sites: inputs and corrections (spec 9.3, 9.5).

Each takes a literal `width` and C-contiguous arrays, each followed by a place in it, counted in
elements from the first one, and works on `width` elements from there on, in 32 bits. Places are
not checked. A *word* has the values of Cb in its low 16 bits and those of Cr in its high ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from nvcodec.model.hybrid.fusion.weights import MAX_INPUT

_HIGH_PASS_SHIFT = 15
_DIFFERENCE_SHIFT = 10
_CORRECTION_SHIFT = 16
_INDEX = ir.IntType(64)


class _Code:
    """Vectors of one width at places of arrays."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.context, self.builder, self.types, self.args = context, builder, signature.args, args
        self.width: int = signature.args[0].literal_value

    def vector(self, bits: int) -> Any:
        return ir.VectorType(ir.IntType(bits), self.width)

    def same(self, value: int, bits: int = 32) -> Any:
        return ir.Constant(self.vector(bits), [value] * self.width)

    def _pointer(self, array: int, offset: int) -> Any:
        """Where an array's elements are from its place, the argument after it, on."""
        made = self.context.make_array(self.types[array])(
            self.context, self.builder, self.args[array]
        )
        place = self.builder.add(self.args[array + 1], ir.Constant(_INDEX, offset))
        element = self.builder.gep(made.data, [place])
        return self.builder.bitcast(element, self.vector(self.bits(array)).as_pointer())

    def bits(self, array: int) -> int:
        width: int = self.types[array].dtype.bitwidth
        return width

    def load(self, array: int, bits: int = 32, offset: int = 0) -> Any:
        own = self.bits(array)
        value = self.builder.load(self._pointer(array, offset), align=own // 8)
        if own == bits:
            return value
        widen = self.builder.sext if self.types[array].dtype.signed else self.builder.zext
        return widen(value, self.vector(bits))

    def store(self, value: Any, array: int) -> None:
        own = self.bits(array)
        if own < 32:
            value = self.builder.trunc(value, self.vector(own))
        self.builder.store(value, self._pointer(array, 0), align=own // 8)

    def clip(self, value: Any, low: int, high: int) -> Any:
        least, most = self.same(low), self.same(high)
        value = self.builder.select(self.builder.icmp_signed("<", value, least), least, value)
        return self.builder.select(self.builder.icmp_signed(">", value, most), most, value)

    def shifted(self, value: Any, factor: Any, shift: int) -> Any:
        """RShift(value * factor, shift)."""
        product = self.builder.mul(value, factor)
        rounded = self.builder.add(product, self.same(1 << (shift - 1)))
        return self.builder.ashr(rounded, self.same(shift))

    def input(self, value: Any, factor: Any, shift: int) -> Any:
        return self.clip(self.shifted(value, factor, shift), -MAX_INPUT, MAX_INPUT)

    def word(self, low: Any, high: Any) -> Any:
        low = self.builder.and_(low, self.same(0xFFFF))
        return self.builder.or_(low, self.builder.shl(high, self.same(16)))

    def high_pass(self, samples: int, sums: int) -> Any:
        """25 * sample - Box, which fits in 16 bits, of samples and sums of columns from -2 on."""
        value = self.builder.mul(self.load(samples, 16), self.same(25, 16))
        for offset in range(5):
            value = self.builder.sub(value, self.load(sums, 16, offset))
        return self.builder.sext(value, self.vector(32))

    def corrected(self, samples: int, correction: Any, steps: int) -> Any:
        change = self.shifted(correction, self.load(steps), _CORRECTION_SHIFT)
        return self.clip(self.builder.add(self.load(samples), change), 0, 255)


def _typed(generate: Callable[[_Code], None], width: Any, *arrays: Any) -> Any:
    """Signature and code of an operation on arrays that are each followed by a place."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        generate(_Code(context, builder, signature, args))
        return context.get_dummy_value()

    taken = [part for array in arrays for part in (array, types.int64)]
    return types.void(width, *taken), code


def _of_four(generate: Callable[[_Code], None]) -> Any:
    def typed(
        context: Any, width: Any, a: Any, at: Any, b: Any, bt: Any, c: Any, ct: Any, d: Any, dt: Any
    ) -> Any:
        return _typed(generate, width, a, b, c, d)

    return intrinsic(prefer_literal=True)(typed)


def _of_six(generate: Callable[[_Code], None]) -> Any:
    def typed(
        context: Any, width: Any, a: Any, at: Any, b: Any, bt: Any, c: Any, ct: Any, d: Any,
        dt: Any, e: Any, et: Any, f: Any, ft: Any,
    ) -> Any:  # fmt: skip
        return _typed(generate, width, a, b, c, d, e, f)

    return intrinsic(prefer_literal=True)(typed)


def _column_sums_code(code: _Code) -> None:
    total = code.load(1, 16)
    for line in range(3, 11, 2):
        total = code.builder.add(total, code.load(line, 16))
    code.store(code.builder.sext(total, code.vector(32)), 11)


def _luma_high_pass_code(code: _Code) -> None:
    value = code.input(code.high_pass(1, 3), code.load(5), _HIGH_PASS_SHIFT)
    code.store(value, 7)


def _chroma_high_pass_code(code: _Code) -> None:
    factor = code.load(9)
    low = code.input(code.high_pass(1, 3), factor, _HIGH_PASS_SHIFT)
    high = code.input(code.high_pass(5, 7), factor, _HIGH_PASS_SHIFT)
    code.store(code.word(low, high), 11)


def _luma_difference_code(code: _Code) -> None:
    change = code.builder.sub(code.load(3), code.load(1))
    code.store(code.input(change, code.load(5), _DIFFERENCE_SHIFT), 7)


def _chroma_difference_code(code: _Code) -> None:
    factor = code.load(9)
    low = code.input(code.builder.sub(code.load(5), code.load(1)), factor, _DIFFERENCE_SHIFT)
    high = code.input(code.builder.sub(code.load(7), code.load(3)), factor, _DIFFERENCE_SHIFT)
    code.store(code.word(low, high), 11)


def _correct_luma_code(code: _Code) -> None:
    code.store(code.corrected(1, code.load(3), 5), 7)


def _correct_chroma_code(code: _Code) -> None:
    words, half = code.load(5), code.same(16)
    low = code.builder.ashr(code.builder.shl(words, half), half)
    code.store(code.corrected(1, low, 7), 9)
    code.store(code.corrected(3, code.builder.ashr(words, half), 7), 11)


column_sums: Any = _of_six(_column_sums_code)
"""Arguments: width, five times samples and their place, then int16 sums of the five of each."""

luma_high_pass: Any = _of_four(_luma_high_pass_code)
"""Samples, sums of columns from two to the left on, factors, int16 inputs."""

chroma_high_pass: Any = _of_six(_chroma_high_pass_code)
"""Samples and sums of Cb, of Cr, factors, words of inputs."""

luma_difference: Any = _of_four(_luma_difference_code)
"""Samples, predicted samples, factors, int16 inputs."""

chroma_difference: Any = _of_six(_chroma_difference_code)
"""Samples of Cb, of Cr, predicted ones of Cb, of Cr, factors, words of inputs."""

correct_luma: Any = _of_four(_correct_luma_code)
"""Samples, int16 corrections, steps, samples of the frame."""

correct_chroma: Any = _of_six(_correct_chroma_code)
"""Samples of Cb, of Cr, words of corrections, steps, samples of the frame of Cb, of Cr."""
