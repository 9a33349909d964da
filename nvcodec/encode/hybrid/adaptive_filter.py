"""The adaptive filters of a canvas (spec 7.8, 8.8): least squares against the picture.

Takes deblocked planes and the picture; gives filters that save more squared error than their bits
are worth. Classes of luma share filters where that costs less. A root block that a filter harms is
left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from nvcodec.coding.hybrid.filters import CLASSES, MAX_TAP, MOST_FILTERS, Filters
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.adaptive_filter import (
    MARGIN,
    adaptively_filtered,
    luma_classes,
    padded_plane,
    tap_places,
)
from nvcodec.model.hybrid.canvas.plane import ROOT
from nvcodec.picture import Planes, SampleFormat
from nvcodec.products import add_pairs
from nvcodec.simd import PLACE, WORD, Operands, constant, operation
from nvcodec.squared_error import block_errors

_SCALE = 128
"""A tap of 1 (spec 8.8)."""
_ROOT_BITS = 0.8
"""Estimate of the bits of a root block's flag."""
_CLASS_BITS = 1.5
"""Estimate of the bits of a class's filter number, where there are several filters."""

Floats = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class _Filter:
    """The filter of some classes: its taps, and what it costs in squared error."""

    classes: tuple[int, ...]
    taps: npt.NDArray[np.int64]
    cost: float


class _Solver:
    """Finds the filter of any set of classes of a plane."""

    def __init__(
        self, products: Floats, targets: Floats, errors: Floats, multiplier: float
    ) -> None:
        self._products = products
        self._targets = targets
        self._errors = errors
        self._multiplier = multiplier

    def solve(self, classes: tuple[int, ...]) -> _Filter:
        """The best filter of these classes, or taps of 0 where none is worth its bits."""
        chosen = list(classes)
        products = self._products[chosen].sum(0)
        targets = self._targets[chosen].sum(0)
        error = float(self._errors[chosen].sum())
        size = len(targets)
        none = _Filter(classes, np.zeros(size, np.int64), error + self._multiplier * size)
        if not products.any():
            return none
        ridge = 1 + 1e-3 * float(np.trace(products)) / size
        exact = np.linalg.solve(products + ridge * np.eye(size), targets)
        taps = np.clip(np.round(_SCALE * exact), -MAX_TAP, MAX_TAP)
        used = taps / _SCALE
        left = error - 2 * float(targets @ used) + float(used @ products @ used)
        cost = left + self._multiplier * _tap_bits(taps)
        return _Filter(classes, taps.astype(np.int64), cost) if cost < none.cost else none


def _tap_bits(taps: Floats) -> float:
    """Estimate of the bits of taps."""
    sizes = np.abs(taps)
    return float(np.where(sizes > 0, 2 + 2 * np.floor(np.log2(np.maximum(sizes, 1))), 1).sum())


def _merged(solver: _Solver) -> list[_Filter]:
    """Filters for all classes: of each alone, then joined where that costs least."""
    filters = [solver.solve((k,)) for k in range(CLASSES)]
    joined: dict[tuple[int, ...], _Filter] = {}
    while len(filters) > 1:
        best, pair = -np.inf, (0, 0)
        for i, one in enumerate(filters):
            for j in range(i):
                classes = tuple(sorted(one.classes + filters[j].classes))
                if classes not in joined:
                    joined[classes] = solver.solve(classes)
                gain = one.cost + filters[j].cost - joined[classes].cost
                if gain > best:
                    best, pair = gain, (i, j)
        if best <= 0 and len(filters) <= MOST_FILTERS:
            break
        i, j = pair
        classes = tuple(sorted(filters[i].classes + filters[j].classes))
        filters = [f for k, f in enumerate(filters) if k not in pair] + [joined[classes]]
    return sorted(filters, key=lambda f: f.classes)


def choose_filters(
    planes: Planes, picture: Planes, multiplier: float, sample_format: SampleFormat
) -> tuple[Filters, Planes]:
    """Filters of a canvas, and its planes with them.

    `planes` are deblocked, `picture` is what they are to show, both of the coded size. A bit is
    worth a squared error of `multiplier`.
    """
    height, width = planes[0].shape
    filters = Filters.empty(len(planes), width, height)
    for number, plane in enumerate(planes):
        padded = padded_plane(plane)
        tap_y, tap_x = tap_places(number)
        classes, count = np.empty((0, 0), np.uint8), 1
        if number == 0:
            classes, count = luma_classes(padded, sample_format.bit_depth - 8), CLASSES
        size = tap_y.size
        products = np.zeros((count, size, size), np.int64)
        targets, errors = np.zeros((count, size), np.int64), np.zeros(count, np.int64)
        wanted = picture[number]
        if plane.shape[1] % _WIDE:
            # Two squares are read at once, the last one of a row with what follows it.
            wanted = np.pad(wanted, ((0, 0), (0, _SQUARE)))
        peak = sample_format.peak
        _moments(padded, wanted, classes, tap_y, tap_x, peak, products, targets, errors)
        whole = products + np.tril(products, -1).swapaxes(1, 2)
        a, b, c = (m.astype(np.float64) for m in (whole, targets, errors))
        solver = _Solver(a, b, c, multiplier)
        found = [solver.solve((0,))] if number else _merged(solver)
        if not any(f.taps.any() for f in found):
            continue
        filters.used[number] = 1
        filters.counts[number] = len(found)
        for k, one in enumerate(found):
            filters.taps[number, k, :size] = one.taps
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
        bits += _tap_bits(filters.taps[number, :count].astype(np.float64))
        bits += _CLASS_BITS * CLASSES if count > 1 else 0.0
        if float(np.maximum(before - after, 0).sum()) <= multiplier * bits:
            filters.used[number] = 0
            filters.counts[number] = 1
            filters.taps[number] = 0
            filters.on[number] = 0
            if number == 0:
                filters.classes[:] = 0
        on = filters.on[number].repeat(tall, 0).repeat(wide, 1)[: plane.shape[0], : plane.shape[1]]
        made[number] = np.where(on, made[number], plane)
    return tuple(made)
