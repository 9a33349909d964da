"""The simulation of many workers, and the kills of tools.faults."""

from dataclasses import replace

import pytest

from tests.cli.support import moving, y4m
from tests.tools.support import run
from tools import faults
from tools.bench import many_workers
from tools.bench.many_workers import Film, Times, simulate

TIMES = Times(plan=0.001, frame=(0.4,), start=0.1, silent=0.1, result=0.002, bytes=1e5)
FILM = Film(1000, 25, 10, 8, spread=0, slow_share=0, slow_factor=3, bytes_per_second=1e8, seed=1)


def test_few_workers_are_used_in_full():
    alone, _ = simulate(TIMES, FILM, 1)
    assert alone == pytest.approx(25000 * 0.4, rel=0.01)
    for workers in (2, 8):
        assert alone / simulate(TIMES, FILM, workers)[0] > 0.97 * workers


def test_a_slow_job_holds_the_end_up_for_less_than_it_takes():
    """One in twenty takes ten times as long as others."""
    film = replace(FILM, slow_share=0.05, slow_factor=10)
    longest = 10 * 250 * 0.4
    assert simulate(TIMES, film, 60)[0] < longest


def test_planning_is_the_limit():
    seconds, busy = simulate(TIMES, FILM, 100_000)
    # 25 s of planning, and what the last segment takes.
    assert 25 < seconds < 25 + 105
    assert busy == pytest.approx(25, rel=0.05)


def test_figures_of_a_clip(tmp_path):
    path = tmp_path / "in.y4m"
    path.write_bytes(y4m(moving(6, 24, 16)))
    options = ["--model", "nirvana:fast", "--clip-interval", 0.1, "--workers", "1,4"]
    _, (measured, scaled) = run(
        many_workers.main, path, *options, "--film-seconds", 60, "--seeds", 2
    )
    assert measured[0]["frames"] == "6"
    assert [row["workers"] for row in scaled] == ["1", "4"]


@pytest.mark.deep
def test_an_encode_that_is_killed(tmp_path):
    path = tmp_path / "in.y4m"
    path.write_bytes(y4m(moving(30, 24, 16)))
    text = run(faults.main, path, "--times", 1, "--kill", "nvenc")[0]
    assert "All 1 files are the same" in text
    assert "none of worker" in run(faults.main, path, "--kill", "all", code=2)[0]
