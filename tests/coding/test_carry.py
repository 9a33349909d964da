"""Carry propagation of the range encoder, against one big integer."""

import numba
import numpy as np
import pytest

from nvcodec.coding.carry import shift_low


def steps(rng, count, extreme):
    """What is added to `low` before each shift, as ranges allow it."""
    added, width = [], 0xFFFFFFFF
    for _ in range(count):
        add = width - 1 if rng.random() < extreme else int(rng.integers(0, width))
        width = min(width - add, int(rng.integers(1, 1 << 24)))
        added.append(add)
        width <<= 8
    return added


@pytest.mark.parametrize("extreme", [0.0, 0.5, 0.99])
def test_carries(extreme, kernel_bench):
    count = 2000
    added = steps(np.random.default_rng(0), count, extreme) + [0] * 5
    values, buffer = np.array(added, np.int64), np.zeros(count + 16, np.uint8)

    @numba.njit
    def run(values, buffer):
        low, cache, pending, position = 0, 0, 1, 0
        for value in values:
            low, cache, pending, position = shift_low(buffer, low + value, cache, pending, position)
        return position

    def slow():
        total = 0
        for value in added:
            total = (total + value) << 8
        return np.frombuffer((total >> 32).to_bytes(len(added) + 1, "big")[:-1], np.uint8)

    kernel_bench(
        f"shift_low, {extreme:.0%} extreme",
        len(added),
        lambda: buffer[: run(values, buffer)],
        slow,
        unit="byte",
    )
