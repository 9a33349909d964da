"""Measures how long a random clip takes as a tensor, beside PyAV on an H.264 file of the same clip.

    python -m tools.bench.training CLIP --frames 260 --key-interval 1 --key-interval 10

Plays CLIP forward and backward for FRAMES frames. Encodes them with nvcodec (hybrid, fast) and with
libx264 (its defaults and the same crf), both with a key frame every KEY-INTERVAL seconds. Then
takes the same random clips from both files in turn, each on one thread: 16 frames, every other, as
RGB float32 at SIZE. `VideoClips` does it for the one; for the other PyAV opens the file, seeks,
decodes, scales and converts. A clip counts from opening the file to the tensor. CPU time is the
mean; it is the steadier figure on a machine with other work.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from nvcodec.encode.encoder import encode
from nvcodec.torch import VideoClips
from tools.lib import report
from tools.lib.clips import Clip, palindrome, to_frame

FRAMES = 16
STRIDE = 2
COLUMNS = {
    "file": "{file}",
    "key every": "{key_interval:g} s",
    "bytes": "{bytes}",
    "median ms": "{median_ms:.0f}",
    "mean ms": "{mean_ms:.0f}",
    "CPU ms": "{cpu_ms:.0f}",
}


class H264Clips:
    """Clips of an H.264 file by PyAV, as `VideoClips` gives them; `rate` is frames a second."""

    def __init__(self, path: Path, rate: Fraction, size: tuple[int, int]) -> None:
        self._path = path
        self._rate = rate
        self._size = size

    def __getitem__(self, first: int) -> torch.Tensor:
        wanted = range(first, first + FRAMES * STRIDE, STRIDE)[:FRAMES]
        pictures = []
        reformatter = VideoReformatter()
        with av.open(self._path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            container.seek(round(first / self._rate / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                number = round(frame.pts * stream.time_base * self._rate)
                if number in wanted:
                    shown = reformatter.reformat(frame, *self._size, "rgb24", threads=1)
                    pictures.append(torch.from_numpy(shown.to_ndarray()))
                if number >= wanted[-1]:
                    break
        return torch.stack(pictures).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def encode_h264(clip: Clip, path: Path, crf: float, key_interval: float) -> Fraction:
    """Encode a clip with libx264; returns its frame rate."""
    with clip.open() as source, av.open(path, "w") as container:
        rate = source.frame_rate or Fraction(25)
        keys = max(1, round(rate * Fraction(key_interval)))
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
        stream.options = {"crf": str(crf), "g": str(keys)}
        for number, picture in enumerate(source):
            frame = to_frame(picture.planes)
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return rate


def milliseconds(clip: Callable[[], torch.Tensor]) -> tuple[float, float]:
    """Wall and CPU milliseconds."""
    start, start_cpu = time.perf_counter(), time.process_time()
    clip()
    return 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - start_cpu)


@click.command("training", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--frames", type=click.IntRange(min=FRAMES * STRIDE), default=260, show_default=True)
@click.option("--crf", type=float, default=30.0, show_default=True)
@click.option("--key-interval", "key_intervals", type=float, multiple=True, default=[1.0])
@click.option("--clips", type=click.IntRange(min=1), default=40, show_default=True)
@click.option("--size", default="224x224", show_default=True)
@report.json_option
def main(
    clip: Path,
    frames: int,
    crf: float,
    key_intervals: tuple[float, ...],
    clips: int,
    size: str,
    json_path: Path | None,
) -> None:
    width, height = map(int, size.split("x"))
    torch.set_num_threads(1)
    out = report.Report(json_path)
    with tempfile.TemporaryDirectory() as folder:
        played = palindrome(Clip(clip), frames, Path(folder))
        for key_interval in report.progress(key_intervals, lambda value: f"key every {value} s"):
            nrv, mp4 = Path(folder, "clip.nrv"), Path(folder, "clip.mp4")
            encode(
                played.path, nrv, crf=crf, preset="fast", key_interval=key_interval, overwrite=True
            )
            rate = encode_h264(played, mp4, crf, key_interval)
            files = {
                "nvcodec": (nrv, VideoClips([nrv], FRAMES, STRIDE, (width, height), step=1)),
                "H.264, PyAV": (mp4, H264Clips(mp4, rate, (width, height))),
            }
            rng = np.random.default_rng(0)
            starts = rng.integers(0, frames - FRAMES * STRIDE + 1, clips).tolist()
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in files}
            for number, start in enumerate([starts[0], *starts]):
                for name, (_, source) in files.items():
                    took = milliseconds(lambda: source[start])  # noqa: B023
                    # The first one loads kernels.
                    if number:
                        taken[name].append(took)
            for name, (path, _) in files.items():
                walls, cpus = zip(*taken[name], strict=True)
                row = {
                    "file": name,
                    "key_interval": key_interval,
                    "bytes": path.stat().st_size,
                    "median_ms": statistics.median(walls),
                    "mean_ms": statistics.fmean(walls),
                    "cpu_ms": statistics.fmean(cpus),
                }
                out.add("clips", row)
    out.show(report.table(COLUMNS, out.rows("clips")))


if __name__ == "__main__":
    main()
