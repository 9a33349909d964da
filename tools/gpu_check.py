"""Checks and times rendering on the CUDA device of this machine.

    python -m tools.gpu_check [--size WIDTHxHEIGHT]... [--peak TOPS] [--seeds N]

Compares every kernel of the sine network with NumPy. Compares random canvases of the hybrid model,
groups of random weights, frames through the fusion network and groups of random features with the
CPU, byte for byte. Encodes and decodes tiny clips on the device. Decodes a clip of the hybrid model
with and without network: those frames a second are of whole decodes, parsing on the CPU included.
Other times are of whole groups, with frames left on the device and with frames copied to the host.
`load` is the upload of a group's weights, or of its features, which is
part of the other times. The share is that of the device's dense 8-bit peak, where a multiplication
of spec 5.8 counts as two operations, and one of spec 13 as eight, those of its bytes.

Exit codes: 0 all equal, 4 no CUDA device or no Triton here, 5 something differs.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import torch

import nvcodec
from nvcodec.cli.outcome import ExitCode
from nvcodec.encode.sine.settings import PAPER_SHAPE
from nvcodec.format import UnsupportedError
from nvcodec.media.y4m import Y4mWriter
from nvcodec.model.sine.render import render_region
from nvcodec.model.sine.renderer import SineRenderer
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.picture import SAMPLE_FORMATS, YUV420P8, Planes
from tools.bench.decode import random_weights

if TYPE_CHECKING:
    from nvcodec.model.cuda.planes import TensorPlanes

PEAKS = {
    "H200": 1979.0,
    "H100 PCIe": 1513.0,
    "H100 NVL": 1671.0,
    "H100": 1979.0,
    "A100": 624.0,
}
"""Dense 8-bit peaks in 10^12 operations a second, from the vendor's data sheets."""

SECONDS = 1.0


def peak_of(device: str) -> float | None:
    """The peak of a device by its name; None if unknown."""
    return next((peak for name, peak in PEAKS.items() if name in device), None)


def same(a: list[Planes], b: list[Planes]) -> bool:
    return all(
        np.array_equal(x, y)
        for left, right in zip(a, b, strict=True)
        for x, y in zip(left, right, strict=True)
    )


def check_kernels(device: torch.device, seeds: int) -> bool:
    """Compare every kernel with NumPy; prints one line for each."""
    from nvcodec.model.cuda.check import CHECKS, used_by

    shapes = [
        PAPER_SHAPE,
        replace(PAPER_SHAPE, patch=18, width=1024, stem_channels=5, head_channels=9),
        NetworkShape(64, 2, 1, 33, 64, 64),
        NetworkShape(16, 3, 3, 200, 8, 8),
    ]
    equal = True
    for name, check in CHECKS.items():
        wrong = []
        cases = [
            (shape, seed, exact)
            for shape in shapes
            if name in used_by(shape)
            for seed in range(seeds)
            for exact in (True, False)
        ]
        for shape, seed, exact in cases:
            got, expected = check(shape, device, np.random.default_rng(seed), exact)
            if not np.array_equal(got, expected):
                wrong.append(f"{shape} seed {seed} exact {exact}: {np.sum(got != expected)} differ")
        click.echo(f"kernel {name:15} {len(cases):3} cases  {'DIFFERS' if wrong else 'equal'}")
        for line in wrong[:3]:
            click.echo(f"  {line}")
        equal = equal and not wrong
    return equal


def speeds(
    render: Callable[[], list[TensorPlanes]], frames: int, device: torch.device
) -> tuple[float, float]:
    """Frames a second of groups, left on the device and copied to the host."""
    from nvcodec.model.cuda.planes import to_host

    def per_second(copied: bool) -> float:
        torch.cuda.synchronize(device)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        groups, limit = 0, time.perf_counter() + SECONDS
        start.record()
        while time.perf_counter() < limit:
            pictures = render()
            if copied:
                to_host(pictures)
            groups += 1
            # Wait every few groups, as queued work holds memory.
            if groups % 8 == 0:
                torch.cuda.synchronize(device)
        end.record()
        torch.cuda.synchronize(device)
        return groups * frames * 1000 / start.elapsed_time(end)

    per_second(False)
    return per_second(False), per_second(True)


def milliseconds(work: Callable[[], object], device: torch.device) -> float:
    """Mean time of some work, waiting for the device."""
    torch.cuda.synchronize(device)
    begin = time.perf_counter()
    for _ in range(5):
        work()
    torch.cuda.synchronize(device)
    return (time.perf_counter() - begin) * 1000 / 5


def report(
    name: str,
    size: tuple[int, int],
    times: tuple[float, float, float],
    operations: float,
    peak: float | None,
    equal: bool,
) -> None:
    """Print the line of a network of 8-bit `operations` for each luma sample."""
    width, height = size
    left, copied, load = times
    share = "?"
    if peak is not None:
        share = f"{100 * operations * width * height * left / (peak * 1e12):.2f} %"
    click.echo(
        f"{name:8} {width}x{height:<5} {left:9.1f} {copied:9.1f} {load:8.2f}  {share:>8}"
        f"  {'equal' if equal else 'DIFFERS'}"
    )


