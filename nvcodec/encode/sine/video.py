"""The groups of a video to coded groups, by sine networks that are trained anew."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence

import torch

from nvcodec.encode.coder import CodedGroup, CoderReport
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.sine.segment import SineEncoder, SineTraining
from nvcodec.encode.sine.settings import Preset, rate_weight
from nvcodec.encode.sine.train import Progress
from nvcodec.format import Header, smallest_level
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.picture import YUV420P8


class SineCoder:
    """Codes the groups of one video with the sine network: a VideoCoder.

    The number of `training_threads` may change the bytes; that of `threads`, which render, does
    not. `device` is "cpu" or "cuda", the current GPU.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        steering: Steering,
        shape: NetworkShape,
        preset: Preset,
        metrics: Sequence[str],
        training_threads: int,
        threads: int,
        device: str,
        report: CoderReport,
    ) -> None:
        self.shape = shape
        self.key_frames = shape.group_frames
        self._pixels = width * height
        self._steering = steering
        self._device = device
        self._report = report
        self._training = SineTraining(
            width=width,
            height=height,
            shape=shape,
            weight=rate_weight(steering.least),
            preset=preset.scaled(shape.patches(height) * shape.patches(width)),
            metrics=tuple(metrics),
            threads=training_threads,
            render_threads=threads,
        )

    @property
    def level(self) -> int:
        """The level that the file is going to keep within."""
        shape = self.shape
        # Two bytes per difference are allowed; few take more than one.
        return smallest_level(self._pixels, shape.weights, 2 * shape.weights, shape.multiplications)

    def code(
        self, groups: Iterator[PictureGroup], header: Header
    ) -> Generator[CodedGroup, None, None]:
        """Code groups in their order, as VideoCoder."""
        encoder: SineEncoder | None = None
        for ordinal, group in enumerate(groups):
            if encoder is None or group.key:
                encoder = SineEncoder(self._training, torch.device(self._device))
            frames = len(group.pictures)

            def tell(progress: Progress, ordinal: int = ordinal, frames: int = frames) -> None:
                share = progress.iteration / progress.iterations
                decibels = 10 * math.log10(YUV420P8.peak**2 / max(progress.error, 1e-9))
                self._report(
                    ordinal,
                    share * frames,
                    f"iteration {progress.iteration}/{progress.iterations}"
                    f" {decibels:.2f} dB {progress.bits / 1000:.0f} kbit",
                )

            self._steering.crf(group)
            coded = encoder.encode(group.pictures, tell)
            self._steering.coded(coded.group.substream_bytes)
            yield coded
