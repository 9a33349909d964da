"""Trace, moved features, steps and residuals against the text (spec 12.1, 12.2)."""

from __future__ import annotations

import numpy as np
import pytest

from nvcodec.coding.nirvana.features import MAX_RESIDUAL
from nvcodec.coding.nirvana.motion import MAX_VECTOR
from nvcodec.model.nirvana.moved import (
    LIMIT,
    MOVE,
    add_residuals,
    linear,
    make_trace,
    move_features,
    reciprocal_of,
    step_of,
)
from tests.coding.nirvana.reference import F, table
from tests.kernels import KernelBench

from . import reference
from .samples import KINDS, random_features, random_trace

GRIDS = [(1, 1), (3, 2), (1, 17), (4, 5)]


def test_constants() -> None:
    assert LIMIT.tolist() == reference.LIMIT.tolist()
    assert MOVE.tolist() == reference.MOVE
    for q in range(4, 64):
        assert (step_of(q), reciprocal_of(q)) == (reference.step(q), reference.reciprocal(q))


def traced(features: np.ndarray, frames: int) -> np.ndarray:
    plane = np.empty([8 * side for side in features.shape[:2]], np.int16)
    make_trace(linear(), features, frames - 1, 0, len(features), plane)
    return plane


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", GRIDS)
def test_trace(grid: tuple[int, int], kind: str) -> None:
    features = random_features(np.random.default_rng(len(kind)), *grid, kind)
    for frames in range(1, 5):
        np.testing.assert_array_equal(traced(features, frames), reference.trace(features, frames))


@pytest.mark.parametrize("sign", [-1, 1])
def test_trace_of_the_largest_sums(sign: int) -> None:
    """Each patch makes one sample as large as it can be."""
    rows, columns = 4, 6
    basis = table().BASIS[-64:]
    order = np.argsort(-(np.abs(basis) @ LIMIT))[: rows * columns]
    features = sign * np.sign(basis[order]) * LIMIT
    features = features.reshape(rows, columns, F).astype(np.int16)
    found = traced(features, 4)
    np.testing.assert_array_equal(found, reference.trace(features, 4))
    assert np.abs(found).max() == 2560


def moved(
    plane: np.ndarray,
    paths: np.ndarray,
    intra: np.ndarray,
    cuts: tuple = (),
    shifts: tuple[int, int] = (0, 0),
) -> np.ndarray:
    rows, columns = (side // 8 for side in plane.shape)
    out = np.full((rows, columns, F), -1, np.int16)
    for first, end in zip((0, *cuts), (*cuts, rows), strict=True):
        move_features(linear(), plane, paths, intra, *shifts, first, end, out)
    return out


def blocks(rows: int, columns: int) -> tuple[int, int]:
    return -(-rows // 2), -(-columns // 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize("grid", GRIDS)
def test_moved_features(grid: tuple[int, int], frames: int, kind: str) -> None:
    """Vectors of all phases, those that leave the plane, and the longest ones."""
    rng = np.random.default_rng(frames)
    planes, shape = random_trace(rng, *grid, kind), blocks(*grid)
    intra = (rng.random(shape) < 0.2).astype(np.uint8)
    for reach in (9, 70, MAX_VECTOR):
        paths = rng.integers(-reach, reach + 1, (*shape, frames, 2)).astype(np.int32)
        paths[0, 0, -1] = -reach, reach
        found = moved(planes, paths, intra)
        expected = reference.moved_features(planes, paths, intra)
        np.testing.assert_array_equal(found, expected)
        cuts = tuple(range(1, grid[0], 2))
        np.testing.assert_array_equal(moved(planes, paths, intra, cuts), expected)


@pytest.mark.parametrize("shifts", [(1, 1), (1, 0)])
def test_motion_of_chroma(shifts: tuple[int, int]) -> None:
    """Blocks and vectors are those of luma."""
    rng, (sx, sy) = np.random.default_rng(1), shifts
    plane, shape = random_trace(rng, 5, 3, "lively"), blocks(5 << sy, 3 << sx)
    intra = (rng.random(shape) < 0.2).astype(np.uint8)
    paths = rng.integers(-70, 71, (*shape, 3, 2)).astype(np.int32)
    expected = reference.moved_features(plane, paths, intra, sx, sy)
    np.testing.assert_array_equal(moved(plane, paths, intra, (2,), shifts), expected)


def test_all_phases() -> None:
    """Every quarter of a luma sample, and every eighth of a chroma sample, across and down."""
    rng = np.random.default_rng(5)
    plane, intra = random_trace(rng, 2, 2, "lively"), np.zeros((2, 2), np.uint8)
    for vy in range(8):
        paths = np.array([[vy, vx] for vx in range(8)], np.int32)
        for four in (paths[:4], paths[4:]):
            four = np.tile(four, (2, 2, 1, 1))
            for shifts in ((0, 0), (1, 1)):
                np.testing.assert_array_equal(
                    moved(plane, four, intra, shifts=shifts),
                    reference.moved_features(plane, four, intra, *shifts),
                )


def test_moved_features_of_the_largest_sums() -> None:
    """A trace of one patch that is as much of one feature as it can be."""
    basis, found = table().BASIS, []
    for f in (0, 3, 15, 16, 70, 127):
        samples = 2560 * np.sign(basis[:, f])[None, None]
        planes = reference.frame_of(samples, 0).astype(np.int16)
        for vector in ((0, 0), (2, 1), (-3, 7)):
            paths, intra = np.full((1, 1, 1, 2), vector, np.int32), np.zeros((1, 1), np.uint8)
            got = moved(planes, paths, intra)
            np.testing.assert_array_equal(got, reference.moved_features(planes, paths, intra))
            found.append(np.abs(got).max())
    assert max(found) > 8191


@pytest.mark.parametrize("q", [4, 5, 23, 40, 63])
def test_steps_and_residuals(q: int) -> None:
    rng = np.random.default_rng(q)
    for kind in KINDS:
        features = random_features(rng, 3, 4, kind).reshape(-1, F)
        assert reciprocal_of(q) == reference.reciprocal(q)
        for most in (3, MAX_RESIDUAL):
            residual = rng.integers(-most, most + 1, features.shape).astype(np.int32)
            residual[0], residual[1] = most, -most
            out = np.empty_like(features)
            add_residuals(features, residual, step_of(q), out)
            np.testing.assert_array_equal(out, reference.add_residuals(features, residual, q))


def test_bench(kernel_bench: KernelBench) -> None:
    rng = np.random.default_rng(0)
    features, planes = random_features(rng, 8, 12, "lively"), random_trace(rng, 8, 12, "lively")
    paths, intra = rng.integers(-30, 31, (4, 6, 4, 2)).astype(np.int32), np.zeros((4, 6), np.uint8)
    kernel_bench(
        "trace",
        8 * 12 * 64,
        lambda: traced(features, 4),
        lambda: reference.trace(features, 4),
    )
    kernel_bench(
        "moved features",
        8 * 12 * F,
        lambda: moved(planes, paths, intra),
        lambda: reference.moved_features(planes, paths, intra),
        unit="feature",
    )
