"""Frames of any times at a constant rate: some come twice, some are left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from nvcodec.decode.frame import Frame


def at_rate(frames: Iterable[Frame], rate: Fraction) -> Iterator[Frame]:
    """Frames for the times 0, 1, 2, … / `rate`, from the first to the end of the last.

    Each time gets the last frame that begins before half an interval after it. There is one frame
    at least, if there is any. `pts` then counts the times, and `index` stays that of the source.

    Args:
        frames: frames in the order of their times.
        rate: frames per second, above 0.

    """
    shown: Frame | None = None
    following = 0
    written = False
    end = Fraction(0)

    def until(time: Fraction, least: int) -> Iterator[Frame]:
        nonlocal following, written
        stop = max(math.floor(time * rate + Fraction(1, 2)), least)
        while shown is not None and following < stop:
            yield replace(shown, pts=following, duration=1, time_base=1 / rate)
            written = True
            following += 1

    for frame in frames:
        if shown is None:
            following = math.floor(frame.time * rate + Fraction(1, 2))
        yield from until(frame.time, following)
        shown = frame
        end = frame.time + frame.duration * frame.time_base
    yield from until(end, following if written else following + 1)
