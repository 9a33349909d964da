"""Jobs in worker processes of dask.distributed: an Engine (nvcodec.encode.segments.jobs).

The scheduler is a thread of this process. Workers run on this machine only, over encrypted
connections. A worker that dies is replaced.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing.resource_tracker
import queue
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import dask
import distributed

from nvcodec.device import use_gpu
from nvcodec.encode.segments.jobs import Ended, Job
from nvcodec.encode.segments.segment import Report, Segment, SegmentProgress
from nvcodec.encode.segments.store import PackedSegment

_TOPIC = "nvcodec"
_REPORT_SECONDS = 0.2

_CONFIG = {
    # run_jobs counts failures of all kinds itself.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.no-workers-timeout": "60s",
    # A job sets its number of threads itself; the diagnostics are not used.
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


class Workers:
    """An engine of worker processes. They start with the first job and end with the context."""

    def __init__(self, count: int, report: Report) -> None:
        self.capacity = count
        self._report = report
        self._events: queue.SimpleQueue[SegmentProgress | tuple[Segment, Any]] = queue.SimpleQueue()
        self._starter = ThreadPoolExecutor(1)
        self._started: Any = None

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
            client.close()
            cluster.close()
        self._starter.shutdown()

    def start(self, job: Job) -> None:
        """Submit a job; a free worker runs it."""
        if self._started is None:
            self._started = self._starter.submit(self._start_workers)
        _, client = self._started.result()
        future = client.submit(_run, job, pure=False)
        future.add_done_callback(lambda ended: self._events.put((job.segment, ended)))

    def ended(self, wait: bool) -> list[Ended]:
        """Jobs that ended since the last call; also passes on the reports of running jobs."""
        result: list[Ended] = []
        while (wait and not result) or not self._events.empty():
            event = self._events.get()
            if isinstance(event, SegmentProgress):
                self._report(event)
            else:
                segment, future = event
                error = future.exception()
                if isinstance(error, distributed.KilledWorker):
                    error = RuntimeError("its process died, as it may for lack of memory")
                packed = None if error is not None else future.result()
                result.append(Ended(segment, packed, error))
        return result

    def _start_workers(self) -> tuple[Any, Any]:
        # Workers inherit the signal mask of this thread. Ctrl-C reaches all processes of a
        # terminal, but only this one is to handle it. Starting the resource tracker would unblock
        # signals, so it is started first.
        multiprocessing.resource_tracker.ensure_running()
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        with dask.config.set(_CONFIG):
            cluster = distributed.LocalCluster(
                n_workers=self.capacity,
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

    def _take(self, event: tuple[float, dict[str, Any]]) -> None:
        _, told = event
        # The scheduler adds members of its own.
        self._events.put(SegmentProgress(told["first_frame"], told["frames"], told["text"]))


def _run(job: Job) -> PackedSegment:
    """Run a job in a worker process."""
    worker = distributed.get_worker()
    told = 0.0

    def report(progress: SegmentProgress) -> None:
        nonlocal told
        if worker.status is not distributed.Status.running:
            raise RuntimeError("the encode has been stopped")
        now = time.monotonic()
        if progress.frames == job.segment.frames or now - told > _REPORT_SECONDS:
            told = now
            # The listener may be gone already.
            with contextlib.suppress(OSError):
                worker.log_event(_TOPIC, vars(progress))

    if job.device == "cuda":
        use_gpu(int(worker.name))
    return job.run(report)
