"""Planes of a sample format as PyAV's frames, and back."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from nvcodec.media.colour import FULL_RANGE, UNSPECIFIED, Colour
from nvcodec.picture import Plane, Planes, SampleFormat

_CHROMA_NAMES: Final = ("gray", "yuv420p", "yuv422p", "yuv444p")


def pixel_format(sample_format: SampleFormat) -> str:
    """FFmpeg's name of a sample format: "yuv420p", "gray10le"."""
    name = _CHROMA_NAMES[sample_format.chroma_format]
    return name if sample_format.bit_depth == 8 else f"{name}{sample_format.bit_depth}le"


def range_code(full_range: int) -> int:
    """FFmpeg's number of a range of HEAD (spec 2.4)."""
    return {FULL_RANGE: 2, UNSPECIFIED: 0}.get(full_range, 1)


def rows_of(plane: VideoPlane, dtype: npt.DTypeLike, columns: int) -> npt.NDArray[Any]:
    """The memory of a plane as an array (rows, columns), without padding."""
    stride = plane.line_size // np.dtype(dtype).itemsize
    rows: npt.NDArray[Any] = np.ndarray((plane.height, stride), dtype, memoryview(plane))
    return rows[:, :columns]


def video_frame(planes: Planes, colour: Colour) -> VideoFrame:
    """A frame with a copy of the planes and the code points of the colours, without a time.

    The chroma location has no place in a frame of PyAV.

    Raises ValueError for planes that do not have the sample format of the colours.
    """
    sample_format = colour.sample_format
    rows, columns = planes[0].shape
    shapes = sample_format.plane_shapes(columns, rows)
    dtype = sample_format.dtype
    frame = VideoFrame(columns, rows, pixel_format(sample_format))
    for plane, target, shape in zip(planes, frame.planes, shapes, strict=True):
        if plane.shape != shape or plane.dtype != dtype:
            raise ValueError(f"plane of {plane.dtype} {plane.shape}, expected {dtype} {shape}")
        rows_of(target, dtype.newbyteorder("<"), shape[1])[...] = plane
    frame.color_primaries = colour.primaries
    frame.color_trc = colour.transfer
    frame.colorspace = colour.matrix
    frame.color_range = range_code(colour.full_range)
    return frame


def planes_of(frame: VideoFrame, sample_format: SampleFormat) -> Planes:
    """The planes of a frame whose pixel format is that of `sample_format`, copied."""
    shapes = sample_format.plane_shapes(frame.width, frame.height)
    stored = sample_format.dtype.newbyteorder("<")
    return tuple(
        _native(rows_of(plane, stored, columns), sample_format)
        for plane, (_, columns) in zip(frame.planes, shapes, strict=True)
    )


def _native(rows: npt.NDArray[Any], sample_format: SampleFormat) -> Plane:
    return np.array(rows, sample_format.dtype, order="C")
