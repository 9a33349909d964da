"""Many files by one command: a queue of sources, outputs in a folder, and a manifest of them.

The manifest, `manifest.jsonl` in the folder, has a JSON object a line for each file that was done
or failed; of several about the same output the last one counts. An output gets its name when it is
complete and its record is written. So what the manifest calls done can be verified, and the rest
is done again, whenever the command was stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nvcodec.cli.outcome import Console, ExitCode, RequestError, exit_code, message
from nvcodec.media.output import locked
from nvcodec.media.remote import is_remote, remote_identity
from nvcodec.words import counted

MANIFEST = "manifest.jsonl"

_MOST_LINE = 1 << 20
"""A longer line of a manifest is none of ours."""

_MOST_NAMED = 5
"""Most files that failed that the summary names; the manifest has all."""

Work = Callable[[str, str], tuple[dict[str, Any], str]]
"""From a source and the path to write to what the record says of it, and a few words."""


@dataclass(frozen=True)
class Item:
    """One file of the queue: its source, its output, and where that is written first."""

    source: str
    output: Path

    @property
    def part(self) -> Path:
        """The path of the unfinished output; it has the suffix of the output."""
        return self.output.with_name(f".{self.output.stem}.part{self.output.suffix}")


def items(sources: Sequence[str], folder: Path, suffix: str) -> list[Item]:
    """The queue for these sources, or for those that standard input lists, one a line.

    Raises RequestError where there is none, or two have the same output.
    """
    if not sources:
        if sys.stdin is None or sys.stdin.isatty():
            raise RequestError("no IN is given, and standard input lists none")
        sources = [line for line in sys.stdin.read().splitlines() if line]
    if not sources:
        raise RequestError("the list on standard input is empty")
    found: dict[Path, Item] = {}
    for source in sources:
        if source == "-":
            raise RequestError("'-' goes with one IN and OUT: with --output-dir name files")
        name = os.path.basename(source.rstrip("/"))
        stem = os.path.splitext(name)[0]
        if not stem or stem in (".", ".."):
            raise RequestError(f"IN {source!r} has no name that an output could have")
        item = Item(source, folder / f"{stem}{suffix}")
        other = found.setdefault(item.output, item)
        if other is not item:
            raise RequestError(f"{other.source} and {source} would both become {item.output}")
    return list(found.values())


def run(
    queue: Sequence[Item],
    folder: Path,
    basis: dict[str, Any],
    work: Work,
    console: Console,
    *,
    verb: str,
    resume: bool,
    overwrite: bool,
    at_once: int = 1,
    stop: Callable[[], None] = lambda: None,
) -> ExitCode:
    """Do all files of a queue; one that fails does not stop the others.

    Args:
        queue: from `items`.
        folder: for outputs and manifest; made if it is missing.
        basis: what outputs depend on beside the source, as JSON.
        work: makes an output; its errors are those of the file.
        console: told about each file.
        verb: what `work` does, in the past.
        resume: whether files that are done and verified are skipped.
        overwrite: whether outputs may be replaced.
        at_once: files at a time.
        stop: called after an interrupt, and makes running `work` raise KeyboardInterrupt.

    Returns:
        The exit code of the failures, OTHER where they differ, OK where there is none.

    Raises:
        OSError: the folder or manifest cannot be written, or another process is writing it.

    """
    folder.mkdir(parents=True, exist_ok=True)
    # Compared as JSON, which has no tuples.
    basis = json.loads(json.dumps(basis))
    with Manifest(folder / MANIFEST) as manifest:
        batch = _Batch(manifest, basis, work, console, resume, overwrite)
        with console.bar(len(queue), unit="file") as bar:
            for code in _results(queue, batch.do, at_once, stop):
                batch.codes.append(code)
                bar.update()
    done, failed = batch.codes.count(ExitCode.OK), len(batch.failed)
    summary = f"{counted(len(queue), 'file')}: {done - batch.skipped} {verb}"
    summary += f", {batch.skipped} done before" if batch.skipped else ""
    if failed:
        named = ", ".join(batch.failed[:_MOST_NAMED])
        more = f" and {failed - _MOST_NAMED} more" if failed > _MOST_NAMED else ""
        summary += f", {failed} failed: {named}{more} ({manifest.path} says why)"
    console.say(summary)
    console.line("done", files=len(queue), skipped=batch.skipped, failed=failed)
    kinds = sorted({code for code in batch.codes if code != ExitCode.OK})
    if not kinds:
        return ExitCode.OK
    return kinds[0] if len(kinds) == 1 else ExitCode.OTHER


def _results(
    queue: Sequence[Item],
    do: Callable[[Item], ExitCode],
    at_once: int,
    stop: Callable[[], None],
) -> Iterator[ExitCode]:
    if at_once == 1:
        yield from map(do, queue)
        return
    with ThreadPoolExecutor(at_once, "file") as pool:
        try:
            left = {pool.submit(do, item) for item in queue}
            while left:
                ended, left = wait(left, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ended)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop()
            raise


class Manifest:
    """The manifest of a folder, open to be added to; a context manager.

    Raises OSError if it cannot be written, or another process is writing it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("a+b", buffering=0)
        if not locked(self._file.fileno()):
            self._file.close()
            raise OSError(f"{path} is being written by another process")
        self._records = dict(self._read())

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def of(self, output: Path) -> dict[str, Any]:
        """The record of an output, empty if there is none."""
        return self._records.get(output.name, {})

    def add(self, record: dict[str, Any]) -> None:
        """Write a record, which counts from now on."""
        self._records[record["output"]] = record
        self._file.write(json.dumps(record).encode() + b"\n")

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        self._file.seek(0)
        whole = True
        with open(self.path, "rb") as file:
            while line := file.readline(_MOST_LINE):
                whole = line.endswith(b"\n")
                with contextlib.suppress(ValueError, RecursionError):
                    record = json.loads(line)
                    if isinstance(record, dict) and isinstance(record.get("output"), str):
                        yield record["output"], record
        if not whole:
            # A killed process has left a part of a line.
            self._file.write(b"\n")


