"""Products of pairs of 16-bit integers, summed in 32 bits: the network's layers (spec 9.4).

Takes and gives words of two signed 16-bit integers, the first one in the low bits. Sums are exact
modulo 2^32 with any instructions. On x86, `vpmaddwd` multiplies and adds pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from nvcodec.simd import INDEX, Vectors, constant

COLUMNS = 16
"""Columns of words come in multiples of this."""

_LANES = 8
_VECTORS = COLUMNS // _LANES

# A constant in cached kernels. It follows from the processor's features, which are in their key.
_PAIRS = "+avx2" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")

_PAIR = ir.VectorType(ir.IntType(16), 2 * _LANES)


def _pair_products(vectors: Vectors, a: Any, b: Any) -> Any:
    """For each word, the sum of both products of its integers."""
    builder = vectors.builder
    if _PAIRS:
        pairs = builder.bitcast(a, _PAIR), builder.bitcast(b, _PAIR)
        return vectors.call("llvm.x86.avx2.pmadd.wd", a.type, *pairs)
    half = vectors.same(16)
    high = builder.mul(builder.ashr(a, half), builder.ashr(b, half))
    low = [builder.ashr(builder.shl(value, half), half) for value in (a, b)]
    return builder.add(high, builder.mul(*low))


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

    The sum of a unit at a column is its bias plus, for each entry k of `offsets`, both products of
    the word values[offsets[k] + column] and the word weights[weights_at + k * rows + unit]. It is
    shifted right by `shift`. If `hidden`, negative results are shifted by 3 more. The result is
    clipped to a magnitude of `most`. Units 2 * i and 2 * i + 1 go to the words
    values[out_at + i * out_step + column...]. Biases include half of 2^shift, for rounding. Arrays
    are int32, `offsets` is int64.
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

        def lane(pointer: Any, number: int) -> Any:
            return builder.gep(pointer, [constant(number * _LANES)])

        def word_at(pointer: Any, number: int) -> Any:
            return builder.load(builder.gep(pointer, [constant(number)]))

        vectors = Vectors(builder, _LANES)
        vector = vectors.vector()
        values, offsets = array(2).data, array(3)
        terms = builder.extract_value(offsets.shape, 0)
        column, shift = args[4], vectors.splat(args[9])
        weights = builder.gep(array(5).data, [args[6]])
        biases = builder.gep(array(7).data, [args[8]])
        cells = [(r, c) for r in range(units) for c in range(_VECTORS)]
        first = [vectors.splat(word_at(biases, r)) for r in range(units)]

        entry = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("term", "terms.end"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(INDEX)
        sums = [builder.phi(vector) for _ in cells]
        offset = builder.load(builder.gep(offsets.data, [k]))
        source = builder.gep(values, [builder.add(offset, column)])
        loaded = [vectors.read(lane(source, c)) for c in range(_VECTORS)]
        own = builder.gep(weights, [builder.mul(k, constant(units))])
        added = []
        for r in range(units):
            factor = vectors.splat(word_at(own, r))
            for c in range(_VECTORS):
                products = _pair_products(vectors, loaded[c], factor)
                added.append(builder.add(sums[r * _VECTORS + c], products))
        following = builder.add(k, constant(1))
        builder.cbranch(builder.icmp_signed("<", following, terms), loop, after)
        k.add_incoming(constant(0), entry)
        k.add_incoming(following, loop)
        for total, more, (r, _) in zip(sums, added, cells, strict=True):
            total.add_incoming(first[r], entry)
            total.add_incoming(more, loop)

        builder.position_at_end(after)
        done = []
        for total in added:
            value = builder.ashr(total, shift)
            if leaky:
                slope = builder.ashr(value, vectors.same(3))
                value = builder.select(builder.icmp_signed(">", value, slope), value, slope)
            done.append(vectors.clip(value, -limit, limit))
        target = builder.gep(values, [builder.add(args[11], column)])
        for pair in range(units // 2):
            for c in range(_VECTORS):
                low, high = (done[(2 * pair + r) * _VECTORS + c] for r in range(2))
                vectors.write(vectors.word(low, high), lane(target, c))
            target = builder.gep(target, [args[12]])
        return context.get_dummy_value()

    return signature, generate


layer_block: Any = intrinsic(prefer_literal=True)(_type_layer)
