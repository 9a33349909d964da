"""The crf for a quality: encodes of samples of a source until they have it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from nvcodec.encode.control.again import RateError, Rereadable, until_damage
from nvcodec.encode.control.samples import decibels, find_crf, measured_decibels, sample
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import group_pictures
from nvcodec.encode.models import Segments, make_coder
from nvcodec.encode.result import Observer, Trial
from nvcodec.encode.writing import source_header
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import Source
from nvcodec.options import EncodeOptions, model_options, read_target
from nvcodec.picture import Picture


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
        runs = sample(until_damage(opened))
        frames = sum(map(len, runs))

        def measure(crf: float) -> float:
            number = len(trials) + 1
            observer.trying(True, number, frames)
            size, meter = _encode(options, opened, runs, crf, target.metric, observer)
            quality = measured_decibels(meter, target.metric)
            if quality is None:
                raise RateError(
                    f"target {target.metric} needs pictures of 11 samples or more each way, which"
                    f" {opened.width} x {opened.height} has not"
                )
            value = meter.values()[target.metric]
            if target.metric == "psnr":
                value = value["all"]
            trials.append(Trial(True, number, crf, frames, size, value))
            observer.tried(trials[-1])
            return quality

        return find_crf(decibels(target), measure), trials


def _encode(
    options: EncodeOptions,
    opened: Source,
    runs: Sequence[Sequence[Picture]],
    crf: float,
    metric: str,
    observer: Observer,
) -> tuple[int, QualityMeter]:
    """Bytes of the substreams of all runs at a crf, and their quality."""
    model = model_options(options)
    options = options._replace(metrics=(metric,))
    meter, size = QualityMeter(options.metrics), 0
    for number, run in enumerate(runs):
        steering = Steering(crf, opened.time_base, whole=model.whole_crf)
        coder = make_coder(options, opened, steering, Segments(), Observer())
        groups = group_pictures(
            run,
            options.group_size or coder.shape.group_frames,
            coder.key_frames,
            Fraction(options.key_interval),
            opened.time_base,
        )
        for coded in coder.code(groups, source_header(opened, model.number, coder.level)):
            meter.merge(coded.meter)
            size += coded.group.substream_bytes
        observer.coding(number, len(run))
    return size, meter
