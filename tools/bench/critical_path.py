"""How encoding and decoding scale to many threads: a simulation from traces of their tasks.

\b
    python -m tools.bench.critical_path CLIP --threads 1,2,4,8,16

CLIP is encoded and decoded by the hybrid model with each number of threads, after a warm-up. Each
task's CPU time and the tasks that it waits for are recorded, and what the thread that hands them
out does and waits for. Then as many simulated threads run the tasks, in the order of the product's
own pool; the thread that hands out has a core of its own. Speed-up is all CPU time over the time
that this takes. "path" is the time with endless threads: what waits for one another. The second
table has the tasks by name, and which of them the end of that waits for, one after the other; the
rest of the path is the thread that hands out.

"by wavefront" is what the encoder would gain if root blocks of a canvas were tasks, each after the
one to its left and the one above to the right. No such tasks exist; that the bytes stay the same is
assumed. Time is spread evenly over a canvas.
"""

from __future__ import annotations

import heapq
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import click

from nvcodec.decode.decoder import Decoder
from nvcodec.encode.encoder import encode
from nvcodec.model.hybrid.canvas.plane import ROOT
from nvcodec.tasks import TaskPool
from tools.lib import report
from tools.lib.clips import Clip
from tools.lib.lists import above_0
from tools.lib.measure import ONE_KEY, Model, model_option, warm_up

CANVAS_TASKS = ("_code_key", "_code_canvas", "_code_chain")
"""Tasks of the encoder that code one canvas."""

