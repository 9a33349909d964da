"""Direction and vectors of all cells from the leaves of a canvas (spec 8.2).

Takes the table of leaves and projected motion; gives `direction` and `vectors`. Intra leaves have
direction 0 and zero vectors.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    AFFINE,
    DIRECTION,
    GRADIENTS,
    HEIGHT,
    INDEX,
    INTRA,
    MERGE,
    VY0,
    WIDTH,
    X,
    Y,
)
from nvcodec.coding.hybrid.motion import AFFINE_ENTRIES
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.plane import CELL
from nvcodec.model.hybrid.canvas.projection import CANDIDATE

ENTRIES = 5
"""Number of entries of a merge list."""

AFFINE_ENTRY = CANDIDATE + 4
"""Integers of an entry of an affine list: direction, V0, V1 and gradients."""

_MOST_GRADIENT = 1023
"""Greatest magnitude of a gradient, in 1/64 quarter sample per sample."""

LEAST, MOST = -8192, 8191
"""Range of a vector's components, in 1/4 luma sample."""


@kernel
def _clip(v: Integer) -> Integer:
    return min(MOST, max(LEAST, v))


@kernel
def _keep(entries: np.ndarray, count: Integer) -> Integer:
    """Keep entry `count` unless an entry before it is the same; returns the new count."""
    used = entries[count, 0]
    for k in range(count):
        same = entries[k, 0] == used
        for r in range(2):
            if used >> r & 1:
                same &= entries[k, 1 + 2 * r] == entries[count, 1 + 2 * r]
                same &= entries[k, 2 + 2 * r] == entries[count, 2 + 2 * r]
        if same:
            return count
    return count + 1


@kernel
def is_available(available: np.ndarray, y: Integer, x: Integer) -> bool:
    """Whether cell (y, x) is inside the canvas and `available` (rows, columns) says so."""
    rows, columns = available.shape
    inside = 0 <= y < rows and 0 <= x < columns
    return inside and bool(available[y, x])


@kernel
def merge_list(
    direction: np.ndarray,
    vectors: np.ndarray,
    available: np.ndarray,
    projected: np.ndarray,
    default: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    entries: np.ndarray,
) -> Integer:
    """Fill entries (ENTRIES, CANDIDATE) with the merge list of a leaf.

    y, x, wide and tall are in cells. `direction`, `vectors` and `available` hold the cells of
    earlier leaves, `projected` the projected motion (`projected_motion`). The list is filled up
    with entries of direction `default`, 1 in a chain canvas and 3 in an interior one. Returns the
    number of entries before these.
    """
    count = 0
    for k in range(5):
        cy, cx = y + tall - 1, x - 1
        if k == 1:
            cy, cx = y - 1, x + wide - 1
        elif k == 2:
            cy, cx = y - 1, x + wide
        elif k == 3:
            cy, cx = y + tall, x - 1
        elif k == 4:
            cy, cx = y - 1, x - 1
        if is_available(available, cy, cx):
            entries[count, 0] = direction[cy, cx]
            for r in range(2):
                entries[count, 1 + 2 * r] = vectors[r, cy, cx, 0]
                entries[count, 2 + 2 * r] = vectors[r, cy, cx, 1]
            count = _keep(entries, count)
    rows, columns = available.shape
    for cy, cx in ((y + tall, x + wide), (y + (tall >> 1), x + (wide >> 1))):
        if count < ENTRIES and cy < rows and cx < columns and projected[cy, cx, 0]:
            for i in range(CANDIDATE):
                entries[count, i] = projected[cy, cx, i]
            count = _keep(entries, count)
    for k in range(count, ENTRIES):
        entries[k, 0] = default
        for i in range(1, CANDIDATE):
            entries[k, i] = 0
    return count


@kernel
def predicted_vector(
    r: Integer,
    vectors: np.ndarray,
    available: np.ndarray,
    y: Integer,
    x: Integer,
    wide: Integer,
) -> tuple[Integer, Integer]:
    """The predicted vector (y, x) of reference r; other arguments are as in `merge_list`."""
    a = is_available(available, y, x - 1)
    b = is_available(available, y - 1, x)
    cx = x + wide
    if not is_available(available, y - 1, cx):
        cx = x - 1
    c = is_available(available, y - 1, cx)
    number = np.int64(a) + np.int64(b) + np.int64(c)
    ay: Integer
    ax: Integer
    by: Integer
    bx: Integer
    cy: Integer
    cxx: Integer
    ay, ax, by, bx, cy, cxx = 0, 0, 0, 0, 0, 0
    if a:
        ay, ax = np.int64(vectors[r, y, x - 1, 0]), np.int64(vectors[r, y, x - 1, 1])
    if b:
        by, bx = np.int64(vectors[r, y - 1, x, 0]), np.int64(vectors[r, y - 1, x, 1])
    if c:
        cy, cxx = np.int64(vectors[r, y - 1, cx, 0]), np.int64(vectors[r, y - 1, cx, 1])
    if number == 1:
        return ay + by + cy, ax + bx + cxx
    return _median(ay, by, cy), _median(ax, bx, cxx)


