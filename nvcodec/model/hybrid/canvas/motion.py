"""Direction and vectors of all cells from the leaves of a canvas (spec 8.2).

Takes the table of leaves and projected motion; gives `direction` and `vectors`. Intra leaves have
direction 0 and zero vectors.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import DIRECTION, HEIGHT, INDEX, INTRA, MERGE, VY0, WIDTH, X, Y
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.projection import CANDIDATE

ENTRIES = 5
"""Number of entries of a merge list."""

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
def set_cells(
    direction: np.ndarray,
    vectors: np.ndarray,
    available: np.ndarray,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    entry: np.ndarray,
) -> None:
    """Set direction and vectors of a leaf's cells from an entry; y, x, wide, tall are in cells.

    The entry of an intra leaf is all 0.
    """
    for i in range(y, y + tall):
        for j in range(x, x + wide):
            direction[i, j] = entry[0]
            available[i, j] = entry[0] != 0
            for r in range(2):
                vectors[r, i, j, 0] = entry[1 + 2 * r]
                vectors[r, i, j, 1] = entry[2 + 2 * r]


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
    entry = np.empty(CANDIDATE, np.int64)
    for number in range(len(leaves)):
        leaf = leaves[number]
        y, x, wide = np.int64(leaf[Y]) >> 3, np.int64(leaf[X]) >> 3, np.int64(leaf[WIDTH]) >> 3
        tall = np.int64(leaf[HEIGHT]) >> 3
        if leaf[INTRA]:
            entry[:] = 0
        elif leaf[MERGE]:
            merge_list(direction, vectors, available, projected, default, y, x, wide, tall, entries)
            entry[:] = entries[leaf[INDEX]]
        else:
            used = np.int64(leaf[DIRECTION])
            entry[0] = used
            for r in range(2):
                if used >> r & 1:
                    py, px = predicted_vector(r, vectors, available, y, x, wide)
                    entry[1 + 2 * r] = _clip(py + leaf[VY0 + 2 * r])
                    entry[2 + 2 * r] = _clip(px + leaf[VY0 + 2 * r + 1])
            if used != 3:
                one = 1 if used == 1 else 3
                # The references of an interior canvas lie on both sides of it.
                sign = -1 if default == 3 else 1
                entry[4 - one] = _clip(sign * entry[one])
                entry[5 - one] = _clip(sign * entry[one + 1])
        set_cells(direction, vectors, available, y, x, wide, tall, entry)
