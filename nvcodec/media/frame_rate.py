"""The frame rate of a video: takes the times of its first pictures, gives frames per second.

A rate that a container states may be a guess: recorders write 1000, and muxers twice the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final

_COMMON: Final = tuple(
    Fraction(rate) * scale
    for rate in (30, 25, 24, 60, 50, 15, 120, 48, 10, 12, 100, 90, 20, 5, 240)
    for scale in (Fraction(1), Fraction(1000, 1001))
)

_FEWEST: Final = 3
"""Times that say something about a rate."""

_TICKS: Final = Fraction(5, 2)
"""Ticks that even times may be off: 2, and what rounding adds."""

_CLOSE: Final = Fraction(1, 100)

_MOST: Final = Fraction(9, 10)
"""Part of the intervals that make a rate, though some times lie apart: gaps, a first frame."""


def frame_rate(
    times: Sequence[int],
    time_base: Fraction,
    stated: Iterable[Fraction | None],
    mean: Fraction | None,
) -> Fraction | None:
    """Frames per second: of even times their rate, of others the mean rate.

    Args:
        times: presentation times of consecutive pictures, increasing, in ticks.
        time_base: seconds per tick.
        stated: rates that the container states, the more likely ones first. The first of them is
            the result where there are too few times.
        mean: mean rate of the whole video, None when unknown: then that of `times` counts.

    """
    rates = [rate for rate in stated if rate]
    if len(times) < _FEWEST:
        return mean or (rates[0] if rates else None)
    interval = Fraction(times[-1] - times[0], len(times) - 1)
    measured = 1 / (interval * time_base)
    off = min(_TICKS, interval / 4)
    near = [rate for rate in (*rates, *_COMMON) if abs(rate - measured) <= _CLOSE * measured]
    fitting = [
        (spread, rate)
        for rate in near
        if (spread := _spread(times, 1 / (rate * time_base))) <= 2 * off
    ]
    if fitting:
        # A spread of a tick is rounding.
        exact = [rate for spread, rate in fitting if spread <= 1]
        return exact[0] if exact else min(fitting, key=lambda pair: pair[0])[1]
    if _spread(times, interval) > 2 * off:
        measured = mean or measured
        for rate in rates:
            if abs(rate - measured) <= _CLOSE * measured or _mostly(times, 1 / (rate * time_base)):
                return rate
    return _plain(measured)


def _mostly(times: Sequence[int], interval: Fraction) -> bool:
    """Whether all but a few times follow each other in that interval."""
    off = min(_TICKS, interval / 4)
    even = sum(abs(late - early - interval) <= off for early, late in pairwise(times))
    return even >= _MOST * (len(times) - 1)


def _spread(times: Sequence[int], interval: Fraction) -> Fraction:
    """How far times lie from an even row of them, both sides together, in ticks."""
    off = [time - interval * k for k, time in enumerate(times)]
    return max(off) - min(off)


def _plain(rate: Fraction) -> Fraction:
    return rate.limit_denominator(1001) or rate
