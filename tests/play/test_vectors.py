"""The conformance vectors of the format in Chromium: frames, views, and classes of errors."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from tests.play.conftest import serving

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
MANIFEST = json.loads((VECTORS / "manifest.json").read_text())
AT_ONCE = 32

# For each [file, size, region]: bytes of all frames, and what is wrong with the file.
DECODE = """async (jobs) => {
    const { Decoder } = await import("/decoder.js");
    const module = await WebAssembly.compileStreaming(fetch("/nrv.wasm"));
    const found = [];
    for (const [file, size, region] of jobs) {
        const bytes = Uint8Array.from(atob(file), (c) => c.charCodeAt(0));
        const read = (offset, target) => {
            const part = bytes.subarray(offset, offset + target.length);
            target.set(part);
            return part.length;
        };
        const parts = [];
        let kind = null;
        try {
            const decoder = await Decoder.create(module);
            decoder.open({ size: bytes.length, read });
            if (size) decoder.view(size, region);
            while (decoder.next()) {
                const { planes } = decoder.render({ verify: true });
                for (const plane of planes) parts.push(plane.bytes.slice());
            }
        } catch (error) {
            if (error.name !== "NrvError") throw error;
            kind = error.kind;
        }
        const data = new Uint8Array(await new Blob(parts).arrayBuffer());
        let text = "";
        for (let at = 0; at < data.length; at += 8192) {
            text += String.fromCharCode(...data.subarray(at, at + 8192));
        }
        found.push([btoa(text), kind]);
    }
    return found;
}"""


@pytest.fixture
def decode(page):
    """A function that decodes (file, view or None, bytes of a frame): MD5s of frames, and class."""

    def run(jobs):
        asked = []
        for file, view, _ in jobs:
            data = b64encode((VECTORS / file).read_bytes()).decode()
            if view is None:
                asked.append([data, None, None])
            else:
                width, height, x, y = view["crop"]
                region = {"x": x, "y": y, "width": width, "height": height}
                asked.append([data, view["size"], region])
        found = []
        for at in range(0, len(asked), AT_ONCE):
            found += page.evaluate(DECODE, asked[at : at + AT_ONCE])
        return [
            (digests(b64decode(text), size), kind)
            for (text, kind), (_, _, size) in zip(found, jobs, strict=True)
        ]

    with serving(VECTORS / MANIFEST["valid"][0]["file"]) as server:
        page.goto(f"{server.url.partition('?')[0]}icon.svg")
        yield run


def digests(data, size):
    """MD5s of frames of as many bytes."""
    starts = range(0, len(data), size or 1)
    return [hashlib.md5(data[at : at + size]).hexdigest() for at in starts]


def test_valid_files(decode):
    vectors = MANIFEST["valid"]
    found = decode([(v["file"], None, v["frame_bytes"]) for v in vectors])
    expected = [(v["frames"], None) for v in vectors]
    wrong = [v["file"] for v, a, b in zip(vectors, found, expected, strict=True) if a != b]
    assert not wrong


def test_views(decode):
    views = [(v["file"], view) for v in MANIFEST["valid"] for view in v.get("views", ())]
    found = decode([(file, view, view["frame_bytes"]) for file, view in views])
    assert len(views) > 10
    wrong = [
        (file, view["size"])
        for (file, view), got in zip(views, found, strict=True)
        if got != (view["frames"], None)
    ]
    assert not wrong


def test_faulty_files(decode):
    vectors = MANIFEST["faulty"]
    found = decode([(v["file"], None, v["frame_bytes"]) for v in vectors])
    wrong = []
    for vector, (frames, kind) in zip(vectors, found, strict=True):
        taken = vector.get("optional") and kind is None and frames == vector["whole"]
        # The frame in which a mismatch shows is given before it is known.
        count = len(vector["frames"]) if kind == "mismatch" else len(frames)
        if not taken and (frames[:count], kind) != (vector["frames"], vector["class"]):
            wrong.append((vector["file"], kind))
    assert not wrong
