"""Times of frames as text, in the timecode format v2 of Matroska's tools."""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO


class TimecodeWriter:
    """Writes a line for each frame, the time that it begins at, and one for the end of the last.

    Lines are milliseconds with six digits behind the point.

    Args:
        file: a binary file, which is neither flushed nor closed.

    Raises:
        OSError: the file cannot be written, here and in all methods.

    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end: Fraction | None = None
        file.write(b"# timecode format v2\n")

    def write(self, time: Fraction, duration: Fraction) -> None:
        """Add a frame that begins at `time` and lasts for `duration`, in seconds."""
        self._line(time)
        self._end = time + duration

    def close(self) -> None:
        """Add the end of the last frame."""
        if self._end is not None:
            self._line(self._end)

    def _line(self, time: Fraction) -> None:
        nanoseconds = round(time * 10**9)
        sign = "-" if nanoseconds < 0 else ""
        whole, part = divmod(abs(nanoseconds), 10**6)
        self._file.write(f"{sign}{whole}.{part:06d}\n".encode("ascii"))
