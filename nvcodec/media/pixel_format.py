"""Conversion of frames of any pixel format to the planes that the codec takes: 8-bit 4:2:0."""

from __future__ import annotations

from typing import Final

import av
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from nvcodec.media.libav import reason
from nvcodec.media.notes import Notes
from nvcodec.picture import YUV420P8, Plane, Planes

LIMITED: Final = 0
FULL: Final = 1
UNSPECIFIED: Final = 2
"""Code point "unspecified" of primaries, transfer, matrix (H.273) and range (HEAD, spec 2.4)."""

# YUV420P8: FFmpeg's name, and in words.
_TARGET: Final = "yuv420p"
_IN_WORDS: Final = "8-bit 4:2:0"

# Formats whose first three planes are YUV420P8 without conversion.
_DIRECT_FORMATS: Final = frozenset({_TARGET, "yuvj420p", "yuva420p"})

_EXACT: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

_SWS_MATRIX: Final = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}


class ConversionError(ValueError):
    """A frame that cannot be converted. The message names its format and number."""


def is_gray(pixel_format: VideoFormat) -> bool:
    """Whether the format has luma only (possibly with alpha)."""
    colour = [c for c in pixel_format.components if not c.is_alpha]
    return len(colour) == 1 and not pixel_format.has_palette and not is_rgb(pixel_format)


def is_rgb(pixel_format: VideoFormat) -> bool:
    """Whether the format has no luma (RGB, palette, Bayer, XYZ); a matrix has to make it."""
    return (
        pixel_format.is_rgb
        or pixel_format.has_palette
        or pixel_format.is_bayer
        or pixel_format.name.startswith("xyz")
    )


def _has_alpha(pixel_format: VideoFormat) -> bool:
    return any(c.is_alpha for c in pixel_format.components) and not pixel_format.has_palette


def range_of(frame: VideoFrame) -> int:
    """Range of the frame's own samples: LIMITED, FULL or UNSPECIFIED."""
    if frame.format.name.startswith("yuvj") or is_rgb(frame.format):
        return FULL
    declared = {1: LIMITED, 2: FULL}.get(frame.color_range, UNSPECIFIED)
    # libswscale, hence every FFmpeg tool, takes untagged gray as full range.
    return FULL if declared == UNSPECIFIED and is_gray(frame.format) else declared


class Converter:
    """Gives the planes of the frames of one source, all with the same size and range.

    Args:
        size: (width, height) of the planes in luma samples.
        matrix: matrix coefficients of the planes (H.273), used to convert RGB.
        full_range: range of the planes: LIMITED, FULL, or UNSPECIFIED, which counts as limited.
        notes: gets a line for each kind of conversion.

    """

    def __init__(self, size: tuple[int, int], matrix: int, full_range: int, notes: Notes) -> None:
        self._size = size
        self._matrix = matrix
        self._full = full_range == FULL
        self._notes = notes
        self._reformatter = VideoReformatter()

    def planes(self, frame: VideoFrame, number: int) -> Planes:
        """The planes of frame `number` of the source, copied; raises ConversionError."""
        name = frame.format.name
        extent = "full" if self._full else "limited"
        same_range = (range_of(frame) == FULL) == self._full
        resized = (frame.width, frame.height) != self._size
        if resized:
            self._notes.at(
                number,
                "scaled",
                f"scaled from {frame.width}x{frame.height} to {self._size[0]}x{self._size[1]},"
                " the size of the first frame",
            )
        if _has_alpha(frame.format):
            self._notes.add("dropped the alpha channel")
        if is_rgb(frame.format):
            matrix = {1: "BT.709", 6: "BT.601"}.get(self._matrix, f"H.273 {self._matrix}")
            self._notes.add(f"converted {name} to {_IN_WORDS}, {matrix} matrix, {extent} range")
        elif name not in _DIRECT_FORMATS:
            self._notes.add(f"converted {name} to {_IN_WORDS}")
        elif not same_range:
            self._notes.at(number, "range", f"converted to {extent} range")
        if name not in _DIRECT_FORMATS or resized or not same_range:
            frame = self._reformat(frame, number, same_range)
        return _plane(frame, 0), _plane(frame, 1), _plane(frame, 2)

    def _reformat(self, frame: VideoFrame, number: int, same_range: bool) -> VideoFrame:
        target = ColorRange.JPEG if self._full else ColorRange.MPEG
        source = ColorRange.JPEG if range_of(frame) == FULL else ColorRange.MPEG
        matrix = None
        flags = _EXACT
        if is_rgb(frame.format):
            matrix = _SWS_MATRIX.get(self._matrix, Colorspace.ITU601)
            flags |= Interpolation.FULL_CHR_H_INP
        else:
            # The matrix is not converted. libswscale would refuse one that it does not know.
            frame.colorspace = UNSPECIFIED
            if same_range and is_gray(frame.format):
                # libswscale has no limited-range gray; it would rescale the samples.
                source = target = ColorRange.JPEG
        try:
            return self._reformatter.reformat(
                frame,
                *self._size,
                _TARGET,
                dst_colorspace=matrix,
                interpolation=flags,
                src_color_range=source,
                dst_color_range=target,
                threads=1,
            )
        except (av.FFmpegError, ValueError) as error:
            raise ConversionError(
                f"no conversion of {frame.format.name} at frame {number}: {reason(error)}"
            ) from error


def _plane(frame: VideoFrame, index: int) -> Plane:
    plane = frame.planes[index]
    samples = YUV420P8.dtype
    stride = abs(plane.line_size) // samples.itemsize
    rows = np.frombuffer(memoryview(plane), samples, plane.height * stride)
    rows = rows.reshape(plane.height, stride)
    if plane.line_size < 0:
        rows = rows[::-1]
    return np.array(rows[:, : plane.width], order="C")
