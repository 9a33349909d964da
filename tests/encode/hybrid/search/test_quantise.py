"""Quantisation of a unit: the cost of levels, and each decision by itself."""

import numba
import numpy as np
import pytest

from nvcodec.coding.hybrid.content import default_content_contexts
from nvcodec.encode.hybrid.rate.bits import context_bits
from nvcodec.encode.hybrid.rate.content import MOST_LISTED, escape_bits, unit_bits
from nvcodec.encode.hybrid.search.quantise import SCAN, quantise, shape_of
from nvcodec.encode.hybrid.search.workspace import TransformSpace

SHAPES = [(4, 4), (8, 8), (16, 16), (32, 32), (8, 4), (4, 16), (32, 8), (16, 32)]
WEIGHT = 0.085
"""Lambda, in squared steps for a bit."""


def logs_of(w, h):
    return w.bit_length() - 1, h.bit_length() - 1


def scan_of(w, h):
    return SCAN[shape_of(*logs_of(w, h))][: w * h]


def size_of(w, h):
    """Log2 of R of spec 7.6, minus 2."""
    return (sum(logs_of(w, h)) + 1) // 2 - 2


def last_bits(costs, y, x, w, h):
    wide, tall = logs_of(w, h)
    return costs.last[0, wide - 2, x] + costs.last[1, tall - 2, y]


def unit_cost(coefficients, levels, w, h, weight, costs):
    """Squared error and bits of a unit (spec 7.6), from the costs of its syntax."""
    size, scan = size_of(w, h), scan_of(w, h)
    total = float(((abs(coefficients) - abs(levels)) ** 2).sum())
    magnitudes = np.zeros((h + 2, w + 2), int)
    magnitudes[:h, :w] = abs(levels).reshape(h, w)
    last = max(k for k in range(w * h) if levels[scan[k]])
    y, x = divmod(int(scan[last]), w)
    bits = last_bits(costs, y, x, w, h)
    full = {}
    for b in range(last >> 4, -1, -1):
        places = scan[16 * b : 16 * b + 16]
        by, bx = places[0] // w >> 2, places[0] % w >> 2
        some = bool(levels[places].any())
        if 0 < b < last >> 4:
            near = full.get((by, bx + 1), False) or full.get((by + 1, bx), False)
            bits += costs.full[size, int(near), int(some)]
            full[by, bx] = some
            if not some:
                continue
        full[by, bx] = True
        for k in range(min(16 * b + 15, last), 16 * b - 1, -1):
            y, x = divmod(int(scan[k]), w)
            m = magnitudes
            t = m[y, x + 1] + m[y, x + 2] + m[y + 1, x] + m[y + 2, x] + m[y + 1, x + 1]
            place = 0 if x + y == 0 else 1 if x + y < 3 else 2 if x + y < 6 else 3
            if k < last:
                bits += costs.sig[size, place, (0, 1, 2, 3, 4, 4, 5)[min(t, 6)], int(m[y, x] > 0)]
            if m[y, x]:
                group = (0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7)[min(t, 15)]
                bits += costs.level[place, group, min(m[y, x], MOST_LISTED)]
                if m[y, x] >= MOST_LISTED:
                    bits += escape_bits(m[y, x])
    hidden = sum(hides_sign(levels, scan, b) for b in range((last >> 4) + 1))
    return total + weight * (bits - hidden)


def hides_sign(levels, scan, b):
    """Whether the sub-block with number b in the scan hides a sign."""
    found = [k for k in range(16) if levels[scan[16 * b + k]]]
    return bool(found) and found[-1] - found[0] >= 4


