"""From what a pass over a source has measured to the plan of the next one.

Takes the groups of a pass with their crf and bytes. Gives one crf for all groups, at which they
have the bytes wanted, higher only around windows of time that would be above a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.encode.control.steering import HALVING, Measured, Plan
from nvcodec.options import CRF_RANGE

WINDOW_SECONDS = 2.0
"""The time over which `max_bitrate` bounds the bytes."""

_SLOPE = 2.0
"""Most change of crf in a second around a window that is bounded; more would be seen."""

_HALVING_RANGE = 3.0, 12.0
_APART = 0.7
"""Passes whose crf is so far apart show how much crf halves the bytes."""

_SWITCH = 2.0
"""Most difference of crf of passes between which a file may switch."""

_STEPS = 30
"""Bisections of the range of crf; rounds of raising crf where windows are above the bound."""

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """A bound on the bytes of the groups that begin within any WINDOW_SECONDS.

    Attributes:
        bytes: the most bytes, of substreams and what the container adds.
        container_bytes: what the container adds for each group.

    """

    bytes: float
    container_bytes: float


def windows(starts: Reals, seconds: float) -> npt.NDArray[np.int64]:
    """For each group, the first later one that begins at least `seconds` after it."""
    # Times are sums of fractions of a second: a frame more or less would make a difference.
    return np.searchsorted(starts, starts + seconds - 1e-6)


def window_bytes(starts: Reals, sizes: Reals) -> Reals:
    """For each group, the bytes of the groups that begin within WINDOW_SECONDS from its start."""
    sums = np.concatenate([[0.0], np.cumsum(sizes)])
    taken: Reals = sums[windows(starts, WINDOW_SECONDS)] - sums[:-1]
    return taken


def halving_of(passes: Sequence[Sequence[Measured]]) -> float:
    """How much crf halves the bytes, by the newest two passes that are far enough apart."""
    means = [mean_crf(groups) for groups in passes]
    totals = [sum(group.bytes for group in groups) for groups in passes]
    for k in range(len(passes) - 2, -1, -1):
        change = means[-1] - means[k]
        if abs(change) >= _APART and totals[k] != totals[-1]:
            found = change / np.log2(totals[k] / totals[-1])
            least, most = _HALVING_RANGE
            return float(min(most, max(least, found)))
    return HALVING


def mean_crf(groups: Sequence[Measured]) -> float:
    """The mean crf, by bytes."""
    total = sum(group.bytes for group in groups)
    return sum(group.crf * group.bytes for group in groups) / max(1, total)


def make_plan(
    groups: Sequence[Measured],
    halving: float,
    *,
    total: float | None = None,
    crf: float | None = None,
    bound: Bound | None = None,
) -> Plan:
    """The plan for a pass over the same groups.

    Args:
        groups: what a pass has measured.
        halving: how much crf halves the bytes.
        total: bytes of all substreams; None where `crf` is given.
        crf: of all groups; None where `total` is given.
        bound: on the bytes in any window of time.

    """
    sizes, crfs, seconds = (
        np.array([getattr(group, name) for group in groups], np.float64)
        for name in ("bytes", "crf", "seconds")
    )
    starts = np.concatenate([[0.0], np.cumsum(seconds)[:-1]])
    ends = windows(starts, WINDOW_SECONDS)

    def expected(planned: Reals) -> Reals:
        scaled: Reals = sizes * 2 ** ((crfs - planned) / halving)
        return scaled

    def planned(base: float) -> Reals:
        found = np.full(len(groups), base)
        for _ in range(_STEPS if bound is not None else 0):
            assert bound is not None
            taken = window_bytes(starts, expected(found) + bound.container_bytes)
            over = np.log2(np.maximum(taken / bound.bytes, 1e-9))
            if over.max() <= 1e-3:
                break
            higher = np.zeros(len(groups))
            for k in np.flatnonzero(over > 0):
                part = slice(k, ends[k])
                higher[part] = np.maximum(higher[part], halving * over[k])
            found = np.minimum(_sloped(found + higher, seconds), CRF_RANGE[1])
        return found

    if crf is None:
        assert total is not None
        low, high = map(float, CRF_RANGE)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            if expected(planned(middle)).sum() > total:
                low = middle
            else:
                high = middle
        crf = high
    found = planned(crf)
    return Plan(
        tuple(map(float, found)),
        tuple(map(bool, found > crf + 1e-6)),
        tuple(map(float, expected(found))),
        total,
        halving,
    )


def between(above: Sequence[Measured], below: Sequence[Measured], total: float) -> Plan | None:
    """The plan that begins as one pass and ends as another; None where their crf is far apart.

    For pictures whose bytes do not change little by little with crf. `above` took more than `total`
    bytes, `below` less.
    """
    apart = max(abs(a.crf - b.crf) for a, b in zip(above, below, strict=False))
    if len(above) != len(below) or apart > _SWITCH:
        return None
    left, switch = total - sum(group.bytes for group in below), 0
    for a, b in zip(above, below, strict=True):
        left -= a.bytes - b.bytes
        if left < 0:
            break
        switch += 1
    groups = [*above[:switch], *below[switch:]]
    return Plan(
        tuple(group.crf for group in groups),
        (False,) * len(groups),
        tuple(float(group.bytes) for group in groups),
        None,
        HALVING,
    )


def _sloped(crfs: Reals, seconds: Reals) -> Reals:
    """The least crfs, none below these, that change by at most _SLOPE in a second."""
    found = crfs.copy()
    for k in range(1, len(found)):
        found[k] = max(found[k], found[k - 1] - _SLOPE * seconds[k])
    for k in range(len(found) - 2, -1, -1):
        found[k] = max(found[k], found[k + 1] - _SLOPE * seconds[k])
    return found
