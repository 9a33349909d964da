"""Adaptive filters of a canvas (spec 8.8): deblocked planes and filters to filtered planes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.filters import Filters
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.adaptive_rows import (
    LINE,
    NARROW,
    WIDE,
    add_curvatures,
    add_tap,
    begin_sums,
    end_sums,
)
from nvcodec.model.hybrid.canvas.plane import ROOT
from nvcodec.model.samples import plane_code, plane_shift
from nvcodec.picture import Plane, Planes, SampleFormat

MARGIN = 3
"""Samples that the luma filter reaches beyond a sample."""

_BLOCK = 4

# (y, x) of the taps: one of each pair of samples that lie opposite each other.
_TAP_Y = np.array([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3], np.int64)
_TAP_X = np.array([1, 2, 3, -2, -1, 0, 1, 2, -1, 0, 1, 0], np.int64)
_CHROMA_TAP_Y = np.array([0, 0, 1, 1, 1, 2], np.int64)
_CHROMA_TAP_X = np.array([1, 2, -1, 0, 1, 0], np.int64)

ACTIVITY = np.array([0, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4], np.int64)
"""ACTIVITY of spec 8.8."""


@kernel
def _add_row(
    samples: np.ndarray, stride: Integer, y: Integer, mask: np.ndarray, sums: np.ndarray
) -> None:
    """Add the curvatures of a row of blocks' columns to `sums`, int16 (4, columns).

    The first column is two to the left of the plane.
    """
    columns: Integer = np.int64(sums.size // 4)
    own = y * stride + MARGIN - 2
    parity = y & 1
    x: Integer = np.int64(0)
    while x < columns:
        if x + WIDE <= columns:
            add_curvatures(
                WIDE, samples, own + x - stride, samples, own + x, samples, own + x + stride,
                mask, parity, sums, x, sums, columns + x, sums, 2 * columns + x,
                sums, 3 * columns + x,
            )  # fmt: skip
            x += WIDE
        else:
            add_curvatures(
                NARROW, samples, own + x - stride, samples, own + x, samples, own + x + stride,
                mask, parity, sums, x, sums, columns + x, sums, 2 * columns + x,
                sums, 3 * columns + x,
            )  # fmt: skip
            x += NARROW


@kernel
def _class(
    vertical: Integer, horizontal: Integer, falling: Integer, rising: Integer, shift: Integer
) -> Integer:
    straight, low = max(vertical, horizontal), min(vertical, horizontal)
    slanted, slanted_low = max(falling, rising), min(falling, rising)
    kind = 0
    if straight * slanted_low >= slanted * low:
        if straight > 2 * low:
            kind = 1 if vertical > horizontal else 2
    elif slanted > 2 * slanted_low:
        kind = 3 if falling > rising else 4
    return 5 * kind + ACTIVITY[min(15, (vertical + horizontal) >> shift)]


@allocating
def classify(samples: np.ndarray, stride: Integer, extra: Integer, classes: np.ndarray) -> None:
    """Set `classes`, u8 (block rows, block columns), of the 4 x 4 blocks of luma.

    `samples` are those of `padded_plane`, row after row, each of `stride` samples. The window of a
    block is two rows and two columns of squares of 4 x 4, which begin at (-2, -2).
    """
    rows, columns = classes.shape
    sums = np.empty(4 * _BLOCK * (columns + 1), np.int16)
    mask = np.empty(WIDE + 1, np.int16)
    for x in range(WIDE + 1):
        mask[x] = -(x & 1)
    squares = np.empty((2, 4, columns + 1), np.int64)
    for r in range(rows + 1):
        sums[:] = 0
        for y in range(_BLOCK * r + MARGIN - 2, _BLOCK * r + MARGIN + 2):
            _add_row(samples, stride, y, mask, sums)
        own, before = squares[r & 1], squares[1 - (r & 1)]
        for k in range(4):
            at = k * _BLOCK * (columns + 1)
            for c in range(columns + 1):
                total: Integer = np.int64(0)
                for x in range(at + _BLOCK * c, at + _BLOCK * c + _BLOCK):
                    total += sums[x]
                own[k, c] = total
        if r > 0:
            for c in range(columns):
                classes[r - 1, c] = _class(
                    own[0, c] + own[0, c + 1] + before[0, c] + before[0, c + 1],
                    own[1, c] + own[1, c + 1] + before[1, c] + before[1, c + 1],
                    own[2, c] + own[2, c + 1] + before[2, c] + before[2, c + 1],
                    own[3, c] + own[3, c + 1] + before[3, c] + before[3, c + 1],
                    5 + extra,
                )


@kernel
def _spread(
    weights: np.ndarray,
    numbers: np.ndarray,
    classes: np.ndarray,
    row: Integer,
    left: Integer,
    columns: Integer,
    spread: np.ndarray,
) -> None:
    """Set `spread`, int32 (taps + 1, columns of a root block), for samples of a row of blocks."""
    for block in range(columns >> 2):
        number = 0
        if classes.size > 0:
            number = numbers[classes[row, (left >> 2) + block]]
        for k in range(weights.shape[1]):
            for x in range(_BLOCK * block, _BLOCK * block + _BLOCK):
                spread[k, x] = weights[number, k]


@kernel
def _filter_line(
    samples: np.ndarray,
    at: Integer,
    offsets: np.ndarray,
    spread: np.ndarray,
    columns: Integer,
    peak: Integer,
    out: np.ndarray,
    to: Integer,
    sums: np.ndarray,
) -> None:
    """Filter samples of a row of a root block, from `at` on, whose taps are `spread`."""
    taps = offsets.size
    x: Integer = np.int64(0)
    while x < columns:
        if x + LINE <= columns:
            begin_sums(LINE, samples, at + x, spread, taps * ROOT + x, sums, 0)
            for k in range(taps):
                one, other = at + x + offsets[k], at + x - offsets[k]
                add_tap(LINE, samples, one, samples, other, spread, k * ROOT + x, sums, 0)
            end_sums(LINE, samples, at + x, sums, 0, out, to + x, peak)
            x += LINE
        else:
            begin_sums(NARROW, samples, at + x, spread, taps * ROOT + x, sums, 0)
            for k in range(taps):
                one, other = at + x + offsets[k], at + x - offsets[k]
                add_tap(NARROW, samples, one, samples, other, spread, k * ROOT + x, sums, 0)
            end_sums(NARROW, samples, at + x, sums, 0, out, to + x, peak)
            x += NARROW


@allocating
def filter_roots(
    samples: np.ndarray,
    tap_y: np.ndarray,
    tap_x: np.ndarray,
    weights: np.ndarray,
    numbers: np.ndarray,
    classes: np.ndarray,
    on: np.ndarray,
    across: Integer,
    down: Integer,
    peak: Integer,
    out: np.ndarray,
) -> None:
    """Filter the root blocks of a plane that are `on`, int64 (root rows, root columns).

    `samples` are those of `padded_plane`, row after row; `out` is the plane itself, a copy.
    `weights` are int32 (filters, taps + 1): after the taps twice their sum. The filter of a sample
    is that of its class in `numbers`, the first one where `classes` is empty.
    """
    height, width = out.shape
    rows, columns = ROOT >> down, ROOT >> across
    stride = width + 2 * MARGIN
    offsets = np.empty(tap_y.size, np.int64)
    for k in range(tap_y.size):
        offsets[k] = tap_y[k] * stride + tap_x[k]
    spread = np.empty((weights.shape[1], ROOT), np.int32)
    sums = np.empty(LINE, np.int32)
    for r in range(on.shape[0]):
        for c in range(on.shape[1]):
            if on[r, c] == 0:
                continue
            left = columns * c
            used = min(columns, width - left)
            for y in range(rows * r, min(rows * (r + 1), height)):
                if y & 3 == 0:
                    _spread(weights, numbers, classes, y >> 2, left, used, spread)
                at = (y + MARGIN) * stride + MARGIN + left
                _filter_line(samples, at, offsets, spread, used, peak, out, y * width + left, sums)


def tap_places(number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Y and x of the taps of plane `number`, as int64 (taps,)."""
    return (_CHROMA_TAP_Y, _CHROMA_TAP_X) if number else (_TAP_Y, _TAP_X)


