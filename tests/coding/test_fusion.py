"""The network substream of the hybrid model: round trips, its least sizes, damage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.adaptation import MAX_COUNT
from nvcodec.coding.fusion import (
    COLUMNS,
    NETWORK_CONTEXTS,
    ROWS,
    NetworkMode,
    decode_network,
    default_network_contexts,
    encode_network,
    network_mode,
    trace_network,
)
from nvcodec.coding.weights import MAX_DIFFERENCE
from nvcodec.format import CorruptError


def some(seed, networks, spread, share):
    rng = np.random.default_rng(seed)
    values = rng.laplace(0, spread, (networks, ROWS, COLUMNS)).round()
    values *= rng.random((networks, ROWS, COLUMNS)) < share
    values[rng.random((networks, ROWS)) < 0.3] = 0
    return np.clip(values, -MAX_DIFFERENCE, MAX_DIFFERENCE).astype(np.int32)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.sampled_from([0.5, 3, 100, 1e5]),
    st.sampled_from([0, 0.1, 1]),
)
def test_round_trip(seed, networks, spread, share):
    differences = some(seed, networks, spread, share)
    mode, decoded = decode_network(encode_network(NetworkMode.NEW, differences), networks)
    assert mode is NetworkMode.NEW
    assert np.array_equal(decoded, differences)


@pytest.mark.parametrize(("mode", "most"), [(NetworkMode.KEEP, 0), (NetworkMode.OFF, 1)])
def test_modes_without_differences(mode, most):
    data = encode_network(mode, some(0, 2, 3, 1))
    assert len(data) <= most
    decoded, differences = decode_network(data, 2)
    assert decoded is mode
    assert not differences.any()


@pytest.mark.parametrize("mode", NetworkMode)
def test_mode_alone(mode):
    assert network_mode(encode_network(mode, some(0, 2, 3, 1))) is mode


def test_what_cannot_be_coded():
    differences = np.zeros((1, ROWS, COLUMNS), np.int32)
    differences[0, 3, 9] = -MAX_DIFFERENCE - 1
    with pytest.raises(ValueError, match="exceeds"):
        encode_network(NetworkMode.NEW, differences)
    with pytest.raises(ValueError, match="shape"):
        encode_network(NetworkMode.NEW, differences[0])


@pytest.mark.parametrize("data", [b"\xff" * 4, b"\x80\0", bytes(range(1, 200)) * 40])
def test_damage(data):
    with pytest.raises(CorruptError):
        decode_network(data, 1)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    """They decode to something that can be coded, or are corrupt."""
    try:
        mode, differences = decode_network(data, 3)
    except CorruptError:
        return
    again = decode_network(encode_network(mode, differences), 3)
    assert again[0] is mode
    assert np.array_equal(again[1], differences)


def test_contexts():
    contexts = default_network_contexts()
    assert contexts.shape == (NETWORK_CONTEXTS, 3)
    assert contexts[:, 0].min() >= 1
    assert contexts[:, 0].max() <= 65535
    assert 0 <= contexts[:, 2].min() <= contexts[:, 2].max() <= MAX_COUNT
    record = trace_network(NetworkMode.NEW, some(0, 3, 3, 1))
    assert record.max() >> 1 < NETWORK_CONTEXTS
    assert trace_network(NetworkMode.KEEP, some(0, 3, 3, 1)).tolist() == [1]
