"""Tasks that depend on one another and wait without occupying a thread."""

from __future__ import annotations

import errno
import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class TaskPool:
    """Runs tasks on `threads` threads; a task starts once those before it are done.

    Tasks that are submitted with `last` come after all others that could start. `check` is called
    before each task, whose error is then that of the task.
    """

    def __init__(self, threads: int, check: Callable[[], None] | None = None) -> None:
        self._check = check
        self._pool = ThreadPoolExecutor(threads, "nvcodec")
        self._ready: list[tuple[bool, int, _Task[Any]]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._started = self._closed = False

    def submit(
        self, work: Callable[[], T], after: Sequence[Future[Any]] = (), *, last: bool = False
    ) -> Future[T]:
        """Run `work` once all of `after` are done; if `last`, when no other task could start.

        Gives its result, or the error of the first of `after` that has one. References to `work`
        and `after` are dropped once the result is there.
        """
        result: Future[T] = Future()
        task = _Task(self, work, tuple(after), result, last)
        for other in task.after:
            other.add_done_callback(task.count_down)
        task.count_down(None)
        return result

    def start(self, task: _Task[Any], last: bool) -> None:
        """Run a task that waits for no other.

        Raises RuntimeError if this is closed, OSError if the system gives it no thread at all.
        """
        with self._lock:
            heapq.heappush(self._ready, (last, next(self._numbers), task))
        try:
            self._pool.submit(self._run)
        except RuntimeError as error:
            if self._closed:
                raise
            # Threads that there are take the work of those that there are not.
            if not self._started:
                raise OSError(errno.EAGAIN, "no thread can be started, or no memory is left") from (
                    error
                )
        self._started = True

    def _run(self) -> None:
        with self._lock:
            task = heapq.heappop(self._ready)[-1]
        task.run(self._check)

    def close(self) -> None:
        """Drop the tasks that have not begun, and wait for the others."""
        self._closed = True
        self._pool.shutdown(cancel_futures=True)


class _Task(Generic[T]):
    # A future keeps the callbacks that it has called, and these keep their task. So a task must
    # drop its inputs and its result once it is done; otherwise every result would keep all results
    # before it, and all that follow from it.
    def __init__(
        self,
        pool: TaskPool,
        work: Callable[[], T],
        after: tuple[Future[Any], ...],
        result: Future[T],
        last: bool,
    ) -> None:
        self.after = after
        self._work: Callable[[], T] | None = work
        self._result: Future[T] | None = result
        self._pool = pool
        self._last = last
        self._lock = threading.Lock()
        self._waiting = len(after) + 1

    def count_down(self, _: object) -> None:
        """Note that one task before this one is done; start this one after the last."""
        with self._lock:
            self._waiting -= 1
            if self._waiting:
                return
        try:
            self._pool.start(self, self._last)
        except RuntimeError:
            # The pool is closed: nobody waits for the result.
            if self._result is not None:
                self._result.cancel()

    def run(self, check: Callable[[], None] | None) -> None:
        """Do the work after a check, and keep its result or error."""
        work, after, result = self._work, self.after, self._result
        self._work, self.after, self._result = None, (), None
        assert work is not None
        assert result is not None
        try:
            for other in after:
                other.result()
            if check is not None:
                check()
            value = work()
        except BaseException as error:
            result.set_exception(error)
        else:
            result.set_result(value)
