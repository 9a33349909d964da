"""Squared differences of two planes, summed: takes arrays of samples, gives integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, kernel
from nvcodec.picture import Plane


def squared_error(first: Plane, second: Plane) -> int:
    """The sum over all samples of two planes of integers; raises ValueError as below."""
    return int(block_errors(first, second, *first.shape).sum())


def block_errors(first: Plane, second: Plane, tall: int, wide: int) -> npt.NDArray[np.int64]:
    """The sums of blocks of `tall` x `wide` samples, those at the end smaller: (rows, columns).

    Samples have at most 16 bits. Raises ValueError for planes of different shapes.
    """
    if first.shape != second.shape:
        raise ValueError(f"planes of {first.shape} and {second.shape}")
    rows, columns = first.shape
    sums = np.zeros((-(-rows // max(1, tall)), -(-columns // max(1, wide))), np.int64)
    if first.size:
        _add(first, second, tall, wide, sums)
    return sums


@kernel
def _add(
    first: np.ndarray, second: np.ndarray, tall: Integer, wide: Integer, sums: np.ndarray
) -> None:
    rows, columns = first.shape
    for y in range(rows):
        for block in range(sums.shape[1]):
            begin = block * wide
            end = min(columns, begin + wide)
            ours = first[y, begin:end]
            theirs = second[y, begin:end]
            # Integers, so that the compiler may sum in any order.
            total = np.int64(0)
            for x in range(end - begin):
                difference = np.int32(ours[x]) - np.int32(theirs[x])
                total += np.int64(np.uint32(difference * difference))
            sums[y // tall, block] += total
