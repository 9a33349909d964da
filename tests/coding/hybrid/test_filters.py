"""Adaptive filters in the content substream (spec 7.8)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.hybrid.content import default_content_contexts
from nvcodec.coding.hybrid.filters import (
    CHROMA_TAPS,
    LUMA_TAPS,
    MAX_TAP,
    Filters,
    canvas_filters,
    decode_filters,
    encode_filters,
    filters_capacity,
)
from nvcodec.coding.rangecoder import RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import Direction, compile_syntax
from nvcodec.format import CorruptError
from tests.coding.reference import Decoder

from .reference import contexts

FIELDS = ("used", "counts", "classes", "taps", "on")


def random_filters(rng: np.random.Generator, planes: int, width: int, height: int) -> Filters:
    filters = Filters.empty(planes, width, height)
    for plane in range(planes):
        if rng.random() < 0.3:
            continue
        filters.used[plane] = 1
        count, size = (1, CHROMA_TAPS) if plane else (int(rng.integers(1, 9)), LUMA_TAPS)
        filters.counts[plane] = count
        if plane == 0:
            filters.classes[:] = rng.integers(0, count, 25)
        spread = int(rng.choice([1, 9, MAX_TAP]))
        filters.taps[plane, :count, :size] = rng.integers(-spread, spread + 1, (count, size))
        filters.on[plane] = rng.integers(0, 2, filters.on[plane].shape)
    return filters


def slow_filters(decoder: Decoder, planes: int, rows: int, columns: int) -> Filters:
    """As the text has it."""
    table = contexts("content")
    found = Filters.empty(planes, 64 * columns, 64 * rows)

    def bypass(count: int) -> int:
        value = 0
        for _ in range(count):
            value = 2 * value + decoder.bypass()
        return value

    def tap(p: int) -> int:
        if not decoder.bit(table[1749 + 7 * p]):
            return 0
        g = 0
        while g < 6 and decoder.bit(table[1749 + 7 * p + 1 + g]):
            g += 1
        r = (1 << g) + bypass(g)
        return -r if decoder.bypass() else r

    for plane in range(planes):
        p = min(plane, 1)
        if not decoder.bypass():
            continue
        found.used[plane] = 1
        count = 1 if p else 1 + bypass(3)
        found.counts[plane] = count
        for k in range(25 if count > 1 else 0):
            same = k > 0 and decoder.bit(table[1748])
            length = (count - 1).bit_length()
            found.classes[k] = found.classes[k - 1] if same else bypass(length)
        for f in range(count):
            for i in range(6 if p else 12):
                found.taps[plane, f, i] = tap(p)
        for r in range(rows):
            for c in range(columns):
                near = (found.on[plane, r, c - 1] if c else 0) + (
                    found.on[plane, r - 1, c] if r else 0
                )
                found.on[plane, r, c] = decoder.bit(table[1763 + 3 * p + int(near)])
    return found


def same(one: Filters, other: Filters) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_round_trip_and_reference(seed: int, planes: int, rows: int, columns: int) -> None:
    width, height = 64 * columns - 8, 64 * rows - 16
    filters = random_filters(np.random.default_rng(seed), planes, width, height)
    encoder = RangeEncoder(default_content_contexts(), filters_capacity(filters))
    encode_filters(encoder, filters)
    data = encoder.finish()
    assert len(data) <= filters_capacity(filters)
    decoder = RangeDecoder(data, default_content_contexts())
    assert same(decode_filters(decoder, planes, width, height), filters)
    decoder.close()
    assert same(slow_filters(Decoder(data), planes, rows, columns), filters)


def test_nothing_takes_three_bits() -> None:
    filters = Filters.empty(3, 640, 360)
    assert not filters
    encoder = RangeEncoder(default_content_contexts(), filters_capacity(filters))
    encode_filters(encoder, filters)
    assert encoder.finish() == b""


@given(st.binary(max_size=300))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_any_bytes(data: bytes) -> None:
    if data.startswith(b"\xff\xff\xff\xff"):
        return
    decoder = RangeDecoder(data, default_content_contexts())
    slow = slow_filters(Decoder(data), 3, 1, 2)
    if (slow.classes >= slow.counts[0]).any():
        with pytest.raises(CorruptError, match=r"7\.8"):
            decode_filters(decoder, 3, 128, 64)
        return
    found = decode_filters(decoder, 3, 128, 64)
    assert np.abs(found.taps).max() <= MAX_TAP
    assert (found.classes < found.counts[0]).all()
    assert same(slow, found)


def test_a_class_without_a_filter() -> None:
    filters = Filters.empty(1, 64, 64)
    filters.used[0], filters.counts[0] = 1, 3
    filters.classes[7] = 3
    with pytest.raises(ValueError, match="no filter"):
        encode_filters(RangeEncoder(default_content_contexts(), 9999), filters)
    encoder = RangeEncoder(default_content_contexts(), 9999)
    encode = compile_syntax(canvas_filters, Direction.ENCODE)
    encoder.run(encode, *(getattr(filters, name) for name in FIELDS))
    with pytest.raises(CorruptError, match="filter that is not there"):
        decode_filters(RangeDecoder(encoder.finish(), default_content_contexts()), 1, 64, 64)


def test_taps_too_great() -> None:
    filters = Filters.empty(1, 64, 64)
    filters.used[0] = 1
    filters.taps[0, 0, 0] = MAX_TAP + 1
    with pytest.raises(ValueError, match="127"):
        encode_filters(RangeEncoder(default_content_contexts(), 9999), filters)
