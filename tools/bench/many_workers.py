"""How an encode by jobs scales to many workers: a simulation from measured times of one of each.

    python -m tools.bench.many_workers CLIP --model hybrid:medium --frames 120
    python -m tools.bench.many_workers CLIP --workers 4,16,64,256,1000 --film-seconds 7200

First the segments of CLIP are planned and encoded here, one after the other and with one thread,
and timed. Then a film of segments like these is encoded by simulated workers, as nvenc does it: one
process plans, hands out, and takes results, as far ahead as it is allowed to; a worker has one
segment at a time. At the end it gives out the longest first, and starts jobs that are late again,
judged by the same code.

Assumptions: a segment ends at a cut or after the key interval; seconds from cut to cut are
exponential. A frame takes what it takes in a segment of CLIP that is drawn by chance. Each job's
time is changed by a log-normal factor, and a share of the jobs takes several times as long. nvenc's
process does one thing at a time. A job says nothing for a share of its time, as measured, and then
advances evenly. A result goes over the network at the given rate. The source is as fast for all
workers as it was here, and no worker dies. Figures are means over films of several seeds of all
chance; "at least" is the worst of them.
"""

from __future__ import annotations

import heapq
import random
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import click

from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import group_pictures
from nvcodec.encode.models import Segments, make_coder
from nvcodec.encode.one_pass import opened_source
from nvcodec.encode.result import Observer
from nvcodec.encode.segments.coder import SegmentCoder
from nvcodec.encode.segments.jobs import MOST_AHEAD, MOST_WAITING
from nvcodec.encode.segments.pace import Pace
from nvcodec.encode.segments.segment import SegmentProgress, segments
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
    "silent": "{silent:.2f}",
    "result ms": "{result_ms:.1f}",
    "kB/segment": "{kilobytes:.0f}",
}
SCALED = {
    "workers": "{workers}",
    "hours": "{hours:.3f}",
    "speed-up": "{speed_up:.1f}",
    "of the workers": "{share:.3f}",
    "at least": "{least:.3f}",
    "nvenc busy": "{busy:.2f}",
}


@dataclass(frozen=True)
class Times:
    """Seconds of one of each, and bytes.

    Attributes:
        plan: of nvenc for a frame: decoding, looking for cuts, checks.
        frame: of a worker for a frame, of each segment measured.
        start: of a worker, to open the source and seek.
        silent: share of a job's time until it says that a frame is done.
        result: of nvenc for a segment, to save, load and write it.
        bytes: of a segment, on the mean.

    """

    plan: float
    frame: tuple[float, ...]
    start: float
    silent: float
    result: float
    bytes: float


@dataclass(frozen=True)
class _Part:
    """A segment of the film."""

    number: int
    frames: int


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
    per_frame, start, silent, result, size = [], 0.0, 0.0, 0.0, 0
    with TemporaryDirectory() as folder:
        store = SegmentStore(Path(folder))
        for segment in plan:
            job = coder.job(header, segment)
            started = time.process_time()
            with opened_source(path, options) as source:
                if segment.first_frame:
                    next(source.planes_from(segment.times[0]))
            start += time.process_time() - started
            said: list[float] = []
            started = time.process_time()
            packed = job.run(partial(_note, said), 1)
            seconds = time.process_time() - started
            per_frame.append(seconds / segment.frames)
            silent += ((said[0] - started) / seconds) if said else 1.0
            started = time.process_time()
            store.save(segment, packed)
            store.load(segment, header)
            result += time.process_time() - started
            size += len(packed.groups) + len(packed.measured)
    count = len(plan)
    times = Times(
        planned / frames,
        tuple(per_frame),
        start / count,
        silent / count,
        result / count,
        size / count,
    )
    weights = [segment.frames for segment in plan]
    encode = sum(s * n for s, n in zip(per_frame, weights, strict=True)) / frames
    row = {
        "segments": count,
        "frames": frames,
        "plan_ms": 1000 * times.plan,
        "encode_ms": 1000 * encode,
        "start_ms": 1000 * times.start,
        "silent": times.silent,
        "result_ms": 1000 * times.result,
        "kilobytes": times.bytes / 1000,
    }
    return times, row


