"""Output files that get their name only when they are complete."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nvcodec.media.remote import exists_remote, is_remote, upload

try:
    import fcntl
except ImportError:
    # Windows has other locks.
    fcntl = None  # type: ignore[assignment]


class _DirectFile(io.FileIO):
    """An unbuffered file that writes all data of a call; its errors have the name the user gave.

    Without a buffer there is nothing to flush when the process exits, which could fail or block.
    """

    def __init__(self, file: str | int, mode: str, name: str, closefd: bool = True) -> None:
        self._shown = name
        with self._named():
            super().__init__(file, mode, closefd)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._shown) from None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data)
        while rest:
            with self._named():
                written = super().write(rest)
            if written is None:
                raise BlockingIOError(errno.EAGAIN, "it is in non-blocking mode", self._shown)
            rest = rest[written:]
        return len(data)

    def close(self) -> None:
        with self._named():
            super().close()


class OutputFile:
    """A binary file for `path`, written beside it and renamed by `commit`.

    Without `commit` nothing is left behind; what a killed process has left goes when the same path
    is written again. The URL of a store (nvcodec.media.remote) gets a file that was made in the
    folder for temporary ones. "-" is standard output. Existing paths that are not
    regular files (a named pipe, a device) are written directly. Symbolic links are followed.

    Args:
        path: where the output will appear.
        overwrite: whether it may replace a file.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false, here and in `commit`; or another
            process is writing it.
        OSError: `path` cannot be written.

    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.name = os.fspath(path)
        self._url = self.name if is_remote(self.name) else None
        self._overwrite = overwrite
        self._temporary: Path | None = None
        self._whole: int | None = None
        self._held: int | None = None
        self._path = Path(os.path.realpath(path))
        self._standard = self.name == "-"
        if self._standard:
            self.file = _standard_output()
            return
        if self._url is not None:
            if not overwrite and exists_remote(self._url):
                raise FileExistsError(f"{self.name} exists (use -y to overwrite it)")
            descriptor, made = tempfile.mkstemp(prefix="nvcodec-")
            self.file = _DirectFile(descriptor, "r+b", self.name)
            self._temporary = Path(made)
            return
        try:
            mode = self._path.stat().st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.name) from None
        if stat.S_ISREG(mode):
            if not overwrite and self._path.exists():
                raise FileExistsError(f"{self.name} exists (use -y to overwrite it)")
            # Only a part of the name, as the whole name may have the maximum length.
            number = zlib.crc32(os.fsencode(self._path.name))
            part = self._path.with_name(f".{self._path.name[:40]}.{number:08x}.part")
            if not _removed(part):
                raise FileExistsError(
                    f"{self.name} is being written by another process"
                    f" (if none is running, remove {part})"
                )
            self.file = _DirectFile(str(part), "x+b", self.name)
            self._temporary = part
            # A lock lasts until all descriptors of it are closed.
            self._held = os.dup(self.file.fileno())
            locked(self._held)
        else:
            self.file = _DirectFile(str(self._path), "wb", self.name)

    def mark(self) -> None:
        """Mark the data so far as complete: `commit` discards anything after the mark."""
        if self._temporary is not None:
            self._whole = self.file.tell()

    @property
    def cuttable(self) -> bool:
        """Whether a cut file is wanted: not where bytes have been sent on, or replace a store's."""
        if self._url is not None and exists_remote(self._url):
            return False
        return self._temporary is not None

    def cut(self, size: int) -> None:
        """Drop what has been written after `size` bytes."""
        self.file.truncate(size)
        self.file.seek(size)

    def set_aside(self) -> str | None:
        """Let `commit` leave a file that is there, and choose another name, which this gives.

        None if there is no file: then the name stays.
        """
        if self._url is not None or not self._path.exists():
            return None
        numbers = ("", *range(2, 1000))
        names = (f"{self._path.stem}.cut{number}{self._path.suffix}" for number in numbers)
        self._path = next(path for path in map(self._path.with_name, names) if not path.exists())
        self._overwrite = False
        return str(Path(self.name).with_name(self._path.name))

    def commit(self) -> None:
        """Flush, close and give the output its name."""
        self.file.flush()
        if self._standard:
            return
        if self._temporary is not None and self._whole is not None:
            self.file.truncate(self._whole)
        self.file.close()
        if self._temporary is None:
            return
        if self._url is not None:
            if not self._overwrite and exists_remote(self._url):
                raise FileExistsError(f"{self.name} has appeared meanwhile")
            upload(str(self._temporary), self._url)
            # The copy here goes at the end.
            return
        if self._overwrite:
            os.replace(self._temporary, self._path)
        else:
            self._rename_new(self._temporary)
        self._temporary = None
        self._release()

    def _release(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _rename_new(self, temporary: Path) -> None:
        try:
            # Unlike a rename, a link does not replace a file that has appeared meanwhile.
            os.link(temporary, self._path)
        except FileExistsError:
            raise FileExistsError(f"{self.name} has appeared meanwhile") from None
        except OSError:
            os.rename(temporary, self._path)
        else:
            temporary.unlink()

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._standard:
            return
        with contextlib.suppress(OSError):
            self.file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self._temporary.unlink()
        self._release()


def locked(descriptor: int) -> bool:
    """Lock an open file; False if another process has, or the file system has no locks."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _removed(part: Path) -> bool:
    """Remove the unfinished file of a killed process; False if a process is writing it."""
    try:
        with open(part, "rb", buffering=0) as file:
            if not locked(file.fileno()):
                return False
        part.unlink()
    except FileNotFoundError:
        return True
    except PermissionError:
        # Windows does not remove a file that is open.
        return False
    return True


def _standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed", "standard output")
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        # A replacement of standard output, as in tests and notebooks.
        return sys.stdout.buffer
    sys.stdout.flush()
    return _DirectFile(descriptor, "wb", "standard output", closefd=False)
