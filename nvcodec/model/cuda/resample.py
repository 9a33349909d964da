"""Rendered frames at other sizes and regions, on the device that rendered them (spec 6)."""

from __future__ import annotations

from functools import lru_cache

import torch

from nvcodec.model.cuda import launch
from nvcodec.model.cuda.planes import TensorPlanes
from nvcodec.model.resample import AxisPlan, View, axis_plans
from nvcodec.model.samples import CHROMA_X, CHROMA_Y


def resample(
    planes: TensorPlanes,
    origin: tuple[int, int],
    source_width: int,
    source_height: int,
    view: View,
    chroma_location: int,
) -> TensorPlanes:
    """Return the planes Y, Cb, Cr of `view` from those of its `source_region`.

    Does the same as `nvcodec.model.resample.resample`, with tensors. Planes at the source's size
    are slices, which share memory with `planes`.
    """
    x, y = origin
    across, down, chroma_across, chroma_down = axis_plans(
        view, source_width, source_height, chroma_location
    )
    native = view.is_native(source_width, source_height)
    luma, cb, cr = planes
    left, top = x >> CHROMA_X, y >> CHROMA_Y
    return (
        _plane(luma, x, y, across, down, native),
        _plane(cb, left, top, chroma_across, chroma_down, native),
        _plane(cr, left, top, chroma_across, chroma_down, native),
    )


def _plane(
    plane: torch.Tensor, x: int, y: int, across: AxisPlan, down: AxisPlan, native: bool
) -> torch.Tensor:
    needed = plane[down.low - y : down.high - y, across.low - x : across.high - x]
    if native:
        return needed
    mid = launch.filter_axis(needed, *_uploaded(across, plane.device), vertical=False)
    return launch.filter_axis(mid, *_uploaded(down, plane.device), vertical=True)


@lru_cache(maxsize=64)
def _uploaded(plan: AxisPlan, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The tables of a plan on the device, cached by the plan's identity."""
    return (
        torch.from_numpy(plan.start).to(device),
        torch.from_numpy(plan.coefficients).to(device),
    )
