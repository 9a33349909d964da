"""Speed-up by many threads, simulated from traces of tasks."""

from __future__ import annotations

import pytest

from nvcodec.tasks import TaskPool
from tests.tools.support import run
from tools.bench import critical_path
from tools.bench.critical_path import Task, Trace, by_wavefront, scheduled, simulated, traced


def trace_of(tasks, events):
    for number, task in enumerate(tasks):
        task.given = number
    return Trace(list(tasks), events)


@pytest.mark.parametrize(("threads", "seconds"), [(1, 10), (2, 8), (3, 7), (None, 7)])
def test_tasks_that_wait_for_one_another(threads, seconds):
    first = Task("a", [], seconds=2)
    sides = [Task("b", [first], seconds=k) for k in (1, 2, 3)]
    last = Task("c", sides, seconds=1)
    # The one that hands out adds a second at its end, after the result.
    tasks = [first, *sides, last]
    trace = trace_of(tasks, [(0.0, None)] * 5 + [(0.0, last), (0.0, None)])
    assert trace.seconds == 9
    trace.events[-1] = 1.0, None
    assert simulated(trace, threads) == seconds


def test_the_hander_waits_before_it_hands_out_more():
    first, second = Task("a", [], seconds=4), Task("b", [], seconds=4)
    trace = trace_of([first, second], [(1.0, None), (1.0, first), (0.5, None)])
    second.given = 2
    assert scheduled(trace, 2) == (1 + 4 + 0.5 + 4, [first])


def test_a_canvas_by_wavefront():
    canvas = Task("_code_key", [], seconds=12)
    after = Task("b", [canvas], seconds=1)
    trace = trace_of([canvas, after], [(0.0, None), (0.0, None), (0.0, after)])
    wave = by_wavefront(trace, 3, 4)
    assert len(wave.tasks) == 13
    assert simulated(wave, 1) == pytest.approx(13)
    # Row k begins two blocks after the row above: 4 + 2 + 2 steps of a second.
    assert simulated(wave, None) == pytest.approx(9)


def test_a_pool_is_traced():
    pool = TaskPool(2)

    def work():
        return sum(range(1000))

    with traced() as trace:
        first = pool.submit(work)
        second = pool.submit(lambda: work(), [first])
        assert second.result() == work()
    pool.close()
    assert [task.name for task in trace.tasks] == ["work", "work"]
    assert trace.tasks[1].after == [trace.tasks[0]]
    assert all(task.seconds > 0 for task in trace.tasks)
    assert [waited for _, waited in trace.events] == [None, None, trace.tasks[1], None]


def test_the_command(clip):
    _, (runs, longest) = run(critical_path.main, clip, "--threads", "1,2", "--crf", 40)
    assert [(row["work"], row["threads"]) for row in runs] == [
        (work, threads) for threads in ("1", "2") for work in ("encode", "decode")
    ]
    assert float(runs[0]["speed-up"]) <= 2
    assert {"_code_key", "(hands out)"} <= {row["task"] for row in longest}
