"""Affine blocks (spec 7.4, 8.2): the vectors of their cells follow gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.search.block import NEVER, Block, bit_length
from nvcodec.encode.hybrid.search.merge import marked_beside
from nvcodec.encode.hybrid.search.phases import MARGIN
from nvcodec.encode.hybrid.search.prediction import (
    AFFINE_MERGE,
    BEST_MERGE,
    CHOICE,
    CODED_GRADIENTS,
    DIFFERENCES,
    ENTRY,
    FAR,
    IS_AFFINE,
    LISTS,
    MERGED,
    OWN_VECTORS,
    SECOND_MERGE,
    SLOPE_DIFFERENCES,
    SLOPES,
    VECTORS,
    Candidates,
    InterSearch,
    affine_satd,
    place_of,
    vector_at,
    vector_bits,
)
from nvcodec.model.hybrid.canvas.motion import affine_list, clip_gradient
from nvcodec.products import add_pairs
from nvcodec.simd import PLACE, REAL, WORD, Operands, constant, operation

_NEAR = 1.02
"""The descent goes on from a cost of at most this times the least one before it."""
_NEAR_ENTRY = 1.1
"""It also starts from an affine entry that costs less than this times what own vectors do."""
_LEAST_GAIN = 20
"""Bits that its first step has to promise. What is promised is far more than what is saved."""

_NEIGHBOURS = ([0, 2, 8, 10, 4, 6, 12, 14], [1, 3, 9, 11, 5, 7, 13, 15])
_HALVES = ([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])
"""Lanes of two vectors to add: neighbours, which x86 finds in one instruction, and halves."""


@kernel
def offer_affine_merges(s: InterSearch, b: Block) -> None:
    """Offer the entries of the affine list, in the places of merges.

    Leaves the list in candidates.affine_entries.
    """
    cells, c = s.cells, s.candidates
    c.inherited[0] = 0
    if min(b.wide, b.tall) == 8 or not s.limits.affine_rounds:
        return
    inherited, count = affine_list(
        cells.direction,
        cells.vectors,
        cells.gradients,
        cells.available,
        s.projected,
        3 if s.interior else 1,
        b.y >> 3,
        b.x >> 3,
        b.wide >> 3,
        b.tall >> 3,
        c.affine_entries,
    )
    c.inherited[0] = inherited
    flags = s.bits.merge[b.level, marked_beside(cells.merged, b), 1] + s.bits.intra[0, 0]
    flags += s.bits.affine[1, b.level, marked_beside(cells.affine, b), 1]
    choice = c.affine[0]
    for k in range(count):
        entry = c.affine_entries[k]
        choice[MERGED] = 1
        choice[ENTRY] = k
        choice[LISTS] = entry[0]
        choice[IS_AFFINE] = 1
        for i in range(4):
            choice[VECTORS + i] = entry[1 + i]
            choice[DIFFERENCES + i] = 0
            choice[SLOPES + i] = entry[5 + i]
            choice[SLOPE_DIFFERENCES + i] = 0
        bits = flags + s.bits.affine_entry[k]
        rate = b.lam_satd * bits
        most = c.cost[SECOND_MERGE]
        if s.limits.apart:
            most = max(most, c.cost[AFFINE_MERGE])
        cost = rate + affine_satd(s, b, choice, most - rate)
        if s.limits.apart and cost < c.cost[AFFINE_MERGE]:
            _keep(c, AFFINE_MERGE, choice, cost, bits)
        if cost < c.cost[BEST_MERGE]:
            best = c.choice[BEST_MERGE]
            _keep(c, SECOND_MERGE, best, c.cost[BEST_MERGE], c.bits[BEST_MERGE])
            _keep(c, BEST_MERGE, choice, cost, bits)
        elif cost < c.cost[SECOND_MERGE]:
            _keep(c, SECOND_MERGE, choice, cost, bits)


@kernel
def _keep(c: Candidates, place: Integer, choice: np.ndarray, cost: Real, bits: Real) -> None:
    """Keep a candidate at a place."""
    c.cost[place] = cost
    c.bits[place] = bits
    for i in range(CHOICE):
        c.choice[place, i] = choice[i]


def _both(code: Operands, array: str, place: Any, stride: Any) -> Any:
    """Eight samples at a place and two rows below it, as 16-bit integers."""
    builder, lanes = code.builder, 2 * code.lanes
    below = builder.add(place, builder.shl(stride, constant(1)))
    rows = (
        code.read(code.pointer(array, at, code.lanes), code.element(array)) for at in (place, below)
    )
    order = ir.Constant(ir.VectorType(WORD, lanes), list(range(lanes)))
    both, half = builder.shuffle_vector(*rows, order), ir.IntType(16)
    if both.type.element == half:
        return both
    return builder.zext(both, ir.VectorType(half, lanes))


def _totals(code: Operands, values: list[Any]) -> Any:
    """A vector of the totals of eight vectors of eight floats."""
    for sides in (_NEIGHBOURS, _NEIGHBOURS, _HALVES):
        masks = [ir.Constant(code.vector(), lanes) for lanes in sides]
        values = [
            code.builder.fadd(*(code.builder.shuffle_vector(a, b, mask) for mask in masks))
            for a, b in zip(values[::2], values[1::2], strict=True)
        ]
    return values[0]


def _moments(code: Operands, references: tuple[tuple[str, str], ...]) -> None:
    """The code of moments of a cell from references, each by the names of its array and place."""
    builder, stride = code.builder, code["reference_stride"]
    one, terms = constant(1), 2 * len(references) + 1
    pairs = [(i, j) for i in range(terms) for j in range(i, terms)]
    sums = [code.same(0)] * len(pairs)
    for row in (0, 4):

        def place_in(place: str, stride: Any, row: int = row) -> Any:
            return builder.add(code[place], builder.mul(stride, constant(row)))

        error = _both(code, "current", place_in("at", code["stride"]), code["stride"])
        if len(references) == 2:
            error = builder.add(error, error)
        found = []
        for array, place in references:
            at = place_in(place, stride)

            def samples(at: Any, array: str = array) -> Any:
                return _both(code, array, at, stride)

            found.append(
                builder.sub(samples(builder.add(at, stride)), samples(builder.sub(at, stride)))
            )
            found.append(builder.sub(samples(builder.add(at, one)), samples(builder.sub(at, one))))
            error = builder.sub(error, samples(at))
        words = [builder.bitcast(value, code.vector()) for value in (*found, error)]
        sums = [
            add_pairs(code, total, words[i], words[j])
            for total, (i, j) in zip(sums, pairs, strict=True)
        ]
    real = ir.FloatType()
    floats = [builder.sitofp(total, code.vector(real)) for total in sums]
    floats += [code.same(0.0, real)] * (-len(floats) % code.lanes)
    size = len(floats)
    dy, dx = (code.splat(code[name]) for name in ("dy", "dx"))
    for first in range(0, size, code.lanes):
        total = _totals(code, floats[first : first + code.lanes])
        by_y, by_x = builder.fmul(total, dy), builder.fmul(total, dx)
        weighted = (
            total,
            by_y,
            by_x,
            builder.fmul(by_y, dy),
            builder.fmul(by_y, dx),
            builder.fmul(by_x, dx),
        )
        for k, value in enumerate(weighted):
            place = builder.add(code["to"], constant(k * size + first))
            pointer = code.pointer("moments", place, code.lanes)
            code.write(builder.fadd(code.read(pointer, real), value), pointer)


def _moments_of_one(code: Operands) -> None:
    _moments(code, (("reference", "place"),))


def _moments_of_two(code: Operands) -> None:
    _moments(code, (("reference", "place"), ("other", "other_place")))


_add_moments_of_one: Any = operation(
    _moments_of_one,
    current=None, at=PLACE, stride=PLACE, reference=None, place=PLACE, reference_stride=PLACE,
    moments=None, to=PLACE, dy=REAL, dx=REAL,
)  # fmt: skip
"""Add to moments[to..] those of a cell: of every second row, from the first one on.

