"""Pictures to frames of PyAV, and to RGB by libswscale."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import av
import av.filter
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from nvcodec.media.colour import Colour
from nvcodec.media.video_frame import pixel_format, range_code, rows_of
from nvcodec.picture import Planes, SampleFormat

_CHROMA_444: Final = 3

# FFmpeg's names, by code points of H.273.
_MATRIX_NAMES: Final = {
    1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc",
}  # fmt: skip
_LOCATION_NAMES: Final = {
    0: "left", 1: "center", 2: "topleft", 3: "top", 4: "bottomleft", 5: "bottom", 255: "left",
}  # fmt: skip

_BRIGHTEST: Final = 247
_STRONGEST: Final = 240
"""The greatest luma and chroma samples of limited range, of 8 bits, whose sums keep below twice
white with all matrices."""

_FLAGS: Final = "bilinear+full_chroma_int+accurate_rnd+bitexact"


def video_frame(planes: Planes, colour: Colour) -> VideoFrame:
    """A frame of `pixel_format` with copies of the planes and the code points of the colours.

    It has no time. The chroma location has no place in a frame of PyAV.
    """
    frame = VideoFrame(planes[0].shape[1], planes[0].shape[0], pixel_format(colour.sample_format))
    for target, samples in zip(frame.planes, planes, strict=True):
        stored = samples.dtype.newbyteorder("<")
        rows_of(target, stored, samples.shape[1])[...] = samples
    frame.color_primaries = colour.primaries
    frame.color_trc = colour.transfer
    frame.colorspace = colour.matrix
    frame.color_range = range_code(colour.full_range)
    return frame


def rgb_array(planes: Planes, colour: Colour) -> npt.NDArray[np.uint8]:
    """RGB of a picture, u8 (rows, columns, 3); raises UnsupportedError as `Colour.rgb_matrix`."""
    rows, columns = planes[0].shape
    if len(planes) == 1:
        # libswscale takes gray for full range. With neutral chroma it heeds the range.
        grey = np.full_like(planes[0], colour.sample_format.middle)
        planes = planes[0], grey, grey
        full_size = SampleFormat(colour.sample_format.bit_depth, _CHROMA_444)
        colour = Colour(full_size, colour.rows, full_range=colour.full_range)
    whole = _whole(_limited(planes, colour), colour.sample_format)
    return _converted(video_frame(whole, colour), colour)[:rows, :columns]


def _limited(planes: Planes, colour: Colour) -> Planes:
    """The planes without samples far beyond white: twice white wraps around in libswscale."""
    if colour.full:
        return planes
    unit = 1 << (colour.sample_format.bit_depth - 8)
    return tuple(
        np.minimum(plane, plane.dtype.type((_BRIGHTEST if k == 0 else _STRONGEST) * unit))
        for k, plane in enumerate(planes)
    )


def _whole(planes: Planes, sample_format: SampleFormat) -> Planes:
    """The planes with luma for all of the chroma samples: libswscale misplaces half ones."""
    across, down = sample_format.chroma_shift
    luma, *chroma = planes
    padding = [
        (0, -size % (1 << shift)) for size, shift in zip(luma.shape, (down, across), strict=True)
    ]
    return np.pad(luma, padding, "edge"), *chroma


def _converted(frame: VideoFrame, colour: Colour) -> npt.NDArray[np.uint8]:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    extent = "full" if colour.full else "limited"
    scale = graph.add(
        "scale",
        f"in_color_matrix={_MATRIX_NAMES[colour.rgb_matrix]}:in_range={extent}:out_range=full:"
        f"in_chroma_loc={_LOCATION_NAMES[colour.chroma_location]}:flags={_FLAGS}",
    )
    to_rgb = graph.add("format", "pix_fmts=rgb24")
    sink = graph.add("buffersink")
    graph.link_nodes(source, scale, to_rgb, sink).configure()
    graph.push(frame)
    shown: Any = graph.pull()
    rgb: npt.NDArray[np.uint8] = shown.to_ndarray()
    return rgb
