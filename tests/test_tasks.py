"""Tasks that run after others."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import CancelledError, Future
from contextlib import closing

import pytest

from nvcodec.tasks import TaskPool


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
