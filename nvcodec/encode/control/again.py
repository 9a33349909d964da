"""Sources that are read more than once, and outputs that are written after that."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from nvcodec.encode.one_pass import opened_source
from nvcodec.media.output import OutputFile
from nvcodec.media.source import Source, SourceError
from nvcodec.options import EncodeOptions
from nvcodec.picture import Picture

VideoSource = str | os.PathLike[str] | BinaryIO


class RateError(Exception):
    """The size, bitrate or quality cannot be had. The message says why, in one sentence."""


def can_read_again(source: VideoSource) -> bool:
    """Whether a source can be read more than once: no pipe, no stream that cannot seek."""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if not os.path.exists(path):
            # An address: it can be opened again, unless it is that of a pipe.
            return not path.startswith(("pipe:", "fd:"))
        return stat.S_ISREG(os.stat(path).st_mode)
    with contextlib.suppress(OSError, AttributeError):
        return source.seekable()
    return False


def require_writable(output: VideoSource, overwrite: bool) -> None:
    """Raise FileExistsError or OSError now rather than after all that comes before writing."""
    if isinstance(output, str | os.PathLike) and os.fspath(output) != "-":
        path = os.fspath(output)
        if not os.path.exists(path) or os.path.isfile(path):
            with OutputFile(path, overwrite=overwrite):
                pass


class Rereadable:
    """A source that is opened again and again, always at the same place.

    Raises RateError for one that `can_read_again` denies, naming the option `needed_by`.
    """

    def __init__(self, source: VideoSource, options: EncodeOptions, needed_by: str) -> None:
        if not can_read_again(source):
            raise RateError(
                f"{needed_by} reads the source more than once, which a pipe does not allow: give a"
                " file, or ask for a bitrate or crf"
            )
        self._source = source
        self._options = options
        self._start = 0 if isinstance(source, str | os.PathLike) else source.tell()

    def opened(self) -> Source:
        """The source from its start, as of `open_source`."""
        if not isinstance(self._source, str | os.PathLike):
            self._source.seek(self._start)
        return opened_source(self._source, self._options)


def begun(source: Source, count: int) -> tuple[list[Picture], Iterator[Picture]]:
    """The first pictures of a source, and all of it again; damage is raised in its place there."""
    first: list[Picture] = []
    failure: list[SourceError] = []
    try:
        first.extend(islice(source, count))
    except SourceError as error:
        failure.append(error)

    def again() -> Iterator[Picture]:
        yield from first
        if failure:
            raise failure[0]
        yield from source

    return first, again()


def until_damage(source: Source) -> Iterator[Picture]:
    """The pictures of a source; those before the damage if it is damaged."""
    with contextlib.suppress(SourceError):
        yield from source
