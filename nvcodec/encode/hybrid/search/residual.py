"""What a predicted leaf leaves over: transform trees and levels of inter leaves (spec 7.5, 7.6).

Takes source and predicted planes; gives units and levels, chosen by squared error and bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import (
    CODED,
    FIRST,
    INTRA,
    LEVEL_COLUMNS,
    LEVEL_POSITION,
    LEVEL_VALUE,
    MERGE,
    SIZE,
    UNIT_COLUMNS,
    UNIT_COUNT,
    UNIT_PLANE,
    UNIT_SIZE,
    UNIT_START,
    UNIT_X,
    UNIT_Y,
    UNITS,
    Z_LOG,
    Z_X,
    Z_Y,
    X,
    Y,
)
from nvcodec.compiled import Integer, Real, allocating
from nvcodec.encode.hybrid.rate.costs import Bits, UnitCosts
from nvcodec.encode.hybrid.search.block import log2
from nvcodec.encode.hybrid.search.quantise import SCAN, STRIDE, quantise
from nvcodec.encode.hybrid.search.transform import forward
from nvcodec.model.hybrid.canvas.quantiser import plane_index

_UNIT_BITS = 3.0
"""Energy worth fewer bits is left alone: the cheapest unit takes some 6, saving a part of it."""
_SPLIT_BITS = 6.0
"""Energy worth fewer bits is not split: it would take two units, or one and flags around it."""
LARGEST = 32
"""Luma samples across the largest unit."""


class ContentCosts(NamedTuple):
    """Bits of the content substream's syntax for one Set (spec 7.7); flags end in the bit."""

    coded: Bits
    cb: Bits
    cr: Bits
    luma: Bits
    tree: Bits
    part: Bits
    units: UnitCosts
    chroma_units: UnitCosts


class Residuals(NamedTuple):
    """What deciding on units takes beside planes.

    `steps` are float32 (64,) quantiser steps by index, `weight` lambda in squared steps of luma.
    `q` is u8 (rows, columns) of 32 x 32 blocks. `depth` is how often a tree may split.
    """

    costs: ContentCosts
    steps: npt.NDArray[np.float32]
    weight: float
    chroma_offset: int
    q: npt.NDArray[np.uint8]
    depth: int
    least: float


class Pool(NamedTuple):
    """Units and levels in the order in which they were decided, and how many there are."""

    units: npt.NDArray[np.int32]
    levels: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


class Scratch(NamedTuple):
    """Working memory of one thread.

    `zeros` (int32) is zero between uses; `chosen` int32 (2, 4, 1024) has levels by size.
    """

    block: npt.NDArray[np.float32]
    product: npt.NDArray[np.float32]
    coefficients: npt.NDArray[np.float32]
    positions: npt.NDArray[np.float32]
    zeros: npt.NDArray[np.int32]
    levels: npt.NDArray[np.int32]
    chroma: npt.NDArray[np.int32]
    residual: npt.NDArray[np.float32]
    tree_cost: npt.NDArray[np.float64]
    tree_split: npt.NDArray[np.uint8]
    tree_count: npt.NDArray[np.int64]


def make_scratch() -> Scratch:
    """Fresh working memory."""
    return Scratch(
        np.zeros(1024, np.float32),
        np.zeros(1024, np.float32),
        np.zeros(1024, np.float32),
        np.zeros((3, 1024), np.float32),
        np.zeros(STRIDE * STRIDE, np.int32),
        np.zeros((4, 1024), np.int32),
        np.zeros((2, 256), np.int32),
        np.zeros((32, 32), np.float32),
        np.zeros((4, 64), np.float64),
        np.zeros((4, 64), np.uint8),
        np.zeros((4, 64), np.int64),
    )


