"""How intra leaves are predicted and what they leave over: key canvases and single leaves
(spec 7.4, 7.5, 8.4).

Decides by squared error and bits on the samples that a decoder will have around each block.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    CODED,
    FIRST,
    FOUR,
    INTRA,
    LEAF_COLUMNS,
    MODE,
    SIZE,
    UNITS,
    X,
    Y,
)
from nvcodec.coding.hybrid.motion import FOUR_FLAG, LATER, LISTED, MODES, OTHER, REST, SPLIT
from nvcodec.compiled import Integer, Real, allocating
from nvcodec.encode.hybrid.distances import satd
from nvcodec.encode.hybrid.rate.costs import Bits
from nvcodec.encode.hybrid.search.block import log2, smaller_beside
from nvcodec.encode.hybrid.search.residual import (
    Pool,
    Residuals,
    Scratch,
    append_unit,
    load_residual,
    transform_unit,
)
from nvcodec.model.hybrid.canvas.intra import (
    MOST,
    intra_predict,
    intra_references,
    intra_smooth,
    is_smoothed,
)
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT
from nvcodec.model.hybrid.canvas.quantiser import plane_index
from nvcodec.model.hybrid.canvas.reconstruct import add_numbered
from nvcodec.model.hybrid.canvas.transform import transform_scratch

_NEVER = 1e18
"""Above all costs; also of modes that are not to be looked at, or have been."""
_ANGLES_BESIDE = 3
"""Of so many best modes the angles beside them are compared too."""
_CHROMA_MODES = (0, 26, 10, 1)
"""Those beside that of luma, which takes its place as mode 34 (spec 7.4)."""
_SPLIT_BITS = 0.75
"""Bits for a cell: a leaf that costs less is not split."""
_FOUR_BITS = 6.0
"""Bits: a leaf of one cell that costs less is not predicted by quarters."""


class IntraCosts(NamedTuple):
    """Bits of intra syntax of one Set; flags end in the bit.

    `listed` is of each entry of the list, `rest` of the other 32 modes by number, `chroma` of the
    luma block's mode and of each other entry.
    """

    split: Bits
    four: Bits
    listed: Bits
    rest: Bits
    chroma: Bits


def intra_costs(costs: Bits, canvas_set: int) -> IntraCosts:
    """The parts of the motion substream's costs (spec 7.7)."""
    inter = min(canvas_set, 1)
    is_listed = costs[LISTED + inter]
    listed = [is_listed[1] + costs[LATER, 0]]
    listed += [is_listed[1] + costs[LATER, 1] + costs[REST, b] for b in range(2)]
    rest = []
    for r in range(32):
        k, bits = 1, float(is_listed[0])
        for i in range(4, -1, -1):
            b = r >> i & 1
            bits += costs[REST + k, b]
            k = 2 * k + b
        rest.append(bits)
    chroma = [costs[OTHER, 0]]
    chroma += [
        costs[OTHER, 1] + costs[OTHER + 1, k >> 1] + costs[OTHER + 2 + (k >> 1), k & 1]
        for k in range(4)
    ]
    return IntraCosts(
        costs[SPLIT + 9 * canvas_set :][:9].reshape(3, 3, 2).copy(),
        costs[FOUR_FLAG].copy(),
        np.array(listed, np.float32),
        np.array(rest, np.float32),
        np.array(chroma, np.float32),
    )


class IntraCanvas(NamedTuple):
    """The planes of a canvas under reconstruction and what is known of its blocks.

    Sources and `planes` are u8 of the coded size. `known` (u8) has 1 for each reconstructed 4 x 4
    luma block, `modes` (u8) their intra modes, 1 where there is none; `size` (u8) that of leaves by
    cell.
    """

    source0: npt.NDArray[np.uint8]
    source1: npt.NDArray[np.uint8]
    source2: npt.NDArray[np.uint8]
    plane0: npt.NDArray[np.uint8]
    plane1: npt.NDArray[np.uint8]
    plane2: npt.NDArray[np.uint8]
    known: npt.NDArray[np.uint8]
    modes: npt.NDArray[np.uint8]
    size: npt.NDArray[np.uint8]


