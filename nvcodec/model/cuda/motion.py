"""Inter prediction on a device (spec 8.3): canvases there and motion to samples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

from nvcodec.model.cuda import motion_kernels
from nvcodec.model.cuda.launch import run, tiles
from nvcodec.model.cuda.packed import Layout, upload
from nvcodec.model.hybrid.canvas.inter import CHROMA_TAPS, LUMA_TAPS

_SAMPLES = 256
"""Samples in a tile."""


@lru_cache
def _taps(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The taps of luma and of chroma, by fraction: int32."""
    luma, chroma = upload([LUMA_TAPS, CHROMA_TAPS], device)
    return luma, chroma


def add_predictions(
    layout: Layout,
    motion: torch.Tensor,
    references: Sequence[torch.Tensor],
    residuals: torch.Tensor,
    out: torch.Tensor,
) -> None:
    """Set the samples of inter leaves of a packed canvas: predictions and residuals.

    `motion` is `packed_motion` of the cells; `references` are packed canvases, one or two.
    """
    for plane in layout.kinds:
        rows, columns = layout.shapes[plane]
        run(
            motion_kernels.predict,
            (tiles(rows * columns, _SAMPLES), 1 + plane),
            references[0],
            references[-1],
            motion,
            _taps(out.device)[plane],
            residuals,
            out,
            layout.firsts[plane],
            rows,
            columns,
            layout.cells[1],
            **layout.constants(plane),
            TAPS=4 if plane else 8,
            BLOCK=_SAMPLES,
        )


def single_predictions(
    layout: Layout, motion: torch.Tensor, references: Sequence[torch.Tensor], canvas: torch.Tensor
) -> torch.Tensor:
    """Predictions of a packed canvas by each reference alone (spec 9.3): (2, samples).

    Other arguments are as in `add_predictions`.
    """
    out = canvas.new_empty((2, layout.samples))
    for plane in layout.kinds:
        rows, columns = layout.shapes[plane]
        run(
            motion_kernels.predict_single,
            (tiles(rows * columns, _SAMPLES), 1 + plane, 2),
            references[0],
            references[-1],
            motion,
            _taps(canvas.device)[plane],
            canvas,
            out,
            layout.firsts[plane],
            rows,
            columns,
            layout.cells[1],
            layout.samples,
            **layout.constants(plane),
            TAPS=4 if plane else 8,
            BLOCK=_SAMPLES,
        )
    return out
