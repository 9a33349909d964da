"""Scratch memory of the searches of one thread; no decision depends on what an earlier one left."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import LEAF_COLUMNS
from nvcodec.coding.hybrid.motion import MODES
from nvcodec.coding.hybrid.secondary import SECONDARIES
from nvcodec.encode.hybrid.search.palette import PaletteSearch
from nvcodec.encode.hybrid.search.partition import Walk
from nvcodec.model.hybrid.canvas.inter import BLOCK
from nvcodec.model.hybrid.canvas.intra import MOST
from nvcodec.picture import SampleFormat
from nvcodec.records import Record, array, nested

STRIDE = 36
"""Row stride of `magnitudes`: the largest unit, and the samples beyond it that contexts look at."""

ANGLES_BESIDE = 3
"""Number of best intra modes whose neighbouring angles are tried."""

_AREA = MOST * MOST
"""Samples of the largest transform and of the largest intra block."""
_PARTS = 2
"""Most units of a node in a chroma plane: two, one above the other, in 4:2:2."""
_EDGE = 4 * MOST + 1
"""Samples of the edge of a block (model.hybrid.canvas.intra)."""


class TransformSpace(Record):
    """For units: samples, coefficients, and levels by position.

    Attributes:
        residual: the residual of a node or block.
        block: the part of it that is transformed, flat.
        product: the result of the transform's first pass.
        coefficients: in quantiser steps, of the cosine transform, of the sine transform and of the
            secondary transform that is quantised.
        folded: the coefficients of each secondary transform.
        dropped: the energy that each of them leaves out.
        rough: rough costs of the transforms.
        transform: that of the last unit (UNIT_TRANSFORM).
        positions: costs that `quantise` keeps of each scan index: chosen level, zero, significance.
        magnitudes: of levels, for contexts; zero between uses.
        peaks: the greatest magnitude of coefficients in each 4 x 4 sub-block, row by row.
        full: 1 for each 4 x 4 sub-block with a level, with a border.
        block_cost: cost of the flag of each sub-block.
        levels: levels of a luma tree, by size of the unit.
        other: levels of a transform on trial.
        chroma: levels of the units of Cb and Cr, [plane][part].
        chroma_cost: what these units cost.
        chroma_empty: cost without each of these units.

    """

    residual = array(np.float32, MOST, MOST)
    block = array(np.float32, _AREA)
    product = array(np.float32, _AREA)
    coefficients = array(np.float32, 3, _AREA)
    folded = array(np.float32, SECONDARIES, 16)
    dropped = array(np.float32, SECONDARIES)
    rough = array(np.float32, 2 + SECONDARIES)
    transform = array(np.int64, 1)
    positions = array(np.float32, 3, _AREA)
    magnitudes = array(np.uint32, STRIDE * STRIDE)
    peaks = array(np.float32, 64)
    full = array(np.int8, 100)
    block_cost = array(np.float32, 64)
    levels = array(np.int32, 4, _AREA)
    other = array(np.int32, _AREA)
    chroma = array(np.int32, 2, _PARTS, _AREA)
    chroma_cost = array(np.float64, 2, _PARTS)
    chroma_empty = array(np.float64, 2, _PARTS)


class TreeSpace(Record):
    """For luma transform trees, by level and z-order number of the block (spec 7.4, block()).

    Attributes:
        walk: of the tree.
        cost: cost without levels.
        count: number of levels.
        transform: its transform as one unit (UNIT_TRANSFORM).
        split: whether the block is split.
        some: number of levels of the quarters so far, by level only.
        whole: of a node that is no square: whether it is one unit, and the transform of that.
        levels: of that unit.

    """

    walk = nested(Walk)
    cost = array(np.float64, 4, 64)
    count = array(np.int64, 4, 64)
    transform = array(np.int64, 4, 64)
    split = array(np.uint8, 4, 64)
    some = array(np.int64, 4)
    whole = array(np.int64, 2)
    levels = array(np.int32, _AREA)


class IntraSpace(Record):
    """For intra blocks.

    Attributes:
        prediction: the predicted block.
        edges: samples around the block. [0] is of luma or Cb, [1] of Cr, [2] of smoothed luma.
        light: luma of the samples of a chroma block.
        square: rows of a 4 x 4 Hadamard transform.
        line: scratch of `intra_predict`.
        listed: the list of three luma modes.
        mode_costs: rough cost of each luma mode, then of a copy.
        last: the copy vector of the last copied leaf.
        copy: the copy vector of this leaf, if it is copied.
        best_modes: luma modes with the least rough costs.
        levels: levels of the luma mode on trial.
        best_levels: levels of the best luma mode so far.
        best_chroma: levels of the first units of Cb and Cr of the best chroma mode so far.
        kept: samples of the best leaves of the block of each level, then of a half and of
            quarters, by planes.
        kept_modes: their luma modes.
        leaves, leaf_count: its leaf or those of its halves, and how many they are.
        halves: the leaves of halves on trial.
        strips: the leaves of halves of a half on trial.
        cut: a leaf of one cell on trial with more than one luma block.
        unit, sums: the arrays of `transform_scratch`.
        palette: of palettes.

    """

    prediction = array(np.uint8, MOST, MOST)
    edges = array(np.int32, 3, _EDGE)
    cut = array(np.int32, LEAF_COLUMNS)
    light = array(np.int64, MOST, MOST)
    square = array(np.int32, 4, 4)
    line = array(np.int32, 3 * MOST + 2)
    listed = array(np.int64, 3)
    mode_costs = array(np.float64, MODES + 1)
    last = array(np.int64, 2)
    copy = array(np.int64, 2)
    best_modes = array(np.int64, ANGLES_BESIDE)
    levels = array(np.int32, _AREA)
    best_levels = array(np.int32, _AREA)
    best_chroma = array(np.int32, 2, _AREA)
    kept = array(np.uint8, 5, 3, MOST, MOST)
    kept_modes = array(np.uint8, 5, 8, 8)
    leaves = array(np.int32, 3, 4, LEAF_COLUMNS)
    leaf_count = array(np.int64, 3)
    halves = array(np.int32, 4, LEAF_COLUMNS)
    strips = array(np.int32, 2, LEAF_COLUMNS)
    unit = array(np.int32, _AREA)
    sums = array(np.int32, _AREA)
    palette = nested(PaletteSearch)


class _DeepIntraSpace(IntraSpace):
    """The same for samples of more than 8 bits."""

    prediction = array(np.uint16, MOST, MOST)
    kept = array(np.uint16, 5, 3, MOST, MOST)


class ColourSpace(Record):
    """For the chroma of an inter block on trial: the scratch and result of `predict_block`.

    `predicted` are the samples of Cb and Cr.
    """

    first = array(np.int16, BLOCK + 7, BLOCK)
    samples = array(np.uint8, BLOCK + 7, BLOCK + 8)
    values = array(np.int32, BLOCK, BLOCK)
    predicted = array(np.uint8, 2, BLOCK, BLOCK)


class _DeepColourSpace(ColourSpace):
    """The same for samples of more than 8 bits."""

    first = array(np.int32, BLOCK + 7, BLOCK)
    samples = array(np.uint16, BLOCK + 7, BLOCK + 8)
    predicted = array(np.uint16, 2, BLOCK, BLOCK)


class Workspace(Record):
    """All scratch memory but the walk of the partition into leaves."""

    transform = nested(TransformSpace)
    tree = nested(TreeSpace)
    intra = nested(IntraSpace)
    colours = nested(ColourSpace)


class _DeepWorkspace(Workspace):
    """The same for samples of more than 8 bits."""

    intra = nested(_DeepIntraSpace)
    colours = nested(_DeepColourSpace)


def make_workspace(sample_format: SampleFormat) -> Workspace:
    """Scratch memory for the searches of canvases of a format."""
    return (Workspace if sample_format.bit_depth == 8 else _DeepWorkspace).make()
