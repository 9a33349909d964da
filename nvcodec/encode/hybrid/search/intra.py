"""Intra leaves (spec 7.4, 7.5, 8.4): their modes and units, chosen by squared error plus bits.

Works on a canvas under reconstruction. Each leaf is reconstructed as soon as it is decided, so that
the next one is predicted from the samples that a decoder has.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    CODED,
    COPY,
    CUT,
    FIRST,
    HEIGHT,
    INTRA,
    LINEAR,
    MODE,
    PAINTED,
    PALETTE,
    UNIT_TRANSFORM,
    UNITS,
    VX0,
    VY0,
    WIDTH,
    X,
    Y,
)
from nvcodec.coding.hybrid.motion import MODES
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.distances import ANY, satd
from nvcodec.encode.hybrid.rate.intra import IntraBits
from nvcodec.encode.hybrid.search.block import (
    NEVER,
    Block,
    CanvasInput,
    area_of,
    bit_length,
    chroma_of,
)
from nvcodec.encode.hybrid.search.palette import find_palette, forget_colours, paint_block
from nvcodec.encode.hybrid.search.palette_tables import append_palette, recall_colours
from nvcodec.encode.hybrid.search.prediction import FAR, InterSearch
from nvcodec.encode.hybrid.search.transform_tree import best_tree
from nvcodec.encode.hybrid.search.units import (
    Pool,
    append_unit,
    load_residual,
    luma_choice,
    transform_chroma,
    transform_unit,
)
from nvcodec.encode.hybrid.search.workspace import ANGLES_BESIDE, IntraSpace, Workspace
from nvcodec.model.hybrid.canvas.copying import copy_block
from nvcodec.model.hybrid.canvas.intra import (
    MOST,
    intra_predict,
    intra_references,
    intra_smooth,
    is_smoothed,
)
from nvcodec.model.hybrid.canvas.linear import linear_model, linear_predict, luma_of_chroma
from nvcodec.model.hybrid.canvas.quantiser import plane_index
from nvcodec.model.hybrid.canvas.reconstruct import add_numbered
from nvcodec.model.samples import extra_bits, peak_of, plane_shift
from nvcodec.picture import Plane

_CHROMA_MODES = (0, 26, 10, 1)
"""Chroma modes besides luma's own; one that equals luma's is replaced by mode 34 (spec 7.4)."""

_NEAR_ANGLES = 6
"""Modes that are tried for a part of a leaf differ from the leaf's by at most this."""
_INTRA_MODES = (0, 1, 10, 26, 2, 6, 14, 18, 22, 30, 34)
"""Modes that `intra_cost` tries: planar, DC, horizontal, vertical and some angles between."""
_COPIES = 16
"""Most earlier places of equal samples that are looked at for a leaf."""
_LEAVES_BACK = 256
_PALETTES_BACK = 6
"""Most palettes of each plane whose colours are looked at for a leaf."""
_INTRA_LOSS = 1.05
"""Factor on the cost: the final prediction is from reconstructed samples, which are worse."""
_INTRA_MODE_BITS = 10.0
"""Approximate bits of the luma and chroma modes."""


class Rebuilt(NamedTuple):
    """A canvas under reconstruction.

    `plane0` to `plane2` have the coded size, those of chroma are empty in monochrome. For each 4 x
    4 luma block, `known` (u8) is 1 if it is reconstructed, and `modes` (u8) is its intra mode, 1 if
    it has none. `size` (u8) is `packed_size` of the leaf of each cell.
    """

    plane0: Plane
    plane1: Plane
    plane2: Plane
    known: npt.NDArray[np.uint8]
    modes: npt.NDArray[np.uint8]
    size: npt.NDArray[np.uint8]


class Intra(NamedTuple):
    """The state of intra decisions; `tries` modes of a luma block are coded on trial.

    `palettes` says whether palettes are tried.
    """

    given: CanvasInput
    rebuilt: Rebuilt
    workspace: Workspace
    pool: Pool
    tries: int
    earlier: npt.NDArray[np.int32]
    palettes: bool


