"""Source to bitstream: groups, training, coding, verification, container."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
import torch

from nvcodec.device import require_device
from nvcodec.encode.grouping import PictureGroup, group_pictures
from nvcodec.encode.network import TrainedNetwork
from nvcodec.encode.patches import GroupPatches
from nvcodec.encode.settings import (
    MODELS,
    NETWORKS,
    PRESETS,
    Preset,
    network_shape,
    rate_weight,
)
from nvcodec.encode.train import Progress, train_group
from nvcodec.format import Group, Header, NrvError, NrvWriter, smallest_level
from nvcodec.media.output import OutputFile
from nvcodec.media.quality import PsnrMeter
from nvcodec.media.source import Source, open_source
from nvcodec.model.render import render_region, samples_crc
from nvcodec.model.shape import NetworkShape
from nvcodec.model.siren import SirenRenderer
from nvcodec.model.weights import GroupWeights, code_weights, rebuild_weights
from nvcodec.version import __version__

DEFAULT_CRF = 30.0
DEFAULT_KEY_INTERVAL = 10.0


@dataclass(frozen=True)
class EncodedGroup:
    """A group that has been written: its GRUP unit's size, and the training that made it."""

    ordinal: int
    first_frame: int
    frames: int
    key: bool
    bytes: int
    network_bytes: int
    seconds: float
    psnr: float


@dataclass
class EncodeResult:
    """What an encode has written so far.

    PSNR values are in dB over all groups, from the samples that a decoder renders.
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
    meter: PsnrMeter = field(default_factory=lambda: PsnrMeter(255))

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

    def training(self, group: PictureGroup, ordinal: int, progress: Progress) -> None:
        """A group's training has come this far."""

    def encoded(self, group: EncodedGroup) -> None:
        """A group has been written."""


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
    threads: int | None = None,
    device: str = "cpu",
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
        threads: threads of training, None for one for each core.
        device: torch device that trains, "cpu" or "cuda".
        overwrite: whether a path may replace a file.
        observer: told about progress.

    Returns:
        Sizes and qualities. After KeyboardInterrupt, which passes on to the caller, the output
        is a valid file of the groups that were finished, if there is one.

    Raises:
        SourceError: the source cannot be read; groups before the damage are kept as above.
        FileExistsError, OSError: the output cannot be written.
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
    require_device(device)
    threads = threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    with open_source(source, skip=skip, frames=frames) as opened:
        shape = network_shape(network, crf, opened.width, opened.height)
        if group_size is not None:
            shape = replace(shape, group_frames=group_size)
        run = _Run(opened, shape, crf, PRESETS[preset], threads, device, observer or Observer())
        settings = {"model": model, "crf": crf, "preset": preset, "network": network}
        interval = Fraction(key_interval)
        if isinstance(output, str | os.PathLike):
            with OutputFile(output, overwrite=overwrite) as file:
                try:
                    run.write(file.file, settings, interval)
                finally:
                    if run.finished:
                        file.commit()
                        run.result.complete = True
        else:
            try:
                run.write(output, settings, interval)
            finally:
                run.result.complete = run.finished
        return run.result


class _Run:
    def __init__(
        self,
        source: Source,
        shape: NetworkShape,
        crf: float,
        preset: Preset,
        threads: int,
        device: str,
        observer: Observer,
    ) -> None:
        self.result = EncodeResult(source.width, source.height, shape, notes=source.notes)
        self.finished = False
        self._source = source
        self._shape = shape
        self._weight = rate_weight(crf)
        self._grid = shape.patches(source.height), shape.patches(source.width)
        self._preset = preset.scaled(self._grid[0] * self._grid[1])
        self._threads = threads
        self._device = torch.device(device)
        self._observer = observer
        self._network: TrainedNetwork | None = None
        self._weights: GroupWeights | None = None

    def write(self, file: BinaryIO, settings: dict[str, Any], key_interval: Fraction) -> None:
        source, shape = self._source, self._shape
        started = time.perf_counter()
        writer = NrvWriter(file)
        self._observer.started(self.result, source.frame_count_hint)
        writer.begin(
            self._header(),
            shape.to_payload(),
            {"encoder": f"nvcodec {__version__}", "settings": settings},
        )
        groups = group_pictures(source, shape.group_frames, key_interval, source.time_base)
        try:
            for group in groups:
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

    def _header(self) -> Header:
        source, shape = self._source, self._shape
        rate = source.frame_rate or Fraction(0)
        sar = source.sar or Fraction(0)
        luma = source.width * source.height
        return Header(
            # Differences rarely take more than a byte; the writer checks every unit.
            level=smallest_level(luma, shape.weights, 2 * shape.weights, shape.multiplications),
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

    def _write_group(self, writer: NrvWriter, group: PictureGroup) -> None:
        started = time.perf_counter()
        shape, ordinal = self._shape, len(self.result.groups)
        previous = None if group.key else self._weights
        frames = [picture.planes for picture in group.pictures]
        patches = GroupPatches(shape, frames, self._device)
        if group.cut or self._network is None:
            self._network = TrainedNetwork(shape, self._grid, self._device)
            iterations = self._preset.key_iterations
        else:
            iterations = self._preset.iterations
        trained = train_group(
            self._network,
            patches,
            previous,
            self._weight,
            iterations,
            self._preset.batch,
            ordinal,
            lambda progress: self._observer.training(group, ordinal, progress),
        )
        tables, network = code_weights(trained, previous)
        # From here on only what a decoder will have counts.
        weights = rebuild_weights(shape, previous, group.key, tables, network)
        for sent, got in zip(trained.tensors, weights.tensors, strict=True):
            if not np.array_equal(sent, got):
                raise RuntimeError(f"group {ordinal} does not decode to what was encoded")
        renderer = SirenRenderer(weights, self._threads)
        rendered = render_region(
            renderer, self.result.width, self.result.height, range(len(frames))
        )
        meter = PsnrMeter(255)
        for reference, planes in zip(frames, rendered, strict=True):
            meter.add(reference, planes)
            self.result.meter.add(reference, planes)
        before = writer.offset
        first_frame = self.result.frames
        writer.add_group(
            Group(
                first_frame=first_frame,
                frame_count=len(frames),
                key=group.key,
                crc=samples_crc(rendered),
                first_pts=group.pictures[0].pts,
                durations=tuple(picture.duration for picture in group.pictures),
                tables=tables,
                content=b"",
                motion=b"",
                network=network,
            )
        )
        self._network.load(weights)
        self._weights = weights
        encoded = EncodedGroup(
            ordinal=ordinal,
            first_frame=first_frame,
            frames=len(frames),
            key=group.key,
            bytes=writer.offset - before,
            network_bytes=len(tables) + len(network),
            seconds=time.perf_counter() - started,
            psnr=meter.all,
        )
        self.result.groups.append(encoded)
        self._observer.encoded(encoded)
