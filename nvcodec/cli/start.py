"""Entry points of the commands: a signal ends them quietly from the first moment.

Almost nothing is imported before the signal handlers are set; the command itself comes after that.
"""

from __future__ import annotations

import gc
import os
import signal
from types import FrameType

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that end a command, where the system has them."""

_INTERRUPTED = 130

_START_OBJECTS = 150_000
"""Objects that a start makes, about: modules, classes and functions, which stay."""


def stop(_number: int, _frame: FrameType | None) -> None:
    """End the process at once, as no work has begun.

    An exception would pass through half-imported modules, and some of them would swallow it.
    """
    try:  # noqa: SIM105 - contextlib would have to be imported first
        os.write(2, b"interrupted\n")
    except OSError:
        pass
    os._exit(_INTERRUPTED)


def postpone_collection() -> None:
    """Collect no garbage before a start's objects are there, then as usual.

    Collections would walk all of them again and again, for a tenth of a start's time.
    """
    usual = gc.get_threshold()

    def collecting(_phase: str, _of: dict[str, int]) -> None:
        gc.set_threshold(*usual)
        gc.callbacks.remove(collecting)

    gc.callbacks.append(collecting)
    gc.set_threshold(_START_OBJECTS)


def nvenc() -> None:
    """Run nvenc."""
    _run("nvenc", "nvenc")


def nvdec() -> None:
    """Run nvdec."""
    _run("nvdec", "nvdec")


def nvinfo() -> None:
    """Run nvinfo."""
    _run("nvinfo", "nvinfo")


def nvplay() -> None:
    """Run nvplay."""
    _run("nvplay", "nvplay")


def module() -> None:
    """Run `python -m nvcodec`, which has all commands."""
    _run("commands", "python -m nvcodec")


def _run(command: str, name: str) -> None:
    for signal_name in STOPPING:
        number = getattr(signal, signal_name, None)
        # An ignored signal stays ignored, as nohup needs.
        if number is not None and signal.getsignal(number) in (
            signal.SIG_DFL,
            signal.default_int_handler,
        ):
            signal.signal(number, stop)
    postpone_collection()
    # OpenBLAS would start a thread for each core when NumPy is imported. Tasks use the cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from importlib import import_module

    import_module(f"nvcodec.cli.{command}").main(prog_name=name)
