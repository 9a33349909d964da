"""Runs a target on numbered cases: findings are untyped errors, failed checks, time and memory.

A case is its target, the seed of the run and a number; nothing else decides its bytes.
"""

from __future__ import annotations

import faulthandler
import hashlib
import random
import resource
import signal
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numba

from nvcodec.cli.outcome import exit_code
from nvcodec.format import NrvError
from nvcodec.model.resample import ViewError
from tools.fuzz.targets import TARGETS, Corpus, Input

MOST_SECONDS = 2.0
MOST_BYTES = 192 << 20
"""Growth of the process by one case; files of the targets need a few MiB (spec 10)."""

_UNTIMED = ("reference", "large")
"""The reference decoder is slow by nature; large files are timed, and measured, by their check."""

_FIRST = 20

_PATIENCE = 60
"""Seconds of processor time for a few cases, far more than they need."""
_STANDSTILL = 1200.0


@dataclass(frozen=True)
class Finding:
    """An input with which something went wrong: the case, where, and all that is known."""

    target: str
    number: int
    place: str
    details: str
    item: Input

    def save(self, folder: Path) -> Path:
        """Write the input beside what is known of it."""
        digest = hashlib.sha256(self.item.data).hexdigest()[:12]
        suffix = self.item.name if self.item.name.startswith(".") else f".{self.item.name}"
        path = folder / f"{self.target}-{digest}{suffix}"
        path.write_bytes(self.item.data)
        path.with_name(path.name + ".txt").write_text(f"case {self.number}\n{self.details}\n")
        return path


def made(target: str, seed: int, number: int, corpus: Corpus) -> tuple[Input, random.Random]:
    """The input of a case, and the generator that its check goes on with."""
    rng = random.Random(f"{target} {seed} {number}")
    return TARGETS[target][0](corpus, rng), rng


def examined(
    target: str, number: int, item: Input, rng: random.Random, corpus: Corpus
) -> Finding | None:
    """Check one input; a finding if something is wrong with what happened.

    One that takes long is checked again by the time of its thread: others may have run meanwhile,
    modules are loaded and kernels compiled at first use.
    """
    state = rng.getstate()
    start = time.perf_counter()
    finding = _checked(target, number, item, rng, corpus)
    if finding is not None or target in _UNTIMED or time.perf_counter() - start < MOST_SECONDS:
        return finding
    rng.setstate(state)
    start = time.thread_time()
    finding = _checked(target, number, item, rng, corpus)
    seconds = time.thread_time() - start
    if finding is not None or seconds < MOST_SECONDS:
        return finding
    return Finding(target, number, "time", f"{seconds:.1f} s", item)


def _checked(
    target: str, number: int, item: Input, rng: random.Random, corpus: Corpus
) -> Finding | None:
    try:
        TARGETS[target][1](item, rng, corpus)
    except Exception as error:
        if not _is_answer(target, error):
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
            details = "".join(traceback.format_exception(error))
            return Finding(target, number, place, details, item)
    return None


def _is_answer(target: str, error: Exception) -> bool:
    """Whether an error is one of those that inputs of a target may end with."""
    if target in ("sources", "commands"):
        refused = isinstance(error, MemoryError | AssertionError)
        return not refused and exit_code(error) is not None
    return isinstance(error, NrvError | ViewError)


def _peak() -> int:
    """The most bytes of memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def run(target: str, seed: int, numbers: Iterable[int], corpus: Corpus) -> Iterator[Finding | None]:
    """Examine cases; one that does not end ends the process, with its stack.

    Memory is looked at after each case, or, where a case takes less than a look, after some.
    """
    faulthandler.register(signal.SIGXCPU, chain=True)
    looks = 64 if target in ("parsers", "reader", "seek") else 1
    peak = 0
    before, most = resource.getrlimit(resource.RLIMIT_CPU)
    try:
        for count, number in enumerate(numbers):
            if target == "large" or count % 64 == 0:
                # Kernels that check bounds are compiled by the cases themselves.
                times = 30 if numba.config.BOUNDSCHECK else 1
                faulthandler.dump_traceback_later(times * _STANDSTILL, exit=True)
                patience = int(time.process_time()) + times * _PATIENCE
                resource.setrlimit(resource.RLIMIT_CPU, (patience, most))
            item, rng = made(target, seed, number, corpus)
            yield examined(target, number, item, rng, corpus)
            if count % looks == 0:
                last, peak = peak, _peak()
                # The first cases load modules.
                if target != "large" and count >= _FIRST and peak - last > MOST_BYTES:
                    text = f"{peak - last >> 20} MiB more in {looks} cases up to this"
                    yield Finding(target, number, "memory", text, item)
    finally:
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_CPU, (before, most))
