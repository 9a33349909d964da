"""Peak signal-to-noise ratio, accumulated exactly."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PsnrMeter:
    """Accumulates squared error over pictures of three planes.

    The sums are integers, so the order of pictures and their number change nothing.
    `max_value` is the largest sample value, 255 for 8 bits.
    """

    def __init__(self, max_value: int) -> None:
        self._peak = max_value * max_value
        self._errors = [0, 0, 0]
        self._samples = [0, 0, 0]

    def add(self, reference_planes: Sequence[NDArray[Any]], planes: Sequence[NDArray[Any]]) -> None:
        """Add one picture: two times three planes (Y, U, V) of u8 or u16 of equal shapes.

        Raises ValueError for shapes that differ or another number of planes.
        """
        if len(reference_planes) != 3 or len(planes) != 3:
            raise ValueError("a picture has three planes")
        for reference, plane in zip(reference_planes, planes, strict=True):
            if reference.shape != plane.shape:
                raise ValueError(f"planes of shape {reference.shape} and {plane.shape}")
        for index, (reference, plane) in enumerate(zip(reference_planes, planes, strict=True)):
            difference = reference.astype(np.int32) - plane.astype(np.int32)
            self._errors[index] += int(np.square(difference, dtype=np.int64).sum())
            self._samples[index] += reference.size

    def _decibels(self, errors: int, samples: int) -> float:
        if not samples:
            raise ValueError("no samples were added")
        return 10 * math.log10(self._peak * samples / errors) if errors else math.inf

    @property
    def y(self) -> float:
        """PSNR of the Y plane in dB, inf when identical; ValueError before any picture."""
        return self._decibels(self._errors[0], self._samples[0])

    @property
    def u(self) -> float:
        """PSNR of the U plane in dB, inf when identical; ValueError before any picture."""
        return self._decibels(self._errors[1], self._samples[1])

    @property
    def v(self) -> float:
        """PSNR of the V plane in dB, inf when identical; ValueError before any picture."""
        return self._decibels(self._errors[2], self._samples[2])

    @property
    def all(self) -> float:
        """PSNR over all samples of all planes in dB; otherwise as `y`."""
        return self._decibels(sum(self._errors), sum(self._samples))
