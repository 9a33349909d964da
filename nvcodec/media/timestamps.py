"""Timestamps: those of a container to those that a bitstream can have."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from av.video.frame import VideoFrame

_MAX_DURATION: Final = 2**32 - 1


class CodingTimes:
    """Presentation times where a container has decoding times only, as AVI does.

    A picture leaves the decoder once for each packet that enters it, so pictures in display order
    have the times of packets in decoding order.

    Args:
        step: ticks from picture to picture, used at the end, where no packet enters.

    """

    def __init__(self, step: int) -> None:
        self._step = step
        self._delay: int | None = None
        self._last: int | None = None

    def time(self, frame: VideoFrame, first: int) -> int:
        """Time in ticks of the next frame; `first` is the decoding time of the first packet."""
        if self._delay is None:
            self._delay = 0 if frame.dts is None else frame.dts - first
        if frame.dts is not None:
            self._last = frame.dts - self._delay
        else:
            self._last = first if self._last is None else self._last + self._step
        return self._last


class Clock:
    """Turns the timestamps of frames into ones that increase by 1 .. 2**32 - 1 ticks.

    Args:
        time_base: seconds per tick.
        frame_rate: frames per second, used to repair timestamps; None for 25.

    Attributes:
        repaired: whether any timestamp so far was repaired.

    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None) -> None:
        self._time_base = time_base
        self._step = 1 / (time_base * (frame_rate or 25))
        self._last: int | None = None
        self._gap = 0
        self._least = _MAX_DURATION
        self._own_duration = 0
        self._trusted = True
        # Repaired times are counted from the last good one, so that rounding errors do not add up.
        self._good = 0
        self._since_good = 0
        self.repaired = False

    def _ticks(self, value: int, frame: VideoFrame) -> int:
        if frame.time_base in (None, self._time_base):
            return value
        return round(value * frame.time_base / self._time_base)

    def stamp(self, frame: VideoFrame) -> int:
        """Presentation time of the next frame, in ticks."""
        declared = None if frame.pts is None else self._ticks(frame.pts, frame)
        before = self._own_duration
        self._own_duration = self._ticks(frame.duration or 0, frame)
        last = self._last
        if declared is not None and (last is None or 0 < declared - last <= _MAX_DURATION):
            pts = self._good = declared
            self._since_good = 0
        else:
            self.repaired = True
            if last is None:
                pts = 0
            else:
                self._since_good += 1
                expected = self._good + round(self._since_good * self._step)
                pts = min(max(expected, last + 1), last + _MAX_DURATION)
        if last is not None:
            self._gap = pts - last
            self._least = min(self._least, self._gap)
            # Where containers state no durations, FFmpeg takes those of a guessed rate.
            self._trusted = before * 2 >= self._gap
        self._last = pts
        return pts

    def last_duration(self, ends: Iterable[Fraction] = ()) -> int:
        """Duration in ticks of the last stamped frame, if no frame follows.

        `ends` are times in seconds at which the source says that it ends.
        """
        own = self._own_duration
        if own <= 0 or not self._trusted:
            lefts = [round(end / self._time_base) - (self._last or 0) for end in ends]
            longest = max(own, self._gap)
            stated = [left for left in lefts if self._least <= left * 2 <= longest * 2]
            own = stated[0] if stated else 0
        ticks = own if own > 0 else self._gap or round(self._step)
        return min(max(ticks, 1), _MAX_DURATION)
