"""Squares of samples that occur again in the same picture, as the letters on a screen do.

Takes luma; gives, for each place, the nearest earlier place with the same samples; and whether a
picture is drawn at all.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.picture import Plane

_SIDE = 8
"""Samples across a square."""
_LEAST_SHARE = 0.2
"""A picture is searched for copies if at least this part of its textured squares repeats."""
_CONTRAST = 0.2
"""Least range of the samples of a square with drawn edges, as a part of that of the picture."""
_FLAT = 16
"""Samples of such a square that are equal, if it is drawn."""
_LEAST_DRAWN = 0.35
"""A picture is searched for palettes if at least this part of its squares of contrast is drawn."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIXING = np.uint64(0xD6E8FEB86659FD93)
"""Odd multipliers of 64-bit keys."""
_FOLD = np.uint64(29)
_BYTE = np.uint64(8)
_NO_KEY = np.uint64(0)

Places = npt.NDArray[np.int32]
"""What `earlier_places` gives."""

NONE: Places = np.empty((0, 0), np.int32)
"""Of a picture that is not searched for copies."""


def repeats(luma: Plane) -> bool:
    """Whether squares occur again in a plane, as on screens and hardly in camera pictures.

    Looks at the textured squares of every eighth row.
    """
    if min(luma.shape) < 2 * _SIDE:
        return False
    textured = _is_textured_sparsely(luma)
    keys = _keys(luma, _SIDE)[textured]
    return len(keys) - int(_distinct(keys)) >= _LEAST_SHARE * max(1, len(keys))


def drawn(luma: Plane) -> bool:
    """Whether lines and letters of a plane are drawn in few colours, as on screens.

    Looks at the squares of its grid that have contrast: in camera pictures noise leaves few equal
    samples there.
    """
    if min(luma.shape) < _SIDE:
        return False
    least, most = int(luma.min()), int(luma.max())
    contrast = max(1, math.ceil(_CONTRAST * (most - least)))
    squares, flat = _flat_squares(luma, contrast, np.zeros(most + 1, np.int32))
    return bool(flat >= _LEAST_DRAWN * max(1, squares))


@kernel
def _flat_squares(
    luma: np.ndarray, contrast: Integer, counts: np.ndarray
) -> tuple[Integer, Integer]:
    """How many squares of the grid have contrast, and how many of those _FLAT equal samples.

    `counts` is 0 for each value of a sample.
    """
    rows, columns = luma.shape
    squares = flat = np.int64(0)
    for y in range(0, rows - _SIDE + 1, _SIDE):
        for x in range(0, columns - _SIDE + 1, _SIDE):
            least = most = np.int32(luma[y, x])
            for i in range(_SIDE):
                for j in range(_SIDE):
                    value = np.int32(luma[y + i, x + j])
                    least = min(least, value)
                    most = max(most, value)
            if most - least < contrast:
                continue
            largest = np.int32(0)
            for i in range(_SIDE):
                for j in range(_SIDE):
                    value = luma[y + i, x + j]
                    counts[value] += 1
                    largest = max(largest, counts[value])
            for i in range(_SIDE):
                for j in range(_SIDE):
                    counts[luma[y + i, x + j]] = 0
            squares += 1
            if largest >= _FLAT:
                flat += 1
    return squares, flat


def earlier_places(luma: Plane) -> Places:
    """For the 8 x 8 square at each place of a plane, the place of the last equal one before it.

    Places are y * width + x, in ascending order; int32 (rows, columns), -1 for no place. Squares
    whose rows or whose columns are all equal count as equal to none: other modes predict them.
    Equal keys are taken for equal squares; the encoder measures what it copies.
    """
    rows, columns = luma.shape
    textured = _is_textured(luma)
    keys = _keys(luma)[textured]
    places = np.flatnonzero(np.pad(textured, ((0, _SIDE - 1), (0, _SIDE - 1))))
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    earlier = np.full(rows * columns, -1, np.int32)
    earlier[places[order[same + 1]]] = places[order[same]]
    return earlier.reshape(rows, columns)


