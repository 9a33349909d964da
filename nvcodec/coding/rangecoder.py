"""The range coder (spec 3.2): runs compiled syntaxes over one substream."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nvcodec.coding.carry import shift_low
from nvcodec.coding.syntax import STATE_SIZE
from nvcodec.format.errors import CorruptError

Contexts = npt.NDArray[np.int32]
"""(n, 3) int32: fast, slow, count of each context (spec 3.1)."""


class RangeEncoder:
    """Writes one range-coded substream of at most `capacity` bytes.

    `contexts` are adapted in place.
    """

    def __init__(self, contexts: Contexts, capacity: int) -> None:
        self.contexts = contexts
        # 16 more: the first byte, which is dropped, the flush, and bytes pending for a carry.
        self._buffer = np.empty(capacity + 16, np.uint8)
        self._state = np.zeros(STATE_SIZE, np.int64)
        self._state[1] = 0xFFFFFFFF
        self._state[3] = 1

    def run(self, encode: Callable[..., None], *arguments: Any) -> None:
        """Run a syntax compiled for ENCODE."""
        encode(self._state, self.contexts, self._buffer, *arguments)

    def finish(self) -> bytes:
        """End the substream; returns its bytes.

        Of the values low..low+range-1 the one with the most trailing zero bytes is written.
        """
        low, width, cache, pending, position = (int(v) for v in self._state)
        for bits in (32, 24, 16, 8, 0):
            value = -(-low >> bits) << bits
            if value < low + width:
                low = value
                break
        for _ in range(5):
            low, cache, pending, position = shift_low(self._buffer, low, cache, pending, position)
        return self._buffer[1:position].tobytes().rstrip(b"\0")


class RangeDecoder:
    """Reads one range-coded substream; `contexts` are adapted in place.

    Raises CorruptError when it begins with FFFFFFFF (spec 3.2). Reads past its end give 0.
    """

    def __init__(self, data: bytes, contexts: Contexts) -> None:
        if data.startswith(b"\xff\xff\xff\xff"):
            raise CorruptError("a substream begins with FFFFFFFF", rule="3.2")
        self.contexts = contexts
        self._data = np.frombuffer(data, np.uint8)
        self._state = np.zeros(STATE_SIZE, np.int64)
        self._state[0] = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self._state[1] = 0xFFFFFFFF
        self._state[4] = 4

    def run(self, decode: Callable[..., None], *arguments: Any) -> None:
        """Run a syntax compiled for DECODE."""
        decode(self._state, self.contexts, self._data, *arguments)

    @property
    def bits_read(self) -> float:
        """Bits that have been decoded: what the interval has narrowed by."""
        return 8 * int(self._state[4]) - math.log2(int(self._state[1]) + 1)

    def close(self) -> None:
        """Check that the substream ends where its data ends.

        Raises CorruptError when bytes were left unread or its last byte is 0.
        """
        if int(self._state[4]) < self._data.size:
            left = self._data.size - int(self._state[4])
            raise CorruptError(f"{left} bytes after the end of a substream", rule="3.2")
        if self._data.size and self._data[-1] == 0:
            raise CorruptError("a substream ends in a zero byte", rule="3.2")
