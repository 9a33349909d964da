"""Residuals and coefficients in floats, many at a time."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.search.residual import (
    coding_cost,
    load_unit,
    subtract,
    subtract_mean,
    survey,
)

SHAPES = [(4, 4), (8, 8), (16, 16), (32, 32), (8, 4), (4, 16), (32, 8), (16, 32)]


@pytest.mark.parametrize(("w", "h"), SHAPES)
def test_energies_and_peaks(w, h):
    rng = np.random.default_rng(w)
    residual = rng.integers(-255, 256, (32, 32)).astype(np.float32)
    block = np.zeros(1024, np.float32)
    y, x = 32 - h, 32 - w
    energy = load_unit(residual, y, x, w, h, block)
    part = residual[y:, x:]
    np.testing.assert_array_equal(block[: w * h].reshape(h, w), part)
    assert energy == (part.astype(np.float64) ** 2).sum()
    peaks = np.full(64, 7, np.float32)
    assert survey(block, w, h, peaks) == pytest.approx(energy, rel=1e-6)
    expected = abs(part).reshape(h // 4, 4, w // 4, 4).max((1, 3)).ravel()
    np.testing.assert_array_equal(peaks[: expected.size], expected)
    assert (peaks[expected.size :] == 7).all()


def test_coding_cost():
    rng = np.random.default_rng(1)
    values = (2 * rng.standard_normal(1024)).astype(np.float32)
    for count in (16, 64, 1024):
        part = values[:count].astype(np.float64)
        coded = 0.08 + 0.085 * (1.6 + 2.6 * np.sqrt(abs(part)))
        expected = np.minimum(part**2, coded).sum()
        assert coding_cost(values, count, 0.085) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(("w", "h"), [*SHAPES, (8, 32)])
def test_differences(w, h, kind):
    rng = np.random.default_rng(h)
    current, first, second = rng.integers(0, np.iinfo(kind).max + 1, (3, 40, 48)).astype(kind)
    out = np.full((32, 32), 0.5, np.float32)
    subtract(current, 2 * 48 + 3, 48, first, 5, 48, w, h, out, 0)
    expected = np.full((32, 32), 0.5)
    wanted = current[2 : 2 + h, 3 : 3 + w].astype(float)
    expected[:h, :w] = wanted - first[:h, 5 : 5 + w]
    np.testing.assert_array_equal(out, expected)
    if w > 4:
        subtract_mean(current, 2 * 48 + 3, 48, first, 5, second, 48, 48, w, h, out, 0)
        both = first[:h, 5 : 5 + w].astype(int) + second[1 : 1 + h, :w]
        expected[:h, :w] = wanted - ((both + 1) >> 1)
        np.testing.assert_array_equal(out, expected)
