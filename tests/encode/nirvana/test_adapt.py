"""Components: the change of least error, and only where it pays."""

import numpy as np
import pytest

from nvcodec.coding.nirvana.components import (
    INPUTS,
    NO_COMPONENTS,
    SLOTS,
    Component,
    encode_components,
)
from nvcodec.coding.nirvana.table import VOLUME, WIDTH
from nvcodec.encode.nirvana.adapt import Fit, adapted, best_direction, change_of, quantised
from nvcodec.encode.nirvana.gradient import float_network
from nvcodec.model.nirvana.network import CONSTANT

PATCHES = 700


@pytest.fixture(scope="module")
def units():
    return np.random.default_rng(0).normal(0, 1, (PATCHES, WIDTH)).astype(np.float32)


def extended(units):
    return np.concatenate([units, np.full((len(units), 1), CONSTANT / 256)], 1)


@pytest.fixture(scope="module")
def error(units):
    """A change of rank 1, and noise."""
    rng = np.random.default_rng(1)
    inputs, outputs = rng.normal(0, 1, INPUTS), rng.normal(0, 0.2, VOLUME)
    noise = rng.normal(0, 1, (PATCHES, VOLUME))
    return (np.outer(extended(units) @ inputs, outputs) + noise).astype(np.float32)


def test_the_gain_is_that_of_the_error(units, error):
    fit = Fit.of(units, error)
    assert fit.squares == pytest.approx(np.square(error.astype(np.float64)).sum(), rel=1e-5)
    change = np.random.default_rng(2).normal(0, 0.01, (INPUTS, VOLUME))
    left = np.square(error - extended(units) @ change).sum()
    assert fit.without(change).squares == pytest.approx(left, rel=1e-4)


def test_a_change_is_that_of_the_network(units):
    component = quantised(
        Fit.of(units, units @ np.ones((WIDTH, VOLUME), np.float32)), np.ones(INPUTS), 8.0
    )
    before, after = (
        float_network(30, components)
        for components in (NO_COMPONENTS, (component, *NO_COMPONENTS[1:]))
    )
    change = change_of(component)
    assert np.abs(change[:-1]).max() > 0.01
    np.testing.assert_allclose(after.third - before.third, change[:-1], atol=1 / 256)
    bias = after.third_bias - before.third_bias
    np.testing.assert_allclose(bias, change[-1] * CONSTANT / 256, atol=0.03)


def test_the_direction_of_a_change(units, error):
    fit = Fit.of(units, error)
    component = quantised(fit, best_direction(fit), 8.0)
    # Hardly more than the noise is left.
    assert fit.gain(change_of(component)) > 0.9 * (fit.squares - PATCHES * VOLUME)


def test_what_pays(units, error):
    fit = Fit.of(units, error)
    found = adapted(fit, NO_COMPONENTS, 1.0, 1.0)
    assert [c is not None for c in found] == [True, False, False, False]
    assert adapted(fit, NO_COMPONENTS, 1e9, 1.0) == NO_COMPONENTS
    bits = 8 * len(encode_components(found, NO_COMPONENTS))
    gain = fit.gain(change_of(found[0]))
    for price, groups, pays in ((0.5, 1, True), (2, 1, False), (2, 4, True)):
        chosen = adapted(fit, NO_COMPONENTS, price * gain / bits, groups)
        assert (chosen != NO_COMPONENTS) == pays


def test_components_that_do_harm_are_dropped(units, error):
    fit = Fit.of(units, error)
    wrong = Component(8, bytes([9] * INPUTS), bytes([9] * VOLUME))
    present = (wrong, None, wrong, None)
    rendered = fit.without(2 * change_of(wrong))
    assert rendered.squares > fit.squares
    assert adapted(rendered, present, 1e9, 1.0) == NO_COMPONENTS
    helpful = adapted(fit, NO_COMPONENTS, 1.0, 1.0)
    kept = fit.without(change_of(helpful[0]))
    assert adapted(kept, helpful, 1e9, 1.0) == helpful


def test_slots_that_are_full(units, error):
    small = tuple(Component(15, bytes([k] * INPUTS), bytes(VOLUME)) for k in range(SLOTS))
    assert adapted(Fit.of(units, error), small, 0.0, 1.0) == small
