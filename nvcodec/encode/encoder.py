"""Source to bitstream: the way through groups, a model's coder, and the container."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

from nvcodec.device import require_device
from nvcodec.encode.coder import CodedGroup, VideoCoder
from nvcodec.encode.grouping import group_pictures
from nvcodec.encode.nirvana.settings import (
    HYBRID_GROUP,
    HYBRID_NETWORKS,
    MODELS,
    NETWORKS,
    PRESETS,
    OptionError,
)
from nvcodec.format import HYBRID, NIRVANA, Header, NrvError, NrvWriter
from nvcodec.media.output import OutputFile
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import Source, open_source
from nvcodec.model.description import Shape
from nvcodec.picture import YUV420P8
from nvcodec.version import __version__

if TYPE_CHECKING:
    from nvcodec.encode.nirvana.jobs import GroupProgress
    from nvcodec.encode.nirvana.store import SegmentStore

DEFAULT_CRF = 30.0
DEFAULT_KEY_INTERVAL = 10.0

_MODEL_NUMBERS = {"nirvana": NIRVANA, "hybrid": HYBRID}


@dataclass(frozen=True)
class EncodedGroup:
    """A group that has been written: the sizes of its GRUP unit and of what is in it.

    `network_bytes` are tables and network; `chain_bytes` are those of content and motion that its
    chain canvas takes, 0 where it has none. `meter` has its qualities, from the samples that a
    decoder renders.
    """

    ordinal: int
    first_frame: int
    frames: int
    key: bool
    bytes: int
    network_bytes: int
    content_bytes: int
    motion_bytes: int
    chain_bytes: int
    seconds: float
    meter: QualityMeter


@dataclass
class EncodeResult:
    """What an encode has written so far.

    `meter` has the qualities of all groups, from the samples that a decoder renders.
    """

    width: int
    height: int
    shape: Shape
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

    def coding(self, ordinal: int, frames: int) -> None:
        """So many frames of a group of the hybrid model are coded; groups come in order."""

    def encoded(self, group: EncodedGroup) -> None:
        """A group has been written; they come in file order."""


def encode(
    source: str | os.PathLike[str] | BinaryIO,
    output: str | os.PathLike[str] | BinaryIO,
    *,
    model: str = "hybrid",
    crf: float = DEFAULT_CRF,
    preset: str = "medium",
    network: str = "auto",
    group_size: int | None = None,
    key_interval: float = DEFAULT_KEY_INTERVAL,
    skip: int = 0,
    frames: int | None = None,
    threads: int | None = None,
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
        model: "hybrid" or "nirvana".
        crf: quality, lower is better; the price of a bit doubles every 3 steps, and in the hybrid
            model the quantiser's step every 6.
        preset: effort, one of settings.PRESETS; "paper" is one of the nirvana model.
        network: of the nirvana model "auto" for a network that fits crf and the frame size, "paper"
            for the one of arXiv 2212.14593. Of the hybrid model "trained" (and "auto") where
            groups train a part of the fusion network, "fixed" where they use its default weights
            or none, "off" for a bitstream without.
        group_size: frames of a group, 1..32; None for the network's own, and up to 16 by content
            in the hybrid model, whose key groups have one frame.
        key_interval: seconds from key group to key group at most (plus the rest of a group).
        skip: frames of the source to leave out at its start.
        frames: frames to encode, None for all.
        threads: of the hybrid model, one for each core for None; bytes do not depend on it. Of
            training in each job of the nirvana model, 1 for None; another number sums floats in
            another order and may give other bytes.
        device: torch device that trains, "cpu" or "cuda"; the hybrid model has "cpu" only.
        jobs: of the nirvana model, processes that train segments, the groups from a key group up
            to the next, side by side; on "cuda", one GPU after the other gets a job. Bytes do not
            depend on it. More than one needs a source with a path, and a calling script that
            guards its start with `if __name__ == "__main__":`.
        resume: of the nirvana model: go on with the segments that an encode of the same settings
            finished before it was stopped, and leave them when this one is. They lie in a folder
            named as the output with ".segments" added, which jobs over 1 use too; it goes when the
            encode is complete.
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
        OptionError: an option is none of the model.
        ValueError: an argument is out of range.
        UnsupportedError: this machine does not have the device.

    """
    if model not in MODELS:
        raise ValueError(f"model {model!r} is not one of {', '.join(MODELS)}")
    if preset not in PRESETS:
        raise ValueError(f"preset {preset!r} is not one of {', '.join(PRESETS)}")
    if network not in (*NETWORKS, *HYBRID_NETWORKS):
        raise ValueError(f"network {network!r} is none of a model")
    if network not in (HYBRID_NETWORKS if model == "hybrid" else NETWORKS):
        raise OptionError(f"the {model} model does not have network {network}")
    if group_size is not None and not 1 <= group_size <= 32:
        raise ValueError(f"group size {group_size} is not in 1..32")
    if not key_interval > 0:
        raise ValueError(f"key interval {key_interval} is not positive")
    if (threads is not None and threads < 1) or jobs < 1:
        raise ValueError(f"threads {threads} and jobs {jobs} are not both at least 1")
    meter = QualityMeter(metrics)
    require_device(device)
    observer = observer or Observer()
    settings: dict[str, Any] = {"model": model, "crf": crf, "preset": preset}
    store: SegmentStore | None = None
    path: str | None = None
    if model == "hybrid":
        _require_hybrid(preset, device, jobs, resume)
        network = "trained" if network == "auto" else network
        settings["network"] = network
    else:
        from nvcodec.encode.nirvana import video as nirvana
        from nvcodec.encode.nirvana.jobs import require_path

        settings["network"] = network
        store = nirvana.segment_store(output, resume, overwrite)
        path = require_path(source) if jobs > 1 or resume else None
    with open_source(source, skip=skip, frames=frames) as opened:
        coder: VideoCoder
        if model == "hybrid":
            from nvcodec.encode.hybrid.effort import EFFORTS
            from nvcodec.encode.hybrid.video import HybridCoder

            coder = HybridCoder(
                opened.width,
                opened.height,
                crf=crf,
                effort=EFFORTS[preset],
                group_frames=group_size or HYBRID_GROUP,
                network=network,
                by_content=group_size is None,
                metrics=meter.metrics,
                threads=threads or os.cpu_count() or 1,
                report=observer.coding,
            )
        else:
            basis = settings | {"key_interval": key_interval, "nvcodec": __version__}
            coder = nirvana.NirvanaCoder(
                opened.width,
                opened.height,
                crf=crf,
                preset=preset,
                network=network,
                group_size=group_size,
                metrics=meter.metrics,
                threads=threads or 1,
                device=device,
                jobs=nirvana.Jobs(jobs, path, skip, frames, basis, store) if path else None,
                report=observer.training,
            )
        result = EncodeResult(
            opened.width, opened.height, coder.shape, notes=opened.notes, meter=meter
        )
        header = _header(opened, _MODEL_NUMBERS[model], coder.level)
        run = _Run(opened, header, result, settings, observer)
        groups = group_pictures(
            opened,
            coder.shape.group_frames,
            coder.key_frames,
            Fraction(key_interval),
            opened.time_base,
        )
        coded = coder.code(groups, header)
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


