"""Patches to samples (spec 5.5): the weights of neighbours, and their sums."""

from __future__ import annotations

import numpy as np
import pytest

from nvcodec.model.sine.render import _blend, axis_weights
from tests.kernels import KernelBench

from . import reference


@pytest.mark.parametrize("patch", range(2, 65))
def test_blending_weights(patch: int) -> None:
    """They are those of the text, and neighbours sum to 64, so that a sample's sum to 4096."""
    for overlap in range(patch // 2 + 1):
        table = axis_weights(patch, overlap)
        assert table.shape == (2, 2, patch)
        stride = patch - overlap
        for before in (0, 1):
            for after in (0, 1):
                expected = [
                    reference.ramp_weight(k, patch, overlap, bool(before), bool(after))
                    for k in range(patch)
                ]
                assert table[before, after].tolist() == expected
        line = np.zeros(3 * stride + patch, np.int64)
        for n in range(4):
            line[n * stride : n * stride + patch] += table[int(n > 0), int(n < 3)]
        assert (line == 64).all()
        assert (np.outer(line, line) == 4096).all()


@pytest.mark.parametrize("overlap", [0, 2, 8])
@pytest.mark.parametrize("first", [(0, 0), (1, 2)])
def test_blend(first: tuple[int, int], overlap: int, kernel_bench: KernelBench) -> None:
    """Some patches of a frame of 5 x 7, from the first row and column of the first one on."""
    patch, total = 16, (5, 7)
    rows, columns = total[0] - first[0], total[1] - first[1]
    stride = patch - overlap
    rng = np.random.default_rng(overlap)
    values = rng.integers(-3000, 3000, (rows, columns, patch, patch), np.int16)
    out = np.zeros((rows * stride, columns * stride), np.uint8)
    origin = first[0] * stride, first[1] * stride

    def call() -> np.ndarray:
        _blend(values, axis_weights(patch, overlap), stride, first, total, origin, out)
        return out

    def slow() -> np.ndarray:
        sums = np.full(((rows + 1) * stride + patch, (columns + 1) * stride + patch), 2048 << 12)
        for j in range(rows):
            for i in range(columns):
                py, px = first[0] + j, first[1] + i
                wy, wx = (
                    [
                        reference.ramp_weight(k, patch, overlap, n > 0, n < most - 1)
                        for k in range(patch)
                    ]
                    for n, most in ((py, total[0]), (px, total[1]))
                )
                place = np.s_[j * stride : j * stride + patch, i * stride : i * stride + patch]
                sums[place] += values[j, i].astype(np.int64) * np.outer(wy, wx)
        return np.clip((sums + (1 << 15)) >> 16, 0, 255)[: out.shape[0], : out.shape[1]]

    kernel_bench(f"blend, overlap {overlap}, from {first}", out.size, call, slow)
