"""Source to bitstream: the way through groups, a model's coder, and the container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from fractions import Fraction
from typing import BinaryIO

from nvcodec.device import require_device
from nvcodec.encode.grouping import group_pictures
from nvcodec.encode.models import Segments, make_coder, settings
from nvcodec.encode.result import EncodeResult, Observer
from nvcodec.encode.writing import GroupWriter, source_header
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import open_source
from nvcodec.options import DEFAULTS, EncodeOptions, model_options, validate


def encode(
    source: str | os.PathLike[str] | BinaryIO,
    output: str | os.PathLike[str] | BinaryIO,
    *,
    model: str = DEFAULTS.model,
    crf: float = DEFAULTS.crf,
    preset: str = DEFAULTS.preset,
    network: str = DEFAULTS.network,
    group_size: int | None = DEFAULTS.group_size,
    key_interval: float = DEFAULTS.key_interval,
    skip: int = DEFAULTS.skip,
    frames: int | None = DEFAULTS.frames,
    threads: int | None = DEFAULTS.threads,
    device: str = DEFAULTS.device,
    jobs: int = DEFAULTS.jobs,
    resume: bool = DEFAULTS.resume,
    metrics: Sequence[str] = DEFAULTS.metrics,
    overwrite: bool = DEFAULTS.overwrite,
    observer: Observer | None = None,
) -> EncodeResult:
    """Encode a video.

    Args:
        source: path of anything PyAV opens, or a binary file object.
        output: path ("-" for standard output), or a binary file object, which is flushed after
            each group and not closed.
        model: "hybrid" or "nirvana".
        crf: quality, lower is better; the price of a bit doubles about every 3 steps, the
            quantiser's step every 6.
        preset: effort, "fast", "medium", "slow", or of the network "paper" also "paper".
        network: of the nirvana model "auto" for the network of the format, "paper" for the sine
            network, that of arXiv 2212.14593, trained anew. Of the hybrid model "trained" (and
            "auto") where groups train a part of the fusion network, "fixed" where they use its
            default weights or none, "off" for a bitstream without.
        group_size: frames of a group, 1..32, in the nirvana model 1..4; None for the network's
            own, and up to 16 by content in the hybrid model, whose key groups have one frame.
        key_interval: seconds from key group to key group at most (plus the rest of a group).
        skip: frames of the source to leave out at its start.
        frames: frames to encode, None for all.
        threads: one for each core for None; bytes do not depend on it. Of training in each job of
            the network "paper", 1 for None; another number sums floats in another order and may
            give other bytes.
        device: torch device that trains the network "paper", "cpu" or "cuda"; "cpu" otherwise.
        jobs: of the network "paper", processes that train segments, the groups from a key group up
            to the next, side by side; on "cuda", one GPU after the other gets a job. Bytes do not
            depend on it. More than one needs a source with a path, and a calling script that
            guards its start with `if __name__ == "__main__":`.
        resume: of the network "paper": go on with the segments that an encode of the same settings
            finished before it was stopped, and leave them when this one is. They lie in a folder
            named as the output with ".segments" added, which jobs over 1 use too; it goes when the
            encode is complete.
        metrics: what to measure, of options.METRICS.
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
    options = EncodeOptions(
        model=model,
        crf=crf,
        preset=preset,
        network=network,
        group_size=group_size,
        key_interval=key_interval,
        skip=skip,
        frames=frames,
        threads=threads,
        device=device,
        jobs=jobs,
        resume=resume,
        metrics=tuple(dict.fromkeys(metrics)),
        overwrite=overwrite,
    )
    validate(options)
    require_device(device)
    observer = observer or Observer()
    segments = Segments.of(options, source, output)
    with open_source(source, skip=skip, frames=frames) as opened:
        coder = make_coder(options, opened, segments, observer)
        result = EncodeResult(
            opened.width,
            opened.height,
            coder.shape,
            notes=opened.notes,
            meter=QualityMeter(options.metrics, opened.sample_format.peak),
        )
        header = source_header(opened, model_options(options).number, coder.level)
        groups = group_pictures(
            opened,
            group_size or coder.shape.group_frames,
            coder.key_frames,
            Fraction(key_interval),
            opened.time_base,
            opened.sample_format.bit_depth,
        )
        writer = GroupWriter(header, result, settings(options), observer)
        with (
            contextlib.closing(coder.code(groups, header)) as coded,
            segments.kept(result),
            writer.opened(output, overwrite) as file,
        ):
            if not resume:
                segments.start_over()
            observer.started(result, opened.frame_count_hint)
            writer.write(file, coded)
    return result
