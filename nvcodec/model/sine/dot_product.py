"""Products of 8-bit and 16-bit integer matrices by the processor's dot-product instructions.

Takes packed weights and words of values, gives int32 sums, exact modulo 2^32. A word has 32 bits:
4 bytes or 2 integers of 16 bits, the first one in the low bits. The x86 instructions add all
products of two words: `vpdpbusd` those of unsigned and signed bytes, `vpdpwssd` those of signed
16-bit integers. `usable` says whether the processor has them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import allocating, intrinsic_of_literals, types
from nvcodec.simd import INDEX, WORD, Vectors, constant
from nvcodec.target import target

BLOCK_ROWS = 3
"""Rows that are computed together. Few rows waste little padding; with `_WIDE` vectors of columns
each they are still enough to hide the latency of the instructions."""

COLUMNS = 16
"""The number of columns of values is a multiple of this."""

OFFSET = 128
"""Added to signed bytes to make them unsigned, as `vpdpbusd` needs for one of its operands."""

_WIDE = 4

Packed = npt.NDArray[np.int8] | npt.NDArray[np.int16]
"""Weights (blocks, words, BLOCK_ROWS, factors in a word)."""


def _lanes() -> int:
    """Words in the widest vector with these instructions on the target, 0 without them."""
    features = target().features.split(",")
    if "+avx512vnni" in features:
        return 16
    return 8 if "+avxvnni" in features else 0


# A constant in cached kernels. It follows from the processor's features, which are in their key.
_LANES = _lanes()
_WIDE_COLUMNS = _WIDE * _LANES


def _type_block(
    context: Any,
    vectors: Any,
    weights: Any,
    block: Any,
    values: Any,
    first: Any,
    out: Any,
    target: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Sums of BLOCK_ROWS rows and `vectors` (a literal) vectors of columns.

    weights[block] is multiplied by the window of `values` that begins at word `first`. The window
    spans all rows of `values`; each row takes an equal share of the words of the weights. Sums go
    to the words `target`.. of `out`, which has as many columns as `values`.
    """
    count, offset = vectors.literal_value, types.int64
    instruction = "vpdpbusd" if weights.dtype.bitwidth == 8 else "vpdpwssd"
    instruction = f"llvm.x86.avx512.{instruction}.{32 * _LANES}"
    signature = types.void(vectors, weights, offset, values, offset, out, offset)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Vectors(builder, _LANES)
        vector = code.vector()

        def array(number: int) -> tuple[Any, list[Any]]:
            made = context.make_array(signature.args[number])(context, builder, args[number])
            pointer = builder.bitcast(made.data, WORD.as_pointer())
            sizes = range(signature.args[number].ndim)
            return pointer, [builder.extract_value(made.shape, size) for size in sizes]

        def lane(pointer: Any, number: int) -> Any:
            return builder.gep(pointer, [constant(number * _LANES)])

        weight_data, weight_shape = array(1)
        value_data, value_shape = array(3)
        out_data, _ = array(5)
        rows, across, deep, columns = value_shape
        words = weight_shape[1]
        length = builder.sdiv(words, rows)
        size = builder.mul(words, constant(BLOCK_ROWS))
        start = builder.gep(weight_data, [builder.mul(args[2], size)])
        value_start = builder.gep(value_data, [args[4]])
        value_row = builder.mul(builder.mul(across, deep), columns)
        cells = [(r, c) for r in range(BLOCK_ROWS) for c in range(count)]
        zero = code.same(0)

        entry = builder.block
        outer, inner, after, end = (
            builder.append_basic_block(name) for name in ("row", "word", "row.next", "end")
        )
        builder.branch(outer)

        builder.position_at_end(outer)
        row = builder.phi(INDEX)
        row_sums = [builder.phi(vector) for _ in cells]
        row_start = builder.gep(value_start, [builder.mul(row, value_row)])
        row_weights = builder.gep(
            start, [builder.mul(builder.mul(row, length), constant(BLOCK_ROWS))]
        )
        builder.branch(inner)

        builder.position_at_end(inner)
        k = builder.phi(INDEX)
        sums = [builder.phi(vector) for _ in cells]
        place = builder.gep(row_start, [builder.mul(k, columns)])
        factors = [code.read(lane(place, c)) for c in range(count)]
        weight = builder.gep(row_weights, [builder.mul(k, constant(BLOCK_ROWS))])
        spread = [
            code.splat(builder.load(builder.gep(weight, [constant(r)]))) for r in range(BLOCK_ROWS)
        ]
        # The first factor is the unsigned one.
        added = [
            code.call(instruction, vector, total, factors[c], spread[r])
            for total, (r, c) in zip(sums, cells, strict=True)
        ]
        next_k = builder.add(k, constant(1))
        builder.cbranch(builder.icmp_signed("<", next_k, length), inner, after)

        builder.position_at_end(after)
        next_row = builder.add(row, constant(1))
        builder.cbranch(builder.icmp_signed("<", next_row, rows), outer, end)

        row.add_incoming(constant(0), entry)
        row.add_incoming(next_row, after)
        k.add_incoming(constant(0), outer)
        k.add_incoming(next_k, inner)
        for at_row, at_word, total in zip(row_sums, sums, added, strict=True):
            at_row.add_incoming(zero, entry)
            at_row.add_incoming(total, after)
            at_word.add_incoming(at_row, outer)
            at_word.add_incoming(total, inner)

        builder.position_at_end(end)
        target = builder.gep(out_data, [args[6]])
        for total, (r, c) in zip(added, cells, strict=True):
            line = builder.gep(target, [builder.mul(columns, constant(r))])
            code.write(total, lane(line, c))
        return context.get_dummy_value()

    return signature, generate


