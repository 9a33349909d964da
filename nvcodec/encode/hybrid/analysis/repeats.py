"""Squares of samples that occur again in the same picture, as the letters on a screen do.

Takes luma; gives, for each place, the nearest earlier place with the same samples; and whether a
picture is drawn at all.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
_FACTORS = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
"""Odd multipliers of 64-bit keys."""

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
    keys = np.unique(_keys(luma, _SIDE)[textured])
    count = int(textured.sum())
    return count - len(keys) >= _LEAST_SHARE * max(1, count)


def drawn(luma: Plane) -> bool:
    """Whether lines and letters of a plane are drawn in few colours, as on screens.

    Looks at the squares of its grid that have contrast: in camera pictures noise leaves few equal
    samples there.
    """
    rows, columns = (n // _SIDE * _SIDE for n in luma.shape)
    if min(rows, columns) == 0:
        return False
    grid = luma[:rows, :columns].reshape(rows // _SIDE, _SIDE, columns // _SIDE, _SIDE)
    squares = grid.transpose(0, 2, 1, 3).reshape(-1, _SIDE * _SIDE)
    least, most = int(luma.min()), int(luma.max())
    squares = np.sort(squares[np.ptp(squares, 1) >= max(1, _CONTRAST * (most - least))], 1)
    # The ends of a run of equal samples are equal.
    flat = (squares[:, _FLAT - 1 :] == squares[:, : 1 - _FLAT]).any(1)
    return int(flat.sum()) >= _LEAST_DRAWN * max(1, len(squares))


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
    factor, mixing = (np.uint64(f) for f in _FACTORS)
    high, wide = luma.shape[0] - _SIDE + 1, luma.shape[1] - _SIDE + 1
    keys = np.zeros((len(range(0, high, step)), wide), np.uint64)
    for i in range(_SIDE):
        samples = luma[i : i + high : step].astype(np.uint64)
        line = np.zeros_like(keys)
        for j in range(_SIDE):
            line = line * factor + samples[:, j : j + wide]
        line *= mixing
        keys = keys * factor + (line ^ line >> np.uint64(29))
    return keys


def _is_textured(luma: Plane) -> npt.NDArray[np.bool_]:
    """Whether samples change along rows and along columns in the square at each place."""
    down = luma[1:] != luma[:-1]
    across = luma[:, 1:] != luma[:, :-1]
    return _any(down, _SIDE - 1, _SIDE) & _any(across, _SIDE, _SIDE - 1)


def _is_textured_sparsely(luma: Plane) -> npt.NDArray[np.bool_]:
    """Every eighth row of `_is_textured`, whose squares share no row of samples."""
    bands = luma[: luma.shape[0] // _SIDE * _SIDE].reshape(-1, _SIDE, luma.shape[1])
    down = (bands[:, 1:] != bands[:, :-1]).any(1)
    across = (bands[:, :, 1:] != bands[:, :, :-1]).any(1)
    return _any(down, 1, _SIDE) & _any(across, 1, _SIDE - 1)


def _any(flags: npt.NDArray[np.bool_], high: int, wide: int) -> npt.NDArray[np.bool_]:
    """Whether any flag is set in the rectangle at each place where one fits."""
    total = np.zeros((flags.shape[0] + 1, flags.shape[1] + 1), np.int32)
    total[1:, 1:] = flags.cumsum(0, np.int32).cumsum(1, np.int32)
    inside = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide]
    return np.asarray(inside + total[:-high, :-wide] > 0)
