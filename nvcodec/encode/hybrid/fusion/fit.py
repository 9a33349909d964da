"""Training of the fusion network's output layer, which a group may change (spec 9.6).

Takes source pictures, what frames are rendered from and the weights before; gives differences of
weights.
Apart from rounding and clipping, a frame is linear in these weights. So the squared error for any
differences follows from second moments of the layer's inputs, which one pass over a share of the
sites collects. Gradient descent then trains the differences: it rounds them in each iteration, with
straight-through gradients, and adds a penalty for their bits. At the end, single differences are
refined greedily.

Moments are sums of integers that float64 holds exactly. So the order of summation does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import LAST_Q, last_index
from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.fusion.packed import PackedNetwork
from nvcodec.model.hybrid.fusion.render import NetworkSource, output_inputs
from nvcodec.model.hybrid.fusion.weights import (
    CONSTANT,
    LINEAR,
    PLANES,
    SHARED,
    FusionShape,
    spread_shared,
)
from nvcodec.picture import YUV420P8, Planes

Floats = npt.NDArray[np.float64]
Differences = npt.NDArray[np.int32]

_LUMA = 4
"""Luma planes of the output; the other two are Cb and Cr."""

_MOST_STRIDE = 32
"""Largest distance between rows of sites that are trained on."""

ITERATIONS = 120
"""Steps of gradient descent."""
_RATE = 0.3
"""First learning rate, in units of differences; it falls linearly to 0."""

_MOMENTUM, _SQUARES = 0.9, 0.98
"""Betas of Adam."""
_MOST = 255
"""Largest magnitude of a difference that is tried."""

_ZERO_BITS = 0.12
"""Approximate bits of a difference of 0."""

_WEIGHT_BITS = 8
"""Fractional bits of the weight of a site."""

_MOST_WRONG = 1 << 15
"""Errors, in output units before rounding, are clipped to this magnitude."""


@dataclass(frozen=True, eq=False)
class Moments:
    """The squared error of the frames of one network, as a function of weight differences.

    With differences d of one output plane, (columns,) in coded units, the squared error in samples
    changes by d'Gd - 2 b'd. `squares` is G, (columns, columns), the same for all planes.
    `products` is b of each plane, (PLANES, columns).
    """

    squares: Floats
    products: Floats

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.squares + other.squares, self.products + other.products)


def _site_planes(
    planes: Planes, rows: npt.NDArray[np.int64], chroma: bool
) -> npt.NDArray[np.int64]:
    """The sites (PLANES, rows, columns) of some rows; only sites that lie fully in the picture.

    Without `chroma` that of all sites is 0.
    """
    luma = planes[0]
    columns = luma.shape[1] // 2
    sites = np.zeros((PLANES, len(rows), columns), np.int64)
    for number in range(_LUMA):
        sites[number] = luma[2 * rows + number // 2, number % 2 : 2 * columns : 2]
    if chroma:
        sites[_LUMA:] = [plane[rows, :columns] for plane in planes[1:]]
    return sites


def moments(
    source: NetworkSource,
    picture: Planes,
    shape: FusionShape,
    network: PackedNetwork,
    first: int,
    sites: int,
) -> Moments:
    """The moments of a frame that `network` renders, from about `sites` sites.

    They are in evenly spaced rows; `first` shifts the rows, so that frames use different ones.
    """
    height, width = (size // 2 for size in picture[0].shape)
    columns = LINEAR + shape.hidden[-1].units
    if not height * width:
        return Moments(np.zeros((columns, columns)), np.zeros((PLANES, columns)))
    stride = max(1, min(_MOST_STRIDE, height * width // sites, height))
    rows = np.arange(first % stride, height, stride)
    # The network changes chroma in 4:2:0 only (spec 9.5).
    chroma = source.format.chroma_format == YUV420P8.chroma_format
    features = np.empty((columns, len(rows), width))
    features[0] = CONSTANT
    features[1:], rendered = output_inputs(source, network, rows.tolist(), width)
    missing = _site_planes(picture, rows, chroma)
    missing -= _site_planes(rendered, np.arange(len(rows)), chroma)
    luma = source.quantisers[rows >> 2].repeat(4, 1)[:, :width].astype(np.int64)
    extra = source.format.bit_depth - 8
    luma -= last_index(source.format.bit_depth) - LAST_Q
    indices = np.clip(np.stack([luma, luma + source.chroma_offset]), 0, LAST_Q)
    steps = STEP.astype(np.int64)[indices]
    # Chroma uses the weights of luma, so that all planes share the moments of the inputs.
    unit = int(steps[0].max())
    weight = (steps[0] ** 2 << _WEIGHT_BITS) // unit**2
    wrong = np.rint((missing << (16 - extra)) / steps[[0, 0, 0, 0, 1, 1]])
    np.clip(wrong, -_MOST_WRONG, _MOST_WRONG, out=wrong)
    inputs = features.reshape(columns, -1)
    weighted = inputs * weight.reshape(-1)
    scale = (unit / (65536 >> extra)) ** 2 / (1 << _WEIGHT_BITS) * height / len(rows)
    # The effect of a difference of 1, in output units before rounding.
    gain = 2.0 ** (shape.difference_shift - shape.output_shift)
    return Moments(
        weighted @ inputs.T * (scale * gain**2),
        wrong.reshape(PLANES, -1) @ weighted.T * (scale * gain),
    )


def expected_change(given: Moments, shared: Differences, differences: Differences) -> float:
    """What the differences of one network, as `train` gives them, change its squared error by.

    Without rounding and clipping of samples.
    """
    whole = differences.astype(np.float64)
    whole[:, :LINEAR] += spread_shared(shared)
    return sum(_error(d, given.squares, b) for d, b in zip(whole, given.products, strict=True))


def bits_of(differences: npt.NDArray[np.floating] | Differences) -> Floats:
    """Approximate bits of each difference."""
    magnitude = np.abs(differences).astype(np.float64)
    bits: Floats = np.where(magnitude > 0, 2.2, _ZERO_BITS) + 1.6 * np.log2(1 + magnitude)
    return bits


def _slope(values: Floats) -> Floats:
    """The slope of a smooth approximation of `bits_of`."""
    return np.sign(values) * 5.0 / (0.6 + np.abs(values))


def train(given: Moments, multiplier: float) -> tuple[Differences, Differences]:
    """Train the differences of one network: shared ones (SHARED,) and others (PLANES, columns).

    `multiplier` is the squared error that a bit is worth (lambda).
    """
    columns = len(given.squares)
    # Luma is one problem. Its variables are the shared differences, then those of its four rows.
    spread = spread_shared(np.eye(SHARED))
    maps = np.zeros((_LUMA, columns, SHARED + _LUMA * columns))
    for plane in range(_LUMA):
        maps[plane, :LINEAR, :SHARED] = spread[:, plane].T
        at = SHARED + plane * columns
        maps[plane, :, at : at + columns] = np.eye(columns)
    squares = np.stack([m.T @ (given.squares @ m) for m in maps]).sum(0)
    products = np.einsum("pcv,pc->v", maps, given.products[:_LUMA])
    # First the shared differences alone, then all: from zero, both would each take half the change.
    start = np.zeros(len(products))
    first = slice(SHARED)
    start[first] = _trained(squares[first, first], products[first], multiplier, start[first])
    luma = _trained(squares, products, multiplier, start)
    luma = _without_dear(luma, squares, products, multiplier, [SHARED, *[columns] * _LUMA])
    none = np.zeros(columns)
    chroma = [
        _without_dear(
            _trained(given.squares, b, multiplier, none), given.squares, b, multiplier, [columns]
        )
        for b in given.products[_LUMA:]
    ]
    rows = np.concatenate([luma[SHARED:].reshape(_LUMA, columns), chroma])
    return luma[:SHARED].astype(np.int32), rows.astype(np.int32)


def _trained(squares: Floats, products: Floats, multiplier: float, start: Floats) -> Floats:
    """Integer differences d that lower d'Gd - 2 b'd plus lambda times their bits, by Adam."""
    values = start.copy()
    mean, mean_square = np.zeros_like(values), np.zeros_like(values)
    for k in range(ITERATIONS):
        slope = 2 * (squares @ np.rint(values) - products) + multiplier * _slope(values)
        mean = _MOMENTUM * mean + (1 - _MOMENTUM) * slope
        mean_square = _SQUARES * mean_square + (1 - _SQUARES) * slope**2
        step = mean / (1 - _MOMENTUM ** (k + 1))
        step /= np.sqrt(mean_square / (1 - _SQUARES ** (k + 1))) + 1e-9
        values = np.clip(values - _RATE * (1 - k / ITERATIONS) * step, -_MOST, _MOST)
    return _refined(np.rint(values), squares, products, multiplier)


def _without_dear(
    values: Floats, squares: Floats, products: Floats, multiplier: float, sizes: list[int]
) -> Floats:
    """Set parts of the differences to zero whose bits cost more than they save.

    `sizes` are those of consecutive parts. A part that is all zero takes one bit.
    """
    begin = 0
    for size in sizes:
        without = values.copy()
        without[begin : begin + size] = 0
        saved = multiplier * bits_of(values[begin : begin + size]).sum()
        if _error(without, squares, products) < _error(values, squares, products) + saved:
            values = without
        begin += size
    return values


def _error(values: Floats, squares: Floats, products: Floats) -> float:
    return float(values @ (squares @ values) - 2 * products @ values)


def _refined(values: Floats, squares: Floats, products: Floats, multiplier: float) -> Floats:
    """Change single differences, each time the one that lowers the cost most, while any does."""
    diagonal = np.diag(squares)
    slope = 2 * (squares @ values - products)
    kinds = np.array([[1.0], [-1.0], [0.0]])
    for _ in range(4 * len(values)):
        changes = kinds + 0 * values
        changes[2] = -values
        rate = bits_of(values + changes) - bits_of(values)
        cost = changes * slope + changes**2 * diagonal + multiplier * rate
        kind, place = np.unravel_index(cost.argmin(), cost.shape)
        if cost[kind, place] >= -1e-6 * multiplier or abs(values[place]) > _MOST:
            break
        change = changes[kind, place]
        values[place] += change
        slope += 2 * change * squares[:, place]
    return values
