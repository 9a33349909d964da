"""The clock: increasing times for any timestamps of the container."""

from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvcodec.media.timestamps import Clock


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**40), 2**40), st.integers(0, 50)),
            st.one_of(st.none(), st.integers(-1, 2**40)),
        ),
        min_size=1,
    ),
    st.sampled_from([Fraction(1, 1000), Fraction(1, 25), Fraction(10), Fraction(1, 2**31)]),
    st.sampled_from([None, Fraction(25), Fraction(24000, 1001), Fraction(1, 10**6)]),
)
def test_clock_always_advances(stamps, time_base, rate):
    clock = Clock(time_base, rate)
    times = [
        clock.stamp(SimpleNamespace(pts=pts, duration=duration, time_base=time_base))
        for pts, duration in stamps
    ]
    times.append(times[-1] + clock.last_duration())
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert all(1 <= step < 2**32 for step in steps)


def test_repair_follows_the_frame_rate():
    clock = Clock(Fraction(1, 1000), Fraction(30))
    stamps = [100, None, 90, None, 300]
    times = [
        clock.stamp(SimpleNamespace(pts=pts, duration=0, time_base=Fraction(1, 1000)))
        for pts in stamps
    ]
    assert times == [100, 133, 167, 200, 300]
    assert clock.last_duration() == 100


@pytest.mark.parametrize(
    ("durations", "ends", "last"),
    [
        # Even times, or with own durations: that of the frame.
        ([40, 40, 40], [], 40),
        # Durations are those between times of decoding, or of a rate: the end that is stated.
        ([40, 40, 80], ["0.24"], 40),
        ([40, 40, 40], ["0.24"], 40),
        # An end that leaves far less or more than the other frames have.
        ([1, 1, 1], ["0.201"], 120),
        ([40, 40, 40], ["9"], 120),
    ],
)
def test_the_last_duration(durations, ends, last):
    base = Fraction(1, 1000)
    clock = Clock(base, Fraction(25))
    times = [0, 80, 200] if last != 40 or ends else [0, 40, 80]
    for pts, duration in zip(times, durations, strict=True):
        clock.stamp(SimpleNamespace(pts=pts, duration=duration, time_base=base))
    assert clock.last_duration([Fraction(end) for end in ends]) == last


def test_foreign_time_base_is_rescaled():
    clock = Clock(Fraction(1, 1000), Fraction(25))
    frame = SimpleNamespace(pts=9000, duration=4500, time_base=Fraction(1, 90000))
    assert clock.stamp(frame) == 100
    assert clock.last_duration() == 50
