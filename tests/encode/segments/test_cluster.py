"""A cluster that exists: a scheduler and workers in folders of their own."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from tests.cli.support import NIRVANA, ROOT, call, moving, one_line, y4m

pytestmark = pytest.mark.deep

FAST = (*NIRVANA, "--preset", "fast", "-q", "--key-interval", 0.1)


@contextlib.contextmanager
def dask(folder, module, *options, path=ROOT):
    """A process of a cluster, which loads nvcodec from `path`."""
    folder.mkdir()
    command = [sys.executable, "-m", f"distributed.cli.dask_{module}", *map(str, options)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"PYTHONPATH": str(path)}
    with subprocess.Popen(command, cwd=folder, env=environment, **quiet) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("cluster") / "scheduler"
    options = ("--host", "127.0.0.1", "--port", port, "--no-dashboard")
    with dask(folder, "scheduler", *options):
        yield f"tcp://127.0.0.1:{port}"


def worker(folder, scheduler, path=ROOT):
    return dask(folder, "worker", scheduler, "--no-nanny", "--no-dashboard", path=path)


def known(scheduler, count):
    """Wait until the scheduler has so many workers."""
    from distributed import Client

    with Client(scheduler, set_as_default=False, timeout=60) as client:
        while len(client.scheduler_info(n_workers=-1)["workers"]) != count:
            time.sleep(0.1)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.y4m"
    path.write_bytes(y4m(moving(9, 24, 16)))
    return path


def test_workers_in_other_folders_give_the_same_bytes(scheduler, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with worker(tmp_path / "1", scheduler), worker(tmp_path / "2", scheduler):
        known(scheduler, 2)
        # A relative path means what it means here.
        result = call("nvenc", *FAST, "--scheduler", scheduler, "in.y4m", "out.nrv")
        assert result.exit_code == 0, result.stderr
        folder = tmp_path / "many"
        options = ("--scheduler", scheduler, "--output-dir", folder)
        assert call("nvenc", *FAST, *options, source).exit_code == 0
    assert call("nvenc", *FAST, source, "single.nrv").exit_code == 0
    single = (tmp_path / "single.nrv").read_bytes()
    assert (tmp_path / "out.nrv").read_bytes() == single
    assert (folder / "in.nrv").read_bytes() == single


def test_a_worker_without_the_source(scheduler, source, tmp_path):
    # A store of this process's memory is none of the worker's.
    import fsspec

    fsspec.filesystem("memory").pipe("/in.y4m", source.read_bytes())
    out = tmp_path / "out.nrv"
    with worker(tmp_path / "1", scheduler):
        known(scheduler, 1)
        result = call("nvenc", *FAST, "--scheduler", scheduler, "memory://in.y4m", out)
    line = one_line(result, 1)
    assert "worker tcp://" in line
    assert "No such file" in line
    assert not out.exists()


def test_a_worker_with_another_nvcodec(scheduler, source, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(ROOT / "nvcodec", other / "nvcodec")
    with (other / "nvcodec" / "words.py").open("a") as file:
        file.write("\n")
    with worker(tmp_path / "1", scheduler, other):
        known(scheduler, 1)
        result = call("nvenc", *FAST, "--scheduler", scheduler, source, tmp_path / "out.nrv")
    assert "install the same everywhere" in one_line(result, 1)


def test_no_scheduler(source, tmp_path, monkeypatch):
    from nvcodec.encode.segments import workers

    monkeypatch.setattr(workers, "_LOST_SECONDS", 1.0)
    options = ("--scheduler", "tcp://127.0.0.1:9", "--resume")
    result = call("nvenc", *FAST, *options, source, tmp_path / "out.nrv")
    assert "no scheduler answers at tcp://127.0.0.1:9" in one_line(result, 1)
    assert os.listdir(tmp_path) == ["in.y4m"]
