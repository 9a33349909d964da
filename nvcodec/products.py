"""Products of pairs of 16-bit integers, summed in 32 bits: layers of networks (spec 9.4, 12.3, 13).

Takes and gives words of two signed 16-bit integers, the first one in the low bits. Sums are exact
modulo 2^32 with any instructions. On x86, `vpdpwssd` (AVX-512 VNNI)
or `vpmaddwd` (AVX2) multiplies and adds pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from nvcodec.compiled import Integer, intrinsic_of_literals, kernel, types
from nvcodec.simd import INDEX, Vectors, check_places, constant
from nvcodec.target import target

COLUMNS = 16
"""Columns of words come in multiples of this."""

# Constants in cached kernels. They follow from the processor's features, which are in their key.
_FEATURES = target().features.split(",")
PAIRS = "+avx2" in _FEATURES
"""Whether there are x86's instructions for pairs, those of AVX2."""
_SUMS = "+avx512vnni" in _FEATURES
LANES = 16 if _SUMS else 8
"""Words that are multiplied at once."""
_VECTORS = COLUMNS // LANES

_PAIR = ir.VectorType(ir.IntType(16), 2 * LANES)
_ORDER = ir.VectorType(ir.IntType(32), 2 * LANES)


@kernel
def block_units(left: Integer) -> Integer:
    """Units in the next block of a layer, 24, 16, 6, 4 or 2, when `left` units remain.

    Blocks of 24 and 16 need the 32 registers of AVX-512. Those of few units wait for their sums.
    """
    if _SUMS and left >= 16:
        return 24 if left >= 24 else 16
    if left >= 6 and left != 8:
        return 6
    return 4 if left >= 4 else 2


