"""Random features and traces, also of the magnitudes that are hardest for kernels."""

from __future__ import annotations

import numpy as np

from tests.coding.nirvana.reference import F

from .reference import LIMIT, P

KINDS = ("calm", "lively", "extreme")


def random_features(rng: np.random.Generator, rows: int, columns: int, kind: str) -> np.ndarray:
    """Features (rows, columns, F) in 1/8 sample."""
    shape = rows, columns, F
    if kind == "extreme":
        # Some are a little inside.
        signs = rng.choice([-1, 1], shape)
        return (signs * (LIMIT - rng.integers(0, 2, shape))).astype(np.int16)
    values = rng.laplace(0, 120 if kind == "calm" else 700, shape)
    return np.clip(np.rint(values), -LIMIT, LIMIT).astype(np.int16)


def random_trace(rng: np.random.Generator, rows: int, columns: int, kind: str) -> np.ndarray:
    """A trace in 1/16 sample."""
    shape = rows * P, columns * P
    if kind == "extreme":
        return rng.choice([-2560, 2560], shape).astype(np.int16)
    values = rng.laplace(0, 60 if kind == "calm" else 900, shape)
    return np.clip(np.rint(values), -2560, 2560).astype(np.int16)
