"""Residuals by rate and distortion."""

from contextlib import closing

import numpy as np
import pytest

from nvcodec.coding.nirvana.features import MAX_RESIDUAL
from nvcodec.coding.nirvana.table import CLASSES
from nvcodec.encode.nirvana.choice import BITS_PER_SQUARE, choose_all, price_table
from nvcodec.tasks import TaskPool
from tests.coding.nirvana.reference import F
from tests.coding.nirvana.samples import Around, encode_content

ROWS, COLUMNS = 3, 4


def chosen(wanted, key, per_square, rows=ROWS, threads=2):
    """(residuals, bits, what was around them)."""
    around = Around(np.random.default_rng(1), rows, COLUMNS, key, 30)
    seen = around.seen()
    with closing(TaskPool(threads)) as tasks:
        bits = choose_all(seen, wanted, per_square, tasks)
    return seen.residual.copy(), bits, around


def wished(scale):
    rng = np.random.default_rng(2)
    return rng.laplace(0, scale, (ROWS * COLUMNS, F)).astype(np.float32)


@pytest.mark.parametrize("key", [False, True])
def test_free_bits_give_the_nearest(key):
    for wanted in (wished(3), wished(30)):
        found, _, _ = chosen(wanted, key, 1e9)
        assert np.abs(found - wanted).max() <= 0.5


def test_dear_bits_are_saved():
    """Fewer bits for more error, and the bits are about those of the substream."""
    wanted = wished(2)
    sizes, errors = [], []
    for per_square in (1e9, BITS_PER_SQUARE, BITS_PER_SQUARE / 8):
        found, bits, around = chosen(wanted, True, per_square)
        errors.append(float(np.square(found - wanted).sum()))
        size = 8 * len(encode_content(30, around.seen(found.reshape(ROWS, COLUMNS, F))))
        sizes.append(bits)
        assert 0.5 * size < bits < 2 * size
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)
    assert sizes[2] < sizes[0]


@pytest.mark.parametrize("sign", [-1, 1])
def test_residuals_stay_in_range(sign):
    found, _, _ = chosen(np.full((ROWS * COLUMNS, F), sign * 1e5, np.float32), True, 1e9)
    assert (found == sign * MAX_RESIDUAL).all()


def test_prices_are_those_of_a_distribution():
    prices = price_table()
    assert prices.shape == (CLASSES, 64, 25)
    total = (2.0 ** -prices.astype(np.float64)).sum(2)
    assert (total < 1.001).all()
    # Of narrow distributions nearly all is within the table.
    assert (total[: CLASSES // 2] > 0.99).all()
    # The mean is rounded, so it is the likeliest; a fraction of -1/2 is as near to the one below.
    assert (prices[:, 1:].argmin(2) == 12).all()


@pytest.mark.parametrize("key", [False, True])
def test_tasks_choose_the_same(key):
    """Also where bands of slices run at the same time."""
    rows = 26
    wanted = np.random.default_rng(3).laplace(0, 2, (rows * COLUMNS, F)).astype(np.float32)
    first, *others = (chosen(wanted, key, BITS_PER_SQUARE, rows, n)[:2] for n in (1, 2, 6))
    for residuals, bits in others:
        np.testing.assert_array_equal(residuals, first[0])
        assert bits == first[1]
