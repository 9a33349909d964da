#!/usr/bin/env python3
"""How fast the CPU renders a network, and libx264's pictures of the same size beside it.

    python -m tools.decode_bench [--rounds N] [--size WIDTHxHEIGHT]... [--threads N]...

Networks are of random weights, whole groups are rendered to 8-bit pictures. `integer` products are
those of nvcodec.model.dot_product where the processor has them, `float` those of BLAS; both and the
decoder of H.264 take turns, and the best of the rounds counts. The ratio is float / integer.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from unittest import mock

import av
import click
import numpy as np

from nvcodec.encode.lattice import conform
from nvcodec.encode.settings import PAPER_SHAPE, network_shape
from nvcodec.model import dot_product
from nvcodec.model.render import render_region
from nvcodec.model.shape import NetworkShape
from nvcodec.model.siren import SirenRenderer
from nvcodec.model.weights import GroupWeights, LayerParameters, default_weights

X264_FRAMES = 48


def random_weights(shape: NetworkShape, grid: tuple[int, int]) -> GroupWeights:
    """Weights of spec 4.5, drawn from half of each range."""
    parameters = tuple(
        LayerParameters(step=72, bias_shift=0, weight_bound=layer.max_weight // 2, bias_bound=0)
        for layer in shape.layers
    )
    tensors = default_weights(shape, grid, parameters)
    return conform(GroupWeights(shape, grid, parameters, tensors))


def x264_clip(width: int, height: int) -> bytes:
    """Moving gradients with noise, by libx264 at its defaults."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for k in range(X264_FRAMES):
            picture = np.stack([x + 3 * k, y + 2 * k, x + y - 4 * k], axis=-1) // 3 % 256
            picture = np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def x264_decode(clip: bytes, threads: int) -> None:
    with av.open(io.BytesIO(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO"
        assert sum(1 for _ in container.decode(stream)) == X264_FRAMES


def best(works: dict[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, float]:
    """Milliseconds per frame of each (work, frames), which take turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (work, frames) in works.items():
            start = time.perf_counter()
            work()
            taken[name].append((time.perf_counter() - start) * 1000 / frames)
    return {name: min(times) for name, times in taken.items()}


@click.command(help=__doc__)
@click.option("--rounds", default=15, show_default=True)
@click.option("--size", "sizes", multiple=True, default=["640x360", "1280x720"], show_default=True)
@click.option("--threads", multiple=True, default=[1, 2], show_default=True, type=int)
def main(rounds: int, sizes: tuple[str, ...], threads: tuple[int, ...]) -> None:
    integer = dot_product.usable()
    if not integer:
        click.echo("no integer products on this processor")
    click.echo("size       network  threads  integer ms (fps)     float ms (fps)  ratio  x264 ms")
    for size in sizes:
        width, height = map(int, size.split("x"))
        clip = x264_clip(width, height)
        networks = {"paper": PAPER_SHAPE, "default": network_shape("auto", 30.0, width, height)}
        for name, shape in networks.items():
            weights = random_weights(shape, shape.grid(width, height))
            frames = range(shape.group_frames)

            def rendering(count: int, usable: bool) -> Callable[[], object]:
                with mock.patch.object(dot_product, "usable", return_value=usable):
                    renderer = SirenRenderer(weights, count)  # noqa: B023
                return lambda: render_region(renderer, width, height, frames)  # noqa: B023

            for count in threads:
                works: dict[str, tuple[Callable[[], object], int]] = {
                    "float": (rendering(count, False), len(frames)),
                    "x264": (lambda: x264_decode(clip, count), X264_FRAMES),  # noqa: B023
                }
                if integer:
                    works["integer"] = (rendering(count, True), len(frames))
                took = best(works, rounds)
                fast = took.get("integer", float("nan"))
                click.echo(
                    f"{size:10} {name:8} {count:7}  {fast:7.2f} ({1000 / fast:6.1f})"
                    f"   {took['float']:7.2f} ({1000 / took['float']:6.1f})"
                    f"  {took['float'] / fast:5.2f}  {took['x264']:7.2f}"
                )


if __name__ == "__main__":
    main()
