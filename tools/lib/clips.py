"""The clips that tools measure on: frames of video files, and files made from them.

Files are written as Y4M to a folder that the caller gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from nvcodec.media.source import Source, open_source
from nvcodec.media.y4m import Y4mWriter
from nvcodec.picture import YUV420P8, Planes

_SCALING = Interpolation.LANCZOS | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@dataclass(frozen=True)
class Clip:
    """At most `frames` (None: all) frames of a video file after `skip`, as 8-bit 4:2:0."""

    path: Path
    frames: int | None = None
    skip: int = 0

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def open(self) -> Source:
        """The frames, to be read once."""
        return open_source(
            self.path, skip=self.skip, frames=self.frames, sample_formats=(YUV420P8,)
        )

    def pictures(self) -> list[Planes]:
        """All frames, in memory."""
        with self.open() as source:
            return [picture.planes for picture in source]


def to_frame(planes: Planes) -> VideoFrame:
    """The planes as a PyAV frame; PyAV's own conversion does not support odd sizes."""
    height, width = planes[0].shape
    frame = VideoFrame(width, height, "yuv420p")
    for target, plane in zip(frame.planes, planes, strict=True):
        rows = np.ndarray((target.height, target.line_size), np.uint8, buffer=target)
        rows[:, : target.width] = plane
    return frame


def from_frame(frame: VideoFrame) -> Planes:
    """The planes of an 8-bit 4:2:0 frame; ValueError for others."""
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        raise ValueError(f"a frame of {frame.format.name}")
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(rows[: plane.height, : plane.width].copy())
    y, u, v = planes
    return y, u, v


def scaled(clip: Clip, size: tuple[int, int], folder: Path) -> Clip:
    """The clip at another size (width, height), by swscale's Lanczos."""
    scaler = VideoReformatter()

    def pictures(source: Source) -> Iterator[Planes]:
        for picture in source:
            frame = scaler.reformat(
                to_frame(picture.planes), *size, "yuv420p", interpolation=_SCALING, threads=1
            )
            yield from_frame(frame)

    with clip.open() as source:
        path = folder / f"{clip.name}_{size[0]}x{size[1]}.y4m"
        _write(path, pictures(source), *size, source)
    return replace(clip, path=path, skip=0)


def palindrome(clip: Clip, frames: int, folder: Path) -> Clip:
    """A clip of `frames` frames that plays forward and backward, without repeated end frames."""
    pictures = clip.pictures()
    turn = pictures + pictures[-2:0:-1]
    path = folder / f"{clip.name}_palindrome.y4m"
    height, width = pictures[0][0].shape
    with clip.open() as source:
        _write(path, (turn[k % len(turn)] for k in range(frames)), width, height, source)
    return Clip(path, frames)


def _write(path: Path, pictures: Iterable[Planes], width: int, height: int, like: Source) -> None:
    rate = like.frame_rate or Fraction(25)
    with path.open("wb") as file:
        writer = Y4mWriter(
            file, width, height, rate, like.sar, like.full_range, like.chroma_location
        )
        for planes in pictures:
            writer.write(planes)
