"""Spec 12.1, 12.2 and 13, written from the text in exact arithmetic, patch by patch."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.nirvana.components import Components
from tests.coding.nirvana import reference as coding
from tests.coding.nirvana.reference import D, F, N, P, T, hidden, offset, rshift, table
from tests.model.hybrid.canvas.reference import S6

Array = np.ndarray

LIMIT = np.array([32767 if f < 16 else 8191 for f in range(F)])

MOVE = [
    [0, 64, 0, 0],
    [-3, 61, 6, 0],
    [-4, 56, 14, -2],
    [-5, 47, 25, -3],
    [-4, 36, 36, -4],
    [-3, 25, 47, -5],
    [-2, 14, 56, -4],
    [0, 6, 61, -3],
]


def step(q: int) -> int:
    return S6[q % 6] << (q // 6)


def reciprocal(q: int) -> int:
    return (2**22 + step(q) // 2) // step(q)


def in_steps(features: Array, q: int) -> Array:
    return coding.in_steps(features, reciprocal(q))


def add_residuals(moved: Array, residual: Array, q: int) -> Array:
    sums = moved.astype(np.int64) + rshift(residual.astype(np.int64) * step(q), 3)
    return np.clip(sums, -LIMIT, LIMIT)


def frame_of(samples: Array, t: int) -> Array:
    """The plane of frame t from the samples of all patches (rows, columns, D)."""
    rows, columns = samples.shape[:2]
    plane = np.zeros((rows * P, columns * P), np.int64)
    for y in range(P):
        for x in range(P):
            plane[y::P, x::P] = samples[:, :, (t * P + y) * P + x]
    return plane


def trace(features: Array, frames: int) -> Array:
    sums = features.astype(np.int64) @ table().BASIS.T
    return frame_of(np.clip(rshift(sums, 12), -2560, 2560), frames - 1)


def moved_samples(plane: Array, top: int, left: int, size: int, vy: int, vx: int) -> Array:
    """The samples of a square of a plane, moved by a vector in eighths of its samples."""
    height, width = plane.shape
    iy, fy, ix, fx = vy >> 3, vy & 7, vx >> 3, vx & 7
    ys, xs = np.arange(top, top + size), np.arange(left, left + size)
    total = np.zeros((size, size), np.int64)
    for j in range(4):
        row = np.clip(ys + iy + j - 1, 0, height - 1)
        across = np.zeros((size, size), np.int64)
        for c in range(4):
            column = np.clip(xs + ix + c - 1, 0, width - 1)
            across += MOVE[fx][c] * plane[row][:, column]
        total += MOVE[fy][j] * rshift(across, 6)
    samples = rshift(total, 6)
    assert np.abs(samples).max() < 4096
    return samples


def moved_features(plane: Array, paths: Array, intra: Array, sx: int = 0, sy: int = 0) -> Array:
    """Moved(f) of all patches of a layer."""
    rows, columns, frames = plane.shape[0] // P, plane.shape[1] // P, paths.shape[2]
    plane = plane.astype(np.int64)
    out = np.zeros((rows, columns, F), np.int64)
    for py, px in np.ndindex(rows, columns):
        block = (py << sy) >> 1, (px << sx) >> 1
        if intra[block]:
            continue
        moved = []
        for t in range(T):
            dy, dx = (int(v) for v in paths[(*block, min(t, frames - 1))])
            vy, vx = (2 * dy) >> sy, (2 * dx) >> sx
            moved.append(moved_samples(plane, py * P, px * P, P, vy, vx).ravel())
        sums = table().BASIS.T @ np.concatenate(moved)
        out[py, px] = np.clip(rshift(sums, 14), -LIMIT, LIMIT)
    return out


def output_layer(components: Components) -> tuple[Array, Array]:
    """`weight` and `bias` of spec 13."""
    weight, bias = table().W3.copy(), table().B3.copy()
    total = np.zeros_like(weight)
    for component in components:
        if component is not None:
            i, j = (
                np.frombuffer(part, np.int8).astype(np.int64)
                for part in (component.inputs, component.outputs)
            )
            total += rshift(16 * j[:, None] * i[:-1], component.shift)
            bias += 2048 * rshift(16 * j * i[-1], component.shift)
    return np.clip(weight + total, -32639, 32639), bias


def render(features: Array, q: int, components: Components, depth: int = 8) -> list[Array]:
    """The planes of all T frames of a layer, whole patches, samples of `depth` bits."""
    data, cq = table(), offset(q)
    weight, bias = output_layer(components)
    features = features.astype(np.int64)
    rows, columns = features.shape[:2]
    a = np.zeros((rows + 2, columns + 2, F), np.int64)
    a[1:-1, 1:-1] = np.clip(rshift(features * data.SCALE, 15), -4095, 4095)
    samples = np.zeros((rows, columns, D), np.int64)
    for py, px in np.ndindex(rows, columns):
        window = a[py : py + 3, px : px + 3, :N].transpose(2, 0, 1).ravel()
        total = data.B1[0] + cq * data.B1[1] + data.W1.reshape(len(data.W1), -1) @ window
        total = total + data.W1C @ a[py + 1, px + 1, N:]
        h1 = hidden(total, data.SHIFTS[0])
        h2 = hidden(data.B2 + data.W2 @ h1, data.SHIFTS[1])
        v = bias + data.BASIS @ features[py, px] + weight @ h2
        v = (v + 2048 + 2**31) % 2**32 - 2**31
        v = np.clip(v >> 12, -8191, 8191)
        samples[py, px] = np.clip(rshift(v + 2048, 12 - depth), 0, 2**depth - 1)
    return [frame_of(samples, t) for t in range(T)]
