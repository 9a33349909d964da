"""Paths of blocks through the frames of a group: where each block was in the trace before.

Takes luma planes as u8: the reference (the trace before, around 128) and the group's frames. Gives
paths in quarters of a sample (spec 11.5), chosen by absolute differences plus `price` for each bit.
Blocks see those on the left and above, so chunks of blocks are searched in waves.
"""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.motion import MAX_VECTOR, Paths, candidates, same_path
from nvcodec.coding.nirvana.table import BLOCK, PATCH
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.encode.distances import sad
from nvcodec.model.nirvana.moved import MOVE
from nvcodec.tasks import TaskPool

SIDE = BLOCK * PATCH
"""Luma samples of a block across and down."""

CHUNK = 8
"""Blocks across a chunk, which has one row of them."""

_LEAST = 8
"""Samples across the smallest block that `sad` takes."""

_LARGE = np.int64(1 << 40)


class Reference(NamedTuple):
    """What blocks are searched in: u8 planes.

    `quarters` (16, rows, columns) has the plane moved by 0 to 3 quarters of a sample, down times 4
    plus across; `half` and `quarter` are of half and quarter size.
    """

    quarters: npt.NDArray[np.uint8]
    half: npt.NDArray[np.uint8]
    quarter: npt.NDArray[np.uint8]


class Targets(NamedTuple):
    """Luma planes of the frames, whole blocks: u8 (frames, rows, columns), of three sizes."""

    full: npt.NDArray[np.uint8]
    half: npt.NDArray[np.uint8]
    quarter: npt.NDArray[np.uint8]


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
def _difference(
    reference: np.ndarray,
    target: np.ndarray,
    y: Integer,
    x: Integer,
    size: Integer,
    dy: Integer,
    dx: Integer,
    limit: Integer,
) -> Integer:
    """Sum of absolute differences of a block, moved by whole samples; stops above `limit`.

    Samples outside are those of the edge.
    """
    rows, columns = reference.shape
    top, left = y + dy, x + dx
    inside = top >= 0 and left >= 0 and top + size <= rows and left + size <= columns
    if inside and size >= _LEAST:
        stride = target.shape[1]
        flat = target.reshape(-1), reference.reshape(-1)
        at = y * stride + x, top * columns + left
        return sad(flat[0], at[0], stride, flat[1], at[1], columns, size, size, limit)
    total: Integer = np.int64(0)
    for i in range(size):
        row = min(rows - 1, max(0, top + i))
        for j in range(size):
            column = min(columns - 1, max(0, left + j))
            total += abs(np.int32(reference[row, column]) - np.int32(target[y + i, x + j]))
        if total >= limit:
            return total
    return total


