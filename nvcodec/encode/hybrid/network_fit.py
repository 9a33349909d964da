"""Training of the part of the fusion network that a group may change (spec 9.6).

Takes frames as they are rendered with the weights before, beside their sources; gives differences
of weights. A frame is linear in the trained part but for rounding and clipping, so the squared
error of any differences follows from moments of the inputs, which one pass over a share of the
sites adds up. Differences are trained on these by gradient descent: quantised in each iteration,
with the rounding passed straight through, under a penalty for their bits. What is left is refined
one difference at a time.

Moments are sums of integers that double precision holds exactly, so nothing depends on the order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.model.fusion.inputs import STEP
from nvcodec.model.fusion.render import NetworkSource, site_inputs
from nvcodec.model.fusion.weights import CONSTANT, HIGH_PASS, PLANES, TRAINED, FusionShape
from nvcodec.picture import Planes

Floats = npt.NDArray[np.float64]
Differences = npt.NDArray[np.int32]

SHARE = 4
"""One row of sites of so many is trained on."""

ITERATIONS = 150
_RATE = 0.3
"""The first learning rate, in units of differences; it falls to 0 in a line."""

_MOMENTUM, _SQUARES = 0.9, 0.98
_MOST = 255
"""The greatest difference that is tried."""

_WEIGHT_BITS = 8
_MOST_WRONG = 1 << 15


@dataclass(frozen=True, eq=False)
class Moments:
    """What the squared error of frames of one network is, as a function of its differences.

    Of differences d of a plane of the output, one for each column of the trained part in coded
    units, the squared error in samples changes by d'Gd - 2 b'd: `squares` is G, (TRAINED, TRAINED),
    of a plane of luma and of one of chroma alike, `products` (PLANES, TRAINED) is b of each plane.
    """

    squares: Floats
    products: Floats

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.squares + other.squares, self.products + other.products)


def _site_planes(planes: Planes) -> npt.NDArray[np.int64]:
    """The sites (6, rows, columns) that lie whole in a picture."""
    luma, blue, red = (plane.astype(np.int64) for plane in planes)
    rows, columns = luma.shape[0] // 2, luma.shape[1] // 2
    phases = [luma[y : 2 * rows : 2, x : 2 * columns : 2] for y in range(2) for x in range(2)]
    return np.stack([*phases, blue[:rows, :columns], red[:rows, :columns]])


def moments(
    source: NetworkSource, picture: Planes, rendered: Planes, shape: FusionShape, first: int
) -> Moments:
    """The moments of a frame: every SHAREth row of sites from row `first`."""
    missing = _site_planes(picture) - _site_planes(rendered)
    _, height, width = missing.shape
    rows = np.arange(first % max(1, min(SHARE, height)), height, SHARE)
    x = site_inputs(source)
    around = np.pad(x[:PLANES], ((0, 0), (1, 1), (1, 1)))
    features = np.empty((TRAINED, len(rows), width))
    features[0] = CONSTANT
    for ky in range(3):
        for kx in range(3):
            features[1 + 3 * ky + kx : 1 + HIGH_PASS : 9] = around[:, rows + ky, kx : kx + width]
    features[1 + HIGH_PASS :] = x[PLANES:, rows, :width]
    luma = source.quantisers[rows >> 2].repeat(4, 1)[:, :width]
    indices = np.stack([luma, np.clip(luma + np.int64(source.chroma_offset), 0, 63)])
    steps = STEP.astype(np.int64)[indices]
    # Chroma is weighted as luma is: so both have the same moments of inputs.
    unit = int(steps[0].max())
    weight = (steps[0] ** 2 << _WEIGHT_BITS) // unit**2
    wrong = np.rint((missing[:, rows] << 16) / steps[[0, 0, 0, 0, 1, 1]])
    np.clip(wrong, -_MOST_WRONG, _MOST_WRONG, out=wrong)
    inputs = features.reshape(TRAINED, -1)
    weighted = inputs * weight.reshape(-1)
    scale = (unit / 65536) ** 2 / (1 << _WEIGHT_BITS) * height / max(1, len(rows))
    # Of one unit of a difference, in units of the output before its rounding.
    gain = 2.0 ** (shape.difference_shift - shape.output_shift)
    return Moments(
        weighted @ inputs.T * (scale * gain**2),
        wrong.reshape(PLANES, -1) @ weighted.T * (scale * gain),
    )


def bits_of(differences: npt.NDArray[np.floating] | Differences) -> Floats:
    """About what differences cost in bits."""
    magnitude = np.abs(differences).astype(np.float64)
    bits: Floats = np.where(magnitude > 0, 2.2, 0.15) + 1.6 * np.log2(1 + magnitude)
    return bits


def _slope(values: Floats) -> Floats:
    """The slope of a smooth stand-in for `bits_of`."""
    return np.sign(values) * 5.0 / (0.6 + np.abs(values))


def train(given: Moments, multiplier: float) -> Differences:
    """Differences int32 (PLANES, TRAINED) of one network.

    `multiplier` is the squared error that a bit is worth.
    """
    squares, products = given.squares, given.products
    # Steps of all columns are alike in what they change, and Adam needs no more than that.
    values = np.zeros((PLANES, TRAINED))
    mean, mean_square = np.zeros_like(values), np.zeros_like(values)
    for k in range(ITERATIONS):
        rounded = np.rint(values)
        slope = 2 * (rounded @ squares - products) + multiplier * _slope(values)
        mean = _MOMENTUM * mean + (1 - _MOMENTUM) * slope
        mean_square = _SQUARES * mean_square + (1 - _SQUARES) * slope**2
        step = mean / (1 - _MOMENTUM ** (k + 1))
        step /= np.sqrt(mean_square / (1 - _SQUARES ** (k + 1))) + 1e-9
        values -= _RATE * (1 - k / ITERATIONS) * step
        np.clip(values, -_MOST, _MOST, out=values)
    trained = np.rint(values)
    return np.stack(
        [
            _refined(row, squares, product, multiplier)
            for row, product in zip(trained, products, strict=True)
        ]
    ).astype(np.int32)


def _refined(row: Floats, squares: Floats, product: Floats, multiplier: float) -> Floats:
    """Differences of a plane after the changes of single ones that lower the cost the most."""
    row = row.copy()
    diagonal = np.diag(squares)
    slope = 2 * (row @ squares - product)
    for _ in range(4 * TRAINED):
        changes = np.stack([np.ones(TRAINED), -np.ones(TRAINED), -row])
        rate = bits_of(row + changes) - bits_of(row)
        cost = changes * slope + changes**2 * diagonal + multiplier * rate
        kind, column = np.unravel_index(cost.argmin(), cost.shape)
        if cost[kind, column] >= -1e-6 * multiplier or abs(row[column]) > _MOST:
            break
        change = changes[kind, column]
        row[column] += change
        slope += 2 * change * squares[column]
    return row
