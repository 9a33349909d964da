"""Chains of FFmpeg's filters on frames, by PyAV's filter graphs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from nvcodec.media.declared import Crop

DEINTERLACE = ("bwdif", "mode=send_frame:deint=interlaced")
"""Makes one progressive frame of each that is marked as interlaced."""


def cropping(crop: Crop) -> tuple[str, str]:
    """The filter that cuts a crop off; subsampled chroma rounds its left and top down."""
    left, top, right, bottom = crop
    return "crop", f"iw-{left + right}:ih-{top + bottom}:{left}:{top}"


class FrameFilter:
    """Frames through a chain of filters; begins anew where their size or format changes.

    Args:
        chain: (name, arguments) of each filter.
        time_base: seconds per tick of the frames' times.

    """

    def __init__(self, chain: list[tuple[str, str]], time_base: Fraction) -> None:
        self._chain = chain
        self._time_base = time_base
        self._graph: Graph | None = None
        self._kind: tuple[int, int, str] | None = None

    def of(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """The filtered frames; raises av.FFmpegError where a filter cannot take one."""
        for frame in frames:
            kind = frame.width, frame.height, frame.format.name
            if kind != self._kind:
                yield from self._rest()
                self._graph = self._made(frame)
                self._kind = kind
            assert self._graph is not None
            self._graph.vpush(frame)
            yield from self._ready()
        yield from self._rest()

    def _made(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=self._time_base,
            ),
            *(graph.add(name, arguments) for name, arguments in self._chain),
            # Filters may count in other ticks.
            graph.add("settb", f"{self._time_base.numerator}/{self._time_base.denominator}"),
            graph.add("buffersink"),
        ).configure()
        return graph

    def _rest(self) -> Iterator[VideoFrame]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
            self._graph = None

    def _ready(self) -> Iterator[VideoFrame]:
        while (frame := _pulled(self._graph)) is not None:
            yield frame


def top_field_first(frame: VideoFrame) -> bool:
    """Whether the top field of an interlaced frame comes first."""
    chain = [("select", "eq(interlace_type\\,TOPFIRST)")]
    return any(True for _ in FrameFilter(chain, Fraction(1, 25)).of(iter([frame])))


def has_aspect(frame: VideoFrame, aspect: Fraction) -> bool:
    """Whether the frame itself has that sample aspect ratio."""
    # The filter takes the ratio anew where a frame differs from what the graph was made for.
    wide, plain = 32, 16
    choice = f"w=if(lt(abs(sar-{float(aspect)})\\,1e-6)\\,{wide}\\,{plain}):h={plain}:eval=frame"
    (scaled,) = FrameFilter([("scale", choice)], Fraction(1, 25)).of(iter([frame]))
    return scaled.width == wide


def _pulled(graph: Graph | None) -> VideoFrame | None:
    if graph is None:
        return None
    try:
        return graph.vpull()
    except (av.BlockingIOError, av.EOFError):
        return None
