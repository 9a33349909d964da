"""The crf for a quality, or for a size, by encodes of samples of a source."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from nvcodec.encode.control.again import RateError, Rereadable, until_damage
from nvcodec.encode.control.samples import Samples, joined, sample
from nvcodec.encode.control.steering import HALVING, Steering, in_range
from nvcodec.encode.grouping import group_pictures
from nvcodec.encode.models import Segments, make_coder
from nvcodec.encode.result import Observer, Trial
from nvcodec.encode.writing import source_header
from nvcodec.format import Group
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import Source
from nvcodec.options import EncodeOptions, Target, model_options, read_target
from nvcodec.picture import Picture

_START = 30.0

_QUALITY_RUN = 80
_QUALITY_COUNTED = 49
"""Pictures of a run whose quality counts. Those after them are there for the lookahead: the last
pictures before an end get fewer bits than others."""

SIZE_RUN = 49
_SIZE_COUNTED = 33
"""The same for bytes: in hybrid the key picture and two groups."""

_AIM = 0.99
"""A first pass should be below a bound on the size: it may be the last one then."""

_SIZE_SHARE = 0.25
"""Samples for a size are at most this share of the source: a first pass corrects what they say."""

_MOST_TRIALS = 6
_MOST_SIZE_TRIALS = 3
_DECIBELS_PER_CRF = 0.5
"""Quality that is lost with a step of crf, before two trials have shown it."""

_NEAR_DECIBELS = 0.04
_NEAR_HALVINGS = 0.15
"""Trials end when they are so near to a quality, or a size."""

_GROUP_BYTES = 81
"""Bytes that the container takes for a group: its unit and its place in the index."""


@dataclass(frozen=True)
class _Encoded:
    """Groups of an encode of samples, of those pictures that count, and their quality."""

    groups: list[Group]
    meter: QualityMeter


def crf_of_target(
    options: EncodeOptions, source: Rereadable, observer: Observer
) -> tuple[float, list[Trial]]:
    """The crf for the target of the options, and the encodes of samples that found it.

    Raises:
        SourceError: the source cannot be read.
        RateError: pictures are too small for the metric.

    """
    assert options.target is not None
    target = read_target(options.target)
    trials: list[Trial] = []
    with source.opened() as opened:
        samples = joined(sample(until_damage(opened), _QUALITY_RUN))

        def measure(crf: float) -> float:
            options_ = options._replace(metrics=(target.metric,))
            most = samples.frames if samples.whole else _QUALITY_COUNTED
            coded = _encode(options_, opened, samples, crf, most, len(trials) + 1, observer)
            value = coded.meter.values()[target.metric]
            if value is None:
                raise RateError(
                    f"target {target.metric} needs pictures of 11 samples or more each way, which"
                    f" {opened.width} x {opened.height} has not"
                )
            value = value["all"] if target.metric == "psnr" else value
            _note(trials, crf, coded, value, observer)
            return decibels(Target(target.metric, value))

        return find_crf(decibels(target), measure), trials


def crf_of_size(
    options: EncodeOptions, source: Rereadable, observer: Observer
) -> tuple[float, list[Trial]]:
    """About the crf for the size or bitrate of the options, and the encodes that found it.

    Raises SourceError where the source cannot be read.
    """
    with source.opened() as opened:
        samples = sample(until_damage(opened), SIZE_RUN).at_most(_SIZE_SHARE)
        seconds = float(samples.ticks * opened.time_base)
        wanted = _AIM * options.size if options.size else (options.bitrate or 0) * seconds / 8
        return _crf_of_bytes(options, opened, samples, seconds, wanted, observer)


def crf_of_start(
    options: EncodeOptions, opened: Source, start: list[Picture], observer: Observer
) -> tuple[float, list[Trial]]:
    """The same for the bitrate of a source of which only the first pictures are known."""
    assert options.bitrate is not None
    ticks = sum(picture.duration for picture in start)
    seconds = float(ticks * opened.time_base)
    # The bytes of a key picture are shared by all pictures up to the next one.
    longer = max(1.0, options.key_interval / max(seconds, 1e-3))
    samples = Samples([start], round(longer * len(start)), round(longer * ticks))
    wanted = options.bitrate * longer * seconds / 8
    return _crf_of_bytes(options, opened, samples, longer * seconds, wanted, observer)


def _crf_of_bytes(
    options: EncodeOptions,
    opened: Source,
    samples: Samples,
    seconds: float,
    wanted: float,
    observer: Observer,
) -> tuple[float, list[Trial]]:
    """About the crf at which a source of so many seconds has the bytes wanted."""
    trials: list[Trial] = []
    keys = max(1.0, seconds / options.key_interval)
    tried: dict[float, float] = {}
    crf, halving = _START, HALVING
    for _ in range(_MOST_SIZE_TRIALS):
        coded = _encode(options, opened, samples, crf, _SIZE_COUNTED, len(trials) + 1, observer)
        _note(trials, crf, coded, None, observer)
        tried[crf] = math.log2(_whole_bytes(coded.groups, samples.frames, keys) / wanted)
        near = min(tried, key=lambda crf: abs(tried[crf]))
        if len(tried) > 1:
            a, b = sorted(tried, key=lambda crf: abs(tried[crf]))[:2]
            with contextlib.suppress(ZeroDivisionError):
                halving = min(12.0, max(3.0, (b - a) / (tried[a] - tried[b])))
        crf = round(in_range(near + halving * tried[near]), 2)
        if abs(tried[near]) < _NEAR_HALVINGS or crf in tried:
            break
    return crf, trials


def _whole_bytes(groups: list[Group], frames: int, keys: float) -> float:
    """Expected bytes of a source of so many frames and key groups, by groups of samples of it."""

    def mean(key: bool) -> tuple[float, float]:
        """Bytes and frames of a group."""
        found = [group for group in groups if group.key == key]
        sizes = sum(group.substream_bytes + _GROUP_BYTES for group in found)
        return sizes / max(1, len(found)), sum(g.frame_count for g in found) / max(1, len(found))

    key_bytes, key_frames = mean(True)
    other_bytes, other_frames = mean(False)
    others = max(0.0, frames - keys * key_frames) / max(1.0, other_frames)
    return keys * key_bytes + others * other_bytes


def _encode(
    options: EncodeOptions,
    opened: Source,
    samples: Samples,
    crf: float,
    counted: int,
    number: int,
    observer: Observer,
) -> _Encoded:
    """Encode samples at a crf; groups that end within `counted` pictures of their run count."""
    model = model_options(options)
    observer.trying(True, number, sum(map(len, samples.runs)))
    groups, meter, done = [], QualityMeter(options.metrics, opened.sample_format.peak), 0
    for run in samples.runs:
        steering = Steering(crf, opened.time_base, whole=model.whole_crf)
        coder = make_coder(options, opened, steering, Segments(), Observer())
        cut = group_pictures(
            run,
            options.group_size or coder.shape.group_frames,
            coder.key_frames,
            Fraction(options.key_interval),
            opened.time_base,
            opened.sample_format.bit_depth,
        )
        end = 0
        for coded in coder.code(cut, source_header(opened, model.number, coder.level)):
            end += coded.group.frame_count
            if end <= counted:
                groups.append(coded.group)
                meter.merge(coded.meter)
            observer.coding(done, coded.group.frame_count)
            done += 1
    return _Encoded(groups, meter)


def _note(
    trials: list[Trial], crf: float, coded: _Encoded, quality: float | None, observer: Observer
) -> None:
    frames = sum(group.frame_count for group in coded.groups)
    size = sum(group.substream_bytes for group in coded.groups)
    trials.append(Trial(True, len(trials) + 1, crf, frames, size, quality))
    observer.tried(trials[-1])


def decibels(target: Target) -> float:
    """A quality in decibels, which fall about evenly with crf."""
    if target.metric == "psnr":
        return min(target.value, 200.0)
    return -10 * math.log10(max(1 - target.value, 1e-12))


def find_crf(wanted: float, measure: Callable[[float], float]) -> float:
    """The crf, in hundredths, at which `measure` gives about `wanted` decibels.

    `measure` gives the quality at a crf. It is called a few times; its values need to fall only
    roughly with crf. Where no crf reaches `wanted`, the nearest end of the range is given.
    """
    tried: dict[float, float] = {}
    crf = _START
    for _ in range(_MOST_TRIALS):
        tried[crf] = measure(crf)
        if abs(tried[crf] - wanted) <= _NEAR_DECIBELS:
            break
        crf = _next(wanted, tried)
        if crf in tried:
            break
    return min(tried, key=lambda crf: abs(tried[crf] - wanted))


def _next(wanted: float, tried: dict[float, float]) -> float:
    """Where the target should be: on a line through the two trials nearest to it."""
    near = sorted(tried, key=lambda crf: abs(tried[crf] - wanted))[:2]
    slope = _DECIBELS_PER_CRF
    if len(near) == 2:
        a, b = near
        slope = min(2.0, max(0.05, (tried[a] - tried[b]) / (b - a)))
    return round(in_range(near[0] + (tried[near[0]] - wanted) / slope), 2)
