"""The crf of each group while the groups of a video are coded.

A model asks for the crf of each group, in order, and tells the bytes of each when it is coded. The
crf of a group depends on those that are DELAY groups back at least. So models may have groups in
flight, and the bytes do not depend on how many they have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from nvcodec.encode.grouping import PictureGroup
from nvcodec.options import CRF_RANGE

DELAY = 4
"""Groups between a group and the newest one whose bytes its crf may depend on."""

HALVING = 6.0
"""How much crf halves the bytes, before anything is measured."""

_PRIOR_SECONDS = 4.0
"""The first crf counts like so many seconds of video: most of the first bytes are a key picture's.
"""

_BUFFER_SECONDS = 4.0
"""A single pass makes up for bytes that it is ahead or behind in about this time; the longer it
runs, the longer it takes."""

_AVERAGE_STEP = 1.0
"""Most change of crf from group to group in a single pass."""

_PLAN_STEP = 0.25
"""Most change from group to group of the distance between crf and the plan."""

_PLAN_RANGE = 3.0
"""Most distance between crf and the plan."""

_TRUST = 0.1
"""A plan is corrected as if this share of its bytes had come out as planned."""


def in_range(crf: float) -> float:
    """The crf nearest to this one that an encode may have."""
    least, most = CRF_RANGE
    return min(float(most), max(float(least), crf))


@dataclass(frozen=True)
class Measured:
    """A group that was coded: its crf, the seconds it is shown, bytes of its substreams."""

    crf: float
    seconds: float
    bytes: int


class Steering:
    """Gives the same crf to all groups.

    Args:
        crf: of all groups.
        time_base: seconds per tick of the pictures.
        whole: whether the model takes whole numbers only. Then groups take the two next to what is
            wanted in turn, so that their mean is right.

    Attributes:
        crfs: of the groups so far.

    """

    def __init__(self, crf: float, time_base: Fraction, *, whole: bool) -> None:
        self._crf = in_range(crf)
        self._time_base = time_base
        self._whole = whole
        self._carry = 0.0
        self.crfs: list[float] = []
        self._seconds: list[float] = []
        self._bytes: list[int] = []

    @property
    def least(self) -> float:
        """No group gets a crf below this."""
        return self._crf

    @property
    def measured(self) -> list[Measured]:
        """The groups that have been coded."""
        parts = zip(self.crfs, self._seconds, self._bytes, strict=False)
        return [Measured(*part) for part in parts]

    def crf(self, group: PictureGroup) -> float:
        """The crf of the next group; called once for each, in order."""
        seconds = float(sum(picture.duration for picture in group.pictures) * self._time_base)
        crf = self._rounded(in_range(self._wanted(seconds)))
        self.crfs.append(crf)
        self._seconds.append(seconds)
        return crf

    def go_on_after(self, groups: int) -> None:
        """Give groups what they have where so many came before, all of the same crf."""
        for _ in range(groups):
            self._rounded(self._crf)

    def coded(self, substream_bytes: int) -> None:
        """Take the bytes of the substreams of the next group; called once for each, in order."""
        self._bytes.append(substream_bytes)

    def _wanted(self, seconds: float) -> float:
        """The crf that is best for the next group, which is shown for `seconds`."""
        return self._crf

    def _rounded(self, crf: float) -> float:
        """What the next group has of a crf that is wanted for it."""
        if not self._whole:
            return crf
        wanted = crf + self._carry
        rounded = in_range(float(math.floor(wanted + 0.5)))
        self._carry = min(0.5, max(-0.5, wanted - rounded))
        return rounded

    def _known(self) -> int:
        """How many groups the crf of the next one may depend on."""
        return max(0, len(self.crfs) - DELAY + 1)


class AverageSteering(Steering):
    """Aims at a bitrate in a single pass.

    The crf is the one at which the groups so far would have had the bitrate, a little more or less
    where they took more or less than that.

    Args:
        crf: about what the first groups need.
        rate: bytes a second of substreams.
        time_base, whole: as of Steering.

    """

    def __init__(self, crf: float, rate: float, time_base: Fraction, *, whole: bool) -> None:
        super().__init__(crf, time_base, whole=whole)
        self._rate = rate

    @property
    def least(self) -> float:
        """No group gets a crf below this."""
        return float(CRF_RANGE[0])

    def _wanted(self, seconds: float) -> float:
        known = self._known()
        if not known:
            return self._crf
        rate, crfs, times = self._rate, self.crfs, self._seconds
        # Bytes at crf 0 in the model: what all groups have in common.
        complexity = sum(
            size * 2 ** (crf / HALVING)
            for size, crf in zip(self._bytes[:known], crfs[:known], strict=True)
        )
        complexity += rate * _PRIOR_SECONDS * 2 ** (self._crf / HALVING)
        complexity /= sum(times[:known]) + _PRIOR_SECONDS
        spent = sum(self._bytes[:known]) + sum(
            complexity * time * 2 ** (-crf / HALVING)
            for time, crf in zip(times[known:], crfs[known:], strict=True)
        )
        passed = sum(times)
        buffer = rate * _BUFFER_SECONDS * max(1.0, math.sqrt(passed))
        ahead = min(2.0, max(0.5, 1 + (spent - rate * passed) / buffer))
        wanted = HALVING * math.log2(complexity / rate * ahead)
        return min(crfs[-1] + _AVERAGE_STEP, max(crfs[-1] - _AVERAGE_STEP, wanted))


@dataclass(frozen=True)
class Plan:
    """What groups are to be coded with, and what they are expected to take.

    Attributes:
        crfs: of each group.
        capped: which of them are as low as a bound on the bitrate allows.
        bytes: expected bytes of the substreams of each group.
        total: bytes of all substreams to aim at; None to keep to `crfs`.
        halving: how much crf halves the bytes.

    """

    crfs: Sequence[float]
    capped: Sequence[bool]
    bytes: Sequence[float]
    total: float | None
    halving: float


class PlannedSteering(Steering):
    """Follows a plan; small changes of crf make up for bytes that were not as planned."""

    def __init__(self, plan: Plan, time_base: Fraction, *, whole: bool) -> None:
        super().__init__(plan.crfs[0], time_base, whole=whole)
        self._plan = plan
        self._distance = 0.0

    @property
    def least(self) -> float:
        """No group gets a crf below this."""
        # A model of whole numbers may round down.
        return in_range(min(self._plan.crfs) - _PLAN_RANGE - 1)

    def _wanted(self, seconds: float) -> float:
        plan, number = self._plan, len(self.crfs)
        if number >= len(plan.crfs):
            return self.crfs[-1]
        self._distance = self._corrected(number)
        distance = max(0.0, self._distance) if plan.capped[number] else self._distance
        return plan.crfs[number] + distance

    def _corrected(self, number: int) -> float:
        """The distance to the plan that leaves the right bytes for group `number` and later."""
        plan, known = self._plan, self._known()
        if plan.total is None or not known:
            return self._distance

        def expected(first: int, end: int) -> float:
            """Bytes of groups that have their crf already."""
            return sum(
                plan.bytes[k] * 2 ** ((plan.crfs[k] - self.crfs[k]) / plan.halving)
                for k in range(first, end)
            )

        spent = sum(self._bytes[:known])
        trust = _TRUST * sum(plan.bytes)
        ratio = (spent + trust) / (expected(0, known) + trust)
        left = plan.total - spent - ratio * expected(known, number)
        needed = ratio * sum(plan.bytes[number:])
        wanted = plan.halving * math.log2(needed / max(left, needed / 16))
        before = self._distance
        wanted = min(before + _PLAN_STEP, max(before - _PLAN_STEP, wanted))
        return min(_PLAN_RANGE, max(-_PLAN_RANGE, wanted))
