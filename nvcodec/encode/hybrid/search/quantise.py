"""Rate-distortion optimised quantisation (RDOQ) of one unit (spec 7.6, 8.6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import lookup
from nvcodec.coding.hybrid.levels import GREATER_CLASS, HIDING, PLACE, SIG_CLASS, diagonals
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.rate.content import MOST_LISTED, UnitBits, escape_bits
from nvcodec.encode.hybrid.search.residual import survey
from nvcodec.encode.hybrid.search.workspace import STRIDE, TransformSpace


def _scans() -> np.ndarray:
    """Position y * columns + x of each scan index: (16, 1024), by `shape_of`."""
    scans = np.zeros((16, 1024), np.uint16)
    for shape in range(16):
        columns, rows = 4 << (shape & 3), 4 << (shape >> 2)
        k = 0
        for sx, sy in diagonals(columns // 4, rows // 4):
            for x, y in diagonals(4, 4):
                scans[shape, k] = (4 * sy + y) * columns + 4 * sx + x
                k += 1
    return scans


SCAN = _scans()


def _sub_blocks(stride: int) -> np.ndarray:
    """Row times stride plus column of each sub-block in scan order, (16, 64); by `shape_of`.

    A stride of 0 is the number of sub-blocks in a row.
    """
    places = np.zeros((16, 64), np.uint8)
    for shape in range(16):
        columns, rows = 1 << (shape & 3), 1 << (shape >> 2)
        for b, (x, y) in enumerate(diagonals(columns, rows)):
            places[shape, b] = y * (stride or columns) + x
    return places


_FULL_AT, _PEAK_AT = _sub_blocks(9), _sub_blocks(0)
"""Where `full` and `peaks` of a workspace have the sub-blocks."""
_PLACE, _SIG_CLASS, _GREATER_CLASS = (
    table.astype(np.uint8) for table in (PLACE, SIG_CLASS, GREATER_CLASS)
)
"""Tables that are indices have unsigned numbers: no code asks whether they are negative."""

_AFTER_Y = lookup([0, 0, 1, 2, 1])
_AFTER_X = lookup([1, 2, 0, 0, 1])
"""Where the levels are, before a level, whose contexts it is counted in (`_template`)."""
_NO_LEVEL = np.float32(0.5)
"""Coefficients below this are no levels, in steps, unless levels are revised."""
_NEAR_HALF = np.float32(0.4)
"""A magnitude is not raised if that leaves a coefficient further away, in steps."""


class _Unit(NamedTuple):
    """A unit under decision; fields are the arguments of `quantise`.

    `shape` is that of `shape_of`, `size` log2 of R (spec 7.6) minus 2.
    """

    coefficients: npt.NDArray[np.float32]
    wide_log: int
    tall_log: int
    columns: int
    shape: int
    size: int
    weight: float
    costs: UnitBits
    space: TransformSpace
    levels: npt.NDArray[np.int32]


@kernel
def shape_of(wide_log: Integer, tall_log: Integer) -> Integer:
    """The row of SCAN for units of so many columns and rows."""
    return 4 * (tall_log - 2) + wide_log - 2


@kernel
def quantise(
    coefficients: np.ndarray,
    wide_log: Integer,
    tall_log: Integer,
    weight: Real,
    costs: UnitBits,
    least: Real,
    space: TransformSpace,
    levels: np.ndarray,
    revise: bool,
) -> tuple[Real, Integer]:
    """Choose the levels of a unit.

    `coefficients` are flat float32 in quantiser steps, 2^tall_log rows of 2^wide_log; `weight` is
    lambda in squared steps. The last level is never at a coefficient below `least`.
    `space.magnitudes` has to be zero, and is zero again afterwards. Fills `levels`, int32 by
    position. Returns the cost D + weight * R in squared steps, and the number of levels that are
    not zero. R is without flags outside the unit. Without levels the cost is the energy of the
    coefficients. With `revise` the levels are decided once more, with what they change in the
    contexts of others.
    """
    shape = shape_of(wide_log, tall_log)
    area = 1 << (wide_log + tall_log)
    zero_cost = survey(coefficients, 1 << wide_log, 1 << tall_log, space.peaks)
    last = _last_from(coefficients, shape, area >> 4, least, space.peaks)
    for k in range(area):
        levels[k] = 0
    if last < 0:
        return zero_cost, 0
    for k in range(space.full.size):
        space.full[k] = 0
    columns, size = 1 << wide_log, (wide_log + tall_log - 3) >> 1
    unit = _Unit(
        coefficients, wide_log, tall_log, columns, shape, size, weight, costs, space, levels
    )
    total = zero_cost
    for b in range(last >> 4, -1, -1):
        total += _choose_block(unit, b, last)
    best, last_kept = _best_last(unit, last, total, zero_cost)
    _clear_after(unit, last, last_kept)
    if revise:
        best += _revise(unit, last_kept)
    hiding, count = _finish(unit, last_kept, revise)
    if best + hiding < zero_cost:
        return best + hiding, count
    for k in range(area):
        levels[k] = 0
    return zero_cost, 0


@kernel
def _last_from(
    coefficients: np.ndarray, shape: Integer, blocks: Integer, least: Real, peaks: np.ndarray
) -> Integer:
    """The last scan index of a coefficient of at least `least`; -1 if there is none."""
    scan = SCAN[shape]
    for b in range(blocks - 1, -1, -1):
        if peaks[_PEAK_AT[shape, b]] >= least:
            k = (b << 4) + 15
            while abs(coefficients[scan[k]]) < least:
                k -= 1
            return k
    return -1


@kernel
def _choose_block(u: _Unit, b: Integer, last: Integer) -> Real:
    """Choose the magnitudes of sub-block b; returns what it costs above all zeros.

    `last` is the scan index of the last coefficient that may be a level.
    """
    scan = SCAN[u.shape]
    space = u.space
    sig = u.costs.sig[u.size]
    full_bits = u.costs.full[u.size]
    cost_of, zero_of, sig_of = space.positions[0], space.positions[1], space.positions[2]
    place_of_flag = _FULL_AT[u.shape, b]
    near = 1 if space.full[place_of_flag + 1] | space.full[place_of_flag + 9] else 0
    coded = b < last >> 4 and b > 0
    if coded and space.peaks[_PEAK_AT[u.shape, b]] < _NO_LEVEL:
        space.block_cost[b] = u.weight * full_bits[near, 0]
        return space.block_cost[b]
    some = 0
    spent = np.float32(0.0)
    zeros = np.float32(0.0)
    top = 15 if b < last >> 4 else last & 15
    for i in range(top, -1, -1):
        k = _index(b, i)
        position = scan[k]
        y = position >> u.wide_log
        x = position & (u.columns - 1)
        at = y * STRIDE + x
        t = _template(space.magnitudes, at)
        place = _PLACE[x + y]
        value = abs(u.coefficients[position])
        squared = value * value
        zeros += squared
        sig_class = _SIG_CLASS[min(t, _SIG_CLASS.size - 1)]
        zero_bits = u.weight * sig[place, sig_class, 0]
        one_bits = u.weight * sig[place, sig_class, 1]
        q = int(value + np.float32(0.5))
        best = squared + zero_bits
        chosen = 0
        if q > 0:
            level_class = _GREATER_CLASS[min(t, _GREATER_CLASS.size - 1)]
            low = max(1, q - 1)
            for candidate in range(q, low - 1, -1):
                error = value - candidate
                bits = u.costs.level[place, level_class, min(candidate, MOST_LISTED)]
                if candidate >= MOST_LISTED:
                    bits += escape_bits(candidate)
                cost = error * error + u.weight * bits + one_bits
                if cost < best:
                    best = cost
                    chosen = candidate
        cost_of[k] = best
        zero_of[k] = squared
        sig_of[k] = one_bits
        spent += best
        if chosen > 0:
            some += 1
            u.levels[position] = chosen
            space.magnitudes[at] = chosen
    flag = np.float32(0.0)
    if coded:
        if some > 0:
            flag = u.weight * full_bits[near, 1]
        if some == 0 or zeros + u.weight * full_bits[near, 0] < spent + flag:
            flag = u.weight * full_bits[near, 0]
            spent = zeros
            some = 0
            _clear_block(u, b)
    space.block_cost[b] = flag
    space.full[place_of_flag] = 1 if some > 0 or not coded else 0
    return spent + flag - zeros


@kernel
def _index(b: Integer, i: Integer) -> Integer:
    """The scan index of coefficient i of sub-block b; the compiler sees that it is not negative."""
    return ((b << 4) + i) & 1023


@kernel
def _template(magnitudes: np.ndarray, at: Integer) -> Integer:
    """The sum of magnitudes that classes follow from (spec 7.6)."""
    return (
        np.int64(magnitudes[at + 1])
        + np.int64(magnitudes[at + 2])
        + np.int64(magnitudes[at + STRIDE])
        + np.int64(magnitudes[at + 2 * STRIDE])
        + np.int64(magnitudes[at + STRIDE + 1])
    )


@kernel
def _clear_block(u: _Unit, b: Integer) -> None:
    """Make a sub-block one without levels."""
    cost_of, zero_of = u.space.positions[0], u.space.positions[1]
    for k in range(b << 4, (b << 4) + 16):
        position = SCAN[u.shape, k]
        if u.levels[position] > 0:
            u.levels[position] = 0
            u.space.magnitudes[_at(u, position)] = 0
        cost_of[k] = zero_of[k]


@kernel
def _at(u: _Unit, position: Integer) -> Integer:
    """Where the magnitude of a position is."""
    return (position >> u.wide_log) * STRIDE + (position & (u.columns - 1))


@kernel
def _best_last(u: _Unit, last: Integer, total: Real, zero_cost: Real) -> tuple[Real, Integer]:
    """Where the last level is best: everything behind it is zero at no rate.

    Returns the cost of the unit and the scan index; -1 where no level at all is best.
    """
    scan = SCAN[u.shape]
    cost_of, zero_of, sig_of = u.space.positions[0], u.space.positions[1], u.space.positions[2]
    last_bits = u.costs.last
    best_total = zero_cost
    best_last = -1
    for b in range(last >> 4, -1, -1):
        total -= u.space.block_cost[b]
        if u.space.full[_FULL_AT[u.shape, b]] == 0:
            continue
        for i in range(15, -1, -1):
            k = _index(b, i)
            if k > last:
                continue
            position = scan[k]
            if u.levels[position] > 0:
                y = position >> u.wide_log
                x = position & (u.columns - 1)
                bits = last_bits[0, u.wide_log - 2, x] + last_bits[1, u.tall_log - 2, y]
                candidate = total + u.weight * bits - sig_of[k]
                if candidate < best_total:
                    best_total = candidate
                    best_last = k
                if u.levels[position] > 1:
                    return best_total, best_last
            total += zero_of[k] - cost_of[k]
    return best_total, best_last


@kernel
def _change(u: _Unit, k: Integer, up: bool) -> Real:
    """What the magnitude at scan index k costs more if it is 1 greater (`up`) or smaller."""
    position = SCAN[u.shape, k]
    y = position >> u.wide_log
    x = position & (u.columns - 1)
    place = _PLACE[x + y]
    t = _template(u.space.magnitudes, _at(u, position))
    level_class = _GREATER_CLASS[min(t, _GREATER_CLASS.size - 1)]
    sig_class = _SIG_CLASS[min(t, _SIG_CLASS.size - 1)]
    sig = u.costs.sig[u.size, place, sig_class]
    value = abs(u.coefficients[position])
    change = np.float32(0.0)
    for side in range(2):
        magnitude = u.levels[position] + ((1 if up else -1) if side == 1 else 0)
        error = value - magnitude
        bits = sig[0]
        if magnitude > 0:
            bits = sig[1] + u.costs.level[place, level_class, min(magnitude, MOST_LISTED)]
            if magnitude >= MOST_LISTED:
                bits += escape_bits(magnitude)
        cost = error * error + u.weight * bits
        change += cost if side == 1 else -cost
    return change


@kernel
def _hide_sign(u: _Unit, b: Integer, last: Integer, revise: bool) -> Real:
    """Make the parity of sub-block b say the sign that it hides, if it hides one (spec 7.6).

    Magnitudes between its first and last level change by 1 where that costs least, with `revise`
    in the contexts of others too. Returns what that costs, less the hidden bit. `last` is the scan
    index of the unit's last level.
    """
    scan = SCAN[u.shape]
    lowest = -1
    highest = -1
    total = 0
    for k in range(b << 4, min(last, (b << 4) + 15) + 1):
        magnitude = u.levels[scan[k]]
        if magnitude > 0:
            lowest = k if lowest < 0 else lowest
            highest = k
            total += magnitude
    if highest - lowest < HIDING:
        return np.float32(0.0)
    if (total & 1) == (1 if u.coefficients[scan[lowest]] < 0 else 0):
        return -u.weight
    best = np.float32(1e30)
    chosen = -1
    chosen_up = True
    for k in range(lowest, highest + 1):
        magnitude = u.levels[scan[k]]
        greater = abs(u.coefficients[scan[k]]) > magnitude
        # The first and the last level stay levels.
        if not greater and magnitude < (2 if k in (lowest, highest) else 1):
            greater = True
        change = 1 if greater else -1
        cost = _revised_cost(u, k, last, change) if revise else _change(u, k, greater)
        if cost < best:
            best = cost
            chosen = k
            chosen_up = greater
    position = scan[chosen]
    u.levels[position] += 1 if chosen_up else -1
    u.space.magnitudes[_at(u, position)] = u.levels[position]
    return best - u.weight


@kernel
def _clear_after(u: _Unit, last: Integer, last_kept: Integer) -> None:
    """Clear levels behind the last one."""
    for k in range(last_kept + 1, last + 1):
        position = SCAN[u.shape, k]
        if u.levels[position] > 0:
            u.space.magnitudes[_at(u, position)] = 0
            u.levels[position] = 0


@kernel
def _magnitude_cost(
    u: _Unit, position: Integer, magnitude: Integer, t: Integer, last: bool
) -> Real:
    """What a magnitude costs where the others around sum to `t`; the last level has no flag."""
    place = _PLACE[(position >> u.wide_log) + (position & (u.columns - 1))]
    sig = u.costs.sig[u.size, place, _SIG_CLASS[min(t, _SIG_CLASS.size - 1)]]
    error = abs(u.coefficients[position]) - magnitude
    bits = np.float32(0.0) if last else sig[1 if magnitude > 0 else 0]
    if magnitude > 0:
        level_class = _GREATER_CLASS[min(t, _GREATER_CLASS.size - 1)]
        bits += u.costs.level[place, level_class, min(magnitude, MOST_LISTED)]
        if magnitude >= MOST_LISTED:
            bits += escape_bits(magnitude)
    return error * error + u.weight * bits


@kernel
def _revised_cost(u: _Unit, k: Integer, last_kept: Integer, change: Integer) -> Real:
    """What it costs to change the magnitude at scan index k, with the contexts that follow it."""
    position = SCAN[u.shape, k]
    y = position >> u.wide_log
    x = position & (u.columns - 1)
    magnitudes = u.space.magnitudes
    at = _at(u, position)
    magnitude = u.levels[position]
    t = _template(magnitudes, at)
    ends = k == last_kept
    cost = _magnitude_cost(u, position, magnitude + change, t, ends)
    cost -= _magnitude_cost(u, position, magnitude, t, ends)
    for number in range(5):
        dy = _AFTER_Y[number]
        dx = _AFTER_X[number]
        if y < dy or x < dx:
            continue
        if u.space.full[((y - dy) >> 2) * 9 + ((x - dx) >> 2)] == 0:
            continue
        other = position - (dy << u.wide_log) - dx
        t = _template(magnitudes, _at(u, other))
        cost += _magnitude_cost(u, other, u.levels[other], t + change, False)
        cost -= _magnitude_cost(u, other, u.levels[other], t, False)
    return cost


@kernel
def _revise(u: _Unit, last_kept: Integer) -> Real:
    """Change magnitudes by 1 where that saves, contexts of others included; returns the sum."""
    total = np.float32(0.0)
    for k in range(last_kept, -1, -1):
        position = SCAN[u.shape, k]
        value = abs(u.coefficients[position])
        magnitude = u.levels[position]
        best = np.float32(0.0)
        chosen = 0
        if magnitude > (1 if k == last_kept else 0):
            cost = _revised_cost(u, k, last_kept, -1)
            if cost < best:
                best = cost
                chosen = -1
        coded = u.space.full[
            ((position >> u.wide_log) >> 2) * 9 + ((position & (u.columns - 1)) >> 2)
        ]
        if value > magnitude + _NEAR_HALF and coded:
            cost = _revised_cost(u, k, last_kept, 1)
            if cost < best:
                best = cost
                chosen = 1
        if chosen != 0:
            total += best
            u.levels[position] = magnitude + chosen
            u.space.magnitudes[_at(u, position)] = magnitude + chosen
    return total


@kernel
def _finish(u: _Unit, last_kept: Integer, revise: bool) -> tuple[Real, Integer]:
    """Hide signs, and give all levels theirs.

    Returns what hiding costs, and how many levels there are.
    """
    cost = np.float32(0.0)
    if last_kept >= HIDING:
        for b in range(last_kept >> 4, -1, -1):
            if u.space.full[_FULL_AT[u.shape, b]]:
                cost += _hide_sign(u, b, last_kept, revise)
    count = 0
    for b in range((last_kept >> 4) + 1):
        if u.space.full[_FULL_AT[u.shape, b]] == 0:
            continue
        for k in range(b << 4, min(last_kept, (b << 4) + 15) + 1):
            position = SCAN[u.shape, k]
            if u.levels[position] > 0:
                u.space.magnitudes[_at(u, position)] = 0
                count += 1
                if u.coefficients[position] < 0:
                    u.levels[position] = -u.levels[position]
    return cost, count
