"""Output of the tools: command line, machine and markdown tables; JSON files; plots."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click


class Tool(click.Command):
    """A command; `obj` of its context is the command line that repeats the run."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        assert self.callback is not None
        module = self.callback.__globals__["__spec__"].name
        line = f"python -m {module} {shlex.join(args)}".rstrip()
        return super().make_context(info_name, args, parent, obj=line, **extra)


def _in_a_folder(_context: click.Context, _option: click.Parameter, path: Path | None) -> Any:
    """Refuse, before hours of work, a file that could not be written at the end."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"{path.absolute().parent} is not a folder")
    return path


def _plottable(context: click.Context, option: click.Parameter, path: Path | None) -> Any:
    if path is not None and importlib.util.find_spec("matplotlib") is None:
        raise click.UsageError(f"{option.opts[0]} needs matplotlib: pip install 'nvcodec[tools]'")
    return _in_a_folder(context, option, path)


_FILE = click.Path(dir_okay=False, path_type=Path)

json_option = click.option(
    "--json", "json_path", type=_FILE, callback=_in_a_folder, help="Also write all figures here."
)
plot_option = click.option(
    "--plot", "plot_path", type=_FILE, callback=_plottable, help="Also draw a picture here."
)


def environment() -> str:
    """The versions and the machine of a measurement, as one line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [s for s in info.read_text(errors="replace").splitlines() if "model name" in s]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    affinity = getattr(os, "sched_getaffinity", None)
    threads = len(affinity(0)) if affinity else os.cpu_count()
    packages = []
    for name in ("nvcodec", "torch", "av"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    return f"{', '.join(packages)}, Python {platform.python_version()}; {cpu}, {threads} threads"


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A markdown table. `columns` maps titles to format strings, filled from each row.

    A value that is None or missing in a row is shown as "-".
    """
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[_cell(form, row) for form in columns.values()] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(form: str, row: Mapping[str, Any]) -> str:
    try:
        return form.format(**row).replace("|", "\\|")
    except (KeyError, TypeError):
        # The value is missing, or None where the format needs a number.
        return "-"


class Report:
    """The result of a run: rows of several kinds, saved as JSON as they come, and their tables.

    Takes the command line from the context of the running `Tool`.
    """

    def __init__(self, json_path: Path | None) -> None:
        self._path = json_path
        self._data: dict[str, Any] = {
            "command": click.get_current_context().obj,
            "environment": environment(),
        }

    def add(self, kind: str, row: dict[str, Any]) -> dict[str, Any]:
        """Add a row and write the JSON file; returns the row."""
        self._data.setdefault(kind, []).append(row)
        if self._path is not None:
            self._path.write_text(json.dumps(_finite(self._data), indent=1) + "\n", "utf-8")
        return row

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The rows of a kind so far."""
        rows: list[dict[str, Any]] = self._data.get(kind, [])
        return rows

    def show(self, *sections: str) -> None:
        """Print the command line, the machine, and sections of text and tables."""
        head = [f"    {self._data['command']}", self._data["environment"]]
        click.echo("\n\n".join([*head, *(s for s in sections if s)]))


def _finite(value: Any) -> Any:
    """The value with infinities as None: JSON has no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return value


def progress(cases: Sequence[Any], name: Callable[[Any], str]) -> Iterator[Any]:
    """The cases in turn; shows the current one on standard error if that is a terminal."""
    for number, case in enumerate(cases, 1):
        _status(f"{number}/{len(cases)} {name(case)}")
        yield case
    _status("")


def _status(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)


@contextmanager
def figure(path: Path, panels: int = 1) -> Iterator[Sequence[Any]]:
    """The axes of `panels` panels side by side; the figure is written to `path` at the end."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7 * panels, 5.5), layout="constrained")
    yield list(drawing.subplots(1, panels, squeeze=False)[0])
    drawing.savefig(path)