def _require_hybrid(preset: str, device: str, jobs: int, resume: bool) -> None:
    """Raise OptionError for options that the hybrid model does not have."""
    for wrong, text in (
        (preset == "paper", "preset paper, only fast, medium and slow"),
        (device != "cpu", f"device {device}, as it is encoded on the CPU only"),
        (jobs > 1, "several jobs, as threads share the work"),
        (resume, "resuming"),
    ):
        if wrong:
            raise OptionError(f"the hybrid model does not have {text}; model nirvana does")


def _header(source: Source, model: int, level: int) -> Header:
    rate = source.frame_rate or Fraction(0)
    sar = source.sar or Fraction(0)
    return Header(
        level=level,
        model=model,
        chroma_format=YUV420P8.chroma_format,
        bit_depth=YUV420P8.bit_depth,
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


class _Run:
    def __init__(
        self,
        source: Source,
        header: Header,
        result: EncodeResult,
        settings: dict[str, Any],
        observer: Observer,
    ) -> None:
        self.result = result
        self.finished = False
        self._source = source
        self._header = header
        self._settings = settings
        self._observer = observer

    def write(self, file: BinaryIO, coded: Iterator[CodedGroup]) -> None:
        started = time.perf_counter()
        writer = NrvWriter(file)
        self._observer.started(self.result, self._source.frame_count_hint)
        writer.begin(
            self._header,
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
            content_bytes=len(group.content),
            motion_bytes=len(group.motion),
            chain_bytes=coded.chain_bytes,
            seconds=coded.seconds,
            meter=coded.meter,
        )
        self.result.meter.merge(coded.meter)
        self.result.groups.append(encoded)
        self._observer.encoded(encoded)
