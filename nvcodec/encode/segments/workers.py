"""Jobs in worker processes of dask.distributed: engines (nvcodec.encode.segments.jobs).

A pool is a cluster made for the run, on this machine only and over encrypted connections, or one
that exists already. Several encodes can share it: each has an engine of its own, and the jobs of
the first one go first. A worker that dies is replaced, by the pool or by whoever runs the cluster.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing.resource_tracker
import os
import queue
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import dask
import distributed

from nvcodec.device import use_gpu
from nvcodec.encode.segments.jobs import ClusterError, Ended, Job
from nvcodec.encode.segments.segment import Report, Segment, SegmentProgress
from nvcodec.encode.segments.store import PackedSegment
from nvcodec.media.source import SourceError
from nvcodec.version import fingerprint

try:
    import resource
except ImportError:
    # Windows has no such limits.
    resource = None  # type: ignore[assignment]

_TOPIC = "nvcodec"
_REPORT_SECONDS = 0.2
_CHECK_SECONDS = 1.0

_FILES = 64
_FILES_OF_WORKER = 16
"""Open files of this process; about half of that when nothing is happening."""

_STARTS = 3
"""How often worker processes are started, if one dies meanwhile."""

_LOST_SECONDS = 30.0
"""A scheduler that does not answer for so long is given up."""

_NO_WORKER_SECONDS = 120.0
"""A cluster without any worker for so long is given up."""

_CONFIG = {
    # run_jobs counts failures of all kinds itself.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.no-workers-timeout": "60s",
    # Without a heartbeat for so long, a worker is given up. Compilation may hold it up.
    "distributed.scheduler.worker-ttl": "120s",
    # A job sets its number of threads itself; the diagnostics are not used.
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


def _require_files(needed: int) -> None:
    """Let this process open so many files; raises ClusterError where it may not.

    Without them, connections fail again and again, and what listens for them says so each time.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ClusterError(
            f"worker processes do not start: they need {needed} open files, and {hard} are allowed"
            " (ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@dataclass(frozen=True)
class _Stopped:
    """Put into the events of an engine whose encode is to end."""


class Pool:
    """Worker processes. They start with the first job, and end with the context if they are ours.

    Args:
        count: processes of a cluster of this machine.
        scheduler: the address of a cluster that exists, as "tcp://host:8786"; `count` is ignored.

    """

    def __init__(self, count: int, scheduler: str | None = None) -> None:
        self.scheduler = scheduler
        self._count = count
        self._starter = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._started: Any = None
        self._engines: dict[int, DaskEngine] = {}
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # If a start was interrupted, wait for it: its processes have to be stopped.
        if self._started is not None and self._started.exception() is None:
            cluster, client = self._started.result()
            with contextlib.suppress(Exception):
                client.close()
            if cluster is not None:
                cluster.close()
        self._starter.shutdown()

    @property
    def capacity(self) -> int:
        """How many jobs can run at a time."""
        if self.scheduler is None:
            return self._count
        return max(1, len(self._workers()))

    def engine(self, report: Report) -> DaskEngine:
        """An engine for one more encode, whose jobs come after those of the encodes before."""
        engine = DaskEngine(self, next(self._numbers), report)
        self._engines[engine.number] = engine
        return engine

    def forget(self, engine: DaskEngine) -> None:
        """Take no more reports for an engine."""
        self._engines.pop(engine.number, None)

    def stop(self) -> None:
        """Raise KeyboardInterrupt where engines wait."""
        for engine in list(self._engines.values()):
            engine.stop()

    def client(self) -> Any:
        """The client of the cluster; the first call starts or connects it.

        Raises ClusterError where there is no cluster, or one with another nvcodec.
        """
        with self._lock:
            if self._started is None:
                self._started = self._starter.submit(self._start)
        return self._started.result()[1]

    def _workers(self) -> dict[str, Any]:
        # What the scheduler said last; it is updated every two seconds.
        workers: dict[str, Any] = self.client().scheduler_info(n_workers=-1)["workers"]
        return workers

    def check(self, lost_since: float | None, idle_since: float | None) -> tuple[Any, Any]:
        """Look whether the cluster is well; takes and gives since when it is not, None if it is.

        The two are of the connection to the scheduler, and of its workers. Raises ClusterError
        where it has been too long.
        """
        client = self.client()
        if self.scheduler is None:
            self._mend()
            return None, None
        now = time.monotonic()
        if client.status != "running":
            lost_since = lost_since or now
            if client.status == "closed" or now - lost_since > _LOST_SECONDS:
                raise ClusterError(f"the scheduler {self.scheduler} is gone")
            return lost_since, idle_since
        if self._workers():
            return None, None
        idle_since = idle_since or now
        if now - idle_since > _NO_WORKER_SECONDS:
            raise ClusterError(
                f"the scheduler {self.scheduler} has had no worker for {_NO_WORKER_SECONDS:.0f}"
                f" seconds: start some, `dask worker {self.scheduler}`"
            )
        return None, idle_since

    def _mend(self) -> None:
        """Start those of our own workers again that Dask has given up.

        It does so when one dies while it starts, or does not come back within 15 seconds.
        """
        cluster = self._started.result()[0]
        ended = distributed.Status.closed, distributed.Status.failed
        for name, nanny in list(cluster.workers.items()):
            if nanny.status in ended:
                cluster.workers.pop(name, None)
        if len(cluster.workers) < self._count:
            cluster.scale(self._count)

    def _start(self) -> tuple[Any, Any]:
        if self.scheduler is not None:
            return None, self._connected(self.scheduler)
        _require_files(_FILES + _FILES_OF_WORKER * self._count)
        # Workers inherit the signal mask of this thread. Ctrl-C reaches all processes of a
        # terminal, but only this one is to handle it. Starting the resource tracker would unblock
        # signals, so it is started first.
        multiprocessing.resource_tracker.ensure_running()
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        left = _STARTS
        while True:
            try:
                return self._local()
            except (RuntimeError, OSError) as error:
                # A worker that dies while it starts ends the start.
                left -= 1
                if not left:
                    raise ClusterError(f"worker processes do not start: {error}") from error

    def _local(self) -> tuple[Any, Any]:
        with dask.config.set(_CONFIG):
            cluster = distributed.LocalCluster(
                n_workers=self._count,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                security=True,
                silence_logs=logging.CRITICAL + 1,
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            )
            try:
                client = distributed.Client(cluster, set_as_default=False)
                client.subscribe_topic(_TOPIC, self._take)
            except BaseException:
                cluster.close()
                raise
        return cluster, client

    def _connected(self, address: str) -> Any:
        encrypted = address.startswith("tls:")
        if (
            encrypted
            and distributed.Security().get_connection_args("client")["ssl_context"] is None
        ):
            raise ClusterError(
                f"{address} wants certificates: name them in Dask's configuration"
                " (distributed.comm.tls)"
            )
        # Its errors become one line of ours.
        logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
        try:
            client = distributed.Client(address, timeout=_LOST_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ClusterError(
                f"no scheduler answers at {address}: {' '.join(str(error).split())}"
            ) from error
        try:
            self._require_same(client, address)
            client.subscribe_topic(_TOPIC, self._take)
        except BaseException:
            client.close()
            raise
        return client

    def _require_same(self, client: Any, address: str) -> None:
        """Raise ClusterError unless the scheduler and all workers have this nvcodec."""
        try:
            scheduler = client.run_on_scheduler(fingerprint)
        except Exception as error:
            raise ClusterError(_lacks(f"the scheduler {address}", error)) from error
        _require_version(f"the scheduler {address}", scheduler, fingerprint())
        for worker, found in client.run(fingerprint, on_error="return").items():
            if isinstance(found, BaseException):
                raise ClusterError(_lacks(f"worker {worker}", found)) from found
            _require_version(f"worker {worker}", found, fingerprint())

    def _take(self, event: tuple[float, dict[str, Any]]) -> None:
        _, told = event
        engine = self._engines.get(told["engine"])
        # The cluster may run the jobs of other processes too.
        if engine is not None and told["process"] == engine.process:
            engine.take(SegmentProgress(told["first_frame"], told["frames"], told["text"]))


def _lacks(which: str, error: BaseException) -> str:
    return (
        f"{which} cannot load nvcodec ({type(error).__name__}: {' '.join(str(error).split())}):"
        f" install nvcodec {fingerprint()} there"
    )


def _require_version(which: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise ClusterError(
            f"{which} has nvcodec {found}, the encode has {wanted}: install the same everywhere"
        )


class DaskEngine:
    """The jobs of one encode in a pool: an Engine. Made by `Pool.engine`.

    Attributes:
        number: of the encode in the pool.
        process: tells its reports from those of other processes.

    """

    def __init__(self, pool: Pool, number: int, report: Report) -> None:
        self.number = number
        self.process = f"{os.uname().nodename} {os.getpid()} {time.time_ns()}"
        self._pool = pool
        self._report = report
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._futures: dict[Segment, list[Any]] = {}
        self._done: dict[int, float] = {}
        self._bad: tuple[Any, Any] = None, None

    @property
    def capacity(self) -> int:
        """How many jobs can run at a time."""
        return self._pool.capacity

    def take(self, progress: SegmentProgress) -> None:
        """Let a report wait for the thread of the encode."""
        self._events.put(progress)

    def stop(self) -> None:
        """Raise KeyboardInterrupt in the thread of the encode when it waits next."""
        self._events.put(_Stopped())

    def close(self) -> None:
        """Give up the jobs that have not ended."""
        for segment in list(self._futures):
            self.give_up(segment)
        self._pool.forget(self)

    def frames_done(self, segment: Segment) -> float:
        """How many frames of a segment are done, as far as its jobs have said."""
        return self._done.get(segment.first_frame, 0.0)

    def give_up(self, segment: Segment) -> None:
        """Stop the jobs of a segment, and report them no more."""
        for future in self._futures.pop(segment, []):
            with contextlib.suppress(Exception):
                future.cancel(force=True)

    def start(self, job: Job) -> None:
        """Submit a job; a free worker runs it."""
        client = self._pool.client()
        local = self._pool.scheduler is None
        future = client.submit(
            _run,
            job,
            (self.number, self.process),
            None if local else fingerprint(),
            pure=False,
            priority=-self.number,
        )
        self._futures.setdefault(job.segment, []).append(future)
        self._done.pop(job.segment.first_frame, None)
        future.add_done_callback(lambda ended: self._events.put((job.segment, ended)))

    def ended(self, wait: bool) -> list[Ended]:
        """Jobs that ended since the last call; also passes on the reports of running jobs.

        With `wait`, it waits a second for one. Raises ClusterError where the cluster is lost.
        """
        result: list[Ended] = []
        until = time.monotonic() + (_CHECK_SECONDS if wait else 0.0)
        while not result or not self._events.empty():
            try:
                event = self._events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(event, _Stopped):
                raise KeyboardInterrupt
            if isinstance(event, SegmentProgress):
                self._done[event.first_frame] = event.frames
                self._report(event)
                continue
            segment, future = event
            running = self._futures.get(segment, [])
            self._done.pop(segment.first_frame, None)
            if future in running:
                running.remove(future)
                result.append(self._ended(segment, future))
        if wait and not result:
            self._bad = self._pool.check(*self._bad)
        return result

    def _ended(self, segment: Segment, future: Any) -> Ended:
        if future.status == "finished":
            packed: PackedSegment = future.result()
            return Ended(segment, packed)
        if future.status != "error":
            raise ClusterError(
                f"the scheduler {self._pool.scheduler} is gone or has been restarted"
            )
        error = future.exception()
        if isinstance(error, distributed.KilledWorker):
            error = RuntimeError("its process died, as it may for lack of memory")
        return Ended(segment, error=error)


def _run(job: Job, sender: tuple[int, str], version: str | None) -> PackedSegment:
    """Run a job in a worker process.

    `version` is that of the encode if the worker is of a cluster; its threads are then those of the
    job, unless the encode gives a number.
    """
    worker = distributed.get_worker()
    if version is not None:
        _require_version(f"worker {worker.address}", fingerprint(), version)
    number, process = sender
    key = worker.get_current_task()
    told = 0.0

    def report(progress: SegmentProgress) -> None:
        nonlocal told
        task = worker.state.tasks.get(key)
        given_up = task is None or task.state == "cancelled"
        if given_up or worker.status is not distributed.Status.running:
            raise RuntimeError("the encode has been stopped")
        now = time.monotonic()
        if progress.frames == job.segment.frames or now - told > _REPORT_SECONDS:
            told = now
            # The listener may be gone already.
            with contextlib.suppress(OSError):
                worker.log_event(_TOPIC, vars(progress) | {"engine": number, "process": process})

    if job.device == "cuda":
        use_gpu(int(worker.name) if version is None else 0)
    threads = None if version is None else worker.state.nthreads
    try:
        return job.run(report, threads)
    except SourceError as error:
        if version is None:
            raise
        raise SourceError(
            f"worker {worker.address}: {error} (workers read the source at the same path or URL)"
        ) from None
