"""Weights of the fusion network: the table, the bound on sums, and changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.hybrid import fusion
from nvcodec.format import CorruptError
from nvcodec.model.hybrid.fusion.weights import (
    LINEAR,
    PLANES,
    SIDE,
    FusionShape,
    FusionWeights,
    HiddenLayer,
    Network,
    default_weights,
    weights_from_table,
    weights_to_table,
)
from tests.model.hybrid.fusion.samples import random_shape, random_weights


def integers(weights):
    return [number for line in weights_to_table(weights) for number in line]


def same(a, b):
    assert a.shape == b.shape
    assert np.array_equal(integers(a), integers(b))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_table_round_trip(seed):
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, random_shape(rng))
    same(weights_from_table(integers(weights)), weights)


def test_default_weights():
    weights = default_weights()
    same(weights_from_table(integers(weights)), weights)
    assert (PLANES, LINEAR, SIDE) == (fusion.ROWS, fusion.LINEAR, fusion.SIDE)
    units = weights.shape.hidden[-1].units
    assert weights.output.shape == (len(weights.networks), PLANES, LINEAR + units)
    assert all(layer.units % 2 == 0 for layer in weights.shape.hidden)


def test_tables_of_another_length():
    table = integers(default_weights())
    for wrong in (table[:-1], [*table, 0]):
        with pytest.raises(ValueError, match="integers"):
            weights_from_table(wrong)


SHAPE = FusionShape((0, 0, 0), 2, (HiddenLayer(1, 2, 3),), 4)


def network(first=0, bias=0, last=0, constant=0):
    weights = np.zeros((2, 18, 1, 1), np.int16)
    weights[1, :17, 0, 0] = first
    output = np.zeros((PLANES, LINEAR + 2), np.int16)
    output[4, 0] = constant
    output[4, -20:] = last
    biases = np.array([0, bias], np.int32)
    return FusionWeights(SHAPE, (Network(((weights, biases),), output),))


def test_bound_of_hidden_layers():
    """Sum(|w|) * 4095 + |b| + 4 < 2^31."""
    rest = (1 << 31) - 17 * 30000 * 4095 - 4
    for sign in (-1, 1):
        network(30000, sign * (rest - 1))
        with pytest.raises(CorruptError, match="exceed 32 bits") as error:
            network(-30000, sign * rest)
        assert error.value.rule == "9.2"


def test_bound_of_the_output_layer():
    """Sum(|w|) * 4095 + 64 * |w0| + 8 < 2^31."""
    rest = (1 << 31) - 20 * 26200 * 4095 - 8
    most = -(-rest // 64) - 1
    network(last=26200, constant=most)
    with pytest.raises(CorruptError):
        network(last=26200, constant=-most - 1)


def none(weights):
    return fusion.no_differences(len(weights.networks), weights.shape.hidden[-1].units)


def test_changes_add_up_and_leave_the_rest():
    rng = np.random.default_rng(0)
    weights = random_weights(rng, SHAPE)
    before = weights.output.copy()
    differences = rng.integers(-50, 51, before.shape).astype(np.int32)
    shared, _ = none(weights)
    changed = weights.changed(shared, differences)
    assert np.array_equal(changed.output, before + 4 * differences)
    assert np.array_equal(weights.output, before)
    assert changed.networks[0].hidden is weights.networks[0].hidden
    same(changed.changed(shared, -differences), weights)


def test_a_shared_filter_is_one_of_samples():
    """In every phase, the taps are those of the samples of luma at the same distance."""
    weights = network()
    shared, differences = none(weights)
    shared[0] = np.arange(1, 26)
    output = weights.changed(shared, differences).output[0] // 4
    assert not output[4:].any()
    for row in range(4):
        window = np.zeros((7, 7), np.int64)
        taps = output[row, 1:37].reshape(4, 3, 3)
        for plane in range(4):
            for ky in range(3):
                for kx in range(3):
                    y = 2 * (ky - 1) + plane // 2 - row // 2
                    x = 2 * (kx - 1) + plane % 2 - row % 2
                    window[y + 3, x + 3] += taps[plane, ky, kx]
        assert np.array_equal(window[1:6, 1:6].ravel(), shared[0])
        assert window.sum() == shared.sum()
        assert not output[row, [0, *range(37, 69)]].any()


@pytest.mark.parametrize("difference", [8192, -8193, 2**16 + 5, -(2**16) - 5])
def test_weights_of_more_than_16_bits(difference):
    weights = network()
    shared, differences = none(weights)
    differences[0, 5, 66] = difference
    with pytest.raises(CorruptError, match="16 bits") as error:
        weights.changed(shared, differences)
    assert error.value.rule == "9.2"
    shared, differences = none(weights)
    shared[0, 12] = difference
    with pytest.raises(CorruptError, match="16 bits"):
        weights.changed(shared, differences)