def simulate(times: Times, film: Film, workers: int) -> tuple[float, float]:
    """Seconds until the film is encoded, and those in which nvenc's process is busy."""
    chance = random.Random(film.seed)
    film_parts: list[_Part] = []
    left = round(film.seconds * film.rate)
    while left:
        seconds = min(film.key_interval, chance.expovariate(1 / film.cut_seconds))
        frames = min(left, max(1, round(seconds * film.rate)))
        film_parts.append(_Part(len(film_parts), frames))
        left -= frames
    jobs = [_job_seconds(times, film, part.frames, chance) for part in film_parts]
    transfer = times.bytes / film.bytes_per_second
    # As run_jobs: plan while there is room, hand out, take results, write in order.
    now = busy = 0.0
    planned = written = 0
    waiting: list[_Part] = []
    running: list[tuple[float, int]] = []
    started: dict[_Part, float] = {}
    again: set[_Part] = set()
    done: set[int] = set()
    pace: Any = Pace()

    def frames_done(part: _Part) -> float:
        taken, whole = now - started[part], jobs[part.number]
        share = (taken - times.silent * whole) / (whole - times.silent * whole)
        return part.frames * max(0.0, share)

    while written < len(jobs):
        last = planned == len(jobs)
        room = len(waiting) < MOST_WAITING * workers and planned - written < MOST_AHEAD * workers
        if not last and room:
            step = times.plan * film_parts[planned].frames
            now, busy = now + step, busy + step
            waiting.append(film_parts[planned])
            planned += 1
        else:
            # Until a job ends; at the end it looks every second which are late.
            now = max(now, min(running[0][0], now + 1) if last else running[0][0])
        while running and running[0][0] <= now:
            number = heapq.heappop(running)[1]
            if number in done or number < written:
                continue
            done.add(number)
            part = film_parts[number]
            del started[part]
            pace.end(part, now)
            running = [run for run in running if run[1] != number]
            heapq.heapify(running)
            now, busy = now + times.result, busy + times.result
        if last:
            waiting.sort(key=lambda part: -part.frames)
            once = {part: frames_done(part) for part in started if part not in again}
            for part in pace.late(once, now)[: max(0, workers - len(running))]:
                again.add(part)
                seconds = _job_seconds(times, film, part.frames, chance)
                heapq.heappush(running, (now + seconds + transfer, part.number))
        while waiting and len(running) < workers:
            part = waiting.pop(0)
            started[part] = now
            pace.start(part, now)
            heapq.heappush(running, (now + jobs[part.number] + transfer, part.number))
        while written in done:
            done.remove(written)
            written += 1
    return now, busy


def _note(said: list[float], progress: SegmentProgress) -> None:
    """Keep when a job said for the first time that frames are done."""
    if progress.frames and not said:
        said.append(time.process_time())


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
@click.option("--seeds", type=click.IntRange(min=1), default=10, show_default=True)
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
    seeds: int,
    json_path: Path | None,
) -> None:
    out = report.Report(json_path)
    asked = EncodeOptions(**model.options)._replace(
        crf=crf, frames=frames, key_interval=clip_interval, threads=1
    )
    times, row = measure(clip, asked)
    out.add("measured", row)
    films = [
        Film(
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
        for seed in range(1, seeds + 1)
    ]
    # Nothing but the frames: what one worker would need that never waits.
    alone = [simulate(replace(times, plan=0.0, result=0.0), film, 1)[0] for film in films]
    for count in report.progress(workers, "{} workers".format):
        found = [simulate(times, film, count) for film in films]
        shares = [one / seconds / count for one, (seconds, _) in zip(alone, found, strict=True)]
        out.add(
            "scaled",
            {
                "workers": count,
                "hours": mean(seconds for seconds, _ in found) / 3600,
                "speed_up": count * mean(shares),
                "share": mean(shares),
                "least": min(shares),
                "busy": mean(busy / seconds for seconds, busy in found),
            },
        )
    out.show(report.table(MEASURED, out.rows("measured")), report.table(SCALED, out.rows("scaled")))


if __name__ == "__main__":
    main()
