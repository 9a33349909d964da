"""The seam between an encode and the models: options and a source to a model's coder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from nvcodec.encode.coder import VideoCoder
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.result import EncodeResult, Observer
from nvcodec.media.source import Source, SourceError
from nvcodec.model.formats import RENDERED
from nvcodec.options import DEFAULTS, PAPER, EncodeOptions, OptionError, model_options
from nvcodec.picture import SampleFormat
from nvcodec.version import fingerprint

if TYPE_CHECKING:
    from nvcodec.encode.segments.store import SegmentStore
    from nvcodec.encode.segments.workers import Pool


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
    """The segments of an encode, where they are jobs.

    Attributes:
        store: where they are kept beside the output; None where there is no such place.
        source: the path that jobs read the source from; None where segments are no jobs.
        pool: of worker processes that several encodes share; None for one of this encode, if it
            needs one.

    """

    store: SegmentStore | None = None
    source: str | None = None
    pool: Pool | None = None

    @classmethod
    def of(
        cls,
        options: EncodeOptions,
        source: str | os.PathLike[str] | BinaryIO,
        output: str | os.PathLike[str] | BinaryIO,
        pool: Pool | None = None,
    ) -> Segments:
        """Those of an encode; nothing is read or written yet.

        Raises:
            JobsError: the source or output is none for jobs or resuming.
            FileExistsError: the output has segments, and the options do not say what to do.

        """
        from nvcodec.encode.segments.coder import segment_store
        from nvcodec.encode.segments.jobs import require_path

        store = segment_store(output, options.resume, options.overwrite)
        if not options.by_jobs and pool is None:
            return cls(store)
        return cls(store, require_path(source), pool)

    def start_over(self) -> None:
        """Delete the segments of an encode that was stopped."""
        if self.store is not None:
            self.store.remove()

    @property
    def partial_after(self) -> tuple[type[BaseException], ...]:
        """Errors after which the output has the groups before; after others it is not there.

        Segments that are kept lose nothing, so only what the user asks for and damage of the
        source leave a partial output.
        """
        if self.store is None or self.source is None:
            return (BaseException,)
        return (KeyboardInterrupt, SourceError)

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
    """The coder of a model for the pictures of a source.

    Where segments are jobs, `steering` gives the same crf to all groups.
    """
    make = _maker(options, source)
    threads = options.threads or max(1, (os.cpu_count() or 1) // options.jobs)
    coder = make(steering=steering, report=observer.coding, threads=threads)
    if segments.source is None:
        return coder
    from nvcodec.encode.segments.coder import Jobs, SegmentCoder
    from nvcodec.encode.segments.segment import SegmentCoding

    crf, whole = steering.least, model_options(options).whole_crf
    jobs = Jobs(
        count=options.jobs,
        pool=segments.pool,
        source=segments.source,
        skip=options.skip,
        frames=options.frames,
        reading=options.reading,
        device=options.device,
        settings=settings(options, crf) | _basis(options, source),
        store=segments.store,
    )
    fixed = options.threads is not None
    coding = SegmentCoding(make, crf, source.time_base, whole, threads, fixed)
    return SegmentCoder(coding, coder, steering, jobs, observer.segment)


def _basis(options: EncodeOptions, source: Source) -> dict[str, Any]:
    """What the bytes of segments depend on beside `settings`."""
    basis: dict[str, Any] = {
        "model": options.model,
        "key_interval": options.key_interval,
        "format": source.sample_format.name,
        "asked_group_size": options.group_size,
        "metrics": options.metrics,
        "nvcodec": fingerprint(),
    }
    if model_options(options) is PAPER:
        # Floats are summed in another order with other threads.
        import torch

        basis |= {"threads": options.threads or 1, "torch": torch.__version__}
    return basis


def _maker(options: EncodeOptions, source: Source) -> Callable[..., VideoCoder]:
    """What makes coders of a model, given a steering, a report and threads; can be pickled."""
    # Each model brings its libraries along: only one of them is needed.
    given: dict[str, Any] = {"metrics": options.metrics}
    if model_options(options) is PAPER:
        from nvcodec.encode.sine.settings import PRESETS, network_shape
        from nvcodec.encode.sine.video import SineCoder

        given |= {"shape": network_shape(options.group_size), "preset": PRESETS[options.preset]}
        given |= {"training_threads": options.threads or 1, "device": options.device}
        return partial(SineCoder, source.width, source.height, **given)
    given["group_size"] = options.group_size
    if options.model == "hybrid":
        from nvcodec.encode.hybrid.effort import EFFORTS
        from nvcodec.encode.hybrid.video import HybridCoder

        given |= {"effort": EFFORTS[options.preset], "sample_format": source.sample_format}
        network = "trained" if options.network == "auto" else options.network
        given |= {"visual": options.tune == "visual", "network": network}
        return partial(HybridCoder, source.width, source.height, **given)
    from nvcodec.encode.nirvana import effort
    from nvcodec.encode.nirvana.video import NirvanaCoder

    given |= {"effort": effort.EFFORTS[options.preset], "samples": source.sample_format}
    return partial(NirvanaCoder, source.width, source.height, **given)
