"""Distances between blocks of samples, SAD and SATD, with SIMD code for tiles of eight rows.

Takes flat arrays of u8 or u16, the offset of a block's first sample and the stride between rows, in
samples. SAD is the sum of absolute differences. SATD is the sum of absolute coefficients of 8 x 8
Hadamard transforms of the differences, scaled as an orthonormal transform is. SATD is also to the
rounded mean of two references.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from nvcodec.compiled import Integer, Real, intrinsic, kernel, types
from nvcodec.products import PAIRS
from nvcodec.simd import INDEX, WORD, Vectors, constant

ANY = 1 << 40
"""Above all distances: a limit that stops nothing."""

ROWS = 8
"""Rows of a tile: the part of a block that one piece of SIMD code compares."""


def _sum_of_differences(vectors: Vectors, pairs: list[tuple[Any, Any]]) -> Any:
    """SAD of pairs of rows of bytes, by x86's instruction for it."""
    builder, halves = vectors.builder, ir.VectorType(INDEX, 2)
    zero = ir.Constant(ir.VectorType(ir.IntType(8), vectors.lanes), [0] * vectors.lanes)
    order = ir.Constant(ir.VectorType(WORD, 16), list(range(16)))
    total = None
    for pair in pairs:
        if vectors.lanes < 16:
            pair = tuple(builder.shuffle_vector(row, zero, order) for row in pair)
        part = vectors.call("llvm.x86.sse2.psad.bw", halves, *pair)
        total = part if total is None else builder.add(total, part)
    parts = [builder.extract_element(total, constant(k, WORD)) for k in range(2)]
    return builder.add(*parts)


