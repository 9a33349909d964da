"""Deblocking of a canvas (spec 8.7): edge strengths from the tables, then luma and chroma filters.

All vertical edges of a plane are filtered before any horizontal one. Edges of the same direction do
not depend on each other, so rows of cells may be filtered by several threads.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    FIRST,
    HEIGHT,
    INTRA,
    LAST_Q,
    MODE,
    PALETTE,
    UNIT_HEIGHT,
    UNIT_PLANE,
    UNIT_WIDTH,
    UNIT_X,
    UNIT_Y,
    UNITS,
    WIDTH,
    Q,
    X,
    Y,
)
from nvcodec.compiled import Integer, kernel
from nvcodec.model.hybrid.canvas.plane import CELL
from nvcodec.model.hybrid.canvas.quantiser import base_index
from nvcodec.model.samples import extra_bits, peak_of, plane_shift
from nvcodec.tables import load_table

# (beta, tc) for each quantiser index, in differences of 8-bit samples.
_TABLE = load_table("deblocking.txt").reshape(LAST_Q + 1, 2)
_BETA = np.ascontiguousarray(_TABLE[:, 0]).astype(np.int64)
_TC = np.concatenate([_TABLE[:, 1], _TABLE[-1:, 1], _TABLE[-1:, 1]]).astype(np.int64)


@kernel
def transform_areas(
    leaves: np.ndarray,
    units: np.ndarray,
    areas: np.ndarray,
    holds: np.ndarray,
    indices: np.ndarray,
) -> None:
    """Set for each cell the size of its transform area, whether it has luma units, and its Q.

    `holds` is 2 for the cells of a palette leaf. It and `indices` are u8 (cell rows, cell columns),
    `areas` is u8 (width and height, cell rows, cell columns).
    """
    for number in range(len(leaves)):
        leaf = leaves[number]
        y, x, n = np.int64(leaf[Y]) >> 3, np.int64(leaf[X]) >> 3, np.int64(leaf[WIDTH]) >> 3
        tall = np.int64(leaf[HEIGHT]) >> 3
        for i in range(y, y + tall):
            for j in range(x, x + n):
                areas[0, i, j], areas[1, i, j] = 8 * n, 8 * tall
                holds[i, j], indices[i, j] = 0, leaf[Q]
        if leaf[INTRA] and leaf[MODE] == PALETTE:
            for i in range(y, y + n):
                for j in range(x, x + n):
                    holds[i, j] = 2
            continue
        for k in range(leaf[FIRST], leaf[FIRST] + leaf[UNITS]):
            if units[k, UNIT_PLANE]:
                continue
            y, x = np.int64(units[k, UNIT_Y]) >> 3, np.int64(units[k, UNIT_X]) >> 3
            size: Integer = max(8, np.int64(units[k, UNIT_WIDTH]))
            height: Integer = max(8, np.int64(units[k, UNIT_HEIGHT]))
            for i in range(y, y + (height >> 3)):
                for j in range(x, x + (size >> 3)):
                    areas[0, i, j], areas[1, i, j], holds[i, j] = size, height, 1


@kernel
def _motion_differs(
    direction: np.ndarray, vectors: np.ndarray, py: Integer, px: Integer, qy: Integer, qx: Integer
) -> bool:
    used = direction[qy, qx]
    if direction[py, px] != used:
        return True
    for r in range(2):
        if used >> r & 1:
            for k in range(2):
                if abs(np.int64(vectors[r, py, px, k]) - np.int64(vectors[r, qy, qx, k])) >= 4:
                    return True
    return False


@kernel
def edge_strengths(
    areas: np.ndarray,
    holds: np.ndarray,
    direction: np.ndarray,
    vectors: np.ndarray,
    strengths: np.ndarray,
) -> None:
    """Set `strengths`, u8 (2, rows, columns): of the left edges of cells, then the upper ones."""
    rows, columns = direction.shape
    for y in range(rows):
        for x in range(columns):
            for kind in range(2):
                py, px = y - kind, x - 1 + kind
                strength = 0
                if py < 0 or px < 0:
                    strengths[kind, y, x] = 0
                    continue
                mask = min(areas[kind, y, x], areas[kind, py, px]) - 1
                painted = holds[y, x] == 2 or holds[py, px] == 2
                if not painted and (8 * (y if kind else x)) & mask == 0:
                    if direction[y, x] == 0 or direction[py, px] == 0:
                        strength = 2
                    elif (
                        holds[y, x]
                        or holds[py, px]
                        or _motion_differs(direction, vectors, py, px, y, x)
                    ):
                        strength = 1
                strengths[kind, y, x] = strength


@kernel
def _luma_segment(
    s: np.ndarray,
    at: Integer,
    across: Integer,
    along: Integer,
    beta: Integer,
    tc: Integer,
    peak: Integer,
) -> None:
    """Filter an edge segment of four lines of samples 0..peak.

    q0 of the first line is s[at]. Lines are `along` elements apart, samples of a line `across`.
    """
    last = at + 3 * along
    p00, p01, p02 = (
        np.int64(s[at - across]),
        np.int64(s[at - 2 * across]),
        np.int64(s[at - 3 * across]),
    )
    q00, q01, q02 = np.int64(s[at]), np.int64(s[at + across]), np.int64(s[at + 2 * across])
    p30, p31, p32 = (
        np.int64(s[last - across]),
        np.int64(s[last - 2 * across]),
        np.int64(s[last - 3 * across]),
    )
    q30, q31, q32 = np.int64(s[last]), np.int64(s[last + across]), np.int64(s[last + 2 * across])
    dp0, dp3 = abs(p02 - 2 * p01 + p00), abs(p32 - 2 * p31 + p30)
    dq0, dq3 = abs(q02 - 2 * q01 + q00), abs(q32 - 2 * q31 + q30)
    if dp0 + dq0 + dp3 + dq3 >= beta:
        return
    strong = (
        2 * (dp0 + dq0) < beta >> 2
        and 2 * (dp3 + dq3) < beta >> 2
        and abs(p00 - q00) < (5 * tc + 1) >> 1
        and abs(p30 - q30) < (5 * tc + 1) >> 1
        and abs(np.int64(s[at - 4 * across]) - p00) + abs(q00 - np.int64(s[at + 3 * across]))
        < beta >> 3
        and abs(np.int64(s[last - 4 * across]) - p30) + abs(q30 - np.int64(s[last + 3 * across]))
        < beta >> 3
    )
    side = (beta + (beta >> 1)) >> 3
    for k in range(4):
        i = at + k * along
        p0, p1, p2 = (
            np.int64(s[i - across]),
            np.int64(s[i - 2 * across]),
            np.int64(s[i - 3 * across]),
        )
        q0, q1, q2 = np.int64(s[i]), np.int64(s[i + across]), np.int64(s[i + 2 * across])
        if strong:
            p3, q3 = np.int64(s[i - 4 * across]), np.int64(s[i + 3 * across])
            most = 2 * tc
            s[i - across] = _near(p0, most, (p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3)
            s[i - 2 * across] = _near(p1, most, (p2 + p1 + p0 + q0 + 2) >> 2)
            s[i - 3 * across] = _near(p2, most, (2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3)
            s[i] = _near(q0, most, (q2 + 2 * q1 + 2 * q0 + 2 * p0 + p1 + 4) >> 3)
            s[i + across] = _near(q1, most, (q2 + q1 + q0 + p0 + 2) >> 2)
            s[i + 2 * across] = _near(q2, most, (2 * q3 + 3 * q2 + q1 + q0 + p0 + 4) >> 3)
            continue
        e = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4
        if abs(e) >= 10 * tc:
            continue
        e = min(tc, max(-tc, e))
        s[i - across] = min(peak, max(0, p0 + e))
        s[i] = min(peak, max(0, q0 - e))
        half = tc >> 1
        if dp0 + dp3 < side:
            change = (((p2 + p0 + 1) >> 1) - p1 + e) >> 1
            s[i - 2 * across] = min(peak, max(0, p1 + min(half, max(-half, change))))
        if dq0 + dq3 < side:
            change = (((q2 + q0 + 1) >> 1) - q1 - e) >> 1
            s[i + across] = min(peak, max(0, q1 + min(half, max(-half, change))))


@kernel
def _near(sample: Integer, most: Integer, value: Integer) -> Integer:
    return min(sample + most, max(sample - most, value))


@kernel
def filter_luma(
    code: Integer,
    plane: np.ndarray,
    strengths: np.ndarray,
    indices: np.ndarray,
    horizontal: bool,
    row0: Integer,
    row1: Integer,
) -> None:
    """Filter the left or, if `horizontal`, the upper edges of the cells in rows row0..row1-1.

    `code` is the plane's (`plane_code`). `strengths` (rows, columns) are those of these edges,
    `indices` (rows, columns) Q of the cells.
    """
    samples = plane.reshape(-1)
    stride = plane.shape[1]
    extra, peak = extra_bits(plane, code), peak_of(plane, code)
    for y in range(row0, row1):
        for x in range(strengths.shape[1]):
            strength = np.int64(strengths[y, x])
            if strength == 0:
                continue
            before = indices[y - 1, x] if horizontal else indices[y, x - 1]
            index = base_index((np.int64(before) + np.int64(indices[y, x]) + 1) >> 1, extra)
            beta, tc = _BETA[index] << extra, _TC[index + 2 * (strength - 1)] << extra
            if tc == 0:
                continue
            at = 8 * (y * stride + x)
            if horizontal:
                _luma_segment(samples, at, stride, 1, beta, tc, peak)
                _luma_segment(samples, at + 4, stride, 1, beta, tc, peak)
            else:
                _luma_segment(samples, at, 1, stride, beta, tc, peak)
                _luma_segment(samples, at + 4 * stride, 1, stride, beta, tc, peak)


@kernel
def filter_chroma(
    code: Integer,
    plane: np.ndarray,
    strengths: np.ndarray,
    indices: np.ndarray,
    offset: Integer,
    horizontal: bool,
    row0: Integer,
    row1: Integer,
) -> None:
    """Do the same for a chroma plane; `offset` is `chroma_offset` of the description."""
    samples = plane.reshape(-1)
    stride = plane.shape[1]
    extra, peak = extra_bits(plane, code), peak_of(plane, code)
    shift_x, shift_y = plane_shift(code)
    rows, columns = CELL >> shift_y, CELL >> shift_x
    for y in range(row0, row1):
        # Filtered edges are 8 chroma samples apart: 1 << shift_y or 1 << shift_x cells.
        if horizontal and y & ((1 << shift_y) - 1):
            continue
        for x in range(0, strengths.shape[1], 1 if horizontal else 1 << shift_x):
            strength = np.int64(strengths[y, x])
            if strength == 0:
                continue
            before = indices[y - 1, x] if horizontal else indices[y, x - 1]
            index = (np.int64(before) + np.int64(indices[y, x]) + 1) >> 1
            index = base_index(index + offset, extra)
            tc = _TC[min(LAST_Q, index + 2 * (strength - 1))] << extra
            if tc == 0:
                continue
            at = rows * y * stride + columns * x
            across, along = (stride, 1) if horizontal else (1, stride)
            for k in range(columns if horizontal else rows):
                i = at + k * along
                p0, p1 = np.int64(samples[i - across]), np.int64(samples[i - 2 * across])
                q0, q1 = np.int64(samples[i]), np.int64(samples[i + across])
                e = (4 * (q0 - p0) + p1 - q1 + 4) >> 3
                e = min(tc, max(-tc, e))
                samples[i - across] = min(peak, max(0, p0 + e))
                samples[i] = min(peak, max(0, q0 - e))
