"""How fast jobs are: takes when they start and end, and how far they are; says which are late.

Times are in seconds of one clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nvcodec.encode.segments.segment import Segment

LATE = 1.5
"""A job that takes so many times as long as usual for its frames is late."""

LEAST_LATE_SECONDS = 5.0

LEFT = 1.2
"""A job is late if what is left of it would take so many times as long as usual for all of it."""

WATCHED = 0.1
"""Share of a job's usual time for which its speed is watched before that is said."""


@dataclass
class _Watch:
    """How far a job was when it was first looked at, and when that changed last."""

    first_time: float
    first_frames: float
    time: float
    frames: float


class Pace:
    """The times of the jobs of one encode."""

    def __init__(self) -> None:
        self._started: dict[Segment, float] = {}
        self._watched: dict[Segment, _Watch] = {}
        self._frames = 0
        self._seconds = 0.0

    def __contains__(self, segment: Segment) -> bool:
        """Whether a job of the segment runs."""
        return segment in self._started

    def start(self, segment: Segment, now: float) -> None:
        """A job starts, the first of its segment or after a failure."""
        self._started[segment] = now
        self._watched.pop(segment, None)

    def end(self, segment: Segment, now: float) -> None:
        """A segment is coded."""
        self._frames += segment.frames
        self._seconds += now - self._started.pop(segment)
        self._watched.pop(segment, None)

    def late(self, frames_done: Mapping[Segment, float], now: float) -> list[Segment]:
        """Those of some segments that are late, the one with most left first.

        `frames_done` says how many frames of each are done, as far as is known. Called again and
        again: speeds are those since the first call.
        """
        if not self._frames:
            return []
        left = {}
        for segment, frames in frames_done.items():
            usual = self._seconds / self._frames * segment.frames
            expected = self._left(segment, frames, usual, now)
            taken = now - self._started[segment]
            slow = expected > LEFT * usual or taken > LATE * usual
            if slow and taken > LEAST_LATE_SECONDS:
                left[segment] = expected
        return sorted(left, key=lambda segment: -left[segment])

    def _left(self, segment: Segment, frames: float, usual: float, now: float) -> float:
        """Seconds that a job still needs, by its own speed; by what is usual if that is unknown."""
        watch = self._watched.get(segment)
        if watch is None:
            if frames:
                self._watched[segment] = _Watch(now, frames, now, frames)
            return usual
        if frames > watch.frames:
            watch.time, watch.frames = now, frames
        seconds, done = watch.time - watch.first_time, watch.frames - watch.first_frames
        if not done or seconds < WATCHED * usual:
            return usual
        return (segment.frames - frames) * seconds / done
