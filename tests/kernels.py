"""Kernels against slow references: compared in every run, timed with `pytest --bench`.

A test calls the fixture `kernel_bench` with a kernel and a plain reference on the same input. With
`--bench` only such tests run, followed by a table of times. Times are of one thread, the best of
several runs; they are not asserted. `--bench-json FILE` saves the rows of the table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROPERTY = "kernel_bench"
"""Where a test keeps the rows of its kernels; xdist brings it from its workers too."""

_RUNS = 7
_RUN_SECONDS = 0.02
_HEADINGS = ("kernel", "unit", "units", "ns/unit", "reference", "ratio", "M units/s")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kernels")
    group.addoption("--bench", action="store_true", help="time kernels beside their references")
    group.addoption("--bench-json", type=Path, metavar="FILE", help="write the times to FILE")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--bench` only tests of kernels run."""
    if not config.getoption("bench"):
        return
    others = [item for item in items if "kernel_bench" not in getattr(item, "fixturenames", ())]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    reports = terminalreporter.stats.get("passed", [])
    rows = [row for report in reports for name, row in report.user_properties if name == PROPERTY]
    if rows:
        terminalreporter.section("kernels")
        for line in table(rows):
            terminalreporter.write_line(line)
    path = config.getoption("bench_json")
    if path is not None:
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of a markdown table of the rows."""
    cells = [
        (
            row["kernel"],
            row["unit"],
            str(row["units"]),
            _digits(row["ns"]),
            _digits(row["reference_ns"]),
            f"{_digits(row['reference_ns'] / row['ns'])} x",
            _digits(1000 / row["ns"]),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *cells, strict=True)]
    for line in (_HEADINGS, ["-" * width for width in widths], *cells):
        padded = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
        padded += [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        yield f"| {' | '.join(padded)} |"


def _digits(value: float) -> str:
    """Three digits, or all of a whole number."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


class KernelBench:
    """Compares one kernel with its reference and, if asked for, times both."""

    def __init__(self, keep: Callable[[dict[str, Any]], None] | None) -> None:
        self._keep = keep

    def __call__(
        self,
        name: str,
        units: int,
        call: Callable[[], Any],
        reference: Callable[[], Any],
        *,
        unit: str = "sample",
        tolerance: float = 0.0,
    ) -> None:
        """Assert that both calls return the same.

        That is a number, an array, or a sequence of such. `units` says how many samples (or what
        `unit` names) one call works on. Floats may differ by `tolerance`, absolute and relative.
        """
        found, expected = call(), reference()
        assert_same(found, expected, tolerance)
        if self._keep is not None:
            self._keep(
                {
                    "kernel": name,
                    "unit": unit,
                    "units": int(units),
                    "ns": _seconds(call) / units * 1e9,
                    "reference_ns": _seconds(reference) / units * 1e9,
                }
            )


@pytest.fixture
def kernel_bench(request: pytest.FixtureRequest) -> KernelBench:
    if not request.config.getoption("bench"):
        return KernelBench(None)
    return KernelBench(lambda row: request.node.user_properties.append((PROPERTY, row)))


def assert_same(found: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Assert that numbers, arrays or sequences of them agree, in their shapes too."""
    if isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b, tolerance)
        return
    assert np.shape(found) == np.shape(expected)
    if tolerance:
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(found, expected)


def _seconds(call: Callable[[], Any]) -> float:
    """Seconds of one call: the best run, each of enough calls to be measured well."""
    best, calls = _timed(call, 1), 1
    if best > 10 * _RUN_SECONDS:
        return best
    calls = max(1, round(_RUN_SECONDS / best))
    return min(best, *(_timed(call, calls) / calls for _ in range(_RUNS)))


def _timed(call: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start
