"""Features moved along a group's motion (spec 12.1, 12.2): the state between groups.

Takes the features of a layer of a group and the paths of the next group's blocks. Gives that
group's moved features. In between lies the trace: the linear part of the last frame, as a plane.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.table import BLOCK, FEATURES, FRAME, FRAMES, PATCH, VOLUME, load
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.nirvana.rows import (
    MARGIN,
    Layer,
    moved_layer,
    pack_layer,
    row_stride,
    trace_layer,
)
from nvcodec.model.nirvana.volume import store_trace

LIMIT = np.where(np.arange(FEATURES) < 16, 32767, 8191).astype(np.int32)
"""Limit(f) of spec 12.1."""

MOVE = np.array(
    [
        [0, 64, 0, 0],
        [-3, 61, 6, 0],
        [-4, 56, 14, -2],
        [-5, 47, 25, -3],
        [-4, 36, 36, -4],
        [-3, 25, 47, -5],
        [-2, 14, 56, -4],
        [0, 6, 61, -3],
    ],
    np.int32,
)
"""MOVE of spec 12.2: taps for each eighth of a sample."""

Features = npt.NDArray[np.int16]
"""Features of a group in 1/8 sample: (patch rows, patch columns, FEATURES)."""

Trace = npt.NDArray[np.int16]
"""The trace in 1/16 sample: (rows, columns) of whole patches."""


class Linear(NamedTuple):
    """The linear part of the network: features to samples of a frame, and samples to features."""

    trace: Layer
    analysis: Layer


@lru_cache
def linear() -> Linear:
    """That of table 1."""
    basis = load().basis
    return Linear(
        pack_layer(basis, 0, 12, parts=FRAMES), pack_layer(np.ascontiguousarray(basis.T), 0, 14)
    )


@allocating
def make_trace(
    net: Linear,
    features: np.ndarray,
    frame: int,
    first: Integer,
    end: Integer,
    plane: np.ndarray,
) -> None:
    """Fill patch rows first..end-1 of int16 `plane`: the trace of frame `frame`, the last one."""
    columns, count = features.shape[1:]
    stride = row_stride(columns)
    pairs = count // 2
    values = np.zeros((pairs + FRAME // 2) * stride, np.int32)
    halves = values.view(np.int16)
    offsets = np.empty(pairs, np.int64)
    for k in range(pairs):
        offsets[k] = MARGIN + k * stride
    to = pairs * stride + MARGIN
    for y in range(first, end):
        for x in range(columns):
            for k in range(pairs):
                at = 2 * (MARGIN + k * stride + x)
                halves[at] = features[y, x, 2 * k]
                halves[at + 1] = features[y, x, 2 * k + 1]
        trace_layer(net.trace, frame * FRAME, FRAME, values, offsets, columns, to, stride)
        store_trace(halves, to, stride, columns, plane, y * PATCH)


@kernel
def _move(
    plane: np.ndarray,
    y: Integer,
    x: Integer,
    vy: Integer,
    vx: Integer,
    across: np.ndarray,
    halves: np.ndarray,
    at: Integer,
    stride: Integer,
) -> None:
    """`moved` of spec 12.2 for a patch at (y, x), to words (pair, patch); a vector in eighths."""
    height, width = plane.shape
    top, left = y + (vy >> 3) - 1, x + (vx >> 3) - 1
    fy, fx = vy & 7, vx & 7
    a0, a1, a2, a3 = MOVE[fx, 0], MOVE[fx, 1], MOVE[fx, 2], MOVE[fx, 3]
    inside = left >= 0 and left + PATCH + 3 <= width
    for j in range(PATCH + 3):
        row = min(height - 1, max(0, top + j))
        if inside:
            for i in range(PATCH):
                s = left + i
                across[j, i] = (
                    a0 * plane[row, s]
                    + a1 * plane[row, s + 1]
                    + a2 * plane[row, s + 2]
                    + a3 * plane[row, s + 3]
                    + 32
                ) >> 6
        else:
            for i in range(PATCH):
                total = np.int32(32)
                for c in range(4):
                    total += MOVE[fx, c] * plane[row, min(width - 1, max(0, left + i + c))]
                across[j, i] = total >> 6
    b0, b1, b2, b3 = MOVE[fy, 0], MOVE[fy, 1], MOVE[fy, 2], MOVE[fy, 3]
    for j in range(PATCH):
        for i in range(PATCH):
            v = (
                b0 * across[j, i]
                + b1 * across[j + 1, i]
                + b2 * across[j + 2, i]
                + b3 * across[j + 3, i]
                + 32
            ) >> 6
            halves[2 * (at + (j * PATCH + i) // 2 * stride) + (i & 1)] = v


@allocating
def move_features(
    net: Linear,
    trace: np.ndarray,
    paths: np.ndarray,
    intra: np.ndarray,
    across: Integer,
    down: Integer,
    first: Integer,
    end: Integer,
    out: np.ndarray,
) -> None:
    """Fill rows first..end-1 of int16 `out` (patch rows, patch columns, FEATURES): Moved(f).

    `across` and `down` are log2 of samples of layer 0 for one of this layer.
    """
    columns, count = out.shape[1:]
    frames = paths.shape[2]
    stride = row_stride(columns)
    pairs = VOLUME // 2
    values = np.zeros((pairs + count // 2) * stride, np.int32)
    halves = values.view(np.int16)
    offsets = np.empty(pairs, np.int64)
    for k in range(pairs):
        offsets[k] = MARGIN + k * stride
    to = pairs * stride + MARGIN
    rows = np.empty((PATCH + 3, PATCH), np.int32)
    for y in range(first, end):
        by = (y << down) // BLOCK
        for x in range(columns):
            bx = (x << across) // BLOCK
            if intra[by, bx]:
                continue
            for t in range(FRAMES):
                at = MARGIN + t * (FRAME // 2) * stride + x
                if t < frames:
                    vy, vx = np.int64(paths[by, bx, t, 0]), np.int64(paths[by, bx, t, 1])
                    vy, vx = (2 * vy) >> down, (2 * vx) >> across
                    _move(trace, y * PATCH, x * PATCH, vy, vx, rows, halves, at, stride)
                else:
                    for k in range(FRAME // 2):
                        values[at + k * stride] = values[at + (k - FRAME // 2) * stride]
        moved_layer(net.analysis, 0, count, values, offsets, columns, to, stride)
        for x in range(columns):
            alone = intra[by, (x << across) // BLOCK]
            for f in range(count):
                v = np.int32(halves[2 * (to + (f // 2) * stride + x) + (f & 1)])
                limit = LIMIT[f]
                out[y, x, f] = 0 if alone else min(limit, max(-limit, v))


@kernel
def add_residuals(moved: np.ndarray, residual: np.ndarray, step: Integer, out: np.ndarray) -> None:
    """`feature` of spec 12.1, for arrays (patches, FEATURES): int16 moved and out."""
    for p in range(out.shape[0]):
        for f in range(out.shape[1]):
            limit = np.int64(LIMIT[f])
            v = np.int64(moved[p, f]) + ((np.int64(residual[p, f]) * step + 4) >> 3)
            out[p, f] = min(limit, max(-limit, v))


def step_of(q: int) -> int:
    """STEP(q) in 1/64 sample (spec 9.1)."""
    return int(STEP[q])


def reciprocal_of(q: int) -> int:
    """RECIPROCAL(q) (spec 9.1)."""
    step = int(STEP[q])
    return ((1 << 22) + step // 2) // step
