"""Short runs of pictures of a source, evenly spread over it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from nvcodec.picture import Picture

_MOST = 8
"""Most runs. Long sources give more than half as many."""

_SAMPLE_BYTES = 1 << 30
"""Memory for the pictures of runs; above it there are fewer, but two."""

_FEWEST = 2


@dataclass(frozen=True)
class Samples:
    """Runs of pictures of a source.

    Attributes:
        runs: pictures that follow each other; one run of all pictures of a short source.
        frames: pictures of the whole source.
        ticks: how long these are shown.

    """

    runs: list[list[Picture]]
    frames: int
    ticks: int

    @property
    def whole(self) -> bool:
        """Whether they are the whole source."""
        return sum(map(len, self.runs)) == self.frames

    def at_most(self, share: float) -> Samples:
        """Fewer runs, of this share of the source or less; two of them are always left."""
        runs = self.runs
        while len(runs) > _FEWEST and sum(map(len, runs)) > share * self.frames:
            runs = runs[::2]
        return Samples(runs, self.frames, self.ticks)


def sample(pictures: Iterable[Picture], length: int) -> Samples:
    """Runs of `length` pictures at even distances, of a source whose length is not known."""
    runs: dict[int, list[Picture]] = {}
    every, most, frames, ticks = 1, _MOST, 0, 0
    for picture in pictures:
        if not frames:
            held = sum(plane.nbytes for plane in picture.planes) * length
            most = max(_FEWEST, min(most, _SAMPLE_BYTES // held))
        run = frames // length
        frames += 1
        ticks += picture.duration
        if not run % every and run not in runs and len(runs) == most:
            every *= 2
            runs = {k: kept for k, kept in runs.items() if k % every == 0}
        if not run % every:
            runs.setdefault(run, []).append(picture)
    found = list(runs.values())
    # A last run that was cut short weighs too little to be coded for itself.
    if len(found) > _FEWEST and len(found[-1]) < length // 2 and every > 1:
        found.pop()
    return Samples(found, frames, ticks)


def joined(samples: Samples) -> Samples:
    """The same; a whole source as a single run."""
    if not samples.whole:
        return samples
    return Samples([list(chain(*samples.runs))], samples.frames, samples.ticks)
