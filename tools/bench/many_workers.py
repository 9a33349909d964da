"""How an encode by jobs scales to many workers: a simulation from measured times of one of each.

    python -m tools.bench.many_workers CLIP --model hybrid:medium --frames 120
    python -m tools.bench.many_workers CLIP --workers 4,16,64,256,1000 --film-seconds 7200

First the segments of CLIP are planned and encoded here, one after the other and with one thread,
and timed. Then a film of segments like these is encoded by simulated workers, as nvenc does it: one
process plans, hands out, and takes results, as far ahead as it is allowed to; a worker has one
segment at a time. At the end it gives out the longest first, and starts jobs that are late again.

Assumptions: a segment ends at a cut or after the key interval; seconds from cut to cut are
exponential. A frame takes what it takes in a segment of CLIP that is drawn by chance. Each job's
time is changed by a log-normal factor, and a share of the jobs takes several times as long. nvenc's
process does one thing at a time. A result goes over the network at the given rate. The source is as
fast for all workers as it was here, and no worker dies. All chance is that of a seed.
"""

from __future__ import annotations

import heapq
import random
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import group_pictures
from nvcodec.encode.models import Segments, make_coder
from nvcodec.encode.one_pass import opened_source
from nvcodec.encode.result import Observer
from nvcodec.encode.segments.coder import SegmentCoder
from nvcodec.encode.segments.jobs import LATE, LEAST_LATE_SECONDS, MOST_AHEAD
from nvcodec.encode.segments.segment import segments
from nvcodec.encode.segments.store import SegmentStore
from nvcodec.encode.writing import source_header
from nvcodec.options import EncodeOptions, model_options
from tools.lib import report
from tools.lib.lists import above_0
from tools.lib.measure import Model, model_option

MEASURED = {
    "segments": "{segments}",
    "frames": "{frames}",
    "plan ms/frame": "{plan_ms:.2f}",
    "encode ms/frame": "{encode_ms:.1f}",
    "job start ms": "{start_ms:.0f}",
    "result ms": "{result_ms:.1f}",
    "kB/segment": "{kilobytes:.0f}",
}
SCALED = {
    "workers": "{workers}",
    "hours": "{hours:.3f}",
    "speed-up": "{speed_up:.1f}",
    "of the workers": "{share:.3f}",
    "nvenc busy": "{busy:.2f}",
}


@dataclass(frozen=True)
class Times:
    """Seconds of one of each, and bytes.

    Attributes:
        plan: of nvenc for a frame: decoding, looking for cuts, checks.
        frame: of a worker for a frame, of each segment measured.
        start: of a worker, to open the source and seek.
        result: of nvenc for a segment, to save, load and write it.
        bytes: of a segment, on the mean.

    """

    plan: float
    frame: tuple[float, ...]
    start: float
    result: float
    bytes: float


@dataclass(frozen=True)
class Film:
    """What is encoded, and on what; see the assumptions."""

    seconds: float
    rate: float
    key_interval: float
    cut_seconds: float
    spread: float
    slow_share: float
    slow_factor: float
    bytes_per_second: float
    seed: int


def measure(clip: Path, options: EncodeOptions) -> tuple[Times, dict[str, Any]]:
    """The times of one of each on a clip, and a row of them."""
    path = str(clip)
    with opened_source(path, options) as source:
        model = model_options(options)
        steering = Steering(options.crf, source.time_base, whole=model.whole_crf)
        coder = make_coder(options, source, steering, Segments(source=path), Observer())
        assert isinstance(coder, SegmentCoder)
        header = source_header(source, model.number, coder.level)
        groups = group_pictures(
            source,
            options.group_size or coder.shape.group_frames,
            coder.key_frames,
            Fraction(options.key_interval),
            source.time_base,
            source.sample_format.bit_depth,
        )
        started = time.process_time()
        plan = [segment for segment in segments(groups) if segment is not None]
        planned = time.process_time() - started
    frames = sum(segment.frames for segment in plan)
    # Not measured: the first job compiles kernels.
    coder.job(header, plan[0]).run(lambda progress: None, 1)
    per_frame, start, result, size = [], 0.0, 0.0, 0
    with TemporaryDirectory() as folder:
        store = SegmentStore(Path(folder))
        for segment in plan:
            job = coder.job(header, segment)
            started = time.process_time()
            with opened_source(path, options) as source:
                if segment.first_frame:
                    next(source.planes_from(segment.times[0]))
            start += time.process_time() - started
            started = time.process_time()
            packed = job.run(lambda progress: None, 1)
            per_frame.append((time.process_time() - started) / segment.frames)
            started = time.process_time()
            store.save(segment, packed)
            store.load(segment, header)
            result += time.process_time() - started
            size += len(packed.groups) + len(packed.measured)
    count = len(plan)
    times = Times(planned / frames, tuple(per_frame), start / count, result / count, size / count)
    weights = [segment.frames for segment in plan]
    encode = sum(s * n for s, n in zip(per_frame, weights, strict=True)) / frames
    row = {
        "segments": count,
        "frames": frames,
        "plan_ms": 1000 * times.plan,
        "encode_ms": 1000 * encode,
        "start_ms": 1000 * times.start,
        "result_ms": 1000 * times.result,
        "kilobytes": times.bytes / 1000,
    }
    return times, row


