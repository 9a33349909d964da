"""The adaptation of a context (spec 3.1): tables indexed by the context's count."""

from __future__ import annotations

import numpy as np

MAX_COUNT = 128

_shift = np.array([1 + (count >> 1).bit_length() for count in range(MAX_COUNT + 1)], np.int64)

FAST_SHIFT = np.minimum(4, _shift)
SLOW_SHIFT = np.minimum(8, _shift)
NEXT_COUNT = np.minimum(np.arange(MAX_COUNT + 1) + 1, MAX_COUNT).astype(np.int64)
