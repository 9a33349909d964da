"""The decoder on whole files: forward, random access, other sizes, pipes."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.decode.decoder import Decoder
from nvcodec.format import UnsupportedError
from nvcodec.model.resample import ViewError

from .samples import PLANS, cut, group_offsets, same, sample

NAMES = sorted(PLANS)


def opened(name: str, **options: object) -> Decoder:
    return Decoder(io.BytesIO(sample(name)[0]), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_iteration(name: str) -> None:
    _, pictures = sample(name)
    plan = PLANS[name]
    with opened(name) as decoder:
        assert len(decoder) == len(pictures)
        frames = list(decoder)
        assert decoder.metadata == {"encoder": "synthetic"}
        assert decoder.shape == plan.shape
        assert (decoder.header.width, decoder.header.height) == (plan.width, plan.height)
    assert [frame.index for frame in frames] == list(range(len(pictures)))
    assert all(same(frame.planes, planes) for frame, planes in zip(frames, pictures, strict=True))
    pts = 5
    durations = [plan.durations[k % len(plan.durations)] for n in plan.frames for k in range(n)]
    for frame, duration in zip(frames, durations, strict=True):
        assert (frame.pts, frame.duration) == (pts, duration)
        assert frame.time == Fraction(pts, 90)
        assert (frame.width, frame.height) == (plan.width, plan.height)
        pts += duration


def test_pictures_differ() -> None:
    """Otherwise equality would prove little."""
    for name in NAMES:
        pictures = sample(name)[1]
        for planes in pictures:
            assert all(np.unique(p).size > n for p, n in zip(planes, (20, 1, 1), strict=True))
        assert not any(same(a, b) for a, b in itertools.pairwise(pictures))


@pytest.mark.parametrize("name", NAMES)
def test_indexing(name: str) -> None:
    _, pictures = sample(name)
    count = len(pictures)
    decoder = opened(name)
    order = [*np.random.default_rng(1).permutation(np.arange(-count, count)), 0, 0, count - 1]
    for index in order:
        frame = decoder[int(index)]
        assert frame.index == int(index) % count
        assert same(frame.planes, pictures[index])
    for index in (count, count + 1, 10**9, -count - 1, -(10**9)):
        with pytest.raises(IndexError):
            decoder[index]


def test_path(tmp_path: Path) -> None:
    data, pictures = sample("deep")
    path = tmp_path / "a.nrv"
    path.write_bytes(data)
    for source in (path, str(path)):
        with Decoder(source) as decoder:
            assert len(list(decoder)) == len(pictures)
        with pytest.raises(ValueError, match="closed"):
            next(iter(Decoder.frames(decoder)))
    with pytest.raises(FileNotFoundError):
        Decoder(tmp_path / "none.nrv")
    file = io.BytesIO(data)
    Decoder(file).close()
    assert not file.closed


def test_seek() -> None:
    _, pictures = sample("deep")
    decoder = opened("deep")
    for start in (4, 0, 8, 9, 100, 2):
        decoder.seek(start)
        assert [f.index for f in decoder] == list(range(start, len(pictures)))
        assert [f.index for f in decoder] == []
    with pytest.raises(ValueError, match="negative"):
        decoder.seek(-1)
    decoder.seek(3)
    first = next(iter(decoder))
    assert first.index == 3
    assert [f.index for f in decoder] == list(range(4, len(pictures)))


@pytest.mark.parametrize("name", NAMES)
def test_start_and_count(name: str) -> None:
    _, pictures = sample(name)
    total = len(pictures)
    decoder = opened(name)
    for start in range(total + 2):
        for count in (None, 0, 1, 2, 5, total + 3):
            frames = list(decoder.frames(start=start, count=count))
            stop = total if count is None else min(total, start + count)
            assert [f.index for f in frames] == list(range(start, stop))
            assert all(same(f.planes, pictures[f.index]) for f in frames)


@pytest.mark.parametrize("verify", [False, True])
def test_verify_changes_nothing(verify: bool) -> None:
    _, pictures = sample("small")
    crop = (10, 9, 4, 2)
    frames = list(opened("small").frames(start=2, count=5, crop=crop, verify=verify))
    assert [f.index for f in frames] == [2, 3, 4, 5, 6]
    assert all(same(f.planes, cut(pictures[f.index], crop)) for f in frames)


SIZES = [None, (37, 22), (20, 31), (74, 44), (11, 7), (16, 50), (1, 1), (61, 3)]


@given(st.sampled_from(NAMES), st.sampled_from(SIZES), st.data())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_size_and_crop(name: str, size: tuple[int, int] | None, data: st.DataObject) -> None:
    """A region of a frame is the slice of the frame, rendered alone or in a run."""
    decoder = opened(name, threads=1)
    number = data.draw(st.integers(0, len(decoder) - 1))
    whole = decoder.render(number, size=size)
    width, height = size or (decoder.header.width, decoder.header.height)
    assert (whole.width, whole.height) == (width, height)
    x = 2 * data.draw(st.integers(0, (width - 1) // 2))
    y = 2 * data.draw(st.integers(0, (height - 1) // 2))
    crop = (
        data.draw(st.integers(1, width - x)),
        data.draw(st.integers(1, height - y)),
        x,
        y,
    )
    part = decoder.render(number, size=size, crop=crop)
    assert (part.width, part.height) == crop[:2]
    assert same(part.planes, cut(whole.planes, crop))
    (run,) = decoder.frames(start=number, count=1, size=size, crop=crop)
    assert (run.index, run.pts) == (part.index, part.pts)
    assert same(run.planes, part.planes)


def test_views_that_cannot_be() -> None:
    decoder = opened("deep")
    for size, crop in [((0, 5), None), (None, (1, 1, 1, 0)), (None, (99, 1, 0, 0))]:
        with pytest.raises(ViewError):
            decoder.render(0, size=size, crop=crop)
        with pytest.raises(ViewError):
            next(decoder.frames(size=size, crop=crop))


@pytest.mark.parametrize("name", NAMES)
def test_random_access_within_iteration(name: str) -> None:
    """Iterators, single frames and `len` on one object do not disturb each other."""
    _, pictures = sample(name)
    count = len(pictures)
    decoder = opened(name)
    # Before the first pass too.
    assert same(decoder[count - 1].planes, pictures[-1])
    a, b, c = decoder.frames(), decoder.frames(start=1), decoder.frames()
    for k in range(count):
        frame = next(a)
        assert frame.index == k
        assert same(frame.planes, pictures[k])
        assert same(decoder[count - 1 - k].planes, pictures[count - 1 - k])
        if k:
            assert same(next(b).planes, pictures[k])
        assert same(next(c).planes, pictures[k])
        assert len(decoder) == count
    assert next(a, None) is next(b, None) is next(c, None) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("threads", "batch"), [(1, 1), (1, 5), (3, 4), (2, None), (None, 10**6)])
def test_threads_and_batch(name: str, threads: int | None, batch: int | None) -> None:
    frames = opened(name, threads=threads, batch=batch).frames()
    assert all(same(f.planes, p) for f, p in zip(frames, sample(name)[1], strict=True))


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": -1}, {"batch": 0}])
def test_wrong_options(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        opened("deep", **options)


def test_unknown_device() -> None:
    with pytest.raises(ValueError, match="device"):
        opened("deep", device="tpu")


@pytest.mark.parametrize("start", [-1, -100])
def test_negative_start(start: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        next(opened("deep").frames(start=start))


class Pipe:
    """A pipe with a decoder at its read end."""

    def __init__(self, buffering: int = -1) -> None:
        read, write = os.pipe()
        self.reader = os.fdopen(read, "rb", buffering)
        self.writer = os.fdopen(write, "wb", 0)

    def feed(self, data: bytes, sizes: list[int]) -> threading.Thread:
        def work() -> None:
            place, cycle = 0, itertools.cycle(sizes)
            with self.writer:
                while place < len(data):
                    place += self.writer.write(data[place : place + next(cycle)])

        thread = threading.Thread(target=work)
        thread.start()
        return thread


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("sizes", [[1], [7, 1, 100, 3], [1 << 16]])
def test_pipe(sizes: list[int], buffering: int) -> None:
    data, pictures = sample("small")
    pipe = Pipe(buffering)
    thread = pipe.feed(data, sizes)
    with pipe.reader:
        decoder = Decoder(pipe.reader)
        frames = list(decoder)
        assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=True))
        thread.join()
        with pytest.raises(UnsupportedError):
            next(decoder.frames())


def test_pipe_from_a_later_frame() -> None:
    data, pictures = sample("deep")
    pipe = Pipe()
    thread = pipe.feed(data, [50])
    with pipe.reader:
        frames = list(Decoder(pipe.reader).frames(start=3, count=4))
        pipe.reader.read()
    thread.join()
    assert [f.index for f in frames] == [3, 4, 5, 6]
    assert all(same(f.planes, pictures[f.index]) for f in frames)


@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_group_is_delivered_when_it_is_there(buffering: int) -> None:
    """Frames of a group come before a byte of the next one exists: a read too far would hang."""
    data, pictures = sample("deep")
    pipe = Pipe(buffering)
    delivered: list[int] = []

    def work() -> None:
        for frame in Decoder(pipe.reader):
            assert same(frame.planes, pictures[frame.index])
            delivered.append(frame.index)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    place = ready = 0
    for (_, end), count in zip(group_offsets(data), PLANS["deep"].frames, strict=True):
        pipe.writer.write(data[place:end])
        place, ready = end, ready + count
        deadline = time.monotonic() + 20
        while len(delivered) < ready and time.monotonic() < deadline:
            time.sleep(0.002)
        assert len(delivered) == ready
    pipe.writer.write(data[place:])
    pipe.writer.close()
    thread.join(20)
    assert not thread.is_alive()
    pipe.reader.close()


def test_no_random_access_on_a_pipe() -> None:
    data, pictures = sample("deep")
    pipe = Pipe()
    thread = pipe.feed(data, [500])
    with pipe.reader:
        decoder = Decoder(pipe.reader)
        for call in (
            lambda: len(decoder),
            lambda: decoder[-1],
            lambda: decoder[0],
            lambda: decoder.render(1, size=(8, 8)),
        ):
            with pytest.raises(UnsupportedError):
                call()
        # What was asked in vain has taken nothing from the pipe.
        assert len(list(decoder)) == len(pictures)
    thread.join()


def test_decoding_imports_no_encoder(tmp_path: Path) -> None:
    path = tmp_path / "a.nrv"
    path.write_bytes(sample("small")[0])
    code = (
        "import sys, nvcodec\n"
        "names = set(sys.modules)\n"
        "assert not {'numpy', 'torch', 'numba'} & names, names\n"
        f"with nvcodec.Decoder({str(path)!r}) as decoder:\n"
        "    assert len(list(decoder)) == 10\n"
        "    decoder.render(3, size=(20, 20), crop=(4, 4, 2, 2))\n"
        "names = [n for n in sys.modules if n == 'torch' or n.startswith('nvcodec.encode')]\n"
        "assert not names, names\n"
        "assert 'av' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
