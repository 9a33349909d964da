"""What all searches ask of a block: the logarithm of its size, and the sizes beside it."""

from __future__ import annotations

import numpy as np

from nvcodec.compiled import Integer, allocating


@allocating
def log2(n: Integer) -> Integer:
    """Log2 of the size of a block, 4 or more."""
    log2n = 2
    while (1 << log2n) < n:
        log2n += 1
    return log2n


@allocating
def smaller_beside(sizes: np.ndarray, y: Integer, x: Integer, n: Integer) -> Integer:
    """How many of the leaves left of and above a block are smaller: the context of its split.

    `sizes` are those of leaves by cell.
    """
    smaller = 0
    if x > 0 and sizes[y >> 3, (x >> 3) - 1] < n:
        smaller += 1
    if y > 0 and sizes[(y >> 3) - 1, x >> 3] < n:
        smaller += 1
    return smaller
