"""Measures how long the commands take to start: with kernels at hand, and on a fresh machine.

    python -m tools.bench.start CLIP --cold

Encodes one frame of CLIP and takes it out again, lists the file and asks for help. CPU time is that
of the whole process and of those it starts, the least of ROUNDS; wall time is that of the same run.
Beside them stand the imports of NumPy and PyAV, and of Numba, and a first frame that PyAV decodes
from CLIP. `--cold` also runs both commands with an empty folder for kernels, once.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from tools.lib import report

COLUMNS = {"kernels": "{kernels}", "what": "{what}", "CPU s": "{cpu:.2f}", "wall s": "{wall:.2f}"}

_FIRST_FRAME = "import sys, av; next(av.open(sys.argv[1]).decode(video=0))"


def commands(clip: Path, folder: Path) -> dict[str, list[str]]:
    """What is measured, as arguments of Python by name."""
    nrv = str(folder / "clip.nrv")
    ours = {
        "nvenc, 1 frame": ["nvenc", "-y", "--preset", "fast", "--frames", "1", str(clip), nrv],
        "nvdec, 1 frame": ["nvdec", "-y", "--frames", "1", nrv, str(folder / "clip.y4m")],
        "nvinfo": ["nvinfo", nrv],
        "nvdec --help": ["nvdec", "--help"],
    }
    return {name: ["-m", "nvcodec", *arguments] for name, arguments in ours.items()} | {
        "import numpy, av": ["-c", "import numpy, av"],
        "import numba": ["-c", "import numba"],
        "PyAV, 1 frame of CLIP": ["-c", _FIRST_FRAME, str(clip)],
    }


def seconds(arguments: list[str], kernels: str | None) -> dict[str, float]:
    """CPU and wall seconds of Python with these arguments; `kernels` is a folder for kernels."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # Installed modules have their bytecode; those of a checkout get it in the first run.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if kernels is not None:
        environment["NUMBA_CACHE_DIR"] = kernels
    null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    begun = time.perf_counter()
    process = os.posix_spawn(
        sys.executable, [sys.executable, *arguments], environment, file_actions=null
    )
    _, status, used = os.wait4(process, 0)
    wall = time.perf_counter() - begun
    if status:
        raise click.ClickException(f"failed: python {' '.join(arguments)}")
    return {"cpu": used.ru_utime + used.ru_stime, "wall": wall}


@click.command(cls=report.Tool, help=__doc__)
@click.argument("clip", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rounds", default=5, type=click.IntRange(1), help="Runs of each.  [default: 5]")
@click.option("--cold", is_flag=True, help="Also without kernels; takes minutes.")
@report.json_option
def main(clip: Path, rounds: int, cold: bool, json_path: Path | None) -> None:
    out = report.Report(json_path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = commands(clip, folder)
        # The first run compiles what is missing, and writes what the others read.
        for arguments in measured.values():
            seconds(arguments, None)
        for what in report.progress(list(measured), str):
            runs = [seconds(measured[what], None) for _ in range(rounds)]
            row: dict[str, Any] = min(runs, key=lambda run: run["cpu"])
            out.add("starts", {"kernels": "at hand", "what": what, **row})
        if cold:
            for number, what in enumerate(list(measured)[:2]):
                row = seconds(measured[what], str(folder / f"kernels{number}"))
                out.add("starts", {"kernels": "none", "what": what, **row})
    out.show(report.table(COLUMNS, out.rows("starts")))


if __name__ == "__main__":
    main()
