"""The valid vectors: each a recipe that gives a bitstream, its frames and what it exercises."""

from __future__ import annotations

import functools
import io
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tools.vectors.compose import Dice, Frame, Video
from tools.vectors.pack import (
    HYBRID,
    NIRVANA,
    SINE,
    Unit,
    apkt,
    atrk,
    chap,
    complete,
    hdrm,
    hybr,
    meta,
    nirv,
    packet,
    sirn,
    split,
)
from tools.vectors.reference import reference, tables

View = tuple[tuple[int, int], tuple[int, int, int, int]]
"""(width, height) of the output frame; width, height, x and y of the region of it."""


@dataclass(frozen=True)
class Made:
    """A bitstream, the frames of its groups and its fields of HEAD."""

    data: bytes
    frames: list[Frame]
    head: Any


@dataclass(frozen=True)
class Case:
    """A valid vector."""

    name: str
    what: str
    make: Callable[[], Made]
    views: Sequence[View] = field(default=())


FORMATS = [(chroma, depth) for depth in (8, 10, 12) for chroma in (0, 1, 2, 3)]
FORMAT_NAMES = {0: "mono", 1: "420", 2: "422", 3: "444"}
MODEL_NAMES = {SINE: "sine", HYBRID: "hybrid", NIRVANA: "nirvana"}


def seed_of(name: str) -> int:
    """The seed of a vector."""
    return zlib.crc32(name.encode())


def group_list(text: str) -> Iterator[tuple[bool, int, int]]:
    """(key, frames, second) of each group of a text such as "K 4 2/1", or "K4 3" in models 1, 3."""
    for word in text.split():
        count, _, second = word.removeprefix("K").partition("/")
        yield word.startswith("K"), int(count or 1), int(second or 0)


