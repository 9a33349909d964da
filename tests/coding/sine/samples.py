"""Random differences of a group, and their decoding by the slow decoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nvcodec.coding.sine.weights import KINDS, Differences
from tests.coding import reference

Matrices = list[tuple[int, np.ndarray]]


def laplacian(seed: int, scale: float, *shapes: tuple[int, int]) -> Matrices:
    rng = np.random.default_rng(seed)
    return [(n % KINDS, rng.laplace(0, scale, s).astype(np.int32)) for n, s in enumerate(shapes)]


def shapes_of(coded: Matrices) -> list[tuple[int, tuple[int, int]]]:
    return [(kind, matrix.shape) for kind, matrix in coded]


def plain(coded: Matrices) -> Differences:
    """Differences without features."""
    return Differences(coded, np.zeros((0, 0), np.int32), 1, True)


def cleared(coded: Differences) -> Differences:
    """What a decoder fills in."""
    matrices = [(kind, np.zeros_like(matrix)) for kind, matrix in coded.matrices]
    return replace(coded, matrices=matrices, features=np.zeros_like(coded.features))


def arrays(coded: Differences) -> list[np.ndarray]:
    found = [matrix for _, matrix in coded.matrices]
    return [*found, coded.features] if coded.features.shape[1] else found


def slow_decode(
    tables: bytes, network: bytes, coded: Differences
) -> tuple[list[list[list[int]]], reference.Decoder | None, reference.Decoder]:
    """What the text makes of data of this layout."""
    patches, count = coded.features.shape
    grid = patches // coded.grid_columns, coded.grid_columns
    shapes = [(kind, matrix.shape) for kind, matrix in coded.matrices]
    return reference.decode(tables, network, shapes, grid, count, coded.key)