@pytest.mark.parametrize(("w", "h"), SHAPES)
def test_levels_are_worth_their_bits(w, h):
    rng = np.random.default_rng(w)
    costs = unit_bits(context_bits(default_content_contexts()), 1, 0)
    space = TransformSpace.make()
    y, x = np.indices((h, w))
    exact = coded = 0
    for scale in (0.3, 1, 3, 30, 300):
        for _ in range(8):
            coefficients = rng.laplace(size=(h, w)) * scale * np.exp(-(x + y) / 3)
            coefficients = coefficients.astype(np.float32).ravel()
            levels = np.full(w * h, 7, np.int32)
            cost, count = quantise(
                coefficients,
                *logs_of(w, h),
                np.float32(WEIGHT),
                costs,
                np.float32(0.55),
                space,
                levels,
                False,
            )
            assert not space.magnitudes.any()
            energy = float((coefficients.astype(np.float64) ** 2).sum())
            assert cost <= energy * 1.0001
            assert count == np.count_nonzero(levels)
            if not count:
                assert cost == pytest.approx(energy, rel=1e-4)
                continue
            assert (np.sign(levels) * np.sign(coefficients) >= 0).all()
            assert (
                abs(abs(coefficients) - abs(levels)) <= np.maximum(abs(coefficients), 1.5)
            ).all()
            for b in range(w * h >> 4):
                if hides_sign(levels, scan_of(w, h), b):
                    block = levels[scan_of(w, h)[16 * b : 16 * b + 16]]
                    assert abs(block).sum() % 2 == (block[block != 0][0] < 0)
            recount = unit_cost(coefficients, levels, w, h, WEIGHT, costs)
            # Levels behind the last one that is kept were in the templates of those before it, and
            # a magnitude that is changed to hide a sign in those of its neighbours.
            assert cost == pytest.approx(recount, rel=0.1)
            coded += 1
            exact += cost == pytest.approx(recount, rel=5e-3)
    assert coded > 10
    assert exact > coded / 3


@pytest.mark.parametrize(("w", "h"), SHAPES)
def test_revised_levels_cost_less(w, h):
    rng = np.random.default_rng(w)
    costs = unit_bits(context_bits(default_content_contexts()), 1, 0)
    space = TransformSpace.make()
    y, x = np.indices((h, w))
    total = [0.0, 0.0]
    for _ in range(200):
        coefficients = rng.laplace(size=(h, w)) * rng.choice([0.7, 1.5, 3]) * np.exp(-(x + y) / 4)
        coefficients = coefficients.astype(np.float32).ravel()
        for revise in (False, True):
            levels = np.zeros(w * h, np.int32)
            quantise(
                coefficients, *logs_of(w, h), np.float32(WEIGHT), costs, np.float32(0.55), space,
                levels, revise,
            )  # fmt: skip
            assert not space.magnitudes.any()
            energy = float((coefficients.astype(np.float64) ** 2).sum())
            coded = unit_cost(coefficients, levels, w, h, WEIGHT, costs) if levels.any() else energy
            total[revise] += coded
    assert total[True] < total[False]


def template(magnitudes, y, x):
    """Sum of neighbours that are known, and the class of the position."""
    m = magnitudes
    t = m[y, x + 1] + m[y, x + 2] + m[y + 1, x] + m[y + 2, x] + m[y + 1, x + 1]
    place = 0 if x + y == 0 else 1 if x + y < 3 else 2 if x + y < 6 else 3
    return min(int(t), 15), place


def best_magnitude(value, t, place, size, weight, costs):
    """(cost, magnitude, cost of being significant) of the best of 0 and the two nearest levels."""
    sig = weight * costs.sig[size, place, (0, 1, 2, 3, 4, 4, 5)[min(t, 6)]].astype(float)
    group = (0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7)[t]
    found = [(value**2 + sig[0], 0)]
    rounded = int(value + 0.5)
    for a in (rounded, rounded - 1):
        if a > 0:
            bits = costs.level[place, group, min(a, MOST_LISTED)]
            bits += escape_bits(a) if a >= MOST_LISTED else 0
            found.append(((value - a) ** 2 + weight * bits + sig[1], a))
    # Of equal costs the first one counts.
    return *min(found, key=lambda entry: entry[0]), sig[1]