def check_network(size: tuple[int, int], device: torch.device, peak: float | None) -> bool:
    """Compare a group of the paper's network with the CPU and time it; prints one line."""
    from nvcodec.model.cuda.planes import to_host
    from nvcodec.model.cuda.renderer import CudaRenderer

    width, height = size
    shape = PAPER_SHAPE
    weights = random_weights(shape)
    frames = range(shape.group_frames)
    on_cpu = SineRenderer(weights, os.cpu_count() or 1)
    renderer = CudaRenderer(weights, device)
    expected = render_region(on_cpu, width, height, frames)
    equal = same(to_host(renderer.pictures(width, height, frames)), expected)

    left, copied = speeds(lambda: renderer.pictures(width, height, frames), len(frames), device)
    load = milliseconds(lambda: CudaRenderer(weights, device), device)
    report("sine", size, (left, copied, load), 2 * shape.multiplications, peak, equal)
    return equal


def check_canvases(device: torch.device, seeds: int) -> bool:
    """Compare random canvases of all sample formats with the CPU; prints a line for each."""
    from nvcodec.model.cuda.canvas_check import compared, random_tables
    from nvcodec.model.cuda.planes import to_host

    size, equal = (328, 200), True
    for samples in SAMPLE_FORMATS:
        wrong = 0
        for seed in range(seeds):
            tables = random_tables(np.random.default_rng(seed), size, samples)
            for got, expected in compared(tables, size, samples, device):
                planes: Any = got.planes
                wrong += not same(to_host([planes]), [expected.planes])
        state = f"{wrong} DIFFER" if wrong else "equal"
        click.echo(f"canvases {samples.name:12} {seeds:3} groups  {state}")
        equal = equal and not wrong
    return equal


def check_hybrid(size: tuple[int, int], device: torch.device, network: str) -> bool:
    """Decode a clip of the hybrid model on the CPU and on the device; prints one line."""
    file = io.BytesIO()
    nvcodec.encode(moving(size, 17), file, fps=25, preset="ultrafast", network=network)

    def decoded(**options: Any) -> tuple[list[Planes], float]:
        file.seek(0)
        begin = time.perf_counter()
        with nvcodec.Decoder(file, **options) as decoder:
            frames: list[Any] = [frame.planes for frame in decoder]
        torch.cuda.synchronize(device)
        return frames, time.perf_counter() - begin

    expected, _ = decoded()
    # The first one compiles.
    decoded(device="cuda")
    got, copied = decoded(device="cuda")
    left_there, left = decoded(device="cuda", tensors=True)
    on_host = [tuple(plane.cpu().numpy() for plane in planes) for planes in left_there]
    equal = same(got, expected) and same(on_host, expected)
    width, height = size
    frames = len(expected)
    click.echo(
        f"hybrid   {width}x{height:<5} {frames / left:9.1f} {frames / copied:9.1f}"
        f" with network {network}  {'equal' if equal else 'DIFFERS'}"
    )
    return equal


def moving(size: tuple[int, int], frames: int) -> Iterator[Planes]:
    """Pictures of moving waves with some noise, 4:2:0."""
    width, height = size
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3, (height, width))
    y, x = np.mgrid[:height, :width]
    for k in range(frames):
        waves = 128 + 60 * np.sin((x + 3 * k) / 17) * np.cos((y - 2 * k) / 11)
        luma = np.clip(waves + np.roll(noise, (-2 * k, -3 * k), (0, 1)), 0, 255).astype(np.uint8)
        chroma = luma[::2, ::2]
        yield luma, chroma // 2 + 64, 192 - chroma // 2


