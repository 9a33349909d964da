"""Synthetic files for the decoder's tests, whole and rebuilt with changes."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from nvcodec.decode.decoder import Decoder
from nvcodec.decode.frame import Frame
from nvcodec.format import (
    Description,
    Group,
    GroupUnit,
    Header,
    NrvWriter,
    UnitReader,
)
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.picture import Planes
from tests.nirvana import NirvanaPlan, synthesize_nirvana
from tests.synthetic import DEEP, Plan, synthesize

TINY_SHAPE = NetworkShape(4, 2, 1, 2, 1, 1)
PLANS: dict[str, Plan | NirvanaPlan] = {
    "small": Plan(durations=(2, 3, 1)),
    "deep": Plan(
        shape=DEEP, width=20, height=31, frames=(2, 2, 1, 2, 2), keys=(0, 3), chroma_location=3
    ),
    "nirvana": NirvanaPlan(durations=(5, 2), chroma_location=1),
}
# Both have the same groups.
TINY: dict[str, Plan | NirvanaPlan] = {
    "tiny": Plan(shape=TINY_SHAPE, width=5, height=3, frames=(2, 1, 2), keys=(0, 2), change=0.2),
    "tiny nirvana": NirvanaPlan(width=5, height=3, frames=(2, 1, 2), keys=(0, 2)),
}


@lru_cache
def sample(name: str) -> tuple[bytes, list[Planes]]:
    plan = (PLANS | TINY)[name]
    return synthesize_nirvana(plan) if isinstance(plan, NirvanaPlan) else synthesize(plan)


def same(a: Planes, b: Planes) -> bool:
    return all(x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def cut(planes: Planes, crop: tuple[int, int, int, int]) -> Planes:
    """The slice of spec 6.5: crop is (width, height, x, y)."""
    width, height, x, y = crop
    half = np.s_[y // 2 : y // 2 + (height + 1) // 2, x // 2 : x // 2 + (width + 1) // 2]
    return planes[0][y : y + height, x : x + width], planes[1][half], planes[2][half]


def rebuild(
    data: bytes,
    change: Callable[[int, Group], Group] = lambda _, group: group,
    header: Callable[[Header], Header] = lambda header: header,
) -> bytes:
    """The file with its groups changed and everything that protects them made right."""
    file, writer = io.BytesIO(), None
    reader = UnitReader(io.BytesIO(data))
    for event in reader:
        if isinstance(event, Description):
            writer = NrvWriter(file)
            writer.begin(header(reader.header), event.payload)
        elif isinstance(event, GroupUnit):
            assert writer is not None
            writer.add_group(change(event.ordinal, event.group))
    assert writer is not None
    writer.finish()
    return file.getvalue()


def group_offsets(data: bytes) -> list[tuple[int, int]]:
    """Start and end of each GRUP unit."""
    reader = UnitReader(io.BytesIO(data))
    return [(e.offset, reader.offset) for e in reader if isinstance(e, GroupUnit)]


def take(decoder: Decoder, **options: object) -> tuple[list[Frame], Exception | None]:
    """The frames up to the end or the first error."""
    frames: list[Frame] = []
    try:
        for frame in decoder.frames(**options):  # type: ignore[arg-type]
            frames.append(frame)
    except Exception as error:
        return frames, error
    return frames, None
