"""Planes of one sample format to those of another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from av.filter import Graph

from nvcodec.media.colour import FULL_RANGE, UNSPECIFIED
from nvcodec.media.description import VideoDescription
from nvcodec.media.video_frame import pixel_format, planes_of, video_frame
from nvcodec.picture import MONOCHROME, Planes, SampleFormat

_EXACT: Final = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"


class Conversion:
    """Converts pictures of one video to another sample format, in the same range and matrix.

    Chroma is resampled by its location. Monochrome becomes neutral chroma.

    Args:
        source: describes the pictures that come in.
        target: the format of those that come out.

    Attributes:
        description: describes the pictures that come out.

    """

    def __init__(self, source: VideoDescription, target: SampleFormat) -> None:
        self.description = source.in_format(target)
        self._source = source
        self._target = target
        # libswscale resamples chroma wrongly where a size is odd: pictures are padded for it.
        self._padded = replace(
            source.in_format(_with_chroma(source.sample_format)),
            width=source.width + source.width % 2,
            height=source.height + source.height % 2,
        )
        self._between = _with_chroma(target)
        self._graph: Graph | None = None

    def planes(self, planes: Planes) -> Planes:
        """The planes of one picture in the target format."""
        given = self._source.sample_format
        if given == self._target:
            return planes
        padded = self._padded
        shapes = padded.sample_format.plane_shapes(padded.width, padded.height)
        if given.chroma_format == MONOCHROME:
            neutral = np.full(shapes[1], given.middle, given.dtype)
            planes = (planes[0], neutral, neutral)
        planes = tuple(_enlarged(p, shape) for p, shape in zip(planes, shapes, strict=True))
        if padded.sample_format != self._between:
            graph = self._graph = self._graph or self._make_graph()
            frame = video_frame(planes, padded.colour)
            # The matrix is not converted. libswscale would refuse one that it does not know.
            frame.colorspace = UNSPECIFIED
            graph.vpush(frame)
            planes = planes_of(graph.vpull(), self._between)
        wanted = self._target.plane_shapes(self._source.width, self._source.height)
        return tuple(
            np.ascontiguousarray(plane[:rows, :columns])
            for plane, (rows, columns) in zip(planes, wanted, strict=False)
        )

    def _make_graph(self) -> Graph:
        padded = self._padded
        extent = "pc" if padded.colour.full_range == FULL_RANGE else "tv"
        location = padded.colour.chroma_location_name
        if location == "unspecified":
            location = "left"
        graph = Graph()
        buffer = graph.add(
            "buffer",
            f"video_size={padded.width}x{padded.height}:time_base=1/25"
            f":pix_fmt={pixel_format(padded.sample_format)}:range={extent}",
        )
        scale = graph.add(
            "scale",
            f"in_range={extent}:out_range={extent}:in_chroma_loc={location}"
            f":out_chroma_loc={location}:{_EXACT}",
        )
        chosen = graph.add("format", f"pix_fmts={pixel_format(self._between)}")
        graph.link_nodes(buffer, scale, chosen, graph.add("buffersink")).configure()
        return graph


def _with_chroma(sample_format: SampleFormat) -> SampleFormat:
    """The format, or 4:2:0 for monochrome."""
    return replace(sample_format, chroma_format=sample_format.chroma_format or 1)


def _enlarged(plane: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """The plane with its last row and column repeated up to a shape."""
    below, beside = shape[0] - plane.shape[0], shape[1] - plane.shape[1]
    return np.pad(plane, ((0, below), (0, beside)), "edge") if below or beside else plane
