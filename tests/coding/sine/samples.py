"""Random differences of a group, and their decoding by the slow decoder."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.sine.weights import KINDS

Matrices = list[tuple[int, np.ndarray]]


def laplacian(seed: int, scale: float, *shapes: tuple[int, int]) -> Matrices:
    rng = np.random.default_rng(seed)
    return [(n % KINDS, rng.laplace(0, scale, s).astype(np.int32)) for n, s in enumerate(shapes)]


def shapes_of(coded: Matrices) -> list[tuple[int, tuple[int, int]]]:
    return [(kind, matrix.shape) for kind, matrix in coded]


def cleared(coded: Matrices) -> Matrices:
    """What a decoder fills in."""
    return [(kind, np.zeros_like(matrix)) for kind, matrix in coded]
