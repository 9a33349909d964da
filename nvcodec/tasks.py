"""Tasks that wait for one another without holding a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class TaskPool:
    """Runs tasks on `threads` threads, each when those that it comes after are done."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "nvcodec")

    def submit(self, work: Callable[[], T], after: Sequence[Future[Any]] = ()) -> Future[T]:
        """The result of `work`, or the error of the first of `after` that has one.

        Once it is there, nothing of `work` and `after` is kept.
        """
        task = _Task(self._pool, work, tuple(after))
        for other in task.after:
            other.add_done_callback(task.count_down)
        task.count_down(None)
        return task.result

    def close(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self._pool.shutdown(cancel_futures=True)


class _Task(Generic[T]):
    # Futures keep the callbacks that they have called, and these their task: it must let go of what
    # it worked with, or every result would keep all that led to others.
    def __init__(
        self, pool: ThreadPoolExecutor, work: Callable[[], T], after: tuple[Future[Any], ...]
    ) -> None:
        self.result: Future[T] = Future()
        self.after = after
        self._work: Callable[[], T] | None = work
        self._pool = pool
        self._lock = threading.Lock()
        self._waiting = len(after) + 1

    def count_down(self, _: object) -> None:
        """One of what the task waits for is done."""
        with self._lock:
            self._waiting -= 1
            if self._waiting:
                return
        try:
            self._pool.submit(self._run)
        except RuntimeError:
            # The pool is closed: nobody waits for what was begun.
            self.result.cancel()

    def _run(self) -> None:
        work, after = self._work, self.after
        self._work, self.after = None, ()
        assert work is not None
        try:
            for other in after:
                other.result()
            value = work()
        except BaseException as error:
            self.result.set_exception(error)
        else:
            self.result.set_result(value)
