"""Components of a group (spec 11.8): changes of the output layer that pay for themselves.

Takes hidden units and errors of a group's patches. Gives components, of real cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.components import (
    INPUTS,
    MOST_SHIFT,
    MOST_VALUE,
    NO_COMPONENTS,
    SLOTS,
    Component,
    Components,
    encode_components,
)
from nvcodec.encode.nirvana.gradient import Floats
from nvcodec.model.nirvana.network import CONSTANT

_UNIT = 256
"""Units of the second hidden layer are in 1/256, samples of the output layer in 1/65536."""
_PRODUCT = 16 * _UNIT / 65536
_RIDGE = 1e-4
_ROUNDS = 12
_FINENESS = (3.0, 8.0)
"""Sizes of inputs, root mean square, that are tried."""
_OUTPUT_SIZE = 4.0
"""Size of outputs, root mean square, at least."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Moments of patches: `inputs` (INPUTS, INPUTS), `both` (INPUTS, VOLUME), squared error."""

    inputs: npt.NDArray[np.float64]
    both: npt.NDArray[np.float64]
    squares: float

    @classmethod
    def of(cls, units: Floats, error: Floats) -> Fit:
        """From hidden units (patches, WIDTH) and wanted minus rendered samples."""
        constant = np.full((len(units), 1), CONSTANT / _UNIT, np.float32)
        inputs = np.concatenate([units, constant], 1)
        moments, both = inputs.T @ inputs, inputs.T @ error
        squares = float(np.square(error, dtype=np.float32).sum(dtype=np.float64))
        return cls(moments.astype(np.float64), both.astype(np.float64), squares)

    def __add__(self, other: Fit) -> Fit:
        """The fit of the patches of both."""
        inputs, both = self.inputs + other.inputs, self.both + other.both
        return Fit(inputs, both, self.squares + other.squares)

    def gain(self, change: npt.NDArray[np.float64]) -> float:
        """What squared error loses by a change (INPUTS, VOLUME) of the output layer."""
        return float(2 * (self.both * change).sum() - (change * (self.inputs @ change)).sum())

    def without(self, change: npt.NDArray[np.float64]) -> Fit:
        """The fit of what a change leaves."""
        both = self.both - self.inputs @ change
        return Fit(self.inputs, both, self.squares - self.gain(change))


def change_of(component: Component) -> npt.NDArray[np.float64]:
    """The change of the output layer in floats: (INPUTS, VOLUME)."""
    inputs, outputs = (part.astype(np.float64) for part in component.values())
    return np.outer(inputs, outputs) * (_PRODUCT / 2.0**component.shift)


def best_direction(fit: Fit) -> npt.NDArray[np.float64]:
    """The inputs of the change of rank 1 that leaves the least squared error: (INPUTS,)."""
    ridge = _RIDGE * float(np.trace(fit.inputs)) / INPUTS
    lower = np.linalg.cholesky(fit.inputs + ridge * np.eye(INPUTS))
    matrix = np.linalg.solve(lower, fit.both)
    products = matrix @ matrix.T
    vector = products[:, np.argmax(np.diag(products))]
    for _ in range(_ROUNDS):
        vector = products @ vector
        vector /= np.linalg.norm(vector)
    direction: npt.NDArray[np.float64] = np.linalg.solve(lower.T, vector)
    return direction


def quantised(fit: Fit, direction: npt.NDArray[np.float64], size: float) -> Component | None:
    """A component with inputs of this size along a direction, and the best outputs for them."""
    scaled = direction * size / np.sqrt(np.square(direction).mean())
    inputs = np.rint(scaled).clip(-MOST_VALUE, MOST_VALUE)
    square = float(inputs @ fit.inputs @ inputs)
    if square <= 0:
        return None
    outputs = inputs @ fit.both / square / _PRODUCT
    spread = float(np.sqrt(np.square(outputs).mean()))
    if spread == 0:
        return None
    shift = int(np.clip(np.ceil(np.log2(_OUTPUT_SIZE / spread)), 0, MOST_SHIFT))
    whole = np.rint(outputs * 2.0**shift).clip(-MOST_VALUE, MOST_VALUE)
    return Component(shift, inputs.astype(np.int8).tobytes(), whole.astype(np.int8).tobytes())


def adapted(fit: Fit, before: Components, bit_price: float, share: float) -> Components:
    """The components of a group: those before, or with one more, or without any.

    `fit` is that of the rendering with the components before. A bit costs `bit_price` in squared
    error; `share` of what a new component saves counts against its cost.
    """
    kept, base = before, fit
    present = [c for c in before if c is not None]
    if present:
        old = sum((change_of(c) for c in present), np.zeros(fit.both.shape))
        bare = fit.without(-old)
        if bare.squares < fit.squares:
            kept, base = NO_COMPONENTS, bare
    slot = next((k for k in range(SLOTS) if kept[k] is None), None)
    if slot is None:
        return kept
    direction, best, least = best_direction(base), kept, 0.0
    for size in _FINENESS:
        component = quantised(base, direction, size)
        if component is None:
            continue
        tried = (*kept[:slot], component, *kept[slot + 1 :])
        bits = 8 * (len(encode_components(tried, before)) - len(encode_components(kept, before)))
        cost = bits * bit_price - share * base.gain(change_of(component))
        if cost < least:
            best, least = tried, cost
    return best