class IntraScratch(NamedTuple):
    """Working memory: predictions, references and kept blocks."""

    block: npt.NDArray[np.uint8]
    edges: npt.NDArray[np.int32]
    line: npt.NDArray[np.int32]
    best_levels: npt.NDArray[np.int32]
    levels: npt.NDArray[np.int32]
    best_chroma: npt.NDArray[np.int32]
    kept: npt.NDArray[np.uint8]
    costs: npt.NDArray[np.float64]
    coefficients: npt.NDArray[np.int32]
    sums: npt.NDArray[np.int32]


def make_intra_scratch() -> IntraScratch:
    """Fresh working memory."""
    return IntraScratch(
        np.zeros((32, 32), np.uint8),
        np.zeros((3, 129), np.int32),
        np.zeros(98, np.int32),
        np.zeros(1024, np.int32),
        np.zeros(1024, np.int32),
        np.zeros((2, 256), np.int32),
        np.zeros((3, 3, 1024), np.uint8),
        np.zeros(MODES, np.float64),
        *transform_scratch(),
    )


@allocating
def _mode_list(modes: np.ndarray, y: Integer, x: Integer, out: np.ndarray) -> None:
    """The three listed modes of the 4 x 4 block or larger at (y, x) (spec 7.4)."""
    left = modes[y >> 2, (x >> 2) - 1] if x > 0 else 1
    up = modes[(y >> 2) - 1, x >> 2] if y > 0 else 1
    left = int(left)
    up = int(up)
    if left == up:
        if left < 2:
            out[0] = 0
            out[1] = 1
            out[2] = 26
        else:
            out[0] = left
            out[1] = 2 + ((left + 29) % 32)
            out[2] = 2 + ((left - 1) % 32)
    else:
        out[0] = left
        out[1] = up
        if left != 0 and up != 0:
            out[2] = 0
        elif left != 1 and up != 1:
            out[2] = 1
        else:
            out[2] = 26


@allocating
def _mode_bits(costs: IntraCosts, listed: np.ndarray, mode: Integer) -> Real:
    """Bits of a luma mode, given the listed ones."""
    number = mode
    for k in range(3):
        if listed[k] == mode:
            return costs.listed[k]
        if listed[k] < mode:
            number -= 1
    return costs.rest[number]


@allocating
def _satd4(source: np.ndarray, y: Integer, x: Integer, block: np.ndarray) -> Integer:
    """SATD of a 4 x 4 block, at the scale of tiles.satd."""
    d = np.empty((4, 4), np.int32)
    for i in range(4):
        a = np.int32(source[y + i, x]) - np.int32(block[i, 0])
        b = np.int32(source[y + i, x + 1]) - np.int32(block[i, 1])
        c = np.int32(source[y + i, x + 2]) - np.int32(block[i, 2])
        e = np.int32(source[y + i, x + 3]) - np.int32(block[i, 3])
        d[i, 0] = a + b + c + e
        d[i, 1] = a - b + c - e
        d[i, 2] = a + b - c - e
        d[i, 3] = a - b - c + e
    total = 0
    for j in range(4):
        a = d[0, j]
        b = d[1, j]
        c = d[2, j]
        e = d[3, j]
        total += abs(a + b + c + e) + abs(a - b + c - e) + abs(a + b - c - e) + abs(a - b - c + e)
    return total >> 2


@allocating
def _store(plane: np.ndarray, y: Integer, x: Integer, n: Integer, block: np.ndarray) -> None:
    """Write a prediction into a plane."""
    for i in range(n):
        for j in range(n):
            plane[y + i, x + j] = block[i, j]


@allocating
def _predict(mode: Integer, n: Integer, t: IntraScratch) -> None:
    """Predict a luma block from t.edges[0], or t.edges[2], smoothed."""
    intra_predict(mode, n, False, t.edges[2 if is_smoothed(mode, n) else 0], t.line, t.block)


@allocating
def _add(pool: Pool, q: Integer, plane: np.ndarray, t: IntraScratch) -> None:
    """Add the residual of the last unit of the pool to its plane."""
    add_numbered(pool.units, pool.counts[0] - 1, pool.levels, q, t.coefficients, t.sums, plane)


