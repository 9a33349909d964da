"""Pictures in memory to a source: a stream of raw video, made as it is read.

`open_source` reads the stream like any other, so that arrays are converted as files are.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, BinaryIO, Final, cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from nvcodec.media.colour import Colour
from nvcodec.media.source import SourceError
from nvcodec.media.video_frame import video_frame
from nvcodec.picture import MONOCHROME, Plane, Planes, SampleFormat

_MAX_TERM: Final = 2**31 - 1
_FLOAT_DENOMINATOR: Final = 1001

Pictures = Plane | Iterable[Plane | Planes]
"""RGB or planes for each picture, as `readable` says."""


class ArrayError(SourceError):
    """An array that is no picture, or not one of the same form as those before it."""


def readable(
    source: str | os.PathLike[str] | BinaryIO | Pictures,
    fps: float | Fraction | None,
    bit_depth: int | None,
) -> str | os.PathLike[str] | BinaryIO:
    """What `open_source` reads: paths and file objects as they are, arrays as a stream.

    Pictures are RGB, u8 (rows, columns, 3), or tuples of planes (rows, columns) in one of HEAD's
    chroma formats: Y, Cb and Cr, or Y alone. Planes are u8, or u16 with a `bit_depth` of 10 or 12.
    All pictures have the form and size of the first. An array of RGB (pictures, rows, columns, 3)
    will do. Only the first picture is taken here, the others as the stream is read.

    Raises:
        ArrayError: the first picture is none, or there is none. Reading raises it too.
        ValueError: `fps` is missing for arrays or no rate, the bit depth is none of these or given
            for a file, which has its own.

    """
    if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        if bit_depth is not None:
            raise ValueError("bit_depth is for arrays: a file has its own")
        return cast("str | os.PathLike[str] | BinaryIO", source)
    if bit_depth not in (None, 8, 10, 12):
        raise ValueError(f"bit_depth {bit_depth} is not 8, 10 or 12")
    if isinstance(source, np.ndarray) and source.ndim != 4:
        raise ArrayError(
            f"cannot read an array of shape {source.shape}: "
            "a video is (pictures, rows, columns, 3), or a list of pictures"
        )
    try:
        pictures = iter(source)
    except TypeError as error:
        raise ArrayError(
            f"cannot read {type(source).__name__}: a source is a path, a file object, "
            "or an iterable of arrays"
        ) from error
    return cast(BinaryIO, _RawVideo(pictures, frame_rate(fps), bit_depth or 8))


def frame_rate(fps: float | Fraction | None) -> Fraction:
    """Frames per second as a fraction; raises ValueError for none and for what is no rate."""
    if fps is None:
        raise ValueError("arrays have no frame rate: give fps")
    try:
        rate = Fraction(fps)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"fps {fps} is no frame rate") from error
    if isinstance(fps, float):
        rate = rate.limit_denominator(_FLOAT_DENOMINATOR)
    if not (rate > 0 and max(rate.numerator, rate.denominator) <= _MAX_TERM):
        raise ValueError(f"fps {fps} is no frame rate")
    return rate


class _RawVideo(io.RawIOBase):
    """A stream of raw video in NUT, whose every part is made when it is read."""

    name = "the arrays"

    def __init__(self, pictures: Iterator[Any], rate: Fraction, bit_depth: int) -> None:
        super().__init__()
        self._pictures = pictures
        self._rate = rate
        self._bit_depth = bit_depth
        self._count = 0
        self._shapes: list[tuple[int, ...]] = []
        self._waiting = bytearray()
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._next = self._frame()
        if self._next is None:
            raise ArrayError(f"cannot read {self.name}: there is no picture")
        self._begin(self._next)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` with what follows; raises ArrayError, and what the iterable does."""
        target = memoryview(buffer).cast("B")
        while not self._waiting and self._container is not None:
            self._make()
        size = min(len(target), len(self._waiting))
        target[:size] = self._waiting[:size]
        del self._waiting[:size]
        return size

    def _begin(self, frame: VideoFrame) -> None:
        sink = _Sink(self._waiting)
        self._container = av.open(cast(BinaryIO, sink), "w", format="nut")
        self._stream = self._container.add_stream("rawvideo", rate=self._rate)
        self._stream.width, self._stream.height = frame.width, frame.height
        self._stream.pix_fmt = frame.format.name

    def _make(self) -> None:
        """Append the next picture to what waits to be read."""
        container, stream = self._container, self._stream
        assert container is not None
        assert stream is not None
        frame = self._next if self._next is not None else self._frame()
        self._next = None
        container.mux(stream.encode(frame))
        if frame is None:
            self._container = None
            container.close()

    def _frame(self) -> VideoFrame | None:
        """The next picture with its time, or None at the end."""
        number = self._count
        try:
            picture = next(self._pictures)
        except StopIteration:
            return None
        frame, shapes = self._converted(picture, number)
        if self._shapes and shapes != self._shapes:
            raise ArrayError(
                f"cannot read picture {number}: arrays of {_listed(shapes)}, "
                f"those before have {_listed(self._shapes)}"
            )
        self._shapes = shapes
        self._count += 1
        frame.pts, frame.time_base = number, 1 / self._rate
        return frame

    def _converted(self, picture: Any, number: int) -> tuple[VideoFrame, list[tuple[int, ...]]]:
        """A picture as a frame, and the shapes of its arrays."""
        if isinstance(picture, np.ndarray):
            _require(picture.dtype == np.uint8, number, f"RGB is uint8, not {picture.dtype}")
            _require(
                picture.ndim == 3 and picture.shape[2] == 3 and picture.size > 0,
                number,
                f"RGB has the shape (rows, columns, 3), not {picture.shape}; planes are a tuple",
            )
            pixels = np.ascontiguousarray(picture)
            return VideoFrame.from_ndarray(pixels, "rgb24"), [picture.shape]
        planes = self._planes(picture, number)
        rows, columns = planes[0].shape
        shapes = [plane.shape for plane in planes]
        sample_format = next(
            (
                form
                for form in (SampleFormat(self._bit_depth, k) for k in (1, 2, 3, MONOCHROME))
                if shapes == list(form.plane_shapes(columns, rows))
            ),
            None,
        )
        _require(
            sample_format is not None,
            number,
            f"planes of {_listed(shapes)} are neither 4:2:0, 4:2:2, 4:4:4 nor luma alone",
        )
        assert sample_format is not None
        for plane in planes:
            _require(
                int(plane.max()) <= sample_format.peak,
                number,
                f"a sample is {int(plane.max())}, above {sample_format.peak}",
            )
        return video_frame(planes, Colour(sample_format, rows)), shapes

    def _planes(self, picture: Any, number: int) -> Planes:
        planes = tuple(picture) if isinstance(picture, tuple | list) else ()
        _require(
            len(planes) in (1, 3) and all(isinstance(plane, np.ndarray) for plane in planes),
            number,
            "it is neither an array of RGB nor a tuple of the planes Y, Cb and Cr, or of Y alone",
        )
        dtype = SampleFormat(self._bit_depth, MONOCHROME).dtype
        for plane in planes:
            _require(
                plane.dtype == dtype,
                number,
                f"planes are {dtype} with bit_depth={self._bit_depth}, not {plane.dtype}",
            )
            _require(
                plane.ndim == 2 and plane.size > 0,
                number,
                f"planes have the shape (rows, columns), not {plane.shape}",
            )
        return planes


class _Sink:
    """A file that PyAV writes to."""

    def __init__(self, target: bytearray) -> None:
        self._target = target

    def write(self, data: bytes) -> int:
        self._target += data
        return len(data)


def _require(holds: bool, number: int, broken: str) -> None:
    if not holds:
        raise ArrayError(f"cannot read picture {number}: {broken}")


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))
