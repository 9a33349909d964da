"""Conversion of frames of any pixel format to planes of a sample format.

`kept_format` says which sample format of a choice keeps most of a source. A `Converter` gives the
planes of frames in it, through FFmpeg's scale filter where the samples have to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from nvcodec.media.colour import usual_matrix
from nvcodec.media.libav import reason
from nvcodec.media.notes import Notes
from nvcodec.picture import MONOCHROME, Plane, Planes, SampleFormat

LIMITED: Final = 0
FULL: Final = 1
UNSPECIFIED: Final = 2
"""Code point "unspecified" of primaries, transfer, matrix (H.273) and range (HEAD, spec 2.4)."""

_LAYOUTS: Final = {(1, 1): "yuv420p", (1, 0): "yuv422p", (0, 0): "yuv444p", (0, 1): "yuv440p"}
"""FFmpeg's planar formats by log2 of luma samples per chroma sample, across and down."""

_DEPTHS: Final = (8, 9, 10, 12, 14, 16)
"""Bits of samples that FFmpeg has planar formats for, but for some of yuv440p."""

_MISSING: Final = frozenset({"yuv440p9le", "yuv440p14le", "yuv440p16le"})

# Depth is reduced by rounding: of the scale filter's ways it adds the least error, and no noise
# that would have to be coded (decision 0016).
_EXACT: Final = "flags=bicubic+accurate_rnd+bitexact+full_chroma_inp:sws_dither=none"

