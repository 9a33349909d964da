"""Quality metrics of pictures against a reference: PSNR, SSIM and MS-SSIM.

Takes pairs of pictures, of three planes or in monochrome one, and gives one value for each metric.
All sums are integers, so a value does not depend on the order of pictures, nor on how they are
split among meters that are merged later.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from nvcodec.options import METRICS
from nvcodec.picture import YUV420P8
from nvcodec.squared_error import squared_error

_WINDOW: Final = 11
# The window must fit into the coarsest of MS-SSIM's five scales.
_LEAST_SIDE: Final = {"ssim": _WINDOW, "ms-ssim": (_WINDOW - 1) * 2**4 + 1}

# Similarities are summed in units of 2^-40.
_UNIT: Final = 1 << 40


class PsnrMeter:
    """Accumulates squared error over pictures of three planes, or of one.

    `max_value` is the `peak` of the sample format.
    """

    def __init__(self, max_value: int = YUV420P8.peak) -> None:
        self._max_value = max_value
        self._errors = [0, 0, 0]
        self._samples = [0, 0, 0]

    def add(self, reference_planes: Sequence[NDArray[Any]], planes: Sequence[NDArray[Any]]) -> None:
        """Add one picture and its reference: three planes each (Y, U, V), or Y, of u8 or u16.

        Raises ValueError for shapes that differ or another number of planes.
        """
        _require_planes(reference_planes, planes)
        for index, (reference, plane) in enumerate(zip(reference_planes, planes, strict=True)):
            self._errors[index] += squared_error(reference, plane)
            self._samples[index] += reference.size

    def merge(self, state: dict[str, Any]) -> None:
        """Add the measurements of another meter, given as its `state`."""
        self._errors = [a + b for a, b in zip(self._errors, state["errors"], strict=True)]
        self._samples = [a + b for a, b in zip(self._samples, state["samples"], strict=True)]

    def state(self) -> dict[str, Any]:
        """The measurements so far, as a JSON object."""
        return {"errors": list(self._errors), "samples": list(self._samples)}

    def _decibels(self, errors: int, samples: int) -> float:
        if not samples:
            raise ValueError("no samples were added")
        return 10 * math.log10(self._max_value**2 * samples / errors) if errors else math.inf

    @property
    def y(self) -> float:
        """PSNR of the Y plane in dB, inf when identical; ValueError before any picture."""
        return self._decibels(self._errors[0], self._samples[0])

    @property
    def u(self) -> float:
        """PSNR of the U plane in dB, inf when identical; ValueError where there is none."""
        return self._decibels(self._errors[1], self._samples[1])

    @property
    def v(self) -> float:
        """PSNR of the V plane in dB, inf when identical; ValueError where there is none."""
        return self._decibels(self._errors[2], self._samples[2])

    @property
    def all(self) -> float:
        """PSNR over all samples of all planes in dB; otherwise as `y`."""
        return self._decibels(sum(self._errors), sum(self._samples))

    @property
    def value(self) -> dict[str, float]:
        """The PSNR of everything and of each plane: "all", "y", and "u", "v" unless monochrome."""
        planes = zip("yuv", self._errors, self._samples, strict=True)
        return {"all": self.all} | {
            name: self._decibels(errors, samples) for name, errors, samples in planes if samples
        }


class SimilarityMeter:
    """Averages the SSIM or MS-SSIM of luma over pictures.

    SSIM is that of Wang et al. (2004): an 11-tap Gaussian window of sigma 1.5, no padding, the
    mean over all its positions. MS-SSIM is that of Wang et al. (2003) with its five scales and
    weights, as pytorch-msssim computes it: scales of odd size are halved with a border of zeros,
    which can differ from other programs in the fourth decimal.
    """

    def __init__(self, metric: str, max_value: int = YUV420P8.peak) -> None:
        self._metric = metric
        self._max_value = max_value
        self._sum: int | None = 0
        self._pictures = 0

    def add(self, reference_planes: Sequence[NDArray[Any]], planes: Sequence[NDArray[Any]]) -> None:
        """Add one picture, as `PsnrMeter.add`."""
        _require_planes(reference_planes, planes)
        value = self._measure(reference_planes[0], planes[0])
        self._add(1, None if value is None else round(value * _UNIT))

    def merge(self, state: dict[str, Any]) -> None:
        """Add the measurements of another meter, given as its `state`."""
        self._add(state["pictures"], state["sum"])

    def state(self) -> dict[str, Any]:
        """The measurements so far, as a JSON object."""
        return {"pictures": self._pictures, "sum": self._sum}

    @property
    def value(self) -> float | None:
        """The mean, 1 when identical; None when a picture was too small for the metric.

        SSIM needs 11 samples in both directions, MS-SSIM 161. ValueError before any picture.
        """
        if not self._pictures:
            raise ValueError("no pictures were added")
        return None if self._sum is None else self._sum / (self._pictures * _UNIT)

    def _add(self, pictures: int, total: int | None) -> None:
        self._pictures += pictures
        self._sum = None if self._sum is None or total is None else self._sum + total

    def _measure(self, reference: NDArray[Any], plane: NDArray[Any]) -> float | None:
        if min(reference.shape) < _LEAST_SIDE[self._metric]:
            return None
        # Both load PyTorch, which no decoder wants.
        import pytorch_msssim
        import torch

        function = {"ssim": pytorch_msssim.ssim, "ms-ssim": pytorch_msssim.ms_ssim}[self._metric]
        pair = [torch.from_numpy(p.astype(np.float64))[None, None] for p in (reference, plane)]
        return float(function(*pair, data_range=self._max_value, win_size=_WINDOW, win_sigma=1.5))


class QualityMeter:
    """Measures the metrics that are named, of METRICS, over pictures of three planes, or of one.

    `max_value` is the `peak` of the sample format. Raises ValueError for other metrics or none.
    """

    def __init__(self, metrics: Sequence[str] = ("psnr",), max_value: int = YUV420P8.peak) -> None:
        self._max_value = max_value
        self._pictures = 0
        self._meters: dict[str, PsnrMeter | SimilarityMeter] = {}
        for metric in metrics:
            if metric not in METRICS:
                raise ValueError(f"metric {metric!r} is not one of {', '.join(METRICS)}")
            self._meters[metric] = (
                PsnrMeter(max_value) if metric == "psnr" else SimilarityMeter(metric, max_value)
            )
        if not self._meters:
            raise ValueError("no metrics")

    def add(self, reference_planes: Sequence[NDArray[Any]], planes: Sequence[NDArray[Any]]) -> None:
        """Add one picture: two times three planes (Y, U, V), or Y, of u8 or u16 of equal shapes.

        Raises ValueError for shapes that differ or another number of planes.
        """
        for meter in self._meters.values():
            meter.add(reference_planes, planes)
        self._pictures += 1

    def merge(self, other: Self) -> None:
        """Add the measurements of another meter; ValueError unless its metrics are the same."""
        mine, others = self._kind(), other._kind()
        if mine != others:
            raise ValueError(f"meters of {others} and {mine} do not add up")
        for metric, meter in self._meters.items():
            meter.merge(other._meters[metric].state())
        self._pictures += other._pictures

    def state(self) -> dict[str, Any]:
        """The whole state as a JSON object, for `from_state`."""
        return {
            "max_value": self._max_value,
            "pictures": self._pictures,
            "metrics": {metric: meter.state() for metric, meter in self._meters.items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The meter that had this `state`."""
        meter = cls(tuple(state["metrics"]), state["max_value"])
        for metric, measured in state["metrics"].items():
            meter._meters[metric].merge(measured)
        meter._pictures = state["pictures"]
        return meter

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it measures."""
        return tuple(self._meters)

    def values(self) -> dict[str, Any]:
        """The value of each metric, by name; empty before any picture.

        "psnr" is a dictionary of dB, see `PsnrMeter.value`; the others are floats or None, see
        `SimilarityMeter.value`.
        """
        if not self._pictures:
            return {}
        return {metric: meter.value for metric, meter in self._meters.items()}

    def _kind(self) -> tuple[int, frozenset[str]]:
        return self._max_value, frozenset(self._meters)


def _require_planes(
    reference_planes: Sequence[NDArray[Any]], planes: Sequence[NDArray[Any]]
) -> None:
    if len(planes) not in (1, 3) or len(reference_planes) != len(planes):
        raise ValueError(f"pictures of {len(reference_planes)} and {len(planes)} planes")
    for reference, plane in zip(reference_planes, planes, strict=True):
        if reference.shape != plane.shape:
            raise ValueError(f"planes of shape {reference.shape} and {plane.shape}")
