"""PNG images of frames."""

from __future__ import annotations

import os
import re
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from nvcodec.media.description import VideoDescription
from nvcodec.media.output import OutputFile
from nvcodec.media.rgb import rgb_array, rgb_type
from nvcodec.media.video_frame import rows_of
from nvcodec.picture import Planes

_NUMBER = re.compile(r"%(0\d+)?d")


def is_pattern(path: str | os.PathLike[str]) -> bool:
    """Whether a path has one place for the number of a frame: %d, or %05d and the like."""
    return len(_NUMBER.findall(os.fspath(path))) == 1


class ImageWriter:
    """Writes each frame as a PNG file: RGB, or grey for monochrome, of full range.

    Samples have 8 bits for pictures of 8 bits, and 16 above. A file appears under its name when it
    is complete.

    Args:
        path: a path; in a pattern (`is_pattern`) the number of the frame takes its place.
        description: what the frames are.
        overwrite: whether files are replaced.

    Raises:
        UnsupportedError: there is no conversion to RGB.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        description: VideoDescription,
        *,
        overwrite: bool = False,
    ) -> None:
        self._path = os.fspath(path)
        self._description = description
        self._type = rgb_type(description.colour)
        self._overwrite = overwrite

    def write(self, planes: Planes, number: int) -> None:
        """Write frame `number`; raises FileExistsError and OSError."""
        pixels = rgb_array(planes, self._description.colour, self._type)
        name = _NUMBER.sub(lambda place: f"{number:{place[1] or ''}d}", self._path, count=1)
        with OutputFile(name, overwrite=self._overwrite) as out:
            out.file.write(self._png(pixels))
            out.commit()

    def _png(self, pixels: np.ndarray) -> bytes:
        described = self._description
        name = "rgb24" if pixels.ndim == 3 else "gray"
        if pixels.dtype == np.uint16:
            name = "rgb48be" if pixels.ndim == 3 else "gray16be"
        frame = VideoFrame(described.width, described.height, name)
        rows = pixels.reshape(described.height, -1)
        stored = rows.dtype.newbyteorder(">")
        rows_of(frame.planes[0], stored, rows.shape[1])[...] = rows
        frame.color_primaries, frame.color_trc = (
            described.colour.primaries,
            described.colour.transfer,
        )
        frame.pts, frame.time_base = 0, Fraction(1)
        context = av.CodecContext.create("png", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = described.width, described.height
        context.pix_fmt, context.time_base = name, Fraction(1)
        if described.sar is not None:
            context.sample_aspect_ratio = described.sar
        return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode()))
