"""Canvases on a device: the planes of one, one after the other, are one tensor (spec 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.model.cuda.planes import TensorPlanes
from nvcodec.model.hybrid.canvas.plane import CELL, Canvas
from nvcodec.picture import SampleFormat

_ALIGNED = 4
"""Integers in 16 bytes."""


@dataclass(frozen=True)
class Layout:
    """Where the samples of canvases of one size lie; `width` and `height` are the coded size."""

    format: SampleFormat
    width: int
    height: int

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of each plane."""
        return self.format.plane_shapes(self.width, self.height)

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """The place of the first sample of each plane, and behind the last one."""
        return (0, *accumulate(rows * columns for rows, columns in self.shapes))

    @property
    def samples(self) -> int:
        """Samples of a canvas."""
        return self.firsts[-1]

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.height // CELL, self.width // CELL

    @property
    def extra(self) -> int:
        """Bits of a sample beyond 8."""
        return self.format.bit_depth - 8

    @property
    def kinds(self) -> tuple[int, ...]:
        """The number of a plane of each kind: luma, and chroma if there is any."""
        return (0, 1) if self.format.planes > 1 else (0,)

    def constants(self, plane: int) -> dict[str, int]:
        """What kernels of a plane are compiled for."""
        across, down = self.format.plane_shift(plane)
        return {"DOWN": down, "ACROSS": across, "EXTRA": self.extra}

    @property
    def dtype(self) -> torch.dtype:
        """The type of samples."""
        made: torch.dtype = getattr(torch, self.format.dtype.name)
        return made

    def planes(self, packed: torch.Tensor) -> TensorPlanes:
        """The planes of a packed canvas: views of it."""
        return tuple(
            packed[first : first + rows * columns].view(rows, columns)
            for first, (rows, columns) in zip(self.firsts, self.shapes, strict=False)
        )


@dataclass(frozen=True, eq=False, slots=True)
class PackedCanvas(Canvas):
    """A canvas on a device.

    Attributes:
        packed: its samples; `planes` are views of it.
        motion: int64 (cell rows, cell columns), `packed_motion`.
        quantisers: u8 (cell rows, cell columns), Q of the cells.

    """

    packed: torch.Tensor = field(kw_only=True)
    motion: torch.Tensor = field(kw_only=True)
    quantisers: torch.Tensor = field(kw_only=True)


def pack(planes: Sequence[torch.Tensor]) -> torch.Tensor:
    """Copies of planes, one after the other."""
    packed = planes[0].new_empty(sum(plane.numel() for plane in planes))
    first = 0
    for plane in planes:
        packed[first : first + plane.numel()].view(plane.shape).copy_(plane)
        first += plane.numel()
    return packed


def upload(arrays: Sequence[npt.NDArray[np.int32]], device: torch.device) -> list[torch.Tensor]:
    """Arrays of integers on the device, by one copy: int32, of the arrays' shapes."""
    # Each begins at a multiple of 16 bytes, for which kernels are compiled.
    ends = list(accumulate(-(-array.size // _ALIGNED) * _ALIGNED for array in arrays))
    joined = np.zeros(ends[-1] if ends else 0, np.int32)
    for begin, array in zip([0, *ends], arrays, strict=False):
        joined[begin : begin + array.size] = array.ravel()
    on_device = torch.from_numpy(joined).to(device)
    return [
        on_device[begin : begin + array.size].view(array.shape)
        for begin, array in zip([0, *ends], arrays, strict=False)
    ]
