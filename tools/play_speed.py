"""Speed of the player in Chromium.

    python -m tools.play_speed FILE...

For each file: frames a second of decoding with and without the network, by the clock and by the
time that the processor spent, and the time from opening the page to the first picture.
"""

from __future__ import annotations

import shutil
import threading
import time

import click
import psutil
from playwright.sync_api import Page, sync_playwright

from nvcodec.play.content import open_content
from nvcodec.play.server import PlayServer

_COUNT = """async ([url, network]) => {
    const { NrvDecoder } = await import("/nrv.js");
    const decoder = new NrvDecoder(url, { network });
    let count = 0;
    for await (const picture of decoder.pictures()) {
        picture.close();
        count++;
    }
    decoder.close();
    return count;
}"""


def _processor_seconds() -> float:
    """Seconds that the processes of the browser have taken."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.Error:
            continue
    return total


def _measure(page: Page, server: PlayServer, network: bool) -> str:
    begun, spent = time.monotonic(), _processor_seconds()
    frames = page.evaluate(_COUNT, [server.file_path, network])
    wall = time.monotonic() - begun
    cpu = _processor_seconds() - spent
    return f"{frames / wall:6.1f} frames/s, {frames / cpu:6.1f} a processor second"


@click.command(help=__doc__)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def main(files: tuple[str, ...]) -> None:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name in files:
            with PlayServer(open_content(name)) as server:
                threading.Thread(target=server.serve_forever, daemon=True).start()
                page = chromium.new_page()
                begun = time.monotonic()
                page.goto(server.url)
                page.wait_for_selector("body[data-frame]")
                first = time.monotonic() - begun
                page.goto(f"{server.url.partition('?')[0]}icon.svg")
                print(f"{name}: first picture after {first:.2f} s")
                for network in (True, False):
                    told = _measure(page, server, network)
                    print(f"  {'with' if network else 'without'} network: {told}", flush=True)
                page.close()
                server.shutdown()
        size = sum(len(data) for path, data in server.page.items() if path != "/")
        module = len(server.page["/nrv.wasm"])
        print(f"page: {size} bytes, {module} of them the decoder")


if __name__ == "__main__":
    main()
