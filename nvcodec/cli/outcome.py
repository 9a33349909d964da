"""Messages and exit codes of the commands: an error gives one line on standard error."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from enum import IntEnum
from types import FrameType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TextIO, TypeVar

import click

from nvcodec.cli import start
from nvcodec.media.remote import is_remote
from nvcodec.media.sequence import is_pattern, sequence
from nvcodec.words import counted, in_one_line

if TYPE_CHECKING:
    from nvcodec.ahead import Helpers
    from nvcodec.compiled import Kernel

NOT_NVIDIA = "A neural video codec; not NVIDIA's NVENC or NVDEC."

# If set in the environment, unexpected errors show their traceback.
_DEBUG = "NVCODEC_DEBUG"
_TELLING_SECONDS = 10.0
_KERNELS = {"decoder": 80, "encoder": 420}
"""Kernels that a first use of the default model compiles, as Numba counts them."""

# A signal that follows another one this soon counts as the same request.
_SAME_SIGNAL_SECONDS = 1.0

_Command = TypeVar("_Command", bound=Callable[..., Any])


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


class RequestError(Exception):
    """The arguments ask for something that is not possible with this input or output."""


# By name, as importing these classes would load PyAV, Numba or PyTorch for every error.
_CODES_BY_NAME = {
    "nvcodec.encode.control.again.RateError": ExitCode.USAGE,
    "nvcodec.encode.segments.jobs.ClusterError": ExitCode.OTHER,
    "nvcodec.encode.segments.jobs.JobsError": ExitCode.USAGE,
    "nvcodec.encode.segments.jobs.SegmentError": ExitCode.OTHER,
    "nvcodec.encode.segments.store.SettingsError": ExitCode.USAGE,
    "nvcodec.media.encoding.OutputError": ExitCode.USAGE,
    "nvcodec.media.source.NothingLeftError": ExitCode.USAGE,
    "nvcodec.media.source.SourceError": ExitCode.CORRUPT,
    "nvcodec.model.resample.ViewError": ExitCode.USAGE,
    "nvcodec.options.GoalError": ExitCode.USAGE,
    "nvcodec.options.OptionError": ExitCode.USAGE,
    "torch.OutOfMemoryError": ExitCode.OTHER,
}


def exit_code(error: BaseException) -> ExitCode | None:
    """The exit code of an error of the input or the user; None for a defect of the program."""
    from nvcodec.format import (
        CorruptError,
        OverLimitError,
        TruncatedError,
        UnsupportedError,
        VerificationError,
    )

    kinds: tuple[tuple[tuple[type[BaseException], ...], ExitCode], ...] = (
        ((KeyboardInterrupt,), ExitCode.INTERRUPTED),
        ((VerificationError,), ExitCode.VERIFICATION),
        ((CorruptError, TruncatedError), ExitCode.CORRUPT),
        ((UnsupportedError, OverLimitError), ExitCode.UNSUPPORTED),
        ((RequestError,), ExitCode.USAGE),
        ((OSError, MemoryError), ExitCode.OTHER),
    )
    for classes, code in kinds:
        if isinstance(error, classes):
            return code
    return _CODES_BY_NAME.get(f"{type(error).__module__}.{type(error).__qualname__}")


def message(error: BaseException, source: str) -> str:
    """The error as one line: what is wrong, where in the input `source`, and what to do."""
    from nvcodec.format import NrvError

    text = " ".join(str(error).split())
    if isinstance(error, ImportError | OSError) and "shared object" in text:
        # The loader's words do not say that it was memory, if it was.
        why = " (memory is limited, ulimit -v)" if _memory_limit() is not None else ""
        return f"a library cannot be loaded{why}: {text}"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return f"out of memory: {text}" if text else "out of memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, NrvError) and (error.rule or error.offset is not None):
        name = "standard input" if source == "-" else source
        return f"{name}: {text}{_advice(error)}"
    if exit_code(error) is None:
        return (
            f"internal error, please report it: {type(error).__name__}: {text}"
            f" ({_DEBUG}=1 in the environment shows where)"
        )
    return text


def require_memory(needed: int) -> None:
    """Raise MemoryError where this process may not have so many MiB (`ulimit -v`).

    Below that, libraries end the process with words of their own, or spin.
    """
    limit = _memory_limit()
    if limit is not None and limit < needed << 20:
        raise MemoryError(
            f"this process may have {limit >> 10} KiB (ulimit -v), and needs at least"
            f" {needed << 10}"
        )


def _memory_limit() -> int | None:
    """The most bytes of memory that this process may have, None for no limit."""
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _advice(error: Exception) -> str:
    from nvcodec.format import CorruptError, TruncatedError, UnsupportedError, VerificationError

    if isinstance(error, VerificationError):
        return "; the file's encoder or this machine computes wrongly"
    if isinstance(error, TruncatedError):
        return "; the file is incomplete: get or encode it again"
    if isinstance(error, CorruptError) and error.unit is not None:
        return "; the file is damaged: get or encode it again"
    if isinstance(error, UnsupportedError) and error.rule is not None:
        return "; a newer nvcodec may read it"
    return ""


class Console:
    """The messages of one command run: lines on standard error, JSON lines on standard output.

    `kept` is text on output that is kept; an error line ends with it. `members` are further members
    of the error's JSON line.
    """

    def __init__(self, command: str, *, quiet: bool = False, as_json: bool = False) -> None:
        self.kept = ""
        self.members: Callable[[], dict[str, Any]] = dict
        self.as_json = as_json
        self.on_terminal = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._command = command
        self._quiet = quiet

    def say(self, text: str) -> None:
        """Write a line on standard error, unless the command is quiet; errors are ignored."""
        if not self._quiet:
            self._say(text)

    def complain(self, text: str) -> None:
        """Write the line of an error that does not end the command."""
        self._say(text)

    def line(self, kind: str, **members: Any) -> None:
        """Write a JSON line, if JSON is wanted."""
        if self.as_json:
            self.result(json.dumps({"type": kind, **members}))

    def result(self, text: str, end: str = "\n") -> None:
        """Write a result on standard output; raises OSError when that fails."""
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed", "standard output")
        click.echo(text + end, nl=False)

    def bar(self, total: int | None, **options: Any) -> Any:
        """A tqdm progress bar, of frames by default; one that does not show without a terminal."""
        if not self.on_terminal:
            return HiddenBar()
        from tqdm import tqdm

        if not os.get_terminal_size(sys.stderr.fileno()).columns:
            # The terminal does not report its size.
            options |= {"ncols": 80, "nrows": 24}
        return tqdm(total=total, **{"unit": "frame"} | options)

    def keeps(self, output: str, frames: int) -> None:
        """Let an error line say that `output` keeps the frames before the error."""
        name = "OUT" if output == "-" else output
        self.kept = f"{name} has the {counted(frames, 'frame')} before"

    def failed(self, error: BaseException, source: str) -> ExitCode:
        """Report an error; returns the exit code."""
        code = exit_code(error)
        if code is None and os.environ.get(_DEBUG):
            with contextlib.suppress(OSError):
                traceback.print_exception(error)
        code = ExitCode.OTHER if code is None else code
        text = message(error, source)
        kept = f"; {self.kept}" if self.kept else ""
        self._say(text + kept)
        # The reader of the pipe may have gone.
        with contextlib.suppress(OSError):
            self.line("error", message=text, exit_code=code, **self.members())
        return code

    def _say(self, text: str) -> None:
        try:
            click.echo(f"{self._command}: {in_one_line(text)}", err=True)
        except OSError:
            # The disk is full, or the reader of the pipe has gone.
            _discard(sys.stderr)


class HiddenBar:
    """Stands for a progress bar where none shows: tqdm's import takes a tenth of a start."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self) -> None:
        """A step is done."""

    def clear(self) -> None:
        """A line is about to be written."""

    def close(self) -> None:
        """The work has ended."""


