"""What an operator meets: kills processes of an encode at random times, and resumes it.

    python -m tools.faults CLIP --times 100
    python -m tools.faults CLIP --times 20 --model hybrid --kill nvenc,scheduler

Each time, one encode of CLIP is disturbed: by SIGKILL to one of its workers, to all of them, to the
scheduler of its cluster or to nvenc itself, up to three times before it ends. Then it is resumed
until it is complete. Its file must be that of an undisturbed encode, byte for byte, nothing else
may be left in its folder, and no worker may outlive it. Workers and the scheduler are those of
`--jobs 2`, or processes of a cluster in folders of their own.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import psutil

from tools.lib import report

NVENC = [sys.executable, "-m", "nvcodec", "nvenc"]
DASK = [sys.executable, "-m", "distributed.cli."]

KINDS = ("worker", "workers", "nvenc", "cluster-worker", "cluster-workers", "scheduler")

_MOST_KILLS = 3
_PATIENCE = 300.0
_END_SECONDS = 30.0


@click.command("faults", cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--times", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--kill", default=",".join(KINDS), show_default=True, help="What to kill, in turn.")
@click.option("--model", default="nirvana", show_default=True, help="As of nvenc.")
@click.option("--preset", default="fast", show_default=True, help="As of nvenc.")
@click.option("--key-interval", type=float, default=0.5, show_default=True, help="As of nvenc.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random times.")
def main(
    clip: Path,
    times: int,
    kill: str,
    model: str,
    preset: str,
    key_interval: float,
    seed: int,
) -> None:
    kinds = kill.split(",")
    if unknown := set(kinds) - set(KINDS):
        raise click.UsageError(f"{unknown.pop()!r} is none of {', '.join(KINDS)}")
    options = ["--model", model, "--preset", preset, "--key-interval", str(key_interval), "-q"]
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        case = _Case(clip.resolve(), Path(folder), options, chance)
        case.measure()
        for number in range(times):
            kind = kinds[number % len(kinds)]
            case.disturb(kind)
            click.echo(f"{number + 1}/{times} {kind}: {case.kills[kind]} kills so far", err=True)
    rows = [
        f"| {kind} | {case.encodes[kind]} | {case.kills[kind]} | {case.resumed[kind]} |"
        for kind in kinds
    ]
    click.echo("| killed | encodes | kills | resumed |\n|---|---|---|---|\n" + "\n".join(rows))
    click.echo(f"All {times} files are the same as that of the undisturbed encode.")


class _Case:
    """Encodes of one clip; raises ClickException where one of them is not as it has to be."""

    def __init__(self, clip: Path, folder: Path, options: list[str], chance: random.Random) -> None:
        self.encodes: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.resumed: Counter[str] = Counter()
        self._clip = clip
        self._folder = folder
        self._options = options
        self._chance = chance
        self._start_seconds = 0.0
        self._work_seconds = 0.0
        self._expected = b""

    def measure(self) -> None:
        """Encode undisturbed: by one process, and by jobs, for the time that takes."""
        out = self._folder / "whole.nrv"
        subprocess.run(self._command(out, []), check=True)
        self._expected = out.read_bytes()
        started = time.monotonic()
        with subprocess.Popen(self._command(out, ["--jobs", "2", "-y"])) as process:
            _wait_for_workers(process)
            self._start_seconds = time.monotonic() - started
        self._work_seconds = time.monotonic() - started - self._start_seconds
        self._require(out.read_bytes() == self._expected, "jobs give another file")
        out.unlink()

    def disturb(self, kind: str) -> None:
        """One encode that is disturbed and resumed until it is complete."""
        out = self._folder / "out.nrv"
        self.encodes[kind] += 1
        with contextlib.ExitStack() as stack:
            cluster = None
            jobs = ["--jobs", "2"]
            if kind in ("cluster-worker", "cluster-workers", "scheduler"):
                cluster = stack.enter_context(_cluster(self._folder))
                jobs = ["--scheduler", cluster.address]
            kills = 0
            while not out.exists():
                if cluster is not None:
                    cluster.mend()
                process = subprocess.Popen(
                    self._command(out, [*jobs, "--resume"]), stderr=subprocess.PIPE, text=True
                )
                if kills < _MOST_KILLS:
                    seconds = self._work_seconds
                    if kind in ("worker", "workers"):
                        _wait_for_workers(process)
                    elif kind == "nvenc":
                        seconds += self._start_seconds
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(self._chance.uniform(0, seconds))
                    kills += self._kill(kind, process, cluster)
                try:
                    _, text = process.communicate(timeout=_PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise click.ClickException(f"{kind}: nvenc hangs") from None
                # A killed Python leaves words of its own.
                said = [line for line in text.splitlines() if line.startswith("nvenc:")]
                self._require(len(said) <= 1, f"{kind}: more than a line:\n{text}")
                killed = process.returncode < 0 or kind == "scheduler"
                self._require(process.returncode == 0 or (killed and kills > 0), f"{kind}: {text}")
                self.resumed[kind] += process.returncode != 0
            self.kills[kind] += kills
        self._require(out.read_bytes() == self._expected, f"{kind}: another file")
        out.unlink()
        left = [name for name in os.listdir(self._folder) if not name.startswith("dask")]
        self._require(not left, f"{kind}: {left} are left")

    def _kill(self, kind: str, nvenc: subprocess.Popen[str], cluster: _Cluster | None) -> int:
        """Kill what is to be killed; gives 1, or 0 if it was not there."""
        if nvenc.poll() is not None:
            return 0
        children = psutil.Process(nvenc.pid).children(recursive=True)
        workers = [child for child in children if _is_worker(child)]
        if cluster is not None:
            victims = [cluster.scheduler] if kind == "scheduler" else cluster.workers
            if kind == "cluster-worker":
                victims = [self._chance.choice(victims)]
            for victim in victims:
                victim.kill()
                victim.wait()
            # Whoever runs the cluster starts new workers.
            if kind != "scheduler":
                cluster.mend()
            return 1
        if kind == "nvenc":
            nvenc.kill()
            nvenc.wait()
            outlived = psutil.wait_procs(workers, timeout=_END_SECONDS)[1]
            self._require(not outlived, "a worker outlives nvenc")
            return 1
        if kind == "worker":
            workers = workers and [self._chance.choice(workers)]
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        return 1 if workers else 0

    def _command(self, out: Path, more: list[str]) -> list[str]:
        return [*NVENC, *self._options, *more, str(self._clip), str(out)]

    def _require(self, holds: bool, text: str) -> None:
        if not holds:
            raise click.ClickException(text)


def _wait_for_workers(nvenc: subprocess.Popen[Any]) -> None:
    """Wait until jobs have workers, or the process has ended."""
    while nvenc.poll() is None:
        children = psutil.Process(nvenc.pid).children(recursive=True)
        if any(map(_is_worker, children)):
            return
        time.sleep(0.05)


def _is_worker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "spawn_main" in " ".join(process.cmdline())
    return False


class _Cluster:
    """A scheduler and two workers, as processes in folders of their own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._folder = folder
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.scheduler = self._scheduler()
        self.workers = [self._worker(number) for number in range(2)]

    def mend(self) -> None:
        """Start what has ended."""
        if self.scheduler.poll() is not None:
            # Workers end with their scheduler, some later.
            for worker in self.workers:
                worker.kill()
                worker.wait()
            self.scheduler = self._scheduler()
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[number] = self._worker(number)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _scheduler(self) -> subprocess.Popen[bytes]:
        options = ["--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard"]
        return self._started("dask_scheduler", "dask-scheduler", options)

    def _worker(self, number: int) -> subprocess.Popen[bytes]:
        options = [self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        return self._started("dask_worker", f"dask-{number}", options)

    def _started(self, module: str, name: str, options: list[str]) -> subprocess.Popen[bytes]:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        python, switch, package = DASK
        root = Path(__file__).resolve().parents[1]
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        return subprocess.Popen(
            [python, switch, package + module, *options],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[_Cluster]:
    cluster = _Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
