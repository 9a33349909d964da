"""SAD and SATD of blocks to one reference, SATD to the mean of two."""

import numba
import numpy as np
import pytest

from nvcodec.encode.distances import sad, satd, satd_apart, satd_mean, satd_mean_apart
from tests.encode.hybrid.reference import hadamard_sum

FAR = 1 << 40
SHAPES = [(8, 8), (16, 16), (32, 32), (64, 64), (8, 32), (32, 8), (16, 64), (64, 32), (8, 16)]


@pytest.mark.parametrize(("wide", "tall"), SHAPES)
@pytest.mark.parametrize("extreme", [False, True])
def test_distances(wide, tall, extreme):
    rng = np.random.default_rng(wide)
    current, a, b = (rng.integers(0, 256, (70, w), np.uint8) for w in (90, 100, 100))
    if extreme:
        current[:], a[:], b[:] = 255, 0, 0
    (y, x), (ay, ax), (by, bx) = (1, 3), (5, 0), (2, 17)
    block = current[y : y + tall, x : x + wide].astype(np.int64)
    first, second = (
        p[r : r + tall, c : c + wide].astype(np.int64) for p, r, c in ((a, ay, ax), (b, by, bx))
    )
    one = current.ravel(), 90 * y + x, 90, a.ravel(), 100 * ay + ax
    two = *one, b.ravel(), 100 * by + bx
    mean = (first + second + 1) >> 1
    assert sad(*one, 100, wide, tall, FAR) == abs(block - first).sum()
    assert satd(*one, 100, wide, tall, FAR) == hadamard_sum(block - first)
    assert satd_mean(*two, 100, wide, tall, FAR) == hadamard_sum(block - mean)
    for distance, blocks in ((sad, one), (satd, one), (satd_mean, two)):
        whole = distance(*blocks, 100, wide, tall, FAR)
        assert whole // 3 < distance(*blocks, 100, wide, tall, whole // 3) <= whole


@numba.njit
def satds_apart(current, a, b, at, a_at, b_at, size):
    return (
        satd_apart(current, at, size, a, *a_at, size),
        satd_mean_apart(current, at, size, a, *a_at, b, *b_at, size),
    )


@pytest.mark.parametrize(("kind", "most"), [(np.uint8, 256), (np.uint16, 4096)])
def test_cells_apart(kind, most):
    rng = np.random.default_rng(most)
    current, a, b = rng.integers(0, most, (3, 40, 40)).astype(kind)
    flat = [plane.ravel() for plane in (current, a, b)]
    found = satds_apart(*flat, 40 * 3 + 5, (7, 40 * 9 + 30), (40 * 31 + 1, 40 * 2 + 2), 40)
    first = np.hstack([a[:8, 7:15], a[9:17, 30:38]])
    second = np.hstack([b[31:39, 1:9], b[2:10, 2:10]])
    for distance, shown in zip(found, ((first,), (first, second)), strict=True):
        flat_shown = [np.ascontiguousarray(plane).ravel() for plane in shown]
        if len(shown) == 1:
            assert distance == satd(flat[0], 125, 40, flat_shown[0], 0, 16, 16, 8, FAR)
        else:
            one, other = flat_shown
            assert distance == satd_mean(flat[0], 125, 40, one, 0, other, 0, 16, 16, 8, FAR)


def blocks_of(plane, places, n):
    return [plane[y : y + n, x : x + n].astype(np.int64) for y, x in places.tolist()]


@numba.njit
def sads(current, a, b, at, a_at, b_at, size, n, limit, out):
    for k in range(len(out)):
        out[k] = sad(current, at[k], size, a, a_at[k], size, n, n, limit)


@numba.njit
def satds(current, a, b, at, a_at, b_at, size, n, limit, out):
    for k in range(len(out)):
        out[k] = satd(current, at[k], size, a, a_at[k], size, n, n, limit)


@numba.njit
def satd_means(current, a, b, at, a_at, b_at, size, n, limit, out):
    for k in range(len(out)):
        out[k] = satd_mean(current, at[k], size, a, a_at[k], b, b_at[k], size, n, n, limit)


@pytest.mark.parametrize("n", [8, 16, 32, 64])
@pytest.mark.parametrize(("hadamard", "mean"), [(False, False), (True, False), (True, True)])
def test_many_blocks(hadamard, mean, n, kernel_bench):
    rng = np.random.default_rng(n)
    size, count = 160, 4096 // n
    current, a, b = rng.integers(0, 256, (3, size, size), np.uint8)
    places = rng.integers(0, size - n + 1, (3, count, 2))
    at, a_at, b_at = places @ np.array([size, 1])
    out = np.zeros(count, np.int64)
    flat = [plane.ravel() for plane in (current, a, b)]

    run = satd_means if mean else satds if hadamard else sads

    def call():
        run(*flat, at, a_at, b_at, size, n, FAR, out)
        return out

    def slow():
        first, second = blocks_of(a, places[1], n), blocks_of(b, places[2], n)
        if mean:
            first = [(p + q + 1) >> 1 for p, q in zip(first, second, strict=True)]
        differences = [
            block - p for block, p in zip(blocks_of(current, places[0], n), first, strict=True)
        ]
        return np.array([hadamard_sum(d) if hadamard else abs(d).sum() for d in differences])

    name = f"{'satd' if hadamard else 'sad'}{'_mean' if mean else ''} {n}"
    kernel_bench(name, n * n * count, call, slow)
