"""The data files of table 1 against what spec 11.2 says of them."""

from __future__ import annotations

import dataclasses

import numpy as np

from nvcodec.coding.nirvana.contexts import (
    CONTENT_CONTEXTS,
    MOTION_CONTEXTS,
    NETWORK_CONTEXTS,
    default_contexts,
)
from nvcodec.coding.nirvana.table import load

from . import reference

NAMES = {
    "basis": "BASIS",
    "first": "W1",
    "first_own": "W1C",
    "second": "W2",
    "third": "W3",
    "earlier": "A",
    "context": "C",
    "own": "M",
    "hidden": "H",
    "output": "O",
    "neighbour": "NEIGHBOUR",
    "scale": "SCALE",
    "shifts": "SHIFTS",
    "first_bias": "B1",
    "second_bias": "B2",
    "third_bias": "B3",
    "context_bias": "BC",
    "hidden_bias": "BH",
    "output_bias": "BO",
    "log": "LOG",
    "zero_cost": "ZERO_COST",
}


def test_tensors() -> None:
    found = {field.name: getattr(load(), field.name) for field in dataclasses.fields(load())}
    assert found.keys() == NAMES.keys()
    for name, value in found.items():
        expected = getattr(reference.table(), NAMES[name])
        parts = (
            zip(value, expected, strict=True) if isinstance(value, tuple) else [(value, expected)]
        )
        for a, b in parts:
            # Kernels count the positions of A in a row.
            np.testing.assert_array_equal(a, np.reshape(b, np.shape(a)))


def test_linear_prediction_uses_what_is_read() -> None:
    weights = reference.table().NEIGHBOUR
    for s in range(4):
        rows = weights[reference.START[s] : reference.START[s + 1]]
        assert not rows[:, reference.START[s + 1] :].any()
        own = rows[:, reference.START[s] : reference.START[s + 1]].reshape(len(rows), -1, 9)
        assert not own[..., 4:].any()
        assert s == 3 or own[..., :4].any()


def test_logarithms() -> None:
    expected = np.rint(64 * np.log1p(np.arange(4096) / 16))
    np.testing.assert_array_equal(reference.table().LOG, expected)


def test_prices_and_shifts() -> None:
    assert (reference.table().ZERO_COST >= 1).all()
    assert all(1 <= shift <= 31 for shift in reference.table().SHIFTS)


def test_contexts() -> None:
    motion, content, network = default_contexts()
    assert len(network) == NETWORK_CONTEXTS == reference.NETWORK_CONTEXTS
    assert len(motion) == MOTION_CONTEXTS == reference.MOTION_CONTEXTS
    assert len(content) == CONTENT_CONTEXTS == reference.CONTENT_CONTEXTS
    for found, slow in zip((motion, content, network), reference.contexts(), strict=True):
        assert found.tolist() == [[c.fast, c.slow, c.count] for c in slow]
        assert 1 <= found[:, 0].min() <= found[:, 0].max() <= 65535
        assert 0 <= found[:, 2].min() <= found[:, 2].max() <= 128
        found[:] = 0
    assert all(part.any() for part in default_contexts())