_MATRICES: Final = {1: "bt709", 4: "fcc", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
"""The scale filter's names of matrix coefficients (H.273); others count as BT.601."""

_SAME_SHAPE: Final = 0.02
"""Difference of aspect ratios that is not seen."""

_BT2020: Final = 9
"""Primaries of BT.2020 (H.273)."""

_SITES: Final = {0: "left", 1: "center", 2: "topleft", 3: "top", 4: "bottomleft", 5: "bottom"}
"""The scale filter's names of chroma sample location types (H.273)."""


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


def rgb_matrix(primaries: int, height: int) -> int:
    """The matrix (H.273) that RGB is converted with, which is what players assume for YCbCr."""
    if primaries == _BT2020:
        return 9
    return usual_matrix(height)


def chroma_shift(pixel_format: VideoFormat) -> tuple[int, int]:
    """Log2 of luma samples per chroma sample, across and down; 0 where there is no chroma."""
    if is_rgb(pixel_format) or is_gray(pixel_format):
        return 0, 0
    # Sizes are rounded up, so those of one large even size give the shifts.
    across, down = pixel_format.chroma_width(1 << 12), pixel_format.chroma_height(1 << 12)
    return 12 - (across.bit_length() - 1), 12 - (down.bit_length() - 1)


def _depth(pixel_format: VideoFormat) -> int:
    """The bits of `_DEPTHS` that hold the format's samples, or the most of them."""
    if pixel_format.has_palette:
        return 8
    bits = max(c.bits for c in pixel_format.components if not c.is_alpha)
    return next((depth for depth in _DEPTHS if depth >= bits), _DEPTHS[-1])


def _has_alpha(pixel_format: VideoFormat) -> bool:
    return any(c.is_alpha for c in pixel_format.components) and not pixel_format.has_palette


def kept_format(
    pixel_format: VideoFormat, choice: Sequence[SampleFormat], turned: bool = False
) -> SampleFormat:
    """The sample format of a choice that loses least of a source, and then adds least to it.

    Colour counts more than depth, depth more than the resolution of chroma. `turned` says that
    rows will be columns.
    """
    depth, source = _depth(pixel_format), chroma_shift(pixel_format)
    gray = is_gray(pixel_format)
    if turned:
        source = source[::-1]

    def losses(samples: SampleFormat) -> tuple[int, ...]:
        lossless = not gray and samples.chroma_format == MONOCHROME
        finer = [a - b for a, b in zip(samples.chroma_shift, source, strict=True)]
        bits = depth - samples.bit_depth
        return (
            lossless,
            max(bits, 0),
            0 if gray else sum(max(step, 0) for step in finer),
            max(-bits, 0),
            gray and samples.chroma_format != MONOCHROME,
            # Gray that has to take chroma takes the least.
            -sum(finer) if gray else sum(max(-step, 0) for step in finer),
        )

    return min(choice, key=losses)


def range_of(frame: VideoFrame) -> int:
    """Range of the frame's own samples: LIMITED, FULL or UNSPECIFIED."""
    if frame.format.name.startswith("yuvj") or is_rgb(frame.format):
        return FULL
    declared = {1: LIMITED, 2: FULL}.get(frame.color_range, UNSPECIFIED)
    # libswscale, hence every FFmpeg tool, takes untagged gray as full range.
    return FULL if declared == UNSPECIFIED and is_gray(frame.format) else declared


def _planar(depth: int, shift: tuple[int, int]) -> str:
    """FFmpeg's planar format of a depth and chroma resolution."""
    return _LAYOUTS[shift] + ("" if depth == 8 else f"{depth}le")


class Converter:
    """Gives the planes of the frames of one source, all with the same format, size and range.

    Args:
        size: (width, height) of the planes in luma samples.
        samples: the sample format of the planes.
        shift: log2 of luma samples per chroma sample of the planes, across and down. That of
            `samples`, or its reverse for planes that will be turned by 90 degrees.
        matrix: matrix coefficients of the planes (H.273), used to convert RGB.
        full_range: range of the planes: LIMITED, FULL, or UNSPECIFIED, which counts as limited.
        sites: H.273 chroma sample location types 0..5, of the source and of the planes.
        notes: gets a line for each kind of conversion.

    """

    def __init__(
        self,
        size: tuple[int, int],
        samples: SampleFormat,
        shift: tuple[int, int],
        *,
        matrix: int,
        full_range: int,
        sites: tuple[int, int],
        notes: Notes,
    ) -> None:
        self._size = size
        self._samples = samples
        # Where only luma is taken, the least chroma is made.
        self._shift = (1, 1) if samples.chroma_format == MONOCHROME else shift
        self._matrix = matrix
        self._full = full_range == FULL
        self._sites = sites
        self._notes = notes
        planar = _planar(samples.bit_depth, self._shift)
        self._direct = {planar, planar.replace("yuv", "yuva"), planar.replace("yuv", "yuvj")}
        if samples.chroma_format == MONOCHROME:
            self._direct = {planar.replace(_LAYOUTS[self._shift], "gray")}
        self._graph: Graph | None = None
        self._graph_key: tuple[object, ...] = ()

    def planes(self, frame: VideoFrame, number: int) -> Planes:
        """The planes of frame `number` of the source, copied; raises ConversionError."""
        name = frame.format.name
        extent = "full" if self._full else "limited"
        same_range = (range_of(frame) == FULL) == self._full
        resized = (frame.width, frame.height) != self._size
        if resized:
            (width, height), (given, rows) = self._size, (frame.width, frame.height)
            distorts = abs(given * height - width * rows) > _SAME_SHAPE * width * rows
            self._notes.at(
                number,
                "scaled",
                f"scaled from {given}x{rows} to {width}x{height}, the size of the first frame"
                + (", which distorts it" if distorts else ""),
            )
        if _has_alpha(frame.format):
            self._notes.add("dropped the alpha channel")
        if is_rgb(frame.format):
            matrix = {1: "BT.709", 6: "BT.601", 9: "BT.2020"}.get(
                self._matrix, f"H.273 {self._matrix}"
            )
            self._notes.add(f"converted {name} to {self._samples}, {matrix} matrix, {extent} range")
        elif not self._same_samples(frame.format):
            self._notes.add(f"converted {name} to {self._samples}")
        elif not same_range:
            self._notes.at(number, "range", f"converted to {extent} range")
        if name not in self._direct or resized or not same_range:
            frame = self._reformat(frame, number, same_range)
        return tuple(_plane(frame, k, self._samples) for k in range(self._samples.planes))

    def _same_samples(self, pixel_format: VideoFormat) -> bool:
        """Whether a format has the samples of the planes, however they are packed."""
        if is_gray(pixel_format) != (self._samples.chroma_format == MONOCHROME):
            return False
        if max(c.bits for c in pixel_format.components) != self._samples.bit_depth:
            return False
        return is_gray(pixel_format) or chroma_shift(pixel_format) == self._shift

    def _reformat(self, frame: VideoFrame, number: int, same_range: bool) -> VideoFrame:
        name, source_range = frame.format.name, range_of(frame)
        key = name, frame.width, frame.height, source_range
        try:
            if self._graph is None or key != self._graph_key:
                self._graph = self._make_graph(frame, source_range, same_range)
                self._graph_key = key
            # Neither primaries nor matrix are converted. libswscale would refuse what it does not
            # know, and take the range from the frame.
            frame.colorspace = UNSPECIFIED
            frame.color_range = 0
            self._graph.vpush(frame)
            converted = self._graph.vpull()
        except (av.FFmpegError, ValueError) as error:
            raise ConversionError(
                f"no conversion of {name} at frame {number}: {reason(error)}"
            ) from error
        assert isinstance(converted, VideoFrame)
        return converted

    def _make_graph(self, frame: VideoFrame, source_range: int, same_range: bool) -> Graph:
        """The filters that convert frames like this one."""
        graph = Graph()
        last: FilterContext = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 25),
        )
        for target, options in self._steps(frame.format, source_range == FULL, same_range):
            scale = graph.add("scale", f"{self._size[0]}:{self._size[1]}:{_EXACT}:{options}")
            made = graph.add("format", target)
            last.link_to(scale)
            scale.link_to(made)
            last = made
        end = graph.add("buffersink")
        last.link_to(end)
        graph.configure()
        return graph

    def _steps(self, source: VideoFormat, full: bool, same_range: bool) -> list[tuple[str, str]]:
        """Formats to make one after the other, and how."""
        own, to = ("full" if is_full else "limited" for is_full in (full, self._full))
        gray = is_gray(source)
        options = f"in_range={own}:out_range={to}"
        if gray:
            # libswscale takes all gray as full range. What is made here has the source's own.
            options = "in_range=full:out_range=full"
        if is_rgb(source):
            options += f":out_color_matrix={_MATRICES.get(self._matrix, 'bt601')}"
        for side, site in zip(("in", "out"), self._sites, strict=True):
            options += f":{side}_chroma_loc={_SITES[site]}"
        depth, made = _depth(source), self._samples.bit_depth
        first, target = _planar(depth, self._shift), _planar(made, self._shift)
        # Only a change of depth alone rounds, others dither.
        apart = depth > made or (gray and not (same_range and depth == made))
        if apart and first not in _MISSING:
            return [(first, options), (target, f"in_range={own if gray else to}:out_range={to}")]
        return [(target, options)]


def _plane(frame: VideoFrame, index: int, samples: SampleFormat) -> Plane:
    plane = frame.planes[index]
    stored = samples.dtype.newbyteorder("<")
    stride = abs(plane.line_size) // stored.itemsize
    rows = np.frombuffer(memoryview(plane), stored, plane.height * stride)
    rows = rows.reshape(plane.height, stride)
    if plane.line_size < 0:
        rows = rows[::-1]
    return np.array(rows[:, : plane.width], samples.dtype, order="C")
