#!/usr/bin/env python3
"""The speed of decoding on the CPU, compared with other codecs at the same picture size.

\b
    python -m tools.bench.decode [--rounds N] [--size WIDTHxHEIGHT]... [--threads N]...
    python -m tools.bench.decode --stream FILE.nrv... [--output WIDTHxHEIGHT]... [--rounds N]
        [--threads N]...

Without --stream, a sine network with random weights renders whole groups to 8-bit pictures.
`integer` products are those of nvcodec.model.sine.dot_product, where the processor has them;
`float` products are those of BLAS. Both take turns with an H.264 decoder; the best of the rounds
counts. The ratio is float / integer.

With --stream, files of the nirvana model are decoded as they are, those of the hybrid model without
the fusion network and with its default weights; with --output also to that size. Their pictures,
encoded by libx264 at its defaults and by libsvtav1 at preset 6, are decoded beside them, the latter
by libdav1d. All take turns. Also prints CPU time by stage, what more threads gain, and the time to
the first frame in a new process.
"""

from __future__ import annotations

import contextlib
import io
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from unittest import mock

import av
import click
import numpy as np

from nvcodec.coding.hybrid import canvases
from nvcodec.coding.nirvana.features import ContentDecoder
from nvcodec.decode import decoder, device, hybrid
from nvcodec.decode.decoder import Decoder
from nvcodec.decode.hybrid import HybridModel
from nvcodec.encode.sine.lattice import conform
from nvcodec.encode.sine.settings import PAPER_SHAPE
from nvcodec.format import Description, GroupUnit, NrvWriter, UnitReader
from nvcodec.model.description import CanvasShape, PatchShape
from nvcodec.model.hybrid.canvas import reconstruct
from nvcodec.model.nirvana import layers, parameters
from nvcodec.model.nirvana import render as nirvana
from nvcodec.model.sine import dot_product
from nvcodec.model.sine.render import render_region
from nvcodec.model.sine.renderer import SineRenderer
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights, LayerParameters, default_weights
from nvcodec.picture import samples_crc

X264_FRAMES = 48

Name = TypeVar("Name")


