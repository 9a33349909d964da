"""Pictures to RGB tensors, on the CPU or a CUDA device: PyTorch's own operations alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nvcodec.media.colour import Colour, rgb_of_ycbcr
from nvcodec.picture import MONOCHROME, Planes


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
    sample_format = colour.sample_format
    unit = 1 << (sample_format.bit_depth - 8)
    black, white = (0, sample_format.peak) if colour.full else (16 * unit, 235 * unit)
    luma = _plane(pictures, 0, device).sub_(black).div_(white - black)
    out = luma.new_empty((len(pictures), 3, *luma.shape[1:]))
    if sample_format.chroma_format == MONOCHROME:
        out.copy_(luma.unsqueeze(1))
    else:
        _add_chroma(pictures, colour, luma, out)
    out.clamp_(0, 1)
    if dtype == torch.uint8:
        # Rounds halves up; the values are not negative.
        out.mul_(255).add_(0.5)
    return out.to(dtype)


def _add_chroma(
    pictures: Sequence[Planes], colour: Colour, luma: torch.Tensor, out: torch.Tensor
) -> None:
    """Fill `out` with luma plus what chroma adds to each of red, green and blue."""
    sample_format = colour.sample_format
    span = sample_format.peak if colour.full else 224 << (sample_format.bit_depth - 8)
    to_red, to_green, to_blue = rgb_of_ycbcr(*colour.luma_weights).tolist()
    (across, down), (x, y) = sample_format.chroma_shift, colour.chroma_offset
    rows, columns = luma.shape[1:]

    def chroma(plane: int) -> torch.Tensor:
        samples = _plane(pictures, plane, luma.device).sub_(sample_format.middle).div_(span)
        if down:
            samples = _doubled(samples, 1, rows, y)
        return _doubled(samples, 2, columns, x) if across else samples

    cb, cr = chroma(1), chroma(2)
    torch.add(luma, cr, alpha=to_red[2], out=out[:, 0])
    torch.add(luma, cb, alpha=to_green[1], out=out[:, 1])
    out[:, 1].add_(cr, alpha=to_green[2])
    torch.add(luma, cb, alpha=to_blue[1], out=out[:, 2])


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
