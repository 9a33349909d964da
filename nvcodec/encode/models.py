"""The seam between an encode and the models: options and a source to a model's coder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from nvcodec.encode.coder import VideoCoder
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.result import EncodeResult, Observer
from nvcodec.media.source import Source
from nvcodec.model.formats import RENDERED
from nvcodec.options import DEFAULTS, EncodeOptions, OptionError, model_options
from nvcodec.picture import SampleFormat
from nvcodec.version import __version__

if TYPE_CHECKING:
    from nvcodec.encode.segments.store import SegmentStore


def settings(options: EncodeOptions, crf: float | None) -> dict[str, Any]:
    """What a file's mETa says about its encode (spec 2.6): what is not the default, and the crf.

    `crf` is what its groups have, or have about; None where it is not known at the start. HEAD has
    the model.
    """
    chosen: dict[str, Any] = {} if crf is None else {"crf": int(crf) if crf == int(crf) else crf}
    chosen |= options.goals
    for name in ("preset", "tune", "network"):
        value = getattr(options, name)
        if value != getattr(DEFAULTS, name):
            chosen[name] = value
    return chosen


def coded_formats(options: EncodeOptions) -> tuple[SampleFormat, ...]:
    """The sample formats to choose from for a source: those of the model, or the one asked for.

    Raises OptionError when the model does not have that one.
    """
    offered = RENDERED[model_options(options).number]
    wanted = options.sample_format
    if wanted is None:
        return offered
    for samples in offered:
        if samples.name == wanted:
            return (samples,)
    names = ", ".join(samples.name for samples in offered)
    raise OptionError(f"the {options.model} model does not have format {wanted}, only {names}")


@dataclass(frozen=True)
class Segments:
    """The segments of an encode of the nirvana model; none of all this in the hybrid model.

    Attributes:
        store: where they are kept beside the output; None where there is no such place.
        source: the path that jobs read the source from; None where segments are no jobs.

    """

    store: SegmentStore | None = None
    source: str | None = None

    @classmethod
    def of(
        cls,
        options: EncodeOptions,
        source: str | os.PathLike[str] | BinaryIO,
        output: str | os.PathLike[str] | BinaryIO,
    ) -> Segments:
        """Those of an encode; nothing is read or written yet.

        Raises:
            JobsError: the source or output is none for jobs or resuming.
            FileExistsError: the output has segments, and the options do not say what to do.

        """
        if not model_options(options).segments:
            return cls()
        from nvcodec.encode.segments.coder import segment_store
        from nvcodec.encode.segments.jobs import require_path

        store = segment_store(output, options.resume, options.overwrite)
        return cls(store, require_path(source) if options.by_jobs else None)

    def start_over(self) -> None:
        """Delete the segments of an encode that was stopped."""
        if self.store is not None:
            self.store.remove()

    @contextlib.contextmanager
    def kept(self, result: EncodeResult) -> Iterator[None]:
        """Delete the segments after the block; if it fails, keep the finished ones."""
        try:
            yield
        except BaseException:
            result.resumable = self.store is not None and self.store.keep()
            raise
        self.start_over()


def make_coder(
    options: EncodeOptions,
    source: Source,
    steering: Steering,
    segments: Segments,
    observer: Observer,
) -> VideoCoder:
    """The coder of a model for the pictures of a source."""
    # Each model brings its libraries along: only one of them is needed.
    if options.model == "hybrid":
        return _hybrid(options, source, steering, observer)
    if options.network == "paper":
        return _sine(options, source, segments, observer)
    return _nirvana(options, source, steering, observer)


def _hybrid(
    options: EncodeOptions, source: Source, steering: Steering, observer: Observer
) -> VideoCoder:
    from nvcodec.encode.hybrid.effort import EFFORTS
    from nvcodec.encode.hybrid.video import HybridCoder

    return HybridCoder(
        source.width,
        source.height,
        steering=steering,
        effort=EFFORTS[options.preset],
        visual=options.tune == "visual",
        group_size=options.group_size,
        network="trained" if options.network == "auto" else options.network,
        metrics=options.metrics,
        threads=options.threads or os.cpu_count() or 1,
        report=observer.coding,
        sample_format=source.sample_format,
    )


def _nirvana(
    options: EncodeOptions, source: Source, steering: Steering, observer: Observer
) -> VideoCoder:
    from nvcodec.encode.nirvana.effort import EFFORTS
    from nvcodec.encode.nirvana.video import NirvanaCoder

    return NirvanaCoder(
        source.width,
        source.height,
        samples=source.sample_format,
        steering=steering,
        effort=EFFORTS[options.preset],
        group_size=options.group_size,
        metrics=options.metrics,
        threads=options.threads or os.cpu_count() or 1,
        report=observer.coding,
    )


def _sine(
    options: EncodeOptions, source: Source, segments: Segments, observer: Observer
) -> VideoCoder:
    from nvcodec.encode.segments.coder import Jobs
    from nvcodec.encode.sine.video import sine_coder

    jobs = None
    if segments.source is not None:
        basis = {
            "model": options.model,
            "key_interval": options.key_interval,
            "threads": options.threads or 1,
            "metrics": options.metrics,
            "nvcodec": __version__,
        }
        jobs = Jobs(
            count=options.jobs,
            source=segments.source,
            skip=options.skip,
            frames=options.frames,
            reading=options.reading,
            settings=settings(options, options.crf) | basis,
            store=segments.store,
        )
    return sine_coder(
        source.width,
        source.height,
        crf=options.crf,
        preset=options.preset,
        group_size=options.group_size,
        metrics=options.metrics,
        threads=options.threads or 1,
        device=options.device,
        jobs=jobs,
        report=observer.training,
    )
