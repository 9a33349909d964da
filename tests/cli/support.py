"""Helpers of the command tests: clips, runs of commands, parsing of Y4M."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from nvcodec.cli import nvdec, nvenc, nvinfo
from nvcodec.media.y4m import Y4mWriter

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {"nvenc": nvenc.main, "nvdec": nvdec.main, "nvinfo": nvinfo.main}


def moving(count, width=48, height=32, seed=0):
    """Pictures of a soft pattern that moves, easy to learn."""
    rng = np.random.default_rng(seed)
    waves = rng.uniform(0.5, 2.0, (3, 2)) * 2 * np.pi
    pictures = []
    for t in range(count):
        planes = []
        for (fx, fy), sub in zip(waves, (1, 2, 2), strict=True):
            shape = (-(-height // sub), -(-width // sub))
            y, x = np.indices(shape) * sub
            wave = np.sin(fx * (x / width + 0.02 * t) + fy * y / height + seed)
            planes.append((128 + 80 * wave).astype(np.uint8))
        pictures.append(tuple(planes))
    return pictures


def y4m(pictures, rate=25):
    """Pictures as the bytes of a Y4M file."""
    from fractions import Fraction

    file = io.BytesIO()
    height, width = pictures[0][0].shape
    writer = Y4mWriter(file, width, height, Fraction(rate), None, 0, 0)
    for planes in pictures:
        writer.write(planes)
    return file.getvalue()


def parse_y4m(data):
    """(header line, pictures) of Y4M bytes; what is left after whole frames must be nothing."""
    header, _, rest = data.partition(b"\n")
    fields = header.split()
    width, height = int(fields[1][1:]), int(fields[2][1:])
    chroma = ((height + 1) // 2, (width + 1) // 2)
    pictures = []
    while rest:
        assert rest.startswith(b"FRAME\n")
        rest = rest[6:]
        planes = []
        for rows, columns in ((height, width), chroma, chroma):
            plane, rest = rest[: rows * columns], rest[rows * columns :]
            planes.append(np.frombuffer(plane, np.uint8).reshape(rows, columns))
        pictures.append(tuple(planes))
    return header, pictures


def assert_same_pictures(got, expected):
    assert len(got) == len(expected)
    for picture, other in zip(got, expected, strict=True):
        for plane, reference in zip(picture, other, strict=True):
            np.testing.assert_array_equal(plane, reference)


def call(command, *arguments, stdin=None):
    """Run a command in this process: its result has exit_code, stdout_bytes, stdout and stderr."""
    result = CliRunner().invoke(COMMANDS[command], [str(a) for a in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def one_line(result, code):
    """The one line on standard error of a run that failed with `code`."""
    assert result.exit_code == code, (result.exit_code, result.stderr)
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def ndjson(text):
    return [json.loads(line) for line in text.splitlines()]


# nvenc with a small sine network, and presets of a few iterations: of groups that start afresh, and
# of others.
_QUICK = """
import dataclasses, sys
from nvcodec.encode.sine import settings
fresh, others = int(sys.argv.pop(1)), int(sys.argv.pop(1))
settings.PAPER_SHAPE = settings.NetworkShape(8, 3, 2, 12, 3, 2)
for name, preset in settings.PRESETS.items():
    settings.PRESETS[name] = dataclasses.replace(preset, key_iterations=fresh, iterations=others)
from nvcodec.cli.nvenc import main
main(prog_name="nvenc")
"""
FOREVER = 10**9
NIRVANA = ("--model", "nirvana")
PAPER = (*NIRVANA, "--network", "paper")


def argv(command, *arguments, fresh=12, others=8):
    """The command line of a command; nvenc trains so many iterations."""
    program = ["-m", "nvcodec", command]
    if command == "nvenc":
        program = ["-c", _QUICK, fresh, others]
    return [str(part) for part in (sys.executable, *program, *arguments)]


def start(command, *arguments, fresh=12, others=8, **options):
    """Start a command as a process with pipes."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(
        argv(command, *arguments, fresh=fresh, others=others), cwd=ROOT, **(pipes | options)
    )


@contextlib.contextmanager
def ended(process):
    """Kill the process if the block leaves it running."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def leftovers(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".part"))
