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

from nvcodec.cli.outcome import exit_code
from tools.fuzz.targets import TARGETS, Corpus, Input

MOST_SECONDS = 2.0
MOST_BYTES = 192 << 20
"""Growth of the process by one case; files of the targets need a few MiB (spec 10)."""

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

    One that takes long is checked again, as modules are loaded and kernels compiled at first use.
    """
    state = rng.getstate()
    finding = _examined(target, number, item, rng, corpus)
    if finding is not None and finding.place in ("time", "memory"):
        rng.setstate(state)
        finding = _examined(target, number, item, rng, corpus)
    return finding


def _examined(
    target: str, number: int, item: Input, rng: random.Random, corpus: Corpus
) -> Finding | None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.thread_time()
    try:
        TARGETS[target][1](item, rng, corpus)
    except Exception as error:
        if isinstance(error, AssertionError) or exit_code(error) is None:
            frames = traceback.extract_tb(error.__traceback__)
            last = frames[-1]
            place = f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
            details = "".join(traceback.format_exception(error))
            return Finding(target, number, place, details, item)
    seconds = time.thread_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    # The reference decoder is slow by nature.
    if seconds > MOST_SECONDS and target != "reference":
        return Finding(target, number, "time", f"{seconds:.1f} s", item)
    if grown > MOST_BYTES:
        return Finding(target, number, "memory", f"{grown >> 20} MiB more", item)
    return None


def run(target: str, seed: int, numbers: Iterable[int], corpus: Corpus) -> Iterator[Finding | None]:
    """Examine cases; one that does not end ends the process, with its stack."""
    faulthandler.register(signal.SIGXCPU, chain=True)
    for count, number in enumerate(numbers):
        if count % 64 == 0:
            faulthandler.dump_traceback_later(_STANDSTILL, exit=True)
            most = resource.getrlimit(resource.RLIMIT_CPU)[1]
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + _PATIENCE, most))
        item, rng = made(target, seed, number, corpus)
        yield examined(target, number, item, rng, corpus)
    faulthandler.cancel_dump_traceback_later()
