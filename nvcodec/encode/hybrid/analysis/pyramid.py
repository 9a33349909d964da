"""Pictures for the encoder: planes of the coded size, and their luma at smaller sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.picture import YUV420P8, Plane, Planes, SampleFormat

LOOKAHEAD_MARGIN = 64
"""Margin around luma at half size, in samples of that size."""

COARSE_RANGE = 24
"""Search range of coarse vectors along each axis, in samples of luma at a quarter of its size."""

COARSE_MARGIN = COARSE_RANGE + 8
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
        return cls(whole, small_luma(whole[0], extra), half_luma(whole[0], extra))


def small_luma(luma: Plane, extra: int = 0) -> npt.NDArray[np.uint8]:
    """Luma at a quarter of the coded size, rounded up to whole blocks, with COARSE_MARGIN.

    `extra` is the number of bits of a sample beyond 8.
    """
    height, width = luma.shape
    padded = np.pad(luma, ((0, -height % STEP), (0, -width % STEP)), mode="edge")
    rows, columns = padded.shape[0] // SCALE, padded.shape[1] // SCALE
    means = padded.reshape(rows, SCALE, columns, SCALE).mean(axis=(1, 3), dtype=np.float32)
    small = np.minimum(np.round(means / (1 << extra)), 255).astype(np.uint8)
    return np.pad(small, COARSE_MARGIN, mode="edge")


def half_luma(luma: Plane, extra: int = 0) -> npt.NDArray[np.uint8]:
    """Luma at half the coded size, rounded up to whole blocks, with LOOKAHEAD_MARGIN.

    `extra` is the number of bits of a sample beyond 8.
    """
    height, width = luma.shape
    padded = np.pad(luma, ((0, -height % 16), (0, -width % 16)), mode="edge").astype(np.uint16)
    total = padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
    shift = 2 + extra
    half = np.minimum((total + (1 << (shift - 1))) >> shift, 255).astype(np.uint8)
    return np.pad(half, LOOKAHEAD_MARGIN, mode="edge")
