"""The page of the player and its JavaScript API, in Chromium."""

from __future__ import annotations

import hashlib
import io
import itertools
import threading
import time
import zlib
from base64 import b64decode, b64encode
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.format import NrvWriter, Packet, Track, UnitReader
from tests.play.conftest import serving

VECTORS = Path(__file__).parents[1] / "vectors"
NAMES = ("sine", "deep", "hybrid", "network", "nirvana")
LONG = VECTORS / "hybrid.nrv"

# Each gives back what it finds; `import` loads the API from the server of the page.
FRAMES = """async ([url, options]) => {
    const { NrvDecoder } = await import("/nrv.js");
    const decoder = new NrvDecoder(url, options);
    const found = [];
    for await (const picture of decoder.pictures()) {
        const digest = await crypto.subtle.digest("SHA-256", picture.buffer);
        const hex = Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0"));
        found.push([picture.index, picture.timestamp, hex.join("")]);
        picture.close();
    }
    decoder.close();
    return found;
}"""
SEEKS = """async ([url, targets]) => {
    const { NrvDecoder } = await import("/nrv.js");
    const decoder = new NrvDecoder(url, { workers: 3 });
    const found = [];
    for (const target of targets) {
        await decoder.seek(target);
        for (let k = 0; k < 2; k++) {
            const picture = await decoder.next();
            if (!picture) break;
            const digest = await crypto.subtle.digest("SHA-256", picture.buffer);
            const hex = Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0"));
            found.push([picture.index, picture.timestamp, hex.join("")]);
        }
    }
    const groups = await decoder.groups();
    decoder.close();
    return [found, groups.map(({ firstFrame, key }) => [firstFrame, key])];
}"""
VIDEO_FRAMES = """async (url) => {
    const { NrvDecoder } = await import("/nrv.js");
    const found = [];
    for await (const frame of new NrvDecoder(url)) {
        const { format, timestamp } = frame;
        const { width, height } = frame.visibleRect;
        const bytes = new Uint8Array(frame.allocationSize());
        const layout = await frame.copyTo(bytes);
        const planes = layout.map(({ offset, stride }) => [offset, stride]);
        found.push({ format, timestamp, width, height, planes, bytes: [...bytes],
                     space: frame.colorSpace.toJSON() });
        frame.close();
        if (found.length === 2) break;
    }
    return found;
}"""
ERROR = """async (url) => {
    const { NrvDecoder } = await import("/nrv.js");
    const decoder = new NrvDecoder(url);
    let count = 0;
    try {
        for await (const picture of decoder.pictures()) {
            picture.close();
            count++;
        }
    } catch (error) {
        return [count, error.kind, error.message];
    }
    return [count, "none", ""];
}"""
REPEATED = """async ([url, times]) => {
    const { NrvDecoder } = await import("/nrv.js");
    const decoder = new NrvDecoder(url);
    const memory = [];
    for (let k = 0; k < times; k++) {
        await decoder.seek(0);
        for await (const picture of decoder.pictures()) picture.close();
        memory.push(await decoder.memory());
    }
    decoder.close();
    return memory;
}"""


