"""How a command ends: exceptions to one line on standard error and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import click

NOT_NVIDIA = "A neural video codec; not NVIDIA's NVENC or NVDEC."


class ExitCode(IntEnum):
    """Exit codes of all commands."""

    OK = 0
    OTHER = 1
    USAGE = 2
    CORRUPT = 3
    UNSUPPORTED = 4
    VERIFICATION = 5
    INTERRUPTED = 130


EXIT_CODES_HELP = (
    "Exit codes: 0 ok, 1 other, 2 usage, 3 corrupt or truncated input, 4 unsupported or over a"
    " limit, 5 verification failed, 130 interrupted."
)


class ReportedExit(Exception):
    """Ends a command with `code` after it has reported what happened."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


def exit_code(error: BaseException) -> ExitCode | None:
    """The code for an error that is the input's or the user's doing, None for a defect of ours."""
    from nvcodec.format import (
        CorruptError,
        OverLimitError,
        TruncatedError,
        UnsupportedError,
        VerificationError,
    )

    kinds: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], ExitCode], ...] = (
        (KeyboardInterrupt, ExitCode.INTERRUPTED),
        (VerificationError, ExitCode.VERIFICATION),
        ((CorruptError, TruncatedError), ExitCode.CORRUPT),
        ((UnsupportedError, OverLimitError), ExitCode.UNSUPPORTED),
        (OSError, ExitCode.OTHER),
        (MemoryError, ExitCode.OTHER),
    )
    for kind, code in kinds:
        if isinstance(error, kind):
            return code
    # Named by module: importing the classes would load PyAV and numba for every error.
    names = {
        "nvcodec.media.source.SourceError": ExitCode.CORRUPT,
        "nvcodec.model.resample.ViewError": ExitCode.USAGE,
    }
    kind_name = f"{type(error).__module__}.{type(error).__qualname__}"
    return names.get(kind_name)


def message(error: BaseException) -> str:
    """The error as one line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


@contextlib.contextmanager
def ending(command: str) -> Iterator[None]:
    """Turn what the block raises into a line on standard error and an exit."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except ReportedExit as end:
        sys.exit(end.code)
    except BrokenPipeError:
        # The reader of our output has gone; python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(ExitCode.OTHER)
    except BaseException as error:
        code = exit_code(error)
        if code is None:
            raise
        click.echo(f"{command}: {message(error)}", err=True)
        sys.exit(code)


def require_input(path: str) -> None:
    """Raise OSError when `path` is no readable file or pipe ("-" is standard input)."""
    if path == "-":
        return
    if os.path.isdir(path):
        raise IsADirectoryError(21, "is a directory", path)
    with contextlib.suppress(OSError):
        if not os.path.isfile(path) and os.path.exists(path):
            return
    with open(path, "rb"):
        pass


def print_version(command: str) -> Any:
    """An eager --version option that says what this is not."""

    def show(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value and not context.resilient_parsing:
            from nvcodec.version import __version__

            click.echo(f"{command} (nvcodec) {__version__}. {NOT_NVIDIA}")
            context.exit()

    return click.option(
        "--version",
        is_flag=True,
        callback=show,
        expose_value=False,
        is_eager=True,
        help="Show the version and exit.",
    )
