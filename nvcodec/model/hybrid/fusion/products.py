"""Products of pairs of 16-bit integers, summed in 32 bits: the network's layers (spec 9.4).

Takes words, each with two signed 16-bit integers, the first one in its low bits; gives words of
the same kind. Sums are exact modulo 2^32, by whatever instructions: x86 has one that multiplies and
adds pairs, `vpmaddwd`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

COLUMNS = 16
"""Columns of words come in multiples of this."""

_LANES = 8
_VECTORS = COLUMNS // _LANES

# A constant in kernels that are kept: the processor's features decide it, and are in their key.
_PAIRS = "+avx2" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")

_WORD = ir.IntType(32)
_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, _LANES)


def _same(value: int) -> Any:
    return ir.Constant(_VECTOR, [value] * _LANES)


def _splat(builder: Any, value: Any) -> Any:
    blank = ir.Constant(_VECTOR, ir.Undefined)
    single = builder.insert_element(blank, value, ir.Constant(_WORD, 0))
    return builder.shuffle_vector(single, blank, _same(0))


def _pair_products(builder: Any, a: Any, b: Any) -> Any:
    """For each word, the sum of both products of its integers."""
    if _PAIRS:
        name, narrow = "llvm.x86.avx2.pmadd.wd", ir.VectorType(ir.IntType(16), 2 * _LANES)
        product = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(_VECTOR, [narrow] * 2), name
        )
        return builder.call(product, [builder.bitcast(a, narrow), builder.bitcast(b, narrow)])
    half = _same(16)
    high = builder.mul(builder.ashr(a, half), builder.ashr(b, half))
    low = [builder.ashr(builder.shl(value, half), half) for value in (a, b)]
    return builder.add(high, builder.mul(*low))


def _clip(builder: Any, value: Any, most: int) -> Any:
    low, high = _same(-most), _same(most)
    value = builder.select(builder.icmp_signed("<", value, low), low, value)
    return builder.select(builder.icmp_signed(">", value, high), high, value)


def _type_layer(
    context: Any,
    rows: Any,
    hidden: Any,
    values: Any,
    offsets: Any,
    column: Any,
    weights: Any,
    weights_at: Any,
    biases: Any,
    biases_at: Any,
    shift: Any,
    most: Any,
    out_at: Any,
    out_step: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Outputs of `rows` units, even, for COLUMNS columns; rows, hidden and most are literals.

    The sum of a unit at a column is the bias and, for each entry k of `offsets`, both products of
    the word values[offsets[k] + column] and the word weights[weights_at + k * rows + unit]. It is
    shifted right by `shift`, then, if `hidden`, what is negative by 3 more, and clipped to a
    magnitude of `most`. Units 2 * i and 2 * i + 1 go to the words values[out_at + i * out_step +
    column...]. Biases are int32 with half of 2^shift in them; all arrays are of words, int32,
    `offsets` int64.
    """
    units, place = rows.literal_value, types.int64
    signature = types.void(
        rows, hidden, values, offsets, place, weights, place, biases, place, types.int32, most,
        place, place,
    )  # fmt: skip
    leaky, limit = bool(hidden.literal_value), most.literal_value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def array(number: int) -> Any:
            return context.make_array(signature.args[number])(context, builder, args[number])

        def vector_at(pointer: Any, number: int) -> Any:
            lane = builder.gep(pointer, [ir.Constant(_INDEX, number * _LANES)])
            return builder.bitcast(lane, _VECTOR.as_pointer())

        def word_at(pointer: Any, number: int) -> Any:
            return builder.load(builder.gep(pointer, [ir.Constant(_INDEX, number)]))

        values, offsets = array(2).data, array(3)
        terms = builder.extract_value(offsets.shape, 0)
        column, shift = args[4], _splat(builder, args[9])
        weights = builder.gep(array(5).data, [args[6]])
        biases = builder.gep(array(7).data, [args[8]])
        cells = [(r, c) for r in range(units) for c in range(_VECTORS)]
        first = [_splat(builder, word_at(biases, r)) for r in range(units)]

        entry = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("term", "terms.end"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(_INDEX)
        sums = [builder.phi(_VECTOR) for _ in cells]
        offset = builder.load(builder.gep(offsets.data, [k]))
        source = builder.gep(values, [builder.add(offset, column)])
        loaded = [builder.load(vector_at(source, c), align=4) for c in range(_VECTORS)]
        own = builder.gep(weights, [builder.mul(k, ir.Constant(_INDEX, units))])
        added = []
        for r in range(units):
            factor = _splat(builder, word_at(own, r))
            for c in range(_VECTORS):
                products = _pair_products(builder, loaded[c], factor)
                added.append(builder.add(sums[r * _VECTORS + c], products))
        following = builder.add(k, ir.Constant(_INDEX, 1))
        builder.cbranch(builder.icmp_signed("<", following, terms), loop, after)
        k.add_incoming(ir.Constant(_INDEX, 0), entry)
        k.add_incoming(following, loop)
        for total, more, (r, _) in zip(sums, added, cells, strict=True):
            total.add_incoming(first[r], entry)
            total.add_incoming(more, loop)

        builder.position_at_end(after)
        done = []
        for total in added:
            value = builder.ashr(total, shift)
            if leaky:
                slope = builder.ashr(value, _same(3))
                value = builder.select(builder.icmp_signed(">", value, slope), value, slope)
            done.append(_clip(builder, value, limit))
        target = builder.gep(values, [builder.add(args[11], column)])
        for pair in range(units // 2):
            for c in range(_VECTORS):
                low = builder.and_(done[2 * pair * _VECTORS + c], _same(0xFFFF))
                high = builder.shl(done[(2 * pair + 1) * _VECTORS + c], _same(16))
                builder.store(builder.or_(low, high), vector_at(target, c), align=4)
            target = builder.gep(target, [args[12]])
        return context.get_dummy_value()

    return signature, generate


layer_block: Any = intrinsic(prefer_literal=True)(_type_layer)
