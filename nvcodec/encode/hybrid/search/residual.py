"""Residuals and coefficients in floats, many at a time: differences, energies and rough costs.

Sums of floats are of 16 partial sums or fewer, in an order that no processor changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from llvmlite import ir

from nvcodec.compiled import Integer, Real, intrinsic, kernel, types
from nvcodec.model.hybrid.canvas.intra import MOST
from nvcodec.simd import INDEX, WORD, Vectors, check_places, constant

SUB = 4
"""Coefficients across a sub-block (spec 7.6)."""

_LANES = 16
_REAL = ir.FloatType()

_LEVEL_ERROR = 0.08
_LEVEL_BITS, _ROOT_BITS = 1.6, 2.6
"""Approximate squared error of a level in squared steps, and its bits: the first number plus the
second times the root of its magnitude."""


class _Code(Vectors):
    """Emits the code of one intrinsic: vectors of floats, and loops."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any, lanes: int) -> None:
        super().__init__(builder, lanes)
        self._context, self._types, self._args = context, signature.args, args

    def pointer(self, number: int, place: Any, count: int) -> Any:
        """A pointer to `count` elements of an argument that is an array."""
        made = self._context.make_array(self._types[number])(
            self._context, self.builder, self._args[number]
        )
        check_places(self._context, self.builder, made, place, count)
        return self.builder.gep(made.data, [place])

    def after(self, count: Any, start: Any, body: Callable[[Any, Any], Any]) -> Any:
        """`start` after value = body(k, value) for k = 0 to count - 1; count is above 0."""
        builder, entry = self.builder, self.builder.block
        loop, end = (builder.append_basic_block(name) for name in ("loop", "loop.end"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k, value = builder.phi(INDEX), builder.phi(start.type)
        found, following = body(k, value), builder.add(k, constant(1))
        last = builder.block
        builder.cbranch(builder.icmp_signed("<", following, count), loop, end)
        for phi, first, more in ((k, constant(0), following), (value, start, found)):
            phi.add_incoming(first, entry)
            phi.add_incoming(more, last)
        builder.position_at_end(end)
        return found

    def greater(self, a: Any, b: Any) -> Any:
        """The greater of two floats, by lanes."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def function(self, name: str, value: Any) -> Any:
        """LLVM's function of this name of a vector of floats."""
        return self.call(f"llvm.{name}.v{value.type.count}f32", value.type, value)


@intrinsic
def _coding_cost(
    context: Any, values: Any, count: Any, weight: Any
) -> tuple[Any, Callable[..., Any]]:
    """The cost of `count` coefficients, a multiple of _LANES, in squared steps."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args, _LANES)
        weight = code.splat(args[2])
        error, bits, root = (code.same(x, _REAL) for x in (_LEVEL_ERROR, _LEVEL_BITS, _ROOT_BITS))

        def body(k: Any, total: Any) -> Any:
            place = builder.mul(k, constant(_LANES))
            value = code.read(code.pointer(0, place, _LANES), _REAL)
            squared = builder.fmul(value, value)
            roots = code.function("sqrt", code.function("fabs", value))
            coded = builder.fmul(weight, builder.fadd(bits, builder.fmul(root, roots)))
            coded = builder.fadd(error, coded)
            less = builder.fcmp_ordered("<", squared, coded)
            return builder.fadd(total, builder.select(less, squared, coded))

        rounds = builder.lshr(args[1], constant(_LANES.bit_length() - 1))
        return code.sum(code.after(rounds, code.same(0.0, _REAL), body))

    return types.float32(values, types.int64, types.float32), generate


@kernel
def coding_cost(coefficients: np.ndarray, count: Integer, weight: Real) -> Real:
    """Approximate cost of coding `count` coefficients of a transform, in squared steps.

    There are 16 or a multiple of it; `weight` is lambda in squared steps.
    """
    return _coding_cost(coefficients, count, np.float32(weight))


def _make_survey(n: int) -> Any:
    """Make the code of `survey` for n columns."""

    def survey(context: Any, values: Any, tall: Any, peaks: Any) -> tuple[Any, Callable[..., Any]]:
        return types.float32(values, types.int64, peaks), generate

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args, _LANES)

        def body(k: Any, total: Any) -> Any:
            place = builder.mul(k, constant(SUB * n))
            first = code.pointer(0, place, SUB * n)
            rows = [
                code.read(builder.gep(first, [constant(at)]), _REAL)
                for at in range(0, SUB * n, _LANES)
            ]
            squares = [builder.fmul(row, row) for row in rows]
            sizes = [code.function("fabs", row) for row in rows]
            while len(squares) > 1:
                squares = [builder.fadd(*squares[i : i + 2]) for i in range(0, len(squares), 2)]
            # Vectors of the same columns; those of fewer columns have several rows in one vector.
            across = max(1, n // _LANES)
            for i in range(across):
                most = reduce(code.greater, sizes[i::across])
                while most.type.count > n:
                    half = most.type.count // 2
                    most = code.greater(
                        code.part(most, range(half)), code.part(most, range(half, 2 * half))
                    )
                lanes = range(most.type.count)
                for apart in (1, 2):
                    most = code.greater(most, code.part(most, [lane ^ apart for lane in lanes]))
                found = code.part(most, lanes[::SUB])
                at = builder.mul(k, constant(n // SUB))
                at = builder.add(at, constant(i * _LANES // SUB))
                code.write(found, code.pointer(2, at, len(lanes) // SUB))
            return builder.fadd(total, squares[0])

        rounds = builder.lshr(args[1], constant(SUB.bit_length() - 1))
        return code.sum(code.after(rounds, code.same(0.0, _REAL), body))

    return intrinsic(survey)


_survey4, _survey8, _survey16, _survey32 = (_make_survey(n) for n in (4, 8, 16, 32))


@kernel
def survey(coefficients: np.ndarray, wide: Integer, tall: Integer, peaks: np.ndarray) -> Real:
    """The energy of wide x tall coefficients, flat; `peaks` get the magnitudes of sub-blocks.

    The greatest magnitude in each, row by row.
    """
    if wide == 4:
        return _survey4(coefficients, tall, peaks)
    if wide == 8:
        return _survey8(coefficients, tall, peaks)
    if wide == 16:
        return _survey16(coefficients, tall, peaks)
    return _survey32(coefficients, tall, peaks)


def _make_load(n: int) -> Any:
    """Make the code of `load_unit` for n columns."""

    def load(
        context: Any, residual: Any, at: Any, tall: Any, block: Any
    ) -> tuple[Any, Callable[..., Any]]:
        return types.float32(residual, types.int64, types.int64, block), generate

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args, n)

        def body(k: Any, total: Any) -> Any:
            place = builder.add(args[1], builder.mul(k, constant(MOST)))
            value = code.read(code.pointer(0, place, n), _REAL)
            code.write(value, code.pointer(3, builder.mul(k, constant(n)), n))
            return builder.fadd(total, builder.fmul(value, value))

        return code.sum(code.after(args[2], code.same(0.0, _REAL), body))

    return intrinsic(load)


_load4, _load8, _load16, _load32 = (_make_load(n) for n in (4, 8, 16, 32))


@kernel
def load_unit(
    residual: np.ndarray, y: Integer, x: Integer, wide: Integer, tall: Integer, block: np.ndarray
) -> Real:
    """Copy wide x tall elements at (y, x) of a residual, MOST x MOST, to `block`, flat.

    Returns their energy.
    """
    at = y * MOST + x
    if wide == 4:
        return _load4(residual, at, tall, block)
    if wide == 8:
        return _load8(residual, at, tall, block)
    if wide == 16:
        return _load16(residual, at, tall, block)
    return _load32(residual, at, tall, block)


@intrinsic
def _fold(
    context: Any,
    coefficients: Any,
    step_y: Any,
    step_x: Any,
    side_log: Any,
    matrix: Any,
    at: Any,
    out: Any,
) -> tuple[Any, Callable[..., Any]]:
    """The code of `fold`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args, SUB * _LANES)
        _, step_y, step_x, side_log, _, at, _ = args
        one = constant(1)

        # Four columns at a time: sums of one would wait for each other.
        def body(k: Any, total: Any) -> Any:
            first = builder.mul(k, constant(SUB))
            row = builder.lshr(first, side_log)
            column = builder.and_(first, builder.sub(builder.shl(one, side_log), one))
            place = builder.add(builder.mul(row, step_y), builder.mul(column, step_x))
            values = ir.Constant(ir.VectorType(_REAL, SUB), ir.Undefined)
            for number in range(SUB):
                value = builder.load(code.pointer(0, place, 1))
                values = builder.insert_element(values, value, constant(number, WORD))
                place = builder.add(place, step_x)
            values = code.part(values, [lane // _LANES for lane in range(SUB * _LANES)])
            start = builder.add(at, builder.mul(first, constant(_LANES)))
            factors = code.read(code.pointer(4, start, SUB * _LANES), _REAL)
            return builder.fadd(total, builder.fmul(factors, values))

        area = builder.shl(one, builder.shl(side_log, one))
        rounds = builder.lshr(area, constant(SUB.bit_length() - 1))
        total = code.after(rounds, code.same(0.0, _REAL), body)
        lanes = SUB * _LANES
        while lanes > _LANES:
            lanes //= 2
            total = builder.fadd(*(code.part(total, range(k, k + lanes)) for k in (0, lanes)))
        code.write(total, code.pointer(6, constant(0), _LANES))
        return context.get_dummy_value()

    place = types.int64
    return types.void(coefficients, place, place, place, matrix, place, out), generate


@kernel
def fold(
    coefficients: np.ndarray,
    wide: Integer,
    transposed: Integer,
    side_log: Integer,
    matrix: np.ndarray,
    at: Integer,
    out: np.ndarray,
) -> None:
    """Set out[:16] to coefficients of a secondary transform.

    They are those of the first 1 << side_log columns and rows of `coefficients`, `wide` in a row,
    `transposed` or not. `matrix` has from `at` on 16 factors of each of these, row by row.
    """
    step_y, step_x = (1, wide) if transposed else (wide, 1)
    _fold(coefficients, step_y, step_x, side_log, matrix, at, out)


def _make_difference(n: int, mean: bool) -> Any:
    """Make the code for one row of n samples: their difference to others, or to a mean of two."""
    places = (0, 2, 4) if mean else (0, 2)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args, n)

        def samples(number: int) -> Any:
            kind = ir.IntType(signature.args[number].dtype.bitwidth)
            value = code.read(code.pointer(number, args[number + 1], n), kind)
            return builder.zext(value, code.vector())

        current, *others = (samples(number) for number in places)
        predicted = others[0]
        if mean:
            one = code.same(1)
            predicted = builder.lshr(builder.add(builder.add(*others), one), one)
        change = builder.sitofp(builder.sub(current, predicted), code.vector(_REAL))
        out = places[-1] + 2
        code.write(change, code.pointer(out, args[out + 1], n))
        return context.get_dummy_value()

    def difference(
        context: Any, current: Any, at: Any, other: Any, other_at: Any, out: Any, to: Any
    ) -> tuple[Any, Callable[..., Any]]:
        place = types.int64
        return types.void(current, place, other, place, out, place), generate

    def difference_to_mean(
        context: Any,
        current: Any,
        at: Any,
        first: Any,
        first_at: Any,
        second: Any,
        second_at: Any,
        out: Any,
        to: Any,
    ) -> tuple[Any, Callable[..., Any]]:
        place = types.int64
        return types.void(current, place, first, place, second, place, out, place), generate

    return intrinsic(difference_to_mean if mean else difference)


_difference4, _difference8, _difference16 = (_make_difference(n, False) for n in (4, 8, 16))
_difference8_mean, _difference16_mean = (_make_difference(n, True) for n in (8, 16))


@kernel
def subtract(
    current: np.ndarray,
    at: Integer,
    stride: Integer,
    predicted: np.ndarray,
    predicted_at: Integer,
    predicted_stride: Integer,
    wide: Integer,
    tall: Integer,
    residual: np.ndarray,
    start: Integer,
) -> None:
    """Set residual[:tall, :wide], MOST x MOST, to samples minus predicted ones.

    Places and strides are those of flat arrays; `wide` is 4, 8 or a multiple of 16.
    """
    for i in range(tall):
        row, other, to = at + i * stride, predicted_at + i * predicted_stride, start + i * MOST
        if wide == 4:
            _difference4(current, row, predicted, other, residual, to)
        elif wide == 8:
            _difference8(current, row, predicted, other, residual, to)
        else:
            for x in range(0, wide, 16):
                _difference16(current, row + x, predicted, other + x, residual, to + x)


@kernel
def subtract_mean(
    current: np.ndarray,
    at: Integer,
    stride: Integer,
    first: np.ndarray,
    first_at: Integer,
    second: np.ndarray,
    second_at: Integer,
    predicted_stride: Integer,
    wide: Integer,
    tall: Integer,
    residual: np.ndarray,
    start: Integer,
) -> None:
    """The same for the rounded mean of two predictions; `wide` is 8 or a multiple of 16."""
    for i in range(tall):
        row, step, to = at + i * stride, i * predicted_stride, start + i * MOST
        if wide == 8:
            _difference8_mean(
                current, row, first, first_at + step, second, second_at + step, residual, to
            )
        else:
            for x in range(0, wide, 16):
                _difference16_mean(
                    current, row + x, first, first_at + step + x, second, second_at + step + x,
                    residual, to + x,
                )  # fmt: skip
