"""A stream of a CUDA device that threads of a decoder queue their work on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class CudaQueue:
    """The stream of a device that is current when this is made.

    Threads have current streams of their own, so all work of a decoder is queued here.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.current_stream(device)
        # Launches hold Python's lock anyway, and Triton's interpreter is not made for threads.
        self._lock = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """The stream is current, and no other thread queues work."""
        with self._lock, torch.cuda.stream(self.stream):
            yield
