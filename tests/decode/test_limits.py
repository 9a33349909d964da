"""Limits of memory and time, and the bounds that hold whatever a file says."""

from __future__ import annotations

import io
import time
import tracemalloc
from typing import Any

import pytest

from nvcodec.decode import hybrid as hybrid_module
from nvcodec.decode.decoder import Decoder
from nvcodec.format import Limits, OverLimitError
from nvcodec.model.description import CanvasShape
from tests.decode.samples import TINY, same, sample, take
from tests.hybrid import HybridPlan, synthesize_hybrid


@pytest.fixture(scope="module")
def long_groups() -> tuple[bytes, list[Any]]:
    plan = HybridPlan(CanvasShape(16), 150, 90, frames=(1, 16, 16), keys=(0,), seconds=(0,))
    return synthesize_hybrid(plan)


def opened(data: bytes, **limits: Any) -> Decoder:
    return Decoder(io.BytesIO(data), threads=1, limits=Limits(**limits))


@pytest.mark.parametrize("name", TINY)
def test_memory(name: str, long_groups: tuple[bytes, list[Any]]) -> None:
    for data in (sample(name)[0], long_groups[0]):
        with pytest.raises(OverLimitError, match="--max-memory") as caught:
            opened(data, max_memory=1000)
        needed = int(str(caught.value).split("need ")[1].split()[0])
        with opened(data, max_memory=needed) as decoder:
            assert take(decoder)[1] is None
        with pytest.raises(OverLimitError):
            opened(data, max_memory=needed - 1)


@pytest.mark.parametrize("name", ["nirvana", "long groups"])
def test_memory_stays_below_what_is_stated(name: str, long_groups: tuple[bytes, list[Any]]) -> None:
    data, pictures = long_groups if name == "long groups" else sample(name)
    with opened(data) as decoder:
        take(decoder)
        stated = decoder._model.most_bytes
    tracemalloc.start()
    try:
        with opened(data) as decoder:
            for count, frame in enumerate(decoder):
                assert same(frame.planes, pictures[count])
        with opened(data) as decoder:
            for number in (len(pictures) - 1, 3, len(pictures) // 2, 1):
                decoder.render(number)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < stated


@pytest.mark.parametrize("name", [*TINY, "long groups"])
def test_seconds(
    name: str, monkeypatch: pytest.MonkeyPatch, long_groups: tuple[bytes, list[Any]]
) -> None:
    data, pictures = long_groups if name == "long groups" else sample(name)
    now = time.monotonic()
    with opened(data, max_seconds=100) as decoder:
        assert take(decoder)[1] is None
    with opened(data, max_seconds=100) as decoder:
        frames = iter(decoder)
        assert same(next(frames).planes, pictures[0])
        monkeypatch.setattr(time, "monotonic", lambda: now + 1000)
        with pytest.raises(OverLimitError, match="--max-seconds"):
            list(frames)


@pytest.mark.parametrize("ahead", [2, 5])
def test_few_tables_are_kept(
    ahead: int, monkeypatch: pytest.MonkeyPatch, long_groups: tuple[bytes, list[Any]]
) -> None:
    """Parsing waits for reconstruction; what nobody wanted is parsed again when it is."""
    data, pictures = long_groups
    monkeypatch.setattr(hybrid_module, "_PARSED_BYTES", 0)
    monkeypatch.setattr(hybrid_module, "_LEAST_PARSED", ahead)
    most = 0
    parse = hybrid_module.CanvasGroup.parse

    def watched(group: hybrid_module.CanvasGroup, step: Any) -> None:
        nonlocal most
        parse(group, step)
        most = max(most, len(group.parsed))

    monkeypatch.setattr(hybrid_module.CanvasGroup, "parse", watched)
    for threads in (1, 3):
        with Decoder(io.BytesIO(data), threads=threads) as decoder:
            frames, error = take(decoder)
            assert error is None
            assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=True))
            for number in (5, 16, 2, 15, 30, 17, 3):
                assert same(decoder.render(number).planes, pictures[number])
    assert most <= ahead + 1
