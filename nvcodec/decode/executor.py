"""The device that evaluates networks: weights to a renderer of patch values."""

from __future__ import annotations

import os

from nvcodec.device import require_device
from nvcodec.model.render import PatchRenderer
from nvcodec.model.weights import GroupWeights


class Executor:
    """Makes renderers for one device.

    `threads` (None: one for each core) and `batch` (patches evaluated at once, None: a good size
    for the device) change speed and memory, never samples. Raises ValueError for an unknown
    device and for numbers below 1, UnsupportedError for a device that this machine does not have.
    """

    def __init__(
        self, device: str = "cpu", threads: int | None = None, batch: int | None = None
    ) -> None:
        require_device(device)
        for name, number in (("threads", threads), ("batch", batch)):
            if number is not None and number < 1:
                raise ValueError(f"{name} {number} is not at least 1")
        self._device = device
        self._threads = threads or os.cpu_count() or 1
        self._batch = batch

    def renderer(self, weights: GroupWeights) -> PatchRenderer:
        """A renderer of one group's patches."""
        if self._device == "cuda":
            from nvcodec.model.siren_torch import TorchSirenRenderer

            return TorchSirenRenderer(weights, self._device, self._batch or 4096)
        from nvcodec.model.siren import SirenRenderer

        return SirenRenderer(weights, self._threads, self._batch or 64)
