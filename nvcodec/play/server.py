"""A web server on this machine alone: the page of the player, and one file in parts.

It listens on 127.0.0.1, refuses requests in any other name (so no web site can reach it through a
name of its own), and has no path but those of the page and the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from nvcodec.play.content import Content

ADDRESS = "127.0.0.1"
_NAMES = (ADDRESS, "localhost")
_FILE = "/file/"
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "wasm": "application/wasm",
    "wgsl": "text/wgsl; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self';"
        " style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and end of the part that a Range header asks for; None for the whole file.

    A header of another form than one range of bytes is ignored, as HTTP wants. ValueError if the
    file does not reach there.
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (header or "").replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= size:
        raise ValueError(f"byte {start} of {size}")
    return start, end


class PlayServer(ThreadingHTTPServer):
    """Serves the page and `content`; a free port is taken unless one is given.

    Raises OSError if the port is taken.
    """

    daemon_threads = True

    def __init__(self, content: Content, port: int = 0) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.content = content
        self.hosts = {f"{name}:{self.server_port}" for name in _NAMES}
        if self.server_port == 80:
            self.hosts.update(_NAMES)
        self.file_path = _FILE + quote(os.fsencode(content.name or "video.nrv"), safe="")
        self.page = {
            "/" + entry.name: entry.read_bytes()
            for entry in files("nvcodec.play").joinpath("page").iterdir()
            if entry.name.rpartition(".")[2] in _TYPES
        }
        self.page["/"] = self.page["/index.html"]

    @property
    def url(self) -> str:
        """The address of the page with the file."""
        return f"http://{ADDRESS}:{self.server_port}/?file={quote(self.file_path[1:], safe='')}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that goes away in the middle is usual."""


class _Handler(BaseHTTPRequestHandler):
    server: PlayServer
    protocol_version = "HTTP/1.1"
    server_version = "nvplay"
    sys_version = ""
    timeout = 60
    """Seconds that a request may take to arrive."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        if self.headers.get("Host") not in self.server.hosts:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "This server has no such name.")
        elif path in self.server.page:
            name = "index.html" if path == "/" else path
            body = self.server.page[path]
            self._head(HTTPStatus.OK, _TYPES[name.rpartition(".")[2]], len(body))
            self._body(iter((body,)), len(body))
        elif unquote(path) == unquote(self.server.file_path):
            self._file()
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _file(self) -> None:
        content = self.server.content
        try:
            size = content.size()
            part = None if size is None else byte_range(self.headers.get("Range"), size)
        except OSError as error:
            self._refuse(HTTPStatus.BAD_GATEWAY, f"The file cannot be read: {error}.")
            return
        except ValueError:
            self._refuse(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                "The file ends before.",
                {"Content-Range": f"bytes */{size}"},
            )
            return
        start, end = part or (0, size)
        told = {} if size is None else {"Accept-Ranges": "bytes"}
        if part is not None:
            told["Content-Range"] = f"bytes {start}-{part[1] - 1}/{size}"
        status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
        length = None if end is None else end - start
        self._head(status, "application/octet-stream", length, told)
        self._body(content.read(start, end), length)

    def _refuse(self, status: HTTPStatus, text: str, more: dict[str, str] | None = None) -> None:
        body = f"{text}\n".encode()
        self._head(status, "text/plain; charset=utf-8", len(body), more)
        self._body(iter((body,)), len(body))

    def _head(
        self, status: HTTPStatus, kind: str, length: int | None, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (_HEADERS | {"Content-Type": kind} | (more or {})).items():
            self.send_header(name, value)
        if length is None:
            # The end of the connection is the end of the file.
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _body(self, blocks: Iterator[bytes], length: int | None) -> None:
        """Send a body of `length` bytes; one that is shorter ends the connection."""
        if self.command == "HEAD":
            return
        sent = 0
        # A player that is paused reads nothing, for any time.
        self.connection.settimeout(None)
        try:
            for block in blocks:
                self.wfile.write(block)
                sent += len(block)
        except (OSError, HTTPException):
            # Whatever the cause, the reader sees it as an answer that is too short.
            self.close_connection = True
        if length is not None and sent < length:
            self.close_connection = True
        self.connection.settimeout(self.timeout)
