"""Frames as one array in a NumPy file."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from nvcodec.media.description import VideoDescription
from nvcodec.media.rgb import rgb_array, rgb_type
from nvcodec.picture import Planes


class ArrayWriter:
    """Writes a .npy file with an array (frames, height, width, 3): R, G and B of full range.

    For monochrome it is (frames, height, width). Samples are u8 for pictures of 8 bits and u16
    above, where 65535 is white. `numpy.load` maps the file with `mmap_mode`.

    Args:
        file: a binary file that can seek; it is neither flushed nor closed.
        description: what the frames are.

    Attributes:
        frames: frames written so far.

    Raises:
        UnsupportedError: there is no conversion to RGB.
        OSError: the file cannot be written, here and in all methods.

    """

    def __init__(self, file: BinaryIO, description: VideoDescription) -> None:
        self.frames = 0
        self._file = file
        self._colour = description.colour
        self._type = rgb_type(description.colour)
        self._shape: tuple[int, ...] = (description.height, description.width)
        if description.sample_format.planes > 1:
            self._shape += (3,)
        self._stored = np.dtype(self._type).newbyteorder("<")
        self._write_header()

    def _write_header(self) -> None:
        # NumPy leaves room in the header for the first axis to grow.
        fields = {
            "descr": np.lib.format.dtype_to_descr(self._stored),
            "fortran_order": False,
            "shape": (self.frames, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, fields)

    def write(self, planes: Planes) -> None:
        """Append one frame."""
        samples = rgb_array(planes, self._colour, self._type)
        self._file.write(np.ascontiguousarray(samples, self._stored).tobytes())
        self.frames += 1

    def close(self) -> None:
        """Write the number of frames into the header."""
        self._file.seek(0)
        self._write_header()
        self._file.seek(0, 2)
