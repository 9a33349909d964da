"""Training of features: their optimiser and their prediction."""

import numpy as np
import pytest
import torch

from nvcodec.coding.sine.weights import FEATURE, PATCH, Differences, neighbour_share, trace
from nvcodec.encode.sine.rate import predicted_features
from nvcodec.encode.sine.sparse_adam import SparseAdam

BETAS = (0.5, 0.9)


def gradients(steps, rows, columns):
    return torch.from_numpy(np.random.default_rng(1).normal(0, 3, (steps, rows, columns))).float()


def adam(start, gradients, rates):
    """What torch makes of gradients of all columns."""
    matrix = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([matrix], betas=BETAS, eps=1e-12)
    for gradient, rate in zip(gradients, rates, strict=True):
        optimiser.param_groups[0]["lr"] = rate
        matrix.grad = gradient.clone()
        optimiser.step()
    return matrix.detach()


@pytest.mark.parametrize("columns", [slice(None), torch.arange(7)])
def test_all_columns_in_each_step_are_adam(columns):
    start, rates = torch.randn(3, 7), [0.1, 0.3, 0.2, 0.05]
    matrix = start.clone()
    optimiser = SparseAdam(matrix, BETAS)
    every = gradients(4, 3, 7)
    for gradient, rate in zip(every, rates, strict=True):
        optimiser.step(columns, gradient, rate)
    torch.testing.assert_close(matrix, adam(start, every, rates))


def test_a_column_is_trained_by_itself():
    """Columns that a step does not see stay, and those it sees go on from where they were."""
    start = torch.randn(3, 7)
    matrix = start.clone()
    optimiser = SparseAdam(matrix)
    every = gradients(12, 3, 7)
    rng = np.random.default_rng(2)
    seen = [torch.from_numpy(rng.permutation(7)[: rng.integers(1, 7)]) for _ in every]
    for gradient, columns in zip(every, seen, strict=True):
        before = matrix.clone()
        optimiser.step(columns, gradient[:, columns], 0.1)
        changed = (matrix != before).any(dim=0)
        assert set(torch.nonzero(changed).flatten().tolist()) == set(columns.tolist())
    for column in range(7):
        own = [g[:, [column]] for g, columns in zip(every, seen, strict=True) if column in columns]
        expected = adam(start[:, [column]], own, [0.1] * len(own))
        torch.testing.assert_close(matrix[:, [column]], expected)


GRID = 4, 5
STEP = 0.37


def predicted(start, differences, index, key):
    """Differences (patches, F) that are predicted, of the features `start` + `differences`."""
    features = (start + torch.from_numpy(differences.T.astype(np.float32))) * STEP
    share = neighbour_share(key)
    base = predicted_features(features, STEP, start, index, GRID[1], share)
    return (base - start[:, index]).numpy().T


@pytest.mark.parametrize("key", [True, False])
def test_prediction_is_that_of_the_text(key):
    rng = np.random.default_rng(3)
    start = torch.from_numpy(rng.integers(-100, 100, (6, 20))).float()
    d = rng.integers(-60, 60, (*GRID, 6))
    share = 3 if key else 2
    expected = np.zeros_like(d)
    for y in range(GRID[0]):
        for x in range(GRID[1]):
            sides = (d[y, x - 1] if x else 0) + (d[y - 1, x] if y else 0)
            expected[y, x] = (share * sides + 4) >> 3
    expected = expected.reshape(20, 6)
    d = d.reshape(20, 6)
    np.testing.assert_array_equal(predicted(start, d, slice(None), key), expected)
    index = torch.from_numpy(rng.permutation(20)[:9])
    np.testing.assert_array_equal(predicted(start, d, index, key), expected[index.numpy()])


@pytest.mark.parametrize("key", [True, False])
def test_the_coder_takes_no_bits_for_what_is_predicted(key):
    rng = np.random.default_rng(4)
    start = torch.from_numpy(rng.integers(-100, 100, (6, 20))).float()
    d = np.zeros((20, 6), np.int32)
    d[0] = rng.integers(60, 120, 6) * rng.choice([-1, 1], 6)
    alone = trace(Differences([], d[:1].copy(), 1, key))
    for patch in range(1, 20):
        d[patch] = predicted(start, d, slice(patch, patch + 1), key)[0]
    assert np.count_nonzero(d) > 40
    record = trace(Differences([], d, GRID[1], key))
    np.testing.assert_array_equal(record[: alone.size], alone)
    rest = record[alone.size :]
    rest = rest[rest >> 1 < PATCH]
    assert (rest >> 1 >= FEATURE).all()
    assert not (rest & 1).any()
