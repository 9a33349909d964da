"""Codes the groups of a video segment by segment: in this process, or as jobs."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.segments.jobs import (
    Engine,
    GroupProgress,
    GroupReport,
    Job,
    JobsError,
    ThisProcess,
    identity,
    run_jobs,
)
from nvcodec.encode.segments.segment import (
    Progress,
    Segment,
    SegmentCoding,
    SegmentEncoder,
    segments,
)
from nvcodec.encode.segments.store import SegmentStore
from nvcodec.format import Header
from nvcodec.model.description import Shape
from nvcodec.options import Reading


@dataclass(frozen=True)
class Jobs:
    """How segments run as jobs, `count` at a time, and the inputs that identify them.

    `settings` are the options that the bytes of a segment depend on, besides those that are fields
    here or the coder's. With `store` None, segments are kept in a temporary folder.
    """

    count: int
    source: str
    skip: int
    frames: int | None
    reading: Reading
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
    """Codes the groups of one video: a VideoCoder.

    Args:
        coding: how the model codes a segment.
        key_frames: the most frames of a key group.
        level: the level that the file is going to keep within.
        device: torch device, "cpu" or "cuda".
        jobs: None to code one group after the other, in this process.
        report: told about the training of every group.

    """

    def __init__(
        self,
        coding: SegmentCoding,
        *,
        key_frames: int,
        level: int,
        device: str,
        jobs: Jobs | None,
        report: GroupReport,
    ) -> None:
        self.key_frames = key_frames
        self.level = level
        self._coding = coding
        self._device = device
        self._jobs = jobs
        self._report = report

    @property
    def shape(self) -> Shape:
        """The description of the model."""
        return self._coding.shape

    def code(
        self, groups: Iterator[PictureGroup], header: Header
    ) -> Generator[CodedGroup, None, None]:
        """Code groups in their order, as VideoCoder."""
        if self._jobs is None:
            return self._one_by_one(groups)
        return self._by_jobs(groups, header, self._jobs)

    def _one_by_one(self, groups: Iterator[PictureGroup]) -> Generator[CodedGroup, None, None]:
        encoder: SegmentEncoder | None = None
        for ordinal, group in enumerate(groups):
            if encoder is None or group.key:
                encoder = self._coding.encoder(torch.device(self._device))
            frames = len(group.pictures)

            def tell(progress: Progress, ordinal: int = ordinal, frames: int = frames) -> None:
                self._report(GroupProgress(ordinal, frames, progress))

            yield encoder.encode(group.pictures, tell)

    def _by_jobs(
        self, groups: Iterator[PictureGroup], header: Header, jobs: Jobs
    ) -> Generator[CodedGroup, None, None]:
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
                    "device": self._device,
                    "torch": torch.__version__,
                    **identity(jobs.source),
                }
            )
            engine: Engine
            if jobs.count == 1:
                engine = ThisProcess(self._report)
            else:
                from nvcodec.encode.segments.workers import Workers

                engine = stack.enter_context(Workers(jobs.count, self._report))
            job = partial(self._job, jobs, header, store)
            for coded in run_jobs(segments(groups), job, store, engine):
                yield from coded

    def _job(self, jobs: Jobs, header: Header, store: SegmentStore, segment: Segment) -> Job:
        return Job(
            source=jobs.source,
            skip=jobs.skip,
            frames=jobs.frames,
            reading=jobs.reading,
            segment=segment,
            coding=self._coding,
            device=self._device,
            header=header,
            store=store,
        )
