"""The fusion network by WebGPU in Chromium: the bytes of all vectors, and what stands in for it."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

import nvcodec.play
from tests.play.conftest import serving
from tests.play.test_page import digests as frames_of
from tests.play.test_vectors import digests

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
NETWORK = Path(__file__).parents[1] / "vectors" / "network.nrv"
PAGE = Path(nvcodec.play.__file__).with_name("page")
MANIFEST = json.loads((VECTORS / "manifest.json").read_text())

# For each file: bytes of all frames, and how many of them the network made.
DECODE = """async (files) => {
    const { Decoder } = await import("/decoder.js");
    const { GpuNetwork, findAdapter } = await import("/gpu_network.js");
    const module = await WebAssembly.compileStreaming(fetch("/nrv.wasm"));
    const found = [];
    const networks = new Map(); // by the shape of frames
    for (const file of files) {
        const bytes = Uint8Array.from(atob(file), (c) => c.charCodeAt(0));
        const read = (offset, target) => {
            const part = bytes.subarray(offset, offset + target.length);
            target.set(part);
            return part.length;
        };
        const decoder = await Decoder.create(module);
        decoder.open({ size: bytes.length, read });
        const parts = [];
        let made = 0;
        while (decoder.next()) {
            const input = decoder.networkInput();
            let picture = null;
            if (input) {
                const shape = decoder.networkShape();
                const key = [shape.width, shape.height, shape.format, shape.extra].join();
                if (!networks.has(key)) {
                    networks.set(key, await GpuNetwork.create(await findAdapter(true), shape));
                }
                await networks.get(key).render(input, (out) => {
                    picture = decoder.rendered(out, { verify: true });
                });
                made++;
            }
            picture ??= decoder.render({ verify: true });
            for (const plane of picture.planes) parts.push(plane.bytes.slice());
        }
        const data = new Uint8Array(await new Blob(parts).arrayBuffer());
        let text = "";
        for (let at = 0; at < data.length; at += 8192) {
            text += String.fromCharCode(...data.subarray(at, at + 8192));
        }
        found.push([btoa(text), made]);
    }
    return found;
}"""


FEW = ("hybrid-network-1x1", "hybrid-network-mono-8", "hybrid-network-444-12")


@pytest.mark.parametrize("names", [FEW, pytest.param(("",), marks=pytest.mark.deep)])
def test_frames_of_vectors(gpu_page, names):
    vectors = [
        v for v in MANIFEST["valid"] if v["model"] == 2 and any(n in v["file"] for n in names)
    ]
    assert len(vectors) >= len(names)
    with serving(NETWORK) as server:
        gpu_page.goto(f"{server.url.partition('?')[0]}icon.svg")
        files = [b64encode((VECTORS / v["file"]).read_bytes()).decode() for v in vectors]
        found = gpu_page.evaluate(DECODE, files)
    wrong = [
        v["file"]
        for v, (text, _) in zip(vectors, found, strict=True)
        if digests(b64decode(text), v["frame_bytes"]) != v["frames"]
    ]
    assert not wrong
    assert sum(made for _, made in found) >= len(names)


# Pictures of a decoder until WebGPU has made some or was given up, then all of them again.
PICTURES = """async ([url, gpu, workers]) => {
    const { NrvDecoder } = await import("/nrv.js");
    const decoder = new NrvDecoder(url, { gpu, workers });
    let reason = null;
    decoder.addEventListener("fallback", ({ detail }) => (reason = detail));
    await decoder.ready;
    const wanted = decoder.gpu;
    for (let by = false; !by && reason === null && wanted; ) {
        await decoder.seek(0);
        for await (const picture of decoder.pictures()) {
            by ||= picture.gpu;
            picture.close();
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await decoder.seek(0);
    const frames = [];
    const by = [];
    for await (const picture of decoder.pictures()) {
        const digest = await crypto.subtle.digest("SHA-256", picture.buffer);
        const hex = Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0"));
        frames.push([picture.index, picture.timestamp, hex.join("")]);
        by.push(picture.gpu);
        picture.close();
    }
    decoder.close();
    return { wanted, reason, frames, by };
}"""


def pictures(page, gpu="any", workers=1):
    with serving(NETWORK) as server:
        page.goto(f"{server.url.partition('?')[0]}icon.svg")
        return page.evaluate(PICTURES, [server.file_path, gpu, workers])


def with_part(page, name, change):
    """Let the page have another text of one of its files."""

    body = change((PAGE / name).read_text(encoding="utf-8"))
    kind = "text/javascript" if name.endswith(".js") else "text/plain"
    page.context.route(f"**/{name}", lambda route: route.fulfill(body=body, content_type=kind))


def with_kernels(page, change):
    with_part(page, "gpu_network.wgsl", change)


def test_pictures_of_the_decoder(gpu_page):
    found = pictures(gpu_page)
    assert found["frames"] == frames_of(NETWORK)
    assert (found["wanted"], found["reason"]) == (True, None)
    assert all(found["by"])


def test_frames_in_strips(gpu_page):
    with_part(gpu_page, "gpu_network.js", lambda text: text.replace("2 ** 18", "2 ** 8"))
    found = pictures(gpu_page)
    assert found["frames"] == frames_of(NETWORK)
    assert all(found["by"])


def test_kernels_that_do_not_compile(gpu_page):
    with_kernels(gpu_page, lambda text: text.replace("fn hidden", "fn hid den"))
    found = pictures(gpu_page, workers=2)
    assert found["frames"] == frames_of(NETWORK)
    assert found["reason"]
    assert not any(found["by"])


def test_kernels_that_give_other_bytes(gpu_page):
    with_kernels(gpu_page, lambda text: text.replace("25 * sample", "24 * sample"))
    found = pictures(gpu_page)
    assert found["frames"] == frames_of(NETWORK)
    assert found["reason"] == "its pictures are not those of the decoder"
    assert not any(found["by"])


def test_software_adapters_are_left_alone(gpu_page):
    found = pictures(gpu_page, gpu=True)
    assert (found["wanted"], found["reason"]) == (False, None)
    assert found["frames"] == frames_of(NETWORK)


LOST = """async (file) => {
    const { Decoder } = await import("/decoder.js");
    const { GpuNetwork, findAdapter } = await import("/gpu_network.js");
    const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
    const decoder = await Decoder.create(await WebAssembly.compileStreaming(fetch("/nrv.wasm")));
    decoder.open({
        size: bytes.length,
        read: (offset, target) => {
            const part = bytes.subarray(offset, offset + target.length);
            target.set(part);
            return part.length;
        },
    });
    decoder.next();
    const gpu = await GpuNetwork.create(await findAdapter(true), decoder.networkShape());
    gpu.close();
    try {
        await gpu.render(decoder.networkInput(), () => {});
    } catch (error) {
        return error.name;
    }
    return "none";
}"""


def test_a_lost_device_is_told(gpu_page):
    with serving(NETWORK) as server:
        gpu_page.goto(f"{server.url.partition('?')[0]}icon.svg")
        assert gpu_page.evaluate(LOST, server.file_path) != "none"


SHOW_FIRST = """async () => {
    const place = document.getElementById("place");
    while (document.body.dataset.gpu !== "true") {
        place.value = 0;
        place.dispatchEvent(new Event("input"));
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
}"""


def test_the_page_says_what_runs_the_network(gpu_page):
    with serving(NETWORK) as server:
        gpu_page.goto(f"{server.url}&gpu=any")
        gpu_page.wait_for_selector("body[data-network='true'][data-state='paused']")
        gpu_page.evaluate(SHOW_FIRST)
        assert gpu_page.locator("#network-by").text_content() == "(WebGPU)"
        assert gpu_page.locator("#note").text_content() == ""
        with_kernels(gpu_page, lambda text: "")
        gpu_page.reload()
        gpu_page.get_by_text("WebGPU does not run the network").wait_for()
        gpu_page.wait_for_selector("body[data-gpu='false'][data-state='paused']")
        assert gpu_page.locator("#network-by").text_content() == "(WebAssembly)"
