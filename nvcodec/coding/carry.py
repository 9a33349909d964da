"""Byte output of the range encoder: carry propagation through a cached byte."""

from __future__ import annotations

import numpy as np

from nvcodec.compiled import kernel


@kernel
def shift_low(
    buffer: np.ndarray, low: int, cache: int, pending: int, position: int
) -> tuple[int, int, int, int]:
    """Shift the top byte of `low` (33 bits) out; bytes that a carry can still change stay pending.

    Returns the new low, cache, pending and position. The first byte written is the initial cache;
    it is not part of the substream.
    """
    if low < 0xFF000000 or low > 0xFFFFFFFF:
        carry = low >> 32
        buffer[position] = (cache + carry) & 255
        position += 1
        for _ in range(pending - 1):
            buffer[position] = (255 + carry) & 255
            position += 1
        pending = 0
        cache = (low >> 24) & 255
    return (low & 0xFFFFFF) << 8, cache, pending + 1, position
