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
    "upsampling": NetworkShape(8, 2, 2, 2, 24, 4, 4, 0),
    "upsampling with features": NetworkShape(8, 2, 2, 3, 16, 3, 3, 5),
    "direct": NetworkShape(8, 0, 2, 2, 24, 0, 0, 0),
    "direct with features": NetworkShape(6, 0, 2, 2, 16, 0, 0, 9),
}


def some_weights(shape: NetworkShape) -> GroupWeights:
    return random_weights(shape, GRID, None, np.random.default_rng(shape.width), 0.5)


def slow(weights: GroupWeights) -> reference.Network:
    layers = [
        reference.LayerWeights(
            weights.tensors[2 * n].tolist(),
            [] if layer.featured else weights.tensors[2 * n + 1].tolist(),
            record.step,
            record.bias_shift,
        )
        for n, (layer, record) in enumerate(
            zip(weights.shape.layers, weights.parameters, strict=True)
        )
    ]
    features = weights.tensors[-1].tolist() if weights.shape.features else []
    return reference.Network(**vars(weights.shape) | {"features": features}, layers=layers)


def patch_inputs(weights: GroupWeights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre inputs and features of all patches of the grid."""
    rows, columns = GRID
    ys, xs = np.meshgrid(coordinates(rows), coordinates(columns), indexing="ij")
    features = np.zeros((0, rows * columns), np.int8)
    if weights.shape.features:
        features = weights.tensors[-1].astype(np.int8).reshape(weights.shape.features, -1)
    return xs.ravel(), ys.ravel(), features


def slow_values(weights: GroupWeights, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Values luma (n, P, P) and chroma (2, n, G, G) of all patches of the grid."""
    network, (rows, columns) = slow(weights), GRID
    sizes = [weights.shape.patch, weights.shape.half, weights.shape.half]
    planes = [np.zeros((rows * columns, size, size), np.int16) for size in sizes]
    for py in range(rows):
        for px in range(columns):
            features = [plane[py][px] for plane in network.features]
            found = network.patch_values(network.sines(px, py, columns, rows), features, frame)
            for plane, values in zip(planes, found, strict=True):
                for place, value in values.items():
                    plane[(py * columns + px, *place)] = value
    return planes[0], np.stack(planes[1:])
