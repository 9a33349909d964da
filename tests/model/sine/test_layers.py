"""Layers after their products (spec 5.2, 5.3), against Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from nvcodec.model.sine.layers import SINE, direct, first_layer, sine_layer
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


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_direct(dtype: type, kernel_bench: KernelBench) -> None:
    half, patch = 4, 8
    rows = 6 * half * half
    rng = np.random.default_rng(0)
    acc, more = rng.integers(-(1 << 23), 1 << 23, (2, rows, COUNT)).astype(dtype)
    bias, scale = rng.integers(-(1 << 22), 1 << 22, (2, rows)), (20643 << 9, 16384 << 8)
    luma = np.zeros((COUNT, patch, patch), np.int16)
    chroma = np.zeros((2, COUNT, half, half), np.int16)

    def call() -> tuple[np.ndarray, np.ndarray]:
        direct(acc, more, bias, scale, luma, chroma)
        return luma, chroma

    def slow() -> tuple[np.ndarray, np.ndarray]:
        total = np.zeros((rows, COUNT), object)
        for sums, shift, factor in zip((acc, more), bias, scale, strict=True):
            total += (sums.astype(np.int64) + shift[:, None]).astype(object) * factor
        values = np.clip((total + (1 << 31)) >> 32, -32768, 32767).astype(np.int16)
        by_phase = values.reshape(6, half, half, COUNT).transpose(0, 3, 1, 2)
        whole = by_phase[:4].reshape(2, 2, COUNT, half, half).transpose(2, 3, 0, 4, 1)
        return whole.reshape(COUNT, patch, patch), by_phase[4:]

    kernel_bench(f"direct of {np.dtype(dtype)}", rows * COUNT, call, slow, unit="value")
