"""Source to bitstream: the way through groups, a model's coder, and the container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

from nvcodec.device import require_device
from nvcodec.encode.control.again import (
    Rereadable,
    VideoSource,
    begun,
    can_read_again,
    require_writable,
)
from nvcodec.encode.control.passes import encode_in_passes
from nvcodec.encode.control.search import SIZE_RUN, crf_of_size, crf_of_start, crf_of_target
from nvcodec.encode.control.steering import AverageSteering, Steering
from nvcodec.encode.models import Segments
from nvcodec.encode.one_pass import OnePass, opened_source
from nvcodec.encode.result import EncodeResult, Observer, RateResult, Trial
from nvcodec.media.arrays import Pictures, frame_rate, readable
from nvcodec.media.notes import Note
from nvcodec.media.source import SourceError
from nvcodec.options import DEFAULTS, EncodeOptions, model_options, read_target, validate
from nvcodec.picture import Picture

if TYPE_CHECKING:
    from nvcodec.encode.segments.workers import Pool


def encode(
    source: str | os.PathLike[str] | BinaryIO | Pictures,
    output: str | os.PathLike[str] | BinaryIO,
    *,
    fps: float | Fraction | None = None,
    bit_depth: int | None = None,
    model: str = DEFAULTS.model,
    crf: float = DEFAULTS.crf,
    bitrate: float | None = DEFAULTS.bitrate,
    size: int | None = DEFAULTS.size,
    target: str | None = DEFAULTS.target,
    max_bitrate: float | None = DEFAULTS.max_bitrate,
    preset: str = DEFAULTS.preset,
    tune: str = DEFAULTS.tune,
    network: str = DEFAULTS.network,
    group_size: int | None = DEFAULTS.group_size,
    key_interval: float = DEFAULTS.key_interval,
    sample_format: str | None = DEFAULTS.sample_format,
    skip: int = DEFAULTS.skip,
    frames: int | None = DEFAULTS.frames,
    threads: int | None = DEFAULTS.threads,
    device: str = DEFAULTS.device,
    jobs: int = DEFAULTS.jobs,
    scheduler: str | None = DEFAULTS.scheduler,
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
        bitrate: bits of the file per second of video, in place of a crf. Two passes; of a source
            that can be read only once, a single pass, which is less exact.
        size: most bytes of the file, in place of a crf; within 2 % below it on videos of 200 frames
            and more. Two passes, more where they miss it.
        target: a quality in place of a crf, "psnr=38" (dB, all samples) or "ssim=0.98". The crf is
            searched on samples of the source.
        max_bitrate: most bits per second in any 2 seconds; the crf rises where it has to.
        preset: effort, "fast", "medium" or "slow"; of the hybrid model also "ultrafast", of the
            network "paper" also "paper".
        tune: of the hybrid model "psnr" for the least squared error, "visual" for the eye: coarser
            where texture masks errors, finer where it is calm.
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
        threads: of each job; the cores shared by the jobs for None. Bytes do not depend on it,
            but with the network "paper", where it is 1 for None: another number sums floats in
            another order and may give other bytes.
        device: torch device that trains the network "paper", "cpu" or "cuda"; "cpu" otherwise.
        jobs: processes that encode segments, the groups from a key group up to the next, side by
            side; on "cuda", one GPU after the other gets a job. Bytes do not depend on it. More
            than one needs a source with a path, a crf or target, and a calling script that guards
            its start with `if __name__ == "__main__":`.
        scheduler: address of a cluster of dask.distributed, "tcp://host:8786", whose workers are
            the jobs. They read the source at the same path or URL.
        resume: go on with the segments that an encode of the same settings finished before it was
            stopped, and leave them when this one is. They lie in a folder named as the output with
            ".segments" added, which jobs over 1 use too; it goes when the encode is complete.
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
        ClusterError: there is no such cluster, or it has another nvcodec, or is lost.
        SegmentError: a segment failed again and again.
        ArrayError: an array is no picture, or differs from those before it; a SourceError.
        ValueError: an argument is out of range, or `fps` is missing for arrays.
        OptionError: an option or sample format is none of the model, or does not fit the source.
        RateError: a size, bitrate or quality cannot be had, or not of a source that is a pipe.
        UnsupportedError: this machine does not have the device.

    """
    video = readable(source, fps, bit_depth)
    options = EncodeOptions(
        model=model,
        crf=crf,
        bitrate=bitrate,
        size=size,
        target=target,
        max_bitrate=max_bitrate,
        preset=preset,
        tune=tune,
        network=network,
        group_size=group_size,
        key_interval=key_interval,
        sample_format=sample_format,
        skip=skip,
        frames=frames,
        threads=threads,
        device=device,
        jobs=jobs,
        scheduler=scheduler,
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
    return encode_video(video, output, options, observer or Observer())


def encode_video(
    video: VideoSource,
    output: VideoSource,
    options: EncodeOptions,
    observer: Observer,
    pool: Pool | None = None,
) -> EncodeResult:
    """Encode a video as `encode`, by the workers of a pool if there is one."""
    validate(options)
    require_device(options.device)
    with contextlib.ExitStack() as stack:
        if options.scheduler is not None and pool is None:
            from nvcodec.encode.segments.workers import Pool

            pool = stack.enter_context(Pool(0, options.scheduler))
        return _encode(video, output, options, observer, pool)


def _encode(
    video: VideoSource,
    output: VideoSource,
    options: EncodeOptions,
    observer: Observer,
    pool: Pool | None,
) -> EncodeResult:
    crf, overwrite = options.crf, options.overwrite
    trials: list[Trial] = []
    if options.goals:
        require_writable(output, overwrite)
    if options.target is not None:
        # The result says how far the quality is from the target.
        measured = dict.fromkeys((*options.metrics, read_target(options.target).metric))
        options = options._replace(metrics=tuple(measured))
        crf, trials = crf_of_target(options, Rereadable(video, options, "target"), observer)
    for needed_by in ("size", "max_bitrate", "bitrate"):
        if needed_by in options.goals and (needed_by != "bitrate" or can_read_again(video)):
            again = Rereadable(video, options, needed_by.replace("_", "-"))
            if options.size is not None or options.bitrate is not None:
                crf, trials = crf_of_size(options, again, observer)
            return encode_in_passes(options, again, output, crf, trials, observer)
    segments = Segments.of(options, video, output, pool)
    with opened_source(video, options) as opened:
        pictures: Iterator[Picture] = opened
        whole = model_options(options).whole_crf
        steering = Steering(crf, opened.time_base, whole=whole)
        if options.bitrate is not None:
            roughly = "the bitrate is kept roughly, in a single pass, as the source is a pipe"
            opened.notes.append(Note(roughly))
            start, pictures = begun(opened, SIZE_RUN)
            crf, trials = crf_of_start(options, opened, start, observer)
            steering = AverageSteering(crf, options.bitrate / 8, opened.time_base, whole=whole)
        said = crf if options.bitrate is None else None
        one = OnePass.of(options, opened, steering, segments, observer, said, pictures)
        result = one.result
        if options.goals:
            result.rate = RateResult(options.goals, 1, steering.crfs, trials)
        with (
            contextlib.closing(one.coded()) as coded,
            segments.kept(result),
            one.writer.opened(output, overwrite) as file,
        ):
            if not options.resume:
                segments.start_over()
            observer.started(result, opened.frame_count_hint)
            one.writer.write(file, coded, segments.partial_after)
        missing = opened.missing
    if options.strict and missing is not None:
        raise SourceError(f"cannot read the whole source: {missing}")
    return result
