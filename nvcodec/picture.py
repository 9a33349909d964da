"""Planes of samples, as they move between sources, the codec, the renderer and the writers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
"""8-bit 4:2:0: Y of shape (height, width), Cb and Cr of (ceil(height / 2), ceil(width / 2))."""

Region = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in luma samples, x0 and y0 even."""


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """One picture of a source.

    `planes` are C-contiguous. `pts` and `duration` are in ticks of the time base of the source;
    `duration` is in 1 .. 2**32 - 1.
    """

    planes: Planes
    pts: int
    duration: int
