"""Random networks, and random canvases with their references."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import Table
from nvcodec.model.hybrid.canvas.plane import Step
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.model.hybrid.fusion.render import NetworkSource
from nvcodec.model.hybrid.fusion.weights import FusionShape, FusionWeights, HiddenLayer, Network
from nvcodec.picture import YUV420P8, Planes, SampleFormat
from tests.model.hybrid.canvas.tables import random_tables

STEPS = (Step(0, None, None, 0), Step(3, -1, None, 0), Step(1, -1, 3, 1))
"""Of a key, a chain and an interior canvas."""


def random_shape(rng: np.random.Generator) -> FusionShape:
    hidden = [
        HiddenLayer(int(rng.choice([1, 3])), 2 * int(rng.integers(1, 13)), int(rng.integers(0, 12)))
        for _ in range(rng.integers(1, 4))
    ]
    networks = [(0, 0, 0), (0, 1, 2), (1, 0, 0)][rng.integers(3)]
    return FusionShape(networks, int(rng.integers(0, 5)), tuple(hidden), int(rng.integers(0, 12)))


def random_weights(rng: np.random.Generator, shape: FusionShape, most: int = 300) -> FusionWeights:
    """Weights up to `most` in magnitude; few enough inputs keep their sums in 32 bits."""

    def some(*size: int) -> np.ndarray:
        return rng.integers(-most, most + 1, size).astype(np.int16)

    networks = []
    for _ in range(shape.count):
        hidden = tuple(
            (
                some(layer.units, shape.inputs(k), layer.kernel, layer.kernel),
                rng.integers(-(10**6), 10**6, layer.units).astype(np.int32),
            )
            for k, layer in enumerate(shape.hidden)
        )
        networks.append(Network(hidden, some(6, 67 + shape.hidden[-1].units)))
    return FusionWeights(shape, tuple(networks))


def random_source(
    rng: np.random.Generator,
    width: int,
    height: int,
    canvas_set: int,
    noise: int = 20,
    chroma_offset: int = 0,
    q: int | None = None,
    fmt: SampleFormat = YUV420P8,
) -> tuple[NetworkSource, Table]:
    """A canvas of a Set, of a coded size, predicted from noise of an amplitude; and its leaves."""
    step = STEPS[canvas_set]
    references: list[Planes] = []
    for _ in step.references:
        planes = fmt.empty(width, height)
        for plane in planes:
            most = noise << (fmt.bit_depth - 8)
            low = int(rng.integers(0, fmt.peak + 1 - most))
            plane[:] = rng.integers(low, low + most + 1, plane.shape)
        references.append(planes)
    split = {64: 0.7, 32: 0.5, 16: 0.5}
    tables = random_tables(rng, height, width, canvas_set, split, q=q, fmt=fmt)
    canvases = [
        reconstruct(
            *random_tables(rng, height, width, 0, split, fmt=fmt),
            STEPS[0],
            [],
            (width, height),
            0,
            sample_format=fmt,
        )
        for _ in step.references
    ]
    for canvas, planes in zip(canvases, references, strict=True):
        for plane, values in zip(canvas.planes, planes, strict=True):
            plane[:] = values
    canvas = reconstruct(*tables, step, canvases, (width, height), chroma_offset, sample_format=fmt)
    return NetworkSource.of(canvas, tables[0], references, chroma_offset), tables[0]
