"""Adaptive filters of a canvas (spec 8.8): deblocked planes and filters to filtered planes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.filters import Filters
from nvcodec.compiled import Integer, kernel
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
def classify(
    padded: np.ndarray, extra: Integer, classes: np.ndarray
) -> None:  # pragma: no cover - compiled
    """Set `classes`, u8 (block rows, block columns), of the 4 x 4 blocks of luma.

    `padded` is the plane with MARGIN samples more on each side.
    """
    for r in range(classes.shape[0]):
        for c in range(classes.shape[1]):
            vertical: Integer = 0
            horizontal: Integer = 0
            falling: Integer = 0
            rising: Integer = 0
            for y in range(_BLOCK * r + MARGIN - 2, _BLOCK * r + MARGIN + 6):
                # Every second sample, in the pattern of a chess board.
                left = _BLOCK * c + MARGIN - 2 + ((y + MARGIN) & 1)
                for x in range(left, _BLOCK * c + MARGIN + 6, 2):
                    twice = 2 * np.int64(padded[y, x])
                    up, below = np.int64(padded[y - 1, x]), np.int64(padded[y + 1, x])
                    before, after = np.int64(padded[y, x - 1]), np.int64(padded[y, x + 1])
                    vertical += abs(twice - up - below)
                    horizontal += abs(twice - before - after)
                    falling += abs(
                        twice - np.int64(padded[y - 1, x - 1]) - np.int64(padded[y + 1, x + 1])
                    )
                    rising += abs(
                        twice - np.int64(padded[y - 1, x + 1]) - np.int64(padded[y + 1, x - 1])
                    )
            straight, low = max(vertical, horizontal), min(vertical, horizontal)
            slanted, slanted_low = max(falling, rising), min(falling, rising)
            kind = 0
            if straight * slanted_low >= slanted * low:
                if straight > 2 * low:
                    kind = 1 if vertical > horizontal else 2
            elif slanted > 2 * slanted_low:
                kind = 3 if falling > rising else 4
            activity = min(15, (vertical + horizontal) >> (5 + extra))
            classes[r, c] = 5 * kind + ACTIVITY[activity]


@kernel
def filter_roots(
    padded: np.ndarray,
    tap_y: np.ndarray,
    tap_x: np.ndarray,
    taps: np.ndarray,
    numbers: np.ndarray,
    classes: np.ndarray,
    on: np.ndarray,
    across: Integer,
    down: Integer,
    peak: Integer,
    out: np.ndarray,
) -> None:  # pragma: no cover - compiled
    """Filter the root blocks of a plane that are `on`, int64 (root rows, root columns).

    `padded` is as in `classify`; `out` is the plane itself, a copy. `taps` are int64 (filters,
    taps). The filter of a sample is that of its class in `numbers`, the first one where `classes`
    is empty.
    """
    height, width = out.shape
    rows, columns = ROOT >> down, ROOT >> across
    for r in range(on.shape[0]):
        for c in range(on.shape[1]):
            if on[r, c] == 0:
                continue
            for y in range(rows * r, min(rows * (r + 1), height)):
                for x in range(columns * c, min(columns * (c + 1), width)):
                    number = 0
                    if classes.size > 0:
                        number = numbers[classes[y >> 2, x >> 2]]
                    sample = np.int64(padded[y + MARGIN, x + MARGIN])
                    total = 64
                    for k in range(tap_y.size):
                        dy, dx = tap_y[k], tap_x[k]
                        one = np.int64(padded[y + MARGIN + dy, x + MARGIN + dx])
                        other = np.int64(padded[y + MARGIN - dy, x + MARGIN - dx])
                        total += taps[number, k] * (one + other - 2 * sample)
                    out[y, x] = min(peak, max(0, sample + (total >> 7)))


def tap_places(number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Y and x of the taps of plane `number`, as int64 (taps,)."""
    return (_CHROMA_TAP_Y, _CHROMA_TAP_X) if number else (_TAP_Y, _TAP_X)


def padded_plane(plane: Plane) -> Plane:
    """The plane with MARGIN samples more on each side, which repeat its edges."""
    return np.pad(plane, MARGIN, mode="edge")


def luma_classes(padded: Plane, extra: int) -> npt.NDArray[np.uint8]:
    """The class of each 4 x 4 block of luma, u8 (rows, columns), from `padded_plane`.

    `extra` is the number of bits of a sample beyond 8.
    """
    height, width = (size - 2 * MARGIN for size in padded.shape)
    classes = np.empty((height // _BLOCK, width // _BLOCK), np.uint8)
    classify(padded, extra, classes)
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
        filter_roots(
            padded,
            tap_y,
            tap_x,
            np.ascontiguousarray(filters.taps[number, :, : tap_y.size]),
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
