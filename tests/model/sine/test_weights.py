"""Weights of a group from substreams, and their rules (spec 4.3 to 4.5)."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from nvcodec.coding.sine.weights import encode_differences
from nvcodec.format import CorruptError
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import (
    GroupWeights,
    LayerParameters,
    check_weights,
    code_weights,
    default_tensor,
    default_weights,
    differences,
    rebuild_weights,
)
from tests.synthetic import DEEP, SMALL, random_parameters, random_weights

from . import reference


def equal(a: GroupWeights, b: GroupWeights) -> bool:
    return a.parameters == b.parameters and all(
        x.dtype == y.dtype == np.int32 and np.array_equal(x, y)
        for x, y in zip(a.tensors, b.tensors, strict=True)
    )


@pytest.mark.parametrize("bound", [0, 1, 2, 127, 2047, 32767])
@pytest.mark.parametrize("index", [0, 1, 7, 21])
def test_defaults(index: int, bound: int) -> None:
    found = default_tensor(index, (40, 9), bound)
    assert found.dtype == np.int32
    assert found.ravel().tolist() == [reference.default(i, index, bound) for i in range(360)]
    assert int(np.abs(found).max()) <= bound


def test_defaults_of_far_entries() -> None:
    found = default_tensor(3, (1 << 21,), 2047)
    for i in (0, 1 << 20, (1 << 20) + 12345, (1 << 21) - 1):
        assert found[i] == reference.default(i, 3, 2047)


def test_scale() -> None:
    for step in range(144):
        expected = reference.T6[step % 6] << (step // 6)
        assert LayerParameters(step, 0, 0, 0).scale == expected < 1 << 38


@pytest.mark.parametrize("shape", [SMALL, DEEP])
def test_round_trip_of_a_chain(shape: NetworkShape) -> None:
    rng = np.random.default_rng(1)
    previous = None
    for number in range(4):
        key = number in (0, 3)
        weights = random_weights(shape, None if key else previous, rng, 0.4)
        tables, network = code_weights(weights, None if key else previous)
        before = None if key else previous
        assert equal(rebuild_weights(shape, before, key, tables, network), weights)
        # A key group needs nothing from before it and takes nothing.
        if key:
            assert equal(rebuild_weights(shape, previous, True, tables, network), weights)
        previous = weights


def test_defaults_cost_next_to_nothing() -> None:
    rng = np.random.default_rng(2)
    parameters = random_parameters(SMALL, rng)
    weights = GroupWeights(SMALL, parameters, default_weights(SMALL, parameters))
    tables, network = code_weights(weights, None)
    assert tables == b""
    assert len(network) < 6 * len(parameters) + 30


def test_first_group_without_key() -> None:
    with pytest.raises(CorruptError) as error:
        rebuild_weights(SMALL, None, False, b"", b"")
    assert error.value.rule == "2.7"


def test_other_parameters_need_a_key_group() -> None:
    rng = np.random.default_rng(3)
    first = random_weights(SMALL, None, rng, 0.4)
    changed = replace(first.parameters[0], bias_shift=first.parameters[0].bias_shift + 1)
    other = GroupWeights(SMALL, (changed, *first.parameters[1:]), first.tensors)
    with pytest.raises(ValueError, match="key groups"):
        code_weights(other, first)


def records(*changes: tuple[int, int, int]) -> bytes:
    """Records of SMALL: all zero but (layer, field, value)."""
    fields = [[0, 0, 0, 0] for _ in SMALL.layers]
    for layer, field, value in changes:
        fields[layer][field] = value
    return b"".join(struct.pack("<BBHH", *record) for record in fields)


def zeros() -> list[np.ndarray]:
    flat = (LayerParameters(0, 0, 0, 0),) * len(SMALL.layers)
    return list(default_weights(SMALL, flat))


def coded_tensors(tensors: list[np.ndarray]) -> tuple[bytes, bytes]:
    """Differences of these tensors, whether the weights conform or not."""
    weights = GroupWeights(SMALL, (), tuple(tensors))
    return encode_differences(differences(weights, tuple(zeros())))


ZEROS = coded_tensors(zeros())[1]


def test_records_at_their_ends() -> None:
    weights = rebuild_weights(
        SMALL, None, True, b"", records((0, 0, 143), (0, 1, 20), (0, 2, 2047)) + ZEROS
    )
    assert weights.parameters[0] == LayerParameters(143, 20, 2047, 0)
    assert int(np.abs(weights.tensors[0]).max()) > 1000


@pytest.mark.parametrize(
    ("layer", "field", "value"),
    [
        *((layer, 0, 144) for layer in range(len(SMALL.layers))),
        (1, 0, 255),
        (2, 1, 21),
        (4, 1, 255),
        (0, 2, 2048),
        (1, 2, 128),
        (2, 2, 128),
        (3, 2, 2048),
        (4, 2, 65535),
        (0, 3, 32768),
        (4, 3, 65535),
    ],
)
def test_each_record_rule(layer: int, field: int, value: int) -> None:
    with pytest.raises(CorruptError) as error:
        rebuild_weights(SMALL, None, True, b"", records((layer, field, value)) + ZEROS)
    assert error.value.rule == "4.3"


def test_records_cut_short() -> None:
    whole = records()
    for size in range(len(whole)):
        with pytest.raises(CorruptError) as error:
            rebuild_weights(SMALL, None, True, b"", whole[:size])
        assert error.value.rule == "4.3"


def coded(tensors: list[np.ndarray], bias_shift: int = 0) -> tuple[bytes, bytes]:
    """A key group of these tensors on defaults of 0, whether they conform or not."""
    tables, network = coded_tensors(tensors)
    every = [(n, 1, bias_shift) for n in range(len(SMALL.layers))]
    return tables, records(*every) + network


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("number", range(2 * len(SMALL.layers)))
def test_weight_range(number: int, sign: int) -> None:
    most = 32767 if number % 2 else (2047, 127, 127, 2047, 2047)[number // 2]
    tensors = zeros()
    tensors[number].ravel()[-1] = sign * most
    tables, network = coded(tensors)
    weights = rebuild_weights(SMALL, None, True, tables, network)
    assert weights.tensors[number].ravel()[-1] == sign * most
    tensors[number].ravel()[-1] += sign
    tables, network = coded(tensors)
    with pytest.raises(CorruptError) as error:
        rebuild_weights(SMALL, None, True, tables, network)
    assert error.value.rule == "4.4"


@pytest.mark.parametrize("number", [2, 4])
def test_range_holds_for_the_sum_with_the_group_before(number: int) -> None:
    tensors = zeros()
    tensors[number].ravel()[-1] = 127
    tables, network = coded(tensors)
    weights = rebuild_weights(SMALL, None, True, tables, network)
    step = zeros()
    step[number].ravel()[-1] = 1
    tables, network = coded_tensors(step)
    with pytest.raises(CorruptError) as error:
        rebuild_weights(SMALL, weights, False, tables, network)
    assert error.value.rule == "4.4"


@pytest.mark.parametrize("layer", [1, 2, 3, 4])
def test_bound(layer: int) -> None:
    """Sum(|weight|) * MaxInput + (|bias| << bias_shift) is below 2^24 or refused."""
    most, max_input = (127, 127) if layer < 3 else (2047, 2047)
    tensors = zeros()
    row = tensors[2 * layer][-1]
    row[: 12 if layer < 3 else 4] = -most
    products = int(np.abs(row).sum()) * max_input
    shift = 9 if layer < 3 else 0
    bias = ((1 << 24) - 1 - products) >> shift
    assert 0 < bias <= 32767
    tensors[2 * layer + 1][-1] = -bias
    tables, network = coded(tensors, shift)
    rebuild_weights(SMALL, None, True, tables, network)
    tensors[2 * layer + 1][-1] = -bias - 1
    tables, network = coded(tensors, shift)
    with pytest.raises(CorruptError) as error:
        rebuild_weights(SMALL, None, True, tables, network)
    assert error.value.rule == "4.5"


def test_bound_of_the_first_layer_always_holds() -> None:
    """32767 << 20 is below 2^36: the rule of 4.5 for layer 0 follows from 4.3 and 4.4."""
    tensors = zeros()
    tensors[0][:], tensors[1][:] = 2047, -32767
    parameters = (LayerParameters(0, 20, 0, 0),) + (LayerParameters(0, 0, 0, 0),) * 4
    check_weights(GroupWeights(SMALL, parameters, tuple(tensors)))


@pytest.mark.parametrize("place", [0, 2, 8])
def test_code_weights_refuses_what_does_not_conform(place: int) -> None:
    tensors = zeros()
    tensors[place].ravel()[0] = 2048
    parameters = (LayerParameters(0, 0, 0, 0),) * len(SMALL.layers)
    with pytest.raises(CorruptError):
        code_weights(GroupWeights(SMALL, parameters, tuple(tensors)), None)