class _Batch:
    """What the files of a queue have in common."""

    def __init__(
        self,
        manifest: Manifest,
        basis: dict[str, Any],
        work: Work,
        console: Console,
        resume: bool,
        overwrite: bool,
    ) -> None:
        self.codes: list[ExitCode] = []
        self.failed: list[str] = []
        self.skipped = 0
        self._manifest = manifest
        self._basis = basis
        self._work = work
        self._console = console
        self._resume = resume
        self._overwrite = overwrite

    def do(self, item: Item) -> ExitCode:
        """Make the output of one file; gives OK, or the exit code of its error."""
        from nvcodec.encode.segments.jobs import ClusterError

        started = time.perf_counter()
        record: dict[str, Any] = {
            "output": item.output.name,
            "source": item.source,
            "basis": self._basis,
        }
        try:
            record |= _identity(item.source)
            if self._resume and self._is_done(item, record):
                self.skipped += 1
                return ExitCode.OK
            if item.output.exists() and not self._overwrite:
                more = ", and is not what --resume could skip" if self._resume else ""
                raise FileExistsError(f"{item.output} exists{more} (use -y to overwrite it)")
            # What a killed process has left must not be taken for an output that is there.
            item.part.unlink(missing_ok=True)
            made, summary = self._work(item.source, str(item.part))
            record |= made | {"digest": _digest(item.part)}
            record["seconds"] = round(time.perf_counter() - started, 3)
            self._manifest.add(record | {"status": "done"})
            os.replace(item.part, item.output)
        except ClusterError:
            # No file would fare better.
            raise
        except Exception as error:
            with contextlib.suppress(OSError):
                item.part.unlink()
            return self._fail(item, record, error)
        except BaseException:
            with contextlib.suppress(OSError):
                item.part.unlink()
            raise
        self._console.say(f"{item.source}: {item.output}, {summary}")
        self._console.line("file", **record, status="done")
        return ExitCode.OK

    def _is_done(self, item: Item, record: dict[str, Any]) -> bool:
        found = self._manifest.of(item.output)
        if found.get("status") != "done" or any(found.get(k) != v for k, v in record.items()):
            return False
        return item.output.is_file() and _digest(item.output) == found.get("digest")

    def _fail(self, item: Item, record: dict[str, Any], error: Exception) -> ExitCode:
        code = exit_code(error)
        text = message(error, item.source)
        self.failed.append(item.source)
        self._console.complain(text if item.source in text else f"{item.source}: {text}")
        record |= {"status": "failed", "error": text}
        self._console.line("file", **record)
        # The disk may be full: the summary says what failed all the same.
        with contextlib.suppress(OSError):
            self._manifest.add(record)
        return ExitCode.OTHER if code is None else code


def _identity(source: str) -> dict[str, Any]:
    """What changes if a source is changed; empty for image sequences and URLs of FFmpeg."""
    try:
        if is_remote(source):
            return {"source_marks": remote_identity(source)}
        status = os.stat(source)
    except OSError:
        return {}
    return {"source_bytes": status.st_size, "source_mtime_ns": status.st_mtime_ns}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
