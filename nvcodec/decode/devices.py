"""The devices that a decoder can render on, by name."""

from __future__ import annotations

import os

from nvcodec.decode.device import Device
from nvcodec.device import require_device
from nvcodec.format import UnsupportedError


def make_device(device: str, threads: int | None, batch: int | None, tensors: bool) -> Device:
    """The renderer on a device.

    `threads` None means one per core, `batch` None a good number for the device. `tensors` leaves
    planes on the device.

    Raises ValueError for an unknown device, for numbers below 1 and for `tensors` on the CPU;
    UnsupportedError if this machine lacks the device or the software for it.
    """
    require_device(device)
    for name, number in (("threads", threads), ("batch", batch)):
        if number is not None and number < 1:
            raise ValueError(f"{name} {number} is not at least 1")
    if device == "cpu":
        if tensors:
            raise ValueError("tensors are for device cuda: planes are arrays on the CPU")
        return Device(threads or os.cpu_count() or 1, batch or 64)
    try:
        from nvcodec.decode.cuda import CudaDevice
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "triton":
            raise
        raise UnsupportedError(
            "device cuda: Triton is not installed: pip install 'nvcodec[cuda]', or use cpu"
        ) from error
    return CudaDevice(batch, tensors, threads)
