"""One segment of sine networks: takes pictures, gives coded groups."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.sine.network import TrainedNetwork
from nvcodec.encode.sine.patches import GroupPatches
from nvcodec.encode.sine.settings import Preset
from nvcodec.encode.sine.train import Report, train_group
from nvcodec.format import Group
from nvcodec.media.quality import QualityMeter
from nvcodec.model.sine.render import render_region
from nvcodec.model.sine.renderer import SineRenderer
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights, code_weights, rebuild_weights
from nvcodec.picture import Picture, samples_crc


@dataclass(frozen=True)
class SineTraining:
    """What all segments of an encode have in common.

    `weight` is lambda (settings.rate_weight); `preset` is scaled for the frame size. `threads` is
    the number of training threads. It changes the order of float sums, and so the bytes. The number
    of `render_threads` does not: rendering is in integers.
    """

    width: int
    height: int
    shape: NetworkShape
    weight: float
    preset: Preset
    metrics: tuple[str, ...]
    threads: int
    render_threads: int


class SineEncoder:
    """Trains a network on the groups of one segment, from its key group on."""

    def __init__(self, training: SineTraining, device: torch.device) -> None:
        torch.set_num_threads(training.threads)
        self._training = training
        self._device = device
        grid = training.shape.grid(training.width, training.height)
        self._network = TrainedNetwork(training.shape, grid, device)
        self._weights: GroupWeights | None = None
        self._groups = 0
        self._frames = 0

    def encode(self, pictures: Sequence[Picture], report: Report) -> CodedGroup:
        """Train the network on the pictures of the next group; code and verify its weights.

        Raises RuntimeError if the coded weights do not decode to the trained ones.
        """
        started = time.perf_counter()
        training, previous = self._training, self._weights
        preset = training.preset
        frames = [picture.planes for picture in pictures]
        trained = train_group(
            self._network,
            GroupPatches(training.shape, frames, self._device),
            previous,
            training.weight,
            preset.iterations if previous else preset.key_iterations,
            preset.batch,
            self._groups,
            report,
        )
        tables, network = code_weights(trained, previous)
        # From here on only the decoded weights are used, as a decoder has them.
        weights = rebuild_weights(training.shape, previous, previous is None, tables, network)
        for sent, got in zip(trained.tensors, weights.tensors, strict=True):
            if not np.array_equal(sent, got):
                raise RuntimeError("a group does not decode to what was encoded")
        renderer = SineRenderer(weights, training.render_threads)
        rendered = render_region(renderer, training.width, training.height, range(len(frames)))
        meter = QualityMeter(training.metrics)
        for reference, planes in zip(frames, rendered, strict=True):
            meter.add(reference, planes)
        group = Group(
            first_frame=self._frames,
            frame_count=len(frames),
            key=previous is None,
            crc=samples_crc(rendered),
            first_pts=pictures[0].pts,
            durations=tuple(picture.duration for picture in pictures),
            tables=tables,
            content=b"",
            motion=b"",
            network=network,
        )
        self._network.load(weights)
        self._weights = weights
        self._groups += 1
        self._frames += len(frames)
        return CodedGroup(group, meter, time.perf_counter() - started)