def digests(path):
    """(index, microseconds, SHA-256) of each frame."""
    with Decoder(str(path)) as decoder:
        return [
            [
                frame.index,
                int(frame.time * 1_000_000 // 1),
                hashlib.sha256(b"".join(plane.tobytes() for plane in frame.planes)).hexdigest(),
            ]
            for frame in decoder
        ]


class Arriving:
    """A content without a size that arrives in two parts, the second when it is told to."""

    name = "arriving.nrv"

    def __init__(self, data, first):
        self._parts = data[:first], data[first:]
        self.go_on = threading.Event()

    def size(self):
        return None

    def read(self, start, end):
        yield self._parts[0]
        assert self.go_on.wait(30)
        yield self._parts[1]


class Whole:
    """A content without a size, all of which arrives at once."""

    name = "whole.nrv"

    def __init__(self, data):
        self._data = data

    def size(self):
        return None

    def read(self, start, end):
        yield self._data


class Cut:
    """A content in parts whose connection breaks after a few bytes."""

    name = "cut.nrv"

    def __init__(self, data, most):
        self._data = data
        self._most = most

    def size(self):
        return len(self._data)

    def read(self, start, end):
        yield self._data[start : min(end, start + self._most)]
        if end > start + self._most:
            time.sleep(0.1)  # a browser forgets what it has not given out when the end comes
            raise OSError("the connection is cut")


def group_offsets(data):
    """Offsets of all GRUP units."""
    found, at = [], 8
    while at < len(data):
        if data[at : at + 4] == b"GRUP":
            found.append(at)
        at += 12 + int.from_bytes(data[at + 4 : at + 8], "little")
    return found


def with_head(data, **fields):
    """A file with other values of u8 fields of its header."""
    at = {"primaries": 36, "transfer": 37, "matrix": 38, "full_range": 39}
    head = bytearray(data[16:64])
    for name, value in fields.items():
        head[at[name]] = value
    crc = zlib.crc32(b"HEAD" + head)
    return data[:16] + bytes(head) + crc.to_bytes(4, "little") + data[68:]


def evaluated(page, server, script, argument):
    """What a script gives that has the modules of the page, without its player."""
    page.goto(f"{server.url.partition('?')[0]}icon.svg")
    return page.evaluate(script, argument)


def shown(page, frame):
    page.wait_for_selector(f"body[data-frame='{frame}']")


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_those_of_the_decoder(page, name):
    path = VECTORS / f"{name}.nrv"
    with serving(path) as server:
        found = evaluated(page, server, FRAMES, [server.file_path, {"verify": True}])
    assert found == digests(path)


@pytest.mark.parametrize("parts", [True, False])
def test_several_workers_give_the_same_frames(page, parts):
    path = VECTORS / "network.nrv"
    with serving(path if parts else Whole(path.read_bytes())) as server:
        found = evaluated(page, server, FRAMES, [server.file_path, {"workers": 3}])
    assert found == digests(path)


SOURCES = """async (url) => {
    const { NrvDecoder } = await import("/nrv.js");
    const get = () => fetch(url);
    const sources = [
        await (await get()).blob(), await (await get()).arrayBuffer(),
        new Uint8Array(await (await get()).arrayBuffer()), (await get()).body,
        new URL(url, location.href),
    ];
    const found = [];
    for (const source of sources) {
        const decoder = new NrvDecoder(source);
        await decoder.seek(2);
        let count = 0;
        for await (const picture of decoder.pictures()) {
            picture.close();
            count++;
        }
        decoder.close();
        found.push(count);
    }
    return found;
}"""


def test_sources(page):
    with serving(LONG) as server:
        found = evaluated(page, server, SOURCES, server.file_path)
    assert found == [len(digests(LONG)) - 2] * 5


def test_video_frames(page):
    with serving(LONG) as server:
        found = evaluated(page, server, VIDEO_FRAMES, server.file_path)
    with Decoder(str(LONG)) as decoder:
        for got, frame in zip(found, decoder, strict=False):
            assert got["format"] == "I420"
            assert got["timestamp"] == int(frame.time * 1_000_000 // 1)
            assert (got["height"], got["width"]) == frame.planes[0].shape
            assert got["space"]["matrix"] == "smpte170m"
            data = np.array(got["bytes"], np.uint8)
            for (offset, stride), plane in zip(got["planes"], frame.planes, strict=True):
                height, width = plane.shape
                rows = data[offset : offset + stride * height].reshape(height, stride)
                np.testing.assert_array_equal(rows[:, :width], plane)


@pytest.mark.parametrize("name", ["hybrid", "network"])
@pytest.mark.parametrize("parts", [True, False])
def test_seek(page, parts, name):
    path = VECTORS / f"{name}.nrv"
    expected = digests(path)
    last = len(expected) - 1
    targets = [last, 0, 7, 6, last // 2, 1]
    with serving(path if parts else Whole(path.read_bytes())) as server:
        found, groups = evaluated(page, server, SEEKS, [server.file_path, targets])
    assert found == [frame for target in targets for frame in expected[target : target + 2]]
    with open(path, "rb") as file:
        reader = UnitReader(file)
        reader.open()
        reader.group_length = 32
        listed = [[e.group.first_frame, e.group.key] for e in reader if hasattr(e, "group")]
    assert groups == listed


def test_region(page):
    path = VECTORS / "network.nrv"
    view = {"size": [50, 30], "region": {"x": 8, "y": 4, "width": 20, "height": 16}}
    with serving(path) as server:
        found = evaluated(page, server, FRAMES, [server.file_path, view])
    with Decoder(str(path)) as decoder:
        frame = decoder.render(0, size=(50, 30), crop=(20, 16, 8, 4))
    planes = b"".join(plane.tobytes() for plane in frame.planes)
    assert found[0][2] == hashlib.sha256(planes).hexdigest()


def test_plays_while_the_file_arrives(page):
    data = LONG.read_bytes()
    third = group_offsets(data)[2]
    arriving = Arriving(data, third + 20)
    with serving(arriving) as server:
        page.goto(server.url)
        # The last frame of two groups is there, and the third group is not.
        page.wait_for_selector("body[data-frame='4'][data-state='waiting']")
        page.locator("#play").click()
        page.wait_for_selector("body[data-state='paused']")
        # A seek back needs nothing that is still to come.
        page.locator("#place").evaluate(
            "e => { e.value = 2; e.dispatchEvent(new Event('input')); }"
        )
        shown(page, 2)
        page.locator("#play").click()
        arriving.go_on.set()
        shown(page, len(digests(LONG)) - 1)
        page.wait_for_selector("body[data-state='paused']")
        assert page.locator("#error").is_hidden()


def test_controls(page):
    last = len(digests(LONG)) - 1
    with serving(LONG) as server:
        page.goto(server.url)
        shown(page, last)
        page.wait_for_selector("body[data-state='paused']")
        page.locator("#back").click()
        shown(page, last - 1)
        page.locator("#forward").click()
        shown(page, last)
        page.locator("#place").evaluate(
            "e => { e.value = 3; e.dispatchEvent(new Event('input')); }"
        )
        shown(page, 3)
        page.locator("#speed").select_option("0.25")
        page.locator("#play").click()
        page.wait_for_selector("body[data-state='playing']")
        page.locator("#play").click()
        page.wait_for_selector("body[data-state='paused']")
        assert "model                hybrid" in page.locator("#facts").text_content()
        page.reload()
        shown(page, last)
        # Any other file can be opened in the same page.
        page.locator("#open").set_input_files(VECTORS / "sine.nrv")
        shown(page, len(digests(VECTORS / "sine.nrv")) - 1)
        assert page.locator("#name").text_content() == "sine.nrv"


def test_network_on_and_off(page):
    with serving(VECTORS / "network.nrv") as server:
        page.goto(server.url)
        page.wait_for_selector("body[data-network='true'][data-state='paused']")
        page.locator("#network").uncheck()
        page.wait_for_selector("body[data-network='false']")
        page.locator("#network").check()
        page.wait_for_selector("body[data-network='true']")


def damaged(data):
    second = group_offsets(data)[1]
    return data[: second + 30] + bytes([data[second + 30] ^ 1]) + data[second + 31 :]


@pytest.mark.parametrize(
    ("spoil", "kind", "sentence"),
    [
        (damaged, "corrupt", "The file is damaged: the crc of a unit does not match"),
        (lambda data: data[:-50], "truncated", "The file is incomplete"),
        (lambda data: b"plain text, no video", "corrupt", "this is no .nrv file"),
        (lambda data: b"", "truncated", "The file is empty"),
    ],
)
@pytest.mark.parametrize("parts", [True, False])
def test_bad_files_are_told_in_a_sentence(page, tmp_path, spoil, kind, sentence, parts):
    data = spoil(LONG.read_bytes())
    path = tmp_path / "bad.nrv"
    path.write_bytes(data)
    with serving(path if parts else Whole(data)) as server:
        page.goto(server.url)
        alert = page.get_by_role("alert")
        alert.wait_for()
        assert sentence in alert.text_content()
        count, found, _ = page.evaluate(ERROR, server.file_path)
    assert found == kind
    assert (count > 0) == (kind in ("corrupt", "truncated") and data[:1] == b"\x89")


def test_cut_connections_are_opened_again(page):
    with serving(Cut(LONG.read_bytes(), 300)) as server:
        found = evaluated(page, server, FRAMES, [server.file_path, {}])
    assert found == digests(LONG)


def apart(name, packets, times=1):
    """A vector, repeated, with packets of these sizes before each group."""
    with open(VECTORS / f"{name}.nrv", "rb") as file:
        events = UnitReader(file)
        header = events.open()
        listed = list(events)
    description = next(e.payload for e in listed if type(e).__name__ == "Description")
    groups = [e.group for e in listed if hasattr(e, "group")]
    frames = sum(group.frame_count for group in groups)
    ticks = sum(sum(group.durations) for group in groups)
    out = io.BytesIO()
    writer = NrvWriter(out)
    track = Track(1, "data", "bin_data", Fraction(1, 10))
    writer.begin(header, description, {}, tracks=[track])
    pts = itertools.count()
    for turn in range(times):
        for group in groups:
            writer.add_packets([Packet(1, next(pts), 1, bytes(size)) for size in packets])
            first, begin = group.first_frame + turn * frames, group.first_pts + turn * ticks
            writer.add_group(replace(group, first_frame=first, first_pts=begin))
    writer.finish()
    return out.getvalue()


def far_apart():
    """A video whose groups lie 6 MiB apart, so that not all of it has arrived at the first."""
    return apart("sine", [2**21] * 3)


def with_index(data, change):
    """A file with another payload of its index."""
    at = int.from_bytes(data[-12:-4], "little")
    assert data[at : at + 4] == b"iNDX"
    end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    payload = change(data[at + 8 : end])
    crc = zlib.crc32(b"iNDX" + payload)
    return data[: at + 8] + payload + crc.to_bytes(4, "little") + data[end + 4 :]


def without_index_crc(data):
    at = int.from_bytes(data[-12:-4], "little")
    return data[: at + 8] + bytes([data[at + 8] ^ 1]) + data[at + 9 :]


def of_other_groups(data):
    """The index is sound, but its first group begins elsewhere."""
    return with_index(data, lambda payload: payload[:1] + bytes([payload[1] ^ 2]) + payload[2:])


@pytest.mark.parametrize("spoil", [without_index_crc, of_other_groups])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_damaged_index_is_replaced_by_a_scan(page, tmp_path, spoil, workers):
    path = tmp_path / "index.nrv"
    path.write_bytes(spoil(far_apart()))
    expected = digests(VECTORS / "sine.nrv")
    last = len(expected) - 1
    targets = [last - 1, 0, last // 2]
    script = SEEKS.replace("workers: 3", f"workers: {workers}")
    with serving(path) as server:
        found, groups = evaluated(page, server, script, [server.file_path, targets])
    assert found == [frame for target in targets for frame in expected[target : target + 2]]
    assert len(groups) == len(group_offsets(path.read_bytes()))


KEPT = """async ([blob, need]) => {
    const { Store } = await import("/store.js");
    const store = new Store(new Blob(Array(blob).fill(new Uint8Array(2 ** 20))), 2 ** 25);
    try {
        const there = await store.need(100, need * 2 ** 20);
        const count = store.bytes(100, need * 2 ** 20).length;
        const { held } = store;
        await store.need(0, 1);
        return [there, count, store.received, held, store.held];
    } catch (error) {
        return [error.kind];
    }
}"""


def test_more_is_kept_while_it_is_needed(page):
    with serving(LONG) as server:
        there, count, received, held, later = evaluated(page, server, KEPT, [150, 140])
        assert (there, count) == (True, 140 * 2**20 - 100)
        assert received <= 150 * 2**20
        assert held >= 140 * 2**20
        # What is not needed any more goes.
        assert later <= 2**25
        assert evaluated(page, server, KEPT, [300, 280]) == ["over limit"]


GROUPS = """async (url) => {
    const { NrvDecoder } = await import("/nrv.js");
    const decoder = new NrvDecoder(url);
    await decoder.ready;
    const groups = decoder.groups();
    await decoder.seek(1);
    const count = (await groups).length;
    decoder.close();
    return count;
}"""


def test_groups_are_listed_though_a_seek_comes_between(page, tmp_path):
    path = tmp_path / "index.nrv"
    path.write_bytes(without_index_crc(far_apart()))
    with serving(path) as server:
        found = evaluated(page, server, GROUPS, server.file_path)
    assert found == len(group_offsets(path.read_bytes()))


FIRST = """async (url) => {
    const { NrvDecoder } = await import("/nrv.js");
    let count = 0;
    window.Worker = class extends Worker {
        number = count++;
        postMessage(...message) {
            if (this.number === 0) super.postMessage(...message);
        }
    };
    const decoder = new NrvDecoder(url, { workers: 3 });
    const late = new Promise((resolve) => setTimeout(resolve, 10000, {}));
    const first = await Promise.race([decoder.next(), late]);
    await Promise.race([decoder.seek(7), late]);
    const sought = await Promise.race([decoder.next(), late]);
    decoder.close();
    return [count, first.index, sought.index];
}"""


def test_the_first_picture_waits_for_one_worker_alone(page):
    with serving(VECTORS / "network.nrv") as server:
        found = evaluated(page, server, FIRST, server.file_path)
    assert found == [3, 0, 7]


def test_a_missing_decoder_is_told(page):
    with serving(LONG) as server:
        del server.page["/nrv.wasm"]
        page.goto(server.url)
        alert = page.get_by_role("alert")
        alert.wait_for()
    assert alert.text_content() == "The decoder, nrv.wasm, cannot be loaded."


def test_missing_file(page):
    with serving(LONG) as server:
        page.goto(f"{server.url}x")
        alert = page.get_by_role("alert")
        alert.wait_for()
        assert alert.text_content() == "The server answers 404 for the file."
        page.goto(f"{server.url.partition('?')[0]}?file=http://")
        alert.wait_for()
        assert "http:// is no address" in alert.text_content()
        page.goto(f"{server.url.partition('?')[0]}?file=100%25.nrv")
        alert.wait_for()
        assert alert.text_content() == "The server answers 404 for the file."


def test_memory_is_stable(page):
    with serving(LONG) as server:
        memory = evaluated(page, server, REPEATED, [server.file_path, 30])
    assert memory[-1] == memory[2]


class Counted:
    """A content in parts that counts how often it is asked for one."""

    name = "counted.nrv"

    def __init__(self, data):
        self._data = data
        self.asked = 0

    def size(self):
        return len(self._data)

    def read(self, start, end):
        self.asked += 1
        yield self._data[start:end]


KEEPS = """async ([url, asked, options]) => {
    const { NrvDecoder } = await import("/nrv.js");
    const decoder = new NrvDecoder(url, options);
    const found = [];
    let most = 0;
    let received = 0;
    decoder.addEventListener("progress", ({ detail }) => (received = detail.received));
    for (const [start, count] of asked) {
        await decoder.seek(start);
        let done = 0;
        for await (const picture of decoder.pictures()) {
            found.push(picture.index);
            picture.close();
            if (done % 7 === 0) most = Math.max(most, (await decoder.memory()).source);
            if (++done === count) break;
        }
    }
    decoder.close();
    return [found, most, received];
}"""


@pytest.mark.parametrize("where", ["server", "file"])
@pytest.mark.parametrize("network", [True, False])
def test_little_of_a_long_source_is_kept(page, where, network):
    data = apart("network", [2**18], times=12)
    frames = 22 * 12
    asked = [[0, frames], [frames - 9, 9], [30, 60], [29, 5]]
    options = {"workers": 3, "kept": 2**23, "network": network}
    script = KEEPS
    if where == "file":
        script = script.replace("Decoder(url,", "Decoder(await (await fetch(url)).blob(),")
    content = Counted(data)
    with serving(content) as server:
        found, most, received = evaluated(page, server, script, [server.file_path, asked, options])
    assert found == [n for start, count in asked for n in range(start, start + count)]
    # From a key group to the frame that is sought there are up to 1.3 MB, beside which two workers
    # read 0.5 MB ahead.
    assert most <= 2**23 + 2**21
    # All of it once, then for each seek from a key group to the frame, and ahead of it.
    assert received < len(data) + 3 * 2**23
    assert content.asked < 40


def test_groups_larger_than_what_is_kept_are_not_fetched_again_and_again(page):
    data = apart("network", [3 * 2**20])
    content = Counted(data)
    options = {"workers": 3, "kept": 2**21}
    with serving(content) as server:
        found, _, received = evaluated(page, server, KEEPS, [server.file_path, [[0, 99]], options])
    assert found == list(range(22))
    assert received < 3 * len(data)
    assert content.asked < 200


def test_page_memory_is_stable(page):
    with serving(LONG) as server:
        page.goto(server.url)
        session = page.context.new_cdp_session(page)

        def heap():
            session.send("HeapProfiler.collectGarbage")
            metrics = session.send("Performance.getMetrics")["metrics"]
            return next(m["value"] for m in metrics if m["name"] == "JSHeapUsedSize")

        session.send("Performance.enable")
        page.evaluate(REPEATED, [server.file_path, 3])
        before = heap()
        page.evaluate(REPEATED, [server.file_path, 30])
        assert heap() < before + 1_000_000


STRIP = """async (count) => {
    const { Strip } = await import("/strip.js");
    const canvas = document.createElement("canvas");
    document.body.append(canvas);
    Object.assign(canvas.style, { width: "500px", height: "40px", display: "block" });
    document.documentElement.style.setProperty("--rest", "#0f0");
    const strip = new Strip(canvas);
    const group = (_, i) => ({ firstFrame: 16 * i, offset: 100 * i });
    const groups = Array.from({ length: count }, group);
    strip.begin(16 * count);
    strip.index(groups, 16 * count, 100 * count);
    strip.add({ firstFrame: 0, frames: 16, bytes: 200, content: 0, motion: 0, network: 0 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { data } = canvas.getContext("2d").getImageData(0, 25, canvas.width, 1);
    const bars = Array.from({ length: canvas.width }, (_, x) => data[4 * x + 1] === 255);
    return [canvas.width, bars.filter(Boolean).length, strip.frames];
}"""


def test_strip_of_a_long_file(page):
    count = 300_000
    with serving(LONG) as server:
        page.goto(server.url.partition("?")[0])
        width, bars, frames = page.evaluate(STRIP, count)
    assert frames == 16 * count
    # All but where the mark of the frame is.
    assert width >= 500
    assert bars >= width - 4


LUMA_WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}


def rgb(planes, matrix, full):
    """R'G'B' of 4:2:0 planes of 8 bits whose chroma lies to the left, by H.273."""
    y, cb, cr = (plane.astype(float) for plane in planes)
    height, width = y.shape

    def whole(plane):
        across = [np.interp(np.arange(width) / 2, np.arange(plane.shape[1]), row) for row in plane]
        rows = (np.arange(height) - 0.5) / 2
        columns = np.array(across).T
        return np.array([np.interp(rows, np.arange(plane.shape[0]), c) for c in columns]).T

    y = y / 255 if full else (y - 16) / 219
    cb, cr = ((whole(plane) - 128) / (255 if full else 224) for plane in (cb, cr))
    kr, kb = LUMA_WEIGHTS[matrix]
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return 255 * np.clip(np.stack([red, green, blue], -1), 0, 1)


@pytest.mark.parametrize(("matrix", "full"), [(1, 0), (6, 0), (1, 1)])
def test_colours(page, tmp_path, matrix, full):
    from PIL import Image

    path = tmp_path / "colours.nrv"
    path.write_bytes(with_head(LONG.read_bytes(), matrix=matrix, full_range=full))
    with Decoder(str(path)) as decoder:
        frames = list(decoder)
    with serving(path) as server:
        page.goto(server.url)
        shown(page, frames[-1].index)
        canvas = page.locator("#picture")
        drawn = b64decode(canvas.evaluate("e => e.toDataURL()").partition(",")[2])
        seen = canvas.screenshot()

    def pixels(png):
        return np.array(Image.open(io.BytesIO(png)).convert("RGB"), float)

    found = pixels(drawn)
    expected = rgb(frames[-1].planes, matrix, full)
    assert found.shape == expected.shape
    # Filters of the GPU and rounding: a level or two. Another matrix or range is far from that.
    assert np.abs(found - expected).mean() < 1.5
    # What is seen may lie between pixels of the screen.
    inner = pixels(seen)[2:-2, 2:-2]
    assert np.abs(inner.mean((0, 1)) - expected.mean((0, 1))).max() < 4


SHOWN_SIZE = """async ([width, height, sarNum, sarDen]) => {
    const { displaySize } = await import("/picture.js");
    return displaySize(width, height, { sarNum, sarDen }, [16384, 8192]);
}"""
TOO_LARGE = """async () => {
    const { Renderer } = await import("/renderer.js");
    const renderer = new Renderer(new OffscreenCanvas(8, 8));
    try {
        renderer.draw({ width: 2 ** 20, height: 2, planes: [], bitDepth: 8 });
    } catch (error) {
        return error.kind;
    }
}"""


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((64, 64, 0, 0), [64, 64]),
        ((64, 64, 4, 3), [85, 64]),
        ((64, 64, 3, 4), [64, 85]),
        ((1024, 512, 32, 1), [16384, 256]),
        ((64, 64, 65535, 1), [16384, 1]),
        ((64, 64, 1, 65535), [1, 8192]),
        ((16384, 16384, 1, 1), [8192, 8192]),
    ],
)
def test_shown_sizes_are_limited(page, picture, size):
    with serving(LONG) as server:
        assert evaluated(page, server, SHOWN_SIZE, list(picture)) == size


def test_too_large_pictures_are_told(page):
    with serving(LONG) as server:
        assert evaluated(page, server, TOO_LARGE, None) == "unsupported"


def test_a_lost_picture_is_drawn_again(page):
    with serving(LONG) as server:
        page.goto(server.url)
        shown(page, len(digests(LONG)) - 1)
        page.wait_for_selector("body[data-state='paused']")
        canvas = page.locator("#picture")
        before = canvas.evaluate("e => e.toDataURL()")
        canvas.evaluate(
            """async (e) => {
                const loss = e.getContext("webgl2").getExtension("WEBGL_lose_context");
                const come = (type) => new Promise((resolve) => e.addEventListener(type, resolve));
                const lost = come("webglcontextlost");
                loss.loseContext();
                await lost;
                await new Promise((resolve) => setTimeout(resolve));
                loss.restoreContext();
            }"""
        )
        page.wait_for_function(
            "before => document.getElementById('picture').toDataURL() === before", arg=before
        )


HEARABLE = """async (tracks) => {
    const { canHear } = await import("/sound.js");
    const found = [];
    for (const [codec, rate, channels] of tracks) {
        const extradata = new Uint8Array(0);
        found.push(await canHear({ kind: "audio", codec, rate, channels, extradata }));
    }
    return found;
}"""


def test_tracks_that_no_browser_plays(page):
    tracks = [
        ["pcm_u8", 8000, 2],
        ["pcm_u8", 2999, 2],
        ["pcm_u8", 768001, 2],
        ["pcm_u8", 8000, 33],
        ["__proto__", 48000, 2],
        ["toString", 48000, 2],
    ]
    with serving(LONG) as server:
        assert evaluated(page, server, HEARABLE, tracks) == [True] + [False] * 5


def with_sound():
    """A grey video of a second with two seconds of PCM, whose packets come with its groups."""
    data = (VECTORS / "sine.nrv").read_bytes()
    with open(VECTORS / "sine.nrv", "rb") as file:
        events = UnitReader(file)
        header = events.open()
        listed = list(events)
    description = next(e.payload for e in listed if type(e).__name__ == "Description")
    groups = [e.group for e in listed if hasattr(e, "group")]
    track = Track(1, "audio", "pcm_s16le", Fraction(1, 8000), rate=8000, channels=1)
    out = io.BytesIO()
    writer = NrvWriter(out)
    writer.begin(header, description, {}, tracks=[track])
    for number, group in enumerate(groups):
        samples = (np.arange(800) * 40 - 16000).astype("<i2").tobytes()
        writer.add_packets([Packet(1, 800 * number, 800, samples)])
        writer.add_group(group)
    writer.finish()
    assert len(data) < out.tell()
    return out.getvalue()


SOUND = """async (url) => {
    const { NrvDecoder } = await import("/nrv.js");
    const { canHear, pcmSamples } = await import("/sound.js");
    const decoder = new NrvDecoder(url);
    const packets = [];
    decoder.addEventListener("packets", ({ detail }) => packets.push(...detail));
    for await (const picture of decoder.pictures()) picture.close();
    const [track] = decoder.tracks;
    const [samples] = pcmSamples(track.codec, track.channels, packets[0].data);
    return {
        codec: track.codec, heard: await canHear(track), first: [...samples.slice(0, 3)],
        packets: packets.map(({ timestamp, duration }) => [timestamp, duration]),
    };
}"""


# Keeps what the page gives to the speakers.
HEARD = """
    window.heard = [];
    const start = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function (when, offset) {
        const samples = this.buffer.getChannelData(0);
        window.heard.push([when - offset, samples[0], samples.length]);
        start.call(this, when, offset);
    };
"""


def heard_from_the_start(page):
    """What is heard of a paused file that plays from its first frame; see HEARD."""
    page.locator("#place").evaluate("e => { e.value = 0; e.dispatchEvent(new Event('input')); }")
    shown(page, 0)
    page.evaluate("window.heard.length = 0")
    page.locator("#play").click()
    page.wait_for_function("window.heard.length > 1")
    return page.evaluate("window.heard")


def test_sound(page, tmp_path):
    path = tmp_path / "sound.nrv"
    path.write_bytes(with_sound())
    page.add_init_script(HEARD)
    with serving(path) as server:
        page.goto(server.url)
        page.wait_for_selector("#sound-label:not([hidden])")
        page.wait_for_selector("body[data-state='paused']")
        heard = heard_from_the_start(page)
        found = page.evaluate(SOUND, server.file_path)
    assert heard[0][1:] == [-16000 / 32768, 800]
    assert heard[1][0] - heard[0][0] == pytest.approx(0.1, abs=0.02)
    assert (found["codec"], found["heard"]) == ("pcm_s16le", True)
    assert found["first"] == [-16000 / 32768, -15960 / 32768, -15920 / 32768]
    assert found["packets"][:2] == [[0, 100_000], [100_000, 100_000]]


def test_sound_at_another_speed(page, tmp_path):
    path = tmp_path / "sound.nrv"
    path.write_bytes(with_sound())
    page.add_init_script(HEARD)
    with serving(path) as server:
        page.goto(server.url)
        page.wait_for_selector("body[data-state='paused']")
        page.locator("#speed").select_option("0.5")
        heard = heard_from_the_start(page)
    # Sound of n samples is heard for 2 n, without a gap.
    for (start, _, length), (following, _, _) in pairwise(heard):
        assert following - start == pytest.approx(length / 8000, abs=0.02)
    assert sum(length for _, _, length in heard) > 1.5 * 800 * (len(heard) - 1)


STRETCHED = """async ([rate, speed, parts]) => {
    const { Stretch } = await import("/stretch.js");
    const stretch = new Stretch(2, rate, speed);
    const found = [[], []];
    let from = 0;
    for (const part of parts) {
        const channels = [0, 1].map((c) => Float32Array.from({ length: part }, (_, i) =>
            0.5 * Math.sin((2 * Math.PI * 440 * (from + i)) / rate + c)));
        stretch.add(channels).forEach((samples, c) => (found[c] = found[c].concat([...samples])));
        from += part;
    }
    return [found, stretch.given];
}"""


@pytest.mark.parametrize("speed", [0.25, 0.5, 2, 4])
def test_stretched_sound_keeps_its_pitch(page, speed):
    rate, length = 24000, int(12000 * max(0.5, speed))
    with serving(LONG) as server:
        found, given = evaluated(page, server, STRETCHED, [rate, speed, [length]])
        parts = evaluated(page, server, STRETCHED, [rate, speed, [750] * (length // 750)])
    samples = np.array(found)
    assert parts == [found, given]
    assert samples.shape == (2, given)
    # What later samples decide is not there yet.
    assert (length - 0.06 * rate) / speed < given <= length / speed
    for channel in samples:
        rises = np.count_nonzero((channel[:-1] < 0) & (channel[1:] >= 0))
        assert rises == pytest.approx(440 * given / rate, rel=0.02)
        assert np.abs(channel).max() < 0.51
        # Pieces fit: the steps between samples are those of the tone, and it does not fade.
        assert np.abs(np.diff(channel)).max() < 1.2 * 0.5 * 2 * np.pi * 440 / rate
        blocks = channel[: given // 240 * 240].reshape(-1, 240)
        assert blocks.std(1).min() > 0.3


DECODED = """async ([description, packets, turn]) => {
    const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const worker = new Worker("/sound_worker.js", { type: "module" });
    const config = {
        codec: "flac", sampleRate: 8000, numberOfChannels: 2, description: bytes(description),
    };
    const chunks = packets.map((text, k) =>
        ({ type: "key", timestamp: k * 72000, duration: 72000, data: bytes(text) }));
    const found = [];
    const all = new Promise((resolve) => {
        worker.onmessage = ({ data }) => {
            if (!data.failed) data.channels = data.channels.map((samples) => [...samples]);
            found.push(data);
            if (data.failed || found.length === packets.length) resolve();
        };
    });
    worker.postMessage({ config, turn });
    worker.postMessage({ chunks, turn });
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, 20000))]);
    worker.terminate();
    return found;
}"""


def test_packets_are_decoded_in_a_worker(page):
    samples = np.random.default_rng(1).integers(-(2**15), 2**15, (3, 1, 8000), np.int16)
    context = av.CodecContext.create("flac", "w")
    context.sample_rate, context.format, context.layout = 8000, "s16", "stereo"
    packets = []
    for k, part in enumerate(samples):
        frame = av.AudioFrame.from_ndarray(part, "s16", "stereo")
        frame.sample_rate, frame.pts = 8000, 4000 * k
        packets += [bytes(packet) for packet in context.encode(frame)]
    packets += [bytes(packet) for packet in context.encode(None) if packet.size]
    head = b"fLaC" + bytes([0x80, 0, 0, 34]) + context.extradata
    asked = [b64encode(head).decode(), [b64encode(packet).decode() for packet in packets], 7]
    with serving(LONG) as server:
        found = evaluated(page, server, DECODED, asked)
        broken = evaluated(page, server, DECODED, [b64encode(b"none").decode(), asked[1], 8])
    assert broken == [{"failed": True, "turn": 8}]
    assert {(part["rate"], part["turn"]) for part in found} == {(8000, 7)}
    assert [part["timestamp"] for part in found] == [72000 * k for k in range(len(packets))]
    heard = np.concatenate([np.array(part["channels"]).T for part in found])
    np.testing.assert_array_equal(heard * 2**15, samples.reshape(-1, 2))
