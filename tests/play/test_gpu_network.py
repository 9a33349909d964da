"""The fusion network by WebGPU in Chromium: the bytes of every vector, and what stands in for it."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from tests.play.conftest import serving
from tests.play.test_vectors import digests

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
NETWORK = Path(__file__).parents[1] / "vectors" / "network.nrv"
MANIFEST = json.loads((VECTORS / "manifest.json").read_text())

# For each file: bytes of all frames, and how many of them the network made.
DECODE = """async (files) => {
    const { Decoder } = await import("/decoder.js");
    const { GpuNetwork, findAdapter } = await import("/gpu_network.js");
    const module = await WebAssembly.compileStreaming(fetch("/nrv.wasm"));
    const found = [];
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
        let gpu = null;
        let made = 0;
        while (decoder.next()) {
            let input = decoder.networkInput();
            let picture = null;
            if (input) {
                gpu ??= await GpuNetwork.create(await findAdapter(true), decoder.networkShape());
                await gpu.render(input, (out) => (picture = decoder.rendered(out, { verify: true })));
                made++;
            }
            picture ??= decoder.render({ verify: true });
            for (const plane of picture.planes) parts.push(plane.bytes.slice());
        }
        gpu?.close();
        const data = new Uint8Array(await new Blob(parts).arrayBuffer());
        let text = "";
        for (let at = 0; at < data.length; at += 8192) {
            text += String.fromCharCode(...data.subarray(at, at + 8192));
        }
        found.push([btoa(text), made]);
    }
    return found;
}"""


def test_frames_of_all_vectors(gpu_page):
    vectors = [v for v in MANIFEST["valid"] if v["model"] == 2]
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
    assert sum(made for _, made in found) > 20