def padded_plane(plane: Plane) -> Plane:
    """The plane with MARGIN samples more on each side, which repeat its edges."""
    height, width = plane.shape
    padded = np.empty((height + 2 * MARGIN, width + 2 * MARGIN), plane.dtype)
    rows = padded[MARGIN : MARGIN + height]
    rows[:, MARGIN : MARGIN + width] = plane
    rows[:, :MARGIN] = plane[:, :1]
    rows[:, MARGIN + width :] = plane[:, -1:]
    padded[:MARGIN], padded[MARGIN + height :] = rows[0], rows[-1]
    return padded


def luma_classes(padded: Plane, extra: int) -> npt.NDArray[np.uint8]:
    """The class of each 4 x 4 block of luma, u8 (rows, columns), from `padded_plane`.

    `extra` is the number of bits of a sample beyond 8.
    """
    height, width = (size - 2 * MARGIN for size in padded.shape)
    classes = np.empty((height // _BLOCK, width // _BLOCK), np.uint8)
    classify(padded.reshape(-1), padded.shape[1], extra, classes)
    return classes


def adaptively_filtered(planes: Planes, filters: Filters, sample_format: SampleFormat) -> Planes:
    """The planes of a canvas after its adaptive filters; a plane that has none is returned."""
    made = []
    for number, plane in enumerate(planes):
        if not filters.used[number]:
            made.append(plane)
            continue
        across, down = plane_shift(plane_code(sample_format, number))
        padded = padded_plane(plane)
        classes = np.empty((0, 0), np.uint8)
        if number == 0:
            classes = luma_classes(padded, sample_format.bit_depth - 8)
        out = plane.copy()
        tap_y, tap_x = tap_places(number)
        taps = filters.taps[number, :, : tap_y.size]
        weights = np.concatenate([taps, 2 * taps.sum(1, keepdims=True)], 1).astype(np.int32)
        filter_roots(
            padded.reshape(-1),
            tap_y,
            tap_x,
            weights,
            filters.classes,
            classes,
            filters.on[number],
            across,
            down,
            sample_format.peak,
            out,
        )
        made.append(out)
    return tuple(made)
