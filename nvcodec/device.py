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


def use_gpu(worker: int) -> None:
    """Make a GPU the current one of this thread: those of the machine get workers in turn."""
    import torch

    torch.cuda.set_device(worker % torch.cuda.device_count())