def make_pool(width: int, height: int) -> Pool:
    """Room for all units and levels of a canvas of the coded size."""
    samples = width * height
    return Pool(
        np.empty((samples // 16 + samples // 32 + 16, UNIT_COLUMNS), np.int32),
        np.empty((samples * 3 // 2 + 16, LEVEL_COLUMNS), np.int32),
        np.zeros(2, np.int64),
    )


@allocating
def append_unit(
    pool: Pool,
    plane: Integer,
    x: Integer,
    y: Integer,
    n: Integer,
    log2n: Integer,
    levels: np.ndarray,
) -> None:
    """Add a unit with its levels that are not zero, in coding order (reverse scan)."""
    unit = pool.units[pool.counts[0]]
    start = pool.counts[1]
    unit[UNIT_PLANE] = plane
    unit[UNIT_X] = x
    unit[UNIT_Y] = y
    unit[UNIT_SIZE] = n
    unit[UNIT_START] = start
    scan = SCAN[log2n - 2]
    at = start
    for k in range(n * n - 1, -1, -1):
        level = levels[scan[k]]
        if level != 0:
            pool.levels[at, LEVEL_POSITION] = scan[k]
            pool.levels[at, LEVEL_VALUE] = level
            at += 1
    unit[UNIT_COUNT] = at - start
    pool.counts[0] += 1
    pool.counts[1] = at


@allocating
def transform_unit(
    residual: np.ndarray,
    y: Integer,
    x: Integer,
    n: Integer,
    log2n: Integer,
    step: Real,
    weight: Real,
    unit_costs: UnitCosts,
    least: Real,
    s: Scratch,
    levels: np.ndarray,
) -> tuple[Real, Integer, Real]:
    """Transform and quantise residual[y.., x..]; returns cost in squared samples, levels that are
    not zero, and the cost without any.
    """
    energy = np.float32(0.0)
    for i in range(n):
        for j in range(n):
            value = residual[y + i, x + j]
            s.block[i * n + j] = value
            energy += value * value
    scale = np.float32(1.0) / step
    if energy < _UNIT_BITS * weight * step * step:
        return energy, 0, energy
    forward(s.block, n, log2n, scale, s.product, s.coefficients)
    cost, count = quantise(
        s.coefficients,
        n,
        log2n,
        np.float32(weight),
        unit_costs,
        np.float32(least),
        s.zeros,
        s.positions,
        levels,
    )
    return cost * step * step, count, energy


@allocating
def best_tree(
    c: ContentCosts, r: Residuals, s: Scratch, step: Real, price: Real, log2m: Integer
) -> tuple[Real, Integer]:
    """Best transform tree of the luma node in s.residual: its cost with TREE bits, in squared
    samples, and the number of levels.

    Level k has blocks of 4 << k samples; block z of it, in the order of block(), lies at
    z * 16 * 4^k of `s.levels[k]`.
    """
    # Levels stand in arrays: numba's cache does not keep functions that call themselves.
    top = log2m - 2
    z = np.zeros(4, np.int64)
    child = np.full(4, -1, np.int64)
    total = np.zeros(4)
    some = np.zeros(4, np.int64)
    cost = np.zeros(4)
    count = np.zeros(4, np.int64)
    energy = np.zeros(4)
    k = top
    while True:
        n = 4 << k
        if child[k] < 0:
            at = z[k] << (2 * k + 4)
            cost[k], count[k], energy[k] = transform_unit(
                s.residual,
                Z_Y[z[k]] * n,
                Z_X[z[k]] * n,
                n,
                k + 2,
                step,
                r.weight,
                c.units,
                r.least,
                s,
                s.levels[k, at:],
            )
            s.tree_split[k, z[k]] = 0
            if k > 0:
                cost[k] += price * c.tree[k - 1, 0]
                if top - k < r.depth and energy[k] > _SPLIT_BITS * price:
                    child[k] = 0
                    total[k] = price * c.tree[k - 1, 1]
                    some[k] = 0
        if 0 <= child[k] < 4 and (count[k] == 0 or total[k] <= cost[k]):
            z[k - 1] = 4 * z[k] + child[k]
            child[k] += 1
            k -= 1
            child[k] = -1
            continue
        if child[k] == 4 and some[k] > 0 and (total[k] < cost[k] or count[k] == 0):
            cost[k] = total[k]
            count[k] = some[k]
            s.tree_split[k, z[k]] = 1
        s.tree_cost[k, z[k]] = energy[k]
        s.tree_count[k, z[k]] = count[k]
        if k == top:
            return cost[k], count[k]
        part = cost[k] + price * c.part[k, 1]
        empty = energy[k] + price * c.part[k, 0]
        if count[k] == 0 or empty <= part:
            total[k + 1] += empty
            s.tree_count[k, z[k]] = 0
        else:
            total[k + 1] += part
            some[k + 1] += count[k]
        k += 1


@allocating
def _emit(pool: Pool, s: Scratch, plane_y: Integer, plane_x: Integer, log2m: Integer) -> None:
    """Append the units of a node's chosen tree."""
    top = log2m - 2
    z = 0
    while z < 1 << (2 * top):
        # The largest block that begins here; the one around it is split.
        k = Z_LOG[z] if z > 0 else top
        while s.tree_split[k, z >> (2 * k)] and (k == top or s.tree_count[k, z >> (2 * k)] > 0):
            k -= 1
        number = z >> (2 * k)
        if k == top or s.tree_count[k, number] > 0:
            n = 4 << k
            append_unit(
                pool,
                0,
                plane_x + n * Z_X[number],
                plane_y + n * Z_Y[number],
                n,
                k + 2,
                s.levels[k, number << (2 * k + 4) :],
            )
        z += 1 << (2 * k)


@allocating
def load_residual(
    source: np.ndarray, y: Integer, x: Integer, predicted: np.ndarray, n: Integer, out: np.ndarray
) -> None:
    """Set out[:n, :n] to source[y.., x..] - predicted[:n, :n], in floats."""
    for i in range(n):
        for j in range(n):
            out[i, j] = np.float32(source[y + i, x + j]) - np.float32(predicted[i, j])


@allocating
def _node_chroma(
    r: Residuals,
    source1: np.ndarray,
    source2: np.ndarray,
    predicted1: np.ndarray,
    predicted2: np.ndarray,
    y: Integer,
    x: Integer,
    n: Integer,
    log2n: Integer,
    price: Real,
    step: Real,
    s: Scratch,
    chroma_cost: np.ndarray,
    chroma_empty: np.ndarray,
) -> tuple[Integer, Integer]:
    """Flags of Cb and Cr of a node, whose chroma is n samples wide, with levels in s.chroma.

    `chroma_cost` and `chroma_empty` become the costs of both with a unit and without, flags apart.
    """
    c = r.costs
    size = log2n - 2
    weight = price / (step * step)
    chroma_count = np.zeros(2, np.int64)
    for plane in range(2):
        if plane == 0:
            load_residual(source1, y, x, predicted1[y:, x:], n, s.residual)
        else:
            load_residual(source2, y, x, predicted2[y:, x:], n, s.residual)
        cost, count, energy = transform_unit(
            s.residual,
            0,
            0,
            n,
            log2n,
            step,
            weight,
            c.chroma_units,
            r.least,
            s,
            s.chroma[plane],
        )
        chroma_cost[plane] = cost
        chroma_empty[plane] = energy
        chroma_count[plane] = count
    cb = (
        1
        if chroma_count[0] > 0
        and (chroma_cost[0] + price * c.cb[size, 1] < chroma_empty[0] + price * c.cb[size, 0])
        else 0
    )
    cr = (
        1
        if chroma_count[1] > 0
        and (
            chroma_cost[1] + price * c.cr[size, cb, 1] < chroma_empty[1] + price * c.cr[size, cb, 0]
        )
        else 0
    )
    return cb, cr


@allocating
def decide_inter_leaf(
    r: Residuals,
    leaf: np.ndarray,
    beside: Integer,
    source0: np.ndarray,
    source1: np.ndarray,
    source2: np.ndarray,
    predicted0: np.ndarray,
    predicted1: np.ndarray,
    predicted2: np.ndarray,
    s: Scratch,
    pool: Pool,
) -> Real:
    """Choose an inter leaf's units and append them; sets CODED, FIRST and UNITS.

    `beside` is the number of coded neighbours (spec 7.5). Returns the cost in squared samples.
    """
    c = r.costs
    x = leaf[X]
    y = leaf[Y]
    n = leaf[SIZE]
    q = r.q[y >> 5, x >> 5]
    step = r.steps[q]
    chroma_step = r.steps[plane_index(q, 1, r.chroma_offset)]
    price = r.weight * step * step
    m = min(n, LARGEST)
    log2m = log2(m)
    size = log2(n) - 3
    first_unit = pool.counts[0]
    first_level = pool.counts[1]
    total = price * c.coded[size, leaf[MERGE], beside, 1]
    nothing = price * c.coded[size, leaf[MERGE], beside, 0]
    node_size = log2m - 3
    chroma_cost = np.zeros(2)
    chroma_empty = np.zeros(2)
    for node in range((n // m) * (n // m)):
        ny = y + LARGEST * (node >> 1)
        nx = x + LARGEST * (node & 1)
        load_residual(source0, ny, nx, predicted0[ny:, nx:], m, s.residual)
        luma, luma_count = best_tree(c, r, s, step, price, log2m)
        empty_luma = s.tree_cost[log2m - 2, 0]
        cb, cr = _node_chroma(
            r,
            source1,
            source2,
            predicted1,
            predicted2,
            ny >> 1,
            nx >> 1,
            m >> 1,
            log2m - 1,
            price,
            chroma_step,
            s,
            chroma_cost,
            chroma_empty,
        )
        chroma = cb | cr
        must = n < 64 and chroma == 0
        luma_zero = empty_luma
        luma_coded = luma
        if not must:
            luma_zero += price * c.luma[node_size, chroma, 0]
            luma_coded += price * c.luma[node_size, chroma, 1]
        total += price * (c.cb[node_size, cb] + c.cr[node_size, cb, cr])
        total += chroma_cost[0] if cb else chroma_empty[0]
        total += chroma_cost[1] if cr else chroma_empty[1]
        nothing += empty_luma + chroma_empty[0] + chroma_empty[1]
        if luma_count > 0 and luma_coded < luma_zero:
            total += luma_coded
            _emit(pool, s, ny, nx, log2m)
        else:
            total += luma_zero
        if cb:
            append_unit(pool, 1, nx >> 1, ny >> 1, m >> 1, log2m - 1, s.chroma[0])
        if cr:
            append_unit(pool, 2, nx >> 1, ny >> 1, m >> 1, log2m - 1, s.chroma[1])
    leaf[FIRST] = first_unit
    if pool.counts[0] == first_unit or nothing <= total:
        pool.counts[0] = first_unit
        pool.counts[1] = first_level
        leaf[CODED] = 0
        leaf[UNITS] = 0
        return nothing
    leaf[CODED] = 1
    leaf[UNITS] = pool.counts[0] - first_unit
    return total


@allocating
def decide_inter_leaves(
    r: Residuals,
    leaves: np.ndarray,
    source0: np.ndarray,
    source1: np.ndarray,
    source2: np.ndarray,
    predicted0: np.ndarray,
    predicted1: np.ndarray,
    predicted2: np.ndarray,
    s: Scratch,
    pool: Pool,
) -> Real:
    """Choose the units of all leaves that are not intra; returns their cost."""
    coded = np.zeros((source0.shape[0] >> 3, source0.shape[1] >> 3), np.uint8)
    total = 0.0
    for k in range(leaves.shape[0]):
        leaf = leaves[k]
        row = leaf[Y] >> 3
        column = leaf[X] >> 3
        mark = 1
        if leaf[INTRA] == 0:
            beside = 0
            if column > 0:
                beside += coded[row, column - 1]
            if row > 0:
                beside += coded[row - 1, column]
            total += decide_inter_leaf(
                r,
                leaf,
                beside,
                source0,
                source1,
                source2,
                predicted0,
                predicted1,
                predicted2,
                s,
                pool,
            )
            mark = leaf[CODED]
        cells = leaf[SIZE] >> 3
        for i in range(row, row + cells):
            for j in range(column, column + cells):
                coded[i, j] = mark
    return total
