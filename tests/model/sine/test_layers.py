"""Layers after their products (spec 5.2), against Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from nvcodec.model.sine.layers import SINE, first_layer, sine_layer
from tests.kernels import KernelBench

from . import reference

ROWS, COUNT = 24, 64


def sine(acc: int, scale: int) -> int:
    phase = reference.rshift(acc * scale, 24) % 2**16
    return reference.SINE[((phase + 32) >> 6) % 1024]


@pytest.mark.parametrize(("depth", "offset"), [(1, 0), (4, 128)])
def test_first_layer(depth: int, offset: int, kernel_bench: KernelBench) -> None:
    rng = np.random.default_rng(depth)
    cx, cy = rng.integers(-32768, 32768, (2, COUNT))
    weights = rng.integers(-127, 128, (ROWS, 2)).astype(np.int32)
    bias, scale = rng.integers(-(1 << 30), 1 << 30, ROWS), 29193 << 6
    out = np.zeros((ROWS // depth, COUNT, depth), np.float32 if depth == 1 else np.uint8)

    def call() -> np.ndarray:
        first_layer(cx, cy, weights, bias, scale, SINE, offset, out)
        return out.swapaxes(1, 2).reshape(ROWS, COUNT)

    def slow() -> list[np.ndarray]:
        acc = weights.astype(object) @ np.stack([cx, cy]).astype(object) + bias[:, None]
        return np.array([[offset + sine(a, scale) for a in row] for row in acc.tolist()])

    kernel_bench(f"first_layer, words of {depth}", ROWS * COUNT, call, slow, unit="output")


@pytest.mark.parametrize(("depth", "offset"), [(1, 0), (4, 128)])
def test_sine_layer(depth: int, offset: int, kernel_bench: KernelBench) -> None:
    rng = np.random.default_rng(depth)
    acc = rng.integers(-(1 << 24), 1 << 24, (ROWS + 2, COUNT))
    acc = acc.astype(np.float32 if depth == 1 else np.int32)
    bias, scale = rng.integers(-(1 << 22), 1 << 22, ROWS), 29193 << 14
    out = np.zeros((ROWS // depth, COUNT, depth), np.float32 if depth == 1 else np.uint8)

    def call() -> np.ndarray:
        sine_layer(acc, bias, scale, SINE, offset, out)
        return out.swapaxes(1, 2).reshape(ROWS, COUNT)

    def slow() -> np.ndarray:
        sums = acc[:ROWS].astype(np.int64) + bias[:, None]
        return np.array([[offset + sine(a, scale) for a in row] for row in sums.tolist()])

    kernel_bench(f"sine_layer, words of {depth}", ROWS * COUNT, call, slow, unit="output")
