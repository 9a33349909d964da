"""Frame rates: those of the times, whatever the container states."""

from fractions import Fraction

import pytest

from nvcodec.media.frame_rate import frame_rate

from .clips import encode, noise, read

MS = Fraction(1, 1000)


def rounded(rate, count, jitter=()):
    jitter = jitter or [0]
    return [round(k * 1000 / rate) + jitter[k % len(jitter)] for k in range(count)]


@pytest.mark.parametrize("stated", [(Fraction(1000),), (Fraction(60), Fraction(1000)), (None,)])
@pytest.mark.parametrize("rate", [Fraction(30), Fraction(24), Fraction(60000, 1001), Fraction(18)])
def test_even_times_have_their_rate(rate, stated):
    assert frame_rate(rounded(rate, 64), MS, stated, None) == pytest.approx(rate, rel=1e-4)


def test_jitter_of_two_ticks_is_even():
    times = rounded(30, 12, [0, 2, -1, 2, -2, 2])
    assert frame_rate(times, MS, [Fraction(1000)], None) == pytest.approx(30, rel=0.01)


def test_a_stated_rate_that_fits_is_kept():
    rate = Fraction(30000, 1001)
    assert frame_rate(rounded(rate, 12), MS, [Fraction(90), rate], None) == rate


def test_a_gap_leaves_the_stated_rate():
    times = [40 * k + (1000 if k > 20 else 0) for k in range(60)]
    assert frame_rate(times, MS, [Fraction(25)], None) == 25


def test_uneven_times_have_the_mean_rate():
    times = [0, 33, 67, 100, 133, 900, 933, 967, 2500, 2533, 2567, 2600]
    assert frame_rate(times, MS, [Fraction(359, 12)], None) == pytest.approx(11 / 2.6, rel=1e-3)
    assert frame_rate(times, MS, [Fraction(359, 12)], Fraction(7)) == 7


def test_of_a_recorder(tmp_path):
    times = rounded(30, 40)
    clip = encode(
        tmp_path / "a.webm",
        noise(40, 32, 16),
        32,
        16,
        codec="libvpx",
        rate=1000,
        pts=times,
        time_base=MS,
    )
    source, got = read(clip)
    assert source.frame_rate == 30
    assert [p.pts for p in got] == times
    # The container says that each lasts 1 ms; that of the last frame is as wrong.
    assert got[-1].duration == pytest.approx(33, abs=1)
