"""Rendered frames at other sizes and regions, on the device that rendered them (spec 6)."""

from __future__ import annotations

from functools import lru_cache

import torch

from nvcodec.model.cuda import launch
from nvcodec.model.cuda.planes import TensorPlanes
from nvcodec.model.resample import AxisPlan, View, axis_plans
from nvcodec.picture import SampleFormat


def resample(
    planes: TensorPlanes,
    origin: tuple[int, int],
    source_width: int,
    source_height: int,
    view: View,
    chroma_location: int,
) -> TensorPlanes:
    """Return the planes of `view` from those of its `source_region`.

    Does the same as `nvcodec.model.resample.resample`, with tensors. Planes at the source's size
    are slices, which share memory with `planes`.
    """
    plans = axis_plans(view, source_width, source_height, chroma_location)
    samples, native = view.samples, view.is_native(source_width, source_height)
    shown = []
    for number, plane in enumerate(planes):
        across, down = plans[2:] if number else plans[:2]
        x, y = (at >> shift for at, shift in zip(origin, samples.plane_shift(number), strict=True))
        needed = plane[down.low - y : down.high - y, across.low - x : across.high - x]
        shown.append(needed if native else _filter(needed, across, down, samples))
    return tuple(shown)


def _filter(
    plane: torch.Tensor, across: AxisPlan, down: AxisPlan, samples: SampleFormat
) -> torch.Tensor:
    """The samples of both plans from those that they read."""
    device = plane.device
    mid = launch.filter_axis(plane, *_uploaded(across, device), vertical=False, samples=samples)
    return launch.filter_axis(mid, *_uploaded(down, device), vertical=True, samples=samples)


@lru_cache(maxsize=64)
def _uploaded(plan: AxisPlan, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The tables of a plan on the device, cached by the plan's identity."""
    return (
        torch.from_numpy(plan.start).to(device),
        torch.from_numpy(plan.coefficients).to(device),
    )
