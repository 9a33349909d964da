"""Short runs of pictures of a source, and the crf at which they have a quality."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable

from nvcodec.encode.control.steering import in_range
from nvcodec.media.quality import QualityMeter
from nvcodec.options import Target
from nvcodec.picture import Picture

RUN = 32
"""Pictures of a run."""

FEWEST = 4
"""Sources of at least so many runs give at least so many samples, and fewer than twice as many."""

_SAMPLE_BYTES = 1 << 29
"""Memory for the pictures of samples; above it there are fewer runs, one at least."""

_START = 30.0
_MOST_TRIALS = 6
_DECIBELS_PER_CRF = 0.5
"""Quality that is lost with a step of crf, before two trials have shown it."""

_NEAR = 0.02
"""Trials end within so many decibels of the target."""

_LEAST_SLOPE = 0.05


def sample(pictures: Iterable[Picture]) -> list[list[Picture]]:
    """Runs of RUN pictures at even distances, of a source whose length need not be known."""
    runs: dict[int, list[Picture]] = {}
    every, most = 1, 2 * FEWEST
    for number, picture in enumerate(pictures):
        run = number // RUN
        if number == 0:
            held = sum(plane.nbytes for plane in picture.planes) * RUN
            most = max(2, min(most, _SAMPLE_BYTES // held))
        if run % every:
            continue
        if run not in runs and len(runs) == most:
            every *= 2
            runs = {k: kept for k, kept in runs.items() if k % every == 0}
            if run % every:
                continue
        runs.setdefault(run, []).append(picture)
    found = list(runs.values())
    # A last run that was cut short weighs too little to be coded for itself.
    return found[:-1] if len(found) > 1 and len(found[-1]) < RUN // 2 else found


def decibels(target: Target) -> float:
    """The target in decibels, which fall about evenly with crf."""
    return target.value if target.metric == "psnr" else _similarity(target.value)


def measured_decibels(meter: QualityMeter, metric: str) -> float | None:
    """The quality of a meter in decibels; None where pictures are too small for the metric."""
    value = meter.values()[metric]
    if metric == "psnr":
        return float(value["all"])
    return None if value is None else _similarity(value)


def _similarity(value: float) -> float:
    return -10 * math.log10(max(1 - value, 1e-12))


def find_crf(wanted: float, measure: Callable[[float], float]) -> float:
    """The crf, in hundredths, at which `measure` gives about `wanted` decibels.

    `measure` gives the quality at a crf. It is called a few times; its values need to fall only
    roughly with crf. Where no crf reaches `wanted`, the nearest end of the range is given.
    """
    tried: dict[float, float] = {}
    crf = _START
    for _ in range(_MOST_TRIALS):
        tried[crf] = min(measure(crf), 200.0)
        if abs(tried[crf] - wanted) <= _NEAR:
            break
        following = _next(wanted, tried)
        if following in tried:
            break
        crf = following
    return min(tried, key=lambda crf: abs(tried[crf] - wanted))


def _next(wanted: float, tried: dict[float, float]) -> float:
    """Where the target should be: on a line through the two trials nearest to it."""
    near = sorted(tried, key=lambda crf: abs(tried[crf] - wanted))[:2]
    slope = _DECIBELS_PER_CRF
    with contextlib.suppress(ValueError):
        a, b = near
        slope = max(_LEAST_SLOPE, (tried[a] - tried[b]) / (b - a))
    return round(in_range(near[0] + (tried[near[0]] - wanted) / slope), 2)
