"""Which jobs are late: by the time that they take, and by their speed."""

import pytest

from nvcodec.encode.segments.pace import Pace
from nvcodec.encode.segments.segment import Segment


def made(number, frames):
    times = tuple(range(frames + 1))
    return Segment(number, number, (frames,), times, (0,) * frames)


SLOW, OTHER = made(1, 100), made(2, 100)


@pytest.fixture
def pace():
    """One job has ended, at a second for each frame; two of 100 frames start at 1000."""
    pace = Pace()
    first = made(0, 50)
    pace.start(first, 0)
    pace.end(first, 50)
    pace.start(SLOW, 1000)
    pace.start(OTHER, 1000)
    return pace


def test_nothing_is_late_before_anything_has_ended():
    pace = Pace()
    pace.start(SLOW, 0)
    assert pace.late({SLOW: 0.0}, 1e6) == []


def test_a_job_that_says_nothing_is_late_after_half_as_long_again(pace):
    assert pace.late({SLOW: 0.0, OTHER: 0.0}, 1149) == []
    assert pace.late({SLOW: 0.0}, 1151) == [SLOW]
    pace.start(SLOW, 1151)
    assert pace.late({SLOW: 0.0}, 1152) == []


def test_a_slow_job_is_known_by_its_speed(pace):
    """It begins late, as the other does: that says nothing."""
    assert pace.late({SLOW: 1.0, OTHER: 1.0}, 1030) == []
    assert pace.late({SLOW: 3.0, OTHER: 9.0}, 1038) == []
    # Of both, 100 frames take 100 s; the one advances by a frame in 3 s.
    assert pace.late({SLOW: 5.0, OTHER: 13.0}, 1042) == [SLOW]


def test_a_job_that_advances_in_steps_is_not_late_between_them(pace):
    for now in range(1020, 1101):
        assert pace.late({SLOW: (now - 1000) // 20 * 20.0}, now) == []


def test_the_one_with_most_left_comes_first(pace):
    pace.late({SLOW: 1.0, OTHER: 1.0}, 1030)
    assert pace.late({OTHER: 6.0, SLOW: 3.0}, 1050) == [SLOW, OTHER]


def test_what_has_ended_runs_no_more(pace):
    assert SLOW in pace
    pace.end(SLOW, 1100)
    assert SLOW not in pace
