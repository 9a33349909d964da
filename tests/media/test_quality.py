import math

import numpy as np
import pytest

from nvcodec.media.quality import PsnrMeter

from .clips import noise


def test_identical_is_infinite():
    meter = PsnrMeter(255)
    (planes,) = noise(1, 9, 7)
    meter.add(planes, planes)
    assert meter.y == meter.u == meter.v == meter.all == math.inf


@pytest.mark.parametrize(("dtype", "peak"), [(np.uint8, 255), (np.uint16, 65535)])
def test_against_the_definition(dtype, peak):
    rng = np.random.default_rng(3)
    shapes = ((6, 8), (3, 4), (3, 4))
    pairs = [
        [[rng.integers(0, peak, s, dtype, endpoint=True) for s in shapes] for _ in range(2)]
        for _ in range(3)
    ]
    meter = PsnrMeter(peak)
    for reference, planes in pairs:
        meter.add(reference, planes)
    every = []
    for index, value in enumerate((meter.y, meter.u, meter.v)):
        errors = np.concatenate([(r[index].astype(float) - p[index]).ravel() for r, p in pairs])
        assert value == pytest.approx(10 * math.log10(peak**2 / np.mean(errors**2)))
        every.append(errors)
    total = np.mean(np.concatenate(every) ** 2)
    assert meter.all == pytest.approx(10 * math.log10(peak**2 / total))


def test_extreme_difference_is_zero_decibels():
    meter = PsnrMeter(65535)
    shapes = ((4, 4), (2, 2), (2, 2))
    meter.add([np.zeros(s, np.uint16) for s in shapes], [np.full(s, 65535, "u2") for s in shapes])
    assert meter.all == 0.0


def test_misuse():
    meter = PsnrMeter(255)
    with pytest.raises(ValueError, match="no samples"):
        _ = meter.y
    (planes,) = noise(1, 4, 4)
    with pytest.raises(ValueError, match="shape"):
        meter.add(planes, noise(1, 6, 4)[0])
    with pytest.raises(ValueError, match="three"):
        meter.add(planes[:1], planes[:1])
