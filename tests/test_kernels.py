"""The fixture that compares kernels with references, and its table of times."""

import json

import numpy as np
import pytest

from tests.kernels import assert_same

pytest_plugins = ["pytester"]

TESTS = """
import numpy as np

def test_plain():
    raise AssertionError("it is no test of a kernel")

def test_kernel(kernel_bench):
    values = np.arange(100)
    kernel_bench("total", 100, lambda: int(values.sum()), lambda: sum(range(100)), unit="number")

def test_wrong(kernel_bench):
    kernel_bench("wrong", 1, lambda: 1, lambda: 2)
"""


def test_bench_runs_and_times_kernels_only(pytester):
    pytester.makepyfile(TESTS)
    arguments = "-p", "tests.kernels", "--bench", "--bench-json", "times.json"
    result = pytester.runpytest_inprocess(*arguments)
    result.assert_outcomes(passed=1, failed=1, deselected=1)
    (row,) = json.loads((pytester.path / "times.json").read_text())
    assert (row["kernel"], row["unit"], row["units"]) == ("total", "number", 100)
    assert row["ns"] > 0
    assert row["reference_ns"] > 0
    result.stdout.fnmatch_lines(["| total *| number | *100 |*"])


def test_without_bench_nothing_is_timed(pytester):
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess("-p", "tests.kernels")
    result.assert_outcomes(passed=1, failed=2)
    assert "ns/unit" not in result.stdout.str()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (1, 2),
        (np.zeros(3), np.zeros(2)),
        (np.zeros(3), 0),
        ((np.zeros(3),), (np.zeros(3), np.zeros(3))),
        ([np.zeros(3), np.ones(2)], [np.zeros(3), np.zeros(2)]),
    ],
)
def test_differences_are_found(found, expected):
    assert_same(expected, expected)
    with pytest.raises(AssertionError):
        assert_same(found, expected)


def test_tolerance():
    assert_same(np.array([100.0]), np.array([100.05]), 1e-3)
    with pytest.raises(AssertionError):
        assert_same(np.array([100.0]), np.array([101.0]), 1e-3)
