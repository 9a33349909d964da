"""Working memory of the searches of one thread: nothing in it outlives a decision."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import LEAF_COLUMNS
from nvcodec.coding.hybrid.motion import MODES
from nvcodec.encode.hybrid.search.partition import Walk
from nvcodec.model.hybrid.canvas.intra import MOST
from nvcodec.model.samples import CHROMA_X, CHROMA_Y, SAMPLE
from nvcodec.records import Record, array, nested

STRIDE = 36
"""Of the magnitudes that a unit's templates look at, with room for their reach."""

ANGLES_BESIDE = 3
"""Number of best intra modes whose neighbouring angles are tried."""

_AREA = MOST * MOST
"""Samples of the largest transform and of the largest intra block."""
_CHROMA_AREA = _AREA >> (CHROMA_X + CHROMA_Y)
"""Samples of Cb or Cr beside these."""
_EDGE = 4 * MOST + 1
"""Samples around a block (model.hybrid.canvas.intra)."""


class TransformSpace(Record):
    """For units: samples, coefficients, and levels by position.

    `residual` is the block to transform. Of quantisation, `magnitudes` is zero between uses, `full`
    has 1 for each 4 x 4 sub-block with a level, with a border, and `block_cost` are the costs of
    sub-blocks. `levels` has those of each size of a luma tree, `chroma` those of Cb and Cr;
    `chroma_cost` and `chroma_empty` are the costs of both with a unit and without.
    """

    residual = array(np.float32, MOST, MOST)
    block = array(np.float32, _AREA)
    product = array(np.float32, _AREA)
    coefficients = array(np.float32, _AREA)
    positions = array(np.float32, 3, _AREA)
    magnitudes = array(np.int32, STRIDE * STRIDE)
    full = array(np.int8, 100)
    block_cost = array(np.float32, 64)
    levels = array(np.int32, 4, _AREA)
    chroma = array(np.int32, 2, _CHROMA_AREA)
    chroma_cost = array(np.float64, 2)
    chroma_empty = array(np.float64, 2)


class TreeSpace(Record):
    """For luma transform trees, by level and number of the block in the order of block().

    `cost` is that of no levels at all, `count` the number of levels, `split` whether it is split.
    `some` counts the levels of the quarters so far, by level.
    """

    walk = nested(Walk)
    cost = array(np.float64, 4, 64)
    count = array(np.int64, 4, 64)
    split = array(np.uint8, 4, 64)
    some = array(np.int64, 4)


class IntraSpace(Record):
    """For intra blocks: a prediction and the samples around it.

    `edges` are those of luma or Cb, of Cr, and smoothed ones of luma. `kept` are samples of three
    planes and `kept_modes` modes of the block of each level; `mode_costs` are of the luma modes.
    `leaves` are the leaves of each level, `quarters` one whose luma is predicted by quarters.
    `unit` and `sums` are those of `transform_scratch`.
    """

    prediction = array(SAMPLE, MOST, MOST)
    edges = array(np.int32, 3, _EDGE)
    square = array(np.int32, 4, 4)
    line = array(np.int32, 3 * MOST + 2)
    listed = array(np.int64, 3)
    mode_costs = array(np.float64, MODES)
    best_modes = array(np.int64, ANGLES_BESIDE)
    levels = array(np.int32, _AREA)
    best_levels = array(np.int32, _AREA)
    best_chroma = array(np.int32, 2, _CHROMA_AREA)
    kept = array(SAMPLE, 3, 3, _AREA)
    kept_modes = array(np.uint8, 3, 8, 8)
    leaves = array(np.int32, 3, LEAF_COLUMNS)
    quarters = array(np.int32, LEAF_COLUMNS)
    unit = array(np.int32, _AREA)
    sums = array(np.int32, _AREA)


class Workspace(Record):
    """All of it; `walk` is of the leaves."""

    walk = nested(Walk)
    transform = nested(TransformSpace)
    tree = nested(TreeSpace)
    intra = nested(IntraSpace)
