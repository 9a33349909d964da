"""Memory of the player over a long play, in Chromium.

    python -m tools.play_memory FILE [--frames N] [--seeks N] [--fill BYTES]

FILE is repeated to a long file, with a silent sound and BYTES of data for each frame. First the
page plays it at speed 4; then a decoder gives frames as fast as it can, with a seek to another
frame after every 500. Each line has the frames so far, the JavaScript heap of the page after its
garbage was collected, the memory of the WebAssembly modules and of the source where it is known,
and what the processes of the browser have for themselves (USS).
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import psutil
from playwright.sync_api import CDPSession, Page, sync_playwright

from nvcodec.format import NrvWriter, Packet, Track, UnitReader
from nvcodec.format.group import Group
from nvcodec.format.reader import Description, GroupUnit
from nvcodec.play.content import open_content
from nvcodec.play.server import PlayServer

_RATE = 8000
_FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]

_BEGIN = """async (url) => {
    const { NrvDecoder } = await import("/nrv.js");
    window.decoder = new NrvDecoder(url, { network: false });
    await window.decoder.ready;
}"""
_SOME = """async ([start, count]) => {
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


class _Memory:
    """What a page of a browser holds."""

    def __init__(self, page: Page) -> None:
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")

    def heap(self) -> float:
        """MiB of JavaScript after a collection."""
        self._session.send("HeapProfiler.collectGarbage")
        metrics: list[dict[str, Any]] = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(m["value"] for m in metrics if m["name"] == "JSHeapUsedSize")) / 2**20

    @staticmethod
    def processes() -> dict[str, float]:
        """MiB of the processes of the browser, by type."""
        found: Counter[str] = Counter()
        for process in psutil.Process().children(recursive=True):
            try:
                if "chrom" not in process.name():
                    continue
                words = " ".join(process.cmdline())
                kind = re.search(r"--(?:utility-sub-)?type=(?:\w+\.mojom\.)?([\w-]+)", words)
                name = "browser" if kind is None else kind[1]
                found[name] += process.memory_full_info().uss / 2**20
            except psutil.Error:
                continue
        return dict(found)

    def tell(self, frames: int, workers: dict[str, int] | None = None) -> None:
        """Print a line; `workers` is what NrvDecoder.memory() gives."""
        parts = [f"heap {self.heap():.2f}"]
        parts += [f"{name} {size / 2**20:.1f}" for name, size in (workers or {}).items()]
        processes = self.processes()
        parts += [f"{name} {size:.0f}" for name, size in sorted(processes.items())]
        parts.append(f"all {sum(processes.values()):.0f}")
        print(f"{frames:8} frames, MiB: {', '.join(parts)}", flush=True)


def _play(page: Page, server: PlayServer, last: int, seconds: float) -> None:
    page.goto(server.url)
    page.wait_for_selector("body[data-frame]")
    page.locator("#speed").select_option("4")
    memory = _Memory(page)
    begun = time.monotonic()
    while True:
        time.sleep(seconds)
        frame = int(page.evaluate("document.body.dataset.frame"))
        memory.tell(frame + 1)
        if page.evaluate("document.body.dataset.state") == "paused":
            break
    print(f"  {(last + 1) / (time.monotonic() - begun):.0f} frames/s of {last + 1}", flush=True)


def _seek(page: Page, server: PlayServer, count: int, most: int) -> None:
    page.goto(f"{server.url.partition('?')[0]}icon.svg")
    page.evaluate(_BEGIN, server.file_path)
    memory = _Memory(page)
    done = 0
    for turn in range(-(-most // 500)):
        workers = page.evaluate(_SOME, [turn * 7919 % (count - 500), 500])
        done += 500
        if turn % 4 == 0:
            memory.tell(done, workers)


@click.command(help=__doc__)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--frames", default=20000, show_default=True, help="Frames of the long file.")
@click.option("--seeks", default=20000, show_default=True, help="Frames given between seeks.")
@click.option("--every", default=20.0, show_default=True, help="Seconds between lines.")
@click.option("--fill", default=0, show_default=True, help="Bytes of data for each frame.")
def main(file: Path, frames: int, seeks: int, every: float, fill: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.nrv"
        count = repeated(file, path, frames, fill)
        print(f"{count} frames, {path.stat().st_size / 1e6:.1f} MB", flush=True)
        with sync_playwright() as playwright, PlayServer(open_content(str(path))) as server:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=_FLAGS
            )
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = chromium.new_page()
            page.set_default_timeout(0)
            _play(page, server, count - 1, every)
            _seek(page, server, count, seeks)
            chromium.close()
            server.shutdown()


if __name__ == "__main__":
    main()