def check_fusion(size: tuple[int, int], device: torch.device) -> bool:
    """Compare a frame through the fusion network with the CPU and time it; prints one line."""
    from nvcodec.model.cuda.fusion import CudaFusion, CudaSource
    from nvcodec.model.cuda.fusion_check import random_source
    from nvcodec.model.cuda.planes import to_host
    from nvcodec.model.hybrid.fusion.packed import pack_network
    from nvcodec.model.hybrid.fusion.render import render
    from nvcodec.model.hybrid.fusion.weights import default_weights

    width, height = (-(-length // 8) * 8 for length in size)
    source = random_source(np.random.default_rng(0), True, width, height, YUV420P8)
    weights = default_weights()
    network = weights.of_set(source.canvas.step.set)
    fusion = CudaFusion(weights.shape, network, device)
    uploaded = CudaSource.uploaded(source, device)
    expected = render(source, pack_network(weights.shape, network), (0, 0, width, height))

    def picture() -> list[TensorPlanes]:
        return [fusion.picture(uploaded)]

    equal = same(to_host(picture()), [expected])
    left, copied = speeds(picture, 1, device)
    click.echo(
        f"fusion   {width}x{height:<5} {left:9.1f} {copied:9.1f}  {'equal' if equal else 'DIFFERS'}"
    )
    return equal


def check_synthesis(size: tuple[int, int], device: torch.device, peak: float | None) -> bool:
    """Compare luma of a group of random features with the CPU and time it; prints one line."""
    from nvcodec.coding.nirvana.components import NO_COMPONENTS
    from nvcodec.coding.nirvana.table import FRAMES, PATCH, network_offset
    from nvcodec.model.cuda.planes import to_host
    from nvcodec.model.cuda.synthesis import synthesis_of
    from nvcodec.model.cuda.synthesis_check import on_cpu, random_features
    from nvcodec.model.nirvana.network import synthesis_network
    from nvcodec.model.nirvana.parameters import Grid

    grid, frames, quantiser = Grid(*size), list(range(FRAMES)), 30
    region = (0, 0, *size)
    features = random_features(np.random.default_rng(0), grid, 300)
    network = synthesis_network(network_offset(quantiser), NO_COMPONENTS)
    expected = on_cpu(network, features, grid, frames, region)
    synthesis = synthesis_of(network_offset(quantiser), NO_COMPONENTS, device)

    def render() -> list[TensorPlanes]:
        plane = synthesis.plane(features, grid, frames, region, YUV420P8)
        return [(frame,) for frame in plane]

    equal = same(to_host(render()), [(frame,) for frame in expected])
    left, copied = speeds(render, FRAMES, device)
    load = milliseconds(lambda: torch.from_numpy(features).to(device), device)
    products = network.first.matrix.size + network.second.matrix.size + network.output.matrix.size
    operations = 8 * products / (FRAMES * PATCH**2)
    report("nirvana", size, (left, copied, load), operations, peak, equal)
    return equal


def check_clip(name: str, **options: Any) -> bool:
    """Encode three frames with the nirvana model and decode them; prints one line."""
    rng = np.random.default_rng(0)
    source, file = io.BytesIO(), io.BytesIO()
    writer = Y4mWriter(source, 64, 64, Fraction(25), Fraction(1), 0, 0)
    y, x = np.mgrid[:64, :64]
    for k in range(3):
        luma = np.clip(128 + 90 * np.sin((x + 2 * k) / 9) * np.cos(y / 7), 0, 255)
        chroma = rng.integers(120, 136, (2, 32, 32))
        writer.write((luma.astype(np.uint8), *chroma.astype(np.uint8)))
    source.seek(0)
    result = nvcodec.encode(source, file, model="nirvana", preset="fast", **options)
    decoded = []
    for device, tensors in (("cpu", False), ("cuda", False), ("cuda", True)):
        file.seek(0)
        with nvcodec.Decoder(file, device=device, tensors=tensors) as decoder:
            frames = [frame.planes for frame in decoder.frames(verify=True)]
        if tensors:
            frames = [tuple(plane.cpu().numpy() for plane in planes) for planes in frames]
        decoded.append(frames)
    equal = same(decoded[0], decoded[1]) and same(decoded[0], decoded[2])
    click.echo(
        f"{name:8}  3 frames of 64x64, {result.bytes} bytes, {result.seconds:.1f} s,"
        f" decoded {'equal' if equal else 'DIFFERENT'}"
    )
    return equal


@click.command(help=__doc__)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    default=["1280x720", "1920x1080", "3840x2160"],
    show_default=True,
)
@click.option("--peak", type=float, help="Dense 8-bit peak in TOPS.  [default: by device name]")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
def main(sizes: tuple[str, ...], peak: float | None, seeds: int) -> None:
    try:
        from nvcodec.decode.devices import make_device

        make_device("cuda", None, None, tensors=False)
    except UnsupportedError as error:
        click.echo(f"gpu_check: {error}; nothing was checked", err=True)
        sys.exit(ExitCode.UNSUPPORTED)
    import triton

    device = torch.device("cuda", torch.cuda.current_device())
    name = torch.cuda.get_device_name(device)
    peak = peak or peak_of(name)
    click.echo(f"{name}, torch {torch.__version__}, triton {triton.__version__}, peak {peak} TOPS")
    equal = check_kernels(device, seeds)
    equal = check_canvases(device, seeds) and equal
    click.echo("network  size      fps device  fps host  load ms     share  bytes")
    for size in sizes:
        width, height = map(int, size.split("x"))
        equal = check_network((width, height), device, peak) and equal
        equal = check_fusion((width, height), device) and equal
        for network in ("off", "fixed"):
            equal = check_hybrid((width, height), device, network) and equal
        equal = check_synthesis((width, height), device, peak) and equal
    equal = check_clip("training", network="paper", group_size=3, device="cuda") and equal
    equal = check_clip("nirvana") and equal
    click.echo("all equal" if equal else "something DIFFERS")
    sys.exit(ExitCode.OK if equal else ExitCode.VERIFICATION)


if __name__ == "__main__":
    main()
