"""One way through a source: its pictures through a model's coder to the groups of a file."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from nvcodec.encode.coder import CodedGroup, VideoCoder
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import PictureGroup, group_pictures
from nvcodec.encode.models import Segments, make_coder, settings
from nvcodec.encode.result import EncodeResult, Observer
from nvcodec.encode.writing import GroupWriter, source_header
from nvcodec.format import Header
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import Source
from nvcodec.options import EncodeOptions, model_options
from nvcodec.picture import Picture


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
            notes=source.notes,
            meter=QualityMeter(options.metrics),
        )
        header = source_header(source, model_options(options).number, coder.level)
        groups = group_pictures(
            source if pictures is None else pictures,
            options.group_size or coder.shape.group_frames,
            coder.key_frames,
            Fraction(options.key_interval),
            source.time_base,
        )
        writer = GroupWriter(header, result, settings(options, crf), observer)
        return cls(result, writer, header, coder, groups)

    def coded(self) -> Generator[CodedGroup, None, None]:
        """The coded groups, for the writer."""
        return self._coder.code(self._groups, self._header)