def pack_words(matrix: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Words of a matrix (units, inputs) as `layer_block` reads them, block by block of units.

    A word holds the weights of two neighbouring inputs.
    """
    pairs = np.ascontiguousarray(matrix.astype(np.int16)).view(np.int32)
    blocks, first = [], 0
    while first < len(pairs):
        units = block_units(len(pairs) - first)
        blocks.append(pairs[first : first + units].T.ravel())
        first += units
    return np.concatenate(blocks)


def add_pairs(vectors: Vectors, total: Any, a: Any, b: Any) -> Any:
    """`total` plus, for each word of `a` and `b`, both products of their integers.

    There are LANES words, or 8.
    """
    builder = vectors.builder
    if _SUMS and vectors.lanes == LANES:
        return vectors.call("llvm.x86.avx512.vpdpwssd.512", a.type, total, a, b)
    if PAIRS:
        pair = ir.VectorType(ir.IntType(16), 2 * vectors.lanes)
        pairs = builder.bitcast(a, pair), builder.bitcast(b, pair)
        return builder.add(total, vectors.call("llvm.x86.avx2.pmadd.wd", a.type, *pairs))
    half = vectors.same(16)
    high = builder.mul(builder.ashr(a, half), builder.ashr(b, half))
    low = [builder.ashr(builder.shl(value, half), half) for value in (a, b)]
    return builder.add(total, builder.add(high, builder.mul(*low)))


def joined(vectors: Vectors, low: Any, high: Any) -> Any:
    """Two vectors of words as one of 16-bit integers: four of `low`, then four of `high`, in turn.

    Each word has to fit. The order is that of `vpackssdw`.
    """
    name = {16: "llvm.x86.avx512.packssdw.512", 8: "llvm.x86.avx2.packssdw"}[vectors.lanes]
    if PAIRS:
        return vectors.call(name, _PAIR, low, high)
    half = vectors.vector(ir.IntType(16))
    order = [start + k for at in range(0, LANES, 4) for start in (at, LANES + at) for k in range(4)]
    parts = [vectors.builder.trunc(value, half) for value in (low, high)]
    return vectors.builder.shuffle_vector(*parts, ir.Constant(_ORDER, order))


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
            return builder.gep(pointer, [constant(number * LANES)])

        def word_at(pointer: Any, number: int) -> Any:
            return builder.load(builder.gep(pointer, [constant(number)]))

        vectors = Vectors(builder, LANES)
        vector = vectors.vector()
        made, offsets = array(2), array(3)
        values = made.data
        terms = builder.extract_value(offsets.shape, 0)
        column, shift = args[4], vectors.splat(args[9])
        for number, place, size in ((7, args[8], units), (5, args[6], units)):
            check_places(context, builder, array(number), place, size)
        last = builder.mul(constant(units), builder.sub(terms, constant(1)))
        check_places(context, builder, array(5), builder.add(args[6], last), units)
        target = builder.add(args[11], column)
        for pair in (0, units // 2 - 1):
            place = builder.add(target, builder.mul(args[12], constant(pair)))
            check_places(context, builder, made, place, _VECTORS * LANES)
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
        offset = builder.add(builder.load(builder.gep(offsets.data, [k])), column)
        check_places(context, builder, made, offset, _VECTORS * LANES)
        source = builder.gep(values, [offset])
        loaded = [vectors.read(lane(source, c)) for c in range(_VECTORS)]
        own = builder.gep(weights, [builder.mul(k, constant(units))])
        added = []
        for r in range(units):
            factor = vectors.splat(word_at(own, r))
            for c in range(_VECTORS):
                added.append(add_pairs(vectors, sums[r * _VECTORS + c], loaded[c], factor))
        following = builder.add(k, constant(1))
        end = builder.block
        builder.cbranch(builder.icmp_signed("<", following, terms), loop, after)
        k.add_incoming(constant(0), entry)
        k.add_incoming(following, end)
        for total, more, (r, _) in zip(sums, added, cells, strict=True):
            total.add_incoming(first[r], entry)
            total.add_incoming(more, end)

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


layer_block: Any = intrinsic_of_literals(_type_layer)


def _type_add(
    context: Any, blocks: Any, sums: Any, at: Any, weights: Any, weights_at: Any, word: Any
) -> tuple[Any, Callable[..., Any]]:
    """Add to sums[at..] the products of the words weights[weights_at..] and of one word.

    There are 16 * `blocks` of them, a literal. Arrays are int32.
    """
    place = types.int64
    signature = types.void(blocks, sums, place, weights, place, types.int32)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        count = _VECTORS * blocks.literal_value

        def pointer(number: int) -> Any:
            made = context.make_array(signature.args[number])(context, builder, args[number])
            check_places(context, builder, made, args[number + 1], count * LANES)
            return builder.gep(made.data, [args[number + 1]])

        vectors = Vectors(builder, LANES)
        totals, factors, word = pointer(1), pointer(3), vectors.splat(args[5])
        for k in range(count):
            to = builder.gep(totals, [constant(k * LANES)])
            weight = vectors.read(builder.gep(factors, [constant(k * LANES)]))
            vectors.write(add_pairs(vectors, vectors.read(to), weight, word), to)
        return context.get_dummy_value()

    return signature, generate


add_products: Any = intrinsic_of_literals(_type_add)


def _type_sum(
    context: Any,
    blocks: Any,
    sums: Any,
    at: Any,
    weights: Any,
    weights_at: Any,
    stride: Any,
    words: Any,
    words_at: Any,
    terms: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Add to sums[at..] the products of `terms` words, at least one, and of as many rows of words.

    Row k begins at weights[weights_at + k * stride]; it meets words[words_at + k]. There are
    16 * `blocks` sums, a literal. Arrays are int32.
    """
    place = types.int64
    signature = types.void(
        blocks, sums, place, weights, place, place, words, place, place
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        count = _VECTORS * blocks.literal_value
        last = builder.sub(args[8], constant(1))

        def pointer(number: int, at: int, size: int, stride: Any = None) -> Any:
            """To an array's place; the last term reads `size` elements `stride` times as far on."""
            made = context.make_array(signature.args[number])(context, builder, args[number])
            check_places(context, builder, made, args[at], size)
            if stride is not None:
                end = builder.add(args[at], builder.mul(last, stride))
                check_places(context, builder, made, end, size)
            return builder.gep(made.data, [args[at]])

        def block(pointer: Any, k: int) -> Any:
            return builder.gep(pointer, [constant(k * LANES)])

        vectors = Vectors(builder, LANES)
        totals = pointer(1, 2, count * LANES)
        factors = pointer(3, 4, count * LANES, args[5])
        source = pointer(6, 7, 1, constant(1))
        first = [vectors.read(block(totals, k)) for k in range(count)]
        entry = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("term", "terms.end"))
        builder.branch(loop)
        builder.position_at_end(loop)
        term = builder.phi(INDEX)
        sums = [builder.phi(vectors.vector()) for _ in range(count)]
        word = vectors.splat(builder.load(builder.gep(source, [term])))
        row = builder.gep(factors, [builder.mul(term, args[5])])
        added = [
            add_pairs(vectors, total, vectors.read(block(row, k)), word)
            for k, total in enumerate(sums)
        ]
        following = builder.add(term, constant(1))
        builder.cbranch(builder.icmp_signed("<", following, args[8]), loop, after)
        term.add_incoming(constant(0), entry)
        term.add_incoming(following, loop)
        for total, start, more in zip(sums, first, added, strict=True):
            total.add_incoming(start, entry)
            total.add_incoming(more, loop)
        builder.position_at_end(after)
        for k, total in enumerate(added):
            vectors.write(total, block(totals, k))
        return context.get_dummy_value()

    return signature, generate


sum_products: Any = intrinsic_of_literals(_type_sum)
