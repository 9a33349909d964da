"""How encoding and decoding scale to many threads: a simulation from traces of their tasks.

\b
    python -m tools.bench.critical_path CLIP --threads 1,2,4,8,16

CLIP is encoded and decoded by the hybrid model with each number of threads, after a warm-up. Each
task's CPU time and the tasks that it waits for are recorded, those of a job (a canvas) one by one,
and what the thread that hands them out does and waits for. Then as many simulated threads run the
tasks, in the order of the product's own pool; the thread that hands out has a core of its own.
Speed-up is all CPU time over the time that this takes. "path" is the time with endless threads:
what waits for one another. The second table has the tasks by name, and which of them the end of
that waits for, one after the other; the rest of the path is the thread that hands out.
"""

from __future__ import annotations

import heapq
import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import click

from nvcodec.decode.decoder import Decoder
from nvcodec.encode.encoder import encode
from nvcodec.tasks import Job, TaskPool
from tools.lib import report
from tools.lib.clips import Clip
from tools.lib.lists import above_0
from tools.lib.measure import ONE_KEY, Model, model_option, warm_up

COLUMNS = {
    "work": "{work}",
    "threads": "{threads}",
    "tasks": "{tasks}",
    "CPU s": "{seconds:.2f}",
    "path s": "{path:.2f}",
    "s": "{taken:.2f}",
    "speed-up": "{speed_up:.1f}",
}
LISTED = 16
"""Most names of tasks that are listed, those that take longest."""

LONGEST = {
    "work": "{work}",
    "threads": "{threads}",
    "task": "{name}",
    "number": "{number}",
    "CPU s": "{seconds:.2f}",
    "on the path": "{on_path}",
    "path s": "{path:.2f}",
}


@dataclass(eq=False)
class Task:
    """A task: its name, CPU seconds, and the tasks that it waits for.

    `given` is the number of the hander's event that submits it, None if another task does; then it
    waits for that one too. `last` as in TaskPool.submit. `job` is the end of its job.
    """

    name: str
    after: list[Task]
    given: int | None = 0
    last: bool = False
    seconds: float = 0.0
    job: End | None = None


class End(Task):
    """The end of a job, which takes no thread; it waits for all tasks of the job."""