def simulate(times: Times, film: Film, workers: int) -> tuple[float, float]:
    """Seconds until the film is encoded, and those in which nvenc's process is busy."""
    chance = random.Random(film.seed)
    lengths: list[int] = []
    left = round(film.seconds * film.rate)
    while left:
        seconds = min(film.key_interval, chance.expovariate(1 / film.cut_seconds))
        lengths.append(min(left, max(1, round(seconds * film.rate))))
        left -= lengths[-1]
    jobs = [_job_seconds(times, film, frames, chance) for frames in lengths]
    transfer = times.bytes / film.bytes_per_second
    usual = sum(jobs) / sum(lengths)
    # As run_jobs: plan while there is room, hand out, take results, write in order.
    now = busy = 0.0
    planned = written = 0
    waiting: list[int] = []
    running: list[tuple[float, int]] = []
    late: dict[int, float] = {}
    done: set[int] = set()
    while written < len(jobs):
        last = planned == len(jobs)
        if not last and len(waiting) < 2 * workers and planned - written < MOST_AHEAD * workers:
            step = times.plan * lengths[planned]
            now, busy = now + step, busy + step
            waiting.append(planned)
            planned += 1
        else:
            # Until a job ends, or one is late and a worker is free.
            events = [running[0][0]]
            if last and len(running) < workers:
                events += late.values()
            now = max(now, min(events))
        while running and running[0][0] <= now:
            number = heapq.heappop(running)[1]
            if number in done or number < written:
                continue
            done.add(number)
            late.pop(number, None)
            running = [run for run in running if run[1] != number]
            heapq.heapify(running)
            now, busy = now + times.result, busy + times.result
        if last:
            waiting.sort(key=lambda number: -lengths[number])
        if last:
            for number in [n for n, time in late.items() if time <= now]:
                if len(running) < workers:
                    del late[number]
                    again = _job_seconds(times, film, lengths[number], chance)
                    heapq.heappush(running, (now + again + transfer, number))
        while waiting and len(running) < workers:
            number = waiting.pop(0)
            late[number] = now + max(LEAST_LATE_SECONDS, LATE * usual * lengths[number])
            heapq.heappush(running, (now + jobs[number] + transfer, number))
        while written in done:
            done.remove(written)
            written += 1
    return now, busy


def _job_seconds(times: Times, film: Film, frames: int, chance: random.Random) -> float:
    factor = chance.lognormvariate(0, film.spread)
    if chance.random() < film.slow_share:
        factor *= film.slow_factor
    return times.start + factor * chance.choice(times.frame) * frames


@click.command("many_workers", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--workers", default="1,4,16,64,128,256,512,1000", show_default=True, callback=above_0(int)
)
@model_option("hybrid")
@click.option("--crf", type=float, default=30.0, show_default=True)
@click.option("--frames", type=click.IntRange(min=1), help="Frames of CLIP.  [default: all]")
@click.option("--clip-interval", type=float, default=1.0, show_default=True, help="Key interval.")
@click.option("--film-seconds", type=float, default=7200.0, show_default=True)
@click.option("--rate", type=float, default=24.0, show_default=True, help="Frames a second.")
@click.option("--key-interval", type=float, default=10.0, show_default=True, help="Of the film.")
@click.option("--cut-seconds", type=float, default=8.0, show_default=True, help="Mean scene.")
@click.option("--spread", type=float, default=0.15, show_default=True, help="Of job times.")
@click.option("--slow-share", type=float, default=0.01, show_default=True)
@click.option("--slow-factor", type=float, default=3.0, show_default=True)
@click.option(
    "--megabytes", type=float, default=100.0, show_default=True, help="Network, a second."
)
@click.option("--seed", type=int, default=1, show_default=True)
@report.json_option
def main(
    clip: Path,
    workers: list[int],
    model: Model,
    crf: float,
    frames: int | None,
    clip_interval: float,
    film_seconds: float,
    rate: float,
    key_interval: float,
    cut_seconds: float,
    spread: float,
    slow_share: float,
    slow_factor: float,
    megabytes: float,
    seed: int,
    json_path: Path | None,
) -> None:
    out = report.Report(json_path)
    asked = EncodeOptions(**model.options)._replace(
        crf=crf, frames=frames, key_interval=clip_interval, threads=1
    )
    times, row = measure(clip, asked)
    out.add("measured", row)
    film = Film(
        film_seconds,
        rate,
        key_interval,
        cut_seconds,
        spread,
        slow_share,
        slow_factor,
        1e6 * megabytes,
        seed,
    )
    # Nothing but the frames: what one worker would need that never waits.
    alone = simulate(replace(times, plan=0.0, result=0.0), film, 1)[0]
    for count in workers:
        seconds, busy = simulate(times, film, count)
        speed_up = alone / seconds
        figures = {"hours": seconds / 3600, "speed_up": speed_up, "busy": busy / seconds}
        out.add("scaled", {"workers": count, "share": speed_up / count} | figures)
    out.show(report.table(MEASURED, out.rows("measured")), report.table(SCALED, out.rows("scaled")))


if __name__ == "__main__":
    main()