def _make_tile(width: int, hadamard: bool, mean: bool, apart: bool = False) -> Any:
    """Make the function for one tile of ROWS rows of `width` samples, 8 or 16.

    With `apart`, the right half of each prediction has a place of its own.
    """
    references = 2 if mean else 1
    each = 3 if apart else 2

    def type_tile(context: Any, current: Any, at: Any, stride: Any, *rest: Any) -> Any:
        signature = types.int64(current, types.int64, types.int64, *_expected(rest))
        return signature, generate

    def _expected(rest: Any) -> list[Any]:
        expected = []
        for k in range(references):
            expected += [rest[each * k], *[types.int64] * (each - 1)]
        return [*expected, types.int64]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Sums of 8-bit samples fit in 16 bits.
        sample = ir.IntType(signature.args[0].dtype.bitwidth)
        half = ir.IntType(2 * sample.width)
        vectors = Vectors(builder, width)
        halves = vectors.vector(half)

        def samples(number: int, stride: Any, at: int = 1, part: Vectors = vectors) -> list[Any]:
            array = context.make_array(signature.args[number])(context, builder, args[number])
            place = builder.gep(array.data, [args[number + at]])
            loaded = []
            for _ in range(ROWS):
                loaded.append(part.read(place, sample))
                place = builder.gep(place, [stride])
            return loaded

        def rows(number: int, stride: Any) -> list[Any]:
            if apart and number > 0:
                part = Vectors(builder, width // 2)
                order = ir.Constant(vectors.vector(), list(range(width)))
                sides = (samples(number, stride, at, part) for at in (1, 2))
                found = [builder.shuffle_vector(*row, order) for row in zip(*sides, strict=True)]
            else:
                found = samples(number, stride)
            return [builder.zext(row, halves) for row in found]

        stride = args[3 + each * references]
        if not (hadamard or mean) and sample.width == 8 and PAIRS:
            pairs = zip(samples(0, args[2]), samples(3, stride), strict=True)
            return _sum_of_differences(vectors, list(pairs))
        current = rows(0, args[2])
        predicted = rows(3, stride)
        if mean:
            one = vectors.same(1, half)
            second = rows(3 + each, stride)
            predicted = [
                builder.lshr(builder.add(builder.add(a, b), one), one)
                for a, b in zip(predicted, second, strict=True)
            ]
        d = [builder.sub(a, b) for a, b in zip(current, predicted, strict=True)]

        def butterflies(v: list[Any], spans: tuple[int, ...]) -> list[Any]:
            for span in spans:
                for i in range(ROWS):
                    if not i & span:
                        a, b = v[i], v[i + span]
                        v[i], v[i + span] = builder.add(a, b), builder.sub(a, b)
            return v

        def transposed(v: list[Any]) -> list[Any]:
            """Lanes k of row i become lanes i of row k, in each group of eight lanes."""
            eights = range(0, width, ROWS)
            for _ in range(3):
                rows = []
                for i in range(ROWS // 2):
                    for first in (0, 4):
                        lanes = [
                            at + first + k + of
                            for at in eights
                            for k in range(4)
                            for of in (0, width)
                        ]
                        order = ir.Constant(vectors.vector(), lanes)
                        rows.append(builder.shuffle_vector(v[i], v[i + ROWS // 2], order))
                v = rows
            return v

        def sizes(v: list[Any]) -> list[Any]:
            zero = vectors.same(0, half)
            found = []
            for value in v:
                negative = builder.icmp_signed("<", value, zero)
                found.append(builder.select(negative, builder.sub(zero, value), value))
            return found

        def added(v: list[Any]) -> Any:
            """The sum of four vectors of numbers below 2^14, or of fewer, widened."""
            part = v[0]
            for value in v[1:]:
                part = builder.add(part, value)
            return builder.zext(part, vectors.vector()) if half.width < WORD.width else part

        if hadamard:
            d = butterflies(transposed(butterflies(d, (1, 2, 4))), (1, 2))
            # The last step is left out: |a + b| + |a - b| is twice the greater of |a| and |b|.
            d = sizes(d)
            most = [
                builder.select(builder.icmp_signed(">", a, b), a, b)
                for a, b in zip(d[:4], d[4:], strict=True)
            ]
            total = builder.shl(added(most), vectors.same(1))
        else:
            d = sizes(d)
            total = builder.add(added(d[:4]), added(d[4:]))
        result = builder.zext(vectors.sum(total), INDEX)
        if hadamard:
            result = builder.lshr(builder.add(result, constant(4)), constant(3))
        return result

    def tile(
        typingctx: Any, current: Any, at: Any, stride: Any, a: Any, a_at: Any, reference_stride: Any
    ) -> Any:
        return type_tile(typingctx, current, at, stride, a, a_at, reference_stride)

    def tile_mean(
        typingctx: Any,
        current: Any,
        at: Any,
        stride: Any,
        a: Any,
        a_at: Any,
        b: Any,
        b_at: Any,
        reference_stride: Any,
    ) -> Any:
        return type_tile(typingctx, current, at, stride, a, a_at, b, b_at, reference_stride)

    def tile_apart(
        typingctx: Any,
        current: Any,
        at: Any,
        stride: Any,
        a: Any,
        a_at: Any,
        a_right: Any,
        reference_stride: Any,
    ) -> Any:
        return type_tile(typingctx, current, at, stride, a, a_at, a_right, reference_stride)

    def tile_mean_apart(
        typingctx: Any,
        current: Any,
        at: Any,
        stride: Any,
        a: Any,
        a_at: Any,
        a_right: Any,
        b: Any,
        b_at: Any,
        b_right: Any,
        reference_stride: Any,
    ) -> Any:
        return type_tile(
            typingctx, current, at, stride, a, a_at, a_right, b, b_at, b_right, reference_stride
        )

    if apart:
        return intrinsic(tile_mean_apart if mean else tile_apart)
    return intrinsic(tile_mean if mean else tile)


_sad8, _sad16 = _make_tile(8, False, False), _make_tile(16, False, False)
_satd8, _satd16 = _make_tile(8, True, False), _make_tile(16, True, False)
_satd8_mean, _satd16_mean = _make_tile(8, True, True), _make_tile(16, True, True)

satd_apart = _make_tile(16, True, False, apart=True)
"""SATD of two cells of 8 x 8, side by side, whose predictions begin at two places.

Takes current, at, stride, reference, both places and the stride of the reference.
"""
satd_mean_apart = _make_tile(16, True, True, apart=True)
"""The same to the rounded mean of two references; takes both places of each after it."""


@kernel
def sad(
    current: np.ndarray,
    at: Integer,
    stride: Integer,
    reference: np.ndarray,
    reference_at: Integer,
    reference_stride: Integer,
    wide: Integer,
    tall: Integer,
    most: Real,
) -> Integer:
    """SAD of a block of wide x tall samples; the width is 8 or a multiple of 16, the height of 8.

    Stops once the sum exceeds `most`, so a result above `most` may be partial.
    """
    total = 0
    for y in range(0, tall, ROWS):
        row, reference_row = at + y * stride, reference_at + y * reference_stride
        if wide == 8:
            total += _sad8(current, row, stride, reference, reference_row, reference_stride)
        else:
            for x in range(0, wide, 16):
                total += _sad16(
                    current, row + x, stride, reference, reference_row + x, reference_stride
                )
        if total > most:
            break
    return total


@kernel
def satd(
    current: np.ndarray,
    at: Integer,
    stride: Integer,
    reference: np.ndarray,
    reference_at: Integer,
    reference_stride: Integer,
    wide: Integer,
    tall: Integer,
    most: Real,
) -> Integer:
    """SATD of a block; the arguments are those of `sad`, and it stops as `sad` does."""
    total = 0
    for y in range(0, tall, ROWS):
        row, reference_row = at + y * stride, reference_at + y * reference_stride
        if wide == 8:
            total += _satd8(current, row, stride, reference, reference_row, reference_stride)
        else:
            for x in range(0, wide, 16):
                total += _satd16(
                    current, row + x, stride, reference, reference_row + x, reference_stride
                )
        if total > most:
            break
    return total


@kernel
def satd_mean(
    current: np.ndarray,
    at: Integer,
    stride: Integer,
    a: np.ndarray,
    a_at: Integer,
    b: np.ndarray,
    b_at: Integer,
    reference_stride: Integer,
    wide: Integer,
    tall: Integer,
    most: Real,
) -> Integer:
    """SATD of a block to the rounded mean of two others, otherwise as `satd`."""
    total = 0
    for y in range(0, tall, ROWS):
        row, step = at + y * stride, y * reference_stride
        if wide == 8:
            total += _satd8_mean(
                current, row, stride, a, a_at + step, b, b_at + step, reference_stride
            )
        else:
            for x in range(0, wide, 16):
                total += _satd16_mean(
                    current, row + x, stride, a, a_at + step + x, b, b_at + step + x,
                    reference_stride,
                )  # fmt: skip
        if total > most:
            break
    return total
