"""Compilation ahead: processes that compile kernels which a command is going to call.

Numba compiles one kernel at a time in a process. A command that finds one missing that is the first
of a first use starts `Helpers`. They walk the list of calls that a first use makes
(`first_calls.json`, made by `tools/first_calls.py`) from its end, while the command makes them from
the beginning. What one process compiles no other does (`Store.claimed`): a helper passes it over,
the command waits for it.

Nothing depends on helpers or on the list: the command compiles whatever is missing.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from nvcodec import kernel_cache
from nvcodec.compiled import Kernel, key_of

_LIST = os.path.join(os.path.dirname(__file__), "first_calls.json")

_MOST_HELPERS = 4
"""A first encode takes three times as long as its longest kernel, a first decode five times."""

_COMMAND = "import sys; sys.path[:] = sys.argv[2:]; from nvcodec.ahead import main; main()"
_SECONDS_TO_END = 0.5


class Helpers:
    """The processes that compile ahead for a command; `work` is a name in the list of calls.

    They end with the block, and with this process if that is killed. None is started before the
    first kernel of the list is missing.
    """

    def __init__(self, work: str, threads: int | None) -> None:
        self._work = work
        self._most = min(_MOST_HELPERS, min(threads or _cores(), _cores()) - 1)
        self._decided = self._most < 1 or not sys.executable or not kernel_cache.CLAIMS_WORK
        self.processes: list[subprocess.Popen[bytes]] = []
        self._compiled = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._decided = True
        for process in self.processes:
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    assert pipe is not None
                    pipe.close()
        for process in self.processes:
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def missing(self, kernel: Kernel, key: str) -> None:
        """Start the helpers if the first kernel that is missing is one of the list.

        Otherwise the command does other work than the list was made for, as with other samples.
        Where kernels cannot be kept, helpers would compile for nobody.
        """
        with self._lock:
            if self._decided:
                return
            self._decided = True
            with contextlib.suppress(Exception):
                kept = kernel.store is not None and kernel.store.can_be_claimed()
                if kept and _is_listed(self._work, kernel, key):
                    for _ in range(self._most):
                        self.processes.append(self._start())

    @property
    def compiled(self) -> int:
        """Kernels that they have compiled so far."""
        for process in self.processes:
            assert process.stdout is not None
            with contextlib.suppress(OSError, ValueError):
                self._compiled += len(os.read(process.stdout.fileno(), 1 << 16))
        return self._compiled

    def _start(self) -> subprocess.Popen[bytes]:
        # -P: modules of the current folder must not take the place of Python's own.
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _COMMAND, self._work, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        return process


def _cores() -> int:
    usable = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if usable is None else len(usable(0))


def main() -> None:
    """Compile ahead until standard input ends; write a byte for each kernel that was compiled."""
    work = sys.argv[1]
    threading.Thread(target=_end_with_input, daemon=True).start()
    with kernel_cache.compiling_told(lambda: None, lambda: _told(1)):
        for kernel, arguments in calls(work):
            with contextlib.suppress(Exception):
                kernel.compile_ahead(arguments)


def _end_with_input() -> None:
    while os.read(0, 1):
        pass
    with kernel_cache.writing:
        os._exit(0)


def _told(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, b".")


def calls(work: str) -> Iterator[tuple[Kernel, tuple[Any, ...]]]:
    """The calls of a first use, with empty arrays: those of the first frame come first.

    Of these and of the others the last one is the first. What is not there any more is left out.
    """
    for part in _list()[work]:
        for name, arguments in reversed(part):
            with contextlib.suppress(Exception):
                yield _named(name), tuple(map(_example, arguments))


def _is_listed(work: str, kernel: Kernel, key: str) -> bool:
    for part in _list()[work]:
        for name, arguments in part:
            is_same = name.startswith(f"{kernel.__module__}:") and _named(name) is kernel
            if is_same and key_of(kernel, tuple(map(_example, arguments))) == key:
                return True
    return False


@functools.cache
def _list() -> dict[str, list[list[tuple[str, list[Any]]]]]:
    """By kind of work: the calls for the first frame, and those for others."""
    with open(_LIST, encoding="ascii") as file:
        read: dict[str, list[list[tuple[str, list[Any]]]]] = json.load(file)
    return read


def _example(described: Any) -> Any:
    """A value of the kind that `described` says."""
    if described is None:
        return None
    if "array" in described:
        array = np.empty((0,) * described["dimensions"], _dtype(described["array"]))
        array.flags.writeable = not described.get("constant", False)
        return array
    if "number" in described:
        return np.dtype(described["number"]).type(0)
    if "record" in described:
        return np.zeros(1, _dtype(described["record"]))[0]
    values = tuple(map(_example, described["values"]))
    return _named(described["tuple"])(*values) if "tuple" in described else values


def _dtype(described: Any) -> np.dtype[Any]:
    if isinstance(described, str):
        return np.dtype(described)
    fields = [(name, _dtype(of), tuple(shape)) for name, of, shape in described["fields"]]
    return np.dtype((_named(described["type"]), np.dtype(fields, align=True)))


def _named(name: str) -> Any:
    """What `module:name` names, or the code of a syntax, which `module:name@direction` does."""
    module, _, qualified = name.partition(":")
    qualified, _, direction = qualified.partition("@")
    found: Any = importlib.import_module(module)
    for part in qualified.split("."):
        found = getattr(found, part)
    if not direction:
        return found
    from nvcodec.coding.syntax import Direction, compile_syntax

    return compile_syntax(found, Direction(direction))
