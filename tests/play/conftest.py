"""A server of the player, and Chromium to show its page."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from nvcodec.play.content import open_content
from nvcodec.play.server import PlayServer

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)

FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
ADAPTER = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
"""Give Chromium an adapter of WebGPU that is a program."""
SMALL = Path(__file__).parents[1] / "vectors" / "sine.nrv"


@contextmanager
def serving(content):
    """A running server of a content, or of a path."""
    content = open_content(str(content)) if not hasattr(content, "read") else content
    with PlayServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def browser():
    """Chromium, without a window."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with api.sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        except api.Error as error:
            pytest.skip(f"Chromium does not start here: {error.message.splitlines()[0]}")
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def gpu_browser(browser):
    """Chromium with an adapter of WebGPU, if it has one."""
    chromium = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, *ADAPTER])
    yield chromium
    chromium.close()


@contextmanager
def watched_page(browser):
    """A page in which nothing may fail unseen."""
    errors = []
    with browser.new_context(viewport={"width": 900, "height": 700}) as context:
        page = context.new_page()
        page.set_default_timeout(20000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: "Security Policy" in line.text and errors.append(line.text))
        yield page
        # A worker may still ask for something when its page closes.
        context.unroute_all(behavior="ignoreErrors")
    assert errors == []


@pytest.fixture
def page(browser):
    with watched_page(browser) as page:
        yield page


@pytest.fixture
def gpu_page(gpu_browser):
    """A page in a browser that gives an adapter of WebGPU."""
    with serving(SMALL) as server, watched_page(gpu_browser) as page:
        page.goto(f"{server.url.partition('?')[0]}icon.svg")
        if not page.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no adapter of WebGPU, not even SwiftShader")
        yield page
