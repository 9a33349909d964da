"""Segments (closed GOPs) as jobs: takes segments and an engine, gives their groups in file order.

A job opens the source itself and gives the bytes of its segment. So it can run in any process, on
any machine that has the source, and can be repeated after a failure. It is skipped if the store has
its segment already.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.segments.pace import Pace
from nvcodec.encode.segments.segment import (
    OtherPicturesError,
    Report,
    Segment,
    SegmentCoding,
    groups_of,
)
from nvcodec.encode.segments.store import PackedSegment, SegmentStore
from nvcodec.format import Header, NrvError
from nvcodec.media.remote import is_remote, remote_identity
from nvcodec.media.source import SourceError, open_source
from nvcodec.model.description import Shape
from nvcodec.options import Reading
from nvcodec.picture import Planes

_ATTEMPTS = 4

MOST_WAITING = 8
"""For each job that can run, most segments that wait for it: with many, the plan is complete long
before the end, where the longest go first."""

MOST_AHEAD = 16
"""For each job that can run, most segments that have been planned and not been written: those
after one that takes long wait for it in the store."""


class JobsError(ValueError):
    """The source or output does not allow several jobs, or resuming."""


class ClusterError(RuntimeError):
    """There is no cluster of workers that could run jobs, or not any more."""


class SegmentError(RuntimeError):
    """A segment could not be encoded: in several attempts, or as its source is not there."""


# Errors that another attempt would only repeat, after the coding of a whole segment.
_FINAL = (NrvError, OSError, ClusterError)


@dataclass(frozen=True)
class Job:
    """All inputs of the encode of one segment; can be pickled.

    `skip`, `frames` and `reading` are those of the whole encode; `device` is "cpu" or "cuda"
    (nvcodec.device).
    """

    source: str
    skip: int
    frames: int | None
    reading: Reading
    segment: Segment
    coding: SegmentCoding
    shape: Shape
    header: Header
    device: str

    def run(self, report: Report, threads: int | None = None) -> PackedSegment:
        """Encode the segment; `threads` is for a coding that gives no number of them.

        Raises SourceError if the source cannot be read, or has other pictures than before.
        """
        # Seeking is not exact in all sources: each picture is compared with that of the plan.
        if self.segment.first_frame:
            try:
                return self._coded(report, threads, seeking=True)
            except (OtherPicturesError, SourceError):
                pass
        try:
            return self._coded(report, threads, seeking=False)
        except OtherPicturesError:
            raise SourceError(
                f"cannot read {self.source}: it is not what it was when the encode began"
            ) from None

    def _coded(self, report: Report, threads: int | None, *, seeking: bool) -> PackedSegment:
        with open_source(
            self.source,
            skip=self.skip,
            frames=self.frames,
            reading=self.reading,
            sample_formats=(self.header.sample_format,),
        ) as source:
            planes: Iterator[Planes]
            if seeking:
                planes = source.planes_from(self.segment.times[0])
            else:
                rest = islice(source, self.segment.first_frame, None)
                planes = (picture.planes for picture in rest)
            groups = groups_of(self.segment, planes)
            code = self.coding.code(self.segment, groups, self.header, report, threads)
            coded = list(code)
        return PackedSegment.of(self.header, self.shape, coded)


@dataclass(frozen=True)
class Ended:
    """A job is over: with its segment, or the `error` that says why not."""

    segment: Segment
    result: PackedSegment | None = None
    error: BaseException | None = None


class Engine(Protocol):
    """Runs jobs, `capacity` at a time."""

    @property
    def capacity(self) -> int:
        """How many jobs can run at a time."""

    def start(self, job: Job) -> None:
        """Start a job."""

    def ended(self, wait: bool) -> list[Ended]:
        """Jobs that ended since the last call; with `wait`, it waits for one for some seconds."""

    def frames_done(self, segment: Segment) -> float:
        """How many frames of a segment are done, as far as its jobs have said."""

    def give_up(self, segment: Segment) -> None:
        """Forget the jobs of a segment: they are not reported, and may be stopped."""


class ThisProcess:
    """The engine that runs one job at a time in this process; `start` raises most errors of it."""

    capacity = 1

    def __init__(self, report: Report) -> None:
        self._report = report
        self._ended: list[Ended] = []

    def start(self, job: Job) -> None:
        """Run the job to its end."""
        try:
            self._ended.append(Ended(job.segment, job.run(self._report)))
        except SourceError as error:
            self._ended.append(Ended(job.segment, error=error))

    def ended(self, wait: bool) -> list[Ended]:
        """The jobs that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def frames_done(self, segment: Segment) -> float:
        """None: nobody can ask while a job runs."""
        return 0.0

    def give_up(self, segment: Segment) -> None:
        """There is nothing to forget: a job ends within `start`."""


def require_path(source: object) -> str:
    """The path or URL of a source that can be opened again and again.

    Raises JobsError for anything else.
    """
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if os.path.isfile(path) or not os.path.exists(path):
            return path
    else:
        path = str(getattr(source, "name", "a file object"))
    raise JobsError(
        f"several jobs and resuming read the source again and again, but {path} is no file:"
        " write it to one first, or encode with one job"
    )


