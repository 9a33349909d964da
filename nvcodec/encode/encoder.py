"""Source to bitstream: the way through groups, segments or jobs, and the container."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from nvcodec.device import require_device
from nvcodec.encode.grouping import PictureGroup, group_pictures
from nvcodec.encode.jobs import (
    Engine,
    GroupProgress,
    Job,
    JobsError,
    ThisProcess,
    identity,
    require_path,
    run_jobs,
)
from nvcodec.encode.segment import CodedGroup, Segment, SegmentEncoder, Training, segments
from nvcodec.encode.settings import (
    MODELS,
    NETWORKS,
    PRESETS,
    network_shape,
    rate_weight,
)
from nvcodec.encode.store import SegmentStore
from nvcodec.encode.train import Progress
from nvcodec.format import Header, NrvError, NrvWriter, smallest_level
from nvcodec.media.output import OutputFile
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import Source, open_source
from nvcodec.model.shape import NetworkShape
from nvcodec.version import __version__

DEFAULT_CRF = 30.0
DEFAULT_KEY_INTERVAL = 10.0


@dataclass(frozen=True)
class EncodedGroup:
    """A group that has been written: its GRUP unit's size, and the training that made it.

    `meter` has its qualities, from the samples that a decoder renders.
    """

    ordinal: int
    first_frame: int
    frames: int
    key: bool
    bytes: int
    network_bytes: int
    seconds: float
    meter: QualityMeter


@dataclass
class EncodeResult:
    """What an encode has written so far.

    `meter` has the qualities of all groups, from the samples that a decoder renders.
    """

    width: int
    height: int
    shape: NetworkShape
    groups: list[EncodedGroup] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bytes: int = 0
    seconds: float = 0.0
    complete: bool = False
    """Whether the output has it all, with the end that makes it valid."""
    resumable: bool = False
    """Whether finished segments are kept on disk for an encode that resumes."""
    meter: QualityMeter = field(default_factory=QualityMeter)

    @property
    def frames(self) -> int:
        """Frames written."""
        return sum(group.frames for group in self.groups)

    @property
    def bits_per_pixel(self) -> float:
        """Bits of the file per luma sample."""
        return 8 * self.bytes / (self.width * self.height * max(1, self.frames))


class Observer:
    """Told about an encode while it runs; does nothing by itself."""

    def started(self, result: EncodeResult, frame_count_hint: int | None) -> None:
        """The source is open and the header is about to be written."""

    def training(self, progress: GroupProgress) -> None:
        """A group's training has come this far; with several jobs, groups come in any order."""

    def encoded(self, group: EncodedGroup) -> None:
        """A group has been written; they come in file order."""


