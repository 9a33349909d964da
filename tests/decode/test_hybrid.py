"""Decoding the hybrid model: forward, random access, read-ahead, regions, damage."""

from __future__ import annotations

import gc
import io
import itertools
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvcodec.decode import hybrid as hybrid_module
from nvcodec.decode.decoder import Decoder
from nvcodec.decode.device import Device
from nvcodec.decode.hybrid import HybridModel
from nvcodec.format import (
    CorruptError,
    Group,
    NrvError,
    OverLimitError,
    TruncatedError,
    VerificationError,
)
from nvcodec.model.description import CanvasShape
from nvcodec.picture import Planes
from tests.format.samples import head, join
from tests.hybrid import HybridPlan, synthesize_hybrid

from .samples import cut, group_offsets, rebuild, same, take
from .test_decoder import Pipe

PLAN = HybridPlan()
THREADS = [1, 2, 3, 8, None]


@lru_cache
def sample(plan: HybridPlan = PLAN) -> tuple[bytes, list[Planes]]:
    return synthesize_hybrid(plan)


def opened(data: bytes | None = None, **options: Any) -> Decoder:
    return Decoder(io.BytesIO(sample()[0] if data is None else data), **options)


@pytest.mark.parametrize("threads", THREADS)
def test_forward(threads: int | None) -> None:
    pictures = sample()[1]
    with opened(threads=threads) as decoder:
        assert decoder.shape == PLAN.shape
        frames = list(decoder)
        assert decoder.metadata == {"encoder": "synthetic"}
        assert len(decoder) == len(pictures)
    assert [frame.index for frame in frames] == list(range(len(pictures)))
    assert all(same(frame.planes, planes) for frame, planes in zip(frames, pictures, strict=True))


def test_pictures_differ() -> None:
    pictures = sample()[1]
    assert not any(same(a, b) for a, b in itertools.pairwise(pictures))


@pytest.mark.parametrize("threads", THREADS)
def test_at_random(threads: int | None) -> None:
    pictures = sample()[1]
    count = len(pictures)
    with opened(threads=threads) as decoder:
        for number in np.random.default_rng(2).permutation(np.arange(-count, count)):
            assert same(decoder[int(number)].planes, pictures[number])
        with pytest.raises(IndexError):
            decoder[count]


def test_start_and_count() -> None:
    pictures = sample()[1]
    total = len(pictures)
    decoder = opened()
    for start in range(0, total + 2, 3):
        for count in (None, 0, 1, 5, total + 3):
            frames = list(decoder.frames(start=start, count=count))
            stop = total if count is None else min(total, start + count)
            assert [f.index for f in frames] == list(range(start, stop))
            assert all(same(f.planes, pictures[f.index]) for f in frames)


def test_mixed() -> None:
    pictures = sample()[1]
    count = len(pictures)
    decoder = opened()
    forward, later = decoder.frames(), decoder.frames(start=6)
    for k in range(count):
        assert same(next(forward).planes, pictures[k])
        assert same(decoder[count - 1 - k].planes, pictures[count - 1 - k])
        if k >= 6:
            assert same(next(later).planes, pictures[k])


def test_views() -> None:
    pictures = sample()[1]
    decoder = opened()
    crop = (21, 13, 10, 6)
    for frame in decoder.frames(crop=crop, verify=True):
        assert same(frame.planes, cut(pictures[frame.index], crop))
    whole = decoder.render(7, size=(40, 61))
    part = decoder.render(7, size=(40, 61), crop=crop)
    assert same(part.planes, cut(whole.planes, crop))


def test_frames_may_be_written_to() -> None:
    """They are not the canvases that later ones are predicted from."""
    pictures = sample()[1]
    for options in ({}, {"crop": (75, 46, 0, 0)}):
        for frame in opened(threads=1).frames(**options):
            assert same(frame.planes, pictures[frame.index])
            for plane in frame.planes:
                plane[...] = 0
    decoder = opened()
    for number in range(12, 0, -1):
        frame = decoder[number]
        assert same(frame.planes, pictures[number])
        for plane in frame.planes:
            plane[...] = 0


