"""Planes of one sample format to those of another, and to RGB."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from av.filter import Graph

from nvcodec.media.colour import LUMA_WEIGHTS, rgb_of_ycbcr, usual_matrix
from nvcodec.media.description import FULL_RANGE, UNSPECIFIED, VideoDescription
from nvcodec.media.video_frame import pixel_format, planes_of, video_frame
from nvcodec.picture import MONOCHROME, Planes, SampleFormat

_EXACT: Final = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"

_IDENTITY: Final = 0
_YCGCO: Final = 8

# Constant luminance (10) is converted by the other matrix of BT.2020 (9), which comes near.
_SHARES: Final = LUMA_WEIGHTS | {10: LUMA_WEIGHTS[9]}


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
        self.description = replace(source, sample_format=target)
        self._source = source
        self._target = target
        # libswscale resamples chroma wrongly where a size is odd: pictures are padded for it.
        self._padded = replace(
            source,
            width=source.width + source.width % 2,
            height=source.height + source.height % 2,
            sample_format=_with_chroma(source.sample_format),
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
            frame = video_frame(planes, padded)
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
        extent = "pc" if padded.full_range == FULL_RANGE else "tv"
        location = padded.chroma_location_name
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


class MatrixError(ValueError):
    """The pictures cannot be shown as RGB: their matrix is not known."""


class RgbConversion:
    """Converts pictures of one video to RGB of full range.

    Samples are u8 for pictures of 8 bits and u16 above, where 65535 is white. Values are rounded to
    the nearest. An unspecified matrix counts as BT.709 from 720 rows on, else as BT.601.

    Args:
        source: describes the pictures.
        rows: rows of the whole film, which its unspecified matrix follows from.

    Raises:
        MatrixError: there is no conversion from the matrix of the pictures.

    """

    def __init__(self, source: VideoDescription, rows: int) -> None:
        self._source = source
        depth = source.sample_format.bit_depth
        self._dtype = np.dtype(np.uint8 if depth == 8 else np.uint16)
        self._peak = 255 if depth == 8 else 65535
        self._monochrome = source.sample_format.chroma_format == MONOCHROME
        matrix = source.matrix
        if matrix == UNSPECIFIED:
            matrix = usual_matrix(rows)
        full = source.full_range == FULL_RANGE
        black = 0 if full else 16 << (depth - 8)
        luma = source.sample_format.peak if full else 219 << (depth - 8)
        chroma = source.sample_format.peak if full else 224 << (depth - 8)
        if self._monochrome:
            weights = np.eye(1) / luma
            offsets = np.array([black])
        elif matrix == _IDENTITY:
            # The planes are G, B and R.
            weights = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]) / luma
            offsets = np.full(3, black)
        else:
            weights = _to_rgb(matrix) / np.array([luma, chroma, chroma])
            middle = source.sample_format.middle
            offsets = np.array([black, middle, middle])
        self._weights = (weights * self._peak).astype(np.float32)
        self._offsets = offsets.astype(np.float32)
        whole = source.sample_format if self._monochrome else SampleFormat(depth, 3)
        self._whole = Conversion(source, whole)

    def samples(self, planes: Planes) -> npt.NDArray[Any]:
        """One picture: (height, width, 3), R, G and B; (height, width) in monochrome."""
        shifted = [
            plane.astype(np.float32) - offset
            for plane, offset in zip(self._whole.planes(planes), self._offsets, strict=True)
        ]
        rgb = np.stack(
            [
                sum((w * p for w, p in zip(row, shifted, strict=True) if w), np.float32(0))
                for row in self._weights
            ],
            axis=-1,
        )
        rounded = np.clip(np.rint(rgb), 0, self._peak).astype(self._dtype)
        picture: npt.NDArray[Any] = rounded[..., 0] if self._monochrome else rounded
        return picture


def _to_rgb(matrix: int) -> npt.NDArray[np.float64]:
    """R, G and B (rows) of Y in 0..1, and Cb and Cr in -1/2..1/2 (H.273, clause 8.3)."""
    if matrix == _YCGCO:
        return np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]])
    if matrix not in _SHARES:
        raise MatrixError(
            f"no conversion to RGB from matrix coefficients {matrix} (H.273);"
            " a container or Y4M keeps the samples as they are"
        )
    return rgb_of_ycbcr(*_SHARES[matrix])