def identity(path: str) -> dict[str, object]:
    """Values for JSON that identify a source, and change if the file is changed."""
    if is_remote(path):
        return {"source": path, **remote_identity(path)}
    try:
        status = os.stat(path)
    except OSError:
        return {"source": path}
    return {
        "source": os.path.realpath(path),
        "source_bytes": status.st_size,
        "source_mtime_ns": status.st_mtime_ns,
    }


def run_jobs(
    plan: Iterator[Segment | None],
    job_of: Callable[[Segment], Job],
    header: Header,
    store: SegmentStore,
    engine: Engine,
) -> Iterator[list[CodedGroup]]:
    """Encode the segments of `plan` that the store does not have; yield all groups in order.

    The plan gives None where no segment is complete yet. Jobs start while it is still being made,
    and it is made as far ahead as jobs need it. A job that fails is tried again, three times at
    most. Once the plan is complete, a job that is much slower than others is started a second time:
    the first that ends counts.

    Raises:
        SourceError: from the plan, after the segments before the error.
        SegmentError: a job failed in every attempt, or could not read what the plan has read.
        NrvError, OSError: a job failed with an error that another attempt would only repeat, or
            the store cannot be written.
        ClusterError: of the engine.

    """
    ordered: deque[Segment] = deque()
    done: set[Segment] = set()
    queue = _Queue(job_of, engine)
    planning = True
    damage: SourceError | None = None
    while planning or ordered:
        most = max(1, engine.capacity)
        room = planning and queue.waiting < MOST_WAITING * most and len(ordered) < MOST_AHEAD * most
        if room:
            try:
                segment = next(plan)
            except StopIteration:
                planning = False
            except SourceError as error:
                planning, damage = False, error
            else:
                if segment is not None:
                    ordered.append(segment)
                    if store.has(segment, header):
                        done.add(segment)
                    else:
                        queue.add(segment)
        queue.start(last=not planning)
        for segment, packed in queue.ended(wait=not room):
            store.save(segment, packed)
            done.add(segment)
        while ordered and ordered[0] in done:
            segment = ordered.popleft()
            done.remove(segment)
            yield store.load(segment, header)
    if damage is not None:
        raise damage


class _Queue:
    """Segments that wait for a worker, and those that run."""

    def __init__(self, job_of: Callable[[Segment], Job], engine: Engine) -> None:
        self._job_of = job_of
        self._engine = engine
        self._waiting: deque[Segment] = deque()
        self._running: Counter[Segment] = Counter()
        self._pace = Pace()
        self._failures: Counter[Segment] = Counter()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, segment: Segment) -> None:
        """Let a segment wait, after those before it."""
        self._waiting.append(segment)

    def start(self, last: bool) -> None:
        """Give workers that are free what waits.

        If no more will come, first what is late, then the longest.
        """
        if last:
            self._waiting = deque(sorted(self._waiting, key=lambda s: -s.frames))
            for segment in self._late():
                self._start(segment)
        while self._waiting and self._running.total() < self._engine.capacity:
            segment = self._waiting.popleft()
            self._pace.start(segment, time.monotonic())
            self._start(segment)

    def ended(self, wait: bool) -> Iterator[tuple[Segment, PackedSegment]]:
        """Segments that are encoded; with `wait`, one or the time to look again has come."""
        for ended in self._engine.ended(wait=wait and self._running.total() > 0):
            segment = ended.segment
            if segment not in self._pace:
                # Its other job has ended at the same time.
                continue
            self._running[segment] -= 1
            if ended.result is None:
                self._fail(segment, ended.error)
                continue
            if self._running.pop(segment):
                self._engine.give_up(segment)
            self._pace.end(segment, time.monotonic())
            yield segment, ended.result

    def _start(self, segment: Segment) -> None:
        self._running[segment] += 1
        self._engine.start(self._job_of(segment))

    def _late(self) -> list[Segment]:
        """Segments that run once and are late, as many as there are free workers."""
        once = {s: self._engine.frames_done(s) for s, count in self._running.items() if count == 1}
        late = self._pace.late(once, time.monotonic())
        return late[: max(0, self._engine.capacity - self._running.total())]

    def _fail(self, segment: Segment, failure: BaseException | None) -> None:
        if isinstance(failure, SourceError):
            # The plan has read the source: it is not damaged, but has changed or is gone.
            raise SegmentError(str(failure)) from failure
        if isinstance(failure, _FINAL):
            raise failure
        if self._running[segment]:
            # Its other job goes on.
            return
        self._failures[segment] += 1
        if self._failures[segment] == _ATTEMPTS:
            raise SegmentError(
                f"the segment of frame {segment.first_frame} failed {_ATTEMPTS} times:"
                f" {type(failure).__name__}: {failure}"
            ) from failure
        del self._running[segment]
        self._waiting.appendleft(segment)
