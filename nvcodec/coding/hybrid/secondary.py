"""Which secondary transforms a luma unit may have (spec 7.6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import CUT, MODE, UNIT_X, UNIT_Y, Table, X, Y, lookup

SECONDARIES = 3
"""Secondary transforms of a set."""

_GROUPS = (0, 1), (2, 3, 4, 5, 6, 7), (8, 9, 10, 11, 12), (13, 14, 15, 16, 17, 18)
"""Intra modes of each set; a mode above 18 has the set of its mirror image, 36 minus the mode."""

SETS = len(_GROUPS)
"""Number of sets; also stands for none."""

MIRROR = 18
"""The last mode of a set whose coefficients are not transposed."""

NO_MODE = 40
"""What stands for the mode of a unit of chroma or of an inter leaf."""


def _sets() -> list[int]:
    sets = [SETS] * (NO_MODE + 1)
    for number, group in enumerate(_GROUPS):
        for mode in group:
            sets[mode] = number
            if mode > 1:
                sets[2 * MIRROR - mode] = number
    return sets


SET_OF_MODE = lookup(_sets())
"""The set of each mode 0..NO_MODE."""


def luma_modes(leaves: Table, units: Table) -> npt.NDArray[np.int32]:
    """The modes of luma units of intra leaves; `leaves` has a row for each unit, its leaf."""
    below, right = units[:, UNIT_Y] > leaves[:, Y], units[:, UNIT_X] > leaves[:, X]
    # The number of the luma block: of four, or of two of which one is above or beside the other.
    blocks = np.where(leaves[:, CUT] == 1, 2 * below + right, below | right)
    modes: npt.NDArray[np.int32] = leaves[np.arange(len(leaves)), MODE + blocks]
    return modes
