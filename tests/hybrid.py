"""Bitstreams of the hybrid model whose canvases are decoded from random bits, to use all syntax."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nvcodec.coding.hybrid.canvases import CanvasReader, ReadCanvas
from nvcodec.coding.hybrid.content import (
    content_capacity,
    default_content_contexts,
    encode_content,
)
from nvcodec.coding.hybrid.filters import encode_filters, filters_capacity
from nvcodec.coding.hybrid.fusion import SHARED_TAPS, encode_network
from nvcodec.coding.hybrid.leaves import INTRA, UNITS, Q, Table, X, Y
from nvcodec.coding.hybrid.motion import (
    default_motion_contexts,
    encode_motion,
    motion_capacity,
)
from nvcodec.coding.hybrid.network_mode import NetworkMode
from nvcodec.coding.rangecoder import RangeEncoder
from nvcodec.format import HYBRID, CorruptError, Group, Header, NrvWriter, smallest_level
from nvcodec.model.description import CanvasShape
from nvcodec.model.hybrid.canvas.plane import Canvas, Step, coded_size, handed_on, schedule
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.model.hybrid.fusion.packed import pack_network
from nvcodec.model.hybrid.fusion.render import NetworkSource, render
from nvcodec.model.hybrid.fusion.weights import FusionWeights, default_weights
from nvcodec.picture import Planes, samples_crc


@dataclass(frozen=True)
class HybridPlan:
    """What a synthetic bitstream holds."""

    shape: CanvasShape = field(default_factory=lambda: CanvasShape(8, -3))
    width: int = 75
    height: int = 46
    frames: Sequence[int] = (1, 4, 8, 1, 1, 2, 5)
    keys: Sequence[int] = (0, 4)
    seconds: Sequence[int] = (0, 0, 1, 2, 0, 2, 1)
    durations: Sequence[int] = (1,)
    seed: int = 0
    chroma_location: int = 0


def random_canvases(steps: Sequence[Step], size: tuple[int, int], seed: int) -> list[ReadCanvas]:
    """Canvases such as the default contexts take for likely."""
    rng = np.random.default_rng(seed)
    canvases: list[ReadCanvas] = []
    while not canvases:
        # Some bits give a class a filter that there is not.
        with contextlib.suppress(CorruptError):
            canvases = parse(rng.bytes(1 << 18), rng.bytes(1 << 16), steps, size)
    for canvas in canvases:
        settle_quantisers(canvas.leaves, canvas.quantiser)
    return canvases


def parse(
    content: bytes, motion: bytes, steps: Sequence[Step], size: tuple[int, int]
) -> list[ReadCanvas]:
    """The canvases that substreams begin with."""
    reader = CanvasReader(motion, content, size)
    return [reader.read(step.set, step.b is not None) for step in steps]


def settle_quantisers(leaves: Table, quantiser: int) -> None:
    """Drop what the encoder cannot code: deltas of leaves that are coded but have no unit."""
    current, done = quantiser, set()
    for leaf in leaves:
        if leaf[INTRA] or leaf[UNITS]:
            block = leaf[X] // 32, leaf[Y] // 32
            if block not in done:
                current += int(np.clip(leaf[Q] - current, -32, 32))
                done.add(block)
        leaf[Q] = current


def code(
    canvases: Sequence[ReadCanvas], steps: Sequence[Step], size: tuple[int, int]
) -> list[bytes]:
    """The content and motion substreams of canvases."""
    motion = RangeEncoder(
        default_motion_contexts(), sum(motion_capacity(canvas.leaves) for canvas in canvases)
    )
    content = RangeEncoder(
        default_content_contexts(),
        sum(content_capacity(c.leaves, c.units, c.levels) for c in canvases)
        + sum(filters_capacity(c.filters) for c in canvases if c.filters is not None),
    )
    for step, canvas in zip(steps, canvases, strict=True):
        quantiser, leaves, units, levels, filters = canvas
        varying = bool((leaves[:, Q] != quantiser).any())
        encode_motion(motion, leaves, *size, step.set, two=step.b is not None)
        if filters is not None:
            encode_filters(content, filters)
        encode_content(content, leaves, units, levels, quantiser, varying, step.set)
    return [content.finish(), motion.finish()]


NETWORK_MODES = (NetworkMode.NEW, NetworkMode.OFF, NetworkMode.KEEP, NetworkMode.NEW)


def change_network(
    weights: FusionWeights, number: int, seed: int
) -> tuple[bytes, FusionWeights, bool]:
    """The network substream of a group, its weights after it, and whether it is used."""
    mode = NETWORK_MODES[number % len(NETWORK_MODES)]
    rng = np.random.default_rng(1000 * seed + number)
    differences = rng.integers(-3, 4, weights.output.shape).astype(np.int32)
    # A few large ones, which the exp-Golomb code is for, and rows without any.
    large = rng.random(differences.shape) < 0.01
    differences[large] = rng.integers(-150, 151, differences.shape)[large]
    differences[rng.random(differences.shape[:2]) < 0.3] = 0
    shared = rng.integers(-3, 4, (len(differences), SHARED_TAPS)).astype(np.int32)
    data = encode_network(mode, shared, differences)
    if mode is NetworkMode.NEW:
        weights = weights.changed(shared, differences)
    return data, weights, mode is not NetworkMode.OFF


def synthesize_hybrid(plan: HybridPlan) -> tuple[bytes, list[Planes]]:
    """A complete bitstream and the frames it decodes to."""
    file = io.BytesIO()
    writer = NrvWriter(file)
    header = Header(
        level=smallest_level(plan.width * plan.height, 0, 1 << 16, 0),
        model=HYBRID,
        width=plan.width,
        height=plan.height,
        frame_rate_num=30,
        frame_rate_den=1,
        time_base_num=1,
        time_base_den=90,
        chroma_location=plan.chroma_location,
    )
    writer.begin(header, plan.shape.to_payload(), {"encoder": "synthetic"})
    size = coded_size(plan.width, plan.height)
    pictures: list[Planes] = []
    before: dict[int, Canvas] = {}
    weights = default_weights()
    pts = 5
    for number, count in enumerate(plan.frames):
        key = number in plan.keys
        second = plan.seconds[number % len(plan.seconds)]
        if key or (second == 1 and number - 1 in plan.keys):
            second = 0
        steps = schedule(count, key, second)
        tables = random_canvases(steps, size, 1000 * plan.seed + number)
        content, motion = code(tables, steps, size)
        before = {} if key else before
        canvases = dict(before)
        # Parsed again: a leaf that was coded without having a unit is not now.
        tables = parse(content, motion, steps, size)
        for step, (_, leaves, units, levels, filters) in zip(steps, tables, strict=True):
            references = [canvases[frame] for frame in step.references]
            canvases[step.frame] = reconstruct(
                leaves,
                units,
                levels,
                step,
                references,
                size,
                plan.shape.chroma_offset,
                filters=filters,
            )
        network, used = b"", False
        if plan.shape.network:
            weights = default_weights() if key else weights
            network, weights, used = change_network(weights, number, plan.seed)
        shown = {k: canvases[k].crop(plan.width, plan.height) for k in range(count)}
        for step, (_, leaves, *_) in zip(steps, tables, strict=True):
            if used:
                planes = [canvases[frame].planes for frame in step.references]
                source = NetworkSource.of(
                    canvases[step.frame], leaves, planes, plan.shape.chroma_offset
                )
                packed = pack_network(weights.shape, weights.of_set(step.set))
                shown[step.frame] = render(source, packed, (0, 0, plan.width, plan.height))
        durations = tuple(plan.durations[k % len(plan.durations)] for k in range(count))
        writer.add_group(
            Group(
                first_frame=len(pictures),
                frame_count=count,
                key=key,
                crc=samples_crc(shown[k] for k in range(count)),
                first_pts=pts,
                second=second,
                durations=durations,
                tables=b"",
                content=content,
                motion=motion,
                network=network,
            )
        )
        pts += sum(durations)
        pictures += [shown[k] for k in range(count)]
        before = handed_on(before, canvases[count - 1])
    writer.finish()
    return file.getvalue(), pictures
