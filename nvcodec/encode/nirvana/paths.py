"""Paths of blocks through the frames of a group: where each block was in the trace before.

Takes luma planes as u8: the reference (the trace before, around 128) and the group's frames. Gives
paths in quarters of a sample (spec 11.5), chosen by squared-root prices: absolute differences plus
`price` for each bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.motion import MAX_VECTOR, candidates, same_path
from nvcodec.coding.nirvana.table import BLOCK, PATCH
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.nirvana.moved import MOVE

SIDE = BLOCK * PATCH
"""Luma samples of a block across and down."""

_LARGE = np.int64(1 << 40)


@allocating
def reduce(plane: np.ndarray) -> np.ndarray:
    """A plane of half the size: means of 2 x 2 samples."""
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    out = np.empty((rows, columns), np.uint8)
    for y in range(rows):
        for x in range(columns):
            total = np.int32(plane[2 * y, 2 * x]) + np.int32(plane[2 * y, 2 * x + 1])
            total += np.int32(plane[2 * y + 1, 2 * x]) + np.int32(plane[2 * y + 1, 2 * x + 1])
            out[y, x] = (total + 2) >> 2
    return out


@kernel
def _whole(
    reference: np.ndarray,
    target: np.ndarray,
    y: Integer,
    x: Integer,
    size: Integer,
    dy: Integer,
    dx: Integer,
    limit: Integer,
) -> Integer:
    """Sum of absolute differences of a block, moved by whole samples; stops above `limit`."""
    rows, columns = reference.shape
    top, left = y + dy, x + dx
    total: Integer = np.int64(0)
    inside = top >= 0 and left >= 0 and top + size <= rows and left + size <= columns
    for i in range(size):
        part = np.int32(0)
        if inside:
            for j in range(size):
                part += abs(np.int32(reference[top + i, left + j]) - np.int32(target[y + i, x + j]))
        else:
            row = min(rows - 1, max(0, top + i))
            for j in range(size):
                column = min(columns - 1, max(0, left + j))
                part += abs(np.int32(reference[row, column]) - np.int32(target[y + i, x + j]))
        total += part
        if total >= limit:
            return total
    return total


@kernel
def _quarter(
    reference: np.ndarray,
    target: np.ndarray,
    y: Integer,
    x: Integer,
    dy: Integer,
    dx: Integer,
    limit: Integer,
    across: np.ndarray,
) -> Integer:
    """The same for a displacement in quarters, by the filters of spec 12.2."""
    if dy & 3 == 0 and dx & 3 == 0:
        return _whole(reference, target, y, x, SIDE, dy >> 2, dx >> 2, limit)
    rows, columns = reference.shape
    top, left = y + (dy >> 2) - 1, x + (dx >> 2) - 1
    fy, fx = 2 * (dy & 3), 2 * (dx & 3)
    a0, a1, a2, a3 = MOVE[fx, 0], MOVE[fx, 1], MOVE[fx, 2], MOVE[fx, 3]
    inside = left >= 0 and left + SIDE + 3 <= columns
    for i in range(SIDE + 3):
        row = min(rows - 1, max(0, top + i))
        if inside:
            for j in range(SIDE):
                s = left + j
                across[i, j] = (
                    a0 * reference[row, s]
                    + a1 * reference[row, s + 1]
                    + a2 * reference[row, s + 2]
                    + a3 * reference[row, s + 3]
                )
        else:
            for j in range(SIDE):
                part = np.int32(0)
                for c in range(4):
                    column = min(columns - 1, max(0, left + j + c))
                    part += MOVE[fx, c] * reference[row, column]
                across[i, j] = part
    b0, b1, b2, b3 = MOVE[fy, 0], MOVE[fy, 1], MOVE[fy, 2], MOVE[fy, 3]
    total: Integer = np.int64(0)
    for i in range(SIDE):
        part = np.int32(0)
        for j in range(SIDE):
            v = b0 * across[i, j] + b1 * across[i + 1, j]
            v += b2 * across[i + 2, j] + b3 * across[i + 3, j]
            part += abs(((v + 2048) >> 12) - np.int32(target[y + i, x + j]))
        total += part
        if total >= limit:
            return total
    return total


@kernel
def _bits(d: Integer) -> Integer:
    """About the bits of a difference of vectors."""
    a, bits = abs(d), np.int64(1)
    while a > 0:
        a >>= 1
        bits += 2
    return bits


@kernel
def _search(
    reference: tuple,  # type: ignore[type-arg]
    target: tuple,  # type: ignore[type-arg]
    y: Integer,
    x: Integer,
    py: Integer,
    px: Integer,
    tried: np.ndarray,
    count: Integer,
    reach: Integer,
    price: Integer,
    across: np.ndarray,
    best: np.ndarray,
) -> Integer:
    """The best displacement (to best[0..1]) of a block in a frame around the prediction (py, px).

    `reference` and `target` are planes of full, half and quarter size. `tried` has `count`
    displacements to begin with. Returns the cost.
    """
    full, whole = reference[0], target[0]
    cy, cx = py, px
    cost = _quarter(full, whole, y, x, py, px, _LARGE, across) + 2 * price
    for k in range(count):
        ay, ax = np.int64(tried[k, 0]), np.int64(tried[k, 1])
        if ay == cy and ax == cx:
            continue
        bits = _bits(ay - py) + _bits(ax - px)
        c = _quarter(full, whole, y, x, ay, ax, cost, across) + price * bits
        if c < cost:
            cost, cy, cx = c, ay, ax
    # Where a sample is wrong by little more than one and a half levels, nothing is left to find.
    if cost > SIDE * SIDE * 3 // 2 + 8 * price:
        found: Integer = _LARGE
        gy, gx = (py + 8) >> 4, (px + 8) >> 4
        oy, ox = gy, gx
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                c = _whole(
                    reference[2], target[2], y // 4, x // 4, SIDE // 4, oy + dy, ox + dx, found
                )
                if c < found:
                    found, gy, gx = c, oy + dy, ox + dx
        found = _LARGE
        hy, hx = 2 * gy, 2 * gx
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                c = _whole(
                    reference[1], target[1], y // 2, x // 2, SIDE // 2, 2 * gy + dy, 2 * gx + dx,
                    found,
                )  # fmt: skip
                if c < found:
                    found, hy, hx = c, 2 * gy + dy, 2 * gx + dx
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                ay, ax = 4 * (2 * hy + dy), 4 * (2 * hx + dx)
                bits = _bits(ay - py) + _bits(ax - px)
                c = _quarter(full, whole, y, x, ay, ax, cost, across) + price * bits
                if c < cost:
                    cost, cy, cx = c, ay, ax
        step: Integer = np.int64(2)
        while step > 0:
            ey, ex = cy, cx
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    ay, ax = ey + step * dy, ex + step * dx
                    if ay == cy and ax == cx:
                        continue
                    bits = _bits(ay - py) + _bits(ax - px)
                    c = _quarter(full, whole, y, x, ay, ax, cost, across) + price * bits
                    if c < cost:
                        cost, cy, cx = c, ay, ax
            step >>= 1
    best[0] = min(MAX_VECTOR, max(-MAX_VECTOR, cy))
    best[1] = min(MAX_VECTOR, max(-MAX_VECTOR, cx))
    return cost


@allocating
def search_paths(
    reference: tuple,  # type: ignore[type-arg]
    targets: tuple,  # type: ignore[type-arg]
    frames: Integer,
    price: Integer,
    paths: np.ndarray,
) -> None:
    """Fill int32 `paths` (block rows, block columns, frames, 2).

    `reference` are u8 planes of full, half and quarter size; `targets` are (frames, rows, columns)
    of each size, whole blocks.
    """
    rows, columns = paths.shape[:2]
    intra = np.zeros((rows, columns), np.uint8)
    near = np.zeros((3, frames, 2), np.int32)
    own = np.zeros((frames, 2), np.int32)
    tried = np.zeros((4, 2), np.int64)
    best = np.zeros(2, np.int64)
    across = np.empty((SIDE + 3, SIDE), np.int32)
    full, half, quarter = targets
    for by in range(rows):
        for bx in range(columns):
            y, x = by * SIDE, bx * SIDE
            count = candidates(paths, intra, by, bx, frames, near)
            # What it costs to join a candidate.
            chosen: Integer = np.int64(0)
            least: Integer = _LARGE
            for k in range(count):
                cost = price * (k + 1)
                for t in range(frames):
                    dy, dx = np.int64(near[k, t, 0]), np.int64(near[k, t, 1])
                    cost += _quarter(reference[0], full[t], y, x, dy, dx, least, across)
                if cost < least:
                    least, chosen = cost, k
            for t in range(frames):
                paths[by, bx, t, 0] = near[chosen, t, 0]
                paths[by, bx, t, 1] = near[chosen, t, 1]
            if least <= frames * SIDE * SIDE + 8 * price:
                continue
            total = 3 * price
            for t in range(frames):
                py, px = np.int64(near[0, t, 0]), np.int64(near[0, t, 1])
                if t > 0:
                    py += own[t - 1, 0] - near[0, t - 1, 0]
                    px += own[t - 1, 1] - near[0, t - 1, 1]
                given: Integer = np.int64(0)
                for k in range(count):
                    tried[given, 0], tried[given, 1] = near[k, t, 0], near[k, t, 1]
                    given += 1
                if t > 0:
                    # The last step goes on.
                    tried[given, 0] = own[t - 1, 0] * (t + 1) // t
                    tried[given, 1] = own[t - 1, 1] * (t + 1) // t
                    given += 1
                planes = (full[t], half[t], quarter[t])
                total += _search(
                    reference, planes, y, x, py, px, tried, given, min(6 + 2 * t, 10), price,
                    across, best,
                )  # fmt: skip
                own[t, 0], own[t, 1] = best[0], best[1]
                if total >= least:
                    break
            if total < least and not same_path(own, near[chosen], frames):
                for t in range(frames):
                    paths[by, bx, t, 0] = own[t, 0]
                    paths[by, bx, t, 1] = own[t, 1]


def pyramid(planes: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], ...]:
    """Planes (frames, rows, columns) of full, half and quarter size."""
    half = np.stack([reduce(plane) for plane in planes])
    return planes, half, np.stack([reduce(plane) for plane in half])