@pytest.fixture
def reconstructed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sets of the canvases that are reconstructed, as they are."""
    sets: list[int] = []
    original = HybridModel._reconstruct

    def counting(self: HybridModel, canvases: Any, step: Any, references: Any) -> Any:
        sets.append(step.set)
        return original(self, canvases, step, references)

    monkeypatch.setattr(HybridModel, "_reconstruct", counting)
    return sets


def test_only_chains_on_the_way(reconstructed: list[int]) -> None:
    plan = replace(PLAN, frames=(1, 8, 8, 8, 8), keys=(0,))
    data, pictures = sample(plan)
    with opened(data) as decoder:
        # Frames 25..32 are the last group; its frame 3 needs its chain canvas only.
        assert same(decoder[28].planes, pictures[28])
        assert sorted(reconstructed) == [0, 1, 1, 1, 1, 2]
        assert same(decoder[28].planes, pictures[28])
        assert same(decoder[25].planes, pictures[25])
        assert sorted(reconstructed) == [0, 1, 1, 1, 1, 2, 2, 2]
        reconstructed.clear()
        assert sum(group.frame_count for group, *_ in decoder.groups()) == 33
        assert sorted(reconstructed) == [0, 1, 1, 1, 1]


def test_nothing_after_the_last_frame_is_begun(reconstructed: list[int]) -> None:
    with opened() as decoder:
        assert len(list(decoder.frames(count=3))) == 3
    assert len(reconstructed) <= 1 + 4


def test_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither samples nor tables of groups that are delivered are kept."""
    plan = replace(PLAN, frames=(1, *[3] * 40), keys=(0,))
    data, _ = sample(plan)
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    original = hybrid_module.CanvasGroup.__init__

    def noting(self: Any, **arguments: Any) -> None:
        original(self, **arguments)
        alive.add(self)

    monkeypatch.setattr(hybrid_module.CanvasGroup, "__init__", noting)
    monkeypatch.setattr(hybrid_module.CanvasGroup, "__hash__", object.__hash__)
    most = 0
    gc.disable()
    try:
        for k, _ in enumerate(opened(data, threads=2).frames()):
            if k % 3 == 0:
                most = max(most, len(alive))
        alive.clear()
        assert most <= 6
        opened(data, threads=2).render(120)
        assert len(alive) <= 4
    finally:
        gc.enable()


def test_ahead_is_bounded_by_bytes() -> None:
    def ahead(width: int, height: int, frames: int) -> int:
        header = opened().header
        shape = CanvasShape(frames)
        return HybridModel(shape, replace(header, width=width, height=height), Device(1, 1)).ahead

    assert ahead(640, 360, 8) == 2
    assert ahead(3840, 2160, 32) == 1
    assert ahead(65535, 2048, 32) == 0


def test_pipe() -> None:
    data, pictures = sample()
    for start in (0, 9):
        pipe = Pipe()
        thread = pipe.feed(data, [7, 100, 3])
        with pipe.reader:
            frames = list(Decoder(pipe.reader).frames(start=start))
        thread.join()
        assert [f.index for f in frames] == list(range(start, len(pictures)))
        assert all(same(f.planes, pictures[f.index]) for f in frames)


def test_a_group_is_delivered_when_it_is_there() -> None:
    data, pictures = sample()
    pipe = Pipe()
    delivered: list[int] = []

    def work() -> None:
        for frame in Decoder(pipe.reader):
            assert same(frame.planes, pictures[frame.index])
            delivered.append(frame.index)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    place = ready = 0
    for (_, end), count in zip(group_offsets(data), PLAN.frames, strict=True):
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


def changed(ordinal: int, change: Callable[[Group], Group]) -> bytes:
    return rebuild(sample()[0], lambda number, group: change(group) if number == ordinal else group)


DAMAGE: dict[str, Callable[[Group], Group]] = {
    "samples": lambda group: replace(group, crc=group.crc ^ 1),
    "content goes on": lambda group: replace(group, content=group.content + bytes(9) + b"\1"),
    "motion goes on": lambda group: replace(group, motion=group.motion + bytes(9) + b"\1"),
    "content ends in 0": lambda group: replace(group, content=group.content + b"\0"),
    "motion ends in 0": lambda group: replace(group, motion=group.motion + b"\0"),
    "content begins with FF": lambda group: replace(group, content=b"\xff" * 4 + group.content),
    "motion begins with FF": lambda group: replace(group, motion=b"\xff" * 4 + group.motion),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("ordinal", range(7))
def test_damage_behind_the_crc(ordinal: int, name: str, threads: int) -> None:
    """What came before it is delivered; nothing after it."""
    data, pictures = changed(ordinal, DAMAGE[name]), sample()[1]
    frames, error = take(opened(data, threads=threads))
    assert type(error) is (VerificationError if name == "samples" else CorruptError)
    assert (error.unit, error.offset) == (f"GRUP {ordinal}", group_offsets(data)[ordinal][0])
    assert error.rule == ("2.7" if name == "samples" else "3.2")
    assert [f.index for f in frames] == list(range(sum(PLAN.frames[:ordinal])))
    assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=False))