COLUMNS = {
    "work": "{work}",
    "threads": "{threads}",
    "tasks": "{tasks}",
    "CPU s": "{seconds:.2f}",
    "path s": "{path:.2f}",
    "s": "{taken:.2f}",
    "speed-up": "{speed_up:.1f}",
    "by wavefront": "{wavefront:.1f}",
}
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

    `given` is the number of the hander's event that submits it; `last` as in TaskPool.submit.
    """

    name: str
    after: Sequence[Task]
    given: int = 0
    last: bool = False
    seconds: float = 0.0


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
        elif work.__name__ == "<lambda>" and "work" in work.__code__.co_freevars:
            assert work.__closure__ is not None
            work = work.__closure__[work.__code__.co_freevars.index("work")].cell_contents
        else:
            return work.__name__


@contextmanager
def traced() -> Iterator[Trace]:
    """Trace the tasks that this thread hands out to task pools."""
    trace, known = Trace(), dict[int, tuple[Future[Any], Task]]()
    hander, now = threading.get_ident(), time.thread_time()
    submit, result = TaskPool.submit, Future.result

    def event(waited: Task | None) -> None:
        nonlocal now
        before, now = now, time.thread_time()
        trace.events.append((now - before, waited))

    def traced_submit(
        pool: TaskPool,
        work: Callable[[], Any],
        after: Sequence[Future[Any]] = (),
        *,
        last: bool = False,
    ) -> Future[Any]:
        task = Task(name_of(work), [known[id(f)][1] for f in after if id(f) in known], last=last)

        def timed() -> Any:
            begun = time.thread_time()
            try:
                return work()
            finally:
                task.seconds = time.thread_time() - begun

        future = submit(pool, timed, after, last=last)
        # Kept, so that no other future gets its number.
        known[id(future)] = future, task
        task.given = len(trace.events)
        trace.tasks.append(task)
        event(None)
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
    waiting = {task: len(task.after) + 1 for task in trace.tasks}
    following: dict[Task, list[Task]] = {task: [] for task in trace.tasks}
    for task in trace.tasks:
        for other in task.after:
            following[other].append(task)
    numbers = {task: (task.last, number) for number, task in enumerate(trace.tasks)}
    given: dict[int, list[Task]] = {}
    for task in trace.tasks:
        given.setdefault(task.given, []).append(task)
    done: set[Task] = set()
    ready: list[tuple[tuple[bool, int], Task]] = []
    running: list[tuple[float, tuple[bool, int], Task]] = []
    now, at, event, stopped = 0.0, 0.0, 0, False
    cause: dict[Task | None, Task | None] = {None: None}

    def release(task: Task, by: Task | None) -> None:
        waiting[task] -= 1
        if not waiting[task]:
            cause[task] = by
            heapq.heappush(ready, (numbers[task], task))

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
            number, task = heapq.heappop(ready)
            heapq.heappush(running, (now + task.seconds, number, task))
        ahead = None
        if not stopped and event < len(trace.events):
            ahead = at + trace.events[event][0]
        if running and (ahead is None or running[0][0] <= ahead):
            now, _, task = heapq.heappop(running)
            done.add(task)
            for other in following[task]:
                release(other, task)
            if stopped and trace.events[event][1] is task:
                # Its own work up to the wait is done.
                seconds, _ = trace.events[event]
                stopped, at = False, max(at, now - seconds)
                cause[None] = task
        elif ahead is not None:
            now = ahead
        else:
            path, task = [], cause[None]
            while task is not None:
                path.append(task)
                task = cause[task]
            return max(now, at), path


def by_wavefront(trace: Trace, rows: int, columns: int) -> Trace:
    """The trace with a task for each root block of a canvas in place of CANVAS_TASKS.

    The last block has the canvas's place. All are submitted with it.
    """
    changed = Trace(events=list(trace.events))
    ends: dict[Task, Task] = {}
    for task in trace.tasks:
        after = [ends[other] for other in task.after]
        if task.name not in CANVAS_TASKS:
            ends[task] = replace(task, after=after)
            changed.tasks.append(ends[task])
            continue
        blocks: dict[tuple[int, int], Task] = {}
        for row in range(rows):
            for column in range(columns):
                near = [(row, column - 1), (row - 1, min(column + 1, columns - 1))]
                before = [blocks[place] for place in near if place in blocks]
                part = task.seconds / (rows * columns)
                blocks[row, column] = replace(task, after=before or after, seconds=part)
        ends[task] = blocks[rows - 1, columns - 1]
        changed.tasks += blocks.values()
    changed.events = [
        (seconds, None if waited is None else ends[waited]) for seconds, waited in trace.events
    ]
    return changed


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
            with Decoder(path) as opened:
                width, height = opened.header.width, opened.header.height
            wave = by_wavefront(trace, -(-height // ROOT), -(-width // ROOT))
            _add(out, "encode", count, trace, simulated(wave, count))
            with traced() as trace, Decoder(path, threads=count) as decoder:
                for _ in decoder:
                    pass
            _add(out, "decode", count, trace, None)
    out.show(report.table(COLUMNS, out.rows("runs")), report.table(LONGEST, out.rows("longest")))


def _add(
    out: report.Report, work: str, threads: int, trace: Trace, wavefront: float | None
) -> None:
    seconds, taken = trace.seconds, simulated(trace, threads)
    least, path = scheduled(trace, None)
    row = {"work": work, "threads": threads, "tasks": len(trace.tasks), "seconds": seconds}
    row |= {"path": least, "taken": taken, "speed_up": seconds / taken}
    row["wavefront"] = seconds / wavefront if wavefront else None
    out.add("runs", row)
    names: dict[str, dict[str, Any]] = {}
    for task in trace.tasks:
        kept = names.setdefault(task.name, {"number": 0, "seconds": 0.0, "on_path": 0, "path": 0.0})
        kept["number"] += 1
        kept["seconds"] += task.seconds
        if task in path:
            kept["on_path"] += 1
            kept["path"] += task.seconds
    handing = sum(seconds for seconds, _ in trace.events)
    names["(hands out)"] = {"number": 1, "seconds": handing, "on_path": None, "path": None}
    for name, kept in sorted(names.items(), key=lambda item: -item[1]["seconds"])[:8]:
        out.add("longest", {"work": work, "threads": threads, "name": name} | kept)


if __name__ == "__main__":
    main()
