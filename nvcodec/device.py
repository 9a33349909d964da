"""The devices that networks can be trained and evaluated on."""

from __future__ import annotations

from nvcodec.format import UnsupportedError
from nvcodec.options import DEVICES


def require_device(device: str) -> None:
    """Check that a device is known and that this machine has it; loads PyTorch for "cuda" only.

    Raises ValueError for an unknown device, UnsupportedError if this machine does not have it.
    """
    if device not in DEVICES:
        raise ValueError(f"device {device!r} is not one of {', '.join(DEVICES)}")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UnsupportedError("device cuda: no CUDA device is available; use cpu")


def worker_device(device: str, worker: int) -> str:
    """The PyTorch device of worker process `worker`: for "cuda", the GPUs are used in turn."""
    if device == "cuda":
        import torch

        return f"cuda:{worker % torch.cuda.device_count()}"
    return device
