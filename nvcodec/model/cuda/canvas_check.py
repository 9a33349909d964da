"""A test of the canvases of a device against those of the CPU, on random syntax."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import cast

import numpy as np
import torch

from nvcodec.coding.hybrid.canvases import CanvasReader, ReadCanvas
from nvcodec.format import CorruptError, UnsupportedError
from nvcodec.model.cuda.canvas import CanvasMaker
from nvcodec.model.cuda.packed import PackedCanvas
from nvcodec.model.cuda.planes import TensorPlanes, to_host
from nvcodec.model.hybrid.canvas.plane import Canvas, Step
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.picture import SampleFormat

_SIZE = 136, 80
_SEEDS = 3
_OFFSET = -3
STEPS = (
    Step(0, None, None, 0),
    Step(3, -1, None, 0),
    Step(1, -1, 3, 1),
    Step(7, 3, -1, 0),
    Step(5, 3, 7, 1),
)
"""A key canvas, a chain canvas and an interior one, and the same with a second reference."""


@lru_cache
def require_exact_canvases(samples: SampleFormat, device: torch.device) -> None:
    """Raise UnsupportedError unless canvases of a format are exact on this device."""
    for seed in range(_SEEDS):
        tables = random_tables(np.random.default_rng(seed), _SIZE, samples)
        for got, expected in compared(tables, _SIZE, samples, device):
            (planes,) = to_host([cast(TensorPlanes, got.planes)])
            if not all(np.array_equal(*pair) for pair in zip(planes, expected.planes, strict=True)):
                raise UnsupportedError(
                    "device cuda: canvases are not computed exactly here; use cpu"
                )


def random_tables(
    rng: np.random.Generator, size: tuple[int, int], samples: SampleFormat
) -> list[ReadCanvas]:
    """Tables of the canvases of STEPS, as the default contexts take them for likely."""
    count = 8 * size[0] * size[1]
    while True:
        reader = CanvasReader(rng.bytes(count), rng.bytes(count), size, sample_format=samples)
        # Some bits give a class a filter that there is not.
        with contextlib.suppress(CorruptError):
            return [reader.read(step.set, step.b is not None) for step in STEPS]


def compared(
    tables: Iterable[ReadCanvas],
    size: tuple[int, int],
    samples: SampleFormat,
    device: torch.device,
) -> Iterator[tuple[PackedCanvas, Canvas]]:
    """The first canvases of STEPS, by their tables, each made on the device and on the CPU."""
    maker = CanvasMaker(size, _OFFSET, samples, device)
    made: dict[int, PackedCanvas] = {}
    expected: dict[int, Canvas] = {}
    for step, read in zip(STEPS, tables, strict=False):
        frame = step.frame or -1
        references = [made[k] for k in step.references]
        made[frame] = maker.make(maker.prepare(read, step, references), references)
        expected[frame] = reconstruct(
            read.leaves,
            read.units,
            read.levels,
            step,
            [expected[k] for k in step.references],
            size,
            _OFFSET,
            sample_format=samples,
            filters=read.filters,
        )
        yield made[frame], expected[frame]
