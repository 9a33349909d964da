"""Affine leaves in Triton's interpreter: canvases, and frames of the network, as on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nvcodec.coding.hybrid.canvases import ReadCanvas
from nvcodec.coding.hybrid.leaves import AFFINE, GRADIENTS, HEIGHT, INDEX, INTRA, MERGE, WIDTH, X, Y
from nvcodec.model.hybrid.canvas.plane import Canvas
from nvcodec.model.hybrid.fusion.packed import pack_network
from nvcodec.model.hybrid.fusion.render import NetworkSource, render
from nvcodec.model.hybrid.fusion.weights import FusionShape, HiddenLayer
from nvcodec.picture import SAMPLE_FORMATS, YUV420P8, SampleFormat
from tests.model.hybrid.canvas.tables import random_tables

pytest.importorskip("triton", reason="Triton is not installed")

from nvcodec.model.cuda.canvas_check import STEPS, compared
from nvcodec.model.cuda.fusion import CudaFusion, CudaSource
from nvcodec.model.cuda.fusion_check import random_network
from nvcodec.model.cuda.packed import Layout, PackedCanvas
from nvcodec.model.cuda.planes import to_host

pytestmark = pytest.mark.usefixtures("quick_interpreter", "large_tiles")

CPU = torch.device("cpu")
SIZE = 96, 64
OFFSET = -3
SHAPE = FusionShape((0, 0, 0), 0, (HiddenLayer(1, 2, 8),), 9)


def tables_of(rng: np.random.Generator, samples: SampleFormat) -> list[ReadCanvas]:
    """Of a key, a chain and an interior canvas; all inter leaves that may be affine are."""
    made = []
    for step in STEPS[:3]:
        width, height = SIZE
        split = {64: 1, 32: 0.7, 16: 0.2}
        tables = random_tables(rng, height, width, step.set, split, fmt=samples)
        leaves = tables[0]
        may = (leaves[:, INTRA] == 0) & (leaves[:, [WIDTH, HEIGHT]].min(1) >= 16)
        leaves[may, AFFINE] = 1
        leaves[may, INDEX] &= 1
        own = may & (leaves[:, MERGE] == 0)
        leaves[own, GRADIENTS : GRADIENTS + 4] = rng.integers(-40, 41, (own.sum(), 4))
        made.append(ReadCanvas(0, *tables, None))
    return made


def bending(canvas: Canvas, leaves: np.ndarray) -> int:
    """The number of affine leaves whose cells differ in their vectors."""
    found = 0
    for x, y, wide, tall in leaves[leaves[:, AFFINE] != 0][:, [X, Y, WIDTH, HEIGHT]] >> 3:
        cells = canvas.vectors[:, y : y + tall, x : x + wide]
        found += bool((cells != cells[:, :1, :1]).any())
    return found


@pytest.mark.parametrize(
    "samples",
    [
        *(YUV420P8, SampleFormat(8, 0), SampleFormat(10, 2), SampleFormat(8, 3)),
        *(pytest.param(s, marks=pytest.mark.deep) for s in SAMPLE_FORMATS),
    ],
    ids=str,
)
def test_bytes_equal_the_cpu(samples: SampleFormat) -> None:
    rng = np.random.default_rng(1)
    network = random_network(rng, SHAPE, 0.05)
    tables = tables_of(rng, samples)
    made: dict[int, tuple[PackedCanvas, Canvas]] = {}
    for step, read, pair in zip(STEPS, tables, compared(tables, SIZE, samples, CPU), strict=False):
        made[step.frame or -1] = got, expected = pair
        for plane, other in zip(got.planes, expected.planes, strict=True):
            np.testing.assert_array_equal(plane, other)
        if not step.references:
            continue
        for merged in (0, 1):
            assert bending(expected, read.leaves[read.leaves[:, MERGE] == merged]) > 0
        packed, canvases = zip(*(made[k] for k in step.references), strict=True)
        source = NetworkSource.of(expected, read.leaves, [c.planes for c in canvases], OFFSET)
        np.testing.assert_array_equal(source.leaves[:, AFFINE], read.leaves[:, AFFINE])
        frame = render(source, pack_network(SHAPE, network), (0, 0, *SIZE))
        on_device = CudaSource.of(got, packed, Layout(samples, *SIZE), OFFSET)
        (picture,) = to_host([CudaFusion(SHAPE, network, CPU).picture(on_device)])
        for plane, other in zip(picture, frame, strict=True):
            np.testing.assert_array_equal(plane, other)
