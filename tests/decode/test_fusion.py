"""Decoding the hybrid model with a fusion network: forward, random access, regions, damage."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from nvcodec.coding.difference import MAX_DIFFERENCE
from nvcodec.coding.hybrid.fusion import encode_network, no_differences
from nvcodec.coding.hybrid.network_mode import NetworkMode
from nvcodec.decode.decoder import Decoder
from nvcodec.format import CorruptError, Group, NrvError
from nvcodec.model.description import CanvasShape
from nvcodec.model.hybrid.fusion.weights import default_weights
from nvcodec.picture import Planes
from tests.hybrid import HybridPlan, synthesize_hybrid

from .samples import cut, group_offsets, rebuild, same, take

PLAN = HybridPlan(CanvasShape(8, -3, 1), frames=(1, 4, 8, 1, 1, 2, 5, 3), keys=(0, 4))


@lru_cache
def sample() -> tuple[bytes, list[Planes]]:
    return synthesize_hybrid(PLAN)


def opened(data: bytes | None = None, **options: Any) -> Decoder:
    return Decoder(io.BytesIO(sample()[0] if data is None else data), **options)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_forward(threads: int) -> None:
    pictures = sample()[1]
    with opened(threads=threads) as decoder:
        frames = list(decoder)
    assert len(frames) == len(pictures)
    assert all(same(frame.planes, planes) for frame, planes in zip(frames, pictures, strict=True))


def test_the_network_matters() -> None:
    plain = synthesize_hybrid(replace(PLAN, shape=CanvasShape(8, -3)))[1]
    pairs = list(zip(sample()[1], plain, strict=True))
    assert not same(*pairs[0])
    assert not same(*pairs[5])
    # The second group is off.
    assert same(*pairs[1])


def test_at_random() -> None:
    """Weights are rebuilt along the chain, also where a group before does not use them."""
    pictures = sample()[1]
    for number in np.random.default_rng(2).permutation(len(pictures)):
        with opened(threads=2) as decoder:
            assert same(decoder[int(number)].planes, pictures[number])
    with opened() as decoder:
        for number in reversed(range(len(pictures))):
            assert same(decoder[number].planes, pictures[number])


def test_parts_forward() -> None:
    """Frames that the network renders ahead are those of the view that is asked for."""
    pictures = sample()[1]
    crop = (21, 13, 10, 6)
    with opened(threads=2) as decoder:
        for start, count in ((0, 3), (2, 9), (4, None), (13, 4), (20, None)):
            stop = len(pictures) if count is None else start + count
            frames = list(decoder.frames(start=start, count=count, crop=crop))
            assert [frame.index for frame in frames] == list(range(start, stop))
            assert all(same(f.planes, cut(pictures[f.index], crop)) for f in frames)
        whole, part = decoder.frames(), decoder.frames(start=3, crop=crop, verify=True)
        for number in range(len(pictures)):
            assert same(next(whole).planes, pictures[number])
            assert same(decoder[-1 - number].planes, pictures[-1 - number])
            if number >= 3:
                assert same(next(part).planes, cut(pictures[number], crop))


@pytest.mark.parametrize("crop", [(21, 13, 10, 6), (1, 1, 74, 44), (75, 46, 0, 0), (2, 40, 30, 2)])
def test_regions(crop: tuple[int, int, int, int]) -> None:
    pictures = sample()[1]
    with opened() as decoder:
        for number in (0, 3, 9, len(pictures) - 1):
            assert same(decoder.render(number, crop=crop).planes, cut(pictures[number], crop))
        whole = decoder.render(7, size=(40, 61))
        part = decoder.render(7, size=(40, 61), crop=(20, 30, 10, 6))
        assert same(part.planes, cut(whole.planes, (20, 30, 10, 6)))


def network_of(ordinal: int, data: bytes) -> bytes:
    def change(number: int, group: Group) -> Group:
        return replace(group, network=data) if number == ordinal else group

    return rebuild(sample()[0], change)


def too_much(value: int, column: int | None = None) -> bytes:
    weights = default_weights()
    shared, differences = no_differences(len(weights.networks), weights.shape.hidden[-1].units)
    differences[0, 2, slice(None) if column is None else column] = value
    return encode_network(NetworkMode.NEW, shared, differences)


DAMAGE: dict[str, tuple[bytes, str]] = {
    "goes on": (bytes(range(1, 250)) * 40, "3.2"),
    "ends in 0": (b"\x80\0", "3.2"),
    "begins with FF": (b"\xff" * 4, "3.2"),
    "weight of more than 16 bits": (too_much(MAX_DIFFERENCE, 1), "9.2"),
    "sums of more than 32 bits": (
        too_much(20000 >> default_weights().shape.difference_shift),
        "9.2",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("ordinal", range(len(PLAN.frames)))
def test_damage_behind_the_crc(ordinal: int, name: str) -> None:
    """What came before it is delivered; nothing after it."""
    network, rule = DAMAGE[name]
    data, pictures = network_of(ordinal, network), sample()[1]
    frames, error = take(opened(data, threads=2))
    assert type(error) is CorruptError
    assert (error.unit, error.offset) == (f"GRUP {ordinal}", group_offsets(data)[ordinal][0])
    assert error.rule == rule
    assert [f.index for f in frames] == list(range(sum(PLAN.frames[:ordinal])))
    assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=False))


def test_a_network_where_there_is_none() -> None:
    data, _ = synthesize_hybrid(replace(PLAN, shape=CanvasShape(8, -3)))

    def change(number: int, group: Group) -> Group:
        return replace(group, network=b"\x40") if number == 2 else group

    frames, error = take(opened(rebuild(data, change)))
    assert type(error) is CorruptError
    assert (error.unit, error.rule) == ("GRUP 2", "7.3")
    assert len(frames) == 5


@pytest.mark.parametrize("seed", range(20))
def test_hostile_substreams(seed: int) -> None:
    """Any bytes decode to the same samples, or give an error of the tree, with any threads."""
    rng = np.random.default_rng(seed)
    data = rebuild(
        sample()[0],
        lambda _, group: replace(group, network=rng.bytes(int(rng.integers(0, 200))), crc=0),
    )
    found = []
    for threads in (1, 3):
        results: list[Any] = []
        with opened(data, threads=threads) as decoder:
            for number in (0, 4, 12, 14, 21):
                try:
                    results.append(
                        [p.tobytes() for p in decoder.render(number, crop=(8, 8, 2, 2)).planes]
                    )
                except NrvError as error:
                    results.append((type(error), str(error)))
        found.append(results)
    assert found[0] == found[1]
