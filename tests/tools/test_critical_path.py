"""Speed-up by many threads, simulated from traces of tasks."""

from __future__ import annotations

import pytest

from nvcodec.tasks import TaskPool, done
from tests.tools.support import run
from tools.bench import critical_path
from tools.bench.critical_path import End, Task, Trace, scheduled, simulated, traced


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


def test_tasks_of_a_job():
    begin, other = Task("job", [], seconds=1), Task("other", [], seconds=4)
    parts = [Task("part", [begin], None, seconds=2) for _ in range(3)]
    end = End("job", [begin, *parts], None)
    for task in (begin, *parts):
        task.job = end
    after = Task("after", [end], seconds=1)
    tasks = [begin, other, after]
    trace = trace_of(tasks, [(0.0, None)] * 3 + [(0.0, after), (0.0, None)])
    trace.tasks[1:1] = [*parts, end]
    assert trace.seconds == 12
    # The parts come before the other task, which is handed out before they are.
    assert simulated(trace, 1) == 12
    seconds, path = scheduled(trace, None)
    assert seconds == 4
    assert [task.name for task in path] == ["after", "part", "job"]
    trace.tasks.remove(after)
    trace.events[:] = [(0.0, None)] * 2 + [(0.0, end), (0.0, None)]
    assert simulated(trace, 1) == 7 + 4


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


def test_a_job_is_traced():
    pool = TaskPool(2)

    def work():
        return sum(range(1000))

    async def job(tasks):
        first = tasks.submit(work)
        await done([tasks.submit(work, [first])])
        return 5

    with traced() as trace:
        before = pool.submit(work)
        whole = pool.perform(lambda tasks: job(tasks), [before])
        assert pool.submit(whole.result, [whole]).result() == 5
    pool.close()
    (end,) = (task for task in trace.tasks if isinstance(task, End))
    of_job = [task for task in trace.tasks if task.job is end]
    assert [task.name for task in of_job] == ["<lambda>", "work", "work", "<lambda>"]
    assert end.after == of_job
    begin, first, second, last = of_job
    assert begin.after == [trace.tasks[0]]
    assert first.after == [begin]
    assert second.after == [first, begin]
    assert last.after == [second, begin]
    assert [task.after for task in trace.tasks if task.given == 2] == [[end]]
    assert simulated(trace, 1) == pytest.approx(trace.seconds, rel=0.5)


def test_the_command(clip):
    _, (runs, longest) = run(critical_path.main, clip, "--threads", "1,2", "--crf", 40)
    assert [(row["work"], row["threads"]) for row in runs] == [
        (work, threads) for threads in ("1", "2") for work in ("encode", "decode")
    ]
    assert float(runs[0]["speed-up"]) <= 2
    assert {"_code_key", "(hands out)"} <= {row["task"] for row in longest}
