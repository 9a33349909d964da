"""Which transform each luma unit has that costs least, by the encoder's own quantisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.secondary import SECONDARIES
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.group import default_prices
from nvcodec.encode.hybrid.rate.content import UnitBits
from nvcodec.encode.hybrid.rate.tradeoff import LEAST, WEIGHT
from nvcodec.encode.hybrid.search.quantise import quantise
from nvcodec.encode.hybrid.search.workspace import TransformSpace
from nvcodec.model.hybrid.canvas.secondary import VALUES
from tools.train.secondary_units import (
    COLUMNS,
    ROWS,
    Floats,
    Shape,
    Units,
    zones,
)

_EMPTY, _FIRST_ALONE, _INSIDE, _BEYOND = range(4)
"""Where the levels of a unit are: nowhere, at the first position alone, in the first sub-block,
elsewhere too."""

_CHOICES = 2 + SECONDARIES
"""Transforms: cosine, sine, secondary ones."""

SIZES = 6
"""Sizes N of spec 7.6 are 2..5."""

_NEVER = 1e9
"""Cost of what a unit cannot have."""

_LARGEST_LEVEL = 3
"""Greater levels count as this in the order of rows."""


@kernel
def _quantise_all(
    coefficients: np.ndarray,
    wide_log: Integer,
    tall_log: Integer,
    weight: Real,
    least: Real,
    bits: UnitBits,
    space: TransformSpace,
    costs: np.ndarray,
    corners: np.ndarray,
    places: np.ndarray,
) -> None:
    """Quantise units; sets their costs, the levels of their first sub-blocks, and their places."""
    levels = space.other
    for n in range(coefficients.shape[0]):
        cost, count = quantise(
            coefficients[n], wide_log, tall_log, weight, bits, least, space, levels, False
        )
        costs[n] = cost
        inside = 0
        for y in range(4):
            for x in range(4):
                level = levels[(y << wide_log) + x]
                corners[n, y, x] = level
                inside += 1 if level != 0 else 0
        if count == 0:
            places[n] = _EMPTY
        elif count > inside:
            places[n] = _BEYOND
        elif count == 1 and levels[0] != 0:
            places[n] = _FIRST_ALONE
        else:
            places[n] = _INSIDE


@dataclass(frozen=True, eq=False)
class Quantised:
    """Units after quantisation.

    costs: squared steps, without the flags that choose a transform.
    levels: int32 (n, VALUES), of the first sub-block, in the order of the scan.
    places: _EMPTY to _BEYOND.
    """

    costs: Floats
    levels: npt.NDArray[np.int32]
    places: npt.NDArray[np.int64]

    @classmethod
    def of(cls, coefficients: Floats) -> Quantised:
        """Quantise coefficients (n, rows, columns) in steps, with prices of a key canvas."""
        count, rows, columns = coefficients.shape
        costs = np.zeros(count, np.float32)
        corners = np.zeros((count, 4, 4), np.int32)
        places = np.zeros(count, np.int64)
        _quantise_all(
            np.ascontiguousarray(coefficients.reshape(count, -1), np.float32),
            int(np.log2(columns)),
            int(np.log2(rows)),
            np.float32(WEIGHT),
            np.float32(LEAST),
            default_prices(0).content.units,
            TransformSpace.make(),
            costs,
            corners,
            places,
        )
        return cls(costs, corners[:, ROWS, COLUMNS], places)


@dataclass(frozen=True, eq=False)
class Group:
    """The units of a set that have one shape, or a part of them.

    size: N of spec 7.6.
    zones: (n, side * side), the cosine coefficients that secondary transforms take, in steps.
    energies: of all coefficients.
    plain: quantised with the cosine transform and, if the shape has it, the sine transform.
    """

    shape: Shape
    size: int
    zones: Floats
    energies: Floats
    plain: list[Quantised]

    @classmethod
    def of(cls, shape: Shape, units: Units) -> Group:
        """Transform and quantise units."""
        cosine = units.coefficients(sine=False)
        primaries = [cosine]
        if max(shape) < 32:
            primaries.append(units.coefficients(sine=True))
        return cls(
            shape,
            int(np.log2(shape[0] * shape[1])) >> 1,
            zones(cosine, units.modes),
            np.square(cosine).sum((1, 2)),
            [Quantised.of(part) for part in primaries],
        )

    def folded(self, matrix: npt.NDArray[np.float64]) -> Quantised:
        """Quantise with a secondary transform; the energy that it leaves out is in the costs."""
        values = self.zones @ matrix.T.astype(np.float32)
        coefficients = np.zeros((len(values), *self.shape), np.float32)
        coefficients[:, ROWS, COLUMNS] = values
        found = Quantised.of(coefficients)
        found.costs[:] += self.energies - np.square(values).sum(1)
        return found


@dataclass
class Prices:
    """Bits of the flags by size N.

    chosen: of each transform, for units in the first sub-block.
    sine: of the flag `sine` alone.
    """

    chosen: npt.NDArray[np.float64] = field(
        default_factory=lambda: np.full((SIZES, _CHOICES), np.log2(_CHOICES))
    )
    sine: npt.NDArray[np.float64] = field(default_factory=lambda: np.ones((SIZES, 2)))


@dataclass
class Tally:
    """What the units of groups come to.

    plain, cost: squared steps without and with secondary transforms, flags included.
    chosen: units of each size in the first sub-block that have each transform.
    sine: units of each size without and with `sine`, were there no secondary transforms.
    products: (SECONDARIES, VALUES, side * side), of levels and zones.
    magnitudes: (SECONDARIES, VALUES), sums of those of levels.
    """

    products: npt.NDArray[np.float64]
    plain: float = 0.0
    cost: float = 0.0
    chosen: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((SIZES, _CHOICES), np.int64)
    )
    sine: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((SIZES, 2), np.int64))
    magnitudes: npt.NDArray[np.float64] = field(
        default_factory=lambda: np.zeros((SECONDARIES, VALUES))
    )

    def prices(self) -> Prices:
        """The prices that follow from the shares."""
        chosen, sine = self.chosen + 1, self.sine + 5
        return Prices(
            -np.log2(chosen / chosen.sum(1, keepdims=True)),
            -np.log2(sine / sine.sum(1, keepdims=True)),
        )


def tally(groups: Sequence[Group], matrices: npt.NDArray[np.float64], prices: Prices) -> Tally:
    """Choose a transform for each unit of a set with its matrices."""
    total = Tally(np.zeros(matrices.shape))
    for group in groups:
        count = len(group.zones)
        plain = np.full((2, count), _NEVER)
        costs = np.full((_CHOICES, count), _NEVER)
        flags, sine = prices.chosen[group.size], prices.sine[group.size]
        for k, quantised in enumerate(group.plain):
            places = quantised.places
            alone = sine[k] if len(group.plain) > 1 else 0.0
            plain[k] = quantised.costs + WEIGHT * np.where(places >= _INSIDE, alone, 0.0)
            bits = np.choose(places, [0.0, 0.0, flags[k], alone])
            costs[k] = quantised.costs + WEIGHT * bits
            if k:
                plain[k, places < _INSIDE] = costs[k, places < _INSIDE] = _NEVER
        folded = [group.folded(matrix) for matrix in matrices]
        for k, quantised in enumerate(folded):
            costs[2 + k] = quantised.costs + WEIGHT * flags[2 + k]
            costs[2 + k, quantised.places < _INSIDE] = _NEVER
        total.plain += float(plain.min(0).sum())
        total.cost += float(costs.min(0).sum())
        choice, units = costs.argmin(0), np.arange(count)
        every = [group.plain[0], group.plain[-1], *folded]
        inside = np.stack([one.places for one in every])[choice, units] == _INSIDE
        total.chosen[group.size] += np.bincount(choice[inside], minlength=_CHOICES)
        if len(group.plain) > 1:
            choice_of_two = plain.argmin(0)
            flagged = np.stack([one.places for one in group.plain])[choice_of_two, units] >= _INSIDE
            total.sine[group.size] += np.bincount(choice_of_two[flagged], minlength=2)
        for k, quantised in enumerate(folded):
            own = choice == 2 + k
            levels = quantised.levels[own].astype(np.float64)
            total.products[k] += levels.T @ group.zones[own]
            total.magnitudes[k] += np.minimum(np.abs(levels), _LARGEST_LEVEL).sum(0)
    return total