Terms are the slopes of the prediction by y and by x, each the difference over two samples, and its
error. There are 8 products of pairs of terms, in the order (0, 0), (0, 1), (0, 2), (1, 1) and so
on, the last two of which are 0; first the products, then those times dy, dx, dy * dy, dy * dx and
dx * dx. Moments are float32.
"""

_add_moments_of_two: Any = operation(
    _moments_of_two,
    current=None, at=PLACE, stride=PLACE, reference=None, place=PLACE, other=None,
    other_place=PLACE, reference_stride=PLACE, moments=None, to=PLACE, dy=REAL, dx=REAL,
)  # fmt: skip
"""The same of the mean of two predictions: four slopes and the doubled error, 16 products."""


@kernel
def _put_equations(s: InterSearch, b: Block, choice: np.ndarray) -> Real:
    """Set candidates.normal to the normal equations of a change of an affine choice.

    Unknowns are V0 and V1 (y, x), in quarter samples, and the gradients of V0. The lower triangle
    is not set. Returns the squared error; NEVER if the block reaches beyond a margin.
    """
    moments, normal = s.candidates.moments, s.candidates.normal
    stride = s.width + 2 * MARGIN
    direction = choice[LISTS]
    sign = -1.0 if s.interior else 1.0
    size = 16 if direction == 3 else 8
    for i in range(6 * size):
        moments[i] = 0.0
    for y in range(b.y, b.y + b.tall, 8):
        for x in range(b.x, b.x + b.wide, 8):
            first = 0
            second = 0
            if direction & 1:
                vy, vx = vector_at(s, b, choice, 0, y, x)
                first = place_of(s, vy, vx, y - 1, x - 1, 10, 10)
            if direction & 2:
                vy, vx = vector_at(s, b, choice, 1, y, x)
                second = place_of(s, vy, vx, y - 1, x - 1, 10, 10)
            if first < 0 or second < 0:
                return NEVER
            first += stride + 1
            second += stride + 1
            at = y * s.width + x
            # Gradients are quarter samples over 64 samples.
            dy = (y - b.y + 4 - (b.tall >> 1)) / 64.0
            dx = (x - b.x + 4 - (b.wide >> 1)) / 64.0
            if direction == 3:
                _add_moments_of_two(
                    8, s.current, at, s.width, s.phases0, first, s.phases1, second, stride,
                    moments, 0, dy, dx,
                )  # fmt: skip
            elif direction == 1:
                _add_moments_of_one(
                    8, s.current, at, s.width, s.phases0, first, stride, moments, 0, dy, dx
                )
            else:
                _add_moments_of_one(
                    8, s.current, at, s.width, s.phases1, second, stride, moments, 0, dy, dx
                )
    for i in range(8):
        for j in range(9):
            normal[i, j] = 0.0
    low, high = (0, 4) if direction == 3 else (0, 2) if direction == 1 else (2, 4)
    # Of slopes over two samples by quarter samples, and of doubled differences.
    square = 1 / 256.0 if direction == 3 else 1 / 64.0
    product = 1 / 32.0 if direction == 3 else 1 / 8.0
    terms = high - low + 1
    for k in range(low, high):
        # Component k belongs to the unknown k, and to two of the gradients.
        kg = 4 + 2 * (k & 1)
        ks = sign if k > 1 else 1.0
        at = _pair(k - low, terms - 1, terms)
        normal[k, 8] += product * moments[at]
        normal[kg, 8] += product * ks * moments[size + at]
        normal[kg + 1, 8] += product * ks * moments[2 * size + at]
        for m in range(low, high):
            mg = 4 + 2 * (m & 1)
            ms = square * (sign if m > 1 else 1.0)
            at = _pair(min(k, m) - low, max(k, m) - low, terms)
            if m >= k:
                normal[k, m] += square * moments[at]
            normal[k, mg] += ms * moments[size + at]
            normal[k, mg + 1] += ms * moments[2 * size + at]
            ms *= ks
            if mg >= kg:
                normal[kg, mg] += ms * moments[3 * size + at]
                normal[kg, mg + 1] += ms * moments[4 * size + at]
                normal[kg + 1, mg + 1] += ms * moments[5 * size + at]
            if mg > kg:
                normal[kg + 1, mg] += ms * moments[4 * size + at]
    for i in range(8):
        normal[i, i] += 0.001 * normal[i, i] + 1e-3
    error = np.float64(moments[_pair(terms - 1, terms - 1, terms)])
    return 0.25 * error if direction == 3 else error


@kernel
def _pair(i: Integer, j: Integer, terms: Integer) -> Integer:
    """The number of the pair of terms i and j, i <= j."""
    return i * terms - (i * (i - 1) >> 1) + j - i


@kernel
def _solve(a: np.ndarray) -> None:
    """Solve 8 equations in place; the solution is in column 8.

    The matrix is symmetric and definite; its lower triangle is not used.
    """
    for k in range(8):
        inverse = 1.0 / a[k, k]
        for i in range(k + 1, 8):
            f = a[k, i] * inverse
            if f != 0.0:
                for j in range(i, 9):
                    a[i, j] -= f * a[k, j]
    for i in range(7, -1, -1):
        v = a[i, 8]
        for j in range(i + 1, 8):
            v -= a[i, j] * a[j, 8]
        a[i, 8] = v / a[i, i]


@kernel
def _predictions(s: InterSearch) -> None:
    """Set candidates.guess to the predicted V0, V1 (y, x) and gradients."""
    c = s.candidates
    for k in range(4):
        c.guess[k] = c.predicted[k >> 1, k & 1]
        c.guess[4 + k] = 0
    if c.inherited[0] > 0:
        for k in range(8):
            c.guess[k] = c.affine_entries[0, 1 + k]


@kernel
def _step(b: Block, k: Integer) -> Integer:
    """The step of gradient k."""
    return 64 // (b.wide if k & 1 else b.tall)


@kernel
def _difference(b: Block, k: Integer, more: Real) -> Integer:
    """The coded difference of gradient k that comes closest to a difference."""
    return int(np.floor(more / _step(b, k) + 0.5))


@kernel
def _settle(s: InterSearch, b: Block, choice: np.ndarray) -> bool:
    """Set the differences of a choice, and what follows from its vectors; False if not codable."""
    c = s.candidates
    used = choice[LISTS]
    for k in range(4):
        choice[DIFFERENCES + k] = 0
        if used >> (k >> 1) & 1:
            if abs(choice[VECTORS + k]) > 8191:
                return False
            choice[DIFFERENCES + k] = choice[VECTORS + k] - c.guess[k]
        choice[SLOPES + k] = clip_gradient(
            c.guess[4 + k] + _step(b, k) * choice[SLOPE_DIFFERENCES + k]
        )
        if abs(choice[SLOPE_DIFFERENCES + k]) > 511:
            return False
    sign = -1 if s.interior else 1
    for axis in range(2):
        if used == 1:
            choice[VECTORS + 2 + axis] = sign * choice[VECTORS + axis]
        elif used == 2:
            choice[VECTORS + axis] = sign * choice[VECTORS + 2 + axis]
    return True


@kernel
def _own_bits(s: InterSearch, b: Block, choice: np.ndarray) -> Real:
    """All bits of an affine choice that is not merged."""
    beside = marked_beside(s.cells.merged, b)
    bits = s.bits.merge[b.level, beside, 0] + s.bits.intra[0, 0]
    bits += s.bits.affine[0, b.level, marked_beside(s.cells.affine, b), 1]
    used = choice[LISTS]
    if s.two:
        if used == 3:
            bits += s.bits.both[b.level, 1]
        else:
            bits += s.bits.both[b.level, 0] + s.bits.second[used - 1]
    for r in range(2):
        if used >> r & 1:
            bits += vector_bits(s, choice[DIFFERENCES + 2 * r], choice[DIFFERENCES + 2 * r + 1])
    for k in range(4):
        bits += s.bits.gradient[k, min(9, bit_length(choice[SLOPE_DIFFERENCES + k]))]
    return bits


@kernel
def _offer(s: InterSearch, b: Block, choice: np.ndarray, most: Real) -> Real:
    """Offer an affine choice whose vectors and gradient differences are set; its cost.

    A cost above `most` may be less than the whole cost.
    """
    c = s.candidates
    if not _settle(s, b, choice):
        return NEVER
    bits = _own_bits(s, b, choice)
    rate = b.lam_satd * bits
    if rate >= most:
        return NEVER
    distance = affine_satd(s, b, choice, most - rate)
    if distance >= FAR:
        return NEVER
    cost = distance + rate
    if cost < most and cost < c.cost[OWN_VECTORS]:
        _keep(c, OWN_VECTORS, choice, cost, bits)
    if s.limits.apart and cost < most and cost < c.cost[CODED_GRADIENTS]:
        _keep(c, CODED_GRADIENTS, choice, cost, bits)
    return cost


@kernel
def _descend(s: InterSearch, b: Block, place: Integer) -> None:
    """Offer affine choices, from the candidate at a place on: gradient descent."""
    c = s.candidates
    choice, best = c.affine[0], c.affine[1]
    for i in range(CHOICE):
        choice[i] = c.choice[place, i]
    choice[MERGED] = 0
    choice[ENTRY] = 0
    choice[IS_AFFINE] = 1
    for k in range(4):
        choice[SLOPE_DIFFERENCES + k] = _difference(b, k, choice[SLOPES + k] - c.guess[4 + k])
    if not _settle(s, b, choice):
        return
    distance = c.cost[place] - b.lam_satd * c.bits[place]
    before = min(c.cost[OWN_VECTORS], c.cost[BEST_MERGE])
    least = _NEAR * before
    for turn in range(s.limits.affine_rounds):
        error = _put_equations(s, b, choice)
        if error >= NEVER:
            break
        for k in range(8):
            c.right[k] = c.normal[k, 8]
        _solve(c.normal)
        if turn == 0:
            less = 0.0
            for k in range(8):
                less += c.right[k] * c.normal[k, 8]
            left = np.sqrt(max(0.0, 1.0 - less / max(error, 1.0)))
            if distance * (1.0 - left) < b.lam_satd * _LEAST_GAIN:
                break
        moved = False
        for k in range(4):
            if choice[LISTS] >> (k >> 1) & 1:
                v = choice[VECTORS + k]
                choice[VECTORS + k] = int(np.floor(v + c.normal[k, 8] + 0.5))
                moved |= v != choice[VECTORS + k]
        for k in range(4):
            v = choice[SLOPE_DIFFERENCES + k]
            more = choice[SLOPES + k] + c.normal[4 + k, 8] - c.guess[4 + k]
            choice[SLOPE_DIFFERENCES + k] = _difference(b, k, more)
            moved |= v != choice[SLOPE_DIFFERENCES + k]
        if not moved:
            break
        cost = _offer(s, b, choice, least)
        if cost >= least:
            break
        least = cost
        for i in range(CHOICE):
            best[i] = choice[i]
    if least >= before:
        return
    # Gradients nearer to their predictions, and others beside.
    for k in range(4):
        d = best[SLOPE_DIFFERENCES + k]
        for t in (0, d - 1, d + 1):
            if t == best[SLOPE_DIFFERENCES + k]:
                continue
            for i in range(CHOICE):
                choice[i] = best[i]
            choice[SLOPE_DIFFERENCES + k] = t
            cost = _offer(s, b, choice, least)
            if cost < least:
                least = cost
                for i in range(CHOICE):
                    best[i] = choice[i]


@kernel
def offer_gradients(s: InterSearch, b: Block) -> None:
    """Offer coded gradients, in the place of own vectors."""
    c = s.candidates
    if min(b.wide, b.tall) == 8 or not s.limits.affine_rounds:
        return
    merge, own = c.cost[BEST_MERGE], c.cost[OWN_VECTORS]
    if min(merge, own) < s.limits.affine_bits * b.lam_satd * b.wide * b.tall / 64:
        return
    _predictions(s)
    if c.choice[BEST_MERGE, IS_AFFINE] and merge < _NEAR_ENTRY * own:
        _descend(s, b, BEST_MERGE)
    if c.choice[OWN_VECTORS, IS_AFFINE] == 0:
        _descend(s, b, OWN_VECTORS)
