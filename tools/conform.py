"""Holds a decoder to the conformance vectors of `spec/vectors`: anyone's, by its command.

    python -m tools.conform --decoder 'CMD {in} {out}'

CMD writes Y4M or raw planar frames to {out} and ends with code 0, or, for a file that it refuses,
with another one after the frames before the damage. A line tells of each vector that fails.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tools.vectors.manifest import VECTORS, read
from tools.vectors.rules import CLASSES


@dataclass(frozen=True)
class Outcome:
    """What a decoder made of a file: the MD5 of each frame, whether it refused the file.

    `kinds` are the classes of 2.10 that it may have meant; None where it does not tell.
    """

    frames: Sequence[str]
    refused: bool
    kinds: frozenset[str] | None = None


class DecoderError(Exception):
    """A decoder did what it may not do with any file."""


def judge(entry: dict[str, Any], outcome: Outcome) -> str | None:
    """What is wrong with the outcome for an entry of the manifest, or None."""
    faulty = "class" in entry
    if not faulty:
        return "refused" if outcome.refused else difference(entry["frames"], outcome.frames)
    if not outcome.refused:
        if not entry.get("optional"):
            return f"taken, though it breaks {entry['rule']}: {entry['breaks']}"
        return difference(entry["whole"], outcome.frames)
    if outcome.kinds is not None and entry["class"] not in outcome.kinds:
        told = " or ".join(sorted(outcome.kinds)) or "no class"
        return f"refused as {told}, not as {entry['class']}"
    return difference(entry["frames"], outcome.frames)


def difference(expected: Sequence[str], frames: Sequence[str]) -> str | None:
    """What is wrong with frames, or None."""
    for number, (right, found) in enumerate(zip(expected, frames, strict=False)):
        if right != found:
            return f"frame {number} differs"
    if len(frames) != len(expected):
        return f"{len(frames)} frames, not {len(expected)}"
    return None


def split_frames(data: bytes, size: int) -> list[bytes]:
    """The frames of a Y4M or raw file, each of `size` bytes; 0 if any frame is one too many.

    Raises DecoderError for a file that is not made of such frames.
    """
    if data.startswith(b"YUV4MPEG2"):
        start = data.find(b"\n") + 1
        frames = []
        while start and start < len(data):
            line = data.find(b"\n", start) + 1
            if not line or not data.startswith(b"FRAME", start):
                raise DecoderError("the Y4M output is damaged")
            if not size:
                raise DecoderError("frames where none is due")
            frames.append(data[line : line + size])
            start = line + size
    else:
        if data and not size:
            raise DecoderError("frames where none is due")
        frames = [data[at : at + size] for at in range(0, len(data), size or 1)]
    if frames and len(frames[-1]) != size:
        raise DecoderError(f"the output ends within frame {len(frames) - 1}")
    return frames


@dataclass(frozen=True)
class Command:
    """A decoder by its command, with the classes that its exit codes stand for, if it has such."""

    template: str
    codes: dict[int, frozenset[str]]
    suffix: str
    timeout: float

    def run(self, path: Path, size: int, values: dict[str, object]) -> Outcome:
        """Decode a file to frames of `size` bytes; `values` fill in the template."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / f"out{self.suffix}"
            filled = {"in": path, "out": out, **values}
            words = [word.format_map(filled) for word in shlex.split(self.template)]
            try:
                ended = subprocess.run(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    timeout=self.timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise DecoderError(f"no end within {self.timeout:g} s") from None
            if ended.returncode < 0:
                raise DecoderError(f"ended by signal {-ended.returncode}")
            data = out.read_bytes() if out.exists() else b""
        frames = [hashlib.md5(frame).hexdigest() for frame in split_frames(data, size)]
        kinds = self.codes.get(ended.returncode, frozenset()) if self.codes else None
        return Outcome(frames, ended.returncode != 0, kinds)


def check_view(view: dict[str, Any], command: Command, path: Path) -> None:
    """Raise DecoderError unless the decoder gives a size and region of a vector."""
    (width, height), (crop_width, crop_height, crop_x, crop_y) = view["size"], view["crop"]
    names = "width", "height", "crop_width", "crop_height", "crop_x", "crop_y"
    numbers = width, height, crop_width, crop_height, crop_x, crop_y
    label = f"size {width}x{height}, region {crop_width}x{crop_height} at {crop_x},{crop_y}"
    outcome = command.run(path, view["frame_bytes"], dict(zip(names, numbers, strict=True)))
    wrong = "refused" if outcome.refused else difference(view["frames"], outcome.frames)
    if wrong:
        raise DecoderError(f"{label}: {wrong}")


def results(
    entries: Sequence[dict[str, Any]], check: Callable[[dict[str, Any]], str | None], jobs: int
) -> list[dict[str, Any]]:
    """What became of each vector."""

    def one(entry: dict[str, Any]) -> dict[str, Any]:
        start = time.monotonic()
        try:
            wrong = check(entry)
        except DecoderError as fault:
            wrong = str(fault)
        seconds = round(time.monotonic() - start, 3)
        return {"file": entry["file"], "passed": wrong is None, "wrong": wrong, "seconds": seconds}

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, entries))


