"""Pictures to RGB tensors, on the CPU or a CUDA device: PyTorch's own operations alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from nvcodec.media.colour import Colour
from nvcodec.picture import Planes


def rgb_tensor(
    pictures: Sequence[Planes], colour: Colour, device: str, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """RGB of pictures of one size, (pictures, 3, rows, columns) on `device`.

    `dtype` is a floating-point type (float32 for None), with values 0..1, or uint8, rounded. The
    planes are arrays, or tensors on `device`. There is one picture at least.

    Raises ValueError for another dtype, UnsupportedError for a matrix without a conversion.
    """
    dtype = dtype or torch.float32
    if dtype != torch.uint8 and not dtype.is_floating_point:
        raise ValueError(f"tensors are of uint8 or a floating-point type, not {dtype}")
    weights, offsets = colour.equations
    luma = _plane(pictures, 0, device)
    samples = [luma, *_chroma(pictures, colour, luma)]
    for plane, offset in zip(samples, offsets.tolist(), strict=True):
        plane.sub_(offset)
    out = luma.new_empty((len(pictures), 3, *luma.shape[1:]))
    # Monochrome has one row, which is all of red, green and blue.
    for channel, row in enumerate(np.broadcast_to(weights, (3, len(samples))).tolist()):
        torch.mul(luma, row[0], out=out[:, channel])
        for plane, weight in zip(samples[1:], row[1:], strict=True):
            if weight:
                out[:, channel].add_(plane, alpha=weight)
    out.clamp_(0, 1)
    if dtype == torch.uint8:
        # Rounds halves up; the values are not negative.
        out.mul_(255).add_(0.5)
    return out.to(dtype)


def _chroma(
    pictures: Sequence[Planes], colour: Colour, luma: torch.Tensor
) -> Iterator[torch.Tensor]:
    """The chroma planes of pictures, with a sample for each of luma."""
    (across, down), (x, y) = colour.sample_format.chroma_shift, colour.chroma_offset
    rows, columns = luma.shape[1:]
    for plane in range(1, colour.sample_format.planes):
        samples = _plane(pictures, plane, luma.device)
        if down:
            samples = _doubled(samples, 1, rows, y)
        yield _doubled(samples, 2, columns, x) if across else samples


def _plane(pictures: Sequence[Planes], plane: int, device: str | torch.device) -> torch.Tensor:
    """One plane of all pictures as float32 on a device, (pictures, rows, columns)."""
    planes: list[Any] = [planes[plane] for planes in pictures]
    if isinstance(planes[0], np.ndarray):
        stacked = torch.from_numpy(np.stack(planes))
    else:
        stacked = torch.stack(planes)
    return stacked.to(device).to(torch.float32)


def _doubled(planes: torch.Tensor, axis: int, count: int, offset: float) -> torch.Tensor:
    """Linear interpolation at positions 0 .. count-1; sample k lies at position 2k + `offset`."""
    size = planes.shape[axis]
    before = torch.cat((planes.narrow(axis, 0, 1), planes.narrow(axis, 0, size - 1)), axis)
    after = torch.cat((planes.narrow(axis, 1, size - 1), planes.narrow(axis, size - 1, 1)), axis)
    even = planes.lerp(before, offset / 2)
    odd = planes.lerp(after, (1 - offset) / 2)
    pairs = torch.stack((even, odd), axis + 1)
    return pairs.flatten(axis, axis + 1).narrow(axis, 0, count)