@contextlib.contextmanager
def compilation_told(
    console: Console,
    whose: str,
    clear: Callable[[], object],
    *,
    threads: int | None = None,
    usual: bool = False,
) -> Iterator[None]:
    """While the block runs, report compilation of kernels, and kernels that cannot be stored.

    With `usual` work, other processes may compile ahead, one less than the threads.

    Each is reported once, the first on terminals only, where a line follows every ten seconds that
    says how many kernels there are by then. `clear` is called before a line is written.
    """
    from nvcodec.kernel_cache import compiling_told, missing_told, unkept_told

    unkept = False

    def tell_unkept(reason: str) -> None:
        nonlocal unkept
        if not unkept:
            unkept = True
            clear()
            console.say(
                f"the {whose}'s kernels cannot be kept and are compiled anew each time: {reason}"
                " (NUMBA_CACHE_DIR can name another folder)"
            )

    with contextlib.ExitStack() as stack:
        stack.enter_context(unkept_told(tell_unkept))
        helpers: Helpers | None = None

        def missing(kernel: Kernel, key: str) -> None:
            nonlocal helpers
            from nvcodec.ahead import Helpers

            with lock:
                if helpers is None:
                    helpers = stack.enter_context(Helpers(whose, threads))
            helpers.missing(kernel, key)

        lock = threading.Lock()
        if usual:
            stack.enter_context(missing_told(missing))
        if not console.on_terminal:
            yield
            return
        compiled = 0
        said: float | None = None

        def say(text: str) -> None:
            nonlocal said
            said = time.monotonic()
            clear()
            console.say(text)

        def begins() -> None:
            if said is None:
                say(f"compiling the {whose}'s kernels, which takes a while the first time")

        def ends() -> None:
            nonlocal compiled
            compiled += 1
            if said is not None and time.monotonic() > said + _TELLING_SECONDS:
                by_all = compiled + (0 if helpers is None else helpers.compiled)
                done, most = counted(by_all, "kernel"), _KERNELS[whose]
                say(f"compiled {done} so far, of about {most} for a first use")

        with compiling_told(begins, ends):
            yield


