"""Tables that the hybrid model's substreams are coded from and decoded into (spec 7.4 to 7.6).

All are C-contiguous int32 arrays, the same for both directions. A table of leaves has a row of
LEAF_COLUMNS for each leaf of a canvas in coding order; a table of units one of UNIT_COLUMNS for
each unit in coding order; a table of levels one of LEVEL_COLUMNS for each level that is not 0, unit
by unit, within a unit in coding order (reverse scan).

Columns that do not apply to a leaf are 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int32]
Lookup = npt.NDArray[np.int64]

X = 0
"""Luma samples, as Y and SIZE."""
Y = 1
SIZE = 2
"""8, 16, 32 or 64."""
INTRA = 3
MERGE = 4
INDEX = 5
"""Entry 0..4 of the merge list, of merged leaves."""
DIRECTION = 6
"""Bit 0: reference 0, bit 1: reference 1; of leaves that are neither intra nor merged."""
VY0 = 7
"""Coded differences to predicted vectors, of lists that the direction uses."""
VX0 = 8
VY1 = 9
VX1 = 10
FOUR = 11
MODE = 12
"""Four columns: the luma mode of each quarter of an intra leaf; all the same unless FOUR is 1."""
CHROMA = 16
"""Chroma mode 0..34 of an intra leaf: the mode itself, not how it is coded."""
MOTION_COLUMNS = 17
"""The columns before this one are those of the motion substream."""
CODED = 17
"""1 where `coded` is, of an intra leaf where it has a unit."""
Q = 18
"""Quantiser index 0..LAST_Q."""
FIRST = 19
"""Number of the leaf's first unit; of a leaf without units, of the next one."""
UNITS = 20
"""How many units the leaf has."""
LEAF_COLUMNS = 21

UNIT_PLANE = 0
UNIT_X = 1
"""Samples of the plane, as UNIT_Y and UNIT_SIZE."""
UNIT_Y = 2
UNIT_SIZE = 3
"""4, 8, 16 or 32."""
UNIT_START = 4
"""Number of its first level."""
UNIT_COUNT = 5
"""How many levels it has, at least 1."""
UNIT_COLUMNS = 6

LEVEL_POSITION = 0
"""y * UNIT_SIZE + x."""
LEVEL_VALUE = 1
LEVEL_COLUMNS = 2

LAST_Q = 63
"""The greatest quantiser index."""


def lookup(values: Sequence[int]) -> Lookup:
    """A table for compiled functions: int64, in whose arithmetic numba mixes no other type."""
    return np.array(values, np.int64)


# Coordinates of the parts of a square of 8 x 8 parts in the order of block(), and the greatest
# log2 of the size of a block that begins there. Walking along them replaces recursion.
Z_X = lookup([(z & 1) | (z >> 1 & 2) | (z >> 2 & 4) for z in range(64)])
Z_Y = lookup([(z >> 1 & 1) | (z >> 2 & 2) | (z >> 3 & 4) for z in range(64)])
Z_LOG = lookup([3, *(((z & -z).bit_length() - 1) >> 1 for z in range(1, 64))])


def check_table(table: Table, columns: int, name: str) -> None:
    """Raise ValueError unless it is a C-contiguous int32 array with so many columns."""
    if table.dtype != np.int32 or table.ndim != 2 or table.shape[1] != columns:
        raise ValueError(f"{name} are no int32 rows of {columns}")
    if not table.flags.c_contiguous:
        raise ValueError(f"{name} are not contiguous")


def check_canvas(coded_width: int, coded_height: int, canvas_set: int) -> None:
    """Raise ValueError unless both are positive multiples of 8, and the set is 0, 1 or 2."""
    if coded_width % 8 or coded_height % 8 or min(coded_width, coded_height) < 8:
        raise ValueError(f"{coded_width} x {coded_height} is no size of a canvas")
    if canvas_set not in (0, 1, 2):
        raise ValueError(f"{canvas_set} is no set of canvases")
