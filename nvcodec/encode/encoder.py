"""Source to bitstream: the way through groups, a model's coder, and the container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from fractions import Fraction
from typing import BinaryIO

from nvcodec.device import require_device
from nvcodec.encode.grouping import group_pictures
from nvcodec.encode.models import Segments, coded_formats, make_coder, settings
from nvcodec.encode.result import EncodeResult, Observer
from nvcodec.encode.writing import GroupWriter, source_header
from nvcodec.media.arrays import Pictures, frame_rate, readable
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import SourceError, open_source
from nvcodec.options import DEFAULTS, EncodeOptions, TrackChoice, model_options, validate


def encode(
    source: str | os.PathLike[str] | BinaryIO | Pictures,
    output: str | os.PathLike[str] | BinaryIO,
    *,
    fps: float | Fraction | None = None,
    bit_depth: int | None = None,
    model: str = DEFAULTS.model,
    crf: float = DEFAULTS.crf,
    preset: str = DEFAULTS.preset,
    network: str = DEFAULTS.network,
    group_size: int | None = DEFAULTS.group_size,
    key_interval: float = DEFAULTS.key_interval,
    sample_format: str | None = DEFAULTS.sample_format,
    skip: int = DEFAULTS.skip,
    frames: int | None = DEFAULTS.frames,
    threads: int | None = DEFAULTS.threads,
    device: str = DEFAULTS.device,
    jobs: int = DEFAULTS.jobs,
    resume: bool = DEFAULTS.resume,
    metrics: Sequence[str] = DEFAULTS.metrics,
    overwrite: bool = DEFAULTS.overwrite,
    tracks: str = DEFAULTS.tracks,
    audio: bool = DEFAULTS.audio,
    strict: bool = DEFAULTS.strict,
    deinterlace: bool = DEFAULTS.deinterlace,
    raw: tuple[int, int] | None = DEFAULTS.raw,
    pixel_format: str | None = DEFAULTS.pixel_format,
    observer: Observer | None = None,
) -> EncodeResult:
    """Encode a video.

    Args:
        source: path or URL of anything PyAV opens, name of an image sequence such as
            "img_%04d.png", a binary file object, or pictures: an iterable, which is read as the
            encode goes on, of RGB arrays, u8 (rows, columns, 3), or of tuples of planes (rows,
            columns), Y, Cb and Cr or Y alone. A video in one array, u8 (pictures, rows, columns,
            3), is such an iterable.
        fps: pictures per second of arrays, of raw video or of an image sequence, for which None
            is 25; a float is taken for the nearest fraction with a denominator up to 1001.
        bit_depth: of planes: 8 (None) for u8, 10 or 12 for u16.
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
        sample_format: what to code, one of options.FORMATS that the model has; None for the one of
            the model that keeps most of the source. Notes tell of conversions.
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
        tracks: which tracks of the source are carried beside the video: "all", "none", or kinds
            ("audio", "subtitle", "data") and numbers of its streams with commas between them. Their
            packets do not change; with `skip` or `frames`, those outside the coded part are left
            out.
        audio: whether audio tracks are among them.
        strict: whether a source that ends early raises SourceError, after all of it has been
            encoded; else that is a note only.
        deinterlace: whether interlaced frames are made progressive, by FFmpeg's bwdif.
        raw: (width, height) of a source that is raw video, without any header; None for others.
        pixel_format: FFmpeg's name of the format of raw video, None for yuv420p.
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
        ArrayError: an array is no picture, or differs from those before it; a SourceError.
        ValueError: an argument is out of range, or `fps` is missing for arrays.
        OptionError: an option or sample format is none of the model, or does not fit the source.
        UnsupportedError: this machine does not have the device.

    """
    video = readable(source, fps, bit_depth)
    options = EncodeOptions(
        model=model,
        crf=crf,
        preset=preset,
        network=network,
        group_size=group_size,
        key_interval=key_interval,
        sample_format=sample_format,
        skip=skip,
        frames=frames,
        threads=threads,
        device=device,
        jobs=jobs,
        resume=resume,
        metrics=tuple(dict.fromkeys(metrics)),
        overwrite=overwrite,
        tracks=tracks,
        audio=audio,
        strict=strict,
        deinterlace=deinterlace,
        raw=raw,
        pixel_format=pixel_format,
        fps=None if fps is None or video is not source else frame_rate(fps),
    )
    validate(options)
    require_device(device)
    observer = observer or Observer()
    segments = Segments.of(options, video, output)
    with open_source(
        video,
        skip=skip,
        frames=frames,
        reading=options.reading,
        tracks=TrackChoice.of(tracks, audio),
        sample_formats=coded_formats(options),
    ) as opened:
        coder = make_coder(options, opened, segments, observer)
        result = EncodeResult(
            opened.width,
            opened.height,
            coder.shape,
            opened.sample_format,
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
        )
        writer = GroupWriter(header, result, settings(options), observer, opened)
        with (
            contextlib.closing(coder.code(groups, header)) as coded,
            segments.kept(result),
            writer.opened(output, overwrite) as file,
        ):
            if not resume:
                segments.start_over()
            observer.started(result, opened.frame_count_hint)
            writer.write(file, coded)
        missing = opened.missing
    if strict and missing is not None:
        raise SourceError(f"cannot read the whole source: {missing}")
    return result
