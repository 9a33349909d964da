"""Tasks that depend on one another and wait without occupying a thread.

A job is a coroutine in tasks: it submits tasks of its own, and `await done(tasks)` lets go of the
thread until they are done. What follows is one more task.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import threading
import types
from collections.abc import Callable, Coroutine, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

R = TypeVar("R")
T = TypeVar("T")


class TaskPool:
    """Runs tasks on `threads` threads; a task starts once those before it are done.

    Tasks start in the order in which they become ready, those of a job in its place. So a thread
    begins a job only when no job that has begun could use it, and no more jobs are under way than
    there are threads. Tasks that are submitted with `last` come after all others that could start.
    `check` is called before each task, whose error is then that of the task.
    """

    def __init__(self, threads: int, check: Callable[[], None] | None = None) -> None:
        self.threads = threads
        self._check = check
        self._pool = ThreadPoolExecutor(threads, "nvcodec")
        self._ready: list[tuple[bool, int, int, _Task[Any]]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._under_way = 0
        self._started = self._closed = False

    def submit(
        self,
        work: Callable[[], T],
        after: Sequence[Future[Any]] = (),
        *,
        last: bool = False,
        job: Job[Any] | None = None,
    ) -> Future[T]:
        """Run `work` once all of `after` are done; if `last`, when no other task could start.

        Gives its result, or the error of the first of `after` that has one. References to `work`
        and `after` are dropped once the result is there. `job` is the one that it belongs to.
        """
        result: Future[T] = Future()
        task = _Task(self, work, tuple(after), result, last, job)
        for other in task.after:
            other.add_done_callback(task.count_down)
        task.count_down(None)
        return result

    def perform(
        self,
        work: Callable[[Job[T]], Coroutine[Any, Any, T]],
        after: Sequence[Future[Any]] = (),
        *,
        urgent: bool = True,
    ) -> Future[T]:
        """Run a job once all of `after` are done: `work` makes its coroutine.

        Gives what the coroutine returns. An error of a task that it awaits ends it. A job that is
        not `urgent` is told of its share of the threads when it begins, at least one: what it cuts
        into few tasks costs less.
        """
        job = Job[T](self)
        result = job.result

        def begin() -> None:
            if not urgent:
                job.threads = -(-self.threads // (self._under_way + len(self._ready) + 1))
            self._count(1)
            result.add_done_callback(lambda _: self._count(-1))
            go_on(work(job))

        def go_on(coroutine: Coroutine[Any, Any, T]) -> None:
            try:
                awaited = coroutine.send(None)
            except StopIteration as end:
                result.set_result(end.value)
            else:
                submit(partial(go_on, coroutine), awaited)

        def submit(step: Callable[[], None], after: Sequence[Future[Any]]) -> None:
            self.submit(step, after, job=job).add_done_callback(end_by_error)

        def end_by_error(step: Future[None]) -> None:
            if step.cancelled():
                result.cancel()
            elif (error := step.exception()) is not None:
                result.set_exception(error)

        submit(begin, after)
        return result

    def _count(self, change: int) -> None:
        with self._lock:
            self._under_way += change

    def start(self, task: _Task[Any], last: bool) -> None:
        """Run a task that waits for no other.

        Raises RuntimeError if this is closed, OSError if the system gives it no thread at all.
        """
        with self._lock:
            number = place = next(self._numbers)
            if task.job is not None:
                if task.job.place is None:
                    task.job.place = number
                place = task.job.place
            heapq.heappush(self._ready, (last, place, number, task))
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


class Tasks(Protocol):
    """Where a coroutine submits tasks, which run on up to `threads` threads."""

    @property
    def threads(self) -> int:
        """Most tasks that run at a time."""

    def submit(self, work: Callable[[], T], after: Sequence[Future[Any]] = ()) -> Future[T]:
        """Run `work` once all of `after` are done."""


class Job(Generic[T]):
    """The Tasks of a job of a pool; its `place` is the number of its first task, once it is ready.

    Only what runs in the job submits tasks to it. `result` is what its coroutine returns.
    """

    def __init__(self, pool: TaskPool) -> None:
        self.place: int | None = None
        self.result: Future[T] = Future()
        self.threads = pool.threads
        self._pool = pool

    def submit(self, work: Callable[[], R], after: Sequence[Future[Any]] = ()) -> Future[R]:
        """As submit of the pool."""
        return self._pool.submit(work, after, job=self)


class _Alone:
    """Tasks of one thread, the caller's: each is done once it is submitted."""

    threads = 1

    def submit(self, work: Callable[[], T], after: Sequence[Future[Any]] = ()) -> Future[T]:
        for other in after:
            other.result()
        result = Future[T]()
        result.set_result(work())
        return result


@types.coroutine
def done(tasks: Sequence[Future[Any]]) -> Generator[Sequence[Future[Any]], None, None]:
    """For `await` in a job: goes on once these are done."""
    yield tasks


async def together(tasks: Tasks, calls: Sequence[Callable[[], R]]) -> list[R]:
    """Make calls that do not depend on each other; gives what they return."""
    if tasks.threads == 1 or len(calls) == 1:
        return [call() for call in calls]
    made = [tasks.submit(call) for call in calls]
    await done(made)
    return [each.result() for each in made]


def performed(work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Perform a job in the caller's thread: `work` is called with Tasks and the arguments.

    Returns its result.
    """
    coroutine = work(_Alone(), *arguments)
    while True:
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class _Task(Generic[T]):
    # A future keeps the callbacks that it has called, and these keep their task. So a task must
    # drop its inputs, its result and its job once it is done; otherwise every result would keep all
    # results before it, and all that follow from it.
    def __init__(
        self,
        pool: TaskPool,
        work: Callable[[], T],
        after: tuple[Future[Any], ...],
        result: Future[T],
        last: bool,
        job: Job[Any] | None,
    ) -> None:
        self.after = after
        self.job = job
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
        self._work, self.after, self._result, self.job = None, (), None, None
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
