"""Residuals of features to bytes and back (spec 11.6)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.nirvana.contexts import CONTENT_CONTEXTS
from nvcodec.coding.nirvana.features import (
    MAX_RESIDUAL,
    ContentDecoder,
    _most_bits,
    bucket,
    trace_content,
)
from nvcodec.format import CorruptError
from tests.coding.reference import Context, Decoder, encode
from tests.kernels import KernelBench

from . import reference
from .reference import F, Script, contexts
from .samples import Around, encode_content, random_residuals

GRIDS = st.sampled_from([(1, 1), (1, 2), (3, 2), (2, 1), (1, 4), (3, 3)])
QUANTISERS = st.sampled_from([4, 5, 20, 30, 46, 63])
SEEDS = st.integers(0, 2**32 - 1)


def decode(data: bytes, around: Around) -> np.ndarray:
    decoder = ContentDecoder(data)
    assert decoder.quantiser == around.q
    residual = decoder.read(around.seen()).reshape(around.rows, around.columns, F)
    decoder.close()
    return residual


def slow_decode(decoder: Decoder, slow_contexts: list[Context], around: Around) -> np.ndarray:
    assert reference.quantiser(decoder) == around.q
    entropy = around.slow()
    reference.content(decoder, slow_contexts, entropy)
    return entropy.residual


class Numbered(Decoder):
    """Notes the bits that have contexts as `trace_content` does."""

    def __init__(self, data: bytes, slow_contexts: list[Context]) -> None:
        self.numbers = {id(context): number for number, context in enumerate(slow_contexts)}
        self.record: list[int] = []
        super().__init__(data)

    def bit(self, context: Context) -> int:
        bit = super().bit(context)
        self.record.append(2 * self.numbers[id(context)] + bit)
        return bit


@given(GRIDS, st.booleans(), QUANTISERS, SEEDS, st.sampled_from([0, 0.03, 0.3, 1]))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_round_trip_and_reference(
    grid: tuple[int, int], key: bool, q: int, seed: int, density: float
) -> None:
    """What is coded is decoded, by the package and by the text."""
    rng = np.random.default_rng(seed)
    around, residual = Around(rng, *grid, key, q), random_residuals(rng, *grid, density)
    seen = around.seen(residual)
    data = encode_content(q, seen)
    np.testing.assert_array_equal(seen.residual, residual.reshape(-1, F))
    assert len(data) <= 2 * _most_bits(len(seen.residual)) // 8
    np.testing.assert_array_equal(decode(data, around), residual)
    slow_contexts = contexts()[1]
    slow = Numbered(data, slow_contexts)
    np.testing.assert_array_equal(slow_decode(slow, slow_contexts, around), residual)
    assert slow.finished()
    assert trace_content(around.seen(residual)).tolist() == slow.record
    assert max(slow.record) >> 1 < CONTENT_CONTEXTS


@given(GRIDS, st.booleans(), SEEDS, st.sampled_from([0.02, 0.2, 0.5, 0.9]))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_any_syntax(grid: tuple[int, int], key: bool, seed: int, share: float) -> None:
    """Whatever the bits say is a residual, or out of range."""
    rng = np.random.default_rng(seed)
    script, around = Script(rng, share), Around(rng, *grid, key, 30)
    for bit in (0, 1, 1, 1, 1, 0):
        script.bins.append((None, bit))
    entropy = around.slow()
    reference.content(script, contexts()[1], entropy)
    data = encode(script.bins)
    if np.abs(entropy.residual).max() > MAX_RESIDUAL:
        with pytest.raises(CorruptError, match="residual") as error:
            decode(data, around)
        assert error.value.rule == "11.6"
    else:
        found = decode(data, around)
        np.testing.assert_array_equal(found, entropy.residual)
        again = encode_content(30, around.seen(found))
        np.testing.assert_array_equal(decode(again, around), found)


@given(st.binary(max_size=300), GRIDS, SEEDS)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_any_bytes(data: bytes, grid: tuple[int, int], seed: int) -> None:
    """They are what the text reads, or are corrupt by one of three rules."""
    rng = np.random.default_rng(seed)
    if data.startswith(b"\xff\xff\xff\xff"):
        return
    slow = Decoder(data)
    around = Around(rng, *grid, bool(seed % 2), reference.quantiser(slow))
    if around.q < 4:
        with pytest.raises(CorruptError) as error:
            ContentDecoder(data)
        assert error.value.rule == "11.6"
        return
    entropy = around.slow()
    reference.content(slow, contexts()[1], entropy)
    if np.abs(entropy.residual).max() > MAX_RESIDUAL:
        rule = "11.6"
    elif not slow.finished():
        rule = "3.2"
    else:
        np.testing.assert_array_equal(decode(data, around), entropy.residual)
        return
    with pytest.raises(CorruptError) as error:
        decode(data, around)
    assert error.value.rule == rule


@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("value", [-MAX_RESIDUAL, MAX_RESIDUAL])
def test_extreme_residuals(value: int, key: bool) -> None:
    """All at the bound, and every second one, so that few are what was likely."""
    around = Around(np.random.default_rng(1), 2, 3, key, 4)
    for residual in (np.full((2, 3, F), value), np.tile([0, value, -value, 0], (2, 3, F // 4))):
        seen = around.seen(residual)
        data = encode_content(4, seen)
        assert len(data) <= 2 * _most_bits(len(seen.residual)) // 8
        np.testing.assert_array_equal(decode(data, around), residual)


def coded(q: int, residual: int = 0) -> tuple[bytes, Around]:
    """A substream whose last residual is this."""
    around = Around(np.random.default_rng(4), 2, 2, False, q)
    values = random_residuals(np.random.default_rng(5), 2, 2, 0.2)
    values[-1, -1, -1] = residual
    return encode_content(q, around.seen(values)), around


@pytest.mark.parametrize("change", ["goes on", "ends in 0", "begins with FF"])
def test_wrong_ends(change: str) -> None:
    data, around = coded(30)
    decode(data, around)
    damaged = {
        "goes on": data + bytes(9) + b"\1",
        "ends in 0": data + b"\0",
        "begins with FF": b"\xff" * 4 + data,
    }[change]
    with pytest.raises(CorruptError) as error:
        decode(damaged, around)
    assert error.value.rule == "3.2"


@pytest.mark.parametrize("q", range(4))
def test_quantiser_too_fine(q: int) -> None:
    with pytest.raises(CorruptError, match=f"quantiser index {q}") as error:
        ContentDecoder(coded(q)[0])
    assert error.value.rule == "11.6"


def test_empty_content_is_too_fine() -> None:
    with pytest.raises(CorruptError, match="quantiser index 0"):
        ContentDecoder(b"")


@pytest.mark.parametrize("residual", [MAX_RESIDUAL + 1, -MAX_RESIDUAL - 1, 40000])
def test_residual_out_of_range(residual: int) -> None:
    data, around = coded(30, residual)
    with pytest.raises(CorruptError, match="residual") as error:
        decode(data, around)
    assert error.value.rule == "11.6"


def test_bucket() -> None:
    numbers = [*range(1, 4100), (1 << 17) + 5, (1 << 18) - 1, 1 << 18, 1 << 30]
    assert [bucket(n) for n in numbers] == [reference.bucket(n) for n in numbers]


def test_group(kernel_bench: KernelBench) -> None:
    rng = np.random.default_rng(0)
    around, residual = Around(rng, 3, 5, False, 30), random_residuals(rng, 3, 5, 0.2)
    data = encode_content(30, around.seen(residual))
    slow = Decoder(data)
    slow_decode(slow, contexts()[1], around)
    kernel_bench(
        "decode residuals",
        residual.size,
        lambda: decode(data, around),
        lambda: slow_decode(Decoder(data), contexts()[1], around),
        unit="feature",
    )
    kernel_bench(
        "encode residuals",
        residual.size,
        lambda: list(encode_content(30, around.seen(residual))),
        lambda: list(encode(slow.bins)),
        unit="feature",
    )