def read_codes(texts: Sequence[str]) -> dict[int, frozenset[str]]:
    """The classes of each exit code, from texts such as `corrupt=3`."""
    codes: dict[int, frozenset[str]] = {}
    for text in texts:
        kind, _, code = text.partition("=")
        if kind not in CLASSES or not code.isdecimal():
            raise click.BadParameter(
                f"{text!r} is not CLASS=CODE, with one of {', '.join(CLASSES)}"
            )
        codes[int(code)] = codes.get(int(code), frozenset()) | {kind}
    return codes


@click.command(help=__doc__)
@click.option("--decoder", required=True, help="Command with {in} and {out}.")
@click.option(
    "--views",
    help="Command for other sizes and regions, with {width}, {height}, {crop_width},"
    " {crop_height}, {crop_x} and {crop_y} too. Without it these are not tried.",
)
@click.option(
    "--exit-code",
    "codes",
    multiple=True,
    metavar="CLASS=CODE",
    help="The exit code for a class of 2.10, such as corrupt=3; several times. Without it any code"
    " but 0 is a refusal.",
)
@click.option("--suffix", default=".y4m", show_default=True, help="End of the name of {out}.")
@click.option("--only", default="*", help="Vectors by name, such as 'valid/hybrid-*'.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds for each vector.")
@click.option("--jobs", default=1, show_default=True, help="Decoders at a time.")
@click.option("--report", type=click.Path(path_type=Path), help="Write a report in JSON.")
@click.option("--vectors", type=click.Path(path_type=Path, exists=True), default=VECTORS)
def main(
    decoder: str,
    views: str | None,
    codes: Sequence[str],
    suffix: str,
    only: str,
    timeout: float,
    jobs: int,
    report: Path | None,
    vectors: Path,
) -> None:
    manifest = read(vectors)
    found = read_codes(codes)
    command = Command(decoder, found, suffix, timeout)
    for_views = Command(views, found, suffix, timeout) if views else None

    def check(entry: dict[str, Any]) -> str | None:
        path = vectors / entry["file"]
        wrong = judge(entry, command.run(path, entry["frame_bytes"], {}))
        for view in entry.get("views", ()) if for_views and wrong is None else ():
            check_view(view, for_views, path)
        return wrong

    entries = [*manifest["valid"], *manifest["faulty"]]
    entries = [entry for entry in entries if fnmatch.fnmatch(entry["file"], only)]
    if not entries:
        raise click.BadParameter(f"no vector is called {only!r}", param_hint="--only")
    rows = results(entries, check, jobs)
    failed = [row for row in rows if not row["passed"]]
    for row in failed:
        click.echo(f"{row['file']}: {row['wrong']}")
    click.echo(f"{len(rows) - len(failed)} of {len(rows)} vectors passed")
    if report:
        record = {"decoder": decoder, "passed": len(rows) - len(failed), "failed": len(failed)}
        report.write_text(json.dumps({**record, "results": rows}, indent=1) + "\n", "utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
