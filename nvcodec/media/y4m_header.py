"""Headers of Y4M that FFmpeg refuses: those of mixed progressive and interlaced frames."""

from __future__ import annotations

import os
from typing import Final

_SIGNATURE: Final = b"YUV4MPEG2 "
_LONGEST: Final = 256
"""Bytes of a header at most, its line end included."""

_MIXED: Final = b"Im"
_PROGRESSIVE: Final = b"Ip"


def is_mixed(start: bytes) -> bool:
    """Whether a file that starts so has frames that are progressive and frames that are not."""
    header, end, _ = start[:_LONGEST].partition(b"\n")
    return bool(end) and header.startswith(_SIGNATURE) and _MIXED in header.split(b" ")[1:]


def as_progressive(start: bytes) -> bytes:
    """The start of a mixed file, changed so that its frames count as progressive."""
    header, end, rest = start.partition(b"\n")
    tags = (_PROGRESSIVE if tag == _MIXED else tag for tag in header.split(b" "))
    return b" ".join(tags) + end + rest


def file_is_mixed(path: str) -> bool:
    """Whether a regular file is such a Y4M; raises OSError if it cannot be read."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return is_mixed(file.read(_LONGEST))
