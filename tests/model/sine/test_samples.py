"""Patches to samples (spec 5.5)."""

from __future__ import annotations

import numpy as np
import pytest

from nvcodec.model.sine.render import _place
from tests.kernels import KernelBench

from . import reference


@pytest.mark.parametrize("origin", [(0, 0), (16, 32), (18, 37)])
def test_place(origin: tuple[int, int], kernel_bench: KernelBench) -> None:
    """Patches of a frame from the one on that has the sample `origin`."""
    patch, rows, columns = 16, 4, 5
    first = origin[0] // patch, origin[1] // patch
    rng = np.random.default_rng(0)
    values = rng.integers(-3000, 3000, (rows, columns, patch, patch), np.int16)
    values[0, 0, :2] = [[-32768], [32767]]
    height, width = rows * patch - origin[0] % patch, columns * patch - origin[1] % patch
    out = np.zeros((height, width), np.uint8)

    def call() -> np.ndarray:
        _place(values, first, origin, out)
        return out

    def slow() -> np.ndarray:
        whole = np.block([list(row) for row in values]).tolist()
        samples = [
            [reference.clip(0, 255, reference.rshift(value + 2048, 4)) for value in row]
            for row in whole
        ]
        return np.array(samples)[-height:, -width:]

    kernel_bench(f"samples from {origin}", out.size, call, slow)