def encode(
    source: str | os.PathLike[str] | BinaryIO,
    output: str | os.PathLike[str] | BinaryIO,
    *,
    model: str = "nirvana",
    crf: float = DEFAULT_CRF,
    preset: str = "medium",
    network: str = "auto",
    group_size: int | None = None,
    key_interval: float = DEFAULT_KEY_INTERVAL,
    skip: int = 0,
    frames: int | None = None,
    threads: int = 1,
    device: str = "cpu",
    jobs: int = 1,
    resume: bool = False,
    metrics: Sequence[str] = ("psnr",),
    overwrite: bool = False,
    observer: Observer | None = None,
) -> EncodeResult:
    """Encode a video.

    Args:
        source: path of anything PyAV opens, or a binary file object.
        output: path ("-" for standard output), or a binary file object, which is flushed after
            each group and not closed.
        model: "nirvana".
        crf: quality, lower is better; the price of a bit doubles every 3 steps (rate_weight).
        preset: effort, one of settings.PRESETS.
        network: "auto" for a network that fits crf and the frame size, "paper" for the one of
            arXiv 2212.14593.
        group_size: frames of a group, 1..32; None for the network's own.
        key_interval: seconds from key group to key group at most (plus the rest of a group).
        skip: frames of the source to leave out at its start.
        frames: frames to encode, None for all.
        threads: threads of training of each job. Another number sums floats in another order and
            may give other bytes.
        device: torch device that trains, "cpu" or "cuda".
        jobs: processes that train segments, the groups from a key group up to the next, side by
            side; on "cuda", one GPU after the other gets a job. Bytes do not depend on it. More
            than one needs a source with a path, and a calling script that guards its start
            with `if __name__ == "__main__":`.
        resume: go on with the segments that an encode of the same settings finished before it
            was stopped, and leave them when this one is. They lie in a folder named as the output
            with ".segments" added, which jobs over 1 use too; it goes when the encode is complete.
        metrics: what to measure, of quality.METRICS.
        overwrite: whether a path may replace a file, and without `resume` the segments too.
        observer: told about progress.

    Returns:
        Sizes and qualities. After KeyboardInterrupt, which passes on to the caller, the output
        is a valid file of the groups that were finished, if there is one; with segments, of those
        before the first segment that was not.

    Raises:
        SourceError: the source cannot be read; groups before the damage are kept as above.
        FileExistsError, OSError: the output cannot be written, or has segments of an encode that
            was stopped, and neither `resume` nor `overwrite` says what to do.
        SettingsError: those segments have other settings.
        JobsError: the source or output is none for jobs or resuming.
        SegmentError: a segment failed again and again.
        ValueError: an argument is out of range.
        UnsupportedError: this machine does not have the device.

    """
    if model not in MODELS:
        raise ValueError(f"model {model!r} is not one of {', '.join(MODELS)}")
    if preset not in PRESETS:
        raise ValueError(f"preset {preset!r} is not one of {', '.join(PRESETS)}")
    if network not in NETWORKS:
        raise ValueError(f"network {network!r} is not one of {', '.join(NETWORKS)}")
    if group_size is not None and not 1 <= group_size <= 32:
        raise ValueError(f"group size {group_size} is not in 1..32")
    if not key_interval > 0:
        raise ValueError(f"key interval {key_interval} is not positive")
    if threads < 1 or jobs < 1:
        raise ValueError(f"threads {threads} and jobs {jobs} are not both at least 1")
    meter = QualityMeter(metrics)
    require_device(device)
    store = _store(output, resume, overwrite)
    path = require_path(source) if jobs > 1 or resume else None
    with open_source(source, skip=skip, frames=frames) as opened:
        shape = network_shape(network, crf, opened.width, opened.height)
        if group_size is not None:
            shape = replace(shape, group_frames=group_size)
        settings = {"model": model, "crf": crf, "preset": preset, "network": network}
        result = EncodeResult(opened.width, opened.height, shape, notes=opened.notes, meter=meter)
        run = _Run(opened, result, settings, observer or Observer())
        patches = shape.patches(opened.height) * shape.patches(opened.width)
        training = Training(
            width=opened.width,
            height=opened.height,
            shape=shape,
            weight=rate_weight(crf),
            preset=PRESETS[preset].scaled(patches),
            metrics=meter.metrics,
            threads=threads,
            render_threads=max(1, (os.cpu_count() or 1) // jobs),
        )
        groups = group_pictures(
            opened, shape.group_frames, Fraction(key_interval), opened.time_base
        )
        if path is None:
            coded = run.one_by_one(groups, training, torch.device(device))
        else:
            # All that the bytes of a segment and the figures beside it follow from.
            basis = settings | {
                "group_size": shape.group_frames,
                "key_interval": key_interval,
                "skip": skip,
                "frames": frames,
                "threads": threads,
                "device": device,
                "metrics": meter.metrics,
                "nvcodec": __version__,
                "torch": torch.__version__,
                **identity(path),
            }
            coded = run.by_jobs(
                groups,
                lambda store, segment: Job(
                    path, skip, frames, segment, training, device, run.header, store
                ),
                jobs,
                store,
                basis,
            )
        with contextlib.closing(coded):
            if not isinstance(output, str | os.PathLike):
                try:
                    run.write(output, coded)
                finally:
                    result.complete = run.finished
                return result
            try:
                with OutputFile(output, overwrite=overwrite) as file:
                    if store is not None and not resume:
                        store.remove()
                    try:
                        run.write(file.file, coded)
                    finally:
                        if run.finished:
                            file.commit()
                            result.complete = True
            except BaseException:
                result.resumable = store is not None and store.keep()
                raise
            if store is not None:
                store.remove()
        return result


def _store(
    output: str | os.PathLike[str] | BinaryIO, resume: bool, overwrite: bool
) -> SegmentStore | None:
    """Where segments of `output` are kept, if anywhere; errors when that is not what is wished."""
    store = SegmentStore.beside(output) if isinstance(output, str | os.PathLike) else None
    if store is None and resume:
        raise JobsError("resuming needs an output file, beside which finished segments are kept")
    if store is not None and store.exists and not (resume or overwrite):
        raise FileExistsError(
            f"{store.folder} has segments of an encode that was stopped: --resume (resume) goes on"
            " with them, -y (overwrite) starts over"
        )
    return store


class _Run:
    def __init__(
        self, source: Source, result: EncodeResult, settings: dict[str, Any], observer: Observer
    ) -> None:
        self.result = result
        self.finished = False
        self._source = source
        self._settings = settings
        self._observer = observer
        self.header = self._header()

    def one_by_one(
        self, groups: Iterator[PictureGroup], training: Training, device: torch.device
    ) -> Generator[CodedGroup, None, None]:
        """Encode groups as they come."""
        encoder: SegmentEncoder | None = None
        for ordinal, group in enumerate(groups):
            if encoder is None or group.key:
                encoder = SegmentEncoder(training, device)
            yield encoder.encode(
                group.pictures, partial(self._report, ordinal, len(group.pictures))
            )

    def by_jobs(
        self,
        groups: Iterator[PictureGroup],
        job_of: Callable[[SegmentStore, Segment], Job],
        jobs: int,
        store: SegmentStore | None,
        basis: dict[str, Any],
    ) -> Generator[CodedGroup, None, None]:
        """Encode segments by jobs through a store, a temporary one for None."""
        with contextlib.ExitStack() as stack:
            if store is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nvcodec-"))
                store = SegmentStore(Path(folder))
            store.begin(basis)
            engine: Engine
            if jobs == 1:
                engine = ThisProcess(self._observer.training)
            else:
                from nvcodec.encode.workers import Workers

                engine = stack.enter_context(Workers(jobs, self._observer.training))
            for coded in run_jobs(segments(groups), partial(job_of, store), store, engine):
                yield from coded

    def write(self, file: BinaryIO, coded: Iterator[CodedGroup]) -> None:
        started = time.perf_counter()
        writer = NrvWriter(file)
        self._observer.started(self.result, self._source.frame_count_hint)
        writer.begin(
            self.header,
            self.result.shape.to_payload(),
            {"encoder": f"nvcodec {__version__}", "settings": self._settings},
        )
        try:
            for group in coded:
                self._write_group(writer, group)
                self.result.bytes = writer.offset
                self.result.seconds = time.perf_counter() - started
        except BaseException:
            # The groups so far make a valid file, unless writing is what failed.
            if self.result.groups:
                with contextlib.suppress(NrvError):
                    self._finish(writer, started)
            raise
        self._finish(writer, started)

    def _report(self, ordinal: int, frames: int, progress: Progress) -> None:
        self._observer.training(GroupProgress(ordinal, frames, progress))

    def _finish(self, writer: NrvWriter, started: float) -> None:
        writer.finish()
        self.finished = True
        self.result.bytes = writer.offset
        self.result.seconds = time.perf_counter() - started

    def _write_group(self, writer: NrvWriter, coded: CodedGroup) -> None:
        before = writer.offset
        # A segment counts its frames from its own first.
        group = replace(coded.group, first_frame=self.result.frames)
        writer.add_group(group)
        encoded = EncodedGroup(
            ordinal=len(self.result.groups),
            first_frame=group.first_frame,
            frames=group.frame_count,
            key=group.key,
            bytes=writer.offset - before,
            network_bytes=len(group.tables) + len(group.network),
            seconds=coded.seconds,
            meter=coded.meter,
        )
        self.result.meter.merge(coded.meter)
        self.result.groups.append(encoded)
        self._observer.encoded(encoded)

    def _header(self) -> Header:
        source, shape = self._source, self.result.shape
        rate = source.frame_rate or Fraction(0)
        sar = source.sar or Fraction(0)
        luma = source.width * source.height
        weights = shape.weights(shape.grid(source.width, source.height))
        return Header(
            # Differences rarely take more than a byte; the writer checks every unit.
            level=smallest_level(luma, weights, 2 * weights, shape.multiplications),
            width=source.width,
            height=source.height,
            frame_rate_num=rate.numerator,
            frame_rate_den=rate.denominator if rate else 0,
            time_base_num=source.time_base.numerator,
            time_base_den=source.time_base.denominator,
            sar_num=sar.numerator,
            sar_den=sar.denominator if sar else 0,
            colour_primaries=source.colour_primaries,
            transfer=source.transfer,
            matrix=source.matrix,
            full_range=source.full_range,
            chroma_location=source.chroma_location,
        )