def records(model: Any, rng: np.random.Generator, steps: tuple[int, ...]) -> bytes:
    """Records of spec 4.3 that give lively pictures."""
    coded = b""
    for index, layer in enumerate(model.layers):
        place = min(index, 1) if index < model.depth else index - model.depth + 2
        shift, weight, bias = (
            (10, 900, 20),
            (4, 60, 100),
            (3, 50, 60),
            (5, 200, 50),
            (7, 200, 10),
        )[place]
        # Of rows of equally likely weights the sums are half of what they may be, by 4.5.
        weight = min(weight, layer.max_weight, (1 << 23) // (layer.columns * layer.max_input) + 1)
        step = 6 * steps[place] + int(rng.integers(6))
        coded += bytes((step, shift)) + weight.to_bytes(2, "little") + bias.to_bytes(2, "little")
    return coded


def made(
    name: str,
    model: int,
    description: bytes,
    groups: str,
    *,
    durations: Sequence[int] = (1,),
    gaps: Sequence[int] = (0,),
    first_pts: int = 0,
    dice: dict[str, Any] | None = None,
    empty: Sequence[str] = (),
    steps: tuple[int, ...] = (6, 13, 13, 11, 12),
    begin: bytes | None = None,
    change: Callable[[Video], None] | None = None,
    indexed: bool = True,
    **head: Any,
) -> Made:
    """The bitstream of these settings; `change` may add units to it before it is completed."""
    video = Video({"model": model, **head}, description)
    video.pts = first_pts
    seed = seed_of(name)
    rng = np.random.default_rng(seed)
    shared = Dice(seed, **(dice or {}))
    for number, (key, count, second) in enumerate(group_list(groups)):
        times = [durations[(len(video.frames) + k) % len(durations)] for k in range(count)]
        start = b""
        if model == SINE and key:
            start = records(video.model, rng, steps) if begin is None else begin
        video.add(
            key,
            times,
            shared,
            second=second,
            gap=gaps[number % len(gaps)],
            begin=start,
            empty=empty,
        )
    if change:
        change(video)
    return Made(complete(video.units, indexed), video.frames, video.head)


def auto_views(width: int, height: int, sub: tuple[int, int], seed: int) -> list[View]:
    """An output size, and a region of another one."""
    rng = np.random.default_rng(seed)

    def size() -> tuple[int, int]:
        wide = int(rng.integers(max(1, width // 3), 2 * width + 2))
        return wide, int(rng.integers(max(1, height // 3), 2 * height + 2))

    a, b = size(), (width, height) if rng.random() < 0.3 else size()
    x = int(rng.integers(0, b[0])) // sub[0] * sub[0]
    y = int(rng.integers(0, b[1])) // sub[1] * sub[1]
    crop = int(rng.integers(1, b[0] - x + 1)), int(rng.integers(1, b[1] - y + 1)), x, y
    return [(a, (*a, 0, 0)), (b, crop)]


CASES: list[Case] = []


def case(
    name: str,
    what: str,
    model: int,
    description: bytes,
    groups: str,
    views: Sequence[View] | None = None,
    **settings: Any,
) -> None:
    """Add a vector; without `views` it has two of its own."""
    width, height = settings.setdefault("width", 48), settings.setdefault("height", 40)
    sub = ((1, 1), (2, 2), (2, 1), (1, 1))[settings.get("chroma_format", 1)]
    found = auto_views(width, height, sub, seed_of(name)) if views is None else views
    CASES.append(
        Case(name, what, lambda: made(name, model, description, groups, **settings), found)
    )


# The dice of lively streams: some of the bits are drawn without regard to their context.
LIVELY: dict[str, Any] = {"wild": 0.1, "ones": 0.4, "most": 30}
WILD: dict[str, Any] = {"wild": 0.5, "ones": 0.5}
CALM: dict[str, Any] = {"wild": 0.0, "curious": 0.0}
NETWORK: dict[str, Any] = {"wild": 0.03, "ones": 0.5, "most": 30}


def hybrid_cases() -> None:
    """Model 2."""
    for chroma, depth in FORMATS:
        form = f"{FORMAT_NAMES[chroma]}-{depth}"
        fields = {"chroma_format": chroma, "bit_depth": depth}
        case(
            f"hybrid-{form}",
            "canvases of all sets in this sample format: 2.4, 7, 8",
            HYBRID,
            hybr(8, -3),
            "K 4 2/1 1/2",
            dice=LIVELY,
            **fields,
        )
        case(
            f"hybrid-network-{form}",
            "the fusion network in this sample format: 9.1, 9.3, 9.5",
            HYBRID,
            hybr(8, 5, 1),
            "K 3 2/2",
            dice=NETWORK,
            width=40,
            height=24,
            **fields,
        )
    sizes = [(1, 1), (8, 8), (9, 7), (2, 65), (63, 15), (64, 64), (65, 33), (130, 66), (17, 128)]
    for width, height in sizes:
        case(
            f"hybrid-size-{width}x{height}",
            "canvases cut to this size, root blocks at the borders: 7.2, 7.4",
            HYBRID,
            hybr(6, 0),
            "K 2 3/1" if width * height < 5000 else "K 2",
            dice=LIVELY,
            width=width,
            height=height,
        )
    case(
        "hybrid-network-1x1",
        "the network on one cell: 9",
        HYBRID,
        hybr(4, 2, 1),
        "K 2 1",
        dice=NETWORK,
        width=1,
        height=1,
    )
    small = {"width": 24, "height": 16}
    case(
        "hybrid-lengths",
        "groups of 1 to 9 frames, with each second: 7.2",
        HYBRID,
        hybr(9),
        "K 1 2 3/1 4/2 5 6/1 7/2 8 9/1",
        dice=LIVELY,
        **small,
    )
    case(
        "hybrid-longest",
        "groups of 31 and 32 frames: 2.7, 7.2",
        HYBRID,
        hybr(32),
        "K 32 31/1",
        views=(),
        dice=CALM,
        width=16,
        height=8,
    )
    case(
        "hybrid-all-lengths",
        "groups of 10 to 30 frames: 7.2",
        HYBRID,
        hybr(30),
        "K " + " ".join(map(str, range(10, 31))),
        views=(),
        dice={"wild": 0.02, "ones": 0.3, "curious": 0.1},
        width=8,
        height=8,
        chroma_format=0,
    )
    case(
        "hybrid-second",
        "second references: the group before, the last key group, both the same: 7.2, 8.2",
        HYBRID,
        hybr(4),
        "K 1/2 1/1 2/2 2/1 3 K 1/2 1/1 4/1",
        dice={"wild": 0.2, "ones": 0.4},
        width=32,
        height=32,
    )
    case(
        "hybrid-keys",
        "key groups only, group_frames 1: 7.2",
        HYBRID,
        hybr(1),
        "K K K",
        dice=WILD,
        width=40,
        height=48,
    )
    for offset in (-12, 12):
        case(
            f"hybrid-chroma-offset{offset:+d}",
            "the extreme chroma_offset: 7.1, 8.6, 8.7",
            HYBRID,
            hybr(4, offset, 1),
            "K 2 2/1",
            dice={**LIVELY, "quantisers": (0, 63, 6, 57, 30)},
            **small,
        )
    for name, quantisers in (("finest", (0, 1, 2)), ("coarsest", (63, 62, 61))):
        case(
            f"hybrid-{name}",
            "the first or last quantisers, wild syntax: 7.5, 8.6, 8.7",
            HYBRID,
            hybr(4, -1),
            "K 3 2/1",
            dice={**WILD, "quantisers": quantisers},
            **small,
        )
    case(
        "hybrid-quantisers",
        "a sweep of the quantiser: 8.6, tables of 8.7, STEP of 9.1",
        HYBRID,
        hybr(32, 1, 1),
        "K 32",
        views=(),
        dice={"wild": 0.1, "ones": 0.3, "most": 8, "quantisers": range(0, 64, 2)},
        **small,
    )
    for depth, last in ((10, 75), (12, 87)):
        case(
            f"hybrid-last-quantiser-{depth}",
            "LastQ of this depth: 7.5, 8.6",
            HYBRID,
            hybr(4, 12, 1),
            "K 2",
            dice={**LIVELY, "quantisers": (last, 0, last - 1)},
            bit_depth=depth,
            **small,
        )
    case(
        "hybrid-large-levels",
        "levels up to the largest magnitude, sums at their bounds: 7.6, 8.5, 8.6",
        HYBRID,
        hybr(4),
        "K 2 1/1",
        dice={"wild": 0.4, "ones": 0.85, "quantisers": (63, 40, 20)},
        **small,
    )
    case(
        "hybrid-large-levels-444-12",
        "the same with 12 bits, whose intermediate values are the largest: 8.5",
        HYBRID,
        hybr(4),
        "K 2",
        dice={"wild": 0.4, "ones": 0.85, "quantisers": (87, 60, 20)},
        chroma_format=3,
        bit_depth=12,
        **small,
    )
    case(
        "hybrid-far-vectors",
        "vectors up to their bounds, far outside the references: 7.4, 8.2, 8.3",
        HYBRID,
        hybr(4),
        "K 3 2/1",
        dice={"wild": 0.35, "ones": 0.7},
        width=72,
        height=24,
    )
    copies = CopyVectors(
        -10000, 9000, 8184, -8199, 9000, -16383, -8199, 8184, 0, 0, 16383, 16383, -8207, -8191
    )
    case(
        "hybrid-copy-bounds",
        "copy vectors that meet both of their bounds and come back: 7.4, 8.4",
        HYBRID,
        hybr(4),
        "K",
        dice={"wild": 0.05, "ones": 0.4, "force": copies.force, "steer": copies.steer},
        width=64,
        height=32,
    )
    for k in range(6):
        case(
            f"hybrid-wild-{k}",
            "all branches of the syntax about equally often: 7.4 to 7.8",
            HYBRID,
            hybr(5, k - 3),
            "K 3 4/1 1/2",
            dice={"wild": 0.25 + 0.1 * (k % 3), "ones": (0.3, 0.5, 0.7)[k % 3], "curious": 0.6},
            width=64 + 8 * k,
            height=64 - 8 * k,
        )
    for chroma in (1, 2, 3):
        case(
            f"hybrid-curious-{FORMAT_NAMES[chroma]}",
            "each context with both values where it can have them: 7.4 to 7.8",
            HYBRID,
            hybr(4, 1),
            "K 1 2/1 1/2",
            views=(),
            dice={"wild": 0.15, "ones": 0.5, "curious": 0.95},
            width=72,
            height=72,
            chroma_format=chroma,
        )
    case(
        "hybrid-large-blocks",
        "leaves and units of the largest sizes, side by side: 7.4 to 7.7",
        HYBRID,
        hybr(4, 1),
        "K 1 4/1 4/2 4/1 4 4/2",
        views=(),
        dice={"wild": 0.08, "ones": 0.5, "curious": 0.9, "force": large_blocks()},
        width=192,
        height=128,
        chroma_format=3,
    )
    for chroma, depth in enumerate((12, 8, 10, 8)):
        case(
            f"hybrid-halves-{FORMAT_NAMES[chroma]}",
            "leaves and units of all shapes: 7.4 to 7.7, 8.2 to 8.7",
            HYBRID,
            hybr(3, 3, 1),
            "K 1 3/1 3/2",
            views=(),
            dice={"wild": 0.1, "ones": 0.5, "curious": 0.6, "force": halves(chroma)},
            width=192,
            height=128,
            chroma_format=chroma,
            bit_depth=depth,
        )
    case(
        "hybrid-network-modes",
        "keep, new and off in turn, empty network substreams: 9.2, 9.6",
        HYBRID,
        hybr(4, 0, 1),
        "K 1 2/1 1 K 2 1 1/2",
        dice={"wild": 0.02, "most": 50, "curious": 0.6, "force": network_modes()},
        **small,
    )
    case(
        "hybrid-network-changes",
        "large changes of the network: 9.2, 9.6",
        HYBRID,
        hybr(4, 0, 1),
        "K 2 1",
        dice={"wild": 0.1, "most": 60, "force": new_network},
        **small,
    )
    case(
        "hybrid-empty",
        "empty substreams, which are read as zeros: 3.2",
        HYBRID,
        hybr(2),
        "K 1 2",
        empty=("content", "motion"),
        dice=CALM,
        **small,
    )


class CopyVectors:
    """Gives copied leaves the differences of a list in turn: components y and x of each."""

    def __init__(self, *differences: int) -> None:
        self.left = itertools.cycle(differences)
        self.value, self.signed = 0, False
        self.leaves = 0

    def force(self, stream: str, context: int) -> int | None:
        """The bits with contexts: all leaves but the first of a canvas are copied."""
        if stream != "MotionStream":
            return None
        if context < 27:
            return 1
        if 179 <= context < 185:
            self.leaves += 1
            return int(self.leaves > 1)
        if context in (185, 186):
            self.value, self.signed = next(self.left), False
            return int(self.value != 0)
        if 187 <= context < 213:
            return int((context - 187) % 13 < abs(self.value).bit_length() - 1)
        return None

    def steer(self, stream: str, last: int, bits: int) -> int | None:
        """The rest of the magnitude, then the sign."""
        if stream != "MotionStream" or not 185 <= last < 213:
            return None
        if not self.signed:
            self.signed = True
            return abs(self.value) - (1 << bits)
        return int(self.value < 0)


def large_blocks() -> Callable[[str, int], int | None]:
    """Splits few blocks of 64 and 32 in canvases that are predicted."""
    state = {"asked": 0}
    sizes = {9 * kind + 3 * size + c for kind in (1, 2) for size in (1, 2) for c in range(3)}

    def force(stream: str, context: int) -> int | None:
        if stream != "MotionStream" or context not in sizes:
            return None
        state["asked"] += 1
        return int(state["asked"] % 5 == 0)

    return force


def halves(seed: int) -> Callable[[str, int], int | None]:
    """Halves most areas, and splits half of the blocks."""
    rng = np.random.default_rng(seed)

    def force(stream: str, context: int) -> int | None:
        if stream != "MotionStream" or not (context < 27 or 220 <= context < 274):
            return None
        return int(rng.random() < (0.5 if context < 27 else 0.6))

    return force


def new_network(stream: str, context: int) -> int | None:
    """Makes the mode of each network substream of model 2 that of new weights."""
    return 0 if stream == "Substream" and context < 2 else None


def network_modes() -> Callable[[str, int], int | None]:
    """Forces the mode of each network substream in turn: new, keep, off, new."""
    state = {"keep": -1}

    def force(stream: str, context: int) -> int | None:
        if stream != "Substream":
            return None
        if context == 0:
            state["keep"] = (state["keep"] + 1) % 4
            return int(state["keep"] == 1)
        if context == 1:
            return int(state["keep"] == 2)
        return None

    return force


def nirvana_cases() -> None:
    """Model 3."""
    calm = {"wild": 0.01, "most": 40, "ones": 0.4}
    for chroma, depth in FORMATS:
        case(
            f"nirvana-{FORMAT_NAMES[chroma]}-{depth}",
            "the nirvana network in this sample format: 11.3, 12.1, 13",
            NIRVANA,
            nirv(),
            "K4 3",
            dice=calm,
            width=27,
            height=14,
            chroma_format=chroma,
            bit_depth=depth,
        )
    for width, height in ((1, 1), (8, 8), (9, 17), (40, 8)):
        case(
            f"nirvana-size-{width}x{height}",
            "grids of this size, samples outside the plane: 11.3",
            NIRVANA,
            nirv(),
            "K2 4",
            dice=calm,
            width=width,
            height=height,
        )
    small = {"width": 24, "height": 17}
    case(
        "nirvana-lengths",
        "groups of 1 to 4 frames: 11.1, 12.2",
        NIRVANA,
        nirv(),
        "K1 1 2 3 4 K3 1 K4 2",
        dice=calm,
        width=16,
        height=9,
    )
    case(
        "nirvana-motion",
        "long paths, intra blocks, blocks that join neighbours: 11.5, 12.2",
        NIRVANA,
        nirv(),
        "K4 4 3 4",
        dice={"wild": 0.3, "ones": 0.5, "most": 3000, "force": few_residuals},
        chroma_format=0,
        width=40,
        height=33,
    )
    case(
        "nirvana-longest-differences",
        "differences of vectors up to the largest integer of 3.3, which are clipped: 11.5",
        NIRVANA,
        nirv(),
        "K4 4 4",
        views=(),
        dice={"wild": 0.8, "ones": 0.95, "force": only_paths},
        empty=("network",),
        width=64,
        height=48,
        chroma_format=0,
    )
    for name, quantisers in (("finest", (4, 5)), ("coarsest", (63, 62))):
        case(
            f"nirvana-{name}",
            "the first or last q: 11.6, 12.1",
            NIRVANA,
            nirv(),
            "K4 2",
            dice={**calm, "most": 300, "quantisers": quantisers},
            **small,
        )
    case(
        "nirvana-quantisers",
        "many q, CQ at and between its bounds: 12.1",
        NIRVANA,
        nirv(),
        "K1 1 1 1 1 1 1 1",
        dice={**calm, "quantisers": (20, 19, 46, 47, 33, 10, 55, 40)},
        width=16,
        height=8,
    )
    case(
        "nirvana-large-residuals",
        "residuals up to their bound: 11.6, 12.1",
        NIRVANA,
        nirv(),
        "K2 1",
        dice={"wild": 0.3, "ones": 0.8, "most": 9000, "quantisers": (45, 20)},
        width=8,
        height=8,
    )
    case(
        "nirvana-slices",
        "patches of 3 to 6 slices side by side: 11.6",
        NIRVANA,
        nirv(),
        "K4 4",
        dice={"wild": 0.2, "ones": 0.4, "most": 12, "curious": 0.6},
        width=40,
        height=24,
    )
    case(
        "nirvana-curious",
        "each context with both values where it can have them: 11.5, 11.6",
        NIRVANA,
        nirv(),
        "K4 4 2",
        views=(),
        dice={"wild": 0.08, "ones": 0.4, "most": 4000, "curious": 0.95},
        width=56,
        height=32,
        chroma_format=0,
    )
    case(
        "nirvana-components",
        "slots of the output layer filled, kept and emptied: 11.8, 13",
        NIRVANA,
        nirv(),
        "K4 2 2 1",
        dice={"wild": 0.03, "most": 127, "curious": 0.5},
        width=16,
        height=16,
    )
    case(
        "nirvana-wild-components",
        "components so large that sums wrap: 11.2, 11.8",
        NIRVANA,
        nirv(),
        "K2 1",
        dice={"wild": 0.3, "ones": 0.6, "most": 127},
        width=16,
        height=8,
    )
    case(
        "nirvana-no-components",
        "an empty network substream: 11.4",
        NIRVANA,
        nirv(),
        "K3 4",
        dice=calm,
        empty=("network",),
        **small,
    )
    case(
        "nirvana-empty",
        "an empty motion and network substream: 3.2, 11.4",
        NIRVANA,
        nirv(),
        "K1 2",
        dice=calm,
        empty=("motion", "network"),
        width=8,
        height=8,
    )


def only_paths(stream: str, context: int) -> int | None:
    """Leaves model 3 without residuals, and blocks with paths of their own."""
    if stream == "PathStream":
        return 0 if context < 12 else None
    return 0 if stream == "ResidualStream" else None


def few_residuals(stream: str, context: int) -> int | None:
    """Leaves the content substream of model 3 without most of its residuals."""
    return 0 if stream == "ResidualStream" and 24 <= context < 180 else None


def few_rows(stream: str, context: int) -> int | None:
    """Leaves most rows of model 1 as they were: those after a row that was not coded."""
    return 0 if not stream and context >= 208 and context % 2 == 0 else None


def sine_cases() -> None:
    """Model 1."""
    shape = (8, 3, 2, 12, 3, 2)
    calm = {"wild": 0.0, "most": 12, "curious": 0.05}
    for width, height in ((1, 1), (17, 9), (40, 24)):
        case(
            f"sine-size-{width}x{height}",
            "patches at the borders of this size: 4.4, 5.1",
            SINE,
            sirn(*shape),
            "K3 3 1 K2",
            dice=calm,
            width=width,
            height=height,
        )
    for location in (0, 1, 2, 3, 4, 5):
        case(
            f"sine-siting-{location}",
            "resampling of chroma with this chroma_location: 6.2",
            SINE,
            sirn(*shape),
            "K1",
            dice=calm,
            width=21,
            height=13,
            chroma_location=location,
        )
    shapes = {
        "deep": ((6, 2, 8, 10, 2, 3), "K2 1"),
        "shallow": ((4, 5, 1, 1, 1, 1), "K5 2"),
        "large-patch": ((64, 2, 2, 16, 1, 2), "K2 2"),
        "longest": ((4, 32, 2, 6, 1, 1), "K32 31"),
        "channels": ((4, 1, 2, 8, 64, 48), "K1 1"),
        "heads": ((4, 1, 2, 8, 8, 64), "K1"),
        "wide": ((4, 1, 1, 1024, 1, 2), "K1"),
    }
    for name, (other, groups) in shapes.items():
        case(
            f"sine-{name}",
            f"patch, group_frames, depth, width and channels {other}: 4.1, 4.2, 5",
            SINE,
            sirn(*other),
            groups,
            views=() if name == "longest" else None,
            dice={**calm, "most": 3, "force": few_rows}
            if name in ("channels", "heads", "wide")
            else calm,
            width=8 if name == "longest" else 33,
            height=8 if name == "longest" else 18,
            level=5,
        )
    case(
        "sine-tables",
        "tables substreams that change contexts: 3.4, 3.5",
        SINE,
        sirn(*shape),
        "K3 2 3",
        dice={"wild": 0.08, "most": 14, "curious": 0.6},
        width=24,
        height=16,
    )
    case(
        "sine-curious",
        "each context with both values where it can have them: 3.3, 4.4",
        SINE,
        sirn(*shape),
        "K3 2",
        dice={"wild": 0.1, "ones": 0.4, "most": 25, "curious": 0.95},
        width=24,
        height=16,
    )
    case(
        "sine-no-tables",
        "empty tables substreams: 3.4",
        SINE,
        sirn(*shape),
        "K3 2",
        dice=calm,
        empty=("tables",),
        width=24,
        height=16,
    )
    case(
        "sine-steps",
        "values at their clips: 5.2 to 5.5",
        SINE,
        sirn(*shape),
        "K3 2",
        dice=calm,
        steps=(23, 23, 16, 14, 15),
        width=24,
        height=16,
    )


def tiny(name: str, what: str, groups: str = "K 1 1", **settings: Any) -> None:
    """Add a vector of the container on a picture of one block."""
    case(
        name,
        what,
        HYBRID,
        hybr(4),
        groups,
        views=(),
        **{"width": 8, "height": 8, "dice": CALM, **settings},
    )


def short_walk() -> Made:
    """A file of model 2 that is short to tell of, with samples that differ."""
    dice = {"wild": 0.0, "ones": 0.2, "curious": 0.0, "quantisers": (30,)}
    for number in range(500):
        name = f"walk-hybrid-{number}"
        found = made(name, HYBRID, hybr(4), "K 1", width=8, height=8, dice=dice)
        first, second = (frame[0].astype(int) for frame in found.frames)
        if len(found.data) < 228 and first.std() > 2 and (first != second).any():
            return found
    raise RuntimeError("no short file in 500")


def insert(*places: tuple[int, Unit]) -> Callable[[Video], None]:
    """Puts units at places of the list of units as it was; -1 is its end."""

    def change(video: Video) -> None:
        end = len(video.units)
        found = [(end if place < 0 else place, unit) for place, unit in places]
        for place, unit in sorted(found, key=lambda pair: pair[0])[::-1]:
            video.units.insert(place, unit)

    return change


def container_cases() -> None:
    """Clause 2."""
    CASES.append(Case("walk-hybrid", "the file that Appendix E decodes: 7, 8", short_walk))
    case(
        "walk-nirvana",
        "the file that Appendix E decodes: 11 to 13",
        NIRVANA,
        nirv(),
        "K1 1",
        views=(),
        dice={"wild": 0.02, "most": 8, "curious": 0.0, "ones": 0.4, "quantisers": (36,)},
        empty=("network",),
        width=8,
        height=8,
        chroma_format=0,
    )
    tiny("no-index", "no iNDX: 2.3, 2.8, 2.9", indexed=False)
    tiny("frame-count", "frame_count in HEAD: 2.4", frame_count=3)
    tiny("no-frame-rate", "frame rate 0/0: 2.4", frame_rate_num=0, frame_rate_den=0)
    tiny("aspect", "a sample aspect ratio: 2.4", sar_num=65535, sar_den=1)
    tiny("later-version", "format_version above that of the reader: 2.4", format_version=65535)
    for level in (2, 3, 4, 5):
        tiny(f"level-{level}", "a level that the file does not need: 2.11", level=level)
    tiny(
        "colour",
        "code points that H.273 has and others: 2.4",
        colour_primaries=9,
        transfer=16,
        matrix=9,
        full_range=0,
    )
    tiny(
        "colour-unknown",
        "code points that H.273 does not have: 2.4",
        colour_primaries=255,
        transfer=255,
        matrix=255,
        full_range=1,
    )
    tiny("times-variable", "runs of durations: 2.7", "K 4 4 3", durations=(1, 1, 7, 4294967295, 2))
    tiny("times-gaps", "times that leave gaps between groups: 2.7", gaps=(0, 5, 1 << 40))
    tiny("times-negative", "the least presentation time: 1.3, 2.7", first_pts=-(1 << 63))
    tiny("times-last", "the greatest end of the video: 1.3, 2.7, 2.8", first_pts=(1 << 63) - 4)
    tiny(
        "times-widest",
        "from the least to the greatest time: 1.3, 2.7, 2.8",
        "K 1",
        first_pts=-(1 << 63),
        gaps=(0, (1 << 64) - 3),
    )
    tiny("time-base", "the extreme time base: 2.4", time_base_num=4294967295, time_base_den=1)
    ancillary = (Unit(b"zzZz", b"skip me"), Unit(b"aaAA", b""), Unit(b"zZZz", bytes(range(256))))
    tiny(
        "unknown-units",
        "unknown ancillary units, public and private, everywhere: 2.2, 2.3",
        change=insert((1, ancillary[0]), (2, ancillary[1]), (3, ancillary[2]), (-1, ancillary[0])),
    )
    tiny("metadata", "mETa, twice: 2.6", change=insert((2, meta()), (2, meta("{}"))))
    tags = (
        '{"encoder":"e","settings":{"crf":3},"tags":{"title":"\u00fc"},"field_order":"top","x":[1]}'
    )
    tiny("metadata-members", "mETa with all members: 2.6", change=insert((2, meta(tags))))
    tiny("metadata-long", "mETa of 65536 bytes: 2.6", change=insert((2, meta(long_metadata()))))
    for flags in range(1, 8):
        tiny(f"hdr-{flags}", "hDRm with these flags: 2.12", change=insert((2, hdrm(flags))))
    chapters = [
        (-5, 0, ""),
        (0, 1000, "one"),
        (500, 500, "\u4e8c"),
        (-(1 << 63), (1 << 63) - 1, "3"),
    ]
    tiny("chapters", "cHAP: 2.13", change=insert((2, chap(chapters))))
    tracks = (
        atrk(
            0,
            rate=48000,
            channels=6,
            priming=312,
            layout="5.1(side)",
            language="eng",
            title="Sound \u266a",
            disposition=1,
            extradata=b"OpusHead",
        ),
        atrk(3, 1, "subrip", disposition=0x7FFF, language="de-CH", base=(1, 1000)),
        atrk(255, 2, "bin_data", base=(4294967295, 4294967295)),
    )
    front = [(2, track) for track in tracks]
    tiny("tracks", "aTRK of each kind, without packets: 2.14", change=insert(*front))
    sound = apkt(
        0,
        packet(b"one", pts=-312, duration=960, trim=(312, 0)),
        packet(b"two"),
        packet(b"", key=False, dts=1600),
        packet(b"four", pts=2000, duration=0, trim=(0, 4294967295)),
    )
    words = apkt(3, packet(b"text", pts=0, duration=1 << 40))
    last = apkt(255, packet(b"", pts=(1 << 63) - 1, duration=0))
    rest = [(2, sound), (3, words), (-1, last)]
    tiny(
        "packets",
        "aPKt before, between and after groups, all fields of packets: 2.15",
        change=insert(*front, *rest),
    )
    many = [(2, atrk(number, 2, "bin_data")) for number in range(64)]
    tiny("many-tracks", "64 tracks: 2.14", change=insert(*many))
    everything = [(2, unit) for unit in (meta(), hdrm(), chap(chapters))]
    tiny("all-units", "every kind of unit: 2.3", change=insert(*everything, *front, *rest))


def long_metadata() -> str:
    """65536 bytes of metadata."""
    start, end = '{"tags":{"long":"', '"}}'
    return start + "x" * (65536 - len(start) - len(end)) + end


def resampling_cases() -> None:
    """Clause 6."""
    shapes = {
        "largest": ((3, 2), [((192, 128), (192, 128, 0, 0)), ((192, 128), (7, 5, 100, 62))]),
        "smallest": ((64, 64), [((1, 1), (1, 1, 0, 0))]),
        "one-axis": ((24, 16), [((24, 37), (24, 37, 0, 0)), ((11, 16), (5, 3, 2, 4))]),
        "same": ((24, 16), [((24, 16), (9, 7, 10, 6))]),
        "near": ((24, 16), [((25, 15), (25, 15, 0, 0)), ((23, 17), (23, 17, 0, 0))]),
    }
    for chroma, depth in FORMATS[:4] + FORMATS[5:6] + FORMATS[11:]:
        for name, ((width, height), views) in shapes.items():
            if (chroma, depth) != (1, 8) and name != "near":
                continue
            case(
                f"resample-{name}-{FORMAT_NAMES[chroma]}-{depth}",
                "output sizes and regions: 6.1 to 6.5",
                NIRVANA,
                nirv(),
                "K1",
                views=views,
                dice={"wild": 0.05, "most": 60},
                width=width,
                height=height,
                chroma_format=chroma,
                bit_depth=depth,
                chroma_location=2,
            )


def pictures(count: int, width: int, height: int) -> Iterator[tuple[np.ndarray, ...]]:
    """A smooth texture that moves, with a square that moves otherwise."""
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 1 << 16, (2 * height, 2 * width))
    for axis in (0, 1, 0, 1):
        texture = (texture + np.roll(texture, 1, axis)) >> 1
    for k in range(count):
        luma = (texture[k : k + height, 2 * k : 2 * k + width] >> 8).astype(np.uint8)
        luma[8:20, 30 - k : 42 - k] = 200
        chroma = np.full((height // 2, width // 2), 120 + k, np.uint8)
        chroma[4:10, 15 - k // 2 : 21 - k // 2] = 90
        yield luma, chroma, 255 - chroma


def encoded(options: dict[str, Any]) -> Made:
    """What our encoder makes of a small video, without metadata, which depends on a library."""
    import nvcodec

    file = io.BytesIO()
    video = pictures(8, 48, 32)
    nvcodec.encode(video, file, fps=25, crf=30, threads=1, key_interval=0.2, **options)
    kinds = (b"HEAD", b"HYBR", b"NIRV", b"GRUP")
    units = [unit for unit in split(file.getvalue()) if unit.kind in kinds]
    data = complete(units)
    module = reference()
    frames = list(module.Decoder(io.BytesIO(data), tables()).decode(None, None))
    return Made(data, frames, module.Head.parse(units[0].payload))


def encoded_cases() -> None:
    """Streams as an encoder writes them."""
    settings: dict[str, dict[str, Any]] = {
        f"hybrid-{preset}": {"preset": preset} for preset in ("ultrafast", "fast", "medium", "slow")
    }
    settings |= {f"hybrid-network-{name}": {"network": name} for name in ("fixed", "off")}
    settings |= {
        f"nirvana-{name}": {"model": "nirvana", "preset": name} for name in ("fast", "slow")
    }
    for name, options in settings.items():
        CASES.append(
            Case(
                f"encoded-{name}",
                "a real encode: probable values of all syntax",
                functools.partial(encoded, options),
                [((30, 20), (17, 9, 6, 4))],
            )
        )


def all_cases() -> list[Case]:
    """All valid vectors."""
    CASES.clear()
    hybrid_cases()
    nirvana_cases()
    sine_cases()
    container_cases()
    resampling_cases()
    encoded_cases()
    return CASES
