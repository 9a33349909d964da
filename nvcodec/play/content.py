"""The bytes of the file that is played: of a path, a web address or a store that fsspec knows."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from nvcodec.media.remote import is_remote, open_remote

_BLOCK = 1 << 16
_SECONDS = 30.0


class Content(Protocol):
    """A file whose parts can be had."""

    name: str

    def size(self) -> int | None:
        """Bytes of the file; None if only a read to its end tells. OSError if it is not there."""

    def read(self, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, or to the end; OSError if reading fails.

        Where `size` is None, `start` is 0 and `end` is None.
        """


def open_content(source: str) -> Content:
    """The content of a path or URL; OSError if there is none."""
    content: Content
    if source.partition("://")[0] in ("http", "https"):
        content = _Web(source)
    elif is_remote(source):
        content = _Stored(source)
    else:
        content = _Local(source)
    content.size()
    return content


def _blocks(file: Any, count: int | None) -> Iterator[bytes]:
    while count is None or count > 0:
        data = file.read(_BLOCK if count is None else min(_BLOCK, count))
        if not data:
            return
        if count is not None:
            count -= len(data)
        yield data


class _Local:
    def __init__(self, path: str) -> None:
        self.name = os.path.basename(path)
        self._path = path

    def size(self) -> int:
        # Anew each time: the file may still be written.
        about = os.stat(self._path)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "not a file whose parts can be read", self._path)
        return about.st_size

    def read(self, start: int, end: int | None) -> Iterator[bytes]:
        with open(self._path, "rb") as file:
            file.seek(start)
            yield from _blocks(file, None if end is None else end - start)


class _Stored:
    def __init__(self, url: str) -> None:
        self.name = PurePosixPath(urlsplit(url).path).name
        self._url = url
        self._size: int | None = None

    def size(self) -> int:
        if self._size is None:
            with open_remote(self._url) as file:
                self._size = file.seek(0, os.SEEK_END)
        return self._size

    def read(self, start: int, end: int | None) -> Iterator[bytes]:
        with open_remote(self._url) as file:
            file.seek(start)
            yield from _blocks(file, None if end is None else end - start)


def _is_public(url: str) -> bool:
    """Whether all addresses of a URL's host are such as anyone can reach."""
    host = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0])).is_global for entry in found)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but from no public address into a private network or this machine."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise OSError(None, "the server leads to an address of another kind", newurl)
        if _is_public(req.full_url) and not _is_public(newurl):
            raise OSError(None, "the server leads into a private network", newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_Redirects)


class _Web:
    """A file of a web server; `size` is None where that server gives no parts."""

    def __init__(self, url: str) -> None:
        self.name = PurePosixPath(unquote(urlsplit(url).path)).name
        self._url = url
        self._asked = False
        self._size: int | None = None

    def size(self) -> int | None:
        if not self._asked:
            with self._open("bytes=0-0") as answer:
                total = answer.headers.get("Content-Range", "").rpartition("/")[2]
                if answer.status == 206 and total.isdigit():
                    self._size = int(total)
            self._asked = True
        return self._size

    def read(self, start: int, end: int | None) -> Iterator[bytes]:
        whole = self._size is None
        with self._open(
            None if whole else f"bytes={start}-{'' if end is None else end - 1}"
        ) as file:
            if not whole and file.status != 206:
                raise OSError(
                    None, "the server does not give the part that was asked for", self._url
                )
            yield from _blocks(file, None if end is None else end - start)

    def _open(self, part: str | None) -> Any:
        request = urllib.request.Request(self._url, headers={"Range": part} if part else {})
        try:
            return _OPENER.open(request, timeout=_SECONDS)
        except urllib.error.HTTPError as error:
            told = f"the server answers {error.code} {error.reason}"
            raise OSError(error.errno, told, self._url) from error
        except urllib.error.URLError as error:
            raise OSError(None, str(error.reason), self._url) from error
        except (HTTPException, ValueError) as error:
            raise OSError(None, f"no answer as HTTP has it: {error}", self._url) from error
