"""Output files that appear under their name when they are complete."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO


class OutputFile:
    """A binary file for `path`, written beside it and renamed by `commit`.

    Without `commit` nothing is left behind. "-" is standard output, and what exists and is no
    regular file (a named pipe, a device) is written directly.

    Args:
        path: where the output shall appear.
        overwrite: whether it may replace a file.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false, here and in `commit`.
        OSError: `path` cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.name = os.fspath(path)
        self._overwrite = overwrite
        self._temporary: Path | None = None
        self._path = Path(path)
        self._standard = self.name == "-"
        if self._standard:
            self.file: BinaryIO = sys.stdout.buffer
            return
        try:
            mode = self._path.stat().st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        else:
            if stat.S_ISREG(mode) and not overwrite:
                raise FileExistsError(f"{self.name} exists (use -y to overwrite it)")
        if stat.S_ISREG(mode):
            self._temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            self.file = open(self._temporary or self._path, "wb")  # noqa: SIM115
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.name) from None

    def commit(self) -> None:
        """Flush, close and give the output its name."""
        self.file.flush()
        if self._standard:
            return
        self.file.close()
        if self._temporary is None:
            return
        if self._overwrite:
            os.replace(self._temporary, self._path)
        else:
            self._rename_new(self._temporary)
        self._temporary = None

    def _rename_new(self, temporary: Path) -> None:
        try:
            # A link fails where a rename would replace what has appeared meanwhile.
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
