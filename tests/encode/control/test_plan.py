"""Plans from what was measured."""

import numpy as np
import pytest

from nvcodec.encode.control.plan import (
    WINDOW_SECONDS,
    Bound,
    halving_of,
    make_plan,
    window_bytes,
)
from nvcodec.encode.control.steering import Measured


def measured(sizes, crf=30.0, seconds=0.5):
    return [Measured(crf, seconds, size) for size in sizes]


def test_one_crf_for_all_gives_the_total():
    plan = make_plan(measured([1000, 5000, 2000]), 6.0, total=4000)
    assert plan.crfs == pytest.approx([36] * 3, abs=1e-3)
    assert sum(plan.bytes) == pytest.approx(4000, rel=1e-3)
    assert not any(plan.capped)


def test_nothing_beyond_the_range():
    assert set(make_plan(measured([1000]), 6.0, total=1).crfs) == {60}
    assert make_plan(measured([1000]), 6.0, total=1e9).crfs == pytest.approx([0], abs=1e-6)


def test_a_bound_is_kept_in_all_windows():
    sizes = [1000] * 20 + [4000, 9000, 8000] + [1000] * 20
    bound = Bound(8000, 80)
    plan = make_plan(measured(sizes), 6.0, crf=30.0, bound=bound)
    starts = 0.5 * np.arange(len(sizes))
    assert window_bytes(starts, np.array(plan.bytes) + 80).max() <= 8000 * 1.01
    # Groups far from there keep their crf, and nothing changes suddenly.
    assert plan.crfs[0] == plan.crfs[-1] == 30
    assert max(plan.crfs) > 32
    assert np.abs(np.diff(plan.crfs)).max() <= 1 + 1e-6
    assert [crf > 30 for crf in plan.crfs] == list(plan.capped)


def test_other_groups_get_what_a_bound_leaves():
    sizes = [1000] * 10 + [9000] * 2 + [1000] * 10
    free = make_plan(measured(sizes), 6.0, total=30000)
    bounded = make_plan(measured(sizes), 6.0, total=30000, bound=Bound(12000, 0))
    assert sum(bounded.bytes) == pytest.approx(30000, rel=5e-3)
    assert bounded.crfs[0] < free.crfs[0] < bounded.crfs[10]


def test_windows():
    starts = np.array([0, 0.5, 1.0, 1.9, 2.0, 2.1])
    assert WINDOW_SECONDS == 2
    assert window_bytes(starts, np.ones(6)).tolist() == [4, 5, 4, 3, 2, 1]


def test_passes_show_how_much_crf_halves_the_bytes():
    assert halving_of([measured([4000], 30)]) == 6
    assert halving_of([measured([4000], 30), measured([2000], 35)]) == pytest.approx(5)
    assert halving_of([measured([4000], 30), measured([3990], 30.1)]) == 6
