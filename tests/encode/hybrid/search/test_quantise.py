"""Quantisation of a unit: the cost of levels, and each decision by itself."""

import numba
import numpy as np
import pytest

from nvcodec.coding.hybrid.content import default_content_contexts
from nvcodec.encode.hybrid.rate.bits import context_bits
from nvcodec.encode.hybrid.rate.content import MOST_LISTED, escape_bits, unit_bits
from nvcodec.encode.hybrid.search.quantise import SCAN, quantise
from nvcodec.encode.hybrid.search.workspace import TransformSpace

SIZES = {4: 2, 8: 3, 16: 4, 32: 5}
WEIGHT = 0.085
"""Lambda, in squared steps for a bit."""


def unit_cost(coefficients, levels, n, weight, costs):
    """Squared error and bits of a unit (spec 7.6), from the costs of its syntax."""
    size, scan = SIZES[n] - 2, SCAN[SIZES[n] - 2][: n * n]
    total = float(((abs(coefficients) - abs(levels)) ** 2).sum())
    magnitudes = np.zeros((n + 2, n + 2), int)
    magnitudes[:n, :n] = abs(levels).reshape(n, n)
    last = max(k for k in range(n * n) if levels[scan[k]])
    y, x = divmod(int(scan[last]), n)
    bits = costs.last[0, size, x] + costs.last[1, size, y]
    full = {}
    for b in range(last >> 4, -1, -1):
        places = scan[16 * b : 16 * b + 16]
        by, bx = places[0] // n >> 2, places[0] % n >> 2
        some = bool(levels[places].any())
        if 0 < b < last >> 4:
            near = full.get((by, bx + 1), False) or full.get((by + 1, bx), False)
            bits += costs.full[size, int(near), int(some)]
            full[by, bx] = some
            if not some:
                continue
        full[by, bx] = True
        for k in range(min(16 * b + 15, last), 16 * b - 1, -1):
            y, x = divmod(int(scan[k]), n)
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
    hidden = sum(hides_sign(levels, n, b) for b in range((last >> 4) + 1))
    return total + weight * (bits - hidden)


def hides_sign(levels, n, b):
    """Whether the sub-block with number b in the scan hides a sign."""
    found = [k for k in range(16) if levels[SCAN[SIZES[n] - 2, 16 * b + k]]]
    return bool(found) and found[-1] - found[0] >= 4


@pytest.mark.parametrize(("n", "log2n"), SIZES.items())
def test_levels_are_worth_their_bits(n, log2n):
    rng = np.random.default_rng(n)
    costs = unit_bits(context_bits(default_content_contexts()), 1, 0)
    space = TransformSpace.make()
    y, x = np.indices((n, n))
    exact = coded = 0
    for scale in (0.3, 1, 3, 30, 300):
        for _ in range(8):
            coefficients = rng.laplace(size=(n, n)) * scale * np.exp(-(x + y) / 3)
            coefficients = coefficients.astype(np.float32).ravel()
            levels = np.full(n * n, 7, np.int32)
            cost, count = quantise(
                coefficients,
                n,
                log2n,
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
            for b in range(n * n >> 4):
                if hides_sign(levels, n, b):
                    block = levels[SCAN[log2n - 2, 16 * b : 16 * b + 16]]
                    assert abs(block).sum() % 2 == (block[block != 0][0] < 0)
            recount = unit_cost(coefficients, levels, n, WEIGHT, costs)
            # Levels behind the last one that is kept were in the templates of those before it, and
            # a magnitude that is changed to hide a sign in those of its neighbours.
            assert cost == pytest.approx(recount, rel=0.1)
            coded += 1
            exact += cost == pytest.approx(recount, rel=5e-3)
    assert coded > 10
    assert exact > coded / 2


@pytest.mark.parametrize(("n", "log2n"), SIZES.items())
def test_revised_levels_cost_less(n, log2n):
    rng = np.random.default_rng(n)
    costs = unit_bits(context_bits(default_content_contexts()), 1, 0)
    space = TransformSpace.make()
    y, x = np.indices((n, n))
    total = [0.0, 0.0]
    for _ in range(200):
        coefficients = rng.laplace(size=(n, n)) * rng.choice([0.7, 1.5, 3]) * np.exp(-(x + y) / 4)
        coefficients = coefficients.astype(np.float32).ravel()
        for revise in (False, True):
            levels = np.zeros(n * n, np.int32)
            quantise(
                coefficients, n, log2n, np.float32(WEIGHT), costs, np.float32(0.55), space,
                levels, revise,
            )  # fmt: skip
            assert not space.magnitudes.any()
            energy = float((coefficients.astype(np.float64) ** 2).sum())
            coded = unit_cost(coefficients, levels, n, WEIGHT, costs) if levels.any() else energy
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


def slow_quantise(coefficients, n, weight, costs, least):
    """Levels of one unit, decided from the last coefficient to the first one."""
    size = SIZES[n] - 2
    scan = [divmod(int(position), n) for position in SCAN[size][: n * n]]
    values = abs(coefficients.reshape(n, n).astype(float))
    magnitudes = np.zeros((n + 2, n + 2), int)
    kept = [k for k in range(n * n) if values[scan[k]] >= least]
    if not kept:
        return np.zeros(n * n, np.int32)
    last = kept[-1]
    costs_at, sig_at, flags, full = np.zeros(n * n), np.zeros(n * n), {}, {}
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
            total += weight * (costs.last[0, size, x] + costs.last[1, size, y])
            if total < best:
                best, end = total, k
            if magnitudes[scan[k]] > 1:
                break
        behind += values[scan[k]] ** 2
    for at in scan[end + 1 :]:
        magnitudes[at] = 0
    negative = coefficients.reshape(n, n) < 0
    for b in range(end >> 4, -1, -1):
        ks = range(16 * b, min(end, 16 * b + 15) + 1)
        best += weight * hide_sign(values, magnitudes, negative, [scan[k] for k in ks], size, costs)
    if best >= (values**2).sum():
        magnitudes[:] = 0
    signs = np.where(coefficients < 0, -1, 1)
    return signs * magnitudes[:n, :n].ravel()


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


@pytest.mark.parametrize(("n", "log2n"), SIZES.items())
@pytest.mark.parametrize("scale", [1, 10])
def test_many_units(scale, n, log2n, kernel_bench):
    rng = np.random.default_rng(n)
    costs = unit_bits(context_bits(default_content_contexts()), 1, 0)
    count = 4096 // (n * n)
    y, x = np.indices((n, n))
    units = rng.laplace(size=(count, n, n)) * scale * np.exp(-(x + y) / n)
    units = units.astype(np.float32).reshape(count, n * n)
    levels = np.zeros((count, n * n), np.int32)
    space = TransformSpace.make()

    @numba.njit
    def run(units, costs, space, levels):
        for k in range(count):
            quantise(
                units[k], n, log2n, np.float32(WEIGHT), costs, np.float32(0.55), space,
                levels[k], False,
            )  # fmt: skip

    def call():
        run(units, costs, space, levels)
        return levels

    def slow():
        return np.stack([slow_quantise(unit, n, WEIGHT, costs, 0.55) for unit in units])

    kernel_bench(f"quantise {n}, scale {scale}", units.size, call, slow, unit="coefficient")
    assert levels.any()
