"""Runs a function in a new process, so that its memory can be measured separately."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")


def peak_memory() -> int:
    """Peak memory in bytes of this process so far, without its children."""
    if _STATUS.exists():
        # Not ru_maxrss: a child's value starts at its parent's.
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    unit = 1 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def apart(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Run `function` in a new process; returns its result or raises its error."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments, **options).result()
