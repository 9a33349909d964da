"""The network substream of the hybrid model (spec 9.6): round trips, minimum sizes, damage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.adaptation import MAX_COUNT
from nvcodec.coding.difference import MAX_DIFFERENCE
from nvcodec.coding.hybrid.fusion import (
    LINEAR,
    NETWORK_CONTEXTS,
    ROWS,
    SHARED_TAPS,
    decode_network,
    default_network_contexts,
    encode_network,
    no_differences,
    trace_network,
)
from nvcodec.coding.hybrid.network_mode import NetworkMode, network_mode
from nvcodec.format import CorruptError
from tests.coding.hybrid import reference
from tests.coding.reference import Decoder, encode

UNITS = 6


def some(seed, networks, spread, share):
    """A shared filter and differences."""
    rng = np.random.default_rng(seed)

    def values(*size):
        drawn = rng.laplace(0, spread, size).round() * (rng.random(size) < share)
        return np.clip(drawn, -MAX_DIFFERENCE, MAX_DIFFERENCE).astype(np.int32)

    shared, differences = values(networks, SHARED_TAPS), values(networks, ROWS, LINEAR + UNITS)
    differences[rng.random((networks, ROWS)) < 0.3] = 0
    shared[rng.random(networks) < 0.3] = 0
    return shared, differences


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.sampled_from([0.5, 3, 100, 1e5]),
    st.sampled_from([0, 0.1, 1]),
)
def test_round_trip(seed, networks, spread, share):
    changes = some(seed, networks, spread, share)
    data = encode_network(NetworkMode.NEW, *changes)
    mode, *decoded = decode_network(data, networks, UNITS)
    assert mode is NetworkMode.NEW
    assert all(np.array_equal(a, b) for a, b in zip(decoded, changes, strict=True))
    slow = Decoder(data)
    number, *expected = reference.network(slow, networks, UNITS)
    assert number == mode.value
    assert all(np.array_equal(a, b) for a, b in zip(decoded, expected, strict=True))
    assert slow.finished()


@pytest.mark.parametrize(("mode", "most"), [(NetworkMode.KEEP, 0), (NetworkMode.OFF, 1)])
def test_modes_without_differences(mode, most):
    data = encode_network(mode, *some(0, 2, 3, 1))
    assert len(data) <= most
    decoded, *changes = decode_network(data, 2, UNITS)
    assert decoded is mode
    assert not any(part.any() for part in changes)


@pytest.mark.parametrize("mode", NetworkMode)
def test_mode_alone(mode):
    assert network_mode(encode_network(mode, *some(0, 2, 3, 1))) is mode


@pytest.mark.parametrize("part", [0, 1])
def test_what_cannot_be_coded(part):
    changes = no_differences(1, UNITS)
    changes[part].ravel()[9] = -MAX_DIFFERENCE - 1
    with pytest.raises(ValueError, match="exceeds"):
        encode_network(NetworkMode.NEW, *changes)


@pytest.mark.parametrize("units", [-1, 2])
def test_shapes_that_do_not_fit(units):
    shared, differences = no_differences(2, units)
    with pytest.raises(ValueError, match="shapes"):
        encode_network(NetworkMode.NEW, shared[: 1 + (units < 0)], differences)


@pytest.mark.parametrize("data", [b"\xff" * 4, b"\x80\0", bytes(range(1, 200)) * 40])
def test_damage(data):
    with pytest.raises(CorruptError):
        decode_network(data, 1, UNITS)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    """They decode to something that can be coded, or are corrupt."""
    try:
        mode, *changes = decode_network(data, 3, UNITS)
    except CorruptError:
        return
    again, *parts = decode_network(encode_network(mode, *changes), 3, UNITS)
    assert again is mode
    assert all(np.array_equal(a, b) for a, b in zip(parts, changes, strict=True))


def test_contexts():
    contexts = default_network_contexts()
    assert contexts.shape == (NETWORK_CONTEXTS, 3)
    assert contexts[:, 0].min() >= 1
    assert contexts[:, 0].max() <= 65535
    assert 0 <= contexts[:, 2].min() <= contexts[:, 2].max() <= MAX_COUNT
    record = trace_network(NetworkMode.NEW, *some(0, 3, 3, 1))
    assert record.max() >> 1 < NETWORK_CONTEXTS
    assert trace_network(NetworkMode.KEEP, *some(0, 3, 3, 1)).tolist() == [1]


@pytest.mark.parametrize("spread", [0.7, 30])
def test_networks(spread, kernel_bench):
    changes = some(1, 3, spread, 1)
    data = encode_network(NetworkMode.NEW, *changes)
    slow = Decoder(data)
    reference.network(slow, 3, UNITS)

    def decode():
        mode, *found = decode_network(data, 3, UNITS)
        return mode.value, *found

    def slow_decode():
        mode, *found = reference.network(Decoder(data), 3, UNITS)
        return mode, *map(np.array, found)

    bins = len(slow.bins)
    kernel_bench(f"decode network, spread {spread}", bins, decode, slow_decode, unit="bin")
    kernel_bench(
        f"encode network, spread {spread}",
        bins,
        lambda: list(encode_network(NetworkMode.NEW, *changes)),
        lambda: list(encode(slow.bins)),
        unit="bin",
    )