@kernel
def _median(a: Integer, b: Integer, c: Integer) -> Integer:
    return max(min(a, b), min(max(a, b), c))


@kernel
def sign_of(default: Integer) -> Integer:
    """What V0 is multiplied by for V1; `default` is that of `merge_list`.

    The references of an interior canvas lie on both sides of it.
    """
    return -1 if default == 3 else 1


@kernel
def moved(
    v: Integer, by_y: Integer, by_x: Integer, dy: Integer, dx: Integer, sign: Integer
) -> Integer:
    """A component of a vector (dy, dx) luma samples away, by its gradients times `sign`."""
    return _clip(v + sign * ((by_y * dy + by_x * dx + 32) >> 6))


@kernel
def clip_gradient(g: Integer) -> Integer:
    """A gradient in its range."""
    return min(_MOST_GRADIENT, max(-_MOST_GRADIENT, g))


@kernel
def _keep_affine(entries: np.ndarray, count: Integer) -> Integer:
    """Keep entry `count` unless it has no gradients or one before is the same; the new count."""
    new = entries[count]
    gradients = 0
    for k in range(AFFINE_ENTRY - 4, AFFINE_ENTRY):
        gradients |= new[k]
    if gradients == 0:
        return count
    for k in range(count):
        same = True
        for i in range(AFFINE_ENTRY):
            same &= entries[k, i] == new[i]
        if same:
            return count
    return count + 1


@kernel
def _set_entry(
    entry: np.ndarray,
    direction: Integer,
    first: np.ndarray,
    second: np.ndarray,
    sign: Integer,
    dy: Integer,
    dx: Integer,
) -> None:
    """Move the vectors `first` and `second` (y, x) by (dy, dx) samples along the gradients.

    These are the last elements of `entry`; sets the others.
    """
    entry[0] = direction
    for axis in range(2):
        by_y, by_x = entry[5 + 2 * axis], entry[6 + 2 * axis]
        entry[1 + axis] = moved(first[axis], by_y, by_x, dy, dx, 1)
        entry[3 + axis] = moved(second[axis], by_y, by_x, dy, dx, sign)


