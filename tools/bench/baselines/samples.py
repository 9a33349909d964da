"""A clip as tensors to learn from, and a network's output as pictures.

Values are samples of 0..255 divided by 255. Pictures of odd size are padded to even ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from nvcodec.picture import Planes


class Samples:
    """Frames of 8-bit 4:2:0 as `luma` (frames, 2 rows, 2 columns) and `chroma` (frames, 2, rows,
    columns), with the `size` (width, height) of the pictures themselves.
    """

    def __init__(self, pictures: Sequence[Planes]) -> None:
        self.pictures = pictures
        height, width = pictures[0][0].shape
        self.size = (width, height)
        odd = ((0, height % 2), (0, width % 2))
        luma = np.stack([np.pad(y, odd, mode="edge") for y, _, _ in pictures])
        chroma = np.stack([np.stack(planes[1:]) for planes in pictures])
        self.luma = torch.from_numpy(luma).float() / 255
        self.chroma = torch.from_numpy(chroma).float() / 255


def picture(output: torch.Tensor, size: tuple[int, int]) -> Planes:
    """The planes of one frame's output: (3, rows, columns) at luma resolution, even in both."""
    width, height = size
    luma, chroma = output[0, :height, :width], halved(output[1:])
    y, u, v = (
        (255 * plane).round().clamp(0, 255).to(torch.uint8).numpy() for plane in (luma, *chroma)
    )
    return y, u, v


def halved(planes: torch.Tensor) -> torch.Tensor:
    """Means over 2x2 samples of (..., rows, columns)."""
    *rest, rows, columns = planes.shape
    return planes.reshape(*rest, rows // 2, 2, columns // 2, 2).mean(dim=(-3, -1))
