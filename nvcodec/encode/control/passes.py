"""Passes over a source until its file has the size, bitrate or quality that was asked for.

The groups are the same in all passes. The first measures how many bytes each takes. The next ones
code them by a plan that follows from it, until the file is what was asked for.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.control.again import RateError, Rereadable, VideoSource
from nvcodec.encode.control.plan import (
    WINDOW_SECONDS,
    Bound,
    between,
    halving_of,
    make_plan,
    mean_crf,
    window_bytes,
)
from nvcodec.encode.control.steering import (
    Measured,
    Plan,
    PlannedSteering,
    Steering,
)
from nvcodec.encode.models import Segments
from nvcodec.encode.one_pass import OnePass
from nvcodec.encode.result import EncodeResult, Observer, RateResult, Trial
from nvcodec.encode.writing import GroupWriter
from nvcodec.media.notes import Note
from nvcodec.media.source import Source, SourceError
from nvcodec.options import CRF_RANGE, EncodeOptions, model_options

TOLERANCE = 0.02
"""A file may be so far from its size or bitrate."""

_MOST_PASSES = 6

_BELOW = 0.007
"""A pass aims so far below a bound on the size."""

_BOUND_MARGIN = 0.03
"""A pass aims so far below a bound on the bitrate; each pass that misses it adds as much."""


@dataclass(frozen=True)
class _Passed:
    """A pass over the source.

    Attributes:
        file: what it has written.
        measured: its groups, as they are planned.
        unit_seconds, unit_bytes: of the groups that it has written, of which several may be one
            of `measured`.
        failure: what ended it early, after the groups that are there.

    """

    file: BinaryIO
    result: EncodeResult
    writer: GroupWriter
    measured: list[Measured]
    unit_seconds: list[float]
    unit_bytes: list[int]
    failure: BaseException | None

    @property
    def container_bytes(self) -> int:
        """Bytes of the file that no crf changes."""
        return self.result.bytes - sum(group.bytes for group in self.measured)

    def peak(self) -> float:
        """Bits a second of the fullest window, of whole units."""
        starts = np.concatenate([[0.0], np.cumsum(self.unit_seconds)[:-1]])
        taken = window_bytes(starts, np.array(self.unit_bytes, np.float64))
        return float(8 * taken.max() / WINDOW_SECONDS)

    def at_end(self, end: float) -> bool:
        """Whether all groups are at this end of the range of crf."""
        return all(abs(group.crf - end) < 0.6 for group in self.measured)


class _Progress(Observer):
    """Hands on how far a pass has come; its groups are told once it is the one that is kept."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def coding(self, ordinal: int, frames: float, text: str = "") -> None:
        """So many frames of a group are coded."""
        self._observer.coding(ordinal, frames, text)


def encode_in_passes(
    options: EncodeOptions,
    source: Rereadable,
    output: VideoSource,
    crf: float,
    trials: list[Trial],
    observer: Observer,
) -> EncodeResult:
    """Encode in passes; the output is the last of them, or the best.

    `crf` is that of all groups in the first pass, and of groups that no bound raises where neither
    a size nor a bitrate is asked for.

    Raises:
        RateError: the size or bound cannot be kept.
        SourceError, FileExistsError, OSError: as of `encode`.

    """
    goal = _Goal(options, crf)
    with contextlib.ExitStack() as files:
        passes: list[_Passed] = []
        best: _Passed | None = None
        while True:
            passed = _pass(options, source, goal, passes, files, observer)
            passes.append(passed)
            if passed.failure is not None and not isinstance(passed.failure, SourceError):
                best = passed
                break
            if goal.kept(passed) and (best is None or goal.miss(passed) < goal.miss(best)):
                best = passed
            if goal.reached(passed):
                break
            if len(passes) == _MOST_PASSES:
                break
            _tell(passed, len(passes), trials, observer)
        if best is None:
            raise RateError(goal.refusal(passes))
        return _delivered(options, output, goal, best, passes, trials, observer)


