"""Interpolated reference luma for motion search: one plane for each of 16 phases.

A phase is a quarter-sample position, horizontal and vertical. The samples are those of inter
prediction (spec 8.3) from one reference, rounded to samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, kernel
from nvcodec.model.hybrid.canvas.inter import LUMA_TAPS
from nvcodec.model.samples import peak_of, plane_code
from nvcodec.picture import Plane, SampleFormat

MARGIN = 80
"""Luma samples of padding around the coded plane."""

Phases = npt.NDArray[Any]
"""(16, height + 2 MARGIN, width + 2 MARGIN): phase 4 * fy + fx."""


@kernel
def _across(padded: np.ndarray, fx: Integer, out: np.ndarray) -> None:
    """Filter all rows for a horizontal phase, without rounding."""
    rows, columns = out.shape
    t0, t1, t2, t3, t4, t5, t6, t7 = LUMA_TAPS[fx]
    for y in range(rows):
        line = padded[y]
        for x in range(columns):
            out[y, x] = np.int32(
                t0 * np.int32(line[x])
                + t1 * np.int32(line[x + 1])
                + t2 * np.int32(line[x + 2])
                + t3 * np.int32(line[x + 3])
                + t4 * np.int32(line[x + 4])
                + t5 * np.int32(line[x + 5])
                + t6 * np.int32(line[x + 6])
                + t7 * np.int32(line[x + 7])
            )


@kernel
def _down(first: np.ndarray, fy: Integer, code: Integer, out: np.ndarray) -> None:
    """Filter the result of `_across` for a vertical phase, and round."""
    rows, columns = out.shape
    peak = peak_of(out, code)
    t0, t1, t2, t3, t4, t5, t6, t7 = LUMA_TAPS[fy]
    for y in range(rows):
        for x in range(columns):
            total = (
                np.int32(
                    t0 * np.int32(first[y, x])
                    + t1 * np.int32(first[y + 1, x])
                    + t2 * np.int32(first[y + 2, x])
                    + t3 * np.int32(first[y + 3, x])
                    + t4 * np.int32(first[y + 4, x])
                    + t5 * np.int32(first[y + 5, x])
                    + t6 * np.int32(first[y + 6, x])
                    + t7 * np.int32(first[y + 7, x])
                    + 2048
                )
                >> 12
            )
            out[y, x] = min(max(total, 0), peak)


@kernel
def _straight(first: np.ndarray, code: Integer, out: np.ndarray) -> None:
    """Round the result of `_across`: vertical phase 0."""
    peak = peak_of(out, code)
    rows, columns = out.shape
    for y in range(rows):
        for x in range(columns):
            total = (np.int32(first[y + 3, x]) + 32) >> 6
            out[y, x] = min(max(total, 0), peak)


def make_phases(luma: Plane, sample_format: SampleFormat) -> Phases:
    """All phases of a coded luma plane (height, width)."""
    code = plane_code(sample_format, 0)
    height, width = luma.shape
    out = np.empty((16, height + 2 * MARGIN, width + 2 * MARGIN), luma.dtype)
    # The filter reaches 3 samples before and 4 after.
    padded = np.pad(luma, ((MARGIN + 3, MARGIN + 4), (MARGIN + 3, MARGIN + 4)), mode="edge")
    sums = np.int16 if luma.dtype == np.uint8 else np.int32
    first = np.empty((height + 2 * MARGIN + 7, width + 2 * MARGIN), sums)
    for fx in range(4):
        _across(padded, fx, first)
        _straight(first, code, out[fx])
        for fy in range(1, 4):
            _down(first, fy, code, out[4 * fy + fx])
    return out
