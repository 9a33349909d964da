"""Options of an encode to the coder of sine networks."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nvcodec.encode.segments.coder import Jobs, SegmentCoder
from nvcodec.encode.segments.jobs import GroupReport
from nvcodec.encode.sine.segment import SineTraining
from nvcodec.encode.sine.settings import PRESETS, network_shape, rate_weight
from nvcodec.format import smallest_level


def sine_coder(
    width: int,
    height: int,
    *,
    crf: float,
    preset: str,
    group_size: int | None,
    metrics: Sequence[str],
    threads: int,
    device: str,
    jobs: Jobs | None,
    report: GroupReport,
) -> SegmentCoder:
    """The coder of one video."""
    shape = network_shape(group_size)
    training = SineTraining(
        width=width,
        height=height,
        shape=shape,
        weight=rate_weight(crf),
        preset=PRESETS[preset].scaled(shape.patches(height) * shape.patches(width)),
        metrics=tuple(metrics),
        threads=threads,
        render_threads=max(1, (os.cpu_count() or 1) // (jobs.count if jobs else 1)),
    )
    # Two bytes per difference are allowed; few take more than one.
    level = smallest_level(width * height, shape.weights, 2 * shape.weights, shape.multiplications)
    return SegmentCoder(
        training,
        key_frames=shape.group_frames,
        level=level,
        device=device,
        jobs=jobs,
        report=report,
    )
