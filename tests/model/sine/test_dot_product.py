"""Products by the processor's integer instructions against 64-bit ones, and when they are used."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite.binding import get_host_cpu_features

from nvcodec.model.sine import dot_product
from tests.kernels import KernelBench

FEATURES = get_host_cpu_features()
needs_instructions = pytest.mark.skipif(
    not (FEATURES.get("avx512vnni") or FEATURES.get("avxvnni")), reason="no such instructions here"
)


@needs_instructions
def test_usable_where_there_are_instructions() -> None:
    assert dot_product.usable()


def stored(values: np.ndarray, dtype: type) -> np.ndarray:
    """Values (rows, across, factors, columns) as words, with rubbish where factors end in one."""
    depth = 4 // np.dtype(dtype).itemsize
    rows, across, factors, columns = values.shape
    words = -(-factors // depth)
    full = np.full((rows, across, words * depth, columns), 77, dtype)
    full[:, :, :factors] = values
    full = full.reshape(rows, across, words, depth, columns)
    return np.ascontiguousarray(full.transpose(0, 1, 2, 4, 3)).view(np.int32)[..., 0]


def check_matrix(product: ModuleType, weights: np.ndarray, values: np.ndarray, dtype: type) -> None:
    """weights (rows, k) * values (k, n), signed values of the range of dtype's layers."""
    narrow = dtype is np.int8
    kind = np.uint8 if narrow else np.int16
    columns = product.padded(values.shape[1])
    full = np.zeros((1, 1, len(values), columns), np.int64)
    full[0, 0, :, : values.shape[1]] = values + product.OFFSET * narrow
    packed = product.pack(weights, dtype)
    out = product.empty((1, len(packed) * product.BLOCK_ROWS, columns), np.int32)
    out[:] = 99
    product.products(packed, stored(full, kind), out)
    sums = out[0, : len(weights), : values.shape[1]].astype(np.int64)
    if narrow:
        sums -= product.OFFSET * weights.sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(sums, weights @ values)
    assert not out[0, len(weights) :].any()


RANGES = {np.int8: 127, np.int16: 2047}
KINDS = ("random", "most", "least", "alternating")


def matrix(kind: str, most: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    if kind == "random":
        return rng.integers(-most, most + 1, shape)
    if kind == "alternating":
        return np.where(np.add.outer(*map(np.arange, shape)) % 2, most, -most)
    return np.full(shape, most if kind == "most" else -most)


@needs_instructions
@given(
    st.sampled_from(list(RANGES)),
    st.integers(1, 20),
    st.integers(1, 300),
    st.integers(1, 150),
    st.sampled_from(KINDS),
    st.sampled_from(KINDS),
    st.integers(0, 99),
)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_matrices(
    dtype: type, rows: int, k: int, columns: int, left: str, right: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    most = RANGES[dtype]
    weights, values = matrix(left, most, (rows, k), rng), matrix(right, most, (k, columns), rng)
    check_matrix(dot_product, weights, values, dtype)


@needs_instructions
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("words", [1, 3])
@pytest.mark.parametrize("columns", [16, 64, 112])
def test_windows(dtype: type, size: int, words: int, columns: int) -> None:
    """Square windows at all places of a line, of values that lie in rows below each other."""
    depth, most = 4 // np.dtype(dtype).itemsize, RANGES[dtype]
    rng = np.random.default_rng(words)
    low, high = (0, 256) if dtype is np.int8 else (-most, most + 1)
    values = rng.integers(low, high, (size, 6, words * depth, columns))
    weights = rng.integers(-most, most + 1, (5, size, size, words * depth))
    out = np.empty((7 - size, 6, columns), np.int32)
    dot_product.products(
        dot_product.pack(weights.reshape(5, -1), dtype),
        stored(values, np.uint8 if dtype is np.int8 else np.int16),
        out,
    )
    for i in range(7 - size):
        exact = np.einsum("ryxk,yxkn->rn", weights, values[:, i : i + size])
        np.testing.assert_array_equal(out[i, :5], exact)


@pytest.mark.skipif(not FEATURES.get("avx512vnni"), reason="no such instructions here")
def test_narrow_vectors(tmp_path: Path) -> None:
    """Vectors of 256 bits, which processors without the wider ones have."""
    text = Path(dot_product.__file__).read_text(encoding="utf-8")
    narrow = tmp_path / "narrow_dot_product.py"
    assert text.count("\n_LANES = _lanes()\n") == 1
    narrow.write_text(text.replace("_LANES = _lanes()", "_LANES = 8"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(narrow.stem, narrow)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.usable()
    rng = np.random.default_rng(3)
    for dtype, most in RANGES.items():
        for columns in (1, 32, 50):
            weights, values = (matrix("random", most, s, rng) for s in ((7, 9), (9, columns)))
            check_matrix(module, weights, values, dtype)


@pytest.mark.parametrize(
    ("settings", "usable"),
    [
        ({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}, False),
        ({"NUMBA_ENABLE_AVX": "0"}, False),
        ({"NUMBA_DISABLE_JIT": "1"}, False),
        ({}, bool(FEATURES.get("avx512vnni") or FEATURES.get("avxvnni"))),
        pytest.param(
            {"NUMBA_CPU_NAME": "alderlake", "NUMBA_CPU_FEATURES": "+avxvnni"},
            True,
            marks=pytest.mark.skipif(not FEATURES.get("avxvnni"), reason="not this processor"),
        ),
    ],
)
def test_what_numba_compiles_for(settings: dict[str, str], usable: bool) -> None:
    """Code for one processor, in the cache too, is never taken for another one."""
    code = "from nvcodec.model.sine.dot_product import usable; print(usable())"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(usable)]


def test_not_usable_when_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(weights: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
        out[:] = 1

    def fails(weights: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
        raise RuntimeError("no code for this")

    for substitute in (wrong, fails):
        monkeypatch.setattr(dot_product, "_LANES", 16)
        monkeypatch.setattr(dot_product, "products", substitute)
        assert not dot_product.usable.__wrapped__()


@needs_instructions
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("columns", [16, 64])
def test_layer(columns: int, dtype: type, kernel_bench: KernelBench) -> None:
    """Products of a layer of 96 units for a batch of patches."""
    rows = k = 96
    most, narrow = RANGES[dtype], dtype is np.int8
    rng = np.random.default_rng(columns)
    weights, values = (matrix("random", most, s, rng) for s in ((rows, k), (k, columns)))
    packed = dot_product.pack(weights, dtype)
    full = (values + dot_product.OFFSET * narrow)[None, None]
    inputs = stored(full, np.uint8 if narrow else np.int16)
    out = dot_product.empty((1, rows, columns), np.int32)

    def call() -> np.ndarray:
        dot_product.products(packed, inputs, out)
        return out[0]

    kernel_bench(
        f"products of {np.dtype(dtype)}, {columns} columns",
        rows * k * columns,
        call,
        lambda: weights @ full[0, 0],
        unit="product",
    )
