"""What the inter tools share: the record of the search, prediction by vectors, and candidates.

A tool looks at a block and offers candidates. A candidate says how the block is predicted, and what
that costs by SATD plus rate. Each place keeps the best candidate that it is offered.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import LEAF_COLUMNS, Table
from nvcodec.coding.hybrid.motion import AFFINE_ENTRIES
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.distances import ANY, satd, satd_apart, satd_mean, satd_mean_apart
from nvcodec.encode.hybrid.effort import MotionLimits
from nvcodec.encode.hybrid.rate.motion import MotionBits
from nvcodec.encode.hybrid.search.block import (
    NEVER,
    Block,
    CanvasInput,
    bit_length,
    chroma_of,
)
from nvcodec.encode.hybrid.search.partition import Walk
from nvcodec.encode.hybrid.search.phases import MARGIN
from nvcodec.encode.hybrid.search.residual import subtract, subtract_mean
from nvcodec.encode.hybrid.search.workspace import Workspace
from nvcodec.model.hybrid.canvas.inter import BLOCK, pack_motion, predict_block, store_rows
from nvcodec.model.hybrid.canvas.intra import MOST
from nvcodec.model.hybrid.canvas.motion import AFFINE_ENTRY, ENTRIES, moved
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT
from nvcodec.model.hybrid.canvas.projection import CANDIDATE, Projection
from nvcodec.picture import Plane
from nvcodec.records import Record, array

FAR = ANY
"""The SATD of a block outside its padded reference."""
_MOST_VECTOR = 8191
"""Largest component of a vector. The difference of two such vectors can be coded (spec 7.4)."""

# Columns of a choice: how a block is predicted, and how that is coded.
MERGED = 0
ENTRY = 1
LISTS = 2
"""Direction (spec 8.2): bit r for reference r, also for a merged block; 0 for intra."""
VECTORS = 3
"""Four columns: y and x of list 0, y and x of list 1."""
DIFFERENCES = 7
"""Four columns: the coded differences of these vectors to their predictions."""
IS_AFFINE = 11
"""1 if the block is affine; VECTORS are those of its centre."""
SLOPES = 12
"""Four columns: its gradients."""
SLOPE_DIFFERENCES = 16
"""Four columns: their coded differences."""
CHOICE = 20

# Places of candidates. A new tool takes a place of its own or competes for one.
BEST_MERGE = 0
SECOND_MERGE = 1
OWN_VECTORS = 2
SINGLE = 3
"""Two places: the best vector to reference 0 and to reference 1, with MotionLimits.apart."""
BOTH = 5
"""The best pair of vectors, with MotionLimits.apart."""
MERGES = 6
"""A place for each entry of the merge list, with MotionLimits.apart."""
AFFINE_MERGE = MERGES + ENTRIES
"""The best affine entry, with MotionLimits.apart."""
CODED_GRADIENTS = AFFINE_MERGE + 1
"""The best affine candidate that is not merged, with MotionLimits.apart."""
PLACES = CODED_GRADIENTS + 1

STARTS = ENTRIES + 6
"""Most start vectors of a search."""

HALF = 5
"""Row of `Candidates.around` for a half on trial."""
STRIP = 6
"""Row of `Candidates.around` for a half of a half on trial."""
_MOST_HALVES = 4
"""Most leaves that a block is halved into."""

_PART = 2 * CELL
"""Luma samples across a part of an affine block whose chroma is predicted at once on trial."""

_NONE_AROUND = 4
"""Row of `Candidates.around` for no block."""


class Cells(NamedTuple):
    """The decisions so far, by cell of 8 x 8 luma samples (rows, columns), and as leaves.

    Attributes:
        direction: as LISTS.
        vectors: (list, rows, columns, y and x), in quarter samples.
        order: 1 if the cell belongs to an inter leaf, else 0: `available` of `merge_list`.
        size: `packed_size` of the leaf.
        merged: 1 if the leaf is merged.
        leaves: the tables of leaves of all rows of root blocks (coding.hybrid.leaves).
        used: (rows of root blocks,), where the next leaf of a row goes; the search of a row has its
            own alone.
        gradients: of the leaf, (rows, columns, 4); 0 if it is not affine.
        affine: 1 if the leaf is affine.

    """

    direction: npt.NDArray[np.uint8]
    vectors: npt.NDArray[np.int16]
    available: npt.NDArray[np.uint8]
    size: npt.NDArray[np.uint8]
    merged: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.int32]
    used: npt.NDArray[np.int64]
    gradients: npt.NDArray[np.int16]
    affine: npt.NDArray[np.uint8]


def no_cells(width: int, height: int) -> Cells:
    """Cells of a canvas without any leaf."""
    cells = rows, columns = height // CELL, width // CELL
    return Cells(
        direction=np.zeros(cells, np.uint8),
        vectors=np.zeros((2, *cells, 2), np.int16),
        available=np.zeros(cells, np.uint8),
        size=np.zeros(cells, np.uint8),
        merged=np.zeros(cells, np.uint8),
        leaves=np.zeros((rows * columns, LEAF_COLUMNS), np.int32),
        used=first_leaves(width, height),
        gradients=np.zeros((*cells, 4), np.int16),
        affine=np.zeros(cells, np.uint8),
    )


def first_leaves(width: int, height: int) -> npt.NDArray[np.int64]:
    """Where the leaves of each row of root blocks begin, in a table with room for all."""
    return np.arange(-(-height // ROOT), dtype=np.int64) * (ROOT // CELL) * (width // CELL)


def found_leaves(leaves: Table, used: npt.NDArray[np.int64], width: int, height: int) -> Table:
    """The leaves of all rows of root blocks, one after the other; `used` is where each ends."""
    return np.concatenate(
        [leaves[a:b] for a, b in zip(first_leaves(width, height), used, strict=False)]
    )


class Candidates(Record):
    """The candidates of a block, and what its tools hand to the tools after them.

    Attributes:
        choice: how each candidate predicts the block, by place.
        cost: SATD plus rate of each candidate, NEVER if the place is empty.
        bits: the rate alone.
        around: the choice of the block of each level that contains the current one; row 4 is zero.
            Rows HALF and STRIP are those of halves on trial.
        satd: the least SATD plus rate of the same blocks.
        chroma: what the chroma of the last candidate on trial costs, and that of the best one.
        tried, tried_choices, tried_count: the leaves of halves on trial, y, x, width and height;
            their choices; and how many they are.
        cells: what the cells of a block were before: direction, available, size, merged, vectors,
            affine, gradients.
        halves, halves_costs: choice, and cost and bits, of the candidates of halves whose SATD was
            compared: [of a whole block or of a half][beside][first or second].
        level: level[k] is the row of `around` for the smallest evaluated block of level k or above;
            4 if there is none.
        merges: the merge list.
        affine_entries, inherited: the affine list; and how many of its entries are from affine
            neighbours.
        affine: scratch choices.
        guess: predicted V0, V1 (y, x) and gradients of an affine candidate.
        moments: sums over an affine block (`affine`), that its normal equations are made of.
        normal: these equations: the upper triangle of an 8 x 8 matrix, and the right side.
        right: the right side, kept.
        predicted: predicted vectors, (list, y and x).
        single: the best vector to each reference alone, (list, y and x).
        of_both: the bi-predicted entry of the merge list with the least SATD, or -1; and its SATD.
        sides: what the steps right, left, down and up cost, for `vectors.step_of`.
        vectors: scratch.
        starts: scratch.

    """

    choice = array(np.int64, PLACES, CHOICE)
    cost = array(np.float64, PLACES)
    bits = array(np.float64, PLACES)
    around = array(np.int64, STRIP + 1, CHOICE)
    satd = array(np.float64, STRIP + 1)
    chroma = array(np.float64, 2)
    tried = array(np.int64, _MOST_HALVES, 4)
    tried_choices = array(np.int64, _MOST_HALVES, CHOICE)
    tried_count = array(np.int64, 1)
    cells = array(np.int64, 8, 8, 13)
    affine_entries = array(np.int64, AFFINE_ENTRIES + 1, AFFINE_ENTRY)
    inherited = array(np.int64, 1)
    affine = array(np.int64, 2, CHOICE)
    guess = array(np.int64, 8)
    normal = array(np.float64, 8, 9)
    moments = array(np.float32, 6 * 16)
    right = array(np.float64, 8)
    halves = array(np.int64, 2, 2, 2, PLACES, CHOICE)
    halves_costs = array(np.float64, 2, 2, 2, PLACES, 2)
    level = array(np.int64, 5)
    merges = array(np.int64, ENTRIES, CANDIDATE)
    predicted = array(np.int64, 2, 2)
    single = array(np.int64, 2, 2)
    of_both = array(np.int64, 2)
    sides = array(np.float64, 4)
    vectors = array(np.int64, 2, 2)
    starts = array(np.int64, STARTS, 2)


def make_candidates() -> Candidates:
    """Candidates before the first block: no block around it was evaluated."""
    made = Candidates.make()
    made.level[:] = _NONE_AROUND
    return made


class Colours(NamedTuple):
    """Cb and Cr of both references, of the coded size; empty in monochrome."""

    cb0: Plane
    cr0: Plane
    cb1: Plane
    cr1: Plane


class InterSearch(NamedTuple):
    """The search of an inter canvas: picture, references, rate tables, limits and state.

    Attributes:
        walk: of the partition.
        given: its `depth` is that of transform trees on trial.
        current: source luma of the coded size, flat.
        width, height: the coded size.
        phases0, phases1: the references (phases.Phases), flat; the same one if there is one.
        colours: their chroma.
        coarse: coarse vectors, (references, rows, columns, y and x) of 16 x 16 luma blocks, in
            quarter luma samples.
        projected: projected motion (model.hybrid.canvas.projection).
        known: 1 for all 4 x 4 luma blocks, as intra trials predict from source samples.
        two: whether there are two references.
        interior: whether it is an interior canvas.
        costs: rate tables of inter syntax.
        limits, trial: see Effort.
        palettes: whether intra leaves may have palettes.
        largest_intra: luma samples across the largest intra leaf, 0 for none.

    """

    walk: Walk
    given: CanvasInput
    workspace: Workspace
    cells: Cells
    candidates: Candidates
    current: npt.NDArray[Any]
    width: int
    height: int
    phases0: npt.NDArray[Any]
    phases1: npt.NDArray[Any]
    colours: Colours
    coarse: npt.NDArray[np.int16]
    projected: Projection
    known: npt.NDArray[np.uint8]
    two: bool
    interior: bool
    bits: MotionBits
    limits: MotionLimits
    trial: bool
    palettes: bool
    largest_intra: int


@kernel
def place_of(
    s: InterSearch, vy: Integer, vx: Integer, y: Integer, x: Integer, wide: Integer, tall: Integer
) -> Integer:
    """Offset in flat phases of the block at (y, x) displaced by (vy, vx); -1 beyond the margin."""
    stride = s.width + 2 * MARGIN
    rows = s.height + 2 * MARGIN
    top = y + MARGIN + (vy >> 2)
    left = x + MARGIN + (vx >> 2)
    if top < 0 or left < 0 or top + tall > rows or left + wide > stride:
        return -1
    if max(abs(vy), abs(vx)) > _MOST_VECTOR:
        return -1
    return ((4 * (vy & 3) + (vx & 3)) * rows + top) * stride + left


@kernel
def vector_bits(s: InterSearch, dy: Integer, dx: Integer) -> Real:
    """Bits of a coded difference of vectors."""
    return s.bits.component[0, bit_length(dy)] + s.bits.component[1, bit_length(dx)]


@kernel
def block_satd(
    s: InterSearch,
    b: Block,
    direction: Integer,
    v0y: Integer,
    v0x: Integer,
    v1y: Integer,
    v1x: Integer,
    most: Real,
) -> Integer:
    """SATD of a block predicted with a direction and vectors; FAR if beyond the margin.

    A result above `most` may be less than the whole SATD.
    """
    at = b.y * s.width + b.x
    stride = s.width + 2 * MARGIN
    first = 0
    second = 0
    if direction & 1:
        first = place_of(s, v0y, v0x, b.y, b.x, b.wide, b.tall)
    if direction & 2:
        second = place_of(s, v1y, v1x, b.y, b.x, b.wide, b.tall)
    if first < 0 or second < 0:
        return FAR
    if direction == 1:
        return satd(s.current, at, s.width, s.phases0, first, stride, b.wide, b.tall, most)
    if direction == 2:
        return satd(s.current, at, s.width, s.phases1, second, stride, b.wide, b.tall, most)
    return satd_mean(
        s.current, at, s.width, s.phases0, first, s.phases1, second, stride, b.wide, b.tall, most
    )


@kernel
def vector_at(
    s: InterSearch, b: Block, choice: np.ndarray, r: Integer, y: Integer, x: Integer
) -> tuple[Integer, Integer]:
    """The vector of list r of the cell at (y, x) of a block with a choice."""
    if choice[IS_AFFINE] == 0:
        return choice[VECTORS + 2 * r], choice[VECTORS + 2 * r + 1]
    sign = -1 if r == 1 and s.interior else 1
    dy, dx = y - b.y + 4 - (b.tall >> 1), x - b.x + 4 - (b.wide >> 1)
    vy, vx = choice[VECTORS + 2 * r], choice[VECTORS + 2 * r + 1]
    vy = moved(vy, choice[SLOPES], choice[SLOPES + 1], dy, dx, sign)
    return vy, moved(vx, choice[SLOPES + 2], choice[SLOPES + 3], dy, dx, sign)


@kernel
def _cell_place(
    s: InterSearch, b: Block, choice: np.ndarray, r: Integer, y: Integer, x: Integer
) -> Integer:
    """`place_of` the prediction of a cell from reference r; 0 if the choice does not use it."""
    if choice[LISTS] >> r & 1 == 0:
        return 0
    vy, vx = vector_at(s, b, choice, r, y, x)
    return place_of(s, vy, vx, y, x, CELL, CELL)


@kernel
def _load(
    s: InterSearch,
    direction: Integer,
    first: Integer,
    second: Integer,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
    to: Integer,
) -> None:
    """Set the residual, from element `to` on, of samples whose predictions begin at two places."""
    stride = s.width + 2 * MARGIN
    residual, at = s.workspace.transform.residual, y * s.width + x
    if direction == 3:
        subtract_mean(
            s.current, at, s.width, s.phases0, first, s.phases1, second, stride, wide, tall,
            residual, to,
        )  # fmt: skip
    elif direction == 1:
        subtract(s.current, at, s.width, s.phases0, first, stride, wide, tall, residual, to)
    else:
        subtract(s.current, at, s.width, s.phases1, second, stride, wide, tall, residual, to)


@kernel
def affine_satd(s: InterSearch, b: Block, choice: np.ndarray, most: Real) -> Integer:
    """`block_satd` of an affine choice."""
    stride = s.width + 2 * MARGIN
    total = 0
    for y in range(b.y, b.y + b.tall, CELL):
        for x in range(b.x, b.x + b.wide, 2 * CELL):
            a, c = _cell_place(s, b, choice, 0, y, x), _cell_place(s, b, choice, 1, y, x)
            right = x + CELL
            a_right = _cell_place(s, b, choice, 0, y, right)
            c_right = _cell_place(s, b, choice, 1, y, right)
            if min(a, a_right, c, c_right) < 0:
                return FAR
            at = y * s.width + x
            if choice[LISTS] == 3:
                total += satd_mean_apart(
                    s.current, at, s.width, s.phases0, a, a_right, s.phases1, c, c_right, stride
                )
            elif choice[LISTS] == 1:
                total += satd_apart(s.current, at, s.width, s.phases0, a, a_right, stride)
            else:
                total += satd_apart(s.current, at, s.width, s.phases1, c, c_right, stride)
        if total > most:
            break
    return total


@kernel
def load_prediction(
    s: InterSearch,
    b: Block,
    choice: np.ndarray,
    y: Integer,
    x: Integer,
    wide: Integer,
    tall: Integer,
) -> None:
    """Set workspace.transform.residual to source luma minus its prediction by a choice."""
    direction = choice[LISTS]
    if choice[IS_AFFINE]:
        for i in range(y, y + tall, CELL):
            for j in range(x, x + wide, CELL):
                first = _cell_place(s, b, choice, 0, i, j)
                second = _cell_place(s, b, choice, 1, i, j)
                _load(s, direction, first, second, i, j, CELL, CELL, (i - y) * MOST + j - x)
        return
    v0y, v0x = choice[VECTORS], choice[VECTORS + 1]
    v1y, v1x = choice[VECTORS + 2], choice[VECTORS + 3]
    first = place_of(s, v0y, v0x, y, x, wide, tall) if direction & 1 else 0
    second = place_of(s, v1y, v1x, y, x, wide, tall) if direction & 2 else 0
    _load(s, direction, first, second, y, x, wide, tall, 0)


@kernel
def predict_chroma(s: InterSearch, b: Block, choice: np.ndarray) -> None:
    """Set workspace.colours.predicted to the chroma of a block predicted by a choice.

    That of an affine choice is approximate: it has one vector for four cells.
    """
    w, refs, code = s.workspace.colours, s.colours, s.given.codes[1]
    cb, cr = w.predicted[0], w.predicted[1]
    tall, wide = (_PART, _PART) if choice[IS_AFFINE] else (b.tall, b.wide)
    middle = (_PART - CELL) >> 1
    top, left, _, _ = chroma_of(s.given, b.y, b.x, wide, tall)
    for luma_y in range(b.y, b.y + b.tall, tall):
        for luma_x in range(b.x, b.x + b.wide, wide):
            y, x, columns, rows = chroma_of(s.given, luma_y, luma_x, wide, tall)
            rows *= s.given.parts
            v0y, v0x = vector_at(s, b, choice, 0, luma_y + middle, luma_x + middle)
            v1y, v1x = vector_at(s, b, choice, 1, luma_y + middle, luma_x + middle)
            packed = pack_motion(choice[LISTS], v0y, v0x, v1y, v1x)
            to = (y - top) * BLOCK + x - left
            predict_block(
                code, refs.cb0, refs.cb1, y, x, rows, columns, packed, w.first, w.samples, w.values
            )
            store_rows(code, w.values, rows, columns, cb, to)
            predict_block(
                code, refs.cr0, refs.cr1, y, x, rows, columns, packed, w.first, w.samples, w.values
            )
            store_rows(code, w.values, rows, columns, cr, to)


@kernel
def clear(c: Candidates) -> None:
    """Remove all candidates."""
    for place in range(PLACES):
        c.cost[place] = NEVER


@kernel
def set_choice(
    choice: np.ndarray,
    direction: Integer,
    v0y: Integer,
    v0x: Integer,
    v1y: Integer,
    v1x: Integer,
) -> None:
    """Fill a choice that is not merged; sets its coded differences to 0."""
    choice[MERGED] = 0
    choice[ENTRY] = 0
    choice[LISTS] = direction
    choice[VECTORS] = v0y
    choice[VECTORS + 1] = v0x
    choice[VECTORS + 2] = v1y
    choice[VECTORS + 3] = v1x
    for k in range(4):
        choice[DIFFERENCES + k] = 0
    for k in range(IS_AFFINE, CHOICE):
        choice[k] = 0
