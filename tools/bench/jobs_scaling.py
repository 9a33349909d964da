"""The speed-up by parallel work: nvenc with several numbers of jobs on the same clip, and decoding.

    python -m tools.bench.jobs_scaling CLIP --jobs 1,2 --crf 33
    python -m tools.bench.jobs_scaling CLIP --jobs 1,2 --model hybrid:fast --threads 1

Each job takes whole segments, from key group to key group, so the clip must have several. Shows the
wall time and CPU time of each whole process with its workers, decoding with as many threads, and
whether the files are identical.
"""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from nvcodec.decode.decoder import Decoder
from tools.lib import report
from tools.lib.clips import Clip
from tools.lib.lists import above_0
from tools.lib.measure import Model, compared, model_option

NVENC = [sys.executable, "-m", "nvcodec", "nvenc"]

COLUMNS = {
    "jobs": "{jobs}",
    "segments": "{keys}",
    "frames": "{frames}",
    "bytes": "{bytes}",
    "PSNR": "{psnr:.2f}",
    "encode s": "{encode_seconds:.1f}",
    "CPU s": "{cpu_seconds:.1f}",
    "speed-up": "{speed_up:.2f}",
    "decode ms/frame": "{decode_ms_per_frame:.1f}",
    "MD5 of the file": "{md5}",
}


@click.command("jobs_scaling", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--jobs", default="1,2", show_default=True, callback=above_0(int))
@click.option("--key-interval", type=float, default=1.0, show_default=True, help="As of nvenc.")
@click.option("--crf", type=float, default=33.0, show_default=True)
@model_option("nirvana")
@click.option("--frames", type=click.IntRange(min=1), help="Frames of the clip.  [default: all]")
@click.option("--threads", type=click.IntRange(min=1), help="Of each job.  [default: as nvenc]")
@report.json_option
def main(
    clip: Path,
    jobs: list[int],
    key_interval: float,
    crf: float,
    model: Model,
    frames: int | None,
    threads: int | None,
    json_path: Path | None,
) -> None:
    out = report.Report(json_path)
    options = ["--key-interval", key_interval, "--crf", crf, "--quiet"]
    options += ["--frames", frames] if frames else []
    options += ["--threads", threads] if threads else []
    for name, value in model.options.items():
        options += [f"--{name.replace('_', '-')}", value]
    for count in report.progress(jobs, "{} jobs".format):
        row = _encode(Clip(clip, frames), count, ["--jobs", count, *options]) | {"jobs": count}
        first = out.rows("jobs")[0]["encode_seconds"] if out.rows("jobs") else row["encode_seconds"]
        out.add("jobs", row | {"speed_up": first / row["encode_seconds"]})
    same = len({row["md5"] for row in out.rows("jobs")}) == 1
    out.show(
        report.table(COLUMNS, out.rows("jobs")),
        "All files are the same." if same else "The files are NOT the same.",
    )
    if not same:
        sys.exit(1)


def _encode(clip: Clip, threads: int, options: list[Any]) -> dict[str, Any]:
    """The figures of an nvenc run; its file is decoded in full and compared with the clip."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.nrv"
        started, before = time.perf_counter(), _children_seconds()
        subprocess.run([*NVENC, *map(str, options), str(clip.path), str(path)], check=True)
        seconds = time.perf_counter() - started
        cpu_seconds = _children_seconds() - before
        with Decoder(path, threads=threads) as decoder:
            # A warm-up, to compile kernels.
            for _ in decoder:
                pass
        with Decoder(path, threads=threads) as decoder, clip.open() as source:
            figures = compared(
                (picture.planes for picture in source),
                (frame.planes for frame in decoder.frames(verify=True)),
            )
            figures.keys = sum(group.key for group, *_ in decoder.groups())
        data = path.read_bytes()
    figures.bytes, figures.encode_seconds = len(data), seconds
    return figures.row() | {
        "cpu_seconds": cpu_seconds,
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
    }


def _children_seconds() -> float:
    """CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
