"""The adaptive filters of a canvas (spec 7.8, 8.8): least squares against the picture.

Takes deblocked planes and the picture; gives filters that save more squared error than their bits
are worth. Classes of luma share filters where that costs less. A root block that a filter harms is
left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from nvcodec.coding.hybrid.filters import CLASSES, MAX_TAP, MOST_FILTERS, Filters
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.encode.hybrid.wavefront import parts
from nvcodec.model.hybrid.canvas.adaptive_filter import (
    MARGIN,
    adaptively_filtered,
    luma_classes,
    padded_plane,
    tap_places,
)
from nvcodec.model.hybrid.canvas.plane import ROOT
from nvcodec.picture import Plane, Planes, SampleFormat
from nvcodec.products import add_pairs
from nvcodec.simd import PLACE, WORD, Operands, constant, operation
from nvcodec.squared_error import block_errors
from nvcodec.tasks import Tasks, together

_SCALE = 128
"""A tap of 1 (spec 8.8)."""
_ROOT_BITS = 0.8
"""Estimate of the bits of a root block's flag."""
_CLASS_BITS = 1.5
"""Estimate of the bits of a class's filter number, where there are several filters."""

_PART = 1 << 16
"""Least samples of a part of a plane whose moments are a task."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Sums = tuple[Integers, Integers, Integers]
"""Products, targets and errors of `_moments`."""


_SQUARE = 4
"""Samples across a square of samples that have one class."""
_SAMPLES = _SQUARE * _SQUARE
_WIDE = 2 * _SQUARE
"""Columns of two squares, which are looked at together."""
_SUMS = _SAMPLES // 2
"""Sums of products that are added up side by side, each of pairs of samples of a square."""


def _rows(code: Operands, array: str, place: Any, stride: str) -> list[Any]:
    """Rows of two squares, as 16-bit integers."""
    rows = []
    for _ in range(_SQUARE):
        rows.append(code.load(array, 16, place))
        place = code.builder.add(place, code[stride])
    return rows


def _store_squares(code: Operands, rows: list[Any]) -> None:
    """Store rows of two squares at out[to..], one square after the other."""
    builder = code.builder
    for number in range(2):
        halves = []
        for k in range(0, _SQUARE, 2):
            order = [number * _SQUARE + j + row for row in (0, _WIDE) for j in range(_SQUARE)]
            lanes = ir.Constant(code.vector(), order)
            halves.append(builder.shuffle_vector(*rows[k : k + 2], lanes))
        whole = ir.Constant(ir.VectorType(WORD, _SAMPLES), list(range(_SAMPLES)))
        place = builder.add(code["to"], constant(number * _SAMPLES))
        value = builder.shuffle_vector(*halves, whole)
        code.write(value, code.pointer("out", place, _SAMPLES))


def _inputs(code: Operands) -> None:
    builder, found = code.builder, []
    rows = (_rows(code, "padded", code[place], "stride") for place in ("at", "one", "other"))
    for sample, one, other in zip(*rows, strict=True):
        found.append(builder.sub(builder.add(one, other), builder.add(sample, sample)))
    _store_squares(code, found)


def _errors(code: Operands) -> None:
    shown = _rows(code, "padded", code["at"], "stride")
    wanted = _rows(code, "picture", code["place"], "picture_stride")
    _store_squares(code, [code.builder.sub(*both) for both in zip(wanted, shown, strict=True)])


def _products(code: Operands) -> None:
    places = code["at"], code["other"]
    one, other = (code.read(code.pointer("values", place, _SAMPLES)) for place in places)
    code.store(add_pairs(code, code.load("sums"), one, other), "sums")


_input_squares: Any = operation(
    _inputs,
    padded=None, at=PLACE, one=PLACE, other=PLACE, stride=PLACE, out=None, to=PLACE,
)  # fmt: skip
"""The inputs of a tap in two squares, whose samples, and those beside them, begin at these places.