@allocating
def _rough_cost(
    canvas: IntraCanvas,
    mode_costs: IntraCosts,
    listed: np.ndarray,
    mode: Integer,
    y: Integer,
    x: Integer,
    n: Integer,
    satd_price: Real,
    t: IntraScratch,
) -> Real:
    """SATD and rate of a luma mode, whose references are in t.edges."""
    _predict(mode, n, t)
    if n == 4:
        cost = _satd4(canvas.source0, y, x, t.block)
    else:
        width = canvas.source0.shape[1]
        source = canvas.source0.reshape(-1)
        cost = satd(source, y * width + x, width, t.block.reshape(-1), 0, MOST, n)
    return cost + satd_price * _mode_bits(mode_costs, listed, mode)


@allocating
def _rank_modes(
    canvas: IntraCanvas,
    mode_costs: IntraCosts,
    listed: np.ndarray,
    y: Integer,
    x: Integer,
    n: Integer,
    satd_price: Real,
    t: IntraScratch,
) -> None:
    """Rough costs of luma modes, in t.costs: of odd angles beside the best ones only."""
    for mode in range(MODES):
        if mode > 2 and mode % 2 == 1:
            t.costs[mode] = _NEVER
        else:
            t.costs[mode] = _rough_cost(canvas, mode_costs, listed, mode, y, x, n, satd_price, t)
    order = np.argsort(t.costs)
    for k in range(_ANGLES_BESIDE):
        centre = order[k]
        for mode in (centre - 1, centre + 1):
            if centre > 1 and 2 < mode < MODES and t.costs[mode] >= _NEVER:
                t.costs[mode] = _rough_cost(
                    canvas, mode_costs, listed, mode, y, x, n, satd_price, t
                )


@allocating
def _luma_block(
    canvas: IntraCanvas,
    r: Residuals,
    mode_costs: IntraCosts,
    y: Integer,
    x: Integer,
    n: Integer,
    price: Real,
    satd_price: Real,
    step: Real,
    q: Integer,
    luma_bits0: Real,
    luma_bits1: Real,
    tries: Integer,
    s: Scratch,
    t: IntraScratch,
    pool: Pool,
    chosen: np.ndarray,
) -> Real:
    """Choose the mode and levels of a luma block, reconstruct it and append its unit.

    chosen[0] becomes the mode, chosen[1] whether there is a unit. Returns cost with the flag's
    bits in squared samples.
    """
    log2n = log2(n)
    listed = np.empty(3, np.int64)
    _mode_list(canvas.modes, y, x, listed)
    intra_references(canvas.plane0, canvas.known, False, y, x, n, t.edges[0])
    intra_smooth(t.edges[0], n, t.edges[2])
    _rank_modes(canvas, mode_costs, listed, y, x, n, satd_price, t)
    best = _NEVER
    best_mode = 0
    best_count = 0
    for _ in range(tries):
        mode = int(np.argmin(t.costs))
        if t.costs[mode] >= _NEVER:
            break
        t.costs[mode] = _NEVER
        _predict(mode, n, t)
        load_residual(canvas.source0, y, x, t.block, n, s.residual)
        cost, count, energy = transform_unit(
            s.residual, 0, 0, n, log2n, step, r.weight, r.costs.units, r.least, s, t.levels
        )
        bits = _mode_bits(mode_costs, listed, mode)
        empty = energy + price * (bits + luma_bits0)
        cost += price * (bits + luma_bits1)
        if count == 0 or empty <= cost:
            cost = empty
            count = 0
        if cost < best:
            best = cost
            best_mode = mode
            best_count = count
            for j in range(n * n):
                t.best_levels[j] = t.levels[j]
    _predict(best_mode, n, t)
    _store(canvas.plane0, y, x, n, t.block)
    if best_count > 0:
        append_unit(pool, 0, x, y, n, log2n, t.best_levels)
        _add(pool, q, canvas.plane0, t)
    for row in range(y >> 2, (y + n) >> 2):
        for column in range(x >> 2, (x + n) >> 2):
            canvas.modes[row, column] = best_mode
            canvas.known[row, column] = 1
    chosen[0] = best_mode
    chosen[1] = 1 if best_count > 0 else 0
    return best


