"""Weight differences to bytes and back (spec 3.1 to 3.5, 4.4)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.difference import MAX_DIFFERENCE
from nvcodec.coding.rangecoder import RangeDecoder
from nvcodec.coding.sine import weights as coding
from nvcodec.coding.sine.weights import (
    CONTEXTS,
    KINDS,
    context_costs,
    decode_differences,
    default_contexts,
    encode_differences,
    trace,
)
from nvcodec.coding.syntax import Direction, compile_syntax
from nvcodec.format import CorruptError
from tests.coding import reference
from tests.kernels import KernelBench

from .samples import Matrices, cleared, laplacian, shapes_of

EDGES = [0, 1, -1, 6, 7, -7, 8, 14, 15, 16, 22, 1000, -32768, MAX_DIFFERENCE, -MAX_DIFFERENCE]
VALUES = st.one_of(
    st.integers(-3, 3), st.sampled_from(EDGES), st.integers(-MAX_DIFFERENCE, MAX_DIFFERENCE)
)


@st.composite
def matrices(draw: st.DrawFn) -> Matrices:
    result = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, KINDS - 1))
        rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 7))
        row = st.one_of(
            st.just([0] * columns), st.lists(VALUES, min_size=columns, max_size=columns)
        )
        result.append((kind, np.array(draw(st.lists(row, min_size=rows, max_size=rows)), np.int32)))
    return result


def decode(
    tables: bytes, network: bytes, shapes: list[tuple[int, tuple[int, int]]]
) -> list[np.ndarray]:
    empty = [(kind, np.zeros(shape, np.int32)) for kind, shape in shapes]
    decode_differences(tables, network, empty)
    return [matrix for _, matrix in empty]


def check(coded: Matrices) -> tuple[bytes, bytes]:
    tables, network = encode_differences(coded)
    for result, (_, matrix) in zip(decode(tables, network, shapes_of(coded)), coded, strict=True):
        np.testing.assert_array_equal(result, matrix)
    slow, table_decoder, decoder = reference.decode(tables, network, shapes_of(coded))
    assert slow == [matrix.tolist() for _, matrix in coded]
    assert decoder.finished()
    assert table_decoder is None or table_decoder.finished()
    return tables, network


@given(matrices())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_round_trip_and_reference(coded: Matrices) -> None:
    check(coded)


@pytest.mark.parametrize("kind", range(KINDS))
@pytest.mark.parametrize("value", [0, 1, -1, MAX_DIFFERENCE, -MAX_DIFFERENCE])
def test_one_entry(kind: int, value: int) -> None:
    check([(kind, np.array([[value]], np.int32))])


def test_all_extremes_and_zero_rows() -> None:
    matrix = np.full((9, 11), MAX_DIFFERENCE, np.int32)
    matrix[1::2] *= -1
    matrix[[0, 4, 5, 8]] = 0
    check([(kind, matrix) for kind in range(KINDS)])


@pytest.mark.parametrize("scale", [0.3, 2.0, 40.0])
def test_larger_matrices(scale: float) -> None:
    check(laplacian(1, scale, (30, 20), (1, 30), (20, 30), (12, 36), (1, 12)))


def test_all_zero_is_tiny() -> None:
    tables, network = check([(kind, np.zeros((300, 50), np.int32)) for kind in range(KINDS)])
    assert tables == b""
    assert len(network) < 60


def test_inputs_are_left_alone() -> None:
    coded = laplacian(2, 3.0, (9, 8))
    before = coded[0][1].copy()
    encode_differences(coded)
    np.testing.assert_array_equal(coded[0][1], before)


def test_bytes_read_is_that_of_the_text() -> None:
    """The package and the text agree on where a substream ends, for any data."""
    rng = np.random.default_rng(3)
    shapes = [(0, (4, 5)), (1, (6, 3)), (3, (2, 9))]
    for length in [0, 1, 3, 4, 5, *range(6, 60, 3)]:
        data = bytes(rng.integers(0, 255, length, np.uint8))
        contexts = default_contexts()
        decoder = RangeDecoder(data, contexts)
        found = []
        for kind, shape in shapes:
            matrix = np.zeros(shape, np.int32)
            decoder.run(compile_syntax(coding.weight_rows, Direction.DECODE), matrix, kind)
            found.append(matrix.tolist())
        slow, _, slow_decoder = reference.decode(b"", data, shapes)
        assert found == slow
        assert int(decoder._state[4]) == slow_decoder.bytes_read
        accepted = True
        try:
            decoder.close()
        except CorruptError:
            accepted = False
        assert accepted == slow_decoder.finished()


def test_decoding_depends_on_what_is_decoded_only() -> None:
    """Rows below and columns to the right, still to be decoded, never matter."""
    coded = laplacian(4, 3.0, (8, 8))
    network = coding._encode_network(coded, default_contexts())
    matrix = np.full((8, 8), 77, np.int32)
    # Only zeros may be left unwritten.
    matrix[coded[0][1] == 0] = 0
    decoder = RangeDecoder(network, default_contexts())
    decoder.run(compile_syntax(coding.weight_rows, Direction.DECODE), matrix, 0)
    np.testing.assert_array_equal(matrix, coded[0][1])


@pytest.mark.parametrize("extra", [b"\0", b"\0\0\0\0\0", b"\1", b"abcdefgh"])
def test_appended_bytes(extra: bytes) -> None:
    coded = laplacian(5, 3.0, (20, 20))
    tables, network = encode_differences(coded)
    with pytest.raises(CorruptError) as error:
        decode(tables, network + bytes(8) + extra, shapes_of(coded))
    assert error.value.rule == "3.2"


def test_one_trailing_zero() -> None:
    coded = laplacian(5, 3.0, (20, 20))
    tables, network = encode_differences(coded)
    assert not network.endswith(b"\0")
    with pytest.raises(CorruptError) as error:
        decode(tables, network + b"\0", shapes_of(coded))
    assert error.value.rule == "3.2"


def test_tables_that_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """With defaults that are far off, many bits are saved by other starts."""
    lines = [(65472, 24)] * CONTEXTS
    contexts = np.array([(p, p, count) for p, count in lines], np.int32)
    monkeypatch.setattr(coding, "default_contexts", contexts.copy)
    monkeypatch.setattr(reference, "default_lines", lambda: lines)
    coded = laplacian(6, 3.0, (20, 30), (30, 20), (10, 10), (9, 9))
    untuned = coding._encode_network(coded, contexts.copy())
    tables, network = check(coded)
    assert tables
    assert len(tables) + len(network) < len(untuned)
    with pytest.raises(CorruptError) as error:
        decode(tables + b"\0", network, shapes_of(coded))
    assert error.value.rule == "3.2"
    # One bit is too little to pay for an entry.
    few = [(0, np.array([[MAX_DIFFERENCE]], np.int32))]
    assert check(few)[0] == b""


def test_tables_that_do_not_pay() -> None:
    tables, _ = check([(0, np.array([[1, 0, 2]], np.int32))])
    assert tables == b""


@given(
    st.lists(st.one_of(st.just(-1), st.integers(0, 255)), min_size=CONTEXTS, max_size=CONTEXTS),
    st.integers(0, 3),
)
@settings(max_examples=25, derandomize=True, deadline=None)
def test_any_tables(entries: list[int], seed: int) -> None:
    coded = laplacian(seed, 2.0, (3, 8), (1, 8))
    chosen = np.array(entries, np.int32)
    tables = coding._encode_tables(chosen)
    contexts = default_contexts()
    coding._apply_entries(contexts, chosen)
    network = coding._encode_network(coded, contexts)
    for result, (_, matrix) in zip(decode(tables, network, shapes_of(coded)), coded, strict=True):
        np.testing.assert_array_equal(result, matrix)
    slow, _, _ = reference.decode(tables, network, shapes_of(coded))
    assert slow == [matrix.tolist() for _, matrix in coded]


def test_beyond_the_greatest_difference() -> None:
    for value in (MAX_DIFFERENCE + 1, -MAX_DIFFERENCE - 1, -(2**31), 2**31 - 1):
        with pytest.raises(ValueError, match=str(MAX_DIFFERENCE)):
            encode_differences([(0, np.array([[0, value]], np.int32))])


def test_default_tables_file() -> None:
    lines = reference.default_lines()
    assert len(lines) == CONTEXTS
    assert all(64 <= probability <= 65472 for probability, _ in lines)
    assert all(0 <= count <= 24 for _, count in lines)
    contexts = default_contexts()
    assert contexts.dtype == np.int32
    assert [(int(f), int(c)) for f, _, c in contexts] == lines
    assert (contexts[:, 0] == contexts[:, 1]).all()
    contexts[:] = 0
    assert default_contexts().any()


@pytest.mark.parametrize("scale", [0.5, 4.0, 60.0])
def test_costs_agree_with_the_size(scale: float) -> None:
    coded = laplacian(7, scale, (200, 60), (1, 200), (60, 200))
    record = trace(coded)
    contexts, _ = reference.start_contexts(b"")
    size = len(coding._encode_network(coded, default_contexts()))
    _, _, decoder = reference.decode(
        b"", coding._encode_network(coded[:1], default_contexts()), shapes_of(coded[:1])
    )
    assert len(trace(coded[:1])) == decoder.bits
    costs = context_costs(record, default_contexts(), -1)
    assert costs.shape == (len(contexts),)
    bypass = 0
    for _, matrix in coded:
        magnitudes = np.abs(matrix[matrix != 0]).astype(np.int64)
        rest = magnitudes[magnitudes >= 7] - 6
        bypass += magnitudes.size + int(sum(int(r).bit_length() - 1 for r in rest))
    assert 8 * size == pytest.approx(costs.sum() + bypass, rel=0.01)
    c = int(np.argmax(costs))
    alone = context_costs(record, default_contexts(), c)
    assert alone[c] == pytest.approx(costs[c])
    assert np.count_nonzero(alone) == 1


SHAPES = [(0, (6, 2)), (0, (1, 6)), (2, (30, 6)), (1, (1, 30)), (3, (4, 9))]


def decode_anything(tables: bytes, network: bytes) -> None:
    decoded = [(kind, np.zeros(shape, np.int32)) for kind, shape in SHAPES]
    try:
        decode_differences(tables, network, decoded)
    except CorruptError as error:
        assert error.rule == "3.2"  # noqa: PT017
    # Also what is refused afterwards was within the bounds.
    assert all(int(np.abs(matrix).max()) <= MAX_DIFFERENCE for _, matrix in decoded)


@given(st.binary(max_size=80), st.binary(max_size=200))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_garbage(tables: bytes, network: bytes) -> None:
    decode_anything(tables, network)


def test_truncated() -> None:
    rng = np.random.default_rng(8)
    coded = [(kind, rng.integers(-90, 90, shape).astype(np.int32)) for kind, shape in SHAPES]
    tables, network = encode_differences(coded)
    for size in range(len(network)):
        decode_anything(tables, network[:size])
    entries = rng.integers(-1, 256, CONTEXTS).astype(np.int32)
    tables = coding._encode_tables(entries)
    for size in range(len(tables)):
        decode_anything(tables[:size], network)


@pytest.mark.parametrize("fill", [0x00, 0x7F, 0x80, 0xFE, 0xFF])
def test_constant_data_is_bounded(fill: int) -> None:
    """Whatever the data says, no more is decoded than the shapes hold."""
    data = bytes([fill]) * 3000
    decode_anything(data, data)
    try:
        matrix = decode(b"", b"\x7f" + data[:3], [(1, (300, 300))])[0]
        assert int(np.abs(matrix).max()) <= MAX_DIFFERENCE
    except CorruptError:
        pass


def test_code_beyond_the_range() -> None:
    """No encoder gives FFFFFFFF, which no code below the first range is."""
    for tables, network in ((b"", b"\xff" * 4), (b"\xff" * 4, b"\1"), (b"", b"\xff" * 50)):
        with pytest.raises(CorruptError) as error:
            decode(tables, network, SHAPES)
        assert error.value.rule == "3.2"


@pytest.mark.parametrize("scale", [0.4, 3.0, 40.0])
def test_group(scale: float, kernel_bench: KernelBench) -> None:
    """The matrices of one group."""
    coded = laplacian(0, scale, (40, 60), (1, 40), (60, 40))
    network = coding._encode_network(coded, default_contexts())
    _, _, slow = reference.decode(b"", network, shapes_of(coded))

    def decode_all() -> list[np.ndarray]:
        found = cleared(coded)
        decode_differences(b"", network, found)
        return [matrix for _, matrix in found]

    bins = len(slow.bins)
    kernel_bench(
        f"decode weights, scale {scale}",
        bins,
        decode_all,
        lambda: [
            np.array(matrix) for matrix in reference.decode(b"", network, shapes_of(coded))[0]
        ],
        unit="bin",
    )
    kernel_bench(
        f"encode weights, scale {scale}",
        bins,
        lambda: list(coding._encode_network(coded, default_contexts())),
        lambda: list(reference.encode(slow.bins)),
        unit="bin",
    )


def test_context_costs(kernel_bench: KernelBench) -> None:
    record = trace(laplacian(0, 3.0, (40, 60), (60, 40)))

    def slow() -> np.ndarray:
        contexts, costs = [reference.Context(*line) for line in reference.default_lines()], {}
        for number, one in zip((record >> 1).tolist(), (record & 1).tolist(), strict=True):
            context = contexts[number]
            p = ((context.fast + context.slow) >> 1) / 65536
            costs[number] = costs.get(number, 0.0) - math.log2(p if one else 1 - p)
            context.adapt(one)
        return np.array([costs.get(number, 0.0) for number in range(CONTEXTS)])

    def call() -> np.ndarray:
        return context_costs(record, default_contexts(), -1)

    kernel_bench("context_costs", len(record), call, slow, unit="bin", tolerance=1e-9)
