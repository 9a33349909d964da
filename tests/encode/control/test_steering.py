"""The crf of each group, with groups whose bytes follow a simple law."""

from fractions import Fraction

import numpy as np
import pytest

from nvcodec.encode.control.plan import make_plan
from nvcodec.encode.control.steering import (
    DELAY,
    AverageSteering,
    Measured,
    PlannedSteering,
    Steering,
)
from nvcodec.encode.grouping import PictureGroup
from nvcodec.picture import Picture

TICK = Fraction(1, 25)
GROUP = PictureGroup(tuple(Picture((), k, duration=1) for k in range(16)), key=False)


def run(steering, bytes_at, count, delay):
    """Crf and bytes of `count` groups, of which `delay` are in flight at most."""
    crfs, sizes = [], []
    for k in range(count):
        crfs.append(steering.crf(GROUP))
        sizes.append(bytes_at(k, crfs[-1]))
        if k >= delay:
            steering.coded(sizes[k - delay])
    for size in sizes[count - delay :]:
        steering.coded(size)
    return crfs, sizes


def law(seed=0, halving=6.0, noise=0.2):
    rng = np.random.default_rng(seed)
    wanted = 4000 * np.exp(rng.normal(0, noise, 10000))
    return lambda k, crf: round(wanted[k] * 2 ** ((30 - crf) / halving))


def test_one_crf():
    steering = Steering(30.25, TICK, whole=False)
    crfs, sizes = run(steering, law(), 5, 2)
    assert crfs == [30.25] * 5
    assert steering.measured == [Measured(30.25, 0.64, size) for size in sizes]
    assert steering.least == 30.25


@pytest.mark.parametrize("crf", [30, 30.5, 30.2, 59.9])
def test_models_of_whole_numbers_take_the_two_beside_it_in_turn(crf):
    crfs, _ = run(Steering(crf, TICK, whole=True), law(), 50, 0)
    assert set(crfs) <= {np.floor(crf), np.ceil(crf)}
    assert np.mean(crfs) == pytest.approx(crf, abs=0.011)
    # Not first the one and then the other.
    assert abs(np.mean(crfs[:10]) - crf) <= 0.1


def planned(total, seed=0):
    groups = [Measured(32.0, 0.64, law(seed)(k, 32.0)) for k in range(30)]
    plan = make_plan(groups, 6.0, total=total)
    return PlannedSteering(plan, TICK, whole=False)


@pytest.mark.parametrize(
    "make", [planned, lambda rate: AverageSteering(32, rate / 10, TICK, whole=False)]
)
def test_a_crf_does_not_depend_on_groups_in_flight(make):
    expected, _ = run(make(60000), law(1), 30, 0)
    for delay in range(1, DELAY):
        assert run(make(60000), law(1), 30, delay)[0] == expected
    assert len(set(expected)) > 5


@pytest.mark.parametrize("scale", [0.9, 1.0, 1.1])
def test_small_changes_make_up_for_what_was_not_planned(scale):
    other = law(0, halving=5.0)
    crfs, sizes = run(planned(100000), lambda k, crf: round(scale * other(k, crf)), 30, 3)
    assert sum(sizes) == pytest.approx(100000, rel=0.02)
    assert np.abs(np.diff(crfs)).max() <= 0.25 + 1e-9


def test_an_average_is_kept_roughly_in_a_single_pass():
    steering = AverageSteering(22, 20000, TICK, whole=False)
    crfs, sizes = run(steering, law(3), 200, 3)
    assert sum(sizes) / (200 * 0.64) == pytest.approx(20000, rel=0.05)
    assert np.abs(np.diff(crfs)).max() <= 1
    assert np.std(crfs[50:]) < 1
