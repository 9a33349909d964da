"""Files of stores that fsspec knows, such as s3://bucket/a.mp4: to read, and to write whole.

What FFmpeg reads by itself is left to it.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Any, BinaryIO

_BY_FFMPEG = frozenset({"concat", "data", "file", "ftp", "http", "https", "pipe", "tcp", "udp"})

_COMPLETE = frozenset({"abfs", "adl", "az", "gcs", "gs", "oci", "oss", "s3", "s3a"})
"""Stores in which an object appears when all of it is there."""


def is_remote(path: str) -> bool:
    """Whether a path is the URL of a store of fsspec."""
    found = re.match(r"([a-z][a-z0-9+.-]*)://", path)
    if found is None or found[1] in _BY_FFMPEG:
        return False
    import fsspec

    return found[1] in fsspec.available_protocols()


def open_remote(url: str) -> Any:
    """The binary file of a URL, to read; OSError where there is none, or its package is missing."""
    system, path = _system(url)
    return _told(url, system.open, path, "rb")


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """The binary file of a path or URL, to read; OSError where there is none."""
    name = os.fspath(path)
    if is_remote(name):
        file: BinaryIO = open_remote(name)
        return file
    return open(name, "rb")


def exists_remote(url: str) -> bool:
    """Whether there is a file of this URL; OSError where the store does not say."""
    system, path = _system(url)
    return bool(_told(url, system.exists, path))


def remote_identity(url: str) -> dict[str, object]:
    """Values for JSON that change if the file of a URL is changed, as far as the store says."""
    system, path = _system(url)
    about = _told(url, system.info, path)
    marks = {name: about.get(name) for name in ("size", "ETag", "etag", "mtime", "LastModified")}
    return {name: str(value) for name, value in marks.items() if value is not None}


def upload(file: str, url: str) -> None:
    """Store a file under a URL; it appears there when it is whole. OSError if that fails."""
    system, path = _system(url)
    if url.partition(":")[0] in _COMPLETE:
        _told(url, system.put_file, file, path)
        return
    part = f"{path}.part"
    _told(url, system.put_file, file, part)
    _told(url, system.mv, part, path)


def _system(url: str) -> tuple[Any, str]:
    import fsspec

    system, path = _told(url, fsspec.core.url_to_fs, url)
    return system, path


def _told(url: str, work: Any, *arguments: Any) -> Any:
    """Call it; whatever a store raises becomes an OSError that names the URL."""
    try:
        return work(*arguments)
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error
    except Exception as error:
        # A missing package, missing rights, a network error: each store has errors of its own.
        text = " ".join(str(error).split()) or type(error).__name__
        raise OSError(errno.EIO, text, url) from error