@allocating
def _chroma_blocks(
    canvas: IntraCanvas,
    r: Residuals,
    mode_costs: IntraCosts,
    y: Integer,
    x: Integer,
    n: Integer,
    luma_mode: Integer,
    price: Real,
    chroma_step: Real,
    chroma_q: Integer,
    size: Integer,
    s: Scratch,
    t: IntraScratch,
    pool: Pool,
    chosen: np.ndarray,
) -> Real:
    """Choose the chroma mode and levels of a leaf; chosen[0] is the mode, chosen[1] whether there
    is a unit of Cb or Cr. Returns the cost.
    """
    c = r.costs
    log2n = log2(n)
    weight = price / (chroma_step * chroma_step)
    intra_references(canvas.plane1, canvas.known, True, y, x, n, t.edges[0])
    intra_references(canvas.plane2, canvas.known, True, y, x, n, t.edges[1])
    best = _NEVER
    best_mode = 0
    best_cb = 0
    best_cr = 0
    for k in range(5):
        mode = luma_mode
        if k > 0:
            mode = _CHROMA_MODES[k - 1]
            if mode == luma_mode:
                mode = 34
        total = price * mode_costs.chroma[k]
        flags = np.zeros(2, np.int64)
        for plane in range(2):
            intra_predict(mode, n, True, t.edges[plane], t.line, t.block)
            if plane == 0:
                load_residual(canvas.source1, y, x, t.block, n, s.residual)
            else:
                load_residual(canvas.source2, y, x, t.block, n, s.residual)
            cost, count, energy = transform_unit(
                s.residual,
                0,
                0,
                n,
                log2n,
                chroma_step,
                weight,
                c.chroma_units,
                r.least,
                s,
                s.chroma[plane],
            )
            if plane == 0:
                zero = energy + price * c.cb[size, 0]
                cost += price * c.cb[size, 1]
            else:
                zero = energy + price * c.cr[size, flags[0], 0]
                cost += price * c.cr[size, flags[0], 1]
            if count > 0 and cost < zero:
                flags[plane] = 1
                total += cost
            else:
                total += zero
            if total >= best:
                break
        if total < best:
            best = total
            best_mode = mode
            best_cb = flags[0]
            best_cr = flags[1]
            for j in range(n * n):
                t.best_chroma[0, j] = s.chroma[0, j]
                t.best_chroma[1, j] = s.chroma[1, j]
    intra_predict(best_mode, n, True, t.edges[0], t.line, t.block)
    _store(canvas.plane1, y, x, n, t.block)
    intra_predict(best_mode, n, True, t.edges[1], t.line, t.block)
    _store(canvas.plane2, y, x, n, t.block)
    if best_cb:
        append_unit(pool, 1, x, y, n, log2n, t.best_chroma[0])
        _add(pool, chroma_q, canvas.plane1, t)
    if best_cr:
        append_unit(pool, 2, x, y, n, log2n, t.best_chroma[1])
        _add(pool, chroma_q, canvas.plane2, t)
    chosen[0] = best_mode
    chosen[1] = best_cb | best_cr
    return best


@allocating
def decide_intra_leaf(
    canvas: IntraCanvas,
    r: Residuals,
    mode_costs: IntraCosts,
    y: Integer,
    x: Integer,
    n: Integer,
    four: Integer,
    satd_weight: Real,
    tries: Integer,
    s: Scratch,
    t: IntraScratch,
    pool: Pool,
    leaf: np.ndarray,
) -> Real:
    """Choose everything of an intra leaf and reconstruct it; fills `leaf`, returns its cost.

    The luma flag's bits are those beside a chroma unit, which is not known yet.
    """
    q = int(r.q[y >> 5, x >> 5])
    chroma_q = plane_index(q, 1, r.chroma_offset)
    step = r.steps[q]
    price = r.weight * step * step
    size = log2(n) - 3
    y = int(y)
    x = int(x)
    n = int(n)
    leaf[:] = 0
    leaf[X] = x
    leaf[Y] = y
    leaf[SIZE] = n
    leaf[INTRA] = 1
    leaf[FOUR] = four
    leaf[FIRST] = pool.counts[0]
    chosen = np.zeros(2, np.int64)
    total = 0.0
    flag0 = r.costs.luma[size, 1, 0]
    flag1 = r.costs.luma[size, 1, 1]
    coded = 0
    blocks, luma_size = (4, 4) if four else (1, n)
    for k in range(blocks):
        total += _luma_block(
            canvas,
            r,
            mode_costs,
            y + 4 * (k >> 1),
            x + 4 * (k & 1),
            luma_size,
            price,
            satd_weight * step,
            step,
            q,
            flag0,
            flag1,
            tries,
            s,
            t,
            pool,
            chosen,
        )
        leaf[MODE + k : MODE + 4] = chosen[0]
        coded |= chosen[1]
    total += _chroma_blocks(
        canvas,
        r,
        mode_costs,
        y >> 1,
        x >> 1,
        n >> 1,
        leaf[MODE],
        price,
        r.steps[chroma_q],
        chroma_q,
        size,
        s,
        t,
        pool,
        chosen,
    )
    leaf[CHROMA] = chosen[0]
    leaf[CODED] = coded | chosen[1]
    leaf[UNITS] = pool.counts[0] - leaf[FIRST]
    return total


