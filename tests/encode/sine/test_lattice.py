import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.encode.sine.lattice import choose_parameters, conform, layer_units, real_steps
from nvcodec.model.sine.weights import GroupWeights, check_weights, default_weights
from tests.synthetic import DEEP, SMALL, random_parameters

SHAPES = pytest.mark.parametrize("shape", [SMALL, DEEP])


@SHAPES
def test_units_fit_the_layers(shape):
    assert len(layer_units(shape)) == len(shape.layers)


@SHAPES
@settings(max_examples=25, deadline=None)
@given(octaves=st.floats(-3, 3), data=st.data())
def test_chosen_steps_are_near_the_wished_ones(shape, octaves, data):
    count = len(shape.layers)
    # Steps that put the middle of the range of records in reach.
    weight_steps = [units.weight * 2.0 ** (14 + 8 + octaves) for units in layer_units(shape)]
    bias_steps = [
        step / units.weight * units.bias * 2.0 ** data.draw(st.floats(0, 12))
        for step, units in zip(weight_steps, layer_units(shape), strict=True)
    ]
    spread = [100 * step for step in weight_steps]
    spread_bias = [100 * step for step in bias_steps]
    records = choose_parameters(shape, weight_steps, bias_steps, spread, spread_bias)
    for record, layer in zip(records, shape.layers, strict=True):
        record.check(layer)
    steps = real_steps(shape, records)
    for k in range(count):
        assert abs(math.log2(steps[k][0] / weight_steps[k])) <= 1 / 12 + 1e-3
        assert abs(math.log2(steps[k][1] / bias_steps[k])) <= 1 / 2 + 1e-3
        # Bounds of the defaults: the spread, or as much as leaves room to move.
        bound = round(spread[k] / steps[k][0])
        assert records[k].weight_bound == min(shape.layers[k].max_weight // 2, bound)


@SHAPES
@pytest.mark.parametrize("step", [1e-30, 1e30])
def test_steps_out_of_reach_give_the_nearest_record(shape, step):
    count = len(shape.layers)
    records = choose_parameters(shape, [step] * count, [step] * count, [0.0] * count, [0.0] * count)
    for record, layer in zip(records, shape.layers, strict=True):
        record.check(layer)
        assert record.step == (0 if step < 1 else 143)


@SHAPES
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 300_000))
def test_conform_makes_any_weights_conform(shape, seed, size):
    rng = np.random.default_rng(seed)
    parameters = random_parameters(shape, rng)
    tensors = tuple(
        rng.integers(-size, size + 1, tensor.shape).astype(np.int32)
        for tensor in default_weights(shape, parameters)
    )
    weights = conform(GroupWeights(shape, parameters, tensors))
    check_weights(weights)
    again = conform(weights)
    for before, after, result in zip(weights.tensors, again.tensors, tensors, strict=True):
        np.testing.assert_array_equal(before, after)
        # Magnitudes shrink and signs stay.
        assert (np.abs(before) <= np.abs(result)).all()
        assert (before * result.astype(np.int64) >= 0).all()