class _Goal:
    """What a file must be: its size, its bitrate, the bound on the bitrate in any window."""

    def __init__(self, options: EncodeOptions, crf: float) -> None:
        self._options = options
        self._crf = crf
        self._whole = model_options(options).whole_crf

    def steering(self, opened: Source, passes: list[_Passed]) -> tuple[Steering, float | None]:
        """How the next pass is steered, and the crf that the file says."""
        time_base, whole = opened.time_base, self._whole
        if passes:
            plan = self._plan(passes)
            crf = sum(plan.crfs) / len(plan.crfs)
            return PlannedSteering(plan, time_base, whole=whole), round(crf, 2)
        return Steering(self._crf, time_base, whole=whole), self._crf

    def _plan(self, passes: list[_Passed]) -> Plan:
        """The plan of the next pass."""
        last = passes[-1]
        bound = None
        if self._options.max_bitrate is not None:
            margin = (1 - _BOUND_MARGIN) ** len(passes)
            most = self._options.max_bitrate * WINDOW_SECONDS / 8 * margin
            container = last.container_bytes - last.result.track_bytes
            bound = Bound(most, container / len(last.measured))
        halving = halving_of([passed.measured for passed in passes])
        wanted = self._wanted(last)
        if wanted is None:
            return make_plan(last.measured, halving, crf=self._crf, bound=bound)
        if self._options.size is not None:
            wanted *= (1 - _BELOW) if len(passes) < 3 else (1 - TOLERANCE / 2)
        # Below what the container takes, the pass shows that no crf will do.
        total = max(1.0, wanted - last.container_bytes)
        sizes = {sum(group.bytes for group in passed.measured): passed for passed in passes}
        above = min((size for size in sizes if size > total), default=None)
        below = max((size for size in sizes if size <= total), default=None)
        if above is not None and below is not None and bound is None:
            found = between(sizes[above].measured, sizes[below].measured, total)
            if found is not None:
                return found
        return make_plan(last.measured, halving, total=total, bound=bound)

    def _wanted(self, passed: _Passed) -> float | None:
        """Bytes that the file should have; None if any number will do."""
        if self._options.size is not None:
            return float(self._options.size)
        if self._options.bitrate is not None:
            video = self._options.bitrate * passed.result.video_seconds / 8
            return video + passed.result.track_bytes
        return None

    def miss(self, passed: _Passed) -> float:
        """How far the file is from its size, as a share of it."""
        wanted = self._wanted(passed)
        return abs(passed.result.bytes / wanted - 1) if wanted else 0.0

    def kept(self, passed: _Passed) -> bool:
        """Whether the file is within what must be kept."""
        options = self._options
        if options.size is not None and passed.result.bytes > options.size:
            return False
        return options.max_bitrate is None or passed.peak() <= options.max_bitrate

    def reached(self, passed: _Passed) -> bool:
        """Whether no other pass is needed."""
        if not self.kept(passed):
            return passed.at_end(CRF_RANGE[1])
        if self._wanted(passed) is None:
            return True
        return self.miss(passed) <= TOLERANCE or self.finest(passed)

    def finest(self, passed: _Passed) -> bool:
        """Whether the file is smaller than was asked for, and no crf makes it larger."""
        wanted = self._wanted(passed)
        smaller = wanted is not None and passed.result.bytes < wanted
        return smaller and passed.at_end(CRF_RANGE[0])

    def refusal(self, passes: list[_Passed]) -> str:
        """Why no pass will do."""
        least = min(passes, key=lambda passed: passed.result.bytes)
        at = f"at crf {mean_crf(least.measured):.1f}"
        size = self._options.size
        if size is not None and least.result.bytes > size:
            return f"size {size} is too small: {at} the file takes {least.result.bytes} bytes"
        peak = min(passed.peak() for passed in passes)
        return (
            f"max-bitrate {self._options.max_bitrate:g} cannot be kept:"
            f" {WINDOW_SECONDS:g} seconds of the file take {peak:.0f} bits a second at least"
        )


def _pass(
    options: EncodeOptions,
    source: Rereadable,
    goal: _Goal,
    passes: list[_Passed],
    files: contextlib.ExitStack,
    observer: Observer,
) -> _Passed:
    """Code the whole source into a file of its own."""
    file: BinaryIO = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    with source.opened() as opened:
        steering, crf = goal.steering(opened, passes)
        one = OnePass.of(options, opened, steering, Segments(), _Progress(observer), crf)
        observer.trying(False, len(passes) + 1, opened.frame_count_hint)
        failure: BaseException | None = None
        unit_seconds: list[float] = []

        def timed() -> Generator[CodedGroup, None, None]:
            with contextlib.closing(one.coded()) as coded:
                for group in coded:
                    unit_seconds.append(float(sum(group.group.durations) * opened.time_base))
                    yield group

        try:
            one.writer.write(file, timed())
        except (SourceError, KeyboardInterrupt) as error:
            if not one.writer.finished:
                raise
            failure = error
    units = [group.bytes for group in one.result.groups]
    return _Passed(file, one.result, one.writer, steering.measured, unit_seconds, units, failure)


def _tell(passed: _Passed, number: int, trials: list[Trial], observer: Observer) -> None:
    result = passed.result
    crf = round(mean_crf(passed.measured), 2)
    psnr = result.meter.values().get("psnr")
    quality = None if psnr is None else psnr["all"]
    trials.append(Trial(False, number, crf, result.frames, result.bytes, quality))
    observer.tried(trials[-1])


def _delivered(
    options: EncodeOptions,
    output: VideoSource,
    goal: _Goal,
    kept: _Passed,
    passes: list[_Passed],
    trials: list[Trial],
    observer: Observer,
) -> EncodeResult:
    """Write the file of a pass to the output, and tell of its groups."""
    result = kept.result
    peak = kept.peak() if options.max_bitrate is not None else None
    crfs = [group.crf for group in kept.measured]
    result.rate = RateResult(options.goals, len(passes), crfs, trials, peak)
    miss = goal.miss(kept)
    if miss > TOLERANCE and kept.failure is None:
        why = (
            "no better quality is possible"
            if goal.finest(kept)
            else f"{len(passes)} passes came no nearer"
        )
        result.notes.append(Note(f"the file is {miss:.1%} away from what was asked for: {why}"))
    observer.started(result, result.frames)
    with kept.writer.opened(output, options.overwrite) as file:
        for group in result.groups:
            observer.encoded(group)
        kept.file.seek(0)
        shutil.copyfileobj(kept.file, file)
    if kept.failure is not None:
        raise kept.failure
    return result
