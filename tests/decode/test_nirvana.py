"""Decoding the nirvana model: forward, random access, read-ahead, regions, damage, memory."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.nirvana.features import ContentEncoder
from nvcodec.coding.nirvana.table import FEATURES
from nvcodec.decode import nirvana as nirvana_module
from nvcodec.decode.decoder import Decoder
from nvcodec.decode.device import Device
from nvcodec.decode.nirvana import NirvanaModel
from nvcodec.format import (
    CorruptError,
    Group,
    Limits,
    NrvError,
    OverLimitError,
    TruncatedError,
    UnsupportedError,
    VerificationError,
)
from nvcodec.model.description import PatchShape
from nvcodec.model.nirvana.layers import Layers
from nvcodec.model.nirvana.parameters import seen_features
from nvcodec.picture import YUV420P8, Planes
from tests.format.samples import complete, grup, head, join
from tests.nirvana import NirvanaPlan, synthesize_nirvana

from .samples import cut, group_offsets, rebuild, same, take
from .test_decoder import Pipe

# Several bands of patches, and groups that do not use all frames of the network.
PLAN = NirvanaPlan(width=45, height=141, frames=(4, 4, 1, 3, 4, 2), keys=(0, 4))
COUNT = sum(PLAN.frames)
LATER_KEY = 4
"""The number of the second key group."""


@lru_cache
def sample(plan: NirvanaPlan = PLAN) -> tuple[bytes, list[Planes]]:
    return synthesize_nirvana(plan)


def opened(data: bytes | None = None, **options: Any) -> Decoder:
    return Decoder(io.BytesIO(sample()[0] if data is None else data), **options)


def group_of(frame: int) -> int:
    return next(k for k in range(len(PLAN.frames)) if frame < sum(PLAN.frames[: k + 1]))


@pytest.mark.parametrize("threads", [1, 2, 3, 8, None])
def test_forward_and_at_random(threads: int | None) -> None:
    pictures = sample()[1]
    with opened(threads=threads) as decoder:
        assert decoder.shape == PatchShape()
        frames = list(decoder)
        assert [frame.index for frame in frames] == list(range(COUNT))
        assert all(same(f.planes, planes) for f, planes in zip(frames, pictures, strict=True))
        for number in np.random.default_rng(2).permutation(np.arange(-COUNT, COUNT)):
            assert same(decoder[int(number)].planes, pictures[number])
        with pytest.raises(IndexError):
            decoder[COUNT]


@given(st.data())
@settings(max_examples=40, derandomize=True, deadline=None)
def test_any_region_of_any_frames(data: st.DataObject) -> None:
    """With any number of threads it is the slice of the whole."""
    pictures = sample()[1]
    x = 2 * data.draw(st.integers(0, (PLAN.width - 1) // 2))
    y = 2 * data.draw(st.integers(0, (PLAN.height - 1) // 2))
    width = data.draw(st.integers(1, PLAN.width - x))
    height = data.draw(st.integers(1, PLAN.height - y))
    crop = width, height, x, y
    start, count = data.draw(st.integers(0, COUNT - 1)), data.draw(st.integers(1, 6))
    with opened(threads=data.draw(st.sampled_from([1, 2, 5]))) as decoder:
        frames = list(decoder.frames(start=start, count=count, crop=crop))
        assert [f.index for f in frames] == list(range(start, min(COUNT, start + count)))
        for frame in frames:
            assert same(frame.planes, cut(pictures[frame.index], crop))
        number = data.draw(st.integers(0, COUNT - 1))
        assert same(decoder.render(number, crop=crop).planes, cut(pictures[number], crop))


def test_frames_may_be_written_to() -> None:
    """No later frame is predicted from one."""
    pictures = sample()[1]
    for frame in opened(threads=1).frames():
        assert same(frame.planes, pictures[frame.index])
        for plane in frame.planes:
            plane[...] = 0


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """The groups that are rebuilt (their first frames) and the frames that are rendered."""
    found: dict[str, list[Any]] = {"rebuilt": [], "rendered": []}
    rebuild_group, render = NirvanaModel.rebuild, NirvanaModel.render

    def rebuilding(self: NirvanaModel, group: Group, previous: Any, frames: range) -> Any:
        found["rebuilt"].append(group.first_frame)
        return rebuild_group(self, group, previous, frames)

    def rendering(self: NirvanaModel, parameters: Any, frames: Any, region: Any = None) -> Any:
        found["rendered"] += frames
        return render(self, parameters, frames, region)

    monkeypatch.setattr(NirvanaModel, "rebuild", rebuilding)
    monkeypatch.setattr(NirvanaModel, "render", rendering)
    return found


def test_a_frame_needs_groups_from_the_key_group_on(worked: dict[str, list[Any]]) -> None:
    pictures = sample()[1]
    with opened() as decoder:
        assert same(decoder[11].planes, pictures[11])
        assert worked == {"rebuilt": [0, 4, 8, 9], "rendered": [2]}
        assert same(decoder[10].planes, pictures[10])
        assert same(decoder[13].planes, pictures[13])
        assert worked == {"rebuilt": [0, 4, 8, 9, 12], "rendered": [2, 1, 1]}


def test_nothing_after_the_last_frame_is_begun(worked: dict[str, list[Any]]) -> None:
    with opened() as decoder:
        assert len(list(decoder.frames(count=3))) == 3
    assert worked["rebuilt"] == [0]


def test_groups_without_rendering(worked: dict[str, list[Any]]) -> None:
    with opened() as decoder:
        assert sum(group.frame_count for group, *_ in decoder.groups()) == COUNT
    assert worked["rendered"] == []


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


def key_content(width: int, height: int, first: int) -> bytes:
    """The content of a key group whose residuals are 0 but the first one."""
    layers = Layers(width, height, YUV420P8)
    encoder = ContentEncoder(30, layers.patches)
    for grid in layers.grids:
        moved = np.zeros((grid.rows, grid.columns, FEATURES), np.int16)
        seen = seen_features(grid, None, moved, 30)
        seen.residual[0, 0], first = first, 0
        encoder.write(seen)
    return encoder.finish()


CONTENT: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "goes on": (lambda data: data + bytes(9) + b"\1", "3.2"),
    "ends in 0": (lambda data: data + b"\0", "3.2"),
    "begins with FF": (lambda data: b"\xff" * 4 + data, "3.2"),
    "q below 4": (lambda data: bytes([data[0] & 3]) + data[1:], "11.6"),
    "none": (lambda _: b"", "11.6"),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", CONTENT)
@pytest.mark.parametrize("ordinal", [0, 2, 4])
def test_damaged_content(ordinal: int, name: str, threads: int) -> None:
    change, rule = CONTENT[name]
    data = changed(ordinal, lambda group: replace(group, content=change(group.content)))
    expect_damage(data, ordinal, CorruptError, rule, threads=threads)


def expect_damage(
    data: bytes,
    ordinal: int,
    kind: type[NrvError],
    rule: str,
    place: int | None = None,
    **options: Any,
) -> None:
    """What came before a group is delivered; nothing after it."""
    pictures = sample()[1]
    frames, error = take(opened(data, **options))
    assert type(error) is kind
    place = group_offsets(data)[ordinal][0] if place is None else place
    assert (error.unit, error.offset) == (f"GRUP {ordinal}", place)
    assert error.rule == rule
    assert [f.index for f in frames] == list(range(sum(PLAN.frames[:ordinal])))
    assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=False))


@pytest.mark.parametrize("name", ["goes on", "ends in 0", "begins with FF"])
def test_damaged_motion(name: str) -> None:
    change = CONTENT[name][0]
    data = changed(3, lambda group: replace(group, motion=change(group.motion)))
    expect_damage(data, 3, CorruptError, "3.2")


@pytest.mark.parametrize("ordinal", [0, LATER_KEY])
def test_motion_of_a_key_group(ordinal: int) -> None:
    data = changed(ordinal, lambda group: replace(group, motion=b"\1"))
    expect_damage(data, ordinal, CorruptError, "11.4")


@pytest.mark.parametrize("ordinal", [0, LATER_KEY])
def test_residual_out_of_range(ordinal: int) -> None:
    content = key_content(PLAN.width, PLAN.height, 16384)
    data = changed(ordinal, lambda group: replace(group, content=content))
    expect_damage(data, ordinal, CorruptError, "11.6")


@pytest.mark.parametrize("ordinal", range(6))
def test_samples_that_do_not_match(ordinal: int) -> None:
    data = changed(ordinal, lambda group: replace(group, crc=group.crc ^ 1))
    expect_damage(data, ordinal, VerificationError, "2.7")


@pytest.mark.parametrize("ordinal", range(6))
def test_damaged_group(ordinal: int) -> None:
    """Random access reaches all groups but those that depend on the damaged one."""
    data, pictures = sample()
    start, end = group_offsets(data)[ordinal]
    damaged = bytearray(data)
    damaged[(start + end) // 2] ^= 4
    expect_damage(bytes(damaged), ordinal, CorruptError, "2.2", place=start)
    decoder = opened(bytes(damaged))
    for number in range(COUNT):
        group = group_of(number)
        if ordinal <= group and (group < LATER_KEY or ordinal >= LATER_KEY):
            with pytest.raises(CorruptError):
                decoder[number]
        else:
            assert same(decoder[number].planes, pictures[number])


def test_truncation() -> None:
    data, pictures = sample()
    ends = [end for _, end in group_offsets(data)]
    for size in [*range(96, len(data), len(data) // 40), *ends, *(end - 1 for end in ends)]:
        frames, error = take(opened(data[:size], threads=1))
        assert type(error) is TruncatedError
        delivered = sum(n for n, end in zip(PLAN.frames, ends, strict=True) if end <= size)
        assert [f.index for f in frames] == list(range(delivered))
        assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=False))


SMALL = NirvanaPlan(width=19, height=12, frames=(3, 4, 1, 2), keys=(0,), seed=1)


@pytest.mark.parametrize("seed", range(30))
def test_hostile_substreams(seed: int) -> None:
    """Any bytes decode to the same samples, or give an error of the tree, with any threads."""
    rng = np.random.default_rng(seed)

    def change(number: int, group: Group) -> Group:
        content = bytearray(group.content if seed % 2 else rng.bytes(int(rng.integers(1, 900))))
        content[0] |= 0x40 * (seed % 3 > 0)
        motion = bytearray(group.motion if seed % 4 == 3 else rng.bytes(int(rng.integers(0, 30))))
        for data in (content, motion):
            for place in rng.integers(1, max(2, len(data)), 2):
                if place < len(data):
                    data[place] = int(rng.integers(256))
        motion = b"" if group.key else bytes(motion)
        return replace(group, content=bytes(content).rstrip(b"\0"), motion=motion.rstrip(b"\0"))

    data = rebuild(sample(SMALL)[0], change)
    found = []
    for threads in (1, 4):
        with opened(data, threads=threads) as decoder:
            results: list[Any] = []
            for number in (0, 4, 9):
                try:
                    results.append([p.tobytes() for p in decoder[number].planes])
                except NrvError as error:
                    results.append((type(error), str(error)))
            frames, error = take(decoder)
            assert isinstance(error, CorruptError)
            results.append((len(frames), str(error)))
        found.append(results)
    assert found[0] == found[1]


def test_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither features nor samples of groups that are delivered are kept."""
    data, _ = sample(NirvanaPlan(width=16, height=16, frames=(2,) * 40, keys=(0,)))
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    original = nirvana_module.PatchGroup.__init__

    def noting(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        alive.add(self)

    monkeypatch.setattr(nirvana_module.PatchGroup, "__init__", noting)
    most = 0
    gc.disable()
    try:
        for k, _ in enumerate(opened(data, threads=2).frames()):
            if k % 2 == 0:
                most = max(most, len(alive))
        alive.clear()
        assert most <= 6
        opened(data, threads=2).render(79)
        assert len(alive) <= 4
    finally:
        gc.enable()


def test_ahead_is_bounded_by_bytes() -> None:
    def ahead(width: int, height: int) -> int:
        header = replace(opened().header, width=width, height=height)
        return NirvanaModel(PatchShape(), header, Device(1, 1)).ahead

    assert ahead(1920, 1080) == 2
    assert ahead(2560, 1440) == 1
    assert ahead(65535, 2048) == 0


def lying(header: dict[str, int]) -> bytes:
    return join(head(model=3, **header), (b"NIRV", PatchShape().to_payload()))


@pytest.mark.parametrize(
    ("header", "limits"),
    [
        ({"level": 5, "width": 65535, "height": 65535}, Limits()),
        ({"level": 4, "width": 4097, "height": 4096}, Limits()),
        ({"level": 1, "width": 513, "height": 512}, Limits()),
        ({"level": 5, "width": 5000, "height": 5000}, Limits(max_luma_samples=1 << 20)),
        ({"level": 4}, Limits(max_luma_samples=100)),
    ],
)
def test_over_limit(header: dict[str, int], limits: Limits) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(OverLimitError):
            opened(lying(header), limits=limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 18


def test_a_description_costs_no_memory() -> None:
    """The limits of weights and multiplications hold for the sine model only."""
    limits = Limits(max_weights=1, max_multiplications=1)
    tracemalloc.start()
    try:
        decoder = opened(lying({"level": 4, "width": 4096, "height": 4096}), limits=limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    frames, error = take(decoder)
    assert not frames
    assert isinstance(error, TruncatedError)


def test_memory_of_groups_without_details() -> None:
    """It follows the samples of a frame, which the limits bound, not the bytes."""
    side = 512
    content = key_content(side, side, 0)
    description = (b"NIRV", PatchShape().to_payload())
    units = [
        grup(
            first_frame=4 * k,
            first_pts=4 * k,
            frame_count=4,
            substreams=(b"", content, b"", b""),
        )
        for k in range(4)
    ]
    data = complete(head(model=3, width=side, height=side), description, *units)
    list(opened(data, threads=1).groups())
    tracemalloc.start()
    try:
        with opened(data, threads=1) as decoder:
            assert len(list(decoder.groups())) == 4
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 37 bytes for the entropy network, four or five groups of 2 bytes and patch and feature.
    assert peak < 88 * side**2


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (bytes(4), UnsupportedError),
        (bytes([2, 8, 4, 128]), UnsupportedError),
        (bytes([1, 8, 5, 192]), CorruptError),
        (bytes([1, 8, 4, 128]), CorruptError),
        (bytes([1, 8, 4, 192, 0]), CorruptError),
    ],
)
def test_descriptions(payload: bytes, kind: type[NrvError]) -> None:
    with pytest.raises(NrvError) as error:
        opened(join(head(model=3), (b"NIRV", payload)))
    assert type(error.value) is kind
    assert (error.value.unit, error.value.offset, error.value.rule) == ("NIRV", 68, "11.1")


def test_decoding_imports_no_encoder(tmp_path: Path) -> None:
    path = tmp_path / "a.nrv"
    path.write_bytes(sample()[0])
    code = (
        "import sys, nvcodec\n"
        f"with nvcodec.Decoder({str(path)!r}) as decoder:\n"
        f"    assert len(list(decoder)) == {COUNT}\n"
        "names = [n for n in sys.modules if n == 'torch' or n.startswith('nvcodec.encode')]\n"
        "assert not names, names\n"
        "assert 'nvcodec.model.sine.renderer' not in sys.modules\n"
        "assert 'nvcodec.decode.hybrid' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
