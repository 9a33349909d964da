"""Codes the groups of a video as patch networks: in this process, or segment by segment as jobs."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.sine.jobs import (
    Engine,
    GroupProgress,
    GroupReport,
    Job,
    JobsError,
    ThisProcess,
    identity,
    run_jobs,
)
from nvcodec.encode.sine.segment import Segment, SegmentEncoder, Training, segments
from nvcodec.encode.sine.settings import PRESETS, network_shape, rate_weight
from nvcodec.encode.sine.store import SegmentStore
from nvcodec.encode.sine.train import Progress
from nvcodec.format import Header, smallest_level


@dataclass(frozen=True)
class Jobs:
    """How segments run as jobs, `count` at a time, and the inputs that identify them.

    `settings` are the options that the bytes of a segment depend on, besides those that the coder
    adds itself. With `store` None, segments are kept in a temporary folder.
    """

    count: int
    source: str
    skip: int
    frames: int | None
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


class SineCoder:
    """Codes the groups of one video with the nirvana model: a VideoCoder."""

    def __init__(
        self,
        width: int,
        height: int,
        *,
        crf: float,
        preset: str,
        network: str,
        group_size: int | None,
        metrics: Sequence[str],
        threads: int,
        device: str,
        jobs: Jobs | None,
        report: GroupReport,
    ) -> None:
        shape = network_shape(network, crf, width, height)
        if group_size is not None:
            shape = replace(shape, group_frames=group_size)
        self.shape = shape
        self.key_frames = shape.group_frames
        patches = shape.patches(height) * shape.patches(width)
        self._training = Training(
            width=width,
            height=height,
            shape=shape,
            weight=rate_weight(crf),
            preset=PRESETS[preset].scaled(patches),
            metrics=tuple(metrics),
            threads=threads,
            render_threads=max(1, (os.cpu_count() or 1) // (jobs.count if jobs else 1)),
        )
        self._device = device
        self._jobs = jobs
        self._report = report

    @property
    def level(self) -> int:
        """The expected level (spec 2.11); the file writer checks every unit against it."""
        width, height, shape = self._training.width, self._training.height, self.shape
        weights = shape.weights(shape.grid(width, height))
        # Two bytes per difference are allowed; few take more than one.
        return smallest_level(width * height, weights, 2 * weights, shape.multiplications)

    def code(
        self, groups: Iterator[PictureGroup], header: Header
    ) -> Generator[CodedGroup, None, None]:
        """Train a network on each group, as VideoCoder."""
        if self._jobs is None:
            return self._one_by_one(groups)
        return self._by_jobs(groups, header, self._jobs)

    def _one_by_one(self, groups: Iterator[PictureGroup]) -> Generator[CodedGroup, None, None]:
        encoder: SegmentEncoder | None = None
        for ordinal, group in enumerate(groups):
            if encoder is None or group.key:
                encoder = SegmentEncoder(self._training, torch.device(self._device))
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
                    "threads": self._training.threads,
                    "device": self._device,
                    "metrics": self._training.metrics,
                    "torch": torch.__version__,
                    **identity(jobs.source),
                }
            )
            engine: Engine
            if jobs.count == 1:
                engine = ThisProcess(self._report)
            else:
                from nvcodec.encode.sine.workers import Workers

                engine = stack.enter_context(Workers(jobs.count, self._report))
            job = partial(self._job, jobs, header, store)
            for coded in run_jobs(segments(groups), job, store, engine):
                yield from coded

    def _job(self, jobs: Jobs, header: Header, store: SegmentStore, segment: Segment) -> Job:
        return Job(
            source=jobs.source,
            skip=jobs.skip,
            frames=jobs.frames,
            segment=segment,
            training=self._training,
            device=self._device,
            header=header,
            store=store,
        )
