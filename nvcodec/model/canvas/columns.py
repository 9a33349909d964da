"""Columns of the tables that parsing a canvas gives (spec 7.4 to 7.6): leaves, units and levels."""

X, Y, SIZE, INTRA, MERGE, INDEX, DIRECTION, VY0, VX0, VY1, VX1, FOUR = range(12)
MODE = 12
"""The first of four columns: modes of the 4 x 4 blocks of a leaf with FOUR, else its only one."""
CHROMA, CODED, Q, FIRST, UNITS = range(16, 21)
LEAF_COLUMNS = 21

PLANE, UNIT_X, UNIT_Y, UNIT_SIZE, START, COUNT = range(6)
UNIT_COLUMNS = 6

POSITION, LEVEL = range(2)