def random_weights(shape: NetworkShape) -> GroupWeights:
    """Weights of spec 4.5, drawn from half of each range."""
    parameters = tuple(
        LayerParameters(step=72, bias_shift=0, weight_bound=layer.max_weight // 2, bias_bound=0)
        for layer in shape.layers
    )
    tensors = default_weights(shape, parameters)
    return conform(GroupWeights(shape, parameters, tensors))


def gradients(width: int, height: int) -> Iterator[av.VideoFrame]:
    """Moving gradients with noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    for k in range(X264_FRAMES):
        picture = np.stack([x + 3 * k, y + 2 * k, x + y - 4 * k], axis=-1) // 3 % 256
        picture = np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255)
        yield av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")


_PEERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "x264": ("libx264", "h264", {}),
    "svtav1": ("libsvtav1", "libdav1d", {"preset": "6", "crf": "35"}),
}
"""Encoder, decoder, and options of the encoder."""


def peer_clip(peer: str, width: int, height: int, pictures: Iterable[av.VideoFrame]) -> bytes:
    """Encode pictures with a peer's encoder."""
    encoder, _, options = _PEERS[peer]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(encoder, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file.getvalue()


def peer_decode(peer: str, clip: bytes, threads: int) -> int:
    """Decode a clip of a peer; returns the number of frames."""
    _, decoder, _ = _PEERS[peer]
    with av.open(io.BytesIO(clip)) as container:
        stream = container.streams.video[0]
        context = av.CodecContext.create(decoder, "r")
        context.extradata = stream.codec_context.extradata
        context.thread_count, context.thread_type = threads, "AUTO"
        return sum(len(context.decode(packet)) for packet in container.demux(stream))


def best(works: dict[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, float]:
    """The best milliseconds per frame of each (work, frames); the works take turns."""
    return {name: wall for name, (wall, _) in best_times(works, rounds).items()}


def best_times(
    works: Mapping[Name, tuple[Callable[[], object], int]], rounds: int
) -> dict[Name, tuple[float, float]]:
    """The same, and CPU milliseconds per frame: the least of each."""
    taken: dict[Name, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (work, frames) in works.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            work()
            wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
            taken[name].append((wall * 1000 / frames, cpu * 1000 / frames))
    return {
        name: (min(t[0] for t in times), min(t[1] for t in times)) for name, times in taken.items()
    }


def with_network(path: str, network: int) -> bytes:
    """The stream with (1) or without (0) the network; all groups have its default weights."""
    file = io.BytesIO()
    writer = NrvWriter(file)
    with open(path, "rb") as source:
        reader = UnitReader(source)
        header = reader.open()
        parameters: Any = None
        for event in reader:
            if isinstance(event, Description):
                shape = replace(CanvasShape.from_payload(event.payload), network=network)
                writer.begin(header, shape.to_payload())
                model = HybridModel(shape, header, device.Device(1, 1))
            elif isinstance(event, GroupUnit):
                group = replace(event.group, network=b"")
                frames = range(group.frame_count)
                parameters = model.rebuild(group, parameters, frames)
                crc = samples_crc(model.render(parameters, frames))
                writer.add_group(replace(group, crc=crc))
        model.close()
    writer.finish()
    return file.getvalue()


def decode(path: str, threads: int) -> Iterator[av.VideoFrame]:
    """The pictures of a stream of even width and height."""
    with Decoder(path, threads=threads) as frames:
        for frame in frames:
            samples = np.concatenate([plane.ravel() for plane in frame.planes])
            yield av.VideoFrame.from_ndarray(samples.reshape(-1, frame.width), format="yuv420p")


def count_frames(stream: bytes, threads: int, size: tuple[int, int] | None = None) -> int:
    with Decoder(io.BytesIO(stream), threads=threads) as decoder:
        return sum(1 for _ in decoder.frames(size=size))


def versions(path: str) -> dict[str, bytes]:
    """What is decoded of a file, by name."""
    with Decoder(path) as opened:
        if isinstance(opened.shape, PatchShape):
            with open(path, "rb") as file:
                return {"as it is": file.read()}
    return {
        name: with_network(path, k) for k, name in enumerate(("without network", "with network"))
    }


STAGES: tuple[tuple[str, Any, str], ...] = (
    ("motion parse", canvases, "decode_motion"),
    ("content parse", canvases, "decode_content"),
    ("vectors", reconstruct, "motion_of_leaves"),
    ("vectors", reconstruct, "packed_motion"),
    ("inter", reconstruct, "predict_rows"),
    ("residuals", reconstruct, "add_residuals"),
    ("intra", reconstruct, "reconstruct_intra"),
    ("deblocking", reconstruct.Edges, "filter"),
    ("network", hybrid, "render_band"),
    ("motion parse", layers, "decode_motion"),
    ("trace", parameters, "make_trace"),
    ("moved features", parameters, "move_features"),
    ("content parse", ContentDecoder, "read"),
    ("samples", nirvana, "render_band"),
    ("crc", decoder, "samples_crc"),
    ("resampling", device, "resample"),
)


def stage_times(stream: bytes, rounds: int) -> dict[str, float]:
    """Least CPU milliseconds per frame of each stage."""
    least: dict[str, float] = {}
    for _ in range(rounds):
        spent: dict[str, float] = defaultdict(float)

        def timed(stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                start = time.thread_time()
                result = work(*arguments)
                spent[stage] += time.thread_time() - start  # noqa: B023
                return result

            return call

        with contextlib.ExitStack() as stack:
            for stage, module, name in STAGES:
                work = timed(stage, getattr(module, name))
                stack.enter_context(mock.patch.object(module, name, work))
            frames = count_frames(stream, 1)
        for stage, seconds in spent.items():
            taken = seconds * 1000 / frames
            least[stage] = min(least.get(stage, taken), taken)
    return least


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    return width, height


def start_up(path: str, rounds: int) -> tuple[float, float]:
    """The least wall and CPU seconds that nvdec takes for the first frame."""
    program = "from nvcodec.cli.nvdec import main; main()"
    command = [sys.executable, "-c", program, "--quiet", "--frames", "1", path, "null"]
    walls, cpus = [], []
    for _ in range(rounds):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True)
        walls.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(walls), min(cpus)


def compare_streams(
    paths: tuple[str, ...],
    threads: tuple[int, ...],
    outputs: Sequence[tuple[int, int]],
    rounds: int,
) -> None:
    for path in paths:
        click.echo(path)
        with Decoder(path) as opened:
            size = opened.header.width, opened.header.height
        streams = versions(path)
        frames = count_frames(next(iter(streams.values())), 1)
        clips = {peer: peer_clip(peer, *size, decode(path, 1)) for peer in _PEERS}
        works: dict[tuple[str, int], tuple[Callable[[], object], int]] = {}
        for count in threads:
            for name, stream in streams.items():
                works[name, count] = partial(count_frames, stream, count), frames
                for output in outputs:
                    label = f"{name} to {output[0]}x{output[1]}"
                    works[label, count] = partial(count_frames, stream, count, output), frames
            for peer, clip in clips.items():
                works[peer, count] = partial(peer_decode, peer, clip, count), frames
        times = best_times(works, rounds)
        for (name, count), (wall, cpu) in times.items():
            gain = times[name, threads[0]][0] / wall
            click.echo(
                f"  {name}, {count} threads: {wall:.2f} ms ({1000 / wall:.1f} fps),"
                f" CPU {cpu:.2f} ms, x{gain:.2f}"
            )
        *_, stream = streams.values()
        stages = stage_times(stream, rounds)
        click.echo("  CPU ms: " + ", ".join(f"{name} {took:.2f}" for name, took in stages.items()))
    wall, cpu = start_up(paths[0], rounds)
    click.echo(f"first frame after {wall:.2f} s, {cpu:.2f} s of CPU time")


@click.command(help=__doc__)
@click.option("--rounds", default=15, show_default=True)
@click.option("--size", "sizes", multiple=True, default=["640x360", "1280x720"], show_default=True)
@click.option("--threads", multiple=True, default=[1, 2], show_default=True, type=int)
@click.option("--stream", "streams", multiple=True, type=click.Path(exists=True))
@click.option("--output", "outputs", multiple=True, help="Also decode streams to WIDTHxHEIGHT.")
def main(
    rounds: int,
    sizes: tuple[str, ...],
    threads: tuple[int, ...],
    streams: tuple[str, ...],
    outputs: tuple[str, ...],
) -> None:
    if streams:
        compare_streams(streams, threads, [_size(output) for output in outputs], rounds)
        return
    integer = dot_product.usable()
    if not integer:
        click.echo("no integer products on this processor")
    click.echo("size       threads  integer ms (fps)     float ms (fps)  ratio  x264 ms")
    weights, frames = random_weights(PAPER_SHAPE), range(PAPER_SHAPE.group_frames)
    for size in sizes:
        width, height = _size(size)
        clip = peer_clip("x264", width, height, gradients(width, height))

        def rendering(count: int, usable: bool) -> Callable[[], object]:
            with mock.patch.object(dot_product, "usable", return_value=usable):
                renderer = SineRenderer(weights, count)
            return lambda: render_region(renderer, width, height, frames)  # noqa: B023

        for count in threads:
            works: dict[str, tuple[Callable[[], object], int]] = {
                "float": (rendering(count, False), len(frames)),
                "x264": (lambda: peer_decode("x264", clip, count), X264_FRAMES),  # noqa: B023
            }
            if integer:
                works["integer"] = (rendering(count, True), len(frames))
            took = best(works, rounds)
            fast = took.get("integer", float("nan"))
            click.echo(
                f"{size:10} {count:7}  {fast:7.2f} ({1000 / fast:6.1f})"
                f"   {took['float']:7.2f} ({1000 / took['float']:6.1f})"
                f"  {took['float'] / fast:5.2f}  {took['x264']:7.2f}"
            )


if __name__ == "__main__":
    main()