@contextlib.contextmanager
def ending(console: Console, source: str) -> Iterator[None]:
    """Turn an error of the block into a line on standard error and an exit code.

    SIGTERM and SIGHUP end the block as Ctrl-C does.
    """
    try:
        with _stopped_by_signals():
            yield
    except (click.ClickException, click.exceptions.Exit):
        raise
    except BrokenPipeError:
        _discard(sys.stdout)
        sys.exit(ExitCode.OTHER)
    except BaseException as error:
        sys.exit(console.failed(error, source))


def _discard(stream: TextIO) -> None:
    """Discard a stream's buffer, so that Python does not report an error when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    last = -1e9

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        # Ctrl-C pressed twice, or a signal sent both to the process and to its group, must not
        # interrupt the clean-up.
        if last - before > _SAME_SIGNAL_SECONDS:
            raise KeyboardInterrupt

    replaced = {}
    for name in start.STOPPING:
        number = getattr(signal, name, None)
        # An ignored signal stays ignored, as nohup needs. Only the main thread may set handlers.
        if number is not None and signal.getsignal(number) in (
            signal.SIG_DFL,
            signal.default_int_handler,
            start.stop,
        ):
            with contextlib.suppress(ValueError):
                replaced[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        # After a signal the process is ending: its handlers stay, so that nothing interrupts that.
        if last < 0:
            for number, handler in replaced.items():
                signal.signal(number, handler)


def require_input(path: str) -> None:
    """Raise OSError unless `path` is a readable file or pipe ("-" is standard input).

    URLs of stores pass: what is wrong with them shows when they are opened.
    """
    if path == "-":
        standard_input()
        return
    if is_remote(path):
        return
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if os.path.exists(path) and not os.path.isfile(path):
        # Opening a named pipe here would disconnect its writer when it is closed.
        return
    with open(path, "rb"):
        pass


def require_video(path: str) -> None:
    """As `require_input`, but URLs pass, and image sequences of which there is an image."""
    # FFmpeg has more protocols than those of URLs, such as "concat:".
    if re.match(r"[\w+.-]+:", path) and not os.path.exists(path):
        return
    if not is_pattern(path):
        require_input(path)
    elif sequence(path) is None:
        raise FileNotFoundError(errno.ENOENT, "no image has a name like this", path)


def standard_input() -> BinaryIO:
    """The binary standard input."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed", "standard input")
    if sys.stdin.isatty():
        raise RequestError("IN '-' is a terminal; name a file or pipe one in")
    return sys.stdin.buffer


def require_output(source: str, path: str, suffixes: tuple[str, ...], others: str) -> None:
    """Refuse an output path with another suffix, the input itself, or "-" on a terminal."""
    if path == "-":
        if sys.stdout is not None and sys.stdout.isatty():
            raise RequestError("OUT '-' is a terminal; name a file or redirect it")
    elif not path.lower().endswith(suffixes):
        raise RequestError(f"OUT {path!r} is neither a {', '.join(suffixes)} path nor {others}")
    else:
        with contextlib.suppress(OSError):
            if os.path.samefile(source, path):
                raise RequestError(f"IN and OUT are the same file: {path}")


def print_version(command: str) -> Callable[[_Command], _Command]:
    """An eager --version option; its text says that this has nothing to do with NVIDIA's NVENC."""

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
