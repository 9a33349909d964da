"""Products of pairs, with each instruction that the processor has and with plain products."""

import numba
import numpy as np
import pytest
from llvmlite import ir

from nvcodec import products
from nvcodec.products import COLUMNS, layer_block


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
    """Compiles the products of this test with an instruction, or without any."""
    if request.param == "pairs" and not products._PAIRS:
        pytest.skip("this processor has no vpmaddwd")
    if request.param == "sums" and not products._SUMS:
        pytest.skip("this processor has no vpdpwssd")
    lanes = 16 if request.param == "sums" else 8
    for name, value in (
        ("_SUMS", request.param == "sums"),
        ("_PAIRS", request.param == "pairs"),
        ("_LANES", lanes),
        ("_VECTORS", COLUMNS // lanes),
        ("_PAIR", ir.VectorType(ir.IntType(16), 2 * lanes)),
    ):
        monkeypatch.setattr(products, name, value)


@pytest.mark.usefixtures("instruction")
@pytest.mark.parametrize(
    ("units", "hidden"), [(2, True), (4, True), (6, True), (6, False), (12, True)]
)
def test_block(units, hidden):
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


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("units", [2, 4, 6])
def test_row_of_blocks(units, pairs, monkeypatch, kernel_bench):
    if pairs and not products._PAIRS:
        pytest.skip("this processor has no such instruction")
    monkeypatch.setattr(products, "_PAIRS", pairs)
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

    name = f"layer_block {units} units, {'pairs' if pairs else 'plain'}"
    kernel_bench(name, 2 * terms * units * columns, call, slow, unit="product")
