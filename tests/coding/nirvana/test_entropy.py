"""The entropy network against the text (spec 12.3)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.nirvana.entropy import (
    CLASS,
    FRACTION,
    MEAN,
    PART,
    entropy_network,
    predict,
    spread,
)
from nvcodec.coding.nirvana.features import MAX_RESIDUAL
from tests.kernels import KernelBench

from .reference import SIZES, START, F, table
from .samples import Around, random_residuals

SEEDS = st.integers(0, 2**32 - 1)


def compare(around: Around, residual: np.ndarray) -> np.ndarray:
    """Predict all slices of all patches in coding order; returns all predictions."""
    network, seen, slow = entropy_network(), around.seen(), around.slow()
    everything = []
    for s in range(6):
        for patch in range(around.rows * around.columns):
            y, x = divmod(patch, around.columns)
            price = predict(network, seen, s, patch)
            expected = slow.predict(s, y, x)
            found = seen.found[:, : SIZES[s]]
            for row, name in ((MEAN, "Mean"), (CLASS, "Class"), (PART, "Part")):
                np.testing.assert_array_equal(found[row], getattr(expected, name), name)
            np.testing.assert_array_equal(found[FRACTION], expected.Fraction)
            assert price == table().ZERO_COST[expected.Class, expected.Part].sum()
            everything.append(found.copy())
            for f in range(START[s], START[s + 1]):
                slow.residual[y, x, f] = seen.residual[patch, f] = residual[y, x, f]
                if residual[y, x, f]:
                    spread(network, seen, f, patch, 0, 6)
    return np.concatenate(everything, 1)


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 4)),
    st.booleans(),
    st.sampled_from([4, 19, 20, 33, 46, 47, 63]),
    SEEDS,
    st.sampled_from([0.05, 0.4, 1]),
)
@settings(max_examples=20, derandomize=True, deadline=None)
def test_as_the_text(grid: tuple[int, int], key: bool, q: int, seed: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    compare(Around(rng, *grid, key, q), random_residuals(rng, *grid, density))


@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("value", [-MAX_RESIDUAL, MAX_RESIDUAL])
def test_extreme_residuals(value: int, key: bool) -> None:
    """All of one sign, then of mixed signs."""
    rng = np.random.default_rng(7)
    around = Around(rng, 3, 3, key, 4)
    around.moved[:], around.before[:] = (0, 0) if key else (-32767, 32767)
    compare(around, np.full((3, 3, F), value))
    compare(around, value * rng.choice([-1, 1], (3, 3, F)))


def test_predictions_vary() -> None:
    """Otherwise equality would prove little."""
    rng = np.random.default_rng(2)
    found = compare(Around(rng, 3, 4, False, 30), random_residuals(rng, 3, 4, 0.4))
    assert len(np.unique(found[MEAN])) > 5
    assert len(np.unique(found[CLASS])) > 5
    assert set(found[PART]) == {0, 1, 2}
    assert -32 <= found[FRACTION].min() < -16 < 16 <= found[FRACTION].max() < 32


def test_patches(kernel_bench: KernelBench) -> None:
    rng = np.random.default_rng(1)
    around, residual = Around(rng, 4, 6, False, 30), random_residuals(rng, 4, 6, 0.3)
    network = entropy_network()

    def call() -> np.ndarray:
        seen, found = around.seen(), []
        for s in range(6):
            for patch in range(24):
                predict(network, seen, s, patch)
                found.append(seen.found[:, : SIZES[s]].copy())
                for f in range(START[s], START[s + 1]):
                    seen.residual[patch, f] = residual[divmod(patch, 6)][f]
                    if seen.residual[patch, f]:
                        spread(network, seen, f, patch, 0, 6)
        return np.concatenate(found, 1)

    def slow() -> np.ndarray:
        entropy, found = around.slow(), []
        for s in range(6):
            own = slice(START[s], START[s + 1])
            for y, x in np.ndindex(4, 6):
                p = entropy.predict(s, y, x)
                found.append(np.stack([p.Mean, p.Class, p.Part, p.Fraction]))
                entropy.residual[y, x, own] = residual[y, x, own]
        return np.concatenate(found, 1)

    kernel_bench("predict features", 24 * F, call, slow, unit="feature")
