"""A test of the fusion network on a device against the CPU, up to the bound of spec 9.2."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.coding.hybrid.leaves import last_index
from nvcodec.format import UnsupportedError
from nvcodec.model.cuda.fusion import CudaFusion, CudaSource
from nvcodec.model.cuda.planes import to_host
from nvcodec.model.hybrid.canvas.inter import packed_motion
from nvcodec.model.hybrid.canvas.plane import Canvas, Step
from nvcodec.model.hybrid.fusion.packed import pack_network
from nvcodec.model.hybrid.fusion.render import NetworkSource, render, with_sites
from nvcodec.model.hybrid.fusion.weights import (
    LINEAR,
    MAX_INPUT,
    PLANES,
    FusionShape,
    Network,
)
from nvcodec.picture import Planes, SampleFormat


@lru_cache
def require_exact(shape: FusionShape, samples: SampleFormat, device: torch.device) -> None:
    """Raise UnsupportedError unless networks of a shape are exact on this device, in this format.

    They are compared with the CPU on random samples of low to high contrast, with weights whose
    sums come near the bound of spec 9.2.
    """
    rng = np.random.default_rng(0)
    for moving, share in ((False, 0.1), (True, 0.01), (True, 1.0)):
        source = random_source(rng, moving, 48, 24, samples)
        network = random_network(rng, shape, share)
        height, width = source.canvas.planes[0].shape
        expected = render(source, pack_network(shape, network), (0, 0, width, height))
        uploaded = CudaSource.uploaded(source, device)
        (got,) = to_host([CudaFusion(shape, network, device).picture(uploaded)])
        if not all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True)):
            raise UnsupportedError(
                "device cuda: the fusion network does not compute exactly here; use cpu"
            )


def random_source(
    rng: np.random.Generator,
    moving: bool,
    width: int,
    height: int,
    samples: SampleFormat,
) -> NetworkSource:
    """A key canvas or, if `moving`, a predicted one, of random samples, vectors and quantisers."""
    rows, columns = height, width

    def planes() -> Planes:
        most = int(rng.choice([4, samples.peak + 1]))
        made = samples.empty(columns, rows)
        for plane in made:
            plane[:] = rng.integers(0, most, plane.shape, plane.dtype)
        return made

    cells = rows // 8, columns // 8
    leaves = np.array(
        [(8 * x, 8 * y, 8, 8, 0, 0) for y in range(cells[0]) for x in range(cells[1])], np.int32
    )
    motion = rng.integers(-40, 40, (2, *cells, 2)).astype(np.int16)
    direction = rng.integers(1, 4, cells).astype(np.uint8)
    step = Step(1, -1, 3, 1) if moving else Step(0, None, None, 0)
    canvas = Canvas(planes(), direction, motion, step, samples)
    return NetworkSource(
        canvas,
        with_sites(canvas.planes, samples),
        leaves,
        packed_motion(direction, motion),
        rng.integers(0, last_index(samples.bit_depth) + 1, cells).astype(np.uint8),
        [planes(), planes()] if moving else [],
        int(rng.integers(-12, 13)),
    )


def random_network(rng: np.random.Generator, shape: FusionShape, share: float) -> Network:
    """Weights of a magnitude up to a `share` of what spec 9.2 allows when a row's are all equal."""

    def some(*size: int) -> npt.NDArray[np.int16]:
        inputs = int(np.prod(size[1:])) + LINEAR
        most = min(32767, int(share * ((1 << 31) // MAX_INPUT // inputs - 64)))
        made: npt.NDArray[np.int16] = rng.integers(-most, most + 1, size).astype(np.int16)
        return made

    hidden = tuple(
        (
            some(layer.units, shape.inputs(number), layer.kernel, layer.kernel),
            rng.integers(-(10**5), 10**5, layer.units).astype(np.int32),
        )
        for number, layer in enumerate(shape.hidden)
    )
    return Network(hidden, some(PLANES, LINEAR + shape.hidden[-1].units))
