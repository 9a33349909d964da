"""Products of pairs, with each instruction that the processor has and with plain products."""

import numba
import numpy as np
import pytest
from llvmlite import ir

from nvcodec import products
from nvcodec.products import COLUMNS, add_products, layer_block, sum_products


def words(pairs):
    return np.ascontiguousarray(pairs.astype(np.int16)).view(np.int32)[..., 0]


def compiled(units, hidden):
    if hidden:

        def run(values, offsets, weights, biases, shift, out_at, step):
            layer_block(
                units, 1, values, offsets, 0, weights, 0, biases, 0, shift, 4095, out_at, step
            )
    else:

        def run(values, offsets, weights, biases, shift, out_at, step):
            layer_block(
                units, 0, values, offsets, 0, weights, 0, biases, 0, shift, 16383, out_at, step
            )

    return numba.njit(run)


@pytest.fixture(params=["plain", "pairs", "sums"])
def instruction(request, monkeypatch):
    """The name of what the products of this test are compiled with."""
    if request.param == "pairs" and not products.PAIRS:
        pytest.skip("this processor has no vpmaddwd")
    if request.param == "sums" and not products._SUMS:
        pytest.skip("this processor has no vpdpwssd")
    lanes = 16 if request.param == "sums" else 8
    for name, value in (
        ("_SUMS", request.param == "sums"),
        ("PAIRS", request.param == "pairs"),
        ("LANES", lanes),
        ("_VECTORS", COLUMNS // lanes),
        ("_PAIR", ir.VectorType(ir.IntType(16), 2 * lanes)),
    ):
        monkeypatch.setattr(products, name, value)
    return request.param


@pytest.mark.parametrize(
    ("units", "hidden"), [(2, True), (4, True), (6, True), (6, False), (16, True), (24, True)]
)
def test_block(units, hidden, instruction):
    rng = np.random.default_rng(units)
    run = compiled(units, hidden)
    for most, shift in ((300, 0), (4095, 7), (32767, 15)):
        terms = 5
        inputs = rng.integers(-most, most + 1, (terms, COLUMNS, 2))
        inputs[0, :3] = most
        inputs[1, :3] = -most
        weights = rng.integers(-most, most + 1, (terms, units, 2))
        biases = rng.integers(-(10**6), 10**6, units).astype(np.int32)
        values = np.zeros((terms + units // 2) * COLUMNS, np.int32)
        values[: terms * COLUMNS] = words(inputs).ravel()
        # The order of the terms is that of the offsets.
        order = rng.permutation(terms)
        offsets = COLUMNS * order
        run(
            values, offsets, words(weights[order]).ravel(), biases, np.int32(shift),
            terms * COLUMNS, COLUMNS,
        )  # fmt: skip
        sums = np.einsum("txp,tup->ux", inputs, weights) + biases[:, None]
        expected = sums.astype(np.int32) >> shift
        if hidden:
            expected = np.clip(np.maximum(expected, expected >> 3), -4095, 4095)
        else:
            expected = np.clip(expected, -16383, 16383)
        got = values[terms * COLUMNS :].view(np.int16).reshape(units // 2, COLUMNS, 2)
        assert np.array_equal(got.transpose(0, 2, 1).reshape(units, COLUMNS), expected)


@pytest.mark.parametrize("units", [6, 24])
def test_row_of_blocks(units, instruction, kernel_bench):
    terms, columns = 81, 16 * COLUMNS
    rng = np.random.default_rng(units)
    inputs = rng.integers(-4095, 4096, (terms, columns, 2))
    weights = rng.integers(-60, 61, (terms, units, 2))
    biases = rng.integers(-(10**6), 10**6, units).astype(np.int32)
    values = np.zeros((terms + units // 2) * columns, np.int32)
    values[: terms * columns] = words(inputs).ravel()
    offsets, packed = columns * np.arange(terms), words(weights).ravel()

    @numba.njit
    def run(values, offsets, packed, biases, shift):
        for x in range(0, columns, COLUMNS):
            layer_block(
                units, 1, values, offsets, x, packed, 0, biases, 0, shift, 4095,
                terms * columns, columns,
            )  # fmt: skip

    def call():
        run(values, offsets, packed, biases, np.int32(9))
        return values[terms * columns :].view(np.int16).reshape(units // 2, columns, 2)

    def slow():
        sums = (np.einsum("txp,tup->ux", inputs, weights) + biases[:, None]) >> 9
        kept = np.clip(np.maximum(sums, sums >> 3), -4095, 4095)
        return kept.reshape(units // 2, 2, columns).transpose(0, 2, 1)

    name = f"layer_block {units} units, {instruction}"
    kernel_bench(name, 2 * terms * units * columns, call, slow, unit="product")


LIMITS = (
    ("small", 300, 300),
    ("the least integers", 32768, 32767),
    ("sums that wrap", 32767, 32767),
)


def drawn(rng, most, *shape):
    """Pairs up to a magnitude, that of the least 16-bit integer with its sign only."""
    pairs = rng.integers(-most, most + 1, (*shape, 2))
    pairs[rng.random(pairs.shape) < 0.1] = -most
    return np.minimum(pairs, 32767)


def wrapped(sums):
    """The low 32 bits of a sum, as a signed integer."""
    return sums.astype(np.uint32).view(np.int32)


@pytest.mark.parametrize("blocks", [1, 3])
def test_products_that_are_added(blocks, instruction):
    rng, count = np.random.default_rng(blocks), COLUMNS * blocks

    @numba.njit
    def run(sums, at, weights, weights_at, word):
        add_products(blocks, sums, at, weights, weights_at, word)

    for name, most, other in LIMITS:
        sums = rng.integers(-(2**31), 2**31, count + 9).astype(np.int32)
        weights, word = drawn(rng, most, count + 5), drawn(rng, other)
        expected = sums.astype(np.int64)
        expected[3 : 3 + count] += (weights[4 : 4 + count] * word).sum(1)
        run(sums, 3, words(weights), 4, words(word[None])[0])
        np.testing.assert_array_equal(sums, wrapped(expected), name)


@pytest.mark.parametrize("blocks", [1, 3])
def test_products_that_are_summed(blocks, instruction):
    rng, count = np.random.default_rng(blocks), COLUMNS * blocks

    @numba.njit
    def run(sums, at, weights, weights_at, stride, given, given_at, terms):
        sum_products(blocks, sums, at, weights, weights_at, stride, given, given_at, terms)

    for name, most, other in LIMITS:
        for terms in (1, 2, 13):
            sums = rng.integers(-(2**31), 2**31, count + 7).astype(np.int32)
            # Rows are further apart than their used parts are long.
            rows = drawn(rng, most, terms, count + 3)
            given = drawn(rng, other, terms + 5)
            expected = sums.astype(np.int64)
            used = rows[:, 2 : 2 + count]
            expected[6 : 6 + count] += (used * given[5:, None]).sum((0, 2))
            run(sums, 6, words(rows).ravel(), 2, count + 3, words(given), 5, terms)
            np.testing.assert_array_equal(sums, wrapped(expected), f"{name}, {terms} terms")


@pytest.mark.parametrize("terms", [24, 80])
def test_units(terms, kernel_bench):
    """The sums of a slice of the entropy network."""
    rng = np.random.default_rng(terms)
    rows, given = rng.integers(-99, 100, (terms, 48, 2)), rng.integers(-240, 241, (terms, 2))
    packed, packed_given = words(rows).ravel(), words(given)

    @numba.njit
    def run(sums, packed, given):
        sum_products(3, sums, 0, packed, 0, 48, given, 0, len(given))

    def call():
        sums = np.zeros(48, np.int32)
        run(sums, packed, packed_given)
        return sums

    kernel_bench(
        f"sum_products, {terms} terms",
        2 * 48 * terms,
        call,
        lambda: (rows * given[:, None]).sum((0, 2)),
        unit="product",
    )