@kernel
def _set_gradients(
    entry: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, down: Integer, across: Integer
) -> None:
    """Set an entry's gradients from the vectors (y, x) of cells.

    Cell b is `across` cells beside a, and c `down` cells below it.
    """
    for axis in range(2):
        entry[5 + 2 * axis] = clip_gradient(CELL * (np.int64(c[axis]) - a[axis]) // down)
        entry[6 + 2 * axis] = clip_gradient(CELL * (np.int64(b[axis]) - a[axis]) // across)


@kernel
def affine_list(
    direction: np.ndarray,
    vectors: np.ndarray,
    gradients: np.ndarray,
    available: np.ndarray,
    projected: np.ndarray,
    default: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    entries: np.ndarray,
) -> tuple[Integer, Integer]:
    """Fill entries (AFFINE_ENTRIES + 1, AFFINE_ENTRY) with the affine list of a leaf.

    `gradients` (rows, columns, 4) are those of cells, other arguments are as in `merge_list`.
    Returns the number of inherited entries, which come first, and that of all entries but those
    that fill the list up.
    """
    sign = sign_of(default)
    count = 0
    half_y, half_x = CELL // 2 * tall, CELL // 2 * wide
    top, left, right, bottom = y - 1, x - 1, x + wide - 1, y + tall - 1
    for cy, cx in ((bottom, left), (top, right), (y, left), (top, x)):
        if is_available(available, cy, cx):
            entry = entries[count]
            for k in range(4):
                entry[5 + k] = gradients[cy, cx, k]
            dy, dx = CELL * (y - cy) + half_y - CELL // 2, CELL * (x - cx) + half_x - CELL // 2
            v0, v1 = vectors[0, cy, cx], vectors[1, cy, cx]
            _set_entry(entry, direction[cy, cx], v0, v1, sign, dy, dx)
            count = _keep_affine(entries, count)
    inherited = count
    corners = is_available(available, top, left) and is_available(available, top, right)
    corners = corners and is_available(available, bottom, left)
    used = np.int64(direction[top, left]) if corners else np.int64(0)
    if corners and (used != direction[top, right] or used != direction[bottom, left]):
        used = np.int64(0)
    if count < AFFINE_ENTRIES and used:
        entry = entries[count]
        corner = vectors[0, top, left]
        _set_gradients(entry, corner, vectors[0, top, right], vectors[0, bottom, left], tall, wide)
        dy, dx = half_y + CELL // 2, half_x + CELL // 2
        _set_entry(entry, used, corner, vectors[1, top, left], sign, dy, dx)
        count = _keep_affine(entries, count)
    moved = projected[y, x, 0] and projected[y, right, 0] and projected[bottom, x, 0]
    if count < AFFINE_ENTRIES and moved:
        entry = entries[count]
        corner = projected[y, x, 1:3]
        _set_gradients(
            entry, corner, projected[y, right, 1:3], projected[bottom, x, 1:3], tall - 1, wide - 1
        )
        dy, dx = half_y - CELL // 2, half_x - CELL // 2
        _set_entry(entry, 3, corner, projected[y, x, 3:5], sign, dy, dx)
        count = _keep_affine(entries, count)
    for k in range(count, AFFINE_ENTRIES):
        entries[k, 0] = default
        for i in range(1, AFFINE_ENTRY):
            entries[k, i] = 0
    return inherited, count


@kernel
def set_cells(
    direction: np.ndarray,
    vectors: np.ndarray,
    gradients: np.ndarray,
    available: np.ndarray,
    sign: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    entry: np.ndarray,
) -> None:
    """Set direction, vectors and gradients of a leaf's cells; y, x, wide, tall are in cells.

    `entry` is as in an affine list, for an intra leaf all 0. `sign` is that of the gradients of V1.
    """
    for i in range(y, y + tall):
        for j in range(x, x + wide):
            direction[i, j] = entry[0]
            available[i, j] = entry[0] != 0
            dy, dx = 8 * (i - y) + 4 - 4 * tall, 8 * (j - x) + 4 - 4 * wide
            for axis in range(2):
                by_y, by_x = entry[5 + 2 * axis], entry[6 + 2 * axis]
                vectors[0, i, j, axis] = moved(entry[1 + axis], by_y, by_x, dy, dx, 1)
                vectors[1, i, j, axis] = moved(entry[3 + axis], by_y, by_x, dy, dx, sign)
            for k in range(4):
                gradients[i, j, k] = entry[5 + k]


@allocating
def motion_of_leaves(
    leaves: np.ndarray,
    default: Integer,
    projected: np.ndarray,
    direction: np.ndarray,
    vectors: np.ndarray,
) -> None:
    """Set direction (rows, columns) and vectors (2, rows, columns, 2) of all cells of a canvas.

    `default` and `projected` are those of `merge_list`.
    """
    available = np.zeros(direction.shape, np.uint8)
    entries = np.empty((ENTRIES, CANDIDATE), np.int64)
    affine = np.empty((AFFINE_ENTRIES + 1, AFFINE_ENTRY), np.int64)
    entry = np.empty(AFFINE_ENTRY, np.int64)
    gradients = np.zeros((*direction.shape, 4), np.int16)
    sign = sign_of(default)
    for number in range(len(leaves)):
        leaf = leaves[number]
        y, x, wide = np.int64(leaf[Y]) >> 3, np.int64(leaf[X]) >> 3, np.int64(leaf[WIDTH]) >> 3
        tall = np.int64(leaf[HEIGHT]) >> 3
        entry[:] = 0
        inherited = 0
        if leaf[AFFINE]:
            inherited, _ = affine_list(
                direction, vectors, gradients, available, projected, default, y, x, wide, tall,
                affine,
            )  # fmt: skip
        if leaf[INTRA]:
            pass
        elif leaf[MERGE] and leaf[AFFINE]:
            entry[:] = affine[leaf[INDEX]]
        elif leaf[MERGE]:
            merge_list(direction, vectors, available, projected, default, y, x, wide, tall, entries)
            entry[:CANDIDATE] = entries[leaf[INDEX]]
        else:
            used = np.int64(leaf[DIRECTION])
            entry[0] = used
            for r in range(2):
                if used >> r & 1:
                    py, px = predicted_vector(r, vectors, available, y, x, wide)
                    if inherited:
                        py, px = affine[0, 1 + 2 * r], affine[0, 2 + 2 * r]
                    entry[1 + 2 * r] = _clip(py + leaf[VY0 + 2 * r])
                    entry[2 + 2 * r] = _clip(px + leaf[VY0 + 2 * r + 1])
            if used != 3:
                one = 1 if used == 1 else 3
                entry[4 - one] = _clip(sign * entry[one])
                entry[5 - one] = _clip(sign * entry[one + 1])
            if leaf[AFFINE]:
                for k in range(4):
                    step = 8 // (wide if k & 1 else tall)
                    before = affine[0, 5 + k] if inherited else 0
                    entry[5 + k] = clip_gradient(before + step * leaf[GRADIENTS + k])
        set_cells(direction, vectors, gradients, available, sign, y, x, wide, tall, entry)