def slow_quantise(coefficients, w, h, weight, costs, least):
    """Levels of one unit, decided from the last coefficient to the first one."""
    size = size_of(w, h)
    scan = [divmod(int(position), w) for position in scan_of(w, h)]
    values = abs(coefficients.reshape(h, w).astype(float))
    magnitudes = np.zeros((h + 2, w + 2), int)
    kept = [k for k in range(w * h) if values[scan[k]] >= least]
    if not kept:
        return np.zeros(w * h, np.int32)
    last = kept[-1]
    costs_at, sig_at, flags, full = np.zeros(w * h), np.zeros(w * h), {}, {}
    for b in range(last >> 4, -1, -1):
        ks = range(min(last, 16 * b + 15), 16 * b - 1, -1)
        by, bx = (c >> 2 for c in scan[16 * b])
        near = int(full.get((by, bx + 1), False) or full.get((by + 1, bx), False))
        for k in ks:
            t, place = template(magnitudes, *scan[k])
            costs_at[k], magnitudes[scan[k]], sig_at[k] = best_magnitude(
                values[scan[k]], t, place, size, weight, costs
            )
        flags[b], full[by, bx] = 0.0, True
        if 0 < b < last >> 4:
            some = any(magnitudes[scan[k]] for k in ks)
            empty, coded = weight * costs.full[size, near].astype(float)
            zeros = sum(values[scan[k]] ** 2 for k in ks)
            spent = sum(costs_at[k] for k in ks)
            flags[b] = coded
            if not some or zeros + empty < spent + coded:
                flags[b], full[by, bx] = empty, False
                for k in ks:
                    magnitudes[scan[k]], costs_at[k] = 0, values[scan[k]] ** 2
    # A unit may end at any level, but not before one above 1.
    best, end = (values**2).sum(), -1
    behind = sum(values[at] ** 2 for at in scan[last + 1 :])
    for k in range(last, -1, -1):
        if magnitudes[scan[k]]:
            y, x = scan[k]
            before = sum(costs_at[: k + 1]) + sum(flags[b] for b in range(k >> 4))
            total = before + behind - sig_at[k]
            total += weight * last_bits(costs, y, x, w, h)
            if total < best:
                best, end = total, k
            if magnitudes[scan[k]] > 1:
                break
        behind += values[scan[k]] ** 2
    for at in scan[end + 1 :]:
        magnitudes[at] = 0
    negative = coefficients.reshape(h, w) < 0
    for b in range(end >> 4, -1, -1):
        ks = range(16 * b, min(end, 16 * b + 15) + 1)
        best += weight * hide_sign(values, magnitudes, negative, [scan[k] for k in ks], size, costs)
    if best >= (values**2).sum():
        magnitudes[:] = 0
    signs = np.where(coefficients < 0, -1, 1)
    return signs * magnitudes[:h, :w].ravel()


def hide_sign(values, magnitudes, negative, places, size, costs):
    """Change a magnitude of a sub-block, if it has to; the cost over lambda, less a bit."""
    found = [k for k, at in enumerate(places) if magnitudes[at]]
    if not found or found[-1] - found[0] < 4:
        return 0.0
    if sum(magnitudes[at] for at in places) % 2 == negative[places[found[0]]]:
        return -1.0
    options = []
    for k in range(found[0], found[-1] + 1):
        at, a = places[k], int(magnitudes[places[k]])
        new = a + 1 if values[at] > a or a < (2 if k in (found[0], found[-1]) else 1) else a - 1
        t, place = template(magnitudes, *at)
        sig = costs.sig[size, place, (0, 1, 2, 3, 4, 4, 5)[min(t, 6)]]
        group = (0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7)[t]

        def cost(level, at=at, sig=sig, levels=costs.level[place, group]):
            bits = sig[1] + levels[min(level, MOST_LISTED)] if level else sig[0]
            bits += escape_bits(level) if level >= MOST_LISTED else 0
            return (values[at] - level) ** 2 / WEIGHT + bits

        options.append((cost(new) - cost(a), k, new))
    change, k, new = min(options)
    magnitudes[places[k]] = new
    return change - 1.0


@numba.njit
def quantise_units(units, wide_log, tall_log, costs, space, levels, thorough):
    for k in range(len(units)):
        quantise(
            units[k], wide_log, tall_log, np.float32(WEIGHT), costs, np.float32(0.55), space,
            levels[k], thorough,
        )  # fmt: skip


@pytest.mark.parametrize(("w", "h"), SHAPES)
@pytest.mark.parametrize("scale", [1, 10])
def test_many_units(scale, w, h, kernel_bench):
    rng = np.random.default_rng(w)
    costs = unit_bits(context_bits(default_content_contexts()), 1, 0)
    count = 4096 // (w * h)
    y, x = np.indices((h, w))
    units = rng.laplace(size=(count, h, w)) * scale * np.exp(-(x + y) / max(w, h))
    units = units.astype(np.float32).reshape(count, w * h)
    levels = np.zeros((count, w * h), np.int32)
    space = TransformSpace.make()

    def call():
        quantise_units(units, *logs_of(w, h), costs, space, levels, False)
        return levels

    def slow():
        return np.stack([slow_quantise(unit, w, h, WEIGHT, costs, 0.55) for unit in units])

    kernel_bench(f"quantise {w} x {h}, scale {scale}", units.size, call, slow, unit="coefficient")
    assert levels.any()
