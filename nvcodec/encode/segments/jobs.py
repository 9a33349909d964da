"""Segments (closed GOPs) as jobs: takes segments and an engine, gives their groups in file order.

A job opens the source itself and gives the bytes of its segment. So it can run in any process, on
any machine that has the source, and can be repeated after a failure. It is skipped if the store has
its segment already.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from nvcodec.encode.coder import CodedGroup
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

MOST_AHEAD = 8
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
        """Jobs that ended since the last call; with `wait` there is at least one."""


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
    most.

    Raises:
        SourceError: from the plan, after the segments before the error.
        SegmentError: a job failed in every attempt, or could not read what the plan has read.
        NrvError, OSError: a job failed with an error that another attempt would only repeat, or
            the store cannot be written.

    """
    ordered: deque[Segment] = deque()
    waiting: deque[Segment] = deque()
    done: set[Segment] = set()
    failures: Counter[Segment] = Counter()
    running = 0
    planning = True
    damage: SourceError | None = None
    while planning or ordered:
        most = max(1, engine.capacity)
        room = planning and len(waiting) <= most and len(ordered) < MOST_AHEAD * most
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
                        waiting.append(segment)
        while waiting and running < engine.capacity:
            engine.start(job_of(waiting.popleft()))
            running += 1
        for ended in engine.ended(wait=running > 0 and not room):
            running -= 1
            segment = ended.segment
            if ended.result is not None:
                store.save(segment, ended.result)
                done.add(segment)
                continue
            failure = ended.error
            if isinstance(failure, SourceError):
                # The plan has read the source: it is not damaged, but has changed or is gone.
                raise SegmentError(str(failure)) from failure
            if isinstance(failure, _FINAL):
                raise failure
            failures[segment] += 1
            if failures[segment] == _ATTEMPTS:
                raise SegmentError(
                    f"the segment of frame {segment.first_frame} failed {_ATTEMPTS} times:"
                    f" {type(failure).__name__}: {failure}"
                ) from failure
            waiting.appendleft(segment)
        while ordered and ordered[0] in done:
            segment = ordered.popleft()
            done.remove(segment)
            yield store.load(segment, header)
    if damage is not None:
        raise damage