@pytest.mark.parametrize("ordinal", range(7))
def test_damaged_group(ordinal: int) -> None:
    data, pictures = sample()
    start, end = group_offsets(data)[ordinal]
    damaged = bytearray(data)
    damaged[(start + end) // 2] ^= 4
    decoder = opened(bytes(damaged))
    frames, error = take(decoder)
    assert type(error) is CorruptError
    assert (error.unit, error.offset) == (f"GRUP {ordinal}", start)
    assert [f.index for f in frames] == list(range(sum(PLAN.frames[:ordinal])))
    for number in range(len(pictures)):
        group = next(k for k in range(7) if number < sum(PLAN.frames[: k + 1]))
        if ordinal <= group and (group < 4 or ordinal >= 4):
            with pytest.raises(CorruptError):
                decoder[number]
        else:
            assert same(decoder[number].planes, pictures[number])


@pytest.mark.parametrize("at_random", [False, True])
def test_a_second_reference_that_is_not_there(at_random: bool) -> None:
    """Only one canvas comes before the group that follows a key group."""
    # A writer refuses it.
    start, end = group_offsets(sample()[0])[1]
    unit = bytearray(sample()[0][start:end])
    unit[8] = 1 << 1
    unit[-4:] = zlib.crc32(unit[:4] + unit[8:-4]).to_bytes(4, "little")
    data = sample()[0][:start] + unit + sample()[0][end:]
    if at_random:
        with pytest.raises(CorruptError, match=r"7\.2"):
            opened(data)[2]
        return
    frames, error = take(opened(data))
    assert (type(error), len(frames)) == (CorruptError, 1)
    assert isinstance(error, CorruptError)
    assert error.rule == "7.2"


def test_truncation() -> None:
    data, pictures = sample()
    ends = [end for _, end in group_offsets(data)]
    for size in range(96, len(data), 37):
        frames, error = take(opened(data[:size], threads=1))
        assert type(error) is TruncatedError
        delivered = sum(n for n, end in zip(PLAN.frames, ends, strict=True) if end <= size)
        assert [f.index for f in frames] == list(range(delivered))
        assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=False))


@pytest.mark.parametrize("seed", range(40))
def test_hostile_substreams(seed: int) -> None:
    """Any bytes decode to the same samples, or give an error of the tree, with any threads."""
    rng = np.random.default_rng(seed)

    def change(number: int, group: Group) -> Group:
        content = bytearray(group.content if seed % 2 else rng.bytes(int(rng.integers(0, 4000))))
        motion = bytearray(group.motion if seed % 4 == 3 else rng.bytes(int(rng.integers(0, 900))))
        for data in (content, motion):
            for place in rng.integers(0, max(1, len(data)), 3):
                if data:
                    data[place] = int(rng.integers(256))
        return replace(group, content=bytes(content), motion=bytes(motion))

    data = rebuild(sample()[0], change)
    found = []
    for threads in (1, 4):
        with opened(data, threads=threads) as decoder:
            results: list[Any] = []
            # Chains only: no end of a substream is checked, nor any CRC.
            for number in (0, 4, 12, 21):
                try:
                    results.append([p.tobytes() for p in decoder[number].planes])
                except NrvError as error:
                    results.append((type(error), str(error)))
            frames, error = take(decoder)
            assert isinstance(error, CorruptError)
            results.append((len(frames), str(error)))
        found.append(results)
    assert found[0] == found[1]


def lying(header: dict[str, int], frames: int) -> bytes:
    return join(head(model=2, **header), (b"HYBR", CanvasShape(frames).to_payload()))


@pytest.mark.parametrize(
    "header",
    [
        {"level": 5, "width": 65535, "height": 65535},
        {"level": 4, "width": 4097, "height": 4096},
        {"level": 1, "width": 513, "height": 512},
    ],
)
def test_over_limit(header: dict[str, int]) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(OverLimitError):
            opened(lying(header, 32))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 18


def test_a_description_costs_no_memory() -> None:
    """The limits of weights and multiplications hold for the sine model only."""
    tracemalloc.start()
    try:
        decoder = opened(lying({"level": 4, "width": 4096, "height": 4096}, 32))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    frames, error = take(decoder)
    assert not frames
    assert isinstance(error, TruncatedError)


def test_the_description_of_another_model() -> None:
    data = join(head(model=2), (b"HYBR", bytes(16)))
    with pytest.raises(CorruptError) as error:
        opened(data)
    assert (error.value.unit, error.value.offset, error.value.rule) == ("HYBR", 68, "7.1")


def test_decoding_imports_no_encoder(tmp_path: Path) -> None:
    path = tmp_path / "a.nrv"
    path.write_bytes(sample()[0])
    code = (
        "import sys, nvcodec\n"
        f"with nvcodec.Decoder({str(path)!r}) as decoder:\n"
        "    assert len(list(decoder)) == 22\n"
        "names = [n for n in sys.modules if n == 'torch' or n.startswith('nvcodec.encode')]\n"
        "assert not names, names\n"
        "assert 'nvcodec.model.sine.renderer' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