@kernel
def _quarter(
    quarters: np.ndarray,
    target: np.ndarray,
    y: Integer,
    x: Integer,
    dy: Integer,
    dx: Integer,
    limit: Integer,
) -> Integer:
    """The same for a displacement in quarters."""
    moved = quarters[4 * (dy & 3) + (dx & 3)]
    return _difference(moved, target, y, x, SIDE, dy >> 2, dx >> 2, limit)


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
    reference: Reference,
    targets: Targets,
    t: Integer,
    y: Integer,
    x: Integer,
    py: Integer,
    px: Integer,
    tried: np.ndarray,
    count: Integer,
    reach: Integer,
    price: Integer,
    best: np.ndarray,
) -> Integer:
    """The best displacement (to best[0..1]) of a block in frame t around the prediction (py, px).

    `tried` has `count` displacements to begin with. Returns the cost.
    """
    quarters, whole = reference.quarters, targets.full[t]
    cy, cx = py, px
    cost = _quarter(quarters, whole, y, x, py, px, _LARGE) + 2 * price
    for k in range(count):
        ay, ax = np.int64(tried[k, 0]), np.int64(tried[k, 1])
        if ay == cy and ax == cx:
            continue
        bits = _bits(ay - py) + _bits(ax - px)
        c = _quarter(quarters, whole, y, x, ay, ax, cost) + price * bits
        if c < cost:
            cost, cy, cx = c, ay, ax
    # Where a sample is wrong by little more than one and a half levels, nothing is left to find.
    if cost > SIDE * SIDE * 3 // 2 + 8 * price:
        found: Integer = _LARGE
        gy, gx = (py + 8) >> 4, (px + 8) >> 4
        oy, ox = gy, gx
        coarse, half = targets.quarter[t], targets.half[t]
        # The block is the middle of what is compared, which tells more.
        size = min(_LEAST, coarse.shape[0], coarse.shape[1])
        top = min(coarse.shape[0] - size, max(np.int64(0), y // 4 - (size - SIDE // 4) // 2))
        left = min(coarse.shape[1] - size, max(np.int64(0), x // 4 - (size - SIDE // 4) // 2))
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                ay, ax = oy + dy, ox + dx
                c = _difference(reference.quarter, coarse, top, left, size, ay, ax, found)
                if c < found:
                    found, gy, gx = c, ay, ax
        found = _LARGE
        hy, hx = 2 * gy, 2 * gx
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                ay, ax = 2 * gy + dy, 2 * gx + dx
                c = _difference(reference.half, half, y // 2, x // 2, SIDE // 2, ay, ax, found)
                if c < found:
                    found, hy, hx = c, ay, ax
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                ay, ax = 4 * (2 * hy + dy), 4 * (2 * hx + dx)
                bits = _bits(ay - py) + _bits(ax - px)
                c = _quarter(quarters, whole, y, x, ay, ax, cost) + price * bits
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
                    c = _quarter(quarters, whole, y, x, ay, ax, cost) + price * bits
                    if c < cost:
                        cost, cy, cx = c, ay, ax
            step >>= 1
    best[0] = min(MAX_VECTOR, max(-MAX_VECTOR, cy))
    best[1] = min(MAX_VECTOR, max(-MAX_VECTOR, cx))
    return cost


@allocating
def search_paths(
    reference: Reference,
    targets: Targets,
    price: Integer,
    row: Integer,
    chunk: Integer,
    paths: np.ndarray,
) -> None:
    """Fill a chunk of int32 `paths` (block rows, block columns, frames, 2).

    The chunks on the left and above are filled already.
    """
    frames = paths.shape[2]
    intra = np.zeros(paths.shape[:2], np.uint8)
    near = np.zeros((3, frames, 2), np.int32)
    own = np.zeros((frames, 2), np.int32)
    tried = np.zeros((4, 2), np.int64)
    best = np.zeros(2, np.int64)
    for bx in range(chunk * CHUNK, min(paths.shape[1], (chunk + 1) * CHUNK)):
        y, x = row * SIDE, bx * SIDE
        count = candidates(paths, intra, row, bx, frames, near)
        # What it costs to join a candidate.
        chosen: Integer = np.int64(0)
        least: Integer = _LARGE
        for k in range(count):
            cost = price * (k + 1)
            for t in range(frames):
                dy, dx = np.int64(near[k, t, 0]), np.int64(near[k, t, 1])
                cost += _quarter(reference.quarters, targets.full[t], y, x, dy, dx, least)
            if cost < least:
                least, chosen = cost, k
        for t in range(frames):
            paths[row, bx, t, 0] = near[chosen, t, 0]
            paths[row, bx, t, 1] = near[chosen, t, 1]
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
            reach = min(6 + 2 * t, 10)
            total += _search(
                reference, targets, t, y, x, py, px, tried, given, reach, price, best
            )  # fmt: skip
            own[t, 0], own[t, 1] = best[0], best[1]
            if total >= least:
                break
        if total < least and not same_path(own, near[chosen], frames):
            for t in range(frames):
                paths[row, bx, t, 0] = own[t, 0]
                paths[row, bx, t, 1] = own[t, 1]


@kernel
def _across(plane: np.ndarray, fraction: Integer, row: Integer, out: np.ndarray) -> None:
    """A row moved by quarters across, times 64: int32 `out`."""
    columns = plane.shape[1]
    taps = MOVE[2 * fraction]
    a0, a1, a2, a3 = taps[0], taps[1], taps[2], taps[3]
    for x in (0, columns - 2, columns - 1):
        total = np.int32(0)
        for c in range(4):
            total += taps[c] * np.int32(plane[row, min(columns - 1, max(0, x + c - 1))])
        out[x] = total
    for x in range(1, columns - 2):
        out[x] = (
            a0 * np.int32(plane[row, x - 1])
            + a1 * np.int32(plane[row, x])
            + a2 * np.int32(plane[row, x + 1])
            + a3 * np.int32(plane[row, x + 2])
        )


@allocating
def move_by_quarters(plane: np.ndarray, fraction: Integer, out: np.ndarray) -> None:
    """Fill u8 `out` (4, rows, columns): `plane` moved by `fraction` quarters across, 0 to 3 down.

    Filters are those of spec 12.2; samples outside are those of the edge. The plane has at least
    4 rows and columns.
    """
    rows, columns = plane.shape
    moved = np.empty((rows, columns), np.int32)
    for y in range(rows):
        _across(plane, fraction, y, moved[y])
    for y in range(rows):
        above, here = moved[max(0, y - 1)], moved[y]
        below, last = moved[min(rows - 1, y + 1)], moved[min(rows - 1, y + 2)]
        for down in range(4):
            taps = MOVE[2 * down]
            b0, b1, b2, b3 = taps[0], taps[1], taps[2], taps[3]
            for x in range(columns):
                total = b0 * above[x] + b1 * here[x] + b2 * below[x] + b3 * last[x]
                value = (total + np.int32(2048)) >> np.int32(12)
                out[down, y, x] = min(np.int32(255), max(np.int32(0), value))


def find_paths(
    before: npt.NDArray[np.uint8], planes: npt.NDArray[np.uint8], price: int, tasks: TaskPool
) -> Paths:
    """Paths of blocks (block rows, block columns, frames, 2) to frames from the plane before.

    `before` (rows, columns) and `planes` (frames, rows, columns) have whole blocks.
    """
    before, planes = np.ascontiguousarray(before), np.ascontiguousarray(planes)
    half = reduce(before)
    reference = Reference(np.empty((16, *before.shape), np.uint8), half, reduce(half))
    quarters = reference.quarters.reshape(4, 4, *before.shape)
    ready: list[Future[None]] = [
        tasks.submit(partial(move_by_quarters, before, k, quarters[:, k])) for k in range(4)
    ]
    halves = np.stack([reduce(plane) for plane in planes])
    targets = Targets(planes, halves, np.stack([reduce(plane) for plane in halves]))
    rows, columns = (side // SIDE for side in before.shape)
    paths = np.zeros((rows, columns, len(planes), 2), np.int32)
    above: list[Future[None]] = []
    for row in range(rows):
        here: list[Future[None]] = []
        for chunk in range(-(-columns // CHUNK)):
            after = here[-1:] + above[chunk : chunk + 1] or ready
            work = partial(search_paths, reference, targets, price, row, chunk, paths)
            here.append(tasks.submit(work, after))
        above = here
    above[-1].result()
    return paths
