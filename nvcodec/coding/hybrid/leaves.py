"""Tables that the hybrid model's substreams are coded from and decoded into (spec 7.4 to 7.6).

All are C-contiguous int32 arrays, the same for both directions:

* leaves (n, LEAF_COLUMNS): a row for each leaf of a canvas;
* units (m, UNIT_COLUMNS): a row for each unit;
* levels (k, LEVEL_COLUMNS): a row for each level that is not 0, unit by unit.

Rows are in coding order; for the levels of a unit that is the reverse scan. Columns that do not
apply to a leaf are 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int32]
Lookup = npt.NDArray[np.int64]

X = 0
"""Luma samples, as Y, WIDTH and HEIGHT."""
Y = 1
WIDTH = 2
"""8, 16, 32 or 64, as HEIGHT; the longer side is one, two or four times the shorter one."""
HEIGHT = 3
INTRA = 4
AFFINE = 5
"""1 if the vectors of the cells of an inter leaf follow gradients; of a merged one, INDEX is then
the entry 0..3 of the affine list."""
MERGE = 6
INDEX = 7
"""Entry 0..4 of the merge list, for merged leaves."""
DIRECTION = 8
"""Bit 0: reference 0, bit 1: reference 1; for leaves that are neither intra nor merged."""
VY0 = 9
"""Coded differences to the predicted vectors, for the references that the direction uses; of a
copied intra leaf VY0 and VX0 are the copy vector, in luma samples."""
VX0 = 10
VY1 = 11
VX1 = 12
CUT = 13
"""The luma blocks of an intra leaf: one (0), four of 4 x 4 (1), an upper and a lower one of 8 x 4
(2), a left and a right one of 4 x 8 (3)."""
MODE = 14
"""Four columns: the mode of each luma block of an intra leaf, repeated if there are fewer."""
CHROMA = 18
"""Chroma mode 0..39 of an intra leaf: the mode itself, not the coded value."""
LINEAR = 35
"""The first of three chroma modes that predict from luma (spec 8.4): fitted to the samples on both
sides of the block, to the left of it, above it."""
COPY = 38
"""The luma mode of a copied intra leaf. VY0 and VX0 are its copy vector, in luma samples."""
PALETTE = 39
"""The luma mode of a palette leaf; of chroma too, if that has palettes."""
GRADIENTS = 19
"""Four columns: coded differences of the gradients of an affine leaf that is not merged, of y by y,
y by x, x by y, x by x."""
MOTION_COLUMNS = 23
"""Columns before this one belong to the motion substream, the others to content."""
CODED = 23
"""Inter leaf: the flag `coded`. Intra leaf: 1 if it has a unit."""
Q = 24
"""Quantiser index 0..LastQ."""
FIRST = 25
"""Number of the leaf's first unit; if it has none, of the next unit in coding order."""
UNITS = 26
"""Number of the leaf's units."""
LEAF_COLUMNS = 27

UNIT_PLANE = 0
UNIT_X = 1
"""Samples of the plane, as UNIT_Y, UNIT_WIDTH and UNIT_HEIGHT."""
UNIT_Y = 2
UNIT_WIDTH = 3
"""4, 8, 16 or 32, as UNIT_HEIGHT."""
UNIT_HEIGHT = 4
UNIT_START = 5
"""Number of its first level."""
UNIT_COUNT = 6
"""Number of its levels, at least 1."""
UNIT_TRANSFORM = 7
"""0 for the cosine transform, SINE for the sine transform (spec 8.5), PAINTED if it has samples in
place of levels, PAINTED + k for the secondary transform k = 1..3 of its set (spec 7.6)."""
UNIT_COLUMNS = 8
SINE = 1
PAINTED = 2
"""UNIT_TRANSFORM of a block of a palette leaf; its rows of levels are those of `palettes`."""

LEVEL_POSITION = 0
"""y * UNIT_WIDTH + x."""
LEVEL_VALUE = 1
LEVEL_COLUMNS = 2

LAST_Q = 63
"""The greatest quantiser index of samples of 8 bits."""


def last_index(bit_depth: int) -> int:
    """LastQ of spec 7.5: the greatest quantiser index of samples of this depth."""
    return LAST_Q + 6 * (bit_depth - 8)


def lookup(values: Sequence[int]) -> Lookup:
    """A table for compiled functions: int64, so that Numba's arithmetic stays in one type."""
    return np.array(values, np.int64)


# Z-order, the order of block(), of the parts of an 8 x 8 square: coordinates, and log2 of the size
# of the largest block that begins there. A loop over them replaces recursion.
Z_X = lookup([(z & 1) | (z >> 1 & 2) | (z >> 2 & 4) for z in range(64)])
Z_Y = lookup([(z >> 1 & 1) | (z >> 2 & 2) | (z >> 3 & 4) for z in range(64)])
Z_LOG = lookup([3, *(((z & -z).bit_length() - 1) >> 1 for z in range(1, 64))])


def check_table(table: Table, columns: int, name: str) -> None:
    """Raise ValueError unless a table is a C-contiguous int32 array (n, columns)."""
    if table.dtype != np.int32 or table.ndim != 2 or table.shape[1] != columns:
        raise ValueError(f"{name} are no int32 rows of {columns}")
    if not table.flags.c_contiguous:
        raise ValueError(f"{name} are not contiguous")


def check_canvas(coded_width: int, coded_height: int, canvas_set: int) -> None:
    """Raise ValueError unless both sizes are positive multiples of 8 and the Set is 0, 1 or 2."""
    if coded_width % 8 or coded_height % 8 or min(coded_width, coded_height) < 8:
        raise ValueError(f"{coded_width} x {coded_height} is no size of a canvas")
    if canvas_set not in (0, 1, 2):
        raise ValueError(f"{canvas_set} is no set of canvases")
