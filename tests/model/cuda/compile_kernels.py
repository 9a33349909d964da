"""Compiles every kernel that renders some networks, without a device.

    python -m tests.model.cuda.compile_kernels 80 90

Prints a line for each kernel and compute capability. Nothing is computed: a launch only records its
arguments, and the kernel is compiled from them as Triton would at its first launch.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from nvcodec.coding.nirvana.components import NO_COMPONENTS
from nvcodec.coding.nirvana.table import FEATURES, FRAMES
from nvcodec.encode.sine.settings import PAPER_SHAPE
from nvcodec.model.cuda import (
    filter_kernels,
    fusion_kernels,
    intra_kernels,
    kernels,
    motion_kernels,
    synthesis_kernels,
    transform_kernels,
)
from nvcodec.model.cuda.canvas_check import compared, random_tables
from nvcodec.model.cuda.fusion import CudaFusion, CudaSource
from nvcodec.model.cuda.renderer import CudaRenderer
from nvcodec.model.cuda.resample import resample
from nvcodec.model.cuda.synthesis import synthesis_of
from nvcodec.model.hybrid.fusion.weights import default_weights as default_fusion_weights
from nvcodec.model.nirvana.parameters import Grid
from nvcodec.model.resample import View
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights, LayerParameters, default_weights
from nvcodec.picture import YUV420P8, SampleFormat
from tests.model.hybrid.fusion.samples import random_source
from tests.synthetic import DEEP

SHAPES = [PAPER_SHAPE, DEEP]
MODULES = (
    kernels,
    transform_kernels,
    motion_kernels,
    intra_kernels,
    filter_kernels,
    fusion_kernels,
    synthesis_kernels,
)
KERNELS = {
    name: (module, kernel)
    for module in MODULES
    for name, kernel in vars(module).items()
    if isinstance(kernel, triton.JITFunction) and not name.startswith("_")
}
OPTIONS = ("num_warps", "num_stages", "enable_fp_fusion")
TYPES = {
    torch.int8: "*i8",
    torch.uint8: "*u8",
    torch.uint16: "*u16",
    torch.int16: "*i16",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.float16: "*fp16",
}


class Recorder:
    """Stands for a kernel and keeps what it is launched with."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.launches: dict[str, tuple[ASTSource, dict[str, int]]] = {}

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        assert all(0 < size < (1 << 31 if axis == 0 else 1 << 16) for axis, size in enumerate(grid))
        return self.record

    def record(self, *args: Any, **named: Any) -> None:
        params = self.kernel.params
        values = dict(zip((param.name for param in params), args, strict=False))
        options = {name: named.pop(name) for name in OPTIONS if name in named}
        values |= named
        signature, constants, attributes = {}, {}, {}
        for param in params:
            value = values.pop(param.name)
            tensor = isinstance(value, torch.Tensor)
            one = not tensor and not param.do_not_specialize and value == 1
            if param.is_constexpr or one:
                signature[param.name], constants[param.name] = "constexpr", value
                continue
            signature[param.name] = TYPES[value.dtype] if tensor else "i32"
            # Devices' allocations are aligned, the host's need not be.
            if tensor or (value % 16 == 0 and not param.do_not_specialize):
                attributes[param.num,] = [["tt.divisibility", 16]]
        assert not values, f"{self.kernel.__name__}: unknown arguments {list(values)}"
        source = ASTSource(self.kernel, signature, constants, attributes)
        self.launches[source.hash()] = source, options


def make_recorders() -> dict[str, Recorder]:
    """Recorders in place of all kernels."""
    recorders = {name: Recorder(kernel) for name, (_, kernel) in KERNELS.items()}
    for name, recorder in recorders.items():
        setattr(KERNELS[name][0], name, recorder)
    return recorders


def record(shape: NetworkShape) -> dict[str, Recorder]:
    """The launches of a rendering and of a resampling."""
    recorders = make_recorders()
    width, height = 5 * shape.patch, 3 * shape.patch
    parameters = (LayerParameters(60, 0, 100, 100),) * len(shape.layers)
    weights = GroupWeights(shape, parameters, default_weights(shape, parameters))
    renderer = CudaRenderer(weights, torch.device("cpu"))
    (planes,) = renderer.pictures(width, height, [1])
    view = View.of(width, height, (2 * width, 2 * height), None)
    resample(planes, (0, 0), width, height, view, 0)
    return recorders


def record_fusion() -> dict[str, Recorder]:
    """The launches of the fusion network on a key and an interior canvas."""
    recorders = make_recorders()
    weights = default_fusion_weights()
    for canvas_set in (0, 2):
        source, _ = random_source(np.random.default_rng(0), 24, 16, canvas_set)
        network = weights.of_set(canvas_set)
        device = torch.device("cpu")
        uploaded = CudaSource.uploaded(source, device)
        CudaFusion(weights.shape, network, device).picture(uploaded)
    return recorders


def record_canvases(samples: SampleFormat) -> dict[str, Recorder]:
    """The launches of canvases of all kinds."""
    recorders = make_recorders()
    size = 72, 64
    tables = random_tables(np.random.default_rng(1), size, samples)
    for _ in compared(tables, size, samples, torch.device("cpu")):
        pass
    return recorders


def record_synthesis() -> dict[str, Recorder]:
    """The launches of the synthesis network."""
    recorders = make_recorders()
    grid = Grid(40, 24)
    features = np.zeros((grid.rows, grid.columns, FEATURES), np.int16)
    region = (0, 0, grid.width, grid.height)
    synthesis = synthesis_of(0, NO_COMPONENTS, torch.device("cpu"))
    synthesis.plane(features, grid, range(FRAMES), region, YUV420P8)
    return recorders


def main() -> None:
    """Compile for the capabilities of the command line."""
    canvases = map(record_canvases, (YUV420P8, SampleFormat(8, 2)))
    for recorders in (*map(record, SHAPES), *canvases, record_fusion(), record_synthesis()):
        for name, recorder in recorders.items():
            for source, options in recorder.launches.values():
                for capability in map(int, sys.argv[1:]):
                    target = GPUTarget("cuda", capability, 32)
                    built = triton.compile(source, target=target, options=options)
                    cubin, ptx = built.asm["cubin"], built.asm["ptx"]
                    print(name, capability, len(cubin), len(ptx), flush=True)


if __name__ == "__main__":
    main()
