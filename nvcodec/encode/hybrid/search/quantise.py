"""Rate-distortion optimised quantisation (RDOQ) of one unit (spec 7.6, 8.6)."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.levels import GREATER_CLASS, PLACE, SIG_CLASS, diagonals
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.rate.costs import MOST_LISTED, UnitCosts, escape_bits
from nvcodec.encode.hybrid.search.workspace import STRIDE, TransformSpace


def _scans() -> np.ndarray:
    """Position y * n + x of each scan index, by log2(n) - 2: (4, 1024)."""
    scans = np.zeros((4, 1024), np.int32)
    for size in range(4):
        n = 4 << size
        k = 0
        for sx, sy in diagonals(n // 4):
            for x, y in diagonals(4):
                scans[size, k] = (4 * sy + y) * n + 4 * sx + x
                k += 1
    return scans


SCAN = _scans()


@kernel
def quantise(
    coefficients: np.ndarray,
    n: Integer,
    log2n: Integer,
    weight: Real,
    costs: UnitCosts,
    least: Real,
    space: TransformSpace,
    levels: np.ndarray,
) -> tuple[Real, Integer]:
    """Choose the levels of a unit.

    `coefficients` are flat float32 in quantiser steps; `weight` is lambda in squared steps. The
    last level is never at a coefficient below `least`. `space.magnitudes` has to be zero, and is
    zero again afterwards. Fills `levels`, int32 (n * n,) by position. Returns the cost
    D + weight * R in squared steps, and the number of levels that are not zero. R is without flags
    outside the unit. Without levels the cost is the energy of the coefficients.
    """
    size = log2n - 2
    scan = SCAN[size]
    area = n * n
    zero_cost = np.float32(0.0)
    for k in range(area):
        zero_cost += coefficients[k] * coefficients[k]
    last = area - 1
    while last >= 0:
        if abs(coefficients[scan[last]]) >= least:
            break
        last -= 1
    for k in range(area):
        levels[k] = 0
    if last < 0:
        return zero_cost, 0
    sig = costs.sig[size]
    level_bits = costs.level
    full_bits = costs.full[size]
    cost_of, zero_of, sig_of = space.positions[0], space.positions[1], space.positions[2]
    magnitudes, full, block_cost = space.magnitudes, space.full, space.block_cost
    # 1 if a 4 x 4 sub-block has levels; there is a border at the right and below.
    for k in range(full.size):
        full[k] = 0
    total = zero_cost
    last_block = last >> 4
    for b in range(last_block, -1, -1):
        corner = scan[b << 4]
        by = (corner // n) >> 2
        bx = (corner % n) >> 2
        near = 1 if full[by * 9 + bx + 1] | full[(by + 1) * 9 + bx] else 0
        coded = b < last_block and b > 0
        some = 0
        spent = np.float32(0.0)
        zeros = np.float32(0.0)
        top = last & 15 if b == last_block else 15
        for i in range(top, -1, -1):
            k = (b << 4) + i
            position = scan[k]
            y = position >> log2n
            x = position & (n - 1)
            at = y * STRIDE + x
            template = (
                magnitudes[at + 1]
                + magnitudes[at + 2]
                + magnitudes[at + STRIDE]
                + magnitudes[at + 2 * STRIDE]
                + magnitudes[at + STRIDE + 1]
            )
            place = PLACE[x + y]
            value = abs(coefficients[position])
            squared = value * value
            zeros += squared
            sig_class = SIG_CLASS[min(template, SIG_CLASS.size - 1)]
            zero_bits = weight * sig[place, sig_class, 0]
            one_bits = weight * sig[place, sig_class, 1]
            nearest = int(value + np.float32(0.5))
            best = squared + zero_bits
            chosen = 0
            if nearest > 0:
                level_class = GREATER_CLASS[min(template, GREATER_CLASS.size - 1)]
                low = max(1, nearest - 1)
                for candidate in range(nearest, low - 1, -1):
                    error = value - candidate
                    bits = level_bits[place, level_class, min(candidate, MOST_LISTED)]
                    if candidate >= MOST_LISTED:
                        bits += escape_bits(candidate)
                    cost = error * error + weight * bits + one_bits
                    if cost < best:
                        best = cost
                        chosen = candidate
            cost_of[k] = best
            zero_of[k] = squared
            sig_of[k] = one_bits
            spent += best
            if chosen > 0:
                some += 1
                levels[position] = chosen
                magnitudes[at] = chosen
        flag = np.float32(0.0)
        if coded:
            if some > 0:
                flag = weight * full_bits[near, 1]
            if some == 0 or zeros + weight * full_bits[near, 0] < spent + flag:
                flag = weight * full_bits[near, 0]
                spent = zeros
                for i in range(16):
                    position = scan[(b << 4) + i]
                    if levels[position] > 0:
                        levels[position] = 0
                        magnitudes[(position >> log2n) * STRIDE + (position & (n - 1))] = 0
                some = 0
        block_cost[b] = flag
        full[by * 9 + bx] = 1 if some > 0 or not coded else 0
        if some == 0 and coded:
            for i in range(16):
                k = (b << 4) + i
                cost_of[k] = zero_of[k]
        total += spent + flag - zeros
    # Choose the last level: all after it become zero and cost no bits. A level above 1 is kept.
    best_total = zero_cost
    best_last = -1
    for b in range(last_block, -1, -1):
        stop = False
        total -= block_cost[b]
        for i in range(15, -1, -1):
            k = (b << 4) + i
            if k > last:
                continue
            position = scan[k]
            if levels[position] > 0:
                y = position >> log2n
                x = position & (n - 1)
                candidate = (
                    total + weight * (costs.last[0, size, x] + costs.last[1, size, y]) - sig_of[k]
                )
                if candidate < best_total:
                    best_total = candidate
                    best_last = k
                if levels[position] > 1:
                    stop = True
                    break
            total += zero_of[k] - cost_of[k]
        if stop:
            break
    count = 0
    for k in range(last + 1):
        position = scan[k]
        if levels[position] > 0:
            magnitudes[(position >> log2n) * STRIDE + (position & (n - 1))] = 0
            if k > best_last:
                levels[position] = 0
            else:
                count += 1
                if coefficients[position] < 0:
                    levels[position] = -levels[position]
    return best_total, count
