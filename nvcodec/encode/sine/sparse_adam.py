"""Adam for the columns of a matrix, of which each step updates only some.

Takes the gradients of the columns of a batch and updates only those columns. Each column has its
own moments and step count, as if it were trained alone.
"""

from __future__ import annotations

import torch


class SparseAdam:
    """Adam (arXiv 1412.6980) for `matrix` (rows, columns), which it changes in place.

    The betas are small because a column is in few batches.
    """

    def __init__(self, matrix: torch.Tensor, betas: tuple[float, float] = (0.5, 0.9)) -> None:
        self._matrix = matrix
        self._betas = betas
        self._first = torch.zeros_like(matrix)
        self._second = torch.zeros_like(matrix)
        self._steps = torch.zeros(matrix.shape[1], device=matrix.device)

    def step(self, columns: torch.Tensor | slice, gradient: torch.Tensor, rate: float) -> None:
        """Move distinct `columns` (n,) against `gradient` (rows, n) at this learning rate."""
        beta1, beta2 = self._betas
        self._steps[columns] += 1
        steps = self._steps[columns]
        first = self._first[:, columns].lerp_(gradient, 1 - beta1)
        second = self._second[:, columns].lerp_(gradient.square(), 1 - beta2)
        self._first[:, columns] = first
        self._second[:, columns] = second
        move = (first / (1 - beta1**steps)) / ((second / (1 - beta2**steps)).sqrt() + 1e-12)
        self._matrix[:, columns] -= rate * move
