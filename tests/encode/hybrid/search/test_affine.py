"""The moments of cells that the normal equations of affine motion are made of."""

import numba
import numpy as np
import pytest

from nvcodec.encode.hybrid.search.affine import (
    _add_moments_of_one,
    _add_moments_of_two,
)

STRIDE = 40


@numba.njit
def add_one(current, at, reference, place, moments, dy, dx):
    _add_moments_of_one(8, current, at, 40, reference, place, 40, moments, 0, dy, dx)


@numba.njit
def add_two(current, at, reference, place, other, other_place, moments, dy, dx):
    _add_moments_of_two(
        8, current, at, 40, reference, place, other, other_place, 40, moments, 0, dy, dx
    )


def rows(plane, y, x):
    return plane[y : y + 8 : 2, x : x + 8].astype(np.int64)


def slopes(plane, y, x):
    by_y = rows(plane, y + 1, x) - rows(plane, y - 1, x)
    return [by_y, rows(plane, y, x + 1) - rows(plane, y, x - 1)]


@pytest.mark.parametrize("peak", [255, 4095])
@pytest.mark.parametrize("extreme", [False, True])
def test_moments(peak, extreme):
    rng = np.random.default_rng(peak)
    planes = rng.integers(0, peak + 1, (3, STRIDE, STRIDE))
    if extreme:
        planes = peak * (planes > peak // 2)
        planes[0] = peak
    current, a, b = planes.astype(np.uint8 if peak == 255 else np.uint16)
    flat = [plane.ravel() for plane in (current, a, b)]
    at, (y, x), (oy, ox) = STRIDE * 2 + 3, (5, 7), (21, 14)
    dy, dx = -0.25, 0.375
    one, two = np.ones(48, np.float32), np.ones(96, np.float32)
    add_one(flat[0], at, flat[1], STRIDE * y + x, one, dy, dx)
    add_two(flat[0], at, flat[1], STRIDE * y + x, flat[2], STRIDE * oy + ox, two, dy, dx)
    wanted, first, second = rows(current, 2, 3), rows(a, y, x), rows(b, oy, ox)
    of_one = [*slopes(a, y, x), wanted - first]
    of_two = [*slopes(a, y, x), *slopes(b, oy, ox), 2 * wanted - first - second]
    for found, terms in ((one, of_one), (two, of_two)):
        products = [float((p * q).sum()) for k, p in enumerate(terms) for q in terms[k:]]
        products += [0.0] * (len(found) // 6 - len(products))
        weights = (1, dy, dx, dy * dy, dy * dx, dx * dx)
        expected = 1 + np.concatenate([np.array(products) * weight for weight in weights])
        assert np.allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