@kernel
def _list_modes(modes: np.ndarray, y: Integer, x: Integer, out: np.ndarray) -> None:
    """Set `out` to the list of three modes of the luma block at (y, x) (spec 7.4)."""
    left = modes[y >> 2, (x >> 2) - 1] if x > 0 else 1
    up = modes[(y >> 2) - 1, x >> 2] if y > 0 else 1
    left = 1 if left >= COPY else int(left)
    up = 1 if up >= COPY else int(up)
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


@kernel
def _mode_bits(costs: IntraBits, listed: np.ndarray, mode: Integer) -> Real:
    """Bits of a luma mode, given the list of three modes."""
    number = mode
    for k in range(3):
        if listed[k] == mode:
            return costs.listed[k]
        if listed[k] < mode:
            number -= 1
    return costs.rest[number]


@kernel
def _satd4(
    source: np.ndarray, y: Integer, x: Integer, space: IntraSpace, i0: Integer, j0: Integer
) -> Integer:
    """SATD of the 4 x 4 block at (y, x) to the part at (i0, j0) of a prediction, as `satd`."""
    block, d = space.prediction, space.square
    for i in range(4):
        a = np.int32(source[y + i, x]) - np.int32(block[i0 + i, j0])
        b = np.int32(source[y + i, x + 1]) - np.int32(block[i0 + i, j0 + 1])
        c = np.int32(source[y + i, x + 2]) - np.int32(block[i0 + i, j0 + 2])
        e = np.int32(source[y + i, x + 3]) - np.int32(block[i0 + i, j0 + 3])
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


@kernel
def _store(
    plane: np.ndarray, y: Integer, x: Integer, wide: Integer, tall: Integer, block: np.ndarray
) -> None:
    """Write a prediction into a plane."""
    for i in range(tall):
        for j in range(wide):
            plane[y + i, x + j] = block[i, j]


@kernel
def predict_luma(
    space: IntraSpace, code: Integer, mode: Integer, wide: Integer, tall: Integer
) -> None:
    """Predict a luma block from edges[0], or from the smoothed edges[2] if the mode takes them.

    `code` is that of luma (`plane_code`).
    """
    edge = space.edges[2 if is_smoothed(mode, wide, tall) else 0]
    intra_predict(mode, wide, tall, code, edge, space.line, space.prediction)


@kernel
def _add(s: Intra, mode: Integer, q: Integer, code: Integer, plane: np.ndarray) -> None:
    """Add the residual of the last unit in the pool to `plane`, which has this code.

    `mode` is its intra mode.
    """
    pool, space = s.pool, s.workspace.intra
    number = pool.counts[0] - 1
    add_numbered(code, pool.units, number, pool.levels, mode, q, space.unit, space.sums, plane)


@kernel
def _rough_cost(
    s: Intra, b: Block, mode: Integer, y: Integer, x: Integer, wide: Integer, tall: Integer,
    most: Real,
) -> Real:  # fmt: skip
    """SATD plus rate of a luma mode; the edges and the list of modes are in the workspace.

    A result above `most` may be less than the whole cost.
    """
    space = s.workspace.intra
    predict_luma(space, s.given.codes[0], mode, wide, tall)
    rate = b.lam_satd * _mode_bits(s.given.intra, space.listed, mode)
    if min(wide, tall) == 4:
        cost = 0
        for i in range(0, tall, 4):
            for j in range(0, wide, 4):
                cost += _satd4(s.given.source0, y + i, x + j, space, i, j)
    else:
        source, prediction = s.given.source0, space.prediction
        width = source.shape[1]
        limit = most - rate
        cost = satd(source, y * width + x, width, prediction, 0, MOST, wide, tall, limit)
    return cost + rate


@kernel
def _beside(modes: np.ndarray, mode: Integer, y: Integer, x: Integer) -> Integer:
    """How many of the leaves left of and above a leaf have a mode: e or f of spec 7.4."""
    beside = 0
    if x > 0 and modes[y >> 2, (x >> 2) - 1] == mode:
        beside += 1
    if y > 0 and modes[(y >> 2) - 1, x >> 2] == mode:
        beside += 1
    return beside


@kernel
def _is_known(known: np.ndarray, b: Block, y: Integer, x: Integer) -> bool:
    """Whether the samples of a block of the size of `b` at (y, x) are reconstructed, outside b."""
    rows, columns = known.shape
    if y < 0 or x < 0 or y + b.wide > 4 * rows or x + b.wide > 4 * columns:
        return False
    if abs(y - b.y) < b.wide and abs(x - b.x) < b.wide:
        return False
    for row in range(y >> 2, ((y + b.wide - 1) >> 2) + 1):
        for column in range(x >> 2, ((x + b.wide - 1) >> 2) + 1):
            if not known[row, column]:
                return False
    return True


