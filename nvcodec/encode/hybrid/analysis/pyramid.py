"""Pictures for the encoder: planes of the coded size, and their luma at smaller sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nvcodec.encode.hybrid.analysis.repeats import NONE, Places, drawn, earlier_places, repeats
from nvcodec.picture import YUV420P8, Plane, Planes, SampleFormat

LOOKAHEAD_MARGIN = 64
"""Margin around luma at half size, in samples of that size."""

COARSE_RANGE = 24
"""Search range of coarse vectors along each axis, in samples of luma at a quarter of its size."""

DRAWN_RANGE = 40
"""The same for drawn pictures, where a page scrolls far and no near vector is good."""

COARSE_MARGIN = DRAWN_RANGE + 8
"""Margin around luma at a quarter of its size, in samples of that size."""

SCALE = 4
"""Luma samples per sample of the quarter size, along each axis."""

STEP = 16
"""Luma samples between the centres of coarse vectors."""


@dataclass(frozen=True, eq=False)
class Pyramid:
    """A picture to encode: `planes` of the coded size, and its luma at smaller sizes.

    `small` is luma at a quarter of its size (small_luma), `half` at half of it (half_luma), both
    with 8 bits.
    """

    planes: Planes
    small: npt.NDArray[np.uint8]
    half: npt.NDArray[np.uint8]

    @cached_property
    def repeats(self) -> bool:
        """Whether squares of luma occur again, as on screens (analysis.repeats)."""
        return repeats(self.planes[0])

    @cached_property
    def drawn(self) -> bool:
        """Whether a part of luma is drawn, in few colours (analysis.repeats)."""
        return drawn(self.planes[0])

    @cached_property
    def earlier(self) -> Places:
        """What intra leaves may be copied from; empty unless the picture `repeats`."""
        return earlier_places(self.planes[0]) if self.repeats else NONE

    @classmethod
    def of(
        cls, planes: Planes, width: int, height: int, sample_format: SampleFormat = YUV420P8
    ) -> Pyramid:
        """Pad a picture of a format to the coded size by repeating its edges."""

        def padded(plane: Plane, rows: int, columns: int) -> Plane:
            missing = (0, rows - plane.shape[0]), (0, columns - plane.shape[1])
            return np.pad(plane, missing, mode="edge") if any(map(any, missing)) else plane

        shapes = sample_format.plane_shapes(width, height)
        whole = tuple(padded(p, *shape) for p, shape in zip(planes, shapes, strict=True))
        extra = sample_format.bit_depth - 8
        sums = block_sums(whole[0])
        return cls(whole, small_luma(sums, extra), half_luma(sums, extra))


Sums = npt.NDArray[np.uint16]
"""Sums of 2 x 2 luma samples of the coded size, rounded up to whole blocks of STEP."""


def block_sums(luma: Plane) -> Sums:
    """Sums of 2 x 2 samples of a plane, edges repeated."""
    height, width = luma.shape
    return _quads(np.pad(luma, ((0, -height % STEP), (0, -width % STEP)), mode="edge"))


def _quads(values: npt.NDArray[Any]) -> Sums:
    """Sums of 2 x 2 values; those of 4 x 4 samples of 12 bits just fit."""
    rows = np.add(values[::2], values[1::2], dtype=np.uint16)
    sums: Sums = rows[:, ::2] + rows[:, 1::2]
    return sums


def _means(sums: Sums, shift: int, margin: int) -> npt.NDArray[np.uint8]:
    """Rounded sums / 2^shift; halves are added, so that none exceeds 16 bits."""
    means = ((sums >> 1) + np.uint16(1 << (shift - 2))) >> (shift - 1)
    return np.pad(np.minimum(means, 255).astype(np.uint8), margin, mode="edge")


def small_luma(sums: Sums, extra: int = 0) -> npt.NDArray[np.uint8]:
    """Luma at a quarter of the coded size, with COARSE_MARGIN.

    `extra` is the number of bits of a sample beyond 8.
    """
    return _means(_quads(sums), 4 + extra, COARSE_MARGIN)


def half_luma(sums: Sums, extra: int = 0) -> npt.NDArray[np.uint8]:
    """Luma at half the coded size, with LOOKAHEAD_MARGIN.

    `extra` is the number of bits of a sample beyond 8.
    """
    return _means(sums, 2 + extra, LOOKAHEAD_MARGIN)
