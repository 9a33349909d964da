"""Shares the cases of a target among processes, so that one that dies or hangs is a finding."""

from __future__ import annotations

import multiprocessing
import pickle
import random
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tools.fuzz.run import Finding, examined, made, run
from tools.fuzz.targets import Corpus, Input

_MOST_CASES = 50_000
_REPLAYS = 20
"""Numbers that an input is examined with: they decide what a check does with it."""


def _worker(
    target: str, seed: int, numbers: range, corpus: Path, current: Any, results: Connection
) -> None:
    cases = pickle.loads(corpus.read_bytes())

    def told() -> Any:
        for number in numbers:
            current.value = number
            yield number

    for finding in run(target, seed, told(), cases):
        if finding is not None:
            results.send(finding)
    results.send(None)


def shared(
    target: str, seed: int, first: int, cases: int, processes: int, corpus: Corpus
) -> Iterator[Finding]:
    """Findings of all cases from processes; one that dies is a finding, and the rest goes on."""
    context = multiprocessing.get_context("spawn")
    share = min(_MOST_CASES, -(-cases // processes))
    end = first + cases
    waiting = [range(start, min(start + share, end)) for start in range(first, end, share)]
    waiting.reverse()
    running: dict[Connection, tuple[Any, Any, range]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "corpus")
        path.write_bytes(pickle.dumps(corpus))
        while waiting or running:
            while waiting and len(running) < processes:
                numbers = waiting.pop()
                receiving, sending = context.Pipe(duplex=False)
                current = context.Value("q", numbers.start)
                process = context.Process(
                    target=_worker, args=(target, seed, numbers, path, current, sending)
                )
                process.start()
                sending.close()
                running[receiving] = process, current, numbers
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                process, current, numbers = running[connection]
                try:
                    message = connection.recv()
                except EOFError:
                    process.join()
                    at = current.value
                    yield _died(target, seed, at, process.exitcode, corpus)
                    # One that dies at its start would die again.
                    if numbers.start < at < numbers.stop - 1:
                        waiting.append(range(at + 1, numbers.stop))
                    del running[connection]
                    continue
                if message is None:
                    process.join()
                    del running[connection]
                else:
                    yield message


def _died(target: str, seed: int, number: int, code: int | None, corpus: Corpus) -> Finding:
    item, _ = made(target, seed, number, corpus)
    return Finding(target, number, f"process ended with {code}", "a crash or a minute", item)


def _again(target: str, number: int, item: Input, corpus: Corpus) -> Finding | None:
    return examined(target, number, item, random.Random(number), corpus)


def replayed(targets: Sequence[str], item: Input, corpus: Corpus) -> Iterator[Finding]:
    """Findings of one input, examined in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        asked = [
            pool.submit(_again, target, number, item, corpus)
            for target in targets
            for number in range(_REPLAYS)
        ]
        for each in asked:
            finding = each.result()
            if finding is not None:
                yield finding
