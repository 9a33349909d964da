"""Comparison of what comes out with the source: pictures, times, tracks, colours.

Sources and outputs are read with PyAV alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from nvcodec.format import Hdr
from nvcodec.media.hdr import read_hdr
from tools.combinations.cases import TURNS

Arrays = list[npt.NDArray[Any]]


@dataclass(frozen=True)
class Film:
    """A file as PyAV reads it.

    Attributes:
        frames: of its first video.
        times: their times in seconds.
        packets: for each track beside the video that has any, its packets.
        languages: of these tracks.

    """

    frames: list[VideoFrame]
    times: list[Fraction]
    packets: list[list[tuple[Fraction, bytes]]]
    languages: list[str]

    @property
    def colours(self) -> tuple[int, int, int, int]:
        """Primaries, transfer, matrix (H.273) and FFmpeg's range of the first frame."""
        first = self.frames[0]
        return first.color_primaries, first.color_trc, first.colorspace, first.color_range

    @property
    def hdr(self) -> Hdr | None:
        """Mastering display and content light level of the first frame."""
        return read_hdr(self.frames[0])


def read(path: str | Path) -> Film:
    """Read a file, or an image sequence by its pattern."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = []
        packets: dict[int, list[tuple[Fraction, bytes]]] = {
            stream.index: [] for stream in container.streams if stream is not video
        }
        for packet in container.demux():
            if packet.stream is video:
                frames += video.decode(packet)
            elif packet.size:
                assert packet.pts is not None
                time = packet.pts * packet.time_base
                packets[packet.stream.index].append((time, bytes(packet)))
        languages = [container.streams[k].metadata.get("language", "") for k in packets]
        times = [(frame.pts or 0) * (frame.time_base or Fraction(1)) for frame in frames]
    return Film(frames, times, list(packets.values()), languages)


def own_format(frame: VideoFrame) -> str:
    """The pixel format that pictures are compared in: that of the frame, planar, without alpha."""
    name = frame.format.name
    if frame.format.is_rgb or frame.format.has_palette:
        deep = any(component.bits > 8 for component in frame.format.components)
        return "rgb48le" if deep else "rgb24"
    return name.replace("yuva", "yuv").replace("yuvj", "yuv")


def samples(frame: VideoFrame, name: str, turn: str | None = None) -> Arrays:
    """The planes of a frame in a format of `own_format`, turned."""
    given = frame.format.name
    if given.replace("yuva", "yuv").replace("yuvj", "yuv") != name:
        frame = frame.reformat(format=name)
    depth = max(component.bits for component in frame.format.components)
    dtype = np.dtype("u1" if depth == 8 else "<u2")
    packed = 3 if name.startswith("rgb") else 1
    planes = []
    for plane in list(frame.planes)[: 1 if packed == 3 else len(frame.format.components)]:
        rows = np.ndarray(
            (plane.height, plane.line_size // dtype.itemsize), dtype, memoryview(plane)
        )
        rows = rows[:, : plane.width * packed].copy()
        planes += [rows[:, k::packed] for k in range(packed)]
    if any(component.is_alpha for component in frame.format.components):
        planes = planes[:-1]
    degrees, mirrored = TURNS[turn]
    planes = [np.rot90(plane, degrees // 90) for plane in planes]
    return [plane[:, ::-1] if mirrored else plane for plane in planes]


def psnr(pictures: list[Arrays], others: list[Arrays], peak: int) -> float:
    """PSNR of all samples in dB, infinite for equal ones; 0 where sizes or numbers differ."""
    if [[p.shape for p in planes] for planes in pictures] != [
        [p.shape for p in planes] for planes in others
    ]:
        return 0.0
    error = count = 0.0
    for planes, other in zip(pictures, others, strict=True):
        for plane, reference in zip(planes, other, strict=True):
            error += float(((plane.astype(np.float64) - reference) ** 2).sum())
            count += plane.size
    return 10 * math.log10(peak**2 * count / error) if error else math.inf


def peak_of(frame: VideoFrame, name: str) -> int:
    """The greatest sample of a format of `own_format`."""
    if name == "rgb48le":
        return 65535
    return int((1 << max(component.bits for component in frame.format.components)) - 1)


def timecodes(path: Path) -> list[Fraction]:
    """The times in seconds of a timecode file, the end of the last frame too."""
    return [Fraction(line) / 1000 for line in path.read_text().splitlines()[1:]]


def farthest(times: list[Fraction], others: list[Fraction]) -> float:
    """Most milliseconds between two lists of times; infinite where their lengths differ."""
    if len(times) != len(others):
        return math.inf
    return max((float(abs(a - b)) * 1000 for a, b in zip(times, others, strict=True)), default=0.0)