@dataclass
class Trace:
    """Tasks in the order in which they were submitted, and events of the thread that hands out.

    An event is CPU seconds, followed by a wait for a task or, if that is None, by a submission.
    """

    tasks: list[Task] = field(default_factory=list)
    events: list[tuple[float, Task | None]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """CPU seconds of all tasks and of the thread that hands out."""
        return sum(t.seconds for t in self.tasks) + sum(seconds for seconds, _ in self.events)


def name_of(work: Callable[..., Any]) -> str:
    """The name of the function that a task calls in the end."""
    while True:
        if isinstance(work, partial):
            work = work.func
        elif work.__name__ in ("<lambda>", "begin") and "work" in work.__code__.co_freevars:
            assert work.__closure__ is not None
            work = work.__closure__[work.__code__.co_freevars.index("work")].cell_contents
        else:
            return work.__name__


@contextmanager
def traced() -> Iterator[Trace]:
    """Trace the tasks that this thread hands out to task pools, and those that these hand out."""
    trace, known = Trace(), dict[int, tuple[Future[Any], Task]]()
    hander, now = threading.get_ident(), time.thread_time()
    submit, result = TaskPool.submit, Future.result
    running = threading.local()

    def event(waited: Task | None) -> None:
        nonlocal now
        before, now = now, time.thread_time()
        trace.events.append((now - before, waited))

    def add(task: Task, future: Future[Any]) -> None:
        # Kept, so that no other future gets its number.
        known[id(future)] = future, task
        trace.tasks.append(task)

    def traced_submit(
        pool: TaskPool,
        work: Callable[[], Any],
        after: Sequence[Future[Any]] = (),
        *,
        last: bool = False,
        job: Job[Any] | None = None,
    ) -> Future[Any]:
        task = Task(name_of(work), [known[id(f)][1] for f in after if id(f) in known], last=last)
        if job is not None:
            if id(job.result) not in known:
                add(End(task.name, [], None), job.result)
            end = known[id(job.result)][1]
            assert isinstance(end, End)
            end.after.append(task)
            task.job = end
            if task.name == "go_on":
                task.name = end.name
        by = getattr(running, "task", None)

        def timed() -> Any:
            running.task = task
            begun = time.thread_time()
            try:
                return work()
            finally:
                task.seconds = time.thread_time() - begun
                running.task = None

        future = submit(pool, timed, after, last=last, job=job)
        add(task, future)
        if by is None:
            task.given = len(trace.events)
            event(None)
        else:
            task.given = None
            task.after.append(by)
        return future

    def traced_result(future: Future[Any], timeout: float | None = None) -> Any:
        if threading.get_ident() == hander and id(future) in known:
            event(known[id(future)][1])
        return result(future, timeout)

    with (
        mock.patch.object(TaskPool, "submit", traced_submit),
        mock.patch.object(Future, "result", traced_result),
    ):
        yield trace
    event(None)


def simulated(trace: Trace, threads: int | None) -> float:
    """Seconds that this many threads take for a trace; endless ones for None."""
    return scheduled(trace, threads)[0]


def scheduled(trace: Trace, threads: int | None) -> tuple[float, list[Task]]:
    """The same, and the tasks that the end waits for one after the other, the last one first."""
    waiting = {task: len(task.after) + (task.given is not None) for task in trace.tasks}
    following: dict[Task, list[Task]] = {task: [] for task in trace.tasks}
    for task in trace.tasks:
        for other in task.after:
            following[other].append(task)
    given: dict[int | None, list[Task]] = {}
    for task in trace.tasks:
        given.setdefault(task.given, []).append(task)
    # As in the pool: tasks in the order in which they are ready, those of a job in its place.
    numbers, places = itertools.count(), dict[End, int]()
    done: set[Task] = set()
    ready: list[tuple[bool, int, int, Task]] = []
    running: list[tuple[float, int, Task]] = []
    now, at, event, stopped = 0.0, 0.0, 0, False
    cause: dict[Task | None, Task | None] = {None: None}

    def release(task: Task, by: Task | None) -> None:
        waiting[task] -= 1
        if waiting[task]:
            return
        cause[task] = by
        if isinstance(task, End):
            finish(task)
            return
        number = next(numbers)
        place = number if task.job is None else places.setdefault(task.job, number)
        heapq.heappush(ready, (task.last, place, number, task))

    def finish(task: Task) -> None:
        nonlocal stopped, at
        done.add(task)
        for other in following[task]:
            release(other, task)
        if stopped and trace.events[event][1] is task:
            # Its own work up to the wait is done.
            seconds, _ = trace.events[event]
            stopped, at = False, max(at, now - seconds)
            cause[None] = task

    while True:
        # The hander goes on until it waits, or until its time is later than `now`.
        while not stopped and event < len(trace.events):
            seconds, waited = trace.events[event]
            if at + seconds > now:
                break
            if waited is not None and waited not in done:
                stopped = True
                break
            at += seconds
            for task in given.get(event, ()):
                release(task, cause[None])
            event += 1
        while ready and (threads is None or len(running) < threads):
            _, _, number, task = heapq.heappop(ready)
            heapq.heappush(running, (now + task.seconds, number, task))
        ahead = None
        if not stopped and event < len(trace.events):
            ahead = at + trace.events[event][0]
        if running and (ahead is None or running[0][0] <= ahead):
            now, _, task = heapq.heappop(running)
            finish(task)
        elif ahead is not None:
            now = ahead
        else:
            path, task = [], cause[None]
            while task is not None:
                if not isinstance(task, End):
                    path.append(task)
                task = cause[task]
            return max(now, at), path


@click.command("critical_path", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@model_option("hybrid:fast")
@click.option("--crf", type=float, default=27.0, show_default=True)
@click.option("--frames", type=click.IntRange(min=1), help="Frames of the clip.  [default: all]")
@click.option("--threads", default="1,2,4,8,16", show_default=True, callback=above_0(int))
@report.json_option
def main(
    clip: Path,
    model: Model,
    crf: float,
    frames: int | None,
    threads: list[int],
    json_path: Path | None,
) -> None:
    out, part = report.Report(json_path), Clip(clip, frames)
    warm_up(part, model)
    options: dict[str, Any] = {"crf": crf, "key_interval": ONE_KEY, "frames": frames}
    with tempfile.TemporaryDirectory() as folder:
        for count in report.progress(threads, str):
            path = Path(folder) / f"{count}.nrv"
            with traced() as trace:
                encode(clip, path, threads=count, **(options | dict(model.options)))
            _add(out, "encode", count, trace)
            with traced() as trace, Decoder(path, threads=count) as decoder:
                for _ in decoder:
                    pass
            _add(out, "decode", count, trace)
    out.show(report.table(COLUMNS, out.rows("runs")), report.table(LONGEST, out.rows("longest")))


def _add(out: report.Report, work: str, threads: int, trace: Trace) -> None:
    seconds, taken = trace.seconds, simulated(trace, threads)
    least, path = scheduled(trace, None)
    number = sum(not isinstance(task, End) for task in trace.tasks)
    row = {"work": work, "threads": threads, "tasks": number, "seconds": seconds}
    row |= {"path": least, "taken": taken, "speed_up": seconds / taken}
    out.add("runs", row)
    names: dict[str, dict[str, Any]] = {}
    for task in trace.tasks:
        if isinstance(task, End):
            continue
        kept = names.setdefault(task.name, {"number": 0, "seconds": 0.0, "on_path": 0, "path": 0.0})
        kept["number"] += 1
        kept["seconds"] += task.seconds
        if task in path:
            kept["on_path"] += 1
            kept["path"] += task.seconds
    handing = sum(seconds for seconds, _ in trace.events)
    names["(hands out)"] = {"number": 1, "seconds": handing, "on_path": None, "path": None}
    for name, kept in sorted(names.items(), key=lambda item: -item[1]["seconds"])[:LISTED]:
        out.add("longest", {"work": work, "threads": threads, "name": name} | kept)


if __name__ == "__main__":
    main()
