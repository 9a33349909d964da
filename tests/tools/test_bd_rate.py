import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.lib.bd_rate import Curve, compare

STEPS = st.lists(st.tuples(st.floats(0.05, 5.0), st.floats(0.01, 2.0)), min_size=2, max_size=8)


def curve(steps, low=30.0):
    """Points whose quality and logarithm of the rate grow by steps."""
    points, quality, log = [(1.0, low)], low, 0.0
    for more, bits in steps:
        quality, log = quality + more, log + bits
        points.append((math.exp(log), quality))
    return points


@given(STEPS, st.floats(0.1, 10.0))
def test_a_curve_of_so_many_times_the_bits(steps, factor):
    points = curve(steps)
    found = compare(points, [(rate * factor, quality) for rate, quality in reversed(points)])
    assert found.bd_rate == pytest.approx(100 * (factor - 1), abs=1e-6)
    assert found.ratio == pytest.approx(factor)
    assert (found.low, found.high, found.bound) == (points[0][1], points[-1][1], "")


def test_ten_percent():
    points = [(100, 30.0), (180, 33.0), (400, 36.5), (900, 39.0)]
    assert compare(points, [(1.1 * r, q) for r, q in points]).bd_rate == pytest.approx(10)
    assert compare([(1.1 * r, q) for r, q in points], points).bd_rate == pytest.approx(-100 / 11)


@given(STEPS, STEPS, st.floats(29.0, 31.0))
def test_the_other_way_round_is_the_inverse(one, other, low):
    there, back = (
        compare(*pair)
        for pair in ((curve(one), curve(other, low)), (curve(other, low), curve(one)))
    )
    assert there.ratio * back.ratio == pytest.approx(1)
    assert (there.low, there.high) == (back.low, back.high)
    if there.bd_rate is None:
        assert back.bd_rate is None
    else:
        assert (1 + there.bd_rate / 100) * (1 + back.bd_rate / 100) == pytest.approx(1)


def test_straight_lines():
    # Logarithms q and 2 q - 30 over 30..34 and 32..40: the mean of q - 30 over 32..34 is 3.
    anchor = [(math.exp(q), float(q)) for q in (30, 31, 33, 34)]
    test = [(math.exp(2 * q - 30), float(q)) for q in (32, 35, 40)]
    found = compare(anchor, test)
    assert (found.low, found.high) == (32, 34)
    assert found.bd_rate == pytest.approx(100 * math.expm1(3))
    assert found.ratio == pytest.approx(math.exp(4))


def test_a_cubic_piece_by_hand():
    # Secants 1 and 3 with unit steps: the slopes are 0, 1.5 and 4.
    line = Curve([(math.exp(0), 0.0), (math.exp(1), 1.0), (math.exp(4), 2.0)])
    middle = 0.5 + (0.0 - 1.5) / 8
    assert line.log_rate(0.5) == pytest.approx(middle)
    assert line.log_rate(1.5) == pytest.approx(2.5 + (1.5 - 4.0) / 8)


@given(STEPS, st.floats(0, 1), st.floats(0, 1))
def test_interpolation_is_monotone_and_meets_the_points(steps, a, b):
    points = curve(steps)
    line = Curve(points)
    for rate, quality in points:
        assert line.log_rate(quality) == pytest.approx(math.log(rate), abs=1e-9)
    low, high = (line.low + share * (line.high - line.low) for share in sorted((a, b)))
    assert line.log_rate(low) <= line.log_rate(min(high, line.high)) + 1e-9


def test_no_overlap():
    ours, theirs = [(800, 28.0), (1600, 30.0)], [(100, 31.0), (200, 34.0)]
    found = compare(theirs, ours)
    assert (found.low, found.high, found.bd_rate) == (None, None, None)
    assert (found.bound, found.quality, found.anchor_quality) == ("at least", 30.0, 31.0)
    assert found.ratio == pytest.approx(16)
    found = compare(ours, theirs)
    assert (found.bound, found.quality, found.anchor_quality) == ("at most", 31.0, 30.0)
    assert found.ratio == pytest.approx(1 / 16)


def test_a_single_point_has_a_ratio_only():
    found = compare([(100, 30.0), (400, 32.0)], [(1000, 31.0)])
    assert found.bd_rate is None
    assert (found.low, found.high) == (31.0, 31.0)
    assert found.ratio == pytest.approx(5)


def test_points_that_others_beat_do_not_count():
    points = [(100, 30.0), (200, 33.0), (400, 36.0)]
    worse = [(150, 29.0), (250, 33.0), (450, 35.0), (500, math.inf)]
    line = Curve(points + worse)
    assert list(line.qualities) == [30.0, 33.0, 36.0]


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="finite"):
        compare([(100, math.inf)], [(100, 30.0)])
    with pytest.raises(ValueError, match=r"30\.5"):
        Curve([(100, 31.0), (200, 33.0)]).log_rate(30.5)
