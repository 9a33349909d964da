"""What the server of the player gives out, to whom, and what not."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest

from nvcodec.play.content import _Redirects, open_content
from nvcodec.play.server import byte_range
from tests.play.conftest import serving

DATA = bytes(range(256)) * 5


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "a b#1.nrv"
    path.write_bytes(DATA)
    with serving(path) as server:
        yield server


def ask(server, path, method="GET", **headers):
    """(status, headers, body) of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_page_and_file(server):
    status, headers, body = ask(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"player.js" in body
    for name, kind in (
        ("player.js", "text/javascript; charset=utf-8"),
        ("nrv.wasm", "application/wasm"),
        ("style.css", "text/css; charset=utf-8"),
    ):
        status, headers, body = ask(server, f"/{name}")
        assert (status, headers["Content-Type"]) == (200, kind)
        assert int(headers["Content-Length"]) == len(body) > 0
    status, headers, body = ask(server, server.file_path)
    assert (status, body) == (200, DATA)
    assert headers["Accept-Ranges"] == "bytes"
    query = urlsplit(server.url).query
    assert unquote(unquote(query)) == "file=file/a b#1.nrv"


def test_strict_headers(server):
    for path in ("/", server.file_path, "/missing"):
        headers = ask(server, path)[1]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self' 'wasm-unsafe-eval';" in policy
        assert "unsafe-inline" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=100-", (100, len(DATA))),
        ("bytes=-40", (len(DATA) - 40, len(DATA))),
        ("bytes=1000-999999", (1000, len(DATA))),
    ],
)
def test_ranges(server, asked, expected):
    start, end = expected
    status, headers, body = ask(server, server.file_path, Range=asked)
    assert (status, body) == (206, DATA[start:end])
    assert headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert ask(server, server.file_path, "HEAD", Range=asked)[2] == b""


def test_ranges_that_are_none():
    for header in (None, "", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "x"):
        assert byte_range(header, 10) is None
    with pytest.raises(ValueError, match="byte 10 of 10"):
        byte_range("bytes=10-", 10)


def test_range_beyond_the_end(server):
    status, headers, _ = ask(server, server.file_path, Range=f"bytes={len(DATA)}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


@pytest.mark.parametrize(
    "path",
    [
        "/server.py",
        "/file/",
        "/file/other.nrv",
        "/../server.py",
        "/%2e%2e/server.py",
        "/page/",
    ],
)
def test_no_other_path(server, path):
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1", "localhost:1", ""])
def test_no_other_name(server, host):
    for path in ("/", server.file_path):
        status, _, body = ask(server, path, Host=host)
        assert status == 421
        assert DATA not in body
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0] == 200


def test_no_other_method(server):
    assert ask(server, server.file_path, "POST")[0] == 501
    assert ask(server, server.file_path, "PUT")[0] == 501


def test_file_that_went_away(tmp_path):
    path = tmp_path / "gone.nrv"
    path.write_bytes(DATA)
    with serving(path) as server:
        path.unlink()
        assert ask(server, server.file_path)[0] == 502


class _Far(BaseHTTPRequestHandler):
    """Another web server, whose file /parts.nrv comes in parts and /whole.nrv does not."""

    def do_GET(self):
        part = byte_range(self.headers.get("Range"), len(DATA)) if "parts" in self.path else None
        if "none" in self.path:
            self.send_error(404)
            return
        start, end = part or (0, len(DATA))
        self.send_response(200 if part is None else 206)
        if part:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(DATA)}")
        self.end_headers()
        self.wfile.write(DATA[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def far():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Far) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_file_of_another_server(far):
    with serving(open_content(f"{far}/parts.nrv")) as server:
        assert ask(server, server.file_path)[2] == DATA
        assert ask(server, server.file_path, Range="bytes=7-9")[2] == DATA[7:10]
    with serving(open_content(f"{far}/whole.nrv")) as server:
        status, headers, body = ask(server, server.file_path, Range="bytes=7-9")
        assert (status, body, headers["Accept-Ranges"]) == (200, DATA, None)
    with pytest.raises(OSError, match="404"):
        open_content(f"{far}/none.nrv")


def run(*arguments):
    command = [sys.executable, "-m", "nvcodec", "nvplay", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_command(tmp_path):
    path = tmp_path / "a.nrv"
    path.write_bytes(DATA)
    process = run("--no-browser", path)
    try:
        address = urlsplit(process.stdout.readline().strip())
        assert address.hostname == "127.0.0.1"
        connection = http.client.HTTPConnection(address.netloc, timeout=10)
        connection.request("GET", "/file/a.nrv")
        assert connection.getresponse().read() == DATA
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_command_without_a_file(tmp_path):
    process = run("--no-browser", tmp_path / "none.nrv")
    out, told = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert told == f"nvplay: {tmp_path / 'none.nrv'}: No such file or directory\n"


def test_encoder_and_torch_stay_unloaded():
    script = (
        "import sys, nvcodec.cli.nvplay, nvcodec.play.content, nvcodec.play.server;"
        "print([name for name in sys.modules if name.startswith(('nvcodec.encode', 'torch',"
        " 'nvcodec.decode', 'numba'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


class _Shrinking:
    """A file that ends before its size, as one that is cut while it is read."""

    name = "odd\udcff.nrv"

    def size(self):
        return 1000

    def read(self, start, end):
        yield bytes(10)


def test_a_file_that_ends_early_ends_the_connection():
    with serving(_Shrinking()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request("GET", server.file_path)
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()
        connection.close()


@pytest.mark.parametrize(
    ("start", "end", "followed"),
    [
        ("http://8.8.8.8/a", "http://127.0.0.1/b", False),
        ("http://8.8.8.8/a", "http://10.1.2.3/b", False),
        ("http://8.8.8.8/a", "ftp://8.8.8.8/b", False),
        ("http://8.8.8.8/a", "http://1.1.1.1/b", True),
        ("http://127.0.0.1/a", "http://127.0.0.1/b", True),
    ],
)
def test_redirects_into_private_networks(start, end, followed):
    request = urllib.request.Request(start)
    redirects = _Redirects()
    if followed:
        made = redirects.redirect_request(request, None, 302, "Found", {}, end)
        assert made.full_url == end
    else:
        with pytest.raises(OSError, match="leads"):
            redirects.redirect_request(request, None, 302, "Found", {}, end)


def test_an_address_that_is_none():
    with pytest.raises(OSError, match="HTTP"):
        open_content("http://127.0.0.1/a b")
