"""Adapters to libav: files and paths in its form, its errors as one line, side data of frames."""

from __future__ import annotations

import errno
import os
import re
from typing import Any, BinaryIO

import av
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

from nvcodec.media import y4m_header

_START = 16
"""Bytes at the start of a file that say its format."""

# libav also uses these codes for invalid input; its log then has the real reason.
_VAGUE = (errno.EBUSY, errno.EINVAL)


def reason(error: BaseException) -> str:
    """The message of an error, in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    # (level, component, text), against its declared type.
    log: Any = error.log if isinstance(error, av.FFmpegError) else None
    if log is not None and getattr(error, "errno", None) in _VAGUE:
        text = log[2].rstrip(".\n")
    return " ".join(text.split())


def location(path: str) -> str:
    """A path in the form that libav takes, so that "take:1.mkv" is not the URL of a protocol."""
    return f"file:{path}" if re.match(r"[\w.+-]+:", path) and os.path.exists(path) else path


def _nameless(cls: type[Type], value: object) -> Type:
    kind = object.__new__(cls)
    vars(kind).update(_name_=f"KIND_{value}", _value_=value)
    return kind


# PyAV up to 18.1 raises ValueError for all side data of a frame that has a kind it has no name for,
# such as EXIF (PyAV's pull request 2392).
if "_missing_" not in vars(Type):
    Type._missing_ = classmethod(_nameless)  # type: ignore[method-assign, assignment]


def side_data(frame: VideoFrame) -> dict[str, SideData]:
    """The side data of a frame, by PyAV's names of its kinds."""
    # PyAV declares a mapping, but gives a sequence of the data.
    found: Any = frame.side_data
    return {data.type.name: data for data in found}


class PromptReader:
    """A binary file for libav to read.

    It passes on what a buffered file has now, where `read` would wait for a full block.

    Attributes:
        start: the first bytes read, enough to know a format by.
        taken: bytes read so far.
        mixed: whether it is Y4M of mixed fields and frames; libav takes all as progressive.

    """

    def __init__(self, file: BinaryIO) -> None:
        self._read = getattr(file, "read1", file.read)
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable
        self.start = b""
        self.taken = 0
        self.mixed = False
        self._stopped: BaseException | None = None

    def read(self, size: int) -> bytes:
        """The next bytes, none at the end."""
        if self._stopped is not None:
            return b""
        try:
            data: bytes = self._read(size)
        except Exception:
            # PyAV passes it on.
            raise
        except BaseException as stop:
            # PyAV would print an interrupt and go on. So libav is told that the file ends here.
            self._stopped = stop
            return b""
        if len(self.start) < _START:
            self.start += data[: _START - len(self.start)]
        self.taken += len(data)
        if y4m_header.is_mixed(data):
            self.mixed = True
            return y4m_header.as_progressive(data)
        return data

    def check(self) -> None:
        """Raise the interrupt that ended the reading, if one did."""
        if self._stopped is not None:
            raise self._stopped


class PromptWriter:
    """A binary file for libav to write, which an interrupt leaves whole.

    Attributes:
        name: the path that it is for.

    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable
        self._stopped: BaseException | None = None

    @property
    def closed(self) -> bool:
        """Whether the file is closed; libav then writes no more."""
        return self._file.closed

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        place = self._file.tell() if self.seekable() else 0
        try:
            self._file.write(data)
        except Exception:
            # PyAV passes it on.
            raise
        except BaseException as stop:
            # PyAV would print an interrupt and go on. So it waits for `check`.
            self._stopped = stop
            if self.seekable():
                self._file.seek(place)
                self._file.write(data)
        return len(data)

    def check(self) -> None:
        """Raise the interrupt that came while libav was writing, if one did, once."""
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            raise stopped