@allocating
def _keep(
    canvas: IntraCanvas, y: Integer, x: Integer, n: Integer, kept: np.ndarray, modes: np.ndarray
) -> None:
    """Copy the samples and modes of a block out of the canvas."""
    for j in range(n):
        for k in range(n):
            kept[0, j * n + k] = canvas.plane0[y + j, x + k]
    h = n >> 1
    for j in range(h):
        for k in range(h):
            kept[1, j * h + k] = canvas.plane1[(y >> 1) + j, (x >> 1) + k]
            kept[2, j * h + k] = canvas.plane2[(y >> 1) + j, (x >> 1) + k]
    m = n >> 2
    for j in range(m):
        for k in range(m):
            modes[j, k] = canvas.modes[(y >> 2) + j, (x >> 2) + k]


@allocating
def _restore(
    canvas: IntraCanvas, y: Integer, x: Integer, n: Integer, kept: np.ndarray, modes: np.ndarray
) -> None:
    """Copy them back."""
    for j in range(n):
        for k in range(n):
            canvas.plane0[y + j, x + k] = kept[0, j * n + k]
    h = n >> 1
    for j in range(h):
        for k in range(h):
            canvas.plane1[(y >> 1) + j, (x >> 1) + k] = kept[1, j * h + k]
            canvas.plane2[(y >> 1) + j, (x >> 1) + k] = kept[2, j * h + k]
    m = n >> 2
    for j in range(m):
        for k in range(m):
            canvas.modes[(y >> 2) + j, (x >> 2) + k] = modes[j, k]


@allocating
def _forget(canvas: IntraCanvas, y: Integer, x: Integer, n: Integer) -> None:
    """Make a block one that is not reconstructed."""
    for row in range(y >> 2, min((y + n) >> 2, canvas.known.shape[0])):
        for column in range(x >> 2, min((x + n) >> 2, canvas.known.shape[1])):
            canvas.known[row, column] = 0
            canvas.modes[row, column] = 1


