"""The encoder's transforms, in floats: residuals of a block to coefficients and back.

They are orthonormal, so the squared error of coefficients is that of samples. The decoder's inverse
transforms are in integers (spec 8.5) and differ from these only by rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from nvcodec.compiled import Integer, Real, intrinsic, kernel, types
from nvcodec.simd import Vectors, constant
from nvcodec.tables import load_table

_MATRIX = load_table("transform.txt").reshape(32, 32).astype(np.float64)
_SINE = load_table("sine_transform.txt").astype(np.float64)


def _matrices(transposed: bool) -> np.ndarray:
    """Orthonormal matrices one after the other: cosines of sizes 4 to 32, sines of 4 to 16."""
    parts = []
    sines = np.split(_SINE, [16, 80])
    for matrix in [*(_MATRIX[:: 32 // n, :n] for n in (4, 8, 16, 32)), *sines]:
        n = int(np.sqrt(matrix.size))
        matrix = matrix.reshape(n, n) / (64 * np.sqrt(n))
        parts.append((matrix.T if transposed else matrix).ravel())
    return np.concatenate(parts).astype(np.float32)


FORWARD = _matrices(False)
BACKWARD = _matrices(True)
FIRST = np.array([[0, 0, 0, 16, 80, 336], [0, 0, 1360, 1376, 1440, 0]], np.int64)
"""Offset of the matrix of size 2^k in FORWARD and BACKWARD, by sine (0 or 1) and k."""


def _make_combine(n: int, inner: int) -> Any:
    """Make a function that computes one row of a product of matrices, the second inner x n.

    It sets out[o : o + n] to scale * sum over i < inner of factors[f + i] * rows[r + i * n :][:n].
    """

    def combine(
        typingctx: Any, factors: Any, f: Any, rows: Any, r: Any, scale: Any, out: Any, o: Any
    ) -> Any:
        size = types.int64
        signature = types.void(factors, size, rows, size, types.float32, out, size)
        return signature, generate

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        real, vectors = ir.FloatType(), Vectors(builder, n)
        vector = vectors.vector(real)

        def place(number: int) -> Any:
            array = context.make_array(signature.args[number])(context, builder, args[number])
            return builder.gep(array.data, [args[number + 1]])

        factors, rows = place(0), place(2)
        sums = [vectors.same(0.0, real)] * 2
        for i in range(inner):
            factor = vectors.splat(builder.load(builder.gep(factors, [constant(i)])))
            row = vectors.read(builder.gep(rows, [constant(i * n)]), real)
            name = f"llvm.fmuladd.v{n}f32"
            sums[i % 2] = vectors.call(name, vector, factor, row, sums[i % 2])
        total = builder.fmul(builder.fadd(*sums), vectors.splat(args[4]))
        vectors.write(total, place(5))
        return context.get_dummy_value()

    return intrinsic(combine)


_combine4, _combine8, _combine16, _combine32 = (_make_combine(n, n) for n in (4, 8, 16, 32))
_combine4_8, _combine4_16 = _make_combine(4, 8), _make_combine(4, 16)
_combine8_4, _combine8_16, _combine8_32 = (_make_combine(8, n) for n in (4, 16, 32))
_combine16_4, _combine16_8, _combine16_32 = (_make_combine(16, n) for n in (4, 8, 32))
_combine32_8, _combine32_16 = _make_combine(32, 8), _make_combine(32, 16)


@kernel
def _product(
    left: np.ndarray,
    left_at: Integer,
    right: np.ndarray,
    right_at: Integer,
    rows: Integer,
    inner: Integer,
    n: Integer,
    scale: Real,
    out: np.ndarray,
) -> None:
    """Set `out` to scale * left @ right, flat matrices that begin at left_at and right_at.

    `left` is rows x inner, `right` inner x n.
    """
    if n == 4 and inner == 4:
        for k in range(rows):
            _combine4(left, left_at + k * 4, right, right_at, scale, out, k * 4)
    elif n == 4 and inner == 8:
        for k in range(rows):
            _combine4_8(left, left_at + k * 8, right, right_at, scale, out, k * 4)
    elif n == 4 and inner == 16:
        for k in range(rows):
            _combine4_16(left, left_at + k * 16, right, right_at, scale, out, k * 4)
    elif n == 8 and inner == 4:
        for k in range(rows):
            _combine8_4(left, left_at + k * 4, right, right_at, scale, out, k * 8)
    elif n == 8 and inner == 8:
        for k in range(rows):
            _combine8(left, left_at + k * 8, right, right_at, scale, out, k * 8)
    elif n == 8 and inner == 16:
        for k in range(rows):
            _combine8_16(left, left_at + k * 16, right, right_at, scale, out, k * 8)
    elif n == 8 and inner == 32:
        for k in range(rows):
            _combine8_32(left, left_at + k * 32, right, right_at, scale, out, k * 8)
    elif n == 16 and inner == 4:
        for k in range(rows):
            _combine16_4(left, left_at + k * 4, right, right_at, scale, out, k * 16)
    elif n == 16 and inner == 8:
        for k in range(rows):
            _combine16_8(left, left_at + k * 8, right, right_at, scale, out, k * 16)
    elif n == 16 and inner == 16:
        for k in range(rows):
            _combine16(left, left_at + k * 16, right, right_at, scale, out, k * 16)
    elif n == 16 and inner == 32:
        for k in range(rows):
            _combine16_32(left, left_at + k * 32, right, right_at, scale, out, k * 16)
    elif n == 32 and inner == 8:
        for k in range(rows):
            _combine32_8(left, left_at + k * 8, right, right_at, scale, out, k * 32)
    elif n == 32 and inner == 16:
        for k in range(rows):
            _combine32_16(left, left_at + k * 16, right, right_at, scale, out, k * 32)
    elif n == 32 and inner == 32:
        for k in range(rows):
            _combine32(left, left_at + k * 32, right, right_at, scale, out, k * 32)


@kernel
def forward(
    block: np.ndarray,
    n: Integer,
    tall: Integer,
    wide_log: Integer,
    tall_log: Integer,
    sine: Integer,
    scale: Real,
    scratch: np.ndarray,
    out: np.ndarray,
) -> None:
    """Set `out` to `scale` times the coefficients of a residual of n x tall samples.

    They are those of the cosine transform, or if `sine` is 1 of the sine transform.
    `block`, `scratch` and `out` are flat float32, row-major, of at least n * tall.
    """
    down, across = FIRST[sine, tall_log], FIRST[sine, wide_log]
    _product(FORWARD, down, block, 0, tall, tall, n, np.float32(1.0), scratch)
    _product(scratch, 0, BACKWARD, across, tall, n, n, scale, out)
