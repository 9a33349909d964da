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
from nvcodec.simd import INDEX, WORD, Vectors, constant

ROWS = 8
"""Rows of a tile: the part of a block that one piece of SIMD code compares."""


def _make_tile(width: int, hadamard: bool, mean: bool) -> Any:
    """Make the function for one tile of ROWS rows of `width` samples, 8 or 16."""
    references = 2 if mean else 1

    def type_tile(context: Any, current: Any, at: Any, stride: Any, *rest: Any) -> Any:
        signature = types.int64(current, types.int64, types.int64, *_expected(rest))
        return signature, generate

    def _expected(rest: Any) -> list[Any]:
        expected = []
        for k in range(references):
            expected += [rest[2 * k], types.int64]
        return [*expected, types.int64]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Sums of 8-bit samples fit in 16 bits.
        sample = ir.IntType(signature.args[0].dtype.bitwidth)
        half = ir.IntType(2 * sample.width)
        vectors = Vectors(builder, width)
        halves = vectors.vector(half)

        def rows(number: int, stride: Any) -> list[Any]:
            array = context.make_array(signature.args[number])(context, builder, args[number])
            place = builder.gep(array.data, [args[number + 1]])
            loaded = []
            for _ in range(ROWS):
                loaded.append(builder.zext(vectors.read(place, sample), halves))
                place = builder.gep(place, [stride])
            return loaded

        current = rows(0, args[2])
        stride = args[3 + 2 * references]
        predicted = rows(3, stride)
        if mean:
            one = vectors.same(1, half)
            second = rows(5, stride)
            predicted = [
                builder.lshr(builder.add(builder.add(a, b), one), one)
                for a, b in zip(predicted, second, strict=True)
            ]
        d = [builder.sub(a, b) for a, b in zip(current, predicted, strict=True)]

        def butterflies(v: list[Any]) -> list[Any]:
            for span in (1, 2, 4):
                for i in range(ROWS):
                    if not i & span:
                        a, b = v[i], v[i + span]
                        v[i], v[i + span] = builder.add(a, b), builder.sub(a, b)
            return v

        def transposed(v: list[Any]) -> list[Any]:
            for span in (1, 2, 4):
                low, high = [], []
                for lane in range(width):
                    low.append(lane if not lane & span else width + lane - span)
                    high.append(lane + span if not lane & span else width + lane)
                for i in range(ROWS):
                    if not i & span:
                        a, b = v[i], v[i + span]
                        lanes = vectors.vector()
                        v[i] = builder.shuffle_vector(a, b, ir.Constant(lanes, low))
                        v[i + span] = builder.shuffle_vector(a, b, ir.Constant(lanes, high))
            return v

        if hadamard:
            d = butterflies(transposed(butterflies(d)))
        zero = vectors.same(0, half)
        sizes = []
        for v in d:
            negative = builder.icmp_signed("<", v, zero)
            sizes.append(builder.select(negative, builder.sub(zero, v), v))
        # Four values of 8 bits add up to less than 2^16: at most 4 * 64 * 255 for Hadamard
        # coefficients.
        total = None
        for quarter in (sizes[:4], sizes[4:]):
            part = quarter[0]
            for v in quarter[1:]:
                part = builder.add(part, v)
            if half.width < WORD.width:
                part = builder.zext(part, vectors.vector())
            total = part if total is None else builder.add(total, part)
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

    return intrinsic(tile_mean if mean else tile)


_sad8, _sad16 = _make_tile(8, False, False), _make_tile(16, False, False)
_satd8, _satd16 = _make_tile(8, True, False), _make_tile(16, True, False)
_satd8_mean, _satd16_mean = _make_tile(8, True, True), _make_tile(16, True, True)


@kernel
def sad(
    current: np.ndarray,
    at: Integer,
    stride: Integer,
    reference: np.ndarray,
    reference_at: Integer,
    reference_stride: Integer,
    n: Integer,
    most: Real,
) -> Integer:
    """SAD of an n x n block, n = 8 or a multiple of 16.

    Stops once the sum exceeds `most`, so a result above `most` may be partial.
    """
    total = 0
    if n == 8:
        return _sad8(current, at, stride, reference, reference_at, reference_stride)
    for y in range(0, n, 8):
        for x in range(0, n, 16):
            total += _sad16(
                current,
                at + y * stride + x,
                stride,
                reference,
                reference_at + y * reference_stride + x,
                reference_stride,
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
    n: Integer,
) -> Integer:
    """SATD of an n x n block, n = 8 or a multiple of 16."""
    if n == 8:
        return _satd8(current, at, stride, reference, reference_at, reference_stride)
    total = 0
    for y in range(0, n, 8):
        for x in range(0, n, 16):
            total += _satd16(
                current,
                at + y * stride + x,
                stride,
                reference,
                reference_at + y * reference_stride + x,
                reference_stride,
            )
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
    n: Integer,
) -> Integer:
    """SATD of a block to the rounded mean of two others; n as for `satd`."""
    if n == 8:
        return _satd8_mean(current, at, stride, a, a_at, b, b_at, reference_stride)
    total = 0
    for y in range(0, n, 8):
        for x in range(0, n, 16):
            step = y * reference_stride + x
            total += _satd16_mean(
                current,
                at + y * stride + x,
                stride,
                a,
                a_at + step,
                b,
                b_at + step,
                reference_stride,
            )
    return total