def _keys(luma: Plane, step: int = 1) -> npt.NDArray[np.uint64]:
    """A key of the square at each place of every `step`-th row; equal squares have equal keys."""
    high, wide = luma.shape[0] - _SIDE + 1, luma.shape[1] - _SIDE + 1
    keys = np.zeros((len(range(0, high, step)), wide), np.uint64)
    _fill_keys(luma, step, keys)
    return keys


@kernel
def _fill_keys(luma: np.ndarray, step: Integer, keys: np.ndarray) -> None:
    """Fill keys, which are 0; see `_keys`."""
    rows, wide = keys.shape
    for row in range(rows):
        for i in range(_SIDE):
            samples = luma[row * step + i]
            for x in range(wide):
                line = np.uint64(0)
                for j in range(_SIDE):
                    # Rows of bytes are numbers of 64 bits themselves.
                    shifted = line << _BYTE if luma.itemsize == 1 else line * _FACTOR
                    line = shifted + np.uint64(samples[x + j])
                line *= _MIXING
                keys[row, x] = keys[row, x] * _FACTOR + (line ^ (line >> _FOLD))


@allocating
def _distinct(keys: np.ndarray) -> Integer:
    """The number of different keys."""
    bits = np.int64(1)
    while 1 << bits < 2 * len(keys):
        bits += 1
    table = np.zeros(1 << bits, np.uint64)
    last = len(table) - 1
    shift = np.uint64(64 - bits)
    count = np.int64(0)
    none = np.int64(0)
    for key in keys:
        if key == _NO_KEY:
            none = np.int64(1)
            continue
        place = np.int64((key * _MIXING) >> shift)
        while table[place] != _NO_KEY and table[place] != key:
            place = (place + 1) & last
        if table[place] == _NO_KEY:
            table[place] = key
            count += 1
    return count + none


def _is_textured(luma: Plane) -> npt.NDArray[np.bool_]:
    """Whether samples change along rows and along columns in the square at each place."""
    down = luma[1:] != luma[:-1]
    across = luma[:, 1:] != luma[:, :-1]
    return _any(down, _SIDE - 1, _SIDE) & _any(across, _SIDE, _SIDE - 1)


def _is_textured_sparsely(luma: Plane) -> npt.NDArray[np.bool_]:
    """Every eighth row of `_is_textured`, whose squares share no row of samples."""
    textured = np.empty((luma.shape[0] // _SIDE, luma.shape[1] - _SIDE + 1), np.bool_)
    changes = np.empty((2, luma.shape[1]), np.uint8)
    _find_texture(luma, changes[0], changes[1], textured)
    return textured


@kernel
def _find_texture(
    luma: np.ndarray, down: np.ndarray, across: np.ndarray, textured: np.ndarray
) -> None:
    """Fill `textured`, see `_is_textured_sparsely`; `down` and `across` are scratch, of a row."""
    rows, wide = textured.shape
    width = luma.shape[1]
    for row in range(rows):
        first = luma[row * _SIDE]
        for x in range(width):
            down[x] = 0
        for x in range(width - 1):
            across[x] = first[x + 1] != first[x]
        for i in range(1, _SIDE):
            above, line = luma[row * _SIDE + i - 1], luma[row * _SIDE + i]
            for x in range(width):
                down[x] |= line[x] != above[x]
            for x in range(width - 1):
                across[x] |= line[x + 1] != line[x]
        for x in range(wide):
            some_down = np.uint8(0)
            some_across = np.uint8(0)
            for j in range(_SIDE):
                some_down |= down[x + j]
            for j in range(_SIDE - 1):
                some_across |= across[x + j]
            textured[row, x] = (some_down & some_across) > 0


def _any(flags: npt.NDArray[np.bool_], high: int, wide: int) -> npt.NDArray[np.bool_]:
    """Whether any flag is set in the rectangle at each place where one fits."""
    total = np.zeros((flags.shape[0] + 1, flags.shape[1] + 1), np.int32)
    total[1:, 1:] = flags.cumsum(0, np.int32).cumsum(1, np.int32)
    inside = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide]
    return np.asarray(inside + total[:-high, :-wide] > 0)
