"""Memory of the player over a long play, in Chromium.

    python -m tools.play_memory FILE [--frames N] [--seeks N] [--fill BYTES] [--workers N]

FILE is repeated to a long file, with a silent sound and BYTES of data for each frame. First the
page plays it at speed 4; then a decoder gives frames as fast as it can, with a seek to another
frame after every 500. Each line has the frames so far, the JavaScript heap of the page, the memory
of the WebAssembly modules and of the source where it is known, and what the processes of the
browser have for themselves (USS). Nothing asks the browser to collect garbage, and nothing watches
its network: Playwright does, and then the browser keeps what it has fetched.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import psutil

from nvcodec.format import NrvWriter, Packet, Track, UnitReader
from nvcodec.format.group import Group
from nvcodec.format.reader import Description, GroupUnit
from nvcodec.play.content import open_content
from nvcodec.play.server import PlayServer

_RATE = 8000
_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
]

_BEGIN = """async (url, workers) => {
    const { NrvDecoder } = await import("/nrv.js");
    window.decoder = new NrvDecoder(url, { network: false, workers });
    await window.decoder.ready;
}"""
_SOME = """async (start, count) => {
    const { decoder } = window;
    decoder.network = start % 2 === 0;
    await decoder.seek(start);
    let done = 0;
    for await (const picture of decoder.pictures()) {
        picture.close();
        if (++done === count) break;
    }
    return decoder.memory();
}"""
_SPEED = """() => {
    const speed = document.getElementById("speed");
    speed.value = "4";
    speed.dispatchEvent(new Event("change"));
}"""
_STATE = "() => [document.body?.dataset.frame ?? null, document.body?.dataset.state]"
_HEAP = "() => performance.memory.usedJSHeapSize"


def repeated(source: Path, out: Path, frames: int, fill: int) -> int:
    """Write the groups of a file again and again, with a silent sound and `fill` bytes of data for
    each frame; gives the frames.
    """
    with source.open("rb") as file:
        reader = UnitReader(file)
        header = reader.open()
        events = list(reader)
    description = next(event.payload for event in events if isinstance(event, Description))
    groups = [event.group for event in events if isinstance(event, GroupUnit)]
    length = sum(group.frame_count for group in groups)
    ticks = sum(sum(group.durations) for group in groups)
    tracks = [Track(1, "audio", "pcm_s16le", header.time_base, rate=_RATE, channels=1)]
    if fill:
        tracks.append(Track(2, "data", "bin_data", header.time_base))
    with out.open("wb") as target:
        writer = NrvWriter(target)
        writer.begin(header, description, {}, tracks=tracks)
        times = -(-frames // length)
        for k in range(times):
            for group in groups:
                pts = group.first_pts + k * ticks
                packets = [_sound(group, pts, float(header.time_base))]
                if fill:
                    packets.append(Packet(2, pts, 1, bytes(fill * group.frame_count)))
                writer.add_packets(packets)
                first = group.first_frame + k * length
                writer.add_group(replace(group, first_frame=first, first_pts=pts))
        writer.finish()
    return times * length


def _sound(group: Group, pts: int, tick: float) -> Packet:
    ticks = sum(group.durations)
    return Packet(1, pts, ticks, bytes(2 * round(ticks * tick * _RATE)))


class _Chromium:
    """A browser with one page, driven over a pipe by as little of its protocol as that takes."""

    def __init__(self, profile: str) -> None:
        asked, self._ask = os.pipe()
        self._answers, told = os.pipe()
        # The browser reads from 3 and writes to 4.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (asked, told)]
        command = [shutil.which("chromium") or "chromium", *_FLAGS, f"--user-data-dir={profile}"]
        command += ["--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}', "bash", *command],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (asked, told, *ends):
            os.close(end)
        self._input = os.fdopen(self._answers, "rb")
        self._count = 0
        self._session: str | None = None
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]

    def send(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol; RuntimeError if it fails."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._ask, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._message())
            if answer.get("id") == self._count:
                break
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def call(self, function: str, *arguments: Any) -> Any:
        """What a function of JavaScript gives in the page; RuntimeError if it throws."""
        expression = f"({function})(...{json.dumps(arguments)})"
        found = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def goto(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        while self.call("() => document.readyState + location.href") != f"complete{url}":
            time.sleep(0.2)

    def close(self) -> None:
        self._session = None
        self.send("Browser.close")
        self._process.wait()

    def tell(self, frames: int, workers: dict[str, int] | None = None) -> None:
        """Print a line; `workers` is what NrvDecoder.memory() gives."""
        found = {"heap": self.call(_HEAP)} | (workers or {})
        processes = self._processes()
        found |= dict(sorted(processes.items()))
        found["all"] = sum(processes.values())
        told = ", ".join(f"{name} {size / 2**20:.1f}" for name, size in found.items())
        print(f"{frames:8} frames, MiB: {told}", flush=True)

    def _message(self) -> bytes:
        found = bytearray()
        while (byte := self._input.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser has ended")
            found += byte
        return bytes(found)

    def _processes(self) -> dict[str, int]:
        """Bytes of the processes of the browser, by type."""
        found: Counter[str] = Counter()
        root = psutil.Process(self._process.pid)
        for process in [root, *root.children(recursive=True)]:
            try:
                words = " ".join(process.cmdline())
                kind = re.search(r"--(?:utility-sub-)?type=(?:\w+\.mojom\.)?([\w-]+)", words)
                name = "browser" if kind is None else kind[1]
                found[name] += process.memory_full_info().uss
            except psutil.Error:
                continue
        return dict(found)


def _play(page: _Chromium, server: PlayServer, last: int, seconds: float) -> None:
    page.goto(server.url)
    while page.call(_STATE)[0] is None:
        time.sleep(0.2)
    page.call(_SPEED)
    begun = time.monotonic()
    state = "playing"
    while state != "paused":
        time.sleep(seconds)
        frame, state = page.call(_STATE)
        page.tell(int(frame) + 1)
    print(f"  {(last + 1) / (time.monotonic() - begun):.0f} frames/s of {last + 1}", flush=True)


def _seek(page: _Chromium, server: PlayServer, count: int, most: int, workers: int) -> None:
    page.goto(f"{server.url.partition('?')[0]}icon.svg")
    page.call(_BEGIN, server.file_path, workers)
    for turn in range(-(-most // 500)):
        kept = page.call(_SOME, turn * 7919 % (count - 500), 500)
        if turn % 4 == 3:
            page.tell(500 * (turn + 1), kept)


@click.command(help=__doc__)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--frames", default=20000, show_default=True, help="Frames of the long file.")
@click.option("--seeks", default=20000, show_default=True, help="Frames given between seeks.")
@click.option("--every", default=20.0, show_default=True, help="Seconds between lines.")
@click.option("--fill", default=0, show_default=True, help="Bytes of data for each frame.")
@click.option("--workers", default=1, show_default=True, help="Workers between seeks.")
def main(file: Path, frames: int, seeks: int, every: float, fill: int, workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.nrv"
        count = repeated(file, path, frames, fill)
        print(f"{count} frames, {path.stat().st_size / 1e6:.1f} MB", flush=True)
        with PlayServer(open_content(str(path))) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            chromium = _Chromium(folder)
            _play(chromium, server, count - 1, every)
            _seek(chromium, server, count, seeks, workers)
            chromium.close()
            server.shutdown()


if __name__ == "__main__":
    main()
