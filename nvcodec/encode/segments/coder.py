"""Codes the groups of a video as jobs, segment by segment."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nvcodec.encode.coder import CodedGroup, VideoCoder
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.segments.jobs import Engine, Job, JobsError, ThisProcess, identity, run_jobs
from nvcodec.encode.segments.segment import Report, Segment, SegmentCoding, segments
from nvcodec.encode.segments.store import SegmentStore
from nvcodec.format import Header
from nvcodec.model.description import Shape
from nvcodec.options import Reading

if TYPE_CHECKING:
    from nvcodec.encode.segments.workers import Pool


@dataclass(frozen=True)
class Jobs:
    """How segments run as jobs, `count` at a time, and the inputs that identify them.

    `settings` are the options that the bytes of a segment depend on, besides those that are fields
    here. With `store` None, segments are kept in a temporary folder. A `pool` that several encodes
    share is used instead of one of `count` processes.
    """

    count: int
    pool: Pool | None
    source: str
    skip: int
    frames: int | None
    reading: Reading
    device: str
    settings: dict[str, Any]
    store: SegmentStore | None


def segment_store(
    output: str | os.PathLike[str] | BinaryIO, resume: bool, overwrite: bool
) -> SegmentStore | None:
    """The store of the segments of `output`, None if it can have none.

    Raises:
        JobsError: `resume` without an output file.
        FileExistsError: there are segments of an earlier encode, but neither option is set.

    """
    store = SegmentStore.beside(output) if isinstance(output, str | os.PathLike) else None
    if store is None and resume:
        raise JobsError("resuming needs an output file, beside which finished segments are kept")
    if store is not None and store.exists and not (resume or overwrite):
        raise FileExistsError(
            f"{store.folder} has segments of an encode that was stopped: --resume (resume) goes on"
            " with them, -y (overwrite) starts over"
        )
    return store


class SegmentCoder:
    """Codes the groups of one video as jobs: a VideoCoder.

    Args:
        coding: how the model codes a segment.
        coder: a coder of the model, which says what the file is going to be; it codes nothing.
        steering: takes the groups, so that it knows their crf.
        jobs: how they run.
        report: told about every segment.

    """

    def __init__(
        self,
        coding: SegmentCoding,
        coder: VideoCoder,
        steering: Steering,
        jobs: Jobs,
        report: Report,
    ) -> None:
        self.key_frames = coder.key_frames
        self.level = coder.level
        self.shape: Shape = coder.shape
        self._coding = coding
        self._steering = steering
        self._jobs = jobs
        self._report = report

    def code(
        self, groups: Iterator[PictureGroup], header: Header
    ) -> Generator[CodedGroup, None, None]:
        """Code groups in their order, as VideoCoder."""
        jobs = self._jobs
        with contextlib.ExitStack() as stack:
            store = jobs.store
            if store is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nvcodec-"))
                store = SegmentStore(Path(folder))
            store.begin(
                jobs.settings
                | {
                    "group_size": self.shape.group_frames,
                    "skip": jobs.skip,
                    "frames": jobs.frames,
                    "reading": str(jobs.reading),
                    "device": jobs.device,
                    **identity(jobs.source),
                }
            )
            engine = stack.enter_context(self._engine())
            plan = segments(self._steered(groups))
            for coded in run_jobs(plan, partial(self.job, header), header, store, engine):
                yield from coded

    @contextlib.contextmanager
    def _engine(self) -> Iterator[Engine]:
        jobs = self._jobs
        if jobs.count == 1 and jobs.pool is None:
            yield ThisProcess(self._report)
            return
        from nvcodec.encode.segments.workers import Pool

        with contextlib.ExitStack() as stack:
            pool = jobs.pool or stack.enter_context(Pool(jobs.count))
            engine = pool.engine(self._report)
            stack.callback(engine.close)
            yield engine

    def _steered(self, groups: Iterator[PictureGroup]) -> Iterator[PictureGroup]:
        for group in groups:
            self._steering.crf(group)
            yield group

    def job(self, header: Header, segment: Segment) -> Job:
        """The job of a segment of a file with this header."""
        jobs, source = self._jobs, self._jobs.source
        if os.path.exists(source):
            # Workers have working folders of their own.
            source = os.path.abspath(source)
        return Job(
            source=source,
            skip=jobs.skip,
            frames=jobs.frames,
            reading=jobs.reading,
            segment=segment,
            coding=self._coding,
            shape=self.shape,
            header=header,
            device=jobs.device,
        )