@kernel
def _copy_bits(s: Intra, vy: Integer, vx: Integer) -> Real:
    last, component = s.workspace.intra.last, s.given.intra.component
    return component[0, bit_length(vy - last[0])] + component[1, bit_length(vx - last[1])]


@kernel
def _try_copy(s: Intra, b: Block, vy: Integer, vx: Integer, best: Real) -> Real:
    """The rough cost of a copy vector if it is below `best`, else `best`; sets space.copy."""
    space, canvas = s.workspace.intra, s.rebuilt
    if not _is_known(canvas.known, b, b.y + vy, b.x + vx):
        return best
    width = s.given.source0.shape[1]
    source, plane = s.given.source0.reshape(-1), canvas.plane0.reshape(-1)
    at = b.y * width + b.x
    cost = float(satd(source, at, width, plane, at + vy * width + vx, width, b.wide, b.wide, ANY))
    cost += b.lam_satd * _copy_bits(s, vy, vx)
    if cost < best:
        space.copy[0] = vy
        space.copy[1] = vx
        return cost
    return best


@kernel
def _find_copy(s: Intra, b: Block) -> Real:
    """The least rough cost of a copy of a leaf, NEVER if there is none; sets space.copy."""
    space = s.workspace.intra
    best = NEVER
    if space.last[0] != 0 or space.last[1] != 0:
        best = _try_copy(s, b, space.last[0], space.last[1], best)
    left = _COPIES
    height, width = s.earlier.shape
    for y in range(b.y, b.y + b.wide, 8):
        for x in range(b.x, b.x + b.wide, 8):
            if y >= height or x >= width:
                continue
            place = s.earlier[y, x]
            while place >= 0 and left > 0:
                left -= 1
                vy = place // width - y
                vx = place % width - x
                best = _try_copy(s, b, vy, vx, best)
                place = s.earlier[place // width, place % width]
    return best


@kernel
def _least(costs: np.ndarray) -> Integer:
    """The mode of least cost."""
    best = 0
    for mode in range(1, MODES + 1):
        if costs[mode] < costs[best]:
            best = mode
    return best


@kernel
def _rank_modes(
    s: Intra, b: Block, y: Integer, x: Integer, wide: Integer, tall: Integer, near: Integer
) -> None:
    """Set mode_costs to the rough costs of luma modes, NEVER for those that are not tried.

    Planar, DC and even angles are tried first; then the odd angles beside the best of these. If the
    mode `near` is an angle, only angles near it are tried.
    """
    costs, best = s.workspace.intra.mode_costs, s.workspace.intra.best_modes
    # No more is asked of costs that are not among the least than that they are not.
    all_costs = s.tries > ANGLES_BESIDE or s.earlier.shape[0] > 0
    first, second, third = NEVER, NEVER, NEVER
    for k in range(ANGLES_BESIDE):
        best[k] = 0
    for mode in range(MODES):
        far = 1 < near < MODES and abs(mode - near) > _NEAR_ANGLES
        if mode > 1 and (far or (mode > 2 and mode % 2 == 1)):
            costs[mode] = NEVER
            continue
        cost = _rough_cost(s, b, mode, y, x, wide, tall, NEVER if all_costs else third)
        costs[mode] = cost
        third = min(third, max(second, cost))
        second = min(second, max(first, cost))
        first = min(first, cost)
        # Insertion sort into the best modes so far.
        k = min(mode if mode < 3 else ANGLES_BESIDE, ANGLES_BESIDE)
        while k > 0 and costs[mode] < costs[best[k - 1]]:
            if k < ANGLES_BESIDE:
                best[k] = best[k - 1]
            k -= 1
        if k < ANGLES_BESIDE:
            best[k] = mode
    for k in range(ANGLES_BESIDE):
        centre = best[k]
        for mode in (centre - 1, centre + 1):
            if centre > 1 and 2 < mode < MODES and costs[mode] >= NEVER:
                limit = NEVER if all_costs else third
                costs[mode] = _rough_cost(s, b, mode, y, x, wide, tall, limit)


@kernel
def _predict_leaf(
    s: Intra, mode: Integer, y: Integer, x: Integer, wide: Integer, tall: Integer
) -> None:
    space, canvas, code = s.workspace.intra, s.rebuilt, s.given.codes[0]
    if mode == COPY:
        vy, vx = space.copy
        copy_block(canvas.plane0, canvas.known, code, y, x, wide, vy, vx, space.prediction)
    else:
        predict_luma(space, code, mode, wide, tall)


@kernel
def _luma_palette(s: Intra, b: Block, flag: Real, best: Real) -> Real:
    """The cost of a palette of the luma of a leaf, if below `best`; it is left in the workspace.

    `flag` are the bits of the mode.
    """
    p, given = s.workspace.intra.palette, s.given
    bits, depth = given.content.palette, 8 + extra_bits(given.source0, given.codes[0])
    limit = best - b.lam * flag
    cost = find_palette(p, bits, given.source0, 0, b.y, b.x, b.wide, (0, 0, 0), depth, b.lam, limit)
    return cost + b.lam * flag if cost < limit else best


@kernel
def _decide_luma(
    s: Intra, b: Block, y: Integer, x: Integer, wide: Integer, tall: Integer, near: Integer
) -> tuple[Real, Integer, Integer]:
    """Choose the mode and levels of a luma block of a leaf, reconstruct it and append its unit.

    Returns the cost in squared error including the flag, the mode, and whether there is a unit. The
    flag is priced as if there were a chroma unit, because chroma is decided later.
    """
    t, space, canvas, c = s.workspace.transform, s.workspace.intra, s.rebuilt, s.given.content
    zero = s.given.content.luma[b.level, 1, 0]
    one = s.given.content.luma[b.level, 1, 1]
    _list_modes(canvas.modes, y, x, space.listed)
    intra_references(
        canvas.plane0, canvas.known, s.given.codes[0], y, x, wide, tall, space.edges[0]
    )
    intra_smooth(space.edges[0], wide + tall, space.edges[2])
    _rank_modes(s, b, y, x, wide, tall, near)
    space.mode_costs[MODES] = NEVER
    flag = s.given.intra.copied[_beside(canvas.modes, COPY, b.y, b.x)]
    palette = s.given.intra.palette[_beside(canvas.modes, PALETTE, b.y, b.x)]
    tries = s.tries
    square = b.wide == b.tall
    screen = 1.0 if square and (s.palettes or s.earlier.shape[0] > 0) else 0.0
    if square and wide == b.wide and tall == b.tall and s.earlier.shape[0] > 0:
        tries += 1
        space.mode_costs[MODES] = _find_copy(s, b) + b.lam_satd * (flag[1] - flag[0])
    best = NEVER
    best_mode = 0
    best_count = 0
    best_transform = 0
    for _ in range(tries):
        mode = _least(space.mode_costs)
        if space.mode_costs[mode] >= NEVER:
            break
        space.mode_costs[mode] = NEVER
        if mode == MODES:
            mode = COPY
        _predict_leaf(s, mode, y, x, wide, tall)
        load_residual(s.given.source0, y, x, space.prediction, 0, 0, wide, tall, t.residual)
        cost, count, energy = transform_unit(
            t,
            0,
            0,
            wide,
            tall,
            b.step,
            b.weight,
            c.units,
            luma_choice(s.given, mode),
            space.levels[:],
        )
        bits = screen * (flag[0] + palette[0])
        if mode == COPY:
            bits = flag[1] + _copy_bits(s, space.copy[0], space.copy[1])
        else:
            bits += _mode_bits(s.given.intra, space.listed, mode)
        empty = energy + b.lam * (bits + zero)
        cost += b.lam * (bits + one)
        if count == 0 or empty <= cost:
            cost = empty
            count = 0
        if cost < best:
            best = cost
            best_mode = mode
            best_count = count
            best_transform = t.transform[0]
            for j in range(wide * tall):
                space.best_levels[j] = space.levels[j]
    if s.palettes and square and wide == b.wide and tall == b.tall:
        cost = _luma_palette(s, b, flag[0] + palette[1], best)
        if cost < best:
            best = cost
            best_mode = PALETTE
    if best_mode == PALETTE:
        best_count = 1
        paint_block(space.palette, 0, wide, 0, space.prediction)
        append_palette(s.pool, space.palette, 0, x, y, wide, 0)
    else:
        _predict_leaf(s, best_mode, y, x, wide, tall)
    _store(canvas.plane0, y, x, wide, tall, space.prediction)
    if best_count > 0 and best_mode != PALETTE:
        append_unit(s.pool, 0, x, y, wide, tall, best_transform, space.best_levels[:])
        _add(s, best_mode, b.q, s.given.codes[0], canvas.plane0)
    for row in range(y >> 2, (y + tall) >> 2):
        for column in range(x >> 2, (x + wide) >> 2):
            canvas.modes[row, column] = best_mode
            canvas.known[row, column] = 1
    return best, best_mode, 1 if best_count > 0 else 0


@kernel
def _predict_chroma(
    s: Intra, plane: Integer, mode: Integer, y: Integer, x: Integer, wide: Integer, tall: Integer
) -> None:
    """Predict a block of Cb (0) or Cr (1), whose edge is in the workspace."""
    space, canvas, code = s.workspace.intra, s.rebuilt, s.given.codes[1]
    samples = canvas.plane1 if plane == 0 else canvas.plane2
    if mode == COPY:
        vy, vx = space.copy
        copy_block(samples, canvas.known, code, y, x, wide, vy, vx, space.prediction)
    elif mode >= LINEAR:
        linear_predict(mode, canvas.plane0, samples, code, y, x, wide, tall, space.prediction)
    else:
        intra_predict(mode, wide, tall, code, space.edges[plane], space.line, space.prediction)


@kernel
def _best_linear(s: Intra, y: Integer, x: Integer, wide: Integer, tall: Integer) -> Integer:
    """The mode from luma whose prediction of the first block of Cb and of Cr has least error."""
    light, canvas, code = s.workspace.intra.light, s.rebuilt, s.given.codes[1]
    luma_of_chroma(canvas.plane0, code, y, x, wide, tall, light)
    peak = peak_of(canvas.plane1, code)
    best = NEVER
    best_mode = LINEAR
    for mode in range(LINEAR, LINEAR + 3):
        error: Integer = np.int64(0)
        for plane in range(2):
            source = s.given.source1 if plane == 0 else s.given.source2
            samples = canvas.plane1 if plane == 0 else canvas.plane2
            factor, base, shift = linear_model(mode, canvas.plane0, samples, code, y, x, wide, tall)
            for i in range(tall):
                for j in range(wide):
                    value = min(peak, max(0, (factor * light[i, j] + base) >> shift))
                    change = np.int64(source[y + i, x + j]) - value
                    error += change * change
            if error >= best:
                break
        if error < best:
            best = error
            best_mode = mode
    return best_mode


@kernel
def _try_chroma(
    s: Intra, b: Block, part: Integer, mode: Integer, bits: Real, best: Real
) -> tuple[Real, Integer, Integer]:
    """Code a chroma mode on trial in a part: returns its cost and the flags of Cb and Cr.

    `bits` are those of the mode. The levels are left in workspace.transform.chroma. Stops once the
    cost reaches `best`, so a cost that is not below `best` may be partial.
    """
    t, space, c = s.workspace.transform, s.workspace.intra, s.given.content
    y, x, wide, tall = chroma_of(s.given, b.y, b.x, b.wide, b.tall)
    y += part * tall
    total = b.lam * bits
    cb = 0
    cr = 0
    for plane in range(2):
        _predict_chroma(s, plane, mode, y, x, wide, tall)
        cost, count, energy = transform_chroma(
            s.given, t, b, plane + 1, part, space.prediction, 0, 0, y, x, wide, tall
        )
        if plane == 0:
            zero = energy + b.lam * c.cb[b.level, 0]
            cost += b.lam * c.cb[b.level, 1]
        else:
            zero = energy + b.lam * c.cr[b.level, cb, 0]
            cost += b.lam * c.cr[b.level, cb, 1]
        if count > 0 and cost < zero:
            total += cost
            if plane == 0:
                cb = 1
            else:
                cr = 1
        else:
            total += zero
        if total >= best:
            break
    return total, cb, cr


@kernel
def _chroma_edges(s: Intra, y: Integer, x: Integer, wide: Integer, tall: Integer) -> None:
    """Set the edges of a block of Cb and of Cr at (y, x)."""
    space, canvas, code = s.workspace.intra, s.rebuilt, s.given.codes[1]
    intra_references(canvas.plane1, canvas.known, code, y, x, wide, tall, space.edges[0])
    intra_references(canvas.plane2, canvas.known, code, y, x, wide, tall, space.edges[1])


@kernel
def _rebuild_chroma(
    s: Intra, b: Block, plane: Integer, part: Integer, mode: Integer, coded: Integer
) -> None:
    """Predict a part of Cb (0) or Cr (1) from its edge; if `coded`, append and add its unit."""
    space, canvas = s.workspace.intra, s.rebuilt
    y, x, wide, tall = chroma_of(s.given, b.y, b.x, b.wide, b.tall)
    y += part * tall
    code = s.given.codes[1]
    samples = canvas.plane1 if plane == 0 else canvas.plane2
    _predict_chroma(s, plane, mode, y, x, wide, tall)
    _store(samples, y, x, wide, tall, space.prediction)
    if coded:
        levels = space.best_chroma[plane]
        append_unit(s.pool, plane + 1, x, y, wide, tall, 0, levels)
        _add(s, mode, plane_index(b.q, code, s.given.chroma_offset), code, samples)


@kernel
def _lower_chroma(
    s: Intra, b: Block, total: Real, mode: Integer, cb: Integer, cr: Integer
) -> tuple[Real, Integer, Integer]:
    """Code the rest of the chroma of a leaf in 4:2:2, whose upper block of Cb is rebuilt.

    `mode`, `cb` and `cr` are those of the upper blocks, which cost `total`. Units of Cb come before
    those of Cr, and a lower block is predicted from the upper one. Returns what `_decide_chroma`
    does.
    """
    t, space, canvas, c = s.workspace.transform, s.workspace.intra, s.rebuilt, s.given.content
    y, x, wide, tall = chroma_of(s.given, b.y, b.x, b.wide, b.tall)
    code = s.given.codes[1]
    some = cb
    for plane in range(2):
        if plane == 1:
            _rebuild_chroma(s, b, 1, 0, mode, cr)
        samples = canvas.plane1 if plane == 0 else canvas.plane2
        low = y + tall
        intra_references(samples, canvas.known, code, low, x, wide, tall, space.edges[plane])
        _predict_chroma(s, plane, mode, low, x, wide, tall)
        cost, count, energy = transform_chroma(
            s.given, t, b, plane + 1, 1, space.prediction, 0, 0, low, x, wide, tall
        )
        if plane == 0:
            cost += b.lam * c.cb[b.level, 1]
            empty = energy + b.lam * c.cb[b.level, 0]
        else:
            cost += b.lam * c.cr[b.level, some, 1]
            empty = energy + b.lam * c.cr[b.level, some, 0]
        coded = 1 if count > 0 and cost < empty else 0
        for j in range(wide * tall):
            space.best_chroma[plane, j] = t.chroma[plane, 1, j]
        _rebuild_chroma(s, b, plane, 1, mode, coded)
        total += cost if coded else empty
        if plane == 0:
            some |= coded
        else:
            cr |= coded
    return total, mode, some | cr


@kernel
def _chroma_palette(s: Intra, b: Block, part: Integer, best: Real) -> Real:
    """The cost of palettes of a part of Cb and of Cr, if below `best`; left in the workspace."""
    p, given = s.workspace.intra.palette, s.given
    bits, code = given.content.palette, given.codes[1]
    across, down = plane_shift(code)
    y, x, wide, _ = chroma_of(given, b.y, b.x, b.wide, b.tall)
    y += part * wide
    top = part * wide
    depth = 8 + extra_bits(given.source1, code)
    total = find_palette(
        p, bits, given.source1, 1, y, x, wide, (top, down, across), depth, b.lam, best
    )
    if total >= best:
        return best
    limit = best - total
    cost = find_palette(p, bits, given.source2, 2, y, x, wide, (top, 0, 0), depth, b.lam, limit)
    return total + cost if cost < limit else best


@kernel
def _rebuild_painted(s: Intra, b: Block, plane: Integer, part: Integer) -> None:
    """Paint a part of Cb (0) or Cr (1) and append its unit."""
    p, space, canvas = s.workspace.intra.palette, s.workspace.intra, s.rebuilt
    y, x, wide, _ = chroma_of(s.given, b.y, b.x, b.wide, b.tall)
    y += part * wide
    samples = canvas.plane1 if plane == 0 else canvas.plane2
    paint_block(p, plane + 1, wide, part * wide, space.prediction)
    _store(samples, y, x, wide, wide, space.prediction)
    append_palette(s.pool, p, plane + 1, x, y, wide, part * wide)


@kernel
def _decide_chroma(s: Intra, b: Block, luma_mode: Integer) -> tuple[Real, Integer, Integer]:
    """Choose the chroma mode and levels of a leaf, reconstruct it and append its units.

    Returns the cost in squared error, the mode, and whether there is a unit of Cb or Cr.
    """
    t, space = s.workspace.transform, s.workspace.intra
    y, x, wide, tall = chroma_of(s.given, b.y, b.x, b.wide, b.tall)
    _chroma_edges(s, y, x, wide, tall)
    best = NEVER
    best_mode = 0
    best_cb = 0
    best_cr = 0
    for k in range(6):
        mode = luma_mode
        number = k
        if mode == PALETTE and k == 0:
            continue
        if k == 5:
            mode = _best_linear(s, y, x, wide, tall)
            number = k + mode - LINEAR
        elif k > 0:
            mode = _CHROMA_MODES[k - 1]
            if mode == luma_mode:
                mode = 34
        total, cb, cr = _try_chroma(s, b, 0, mode, s.given.intra.chroma[b.level, number], best)
        if total < best:
            best = total
            best_mode = mode
            best_cb = cb
            best_cr = cr
            for j in range(wide * tall):
                space.best_chroma[0, j] = t.chroma[0, 0, j]
                space.best_chroma[1, j] = t.chroma[1, 0, j]
    if luma_mode == PALETTE and s.given.parts == 1:
        bits = b.lam * s.given.intra.chroma[b.level, 0]
        cost = _chroma_palette(s, b, 0, best - bits)
        if cost < best - bits:
            _rebuild_painted(s, b, 0, 0)
            _rebuild_painted(s, b, 1, 0)
            return cost + bits, PALETTE, 1
    _rebuild_chroma(s, b, 0, 0, best_mode, best_cb)
    if s.given.parts == 1:
        _rebuild_chroma(s, b, 1, 0, best_mode, best_cr)
        return best, best_mode, best_cb | best_cr
    return _lower_chroma(s, b, best, best_mode, best_cb, best_cr)


@kernel
def decide_intra_leaf(s: Intra, b: Block, cut: Integer, near: Integer, leaf: np.ndarray) -> Real:
    """Decide an intra leaf and reconstruct it; fills `leaf` and returns the cost in squared error.

    `cut` says which luma blocks a leaf of 8 has (spec 7.4). `near` is the luma mode of a greater
    leaf at the same place, 0 for none: if it is an angle, others far from it are not tried.
    """
    for k in range(leaf.size):
        leaf[k] = 0
    leaf[X] = b.x
    leaf[Y] = b.y
    leaf[WIDTH] = b.wide
    leaf[HEIGHT] = b.tall
    leaf[INTRA] = 1
    leaf[CUT] = cut
    leaf[FIRST] = s.pool.counts[0]
    total = 0.0
    coded = 0
    blocks, wide, tall = (4, 4, 4) if cut else (1, b.wide, b.tall)
    if cut > 1:
        blocks, wide, tall = (2, 8, 4) if cut == 2 else (2, 4, 8)
    for k in range(blocks):
        y, x = b.y + 4 * (k >> 1), b.x + 4 * (k & 1)
        if cut == 2:
            y, x = b.y + 4 * k, b.x
        cost, mode, some = _decide_luma(s, b, y, x, wide, tall, near)
        total += cost
        for quarter in range(k, 4):
            leaf[MODE + quarter] = mode
        if cut > 1:
            leaf[MODE + 2] = leaf[MODE]
        coded |= some
    if leaf[MODE] == COPY:
        leaf[VY0] = s.workspace.intra.copy[0]
        leaf[VX0] = s.workspace.intra.copy[1]
    if s.given.parts > 0:
        cost, mode, some = _decide_chroma(s, b, np.int64(leaf[MODE]))
        total += cost
        leaf[CHROMA] = mode
        coded |= some
    leaf[CODED] = coded
    leaf[UNITS] = s.pool.counts[0] - leaf[FIRST]
    return total


@kernel
def _recall_colours(s: Intra, leaves: np.ndarray, used: Integer) -> None:
    """Set the known colours before leaf number `used`, about as a decoder has them."""
    p, pool = s.workspace.intra.palette, s.pool
    forget_colours(p)
    left = _PALETTES_BACK
    for k in range(used - 1, max(-1, used - 1 - _LEAVES_BACK), -1):
        if leaves[k, INTRA] and leaves[k, MODE] == PALETTE:
            for unit in range(leaves[k, FIRST], leaves[k, FIRST] + leaves[k, UNITS]):
                if pool.units[unit, UNIT_TRANSFORM] == PAINTED:
                    recall_colours(p, pool.units, pool.levels, unit)
            left -= 1
            if left == 0:
                break


@kernel
def _recall_copy(s: Intra, leaves: np.ndarray, used: Integer) -> None:
    """Set the last copy vector, looked for in the last _LEAVES_BACK leaves."""
    last = s.workspace.intra.last
    last[0] = 0
    last[1] = 0
    for k in range(used - 1, max(-1, used - 1 - _LEAVES_BACK), -1):
        if leaves[k, INTRA] and leaves[k, MODE] == COPY:
            last[0] = leaves[k, VY0]
            last[1] = leaves[k, VX0]
            break


@kernel
def recall(s: Intra, leaves: np.ndarray, used: Integer) -> None:
    """Set what leaf number `used` is priced by: known colours and the last copy vector."""
    if s.palettes:
        _recall_colours(s, leaves, used)
    if s.earlier.shape[0] > 0:
        _recall_copy(s, leaves, used)


@kernel
def decide_intra_leaves(
    s: Intra, leaves: np.ndarray, first: Integer, end: Integer, costs: np.ndarray
) -> None:
    """Decide and reconstruct the intra leaves of leaves `first` to `end - 1` of an inter canvas.

    Sets their costs. All inter leaves have to be reconstructed before, and the intra leaves to the
    left and above.
    """
    for k in range(first, end):
        if leaves[k, INTRA]:
            b = area_of(s.given, leaves[k])
            recall(s, leaves, k)
            costs[k] = decide_intra_leaf(s, b, 0, 0, leaves[k])


@kernel
def intra_cost(s: InterSearch, b: Block, best_satd: Real) -> Real:
    """Squared error plus lambda times bits of the best intra prediction from source samples.

    NEVER if its SATD is not below `best_satd`.
    """
    space = s.workspace.intra
    plane = s.given.source0
    intra_references(plane, s.known, s.given.codes[0], b.y, b.x, b.wide, b.tall, space.edges[0])
    intra_smooth(space.edges[0], b.wide + b.tall, space.edges[2])
    at = b.y * s.width + b.x
    least = FAR
    mode = 0
    for candidate in _INTRA_MODES:
        predict_luma(space, s.given.codes[0], candidate, b.wide, b.tall)
        cost = satd(plane, at, s.width, space.prediction, 0, MOST, b.wide, b.tall, ANY)
        if cost < least:
            least = cost
            mode = candidate
    rate = b.lam * (s.bits.intra[0, 1] + _INTRA_MODE_BITS)
    painted = NEVER
    if s.palettes and b.wide == b.tall:
        depth, bits = 8 + extra_bits(plane, s.given.codes[0]), s.given.content.palette
        painted = find_palette(
            space.palette, bits, plane, 0, b.y, b.x, b.wide, (0, 0, 0), depth, b.lam, NEVER
        )
        painted += rate
    if least >= best_satd:
        return painted
    predict_luma(space, s.given.codes[0], mode, b.wide, b.tall)
    residual = s.workspace.transform.residual
    load_residual(plane, b.y, b.x, space.prediction, 0, 0, b.wide, b.tall, residual)
    luma, count, energy = best_tree(s.given, s.workspace, b, b.wide, b.tall, mode)
    cost = min(luma, energy) if count > 0 else energy
    return min(_INTRA_LOSS * cost + rate, painted)
