"""Slow reference of the distances between blocks."""

import numpy as np


def hadamard_sum(difference):
    """SATD as the kernels have it: rounded for each tile of 8 rows and 8 or 16 columns."""
    tall, wide = difference.shape
    h = np.array([[1]])
    for _ in range(3):
        h = np.block([[h, h], [h, -h]])
    width = min(wide, 16)
    total = 0
    for y in range(0, tall, 8):
        for x in range(0, wide, width):
            tile = difference[y : y + 8, x : x + width]
            blocks = [tile[:, k : k + 8] for k in range(0, width, 8)]
            total += (sum(int(abs(h @ block @ h).sum()) for block in blocks) + 4) >> 3
    return total
