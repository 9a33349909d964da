"""What libav needs and says: input files as it reads them, paths, and its errors in one line."""

from __future__ import annotations

import errno
import os
import re
from typing import Any, BinaryIO

import av

# libav also gives these for input that it finds wrong; then its log says more.
_VAGUE = (errno.EBUSY, errno.EINVAL)


def reason(error: BaseException) -> str:
    """What an error says, in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    # (level, component, text), against its declared type.
    log: Any = error.log if isinstance(error, av.FFmpegError) else None
    if log is not None and getattr(error, "errno", None) in _VAGUE:
        text = log[2].rstrip(".\n")
    return " ".join(text.split())


def location(path: str) -> str:
    """A path as libav takes it: a file called "take:1.mkv" is not the URL of a protocol "take"."""
    return f"file:{path}" if re.match(r"[\w.+-]+:", path) and os.path.exists(path) else path


class PromptReader:
    """A binary file for libav to read.

    It hands over what a buffered file has now, where `read` would wait for a full block.

    Attributes:
        empty: whether nothing has been read so far.

    """

    def __init__(self, file: BinaryIO) -> None:
        self._read = getattr(file, "read1", file.read)
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable
        self.empty = True
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
            # PyAV would print an interrupt and go on: libav is told that the file ends here.
            self._stopped = stop
            return b""
        if data:
            self.empty = False
        return data

    def check(self) -> None:
        """Raise the interrupt that ended the reading, if one did."""
        if self._stopped is not None:
            raise self._stopped
