"""Bitstreams with random weights: they use every feature of the format without training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nvcodec.encode.sine.lattice import conform
from nvcodec.format import Group, Header, NrvWriter, smallest_level
from nvcodec.model.sine.render import render_region
from nvcodec.model.sine.renderer import SineRenderer
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import (
    GroupWeights,
    LayerParameters,
    code_weights,
    default_weights,
)
from nvcodec.picture import Planes, samples_crc

SMALL = NetworkShape(patch=8, group_frames=3, depth=2, width=12, stem_channels=3, head_channels=2)
DEEP = NetworkShape(patch=6, group_frames=2, depth=3, width=10, stem_channels=2, head_channels=3)


@dataclass(frozen=True)
class Plan:
    """What a synthetic bitstream holds."""

    shape: NetworkShape = SMALL
    width: int = 37
    height: int = 22
    frames: Sequence[int] = (3, 3, 1, 3)
    keys: Sequence[int] = (0, 2)
    durations: Sequence[int] = (1,)
    change: float = 0.3
    seed: int = 0
    chroma_location: int = 0


def random_parameters(shape: NetworkShape, rng: np.random.Generator) -> tuple[LayerParameters, ...]:
    """Steps that give lively pictures: phases over several turns, samples over the range."""
    records = []
    for number, layer in enumerate(shape.layers):
        if number == 0:
            record = LayerParameters(6 * 6 + int(rng.integers(6)), 10, 900, 20)
        elif number < shape.depth:
            record = LayerParameters(6 * 13 + int(rng.integers(6)), 4, 60, 100)
        elif number == shape.depth:
            record = LayerParameters(6 * 13 + int(rng.integers(6)), 3, 50, 60)
        elif number == shape.depth + 1:
            record = LayerParameters(6 * 11 + int(rng.integers(6)), 5, 200, 50)
        else:
            record = LayerParameters(6 * 12 + int(rng.integers(6)), 7, 200, 10)
        record.check(layer)
        records.append(record)
    return tuple(records)


def random_weights(
    shape: NetworkShape,
    previous: GroupWeights | None,
    rng: np.random.Generator,
    change: float,
) -> GroupWeights:
    """Weights that differ from the previous ones (or the defaults) at a share of their entries."""
    parameters = previous.parameters if previous else random_parameters(shape, rng)
    start = previous.tensors if previous else default_weights(shape, parameters)
    tensors = []
    for tensor in start:
        moved = rng.random(tensor.shape) < change
        spread = rng.geometric(0.15, tensor.shape) * rng.choice([-1, 1], tensor.shape)
        tensors.append((tensor + moved * spread).astype(np.int32))
    return conform(GroupWeights(shape, parameters, tuple(tensors)))


def synthesize(plan: Plan) -> tuple[bytes, list[Planes]]:
    """A complete bitstream and the frames it decodes to."""
    rng = np.random.default_rng(plan.seed)
    shape = plan.shape
    file = io.BytesIO()
    writer = NrvWriter(file)
    luma = plan.width * plan.height
    header = Header(
        level=smallest_level(luma, shape.weights, 4096, shape.multiplications),
        width=plan.width,
        height=plan.height,
        frame_rate_num=30,
        frame_rate_den=1,
        time_base_num=1,
        time_base_den=90,
        chroma_location=plan.chroma_location,
    )
    writer.begin(header, shape.to_payload(), {"encoder": "synthetic"})
    weights: GroupWeights | None = None
    pictures: list[Planes] = []
    pts = 5
    for number, count in enumerate(plan.frames):
        previous = None if number in plan.keys else weights
        weights = random_weights(shape, previous, rng, plan.change)
        tables, network = code_weights(weights, previous)
        renderer = SineRenderer(weights)
        rendered = render_region(renderer, plan.width, plan.height, range(count))
        durations = tuple(plan.durations[k % len(plan.durations)] for k in range(count))
        writer.add_group(
            Group(
                first_frame=len(pictures),
                frame_count=count,
                key=previous is None,
                crc=samples_crc(rendered),
                first_pts=pts,
                durations=durations,
                tables=tables,
                content=b"",
                motion=b"",
                network=network,
            )
        )
        pts += sum(durations)
        pictures += rendered
    writer.finish()
    return file.getvalue(), pictures