They are int16, and so are errors.
"""

_error_squares: Any = operation(
    _errors,
    padded=None, at=PLACE, stride=PLACE, picture=None, place=PLACE, picture_stride=PLACE,
    out=None, to=PLACE,
)  # fmt: skip
"""The errors in two squares."""

_add_products: Any = operation(_products, values=None, at=PLACE, other=PLACE, sums=None, to=PLACE)
"""Add to sums[to..] the products of values[at..] and values[other..] in a square, by pairs."""


@kernel
def _hand_over(
    sums: np.ndarray, products: np.ndarray, targets: np.ndarray, errors: np.ndarray
) -> None:
    """Add the sums of a class to its moments, and clear them; `errors` has one element."""
    count = targets.size
    pair = 0
    for k in range(count + 1):
        for j in range(k + 1):
            total = np.int64(0)
            for lane in range(_SUMS):
                total += sums[pair, lane]
                sums[pair, lane] = 0
            pair += 1
            if k < count:
                products[k, j] += total
            elif j < count:
                targets[j] += total
            else:
                errors[0] += total


@allocating
def _moments(
    padded: np.ndarray,
    picture: np.ndarray,
    classes: np.ndarray,
    tap_y: np.ndarray,
    tap_x: np.ndarray,
    peak: Integer,
    products: np.ndarray,
    targets: np.ndarray,
    errors: np.ndarray,
) -> None:
    """Add up, by classes, the products of taps' inputs, those with the error, and its square.

    All are int64: (classes, taps, taps), of which the lower triangle is set, (classes, taps) and
    (classes,). There is one class where `classes` is empty. Rows of `picture` may be longer than
    those of the plane, which are a multiple of _SQUARE.
    """
    stride, picture_stride = padded.shape[1], picture.shape[1]
    height, width = padded.shape[0] - 2 * MARGIN, stride - 2 * MARGIN
    flat, flat_picture = padded.reshape(-1), picture.reshape(-1)
    taps = tap_y.size
    values = np.empty((taps + 1) * 2 * _SAMPLES, np.int16)
    sums = np.zeros((errors.size, (taps + 1) * (taps + 2) // 2, _SUMS), np.int32)
    flat_sums = sums.reshape(-1)
    # Squares that sums of 32 bits have room for: inputs are differences of two times the peak.
    room = ((1 << 31) - 1) // (8 * peak * peak)
    used = np.zeros(errors.size, np.int64)
    for y in range(0, height, _SQUARE):
        for x in range(0, width, _WIDE):
            at = (y + MARGIN) * stride + x + MARGIN
            for k in range(taps):
                away = tap_y[k] * stride + tap_x[k]
                to: Integer = k * 2 * _SAMPLES
                _input_squares(_WIDE, flat, at, at + away, at - away, stride, values, to)
            place = y * picture_stride + x
            to = taps * 2 * _SAMPLES
            _error_squares(
                _WIDE, flat, at, stride, flat_picture, place, picture_stride, values, to
            )  # fmt: skip
            for square in range(min(2, (width - x) // _SQUARE)):
                number = np.int64(0)
                if classes.size > 0:
                    number = np.int64(classes[y // _SQUARE, x // _SQUARE + square])
                to = number * sums.shape[1] * _SUMS
                for k in range(taps + 1):
                    one = (2 * k + square) * _SAMPLES
                    for j in range(k + 1):
                        other = (2 * j + square) * _SAMPLES
                        _add_products(_SUMS, values, one, other, flat_sums, to)
                        to += _SUMS
                used[number] += 1
                if used[number] == room:
                    used[number] = 0
                    _hand_over(sums[number], products[number], targets[number], errors[number:])
    for k in range(errors.size):
        _hand_over(sums[k], products[k], targets[k], errors[k:])


@dataclass(frozen=True, eq=False)
class _Filter:
    """The filter of some classes: its taps, what it costs in squared error, and their moments."""

    classes: tuple[int, ...]
    taps: npt.NDArray[np.int64]
    cost: float
    moments: _Moments


class _Moments(NamedTuple):
    """What `_moments` adds up for a set of classes, or for each of several sets.

    The numbers are whole, so sums of them are exact in any order.
    """

    products: Floats
    targets: Floats
    errors: Floats


def _solved(sets: Sequence[tuple[int, ...]], moments: _Moments, multiplier: float) -> list[_Filter]:
    """The best filter of each set of classes, or taps of 0 where none is worth its bits.

    `moments` are those of the sets. A bit is worth a squared error of `multiplier`.
    """
    size = moments.targets.shape[1]
    ridge = 1 + 1e-3 * np.trace(moments.products, axis1=1, axis2=2) / size
    systems = moments.products + ridge[:, None, None] * np.eye(size)
    exact = np.linalg.solve(systems, moments.targets[..., None])[..., 0]
    taps = np.clip(np.round(_SCALE * exact), -MAX_TAP, MAX_TAP)
    bits, parts_of = _tap_bits(taps).tolist(), taps / _SCALE
    whole, some = taps.astype(np.int64), np.any(moments.products, axis=(1, 2))
    found = []
    for k, classes in enumerate(sets):
        own, used = _Moments(*(of_sets[k] for of_sets in moments)), parts_of[k]
        error = float(own.errors)
        best = _Filter(classes, np.zeros(size, np.int64), error + multiplier * size, own)
        if some[k]:
            cost = error - 2 * float(own.targets @ used) + float(used @ own.products @ used)
            cost += multiplier * bits[k]
            if cost < best.cost:
                best = _Filter(classes, whole[k], cost, own)
        found.append(best)
    return found


def _tap_bits(taps: Floats) -> Floats:
    """Estimates of the bits of filters, (filters, taps)."""
    sizes = np.abs(taps)
    bits = np.where(sizes > 0, 2 + 2 * np.floor(np.log2(np.maximum(sizes, 1))), 1)
    return np.asarray(bits.sum(1))


def _merged(moments: _Moments, multiplier: float) -> list[_Filter]:
    """Filters for all classes: of each alone, then joined where that costs least."""
    filters = _solved([(k,) for k in range(CLASSES)], moments, multiplier)
    joined: dict[tuple[int, ...], _Filter] = {}
    while len(filters) > 1:
        pairs = [(i, j) for i in range(len(filters)) for j in range(i)]
        sets = [tuple(sorted(filters[i].classes + filters[j].classes)) for i, j in pairs]
        new = [k for k, classes in enumerate(sets) if classes not in joined]
        of_filters = _Moments(*map(np.array, zip(*(f.moments for f in filters), strict=True)))
        first, second = np.array([pairs[k] for k in new], np.int64).reshape(-1, 2).T
        both = _Moments(*(each[first] + each[second] for each in of_filters))
        chosen = [sets[k] for k in new]
        joined.update(zip(chosen, _solved(chosen, both, multiplier), strict=True))
        best, pair = -np.inf, (0, 0)
        for (i, j), classes in zip(pairs, sets, strict=True):
            gain = filters[i].cost + filters[j].cost - joined[classes].cost
            if gain > best:
                best, pair = gain, (i, j)
        if best <= 0 and len(filters) <= MOST_FILTERS:
            break
        i, j = pair
        classes = tuple(sorted(filters[i].classes + filters[j].classes))
        filters = [f for k, f in enumerate(filters) if k not in pair] + [joined[classes]]
    return sorted(filters, key=lambda f: f.classes)


def _sums_of(
    padded: Plane,
    picture: Plane,
    classes: npt.NDArray[np.uint8],
    number: int,
    peak: int,
    row: int,
    end: int,
) -> Sums:
    """What `_moments` adds up in rows `row` to `end - 1` of a plane, both multiples of _SQUARE."""
    tap_y, tap_x = tap_places(number)
    count, size = CLASSES if classes.size else 1, tap_y.size
    sums = (
        np.zeros((count, size, size), np.int64),
        np.zeros((count, size), np.int64),
        np.zeros(count, np.int64),
    )
    rows = padded[row : end + 2 * MARGIN]
    squares = classes[row // _SQUARE : end // _SQUARE]
    _moments(rows, picture[row:end], squares, tap_y, tap_x, peak, *sums)
    return sums


async def choose_filters(
    tasks: Tasks, planes: Planes, picture: Planes, multiplier: float, sample_format: SampleFormat
) -> tuple[Filters, Planes]:
    """Filters of a canvas, and its planes with them.

    `planes` are deblocked, `picture` is what they are to show, both of the coded size. A bit is
    worth a squared error of `multiplier`.
    """
    height, width = planes[0].shape
    filters = Filters.empty(len(planes), width, height)
    calls: list[Callable[[], Sums]] = []
    of_plane = []
    for number, plane in enumerate(planes):
        padded, classes = padded_plane(plane), np.empty((0, 0), np.uint8)
        if number == 0:
            classes = luma_classes(padded, sample_format.bit_depth - 8)
        wanted = picture[number]
        if plane.shape[1] % _WIDE:
            # Two squares are read at once, the last one of a row with what follows it.
            wanted = np.pad(wanted, ((0, 0), (0, _SQUARE)))
        peak = sample_format.peak
        cut = parts(tasks, plane.shape[0] // _SQUARE, plane.size, _PART)
        of_plane += [number] * len(cut)
        calls += [
            partial(_sums_of, padded, wanted, classes, number, peak, _SQUARE * row, _SQUARE * end)
            for row, end in cut
        ]
    parts_of = await together(tasks, calls)
    for number in range(len(planes)):
        given = [sums for k, sums in zip(of_plane, parts_of, strict=True) if k == number]
        products, targets, errors = (sum(each[1:], each[0]) for each in zip(*given, strict=True))
        whole = products + np.tril(products, -1).swapaxes(1, 2)
        moments = _Moments(*(m.astype(np.float64) for m in (whole, targets, errors)))
        found = _solved([(0,)], moments, multiplier) if number else _merged(moments, multiplier)
        if not any(f.taps.any() for f in found):
            continue
        filters.used[number] = 1
        filters.counts[number] = len(found)
        for k, one in enumerate(found):
            filters.taps[number, k, : one.taps.size] = one.taps
            if number == 0:
                filters.classes[list(one.classes)] = k
        filters.on[number] = 1
    if not filters:
        return filters, planes
    return filters, _leave_out(filters, planes, picture, multiplier, sample_format)


def _leave_out(
    filters: Filters,
    planes: Planes,
    picture: Planes,
    multiplier: float,
    sample_format: SampleFormat,
) -> Planes:
    """Switch off root blocks that the filters harm, and planes that are not worth their bits.

    Gives the planes with the filters that are left.
    """
    made = list(adaptively_filtered(planes, filters, sample_format))
    for number, plane in enumerate(planes):
        if not filters.used[number]:
            continue
        shift = sample_format.chroma_shift if number else (0, 0)
        tall, wide = ROOT >> shift[1], ROOT >> shift[0]
        before, after = (
            block_errors(shown, picture[number], tall, wide) for shown in (plane, made[number])
        )
        filters.on[number] = after < before
        count = int(filters.counts[number])
        bits = _ROOT_BITS * filters.on[number].size
        bits += float(_tap_bits(filters.taps[number, :count].astype(np.float64)).sum())
        bits += _CLASS_BITS * CLASSES if count > 1 else 0.0
        if float(np.maximum(before - after, 0).sum()) <= multiplier * bits:
            filters.used[number] = 0
            filters.counts[number] = 1
            filters.taps[number] = 0
            filters.on[number] = 0
            if number == 0:
                filters.classes[:] = 0
        for r, c in np.argwhere(filters.on[number] == 0):
            block = np.s_[tall * r : tall * (r + 1), wide * c : wide * (c + 1)]
            made[number][block] = plane[block]
    return tuple(made)
