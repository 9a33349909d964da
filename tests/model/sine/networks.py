"""Networks for the slow renderer, and its values of their patches."""

from __future__ import annotations

import numpy as np

from nvcodec.model.sine.render import coordinates
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights
from tests.synthetic import random_weights

from . import reference

GRID = 4, 8
"""Rows and columns of patches."""

SHAPES = {
    "even channels": NetworkShape(8, 2, 2, 24, 4, 4),
    "odd channels": NetworkShape(8, 2, 3, 16, 3, 3),
}


def some_weights(shape: NetworkShape) -> GroupWeights:
    return random_weights(shape, None, np.random.default_rng(shape.width), 0.5)


def slow(weights: GroupWeights) -> reference.Network:
    layers = [
        reference.LayerWeights(
            weights.tensors[2 * n].tolist(),
            weights.tensors[2 * n + 1].tolist(),
            record.step,
            record.bias_shift,
        )
        for n, record in enumerate(weights.parameters)
    ]
    return reference.Network(**vars(weights.shape), layers=layers)


def patch_inputs() -> tuple[np.ndarray, np.ndarray]:
    """Centre inputs of all patches of the grid."""
    rows, columns = GRID
    ys, xs = np.meshgrid(coordinates(rows), coordinates(columns), indexing="ij")
    return xs.ravel(), ys.ravel()


def slow_values(weights: GroupWeights, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Values luma (n, P, P) and chroma (2, n, G, G) of all patches of the grid."""
    network, (rows, columns) = slow(weights), GRID
    sizes = [weights.shape.patch, weights.shape.half, weights.shape.half]
    planes = [np.zeros((rows * columns, size, size), np.int16) for size in sizes]
    for py in range(rows):
        for px in range(columns):
            found = network.patch_values(network.sines(px, py, columns, rows), frame)
            for plane, values in zip(planes, found, strict=True):
                for place, value in values.items():
                    plane[(py * columns + px, *place)] = value
    return planes[0], np.stack(planes[1:])
