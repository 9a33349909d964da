"""One way through a source: its pictures through a model's coder to the groups of a file."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from nvcodec.encode.coder import CodedGroup, VideoCoder
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import PictureGroup, group_pictures
from nvcodec.encode.models import Segments, coded_formats, make_coder, settings
from nvcodec.encode.result import EncodeResult, Observer
from nvcodec.encode.writing import GroupWriter, source_header
from nvcodec.format import Header
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import Source, open_source
from nvcodec.options import EncodeOptions, TrackChoice, model_options
from nvcodec.picture import Picture


def opened_source(source: str | os.PathLike[str] | BinaryIO, options: EncodeOptions) -> Source:
    """A source as the options read it; raises what `open_source` does."""
    return open_source(
        source,
        skip=options.skip,
        frames=options.frames,
        reading=options.reading,
        tracks=TrackChoice.of(options.tracks, options.audio),
        sample_formats=coded_formats(options),
    )


@dataclass(frozen=True)
class OnePass:
    """An encode of an open source that is about to begin.

    Attributes:
        result: grows while it runs.
        writer: for the groups of `coded`.

    """

    result: EncodeResult
    writer: GroupWriter
    _header: Header
    _coder: VideoCoder
    _groups: Iterator[PictureGroup]

    @classmethod
    def of(
        cls,
        options: EncodeOptions,
        source: Source,
        steering: Steering,
        segments: Segments,
        observer: Observer,
        crf: float | None,
        pictures: Iterable[Picture] | None = None,
    ) -> OnePass:
        """Prepare it; `crf` is what the file says of its groups, if that is known.

        `pictures` are those of the source, if some have been read before.
        """
        coder = make_coder(options, source, steering, segments, observer)
        result = EncodeResult(
            source.width,
            source.height,
            coder.shape,
            source.sample_format,
            notes=source.notes,
            meter=QualityMeter(options.metrics, source.sample_format.peak),
        )
        header = source_header(source, model_options(options).number, coder.level)
        groups = group_pictures(
            source if pictures is None else pictures,
            options.group_size or coder.shape.group_frames,
            coder.key_frames,
            Fraction(options.key_interval),
            source.time_base,
            source.sample_format.bit_depth,
        )
        writer = GroupWriter(header, result, settings(options, crf), observer, source)
        return cls(result, writer, header, coder, groups)

    def coded(self) -> Generator[CodedGroup, None, None]:
        """The coded groups, for the writer."""
        return self._coder.code(self._groups, self._header)
