"""Frames at a constant rate."""

from fractions import Fraction

import numpy as np
import pytest

from nvcodec.decode.frame import Frame
from nvcodec.decode.frame_rate import at_rate
from nvcodec.media.colour import Colour
from nvcodec.picture import SampleFormat

GREY = Colour(SampleFormat(8, 0), 1)


def frames(durations, first=0, time_base=Fraction(1, 100)):
    pts = first
    for index, duration in enumerate(durations):
        yield Frame(index, pts, duration, time_base, (np.zeros((1, 1), np.uint8),), GREY)
        pts += duration


def indices(durations, rate, first=0):
    return [frame.index for frame in at_rate(frames(durations, first), Fraction(rate))]


@pytest.mark.parametrize(
    ("durations", "rate", "expected"),
    [
        ([4, 4, 4], 25, [0, 1, 2]),
        ([4, 4, 4], 50, [0, 0, 1, 1, 2, 2]),
        ([2, 2, 2, 2], 25, [0, 2]),
        # A long frame is repeated, the last one too.
        ([4, 12, 4, 8], 25, [0, 1, 1, 1, 2, 3, 3]),
        # Jitter of less than half a frame does not show.
        ([3, 5, 4, 3, 5], 25, [0, 1, 2, 3, 4]),
        ([1], 25, [0]),
        ([1, 1], 25, [1]),
        ([], 25, []),
    ],
)
def test_frames_are_repeated_and_left_out(durations, rate, expected):
    assert indices(durations, rate) == expected


def test_times_count_in_the_new_rate():
    got = list(at_rate(frames([10, 10], first=40), Fraction(30000, 1001)))
    assert {frame.time_base for frame in got} == {Fraction(1001, 30000)}
    assert {frame.duration for frame in got} == {1}
    pts = [frame.pts for frame in got]
    assert pts == list(range(12, 18))
    # No frame is further from its time than half an interval.
    for frame in got:
        begins = Fraction(40 + 10 * frame.index, 100)
        half = frame.time_base / 2
        assert begins - half <= frame.time <= begins + Fraction(10, 100) + half


def test_frames_before_zero():
    assert [f.pts for f in at_rate(frames([4, 4], first=-4), Fraction(25))] == [-1, 0]
