"""Interpolated reference luma for motion search: one plane for each of 16 phases.

A phase is a quarter-sample position, horizontal and vertical. The samples are those of inter
prediction (spec 8.3) from one reference, rounded to samples.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.inter import luma_taps
from nvcodec.model.hybrid.canvas.plane import CELL
from nvcodec.model.hybrid.canvas.rows import filter_row, filter_row_into, sample_row
from nvcodec.model.samples import peak_of, plane_code
from nvcodec.picture import Plane, SampleFormat

MARGIN = 48
"""Luma samples of padding around the coded plane."""

Phases = npt.NDArray[Any]
"""(16, height + 2 MARGIN, width + 2 MARGIN): phase 4 * fy + fx."""


_WIDE = 32
"""Samples in a vector operation; the last ones of a row go by CELL."""


@kernel
def _across(
    samples: np.ndarray, at: Integer, taps: tuple[Integer, ...], count: Integer, out: np.ndarray,
    to: Integer,
) -> None:  # fmt: skip
    """Filter a row for a horizontal phase, without rounding."""
    j: Integer = np.int64(0)
    while j < count:
        if j + _WIDE <= count:
            filter_row(_WIDE, samples, at + j, 1, taps, out, to + j)
            j += _WIDE
        else:
            filter_row(CELL, samples, at + j, 1, taps, out, to + j)
            j += CELL


@kernel
def _straight(
    sums: np.ndarray, at: Integer, count: Integer, peak: Integer, out: np.ndarray, to: Integer
) -> None:
    """Round a row of `_across`: vertical phase 0."""
    j: Integer = np.int64(0)
    while j < count:
        if j + _WIDE <= count:
            sample_row(_WIDE, sums, at + j, 6, out, to + j, peak)
            j += _WIDE
        else:
            sample_row(CELL, sums, at + j, 6, out, to + j, peak)
            j += CELL


@kernel
def _down(
    sums: np.ndarray, at: Integer, stride: Integer, taps: tuple[Integer, ...], count: Integer,
    peak: Integer, line: np.ndarray, out: np.ndarray, to: Integer,
) -> None:  # fmt: skip
    """Filter rows of `_across` for a vertical phase, and round; `line` is scratch."""
    j: Integer = np.int64(0)
    while j < count:
        # The shift by 6 before that of sample_row changes nothing: both round down.
        if j + _WIDE <= count:
            filter_row_into(_WIDE, sums, at + j, stride, taps, line, 0, 0, 0)
            sample_row(_WIDE, line, 0, 6, out, to + j, peak)
            j += _WIDE
        else:
            filter_row_into(CELL, sums, at + j, stride, taps, line, 0, 0, 0)
            sample_row(CELL, line, 0, 6, out, to + j, peak)
            j += CELL


@allocating
def _fill(
    padded: np.ndarray, sums: np.ndarray, fx: Integer, code: Integer, out: np.ndarray
) -> None:
    """Fill the phases of `fx` from the padded plane; `sums` has 7 rows more than a phase."""
    _, rows, columns = out.shape
    peak = peak_of(out, code)
    samples, flat_sums, flat = padded.reshape(-1), sums.reshape(-1), out.reshape(-1)
    line = np.empty(_WIDE, np.int32)
    taps_x = luma_taps(fx)
    for y in range(rows + 7):
        _across(samples, y * padded.shape[1], taps_x, columns, flat_sums, y * columns)
    for fy in range(4):
        taps_y = luma_taps(fy)
        for y in range(rows):
            to = ((4 * fy + fx) * rows + y) * columns
            if fy == 0:
                _straight(flat_sums, (y + 3) * columns, columns, peak, flat, to)
            else:
                _down(flat_sums, y * columns, columns, taps_y, columns, peak, line, flat, to)


def phases_of(luma: Plane, sample_format: SampleFormat) -> tuple[Phases, list[Callable[[], None]]]:
    """All phases of a coded luma plane (height, width), and the calls that fill them.

    The calls do not depend on each other.
    """
    code = plane_code(sample_format, 0)
    height, width = luma.shape
    out = np.empty((16, height + 2 * MARGIN, width + 2 * MARGIN), luma.dtype)
    # The filter reaches 3 samples before and 4 after.
    padded = np.pad(luma, ((MARGIN + 3, MARGIN + 4), (MARGIN + 3, MARGIN + 4)), mode="edge")
    kind = np.int16 if luma.dtype == np.uint8 else np.int32

    def fill(fx: int) -> None:
        sums = np.empty((height + 2 * MARGIN + 7, width + 2 * MARGIN), kind)
        _fill(padded, sums, fx, code, out)

    return out, [partial(fill, fx) for fx in range(4)]
