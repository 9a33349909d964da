"""Tasks that run after others."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import CancelledError, Future
from contextlib import closing

import pytest

from nvcodec.tasks import Job, TaskPool, Tasks, done, performed, together


@pytest.mark.parametrize("threads", [1, 4])
def test_order(threads: int) -> None:
    pool = TaskPool(threads)
    done: list[int] = []
    last: list[Future[None]] = []
    for number in range(50):
        last = [pool.submit(lambda number=number: done.append(number), last)]
    last[0].result()
    assert done == list(range(50))
    pool.close()


def test_waiting_holds_no_thread() -> None:
    pool = TaskPool(1)
    outside: Future[int] = Future()
    waiting = pool.submit(lambda: outside.result() + 1, [outside])
    assert pool.submit(lambda: 5).result() == 5
    outside.set_result(1)
    assert waiting.result() == 2
    pool.close()


def test_last_tasks_wait_for_others() -> None:
    pool = TaskPool(1)
    gate: Future[None] = Future()
    blocked = pool.submit(gate.result)
    done: list[str] = []
    tasks = [pool.submit(lambda: done.append("last"), last=True)]
    tasks += [pool.submit(lambda k=k: done.append(k)) for k in "ab"]
    gate.set_result(None)
    for task in (blocked, *tasks):
        task.result()
    assert done == ["a", "b", "last"]
    pool.close()


def test_the_first_error_is_handed_on() -> None:
    pool = TaskPool(2)

    def fail(text: str) -> None:
        time.sleep(0.02 if text == "a" else 0)
        raise ValueError(text)

    both = [pool.submit(lambda: fail("a")), pool.submit(lambda: fail("b"))]
    ran: list[int] = []
    with pytest.raises(ValueError, match="a"):
        pool.submit(lambda: ran.append(1), both).result()
    assert not ran
    pool.close()


def test_nothing_is_kept() -> None:
    class Big:
        pass

    pool = TaskPool(1)
    big = Big()
    seen = weakref.ref(big)
    first: Future[int] = Future()
    second = pool.submit(lambda big=big: id(big), [first])
    del big
    assert seen() is not None
    first.set_result(1)
    second.result()
    pool.submit(lambda: None).result()
    gc.collect()
    assert seen() is None
    pool.close()


def test_a_result_keeps_none_that_follows_from_it() -> None:
    class Big: ...

    pool = TaskPool(1)
    first: Future[int] = Future()
    second = pool.submit(Big, [first])
    first.set_result(1)
    seen = weakref.ref(second.result())
    pool.submit(lambda: None).result()
    del second
    gc.collect()
    assert first.result() == 1
    assert seen() is None
    pool.close()


def test_close() -> None:
    pool = TaskPool(1)
    outside: Future[int] = Future()
    never = pool.submit(lambda: 1, [outside])
    pool.close()
    outside.set_result(1)
    with pytest.raises(CancelledError):
        never.result(1)


@pytest.mark.parametrize("there", [0, 1])
def test_threads_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, there: int) -> None:
    """One thread is enough; without any, an OSError says so."""
    started = []
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if len(started) == there:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with closing(TaskPool(4)) as pool:
        if there:
            first = pool.submit(lambda: 1)
            others = [pool.submit(lambda: first.result() + 1, [first]) for _ in range(5)]
            assert [other.result() for other in others] == [2] * 5
        else:
            with pytest.raises(OSError, match="no thread"):
                pool.submit(lambda: 1)


async def summed(tasks: Tasks, number: int) -> int:
    """The sum of the squares below a number, by tasks."""
    squares = await together(tasks, [lambda k=k: k * k for k in range(number)])
    first = tasks.submit(lambda: sum(squares))
    second = tasks.submit(lambda: first.result() + 0, [first])
    await done([second])
    return second.result()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_job_waits_without_a_thread(threads: int) -> None:
    with closing(TaskPool(threads)) as pool:
        jobs = [pool.perform(lambda job, k=k: summed(job, k)) for k in range(8)]
        after = pool.submit(lambda: sum(job.result() for job in jobs), jobs)
        assert after.result() == sum(k * k for n in range(8) for k in range(n))
        assert performed(summed, 4) == 14


def test_a_job_that_has_begun_comes_first() -> None:
    order: list[str] = []

    async def steps(job: Job[None], name: str) -> None:
        order.append(name)
        for step in "12":
            await done([job.submit(lambda step=step: order.append(name + step))])

    with closing(TaskPool(1)) as pool:
        gate: Future[None] = Future()
        pool.submit(gate.result)
        jobs = [pool.perform(lambda job, name=name: steps(job, name)) for name in "ab"]
        jobs.append(pool.submit(lambda: order.append("task")))
        gate.set_result(None)
        for job in jobs:
            job.result()
    assert order == ["a", "a1", "a2", "b", "b1", "b2", "task"]


def test_an_error_ends_a_job() -> None:
    ended: list[str] = []

    async def fails_itself(_: Job[None]) -> None:
        raise ValueError("itself")

    async def waits_for_what_fails(job: Job[None]) -> None:
        await done([job.submit(lambda: 1 // 0)])
        ended.append("never")

    with closing(TaskPool(2)) as pool:
        with pytest.raises(ValueError, match="itself"):
            pool.perform(fails_itself).result()
        failing = pool.perform(waits_for_what_fails)
        after = pool.submit(lambda: ended.append("after"), [failing])
        for future in (failing, after):
            with pytest.raises(ZeroDivisionError):
                future.result()
    assert not ended


def test_a_job_that_is_not_urgent_is_told_of_its_share_of_the_threads() -> None:
    told: dict[str, int] = {}
    gate: Future[None] = Future()

    async def holds(job: Job[None], name: str) -> None:
        told[name] = job.threads
        await done([gate])

    with closing(TaskPool(4)) as pool:
        jobs = [pool.perform(lambda job: holds(job, "urgent"))]
        for name in "abcd":
            jobs.append(pool.perform(lambda job, name=name: holds(job, name), urgent=False))
            while name not in told:
                time.sleep(0.001)
        gate.set_result(None)
        for job in jobs:
            job.result()
    assert told == {"urgent": 4, "a": 2, "b": 2, "c": 1, "d": 1}


def test_a_job_of_a_closed_pool_is_cancelled() -> None:
    pool = TaskPool(1)
    outside: Future[None] = Future()

    async def waits(_: Job[None]) -> None:
        await done([outside])

    job = pool.perform(waits)
    pool.submit(lambda: None).result()
    pool.close()
    outside.set_result(None)
    with pytest.raises(CancelledError):
        job.result(1)