@allocating
def _root(
    canvas: IntraCanvas,
    r: Residuals,
    mode_costs: IntraCosts,
    root_y: Integer,
    root_x: Integer,
    satd_weight: Real,
    tries: Integer,
    s: Scratch,
    t: IntraScratch,
    pool: Pool,
    leaves: np.ndarray,
    count: np.ndarray,
) -> Real:
    """Decide and reconstruct a root block; returns its cost. Level k has blocks of 8 << k."""
    # Levels stand in arrays: numba's cache does not keep functions that call themselves.
    height, width = canvas.source0.shape
    y = np.zeros(4, np.int64)
    x = np.zeros(4, np.int64)
    child = np.full(4, -1, np.int64)
    alone = np.zeros(4)
    total = np.zeros(4)
    start = np.zeros(4, np.int64)
    chosen = np.zeros((3, LEAF_COLUMNS), np.int32)
    four = np.zeros(LEAF_COLUMNS, np.int32)
    modes = np.empty((3, 8, 8), np.uint8)
    y[3] = root_y
    x[3] = root_x
    k = 3
    while True:
        n = CELL << k
        inside = y[k] + n <= height and x[k] + n <= width and k < 3
        if child[k] < 0:
            price = r.weight * r.steps[r.q[y[k] >> 5, x[k] >> 5]] ** 2
            start[k] = count[0]
            alone[k] = _NEVER
            total[k] = 0.0
            if inside:
                alone[k] = decide_intra_leaf(
                    canvas,
                    r,
                    mode_costs,
                    y[k],
                    x[k],
                    n,
                    0,
                    satd_weight,
                    tries,
                    s,
                    t,
                    pool,
                    chosen[k],
                )
                _keep(canvas, y[k], x[k], n, t.kept[k], modes[k])
                if k > 0:
                    smaller = smaller_beside(canvas.size, y[k], x[k], n)
                    alone[k] += price * mode_costs.split[k - 1, smaller, 0]
                    total[k] = price * mode_costs.split[k - 1, smaller, 1]
                else:
                    alone[k] += price * mode_costs.four[0]
            if k > 0 and alone[k] > _SPLIT_BITS * price * (n * n / 64):
                child[k] = 0
                if inside:
                    _forget(canvas, y[k], x[k], n)
            elif k == 0 and alone[k] > _FOUR_BITS * price:
                _forget(canvas, y[k], x[k], n)
                smaller_cost = price * mode_costs.four[1] + decide_intra_leaf(
                    canvas, r, mode_costs, y[k], x[k], n, 1, satd_weight, tries, s, t, pool, four
                )
                if smaller_cost < alone[k]:
                    alone[k] = smaller_cost
                    chosen[k] = four
                    _keep(canvas, y[k], x[k], n, t.kept[k], modes[k])
        half = n >> 1
        descended = False
        while 0 <= child[k] < 4 and total[k] < alone[k]:
            cy = y[k] + half * (child[k] >> 1)
            cx = x[k] + half * (child[k] & 1)
            child[k] += 1
            if cy < height and cx < width:
                y[k - 1] = cy
                x[k - 1] = cx
                child[k - 1] = -1
                descended = True
                break
        if descended:
            k -= 1
            continue
        value = total[k]
        if child[k] < 0 or total[k] >= alone[k]:
            value = alone[k]
            count[0] = start[k]
            _restore(canvas, y[k], x[k], n, t.kept[k], modes[k])
            for row in range(y[k] >> 2, (y[k] + n) >> 2):
                for column in range(x[k] >> 2, (x[k] + n) >> 2):
                    canvas.known[row, column] = 1
            for row in range(y[k] >> 3, (y[k] + n) >> 3):
                for column in range(x[k] >> 3, (x[k] + n) >> 3):
                    canvas.size[row, column] = n
            leaves[count[0]] = chosen[k]
            count[0] += 1
        if k == 3:
            return value
        k += 1
        total[k] += value


@allocating
def search_intra(
    canvas: IntraCanvas,
    r: Residuals,
    mode_costs: IntraCosts,
    satd_weight: Real,
    tries: Integer,
    s: Scratch,
    t: IntraScratch,
    pool: Pool,
    leaves: np.ndarray,
    count: np.ndarray,
) -> Real:
    """Decide and reconstruct a key canvas; returns its cost in squared samples."""
    total = 0.0
    for y in range(0, canvas.source0.shape[0], ROOT):
        for x in range(0, canvas.source0.shape[1], ROOT):
            total += _root(
                canvas, r, mode_costs, y, x, satd_weight, tries, s, t, pool, leaves, count
            )
    return total


@allocating
def decide_intra_leaves(
    canvas: IntraCanvas,
    r: Residuals,
    mode_costs: IntraCosts,
    satd_weight: Real,
    tries: Integer,
    s: Scratch,
    t: IntraScratch,
    pool: Pool,
    leaves: np.ndarray,
) -> Real:
    """Decide and reconstruct the intra leaves of an inter canvas, whose others are."""
    total = 0.0
    for k in range(leaves.shape[0]):
        if leaves[k, INTRA]:
            total += decide_intra_leaf(
                canvas,
                r,
                mode_costs,
                leaves[k, Y],
                leaves[k, X],
                leaves[k, SIZE],
                0,
                satd_weight,
                tries,
                s,
                t,
                pool,
                leaves[k],
            )
    return total