_block: Any = intrinsic_of_literals(_type_block)


@allocating
def products(weights: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
    """out[i] = weights * window i of values, for all windows of out.

    `values` is C-contiguous int32 (rows, across, words, columns) of words, and windows overlap:
    window i spans all rows, and in each of them the places i, i + 1.. of the axis `across`, as many
    as the weights take. With one row and one window this is a matrix product.

    `weights` are packed by `pack`: int8 for values of unsigned bytes, int16 for signed 16-bit
    integers. `out` is C-contiguous int32 (windows, rows, columns) with all rows of the weights;
    columns are a multiple of COLUMNS.
    """
    words, columns = values.shape[2], values.shape[3]
    wide = columns // _WIDE_COLUMNS * _WIDE_COLUMNS
    for i in range(out.shape[0]):
        first = i * words * columns
        for block in range(weights.shape[0]):
            target = (i * out.shape[1] + block * BLOCK_ROWS) * columns
            for c in range(0, wide, _WIDE_COLUMNS):
                _block(_WIDE, weights, block, values, first + c, out, target + c)
            if columns - wide == 3 * _LANES:
                _block(3, weights, block, values, first + wide, out, target + wide)
            elif columns - wide == 2 * _LANES:
                _block(2, weights, block, values, first + wide, out, target + wide)
            elif columns - wide == _LANES:
                _block(1, weights, block, values, first + wide, out, target + wide)


def pack(matrix: npt.NDArray[np.integer[Any]], dtype: type[np.int8] | type[np.int16]) -> Packed:
    """Weights (rows, columns) for `products`, of type `dtype`.

    Rows and columns are padded with zeros to whole blocks and words.
    """
    depth = 4 // np.dtype(dtype).itemsize
    rows, columns = matrix.shape
    blocks, words = -(-rows // BLOCK_ROWS), -(-columns // depth)
    full = np.zeros((blocks * BLOCK_ROWS, words * depth), dtype)
    full[:rows, :columns] = matrix
    ordered = empty((blocks, words, BLOCK_ROWS), np.int32)
    ordered[:] = full.view(np.int32).reshape(blocks, BLOCK_ROWS, words).transpose(0, 2, 1)
    packed: npt.NDArray[Any] = ordered.view(dtype).reshape(blocks, words, BLOCK_ROWS, depth)
    return packed


def empty(shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    """An uninitialised array aligned to 64 bytes, which is fastest for vectors."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    array: npt.NDArray[Any] = room[start : start + size].view(dtype).reshape(shape)
    return array


def padded(count: int) -> int:
    """`count` columns rounded up to a multiple of COLUMNS."""
    return -(-count // COLUMNS) * COLUMNS


@functools.cache
def usable() -> bool:
    """Whether `products` can be used: the processor has the instructions and passes a test.

    The test runs once in a process: extremes and random values against 64-bit products.
    """
    try:
        return _LANES > 0 and all(_agrees(dtype) for dtype in (np.int8, np.int16))
    except Exception:  # on any failure, the float products take over
        return False


def _agrees(dtype: type[np.int8] | type[np.int16]) -> bool:
    rng = np.random.default_rng(0)
    narrow = dtype is np.int8
    depth, most = (4, 127) if narrow else (2, 2047)
    kinds: tuple[Callable[[tuple[int, ...]], npt.NDArray[np.int64]], ...] = (
        lambda shape: np.full(shape, most),
        lambda shape: np.full(shape, -most),
        lambda shape: np.where(np.arange(np.prod(shape)).reshape(shape) % 2, most, -most),
        lambda shape: rng.integers(-most, most + 1, shape),
    )
    across, words = 3, 5
    for columns in range(COLUMNS, 6 * COLUMNS, COLUMNS):
        for of_weights in kinds:
            for of_values in kinds:
                weights = of_weights((2 * BLOCK_ROWS, 2, 2, words, depth))
                values = of_values((2, across, words, columns, depth))
                stored = values + OFFSET if narrow else values
                out = empty((across - 1, 2 * BLOCK_ROWS, columns), np.int32)
                room = empty(values.shape, np.uint8 if narrow else np.int16)
                room[:] = stored
                words_of_values = room.view(np.int32)[..., 0]
                products(pack(weights.reshape(len(weights), -1), dtype), words_of_values, out)
                for i in range(across - 1):
                    exact = np.einsum("ryxwd,yxwnd->rn", weights, stored[:, i : i + 2])
                    if not np.array_equal(out[i], exact):
                        return False
    return True
