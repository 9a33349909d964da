"""Damage of every kind ends in an NrvError and takes little memory."""

import contextlib
import io
import itertools
import os
import pickle
import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.format import (
    LEVELS,
    CorruptError,
    End,
    Event,
    NrvError,
    TruncatedError,
    UnitReader,
    read_group_at,
    read_index,
    scan_index,
)

from .samples import KEY, NEXT, SIRN, SMALL, complete, head, join, meta, read_all, read_from

WHOLE, _ = read_all(SMALL)
BARE = complete(head(), SIRN, KEY, NEXT)


class Trickle:
    """Gives a different, small number of bytes at each read; cannot seek."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._file = io.BytesIO(data)
        self._sizes = itertools.cycle(sizes)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, next(self._sizes)))


def is_prefix(events: list[Event]) -> bool:
    return events == WHOLE[: len(events)]


def seek_everywhere(data: bytes) -> None:
    """Use the functions for seeking as a player would; only NrvError is caught."""
    file = io.BytesIO(data)
    try:
        header = UnitReader(file).header
        entries = read_index(file)
        if entries is None:
            entries = []
            with contextlib.suppress(NrvError):
                for entry in scan_index(file):
                    entries.append(entry)
    except NrvError:
        return
    for entry in entries:
        try:
            group = read_group_at(file, entry, header)
        except NrvError:
            continue
        assert group.first_frame == entry.first_frame


def test_every_truncation() -> None:
    for size in range(len(SMALL)):
        events, error = read_all(SMALL[:size])
        assert type(error) is TruncatedError, size
        assert error.offset is not None
        assert error.offset <= size
        assert is_prefix(events)
        seek_everywhere(SMALL[:size])


def test_every_bit_flip() -> None:
    for bit in range(8 * len(SMALL)):
        damaged = bytearray(SMALL)
        damaged[bit // 8] ^= 1 << bit % 8
        events, error = read_all(bytes(damaged))
        assert isinstance(error, NrvError), bit
        assert is_prefix(events)
        seek_everywhere(bytes(damaged))


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(0, len(SMALL)))
def test_short_reads_change_nothing(sizes: list[int], size: int) -> None:
    data = SMALL[:size]
    events, error = read_all(data)
    for limits in ([1], sizes):
        slow_events, slow_error = read_from(Trickle(data, limits))
        assert slow_events == events
        assert str(slow_error) == str(error)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.binary(max_size=200), st.sampled_from([b"", SMALL[:8], BARE[:68], BARE[:90]]))
def test_noise(noise: bytes, start: bytes) -> None:
    _, error = read_all(start + noise)
    assert isinstance(error, NrvError)
    seek_everywhere(start + noise)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    st.sampled_from([b"HEAD", b"SIRN", b"mETa", b"GRUP", b"iNDX", b"FEND"]),
    st.integers(0, 3),
    st.binary(max_size=100),
)
def test_noise_with_a_right_crc(kind: bytes, place: int, noise: bytes) -> None:
    units = [head(), SIRN, meta(), KEY]
    units[place] = (kind, noise)
    data = join(*units)
    assert isinstance(read_all(data)[1], NrvError)
    seek_everywhere(data)


@pytest.mark.parametrize("kind", [b"GRUP", b"zzZz"])
def test_a_lying_length_takes_no_memory(kind: bytes) -> None:
    data = join(head(level=4), SIRN) + kind + struct.pack("<I", LEVELS[4].unit_bytes) + bytes(1000)
    tracemalloc.start()
    try:
        _, error = read_all(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(error) is TruncatedError
    assert peak < 1 << 18
    assert "the input ends after 1000 of 33554432 payload bytes" in str(error)


def test_an_error_is_final() -> None:
    reader = UnitReader(io.BytesIO(BARE[:200]))
    with pytest.raises(TruncatedError) as first:
        list(reader)
    with pytest.raises(TruncatedError) as second:
        next(reader)
    assert second.value is first.value
    with pytest.raises(TruncatedError):
        reader.open()


def test_the_end_is_final() -> None:
    reader = UnitReader(io.BytesIO(BARE))
    assert isinstance(list(reader)[-1], End)
    assert list(reader) == []


def test_errors_of_the_file_object_pass() -> None:
    class Broken:
        def read(self, size: int) -> bytes:
            raise ConnectionResetError

    class Empty:
        def read(self, size: int) -> None:
            return None

    reader = UnitReader(Broken())
    with pytest.raises(ConnectionResetError):
        reader.open()
    with pytest.raises(BlockingIOError):
        UnitReader(Empty()).open()


def test_reading_from_a_pipe() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as source:
        with open(writing, "wb", buffering=0) as sink:
            sink.write(SMALL)
        assert read_from(source) == (WHOLE, None)


def test_errors_cross_processes() -> None:
    error = CorruptError("wrong", unit="GRUP 3", offset=10456, rule="2.7")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is CorruptError
    assert str(copy) == str(error) == "GRUP 3 at byte 10456: wrong (clause 2.7)"
