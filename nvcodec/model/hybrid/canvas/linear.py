"""Chroma predicted from reconstructed luma by a linear model (spec 8.4, modes 35 to 37).

The model is fitted to the samples above and to the left of the block, so it is not coded.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import LINEAR
from nvcodec.compiled import Integer, kernel
from nvcodec.model.samples import extra_bits, peak_of, plane_shift

_BITS = 8
"""The slope is in 1 / 2^_BITS."""
_STEEPEST = 1 << 11
"""The slope is at least -_STEEPEST and below _STEEPEST, which keeps predictions in 32 bits."""


@kernel
def _luma_at(luma: np.ndarray, across: Integer, down: Integer, y: Integer, x: Integer) -> Integer:
    """The luma of the chroma sample (y, x): D of spec 8.4."""
    if across == 0:
        return np.int64(luma[y, x])
    before = max(0, 2 * x - 1)
    total: Integer = 0
    for row in range(y << down, (y + 1) << down):
        total += np.int64(luma[row, before]) + 2 * np.int64(luma[row, 2 * x])
        total += np.int64(luma[row, 2 * x + 1])
    return (total + (2 << down)) >> (2 + down)


@kernel
def luma_of_chroma(
    luma: np.ndarray,
    code: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    out: np.ndarray,
) -> None:
    """Set out[:tall, :wide] to the luma of the samples of the block at (x, y) of a chroma plane.

    `code` is the plane's (`plane_code`).
    """
    across, down = plane_shift(code)
    for i in range(tall):
        for j in range(wide):
            out[i, j] = _luma_at(luma, across, down, y + i, x + j)


@kernel
def linear_model(
    mode: Integer,
    luma: np.ndarray,
    plane: np.ndarray,
    code: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
) -> tuple[Integer, Integer, Integer]:
    """The model of a block of a chroma plane; arguments are those of `linear_predict`.

    Samples are their luma times the first number plus the second, shifted right by the third and
    clipped.
    """
    across, down = plane_shift(code)
    count = 0
    sum_l: Integer = 0
    sum_c: Integer = 0
    sum_ll: Integer = 0
    sum_lc: Integer = 0
    # Of two sides as many points, so that their number is a power of 2.
    both = mode == LINEAR and x > 0 and y > 0
    for side in range(2):
        if (x if side == 0 else y) == 0 or mode == LINEAR + 2 - side:
            continue
        length = tall if side == 0 else wide
        step = length // min(wide, tall) if both else 1
        count += length // step
        for k in range(0, length, step):
            row, column = (y + k, x - 1) if side == 0 else (y - 1, x + k)
            light = _luma_at(luma, across, down, row, column)
            colour = np.int64(plane[row, column])
            sum_l += light
            sum_c += colour
            sum_ll += light * light
            sum_lc += light * colour
    if count == 0:
        return np.int64(0), np.int64(128) << extra_bits(plane, code), np.int64(0)
    # A noisy edge gives a low slope.
    spread = count * sum_ll - sum_l * sum_l + (2 * count * count << 2 * extra_bits(plane, code))
    slope = ((count * sum_lc - sum_l * sum_c) << _BITS) // spread
    slope = min(_STEEPEST - 1, max(-_STEEPEST, slope))
    shift = _BITS
    while 1 << (shift - _BITS) < count:
        shift += 1
    base = (sum_c << _BITS) - slope * sum_l + (1 << (shift - 1))
    return np.int64(slope * count), np.int64(base), np.int64(shift)


@kernel
def linear_predict(
    mode: Integer,
    luma: np.ndarray,
    plane: np.ndarray,
    code: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    out: np.ndarray,
) -> None:
    """Predict out[0..tall-1, 0..wide-1] for the block at (x, y) of a chroma plane.

    `code` is the plane's (`plane_code`). `luma` is reconstructed over the block, and both planes
    are above it and to its left.
    """
    factor, base, shift = linear_model(mode, luma, plane, code, y, x, wide, tall)
    across, down = plane_shift(code)
    peak = peak_of(plane, code)
    for i in range(tall):
        for j in range(wide):
            light = _luma_at(luma, across, down, y + i, x + j)
            out[i, j] = min(peak, max(0, (factor * light + base) >> shift))
