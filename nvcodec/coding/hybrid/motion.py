"""The motion substream of the hybrid model (spec 7.4): leaves to bits and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.difference import exponential
from nvcodec.coding.hybrid.leaves import (
    AFFINE,
    CHROMA,
    COPY,
    CUT,
    DIRECTION,
    GRADIENTS,
    HEIGHT,
    INDEX,
    INTRA,
    LEAF_COLUMNS,
    LINEAR,
    MERGE,
    MODE,
    MOTION_COLUMNS,
    PALETTE,
    VY0,
    WIDTH,
    Z_LOG,
    Z_X,
    Z_Y,
    Table,
    X,
    Y,
    check_canvas,
    check_table,
    lookup,
)
from nvcodec.coding.rangecoder import Contexts, RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import ENCODING, STATE_SIZE, Direction, bit, compile_syntax, part
from nvcodec.picture import YUV420P8, SampleFormat
from nvcodec.records import Record, array
from nvcodec.tables import load_table

# Numbers of the first context of each kind (spec 7.7).
SPLIT = 0
CUT_FLAG = 27
INTRA_FLAG = 28
MERGE_FLAG = 34
INDEX_MORE = 58
BOTH = 66
SECOND = 70
VZERO = 76
VMORE = 80
LISTED = 132
LATER = 134
REST = 135
OTHER = 167
LINEAR_FLAG = 171
SIDE = 177
COPIED = 179
COPY_ZERO = 185
COPY_MORE = 187
SCREEN = 213
PALETTE_FLAG = 214
HALVED = 220
BESIDE = 274
CUT_IN_TWO = 283
AFFINE_FLAG = 285
AFFINE_INDEX = 333
GRADIENT_ZERO = 339
GRADIENT_MORE = 347
MOTION_CONTEXTS = 363

AFFINE_ENTRIES = 4
"""Entries of the affine list."""

MAX_COMPONENT = (1 << 14) - 1
"""Greatest magnitude of a component of a coded vector difference."""
MODES = 35

_CHROMA_MODES = lookup([0, 26, 10, 1])

# Upper bound of the bits of a leaf and of what is above it: 4 splits, 3 bits of halves, 2 flags,
# and 4 components of 1 + 13 + 13 + 1 bits. An intra leaf takes fewer.
_LEAF_BITS = 4 + 3 + 3 + 4 * 28 + 4 * 18


@part
def block_size(
    leaves: np.ndarray,
    row: int,
    x: int,
    y: int,
    width: int,
    height: int,
    kind: int,
    size: int,
    size_left: int,
    size_above: int,
) -> int:
    """block() of spec 7.4 down to the area at (x, y), whose size is 8 << result.

    `size`, in the same form, is that of the largest block that begins there; `size_left` is the
    height of the leaf to the left, `size_above` the width of that above.
    """
    while size > 0:
        n = 8 << size
        split = 1
        if x + n <= width and y + n <= height and not (kind == 0 and size == 3):
            c = (1 if size_left < size else 0) + (1 if size_above < size else 0)
            wanted = 0
            if ENCODING:
                wanted = 1 if max(leaves[row, WIDTH], leaves[row, HEIGHT]) < n else 0
            split = bit(SPLIT + 9 * kind + 3 * (size - 1) + c, wanted)
        if split == 0:
            break
        size -= 1
    return size


@part
def mode_list(left: int, above: int) -> tuple[int, int, int]:
    """The list of three modes of spec 7.4, from the modes of the neighbours L and U."""
    first = left
    second = above
    third = 0
    if left != above:
        while third in (left, above):
            third = 1 if third == 0 else 26
    elif left < 2:
        first = 0
        second = 1
        third = 26
    else:
        second = 2 + ((left + 29) & 31)
        third = 2 + ((left - 1) & 31)
    return first, second, third


@part
def luma_mode(wanted: int, first: int, second: int, third: int, kind: int) -> int:
    """`luma_mode` of spec 7.4 with this list of modes."""
    listed = bit(LISTED + (0 if kind == 0 else 1), 1 if wanted in (first, second, third) else 0)
    mode = first
    if listed != 0:
        later = bit(LATER, 1 if wanted != first else 0)
        if later != 0:
            last = bit(LATER + 1, 1 if wanted != second else 0)
            mode = third if last != 0 else second
    else:
        least = min(first, second, third)
        greatest = max(first, second, third)
        middle = first + second + third - least - greatest
        rank = 0
        if ENCODING:
            rank = wanted - (1 if wanted > least else 0)
            rank -= (1 if wanted > middle else 0) + (1 if wanted > greatest else 0)
        mode = 0
        node = 1
        for j in range(5):
            b = bit(REST + node, (rank >> (4 - j)) & 1)
            node = 2 * node + b
            mode = 2 * mode + b
        mode += 1 if mode >= least else 0
        mode += 1 if mode >= middle else 0
        mode += 1 if mode >= greatest else 0
    return mode


@part
def chroma_mode(wanted: int, luma: int, size: int, kind: int) -> int:
    """`chroma_mode` of spec 7.4 of a leaf of size 8 << size; `luma` is its (first) luma mode."""
    mode = luma
    linear = bit(LINEAR_FLAG + (0 if kind == 0 else 3) + size, 1 if LINEAR <= wanted < COPY else 0)
    other = 0
    if linear != 0:
        one_side = bit(SIDE, 1 if wanted > LINEAR else 0)
        mode = LINEAR + one_side
        if one_side != 0:
            above = bit(SIDE + 1, 1 if wanted > LINEAR + 1 else 0)
            mode += above
    else:
        other = bit(OTHER, 1 if wanted != luma else 0)
    if other != 0:
        choice = 0
        if ENCODING:
            for k in range(1, 4):
                entry = _CHROMA_MODES[k]
                if wanted == (34 if entry == luma else entry):
                    choice = k
        high = bit(OTHER + 1, choice >> 1)
        low = bit(OTHER + 2 + high, choice & 1)
        entry = _CHROMA_MODES[2 * high + low]
        mode = 34 if entry == luma else entry
    return mode


@part
def intra_leaf(
    leaves: np.ndarray,
    row: int,
    line: np.ndarray,
    left_mode: np.ndarray,
    top_mode: np.ndarray,
    size: int,
    kind: int,
    coloured: int,
    screen: int,
    beside_copied: int,
    beside_palettes: int,
    last: np.ndarray,
) -> None:
    """Code the modes of an intra leaf of class 8 << size, that of chroma if it is `coloured`.

    Only in a canvas of a `screen` it may be copied or have palettes.

    `line` is its row; `left_mode` and `top_mode` hold the modes of the 4 x 4 blocks left and above.
    `beside_copied` of the leaves left and above are copied, `beside_palettes` have palettes; `last`
    is the last copy vector.
    """
    inter = 0 if kind == 0 else 3
    special = 0
    copied = 0
    if screen != 0:
        copied = bit(COPIED + inter + beside_copied, 1 if leaves[row, MODE] == COPY else 0)
        special = copied
        if copied == 0:
            special = bit(
                PALETTE_FLAG + inter + beside_palettes, 1 if leaves[row, MODE] == PALETTE else 0
            )
    if copied != 0:
        for k in range(2):
            change = 0
            if ENCODING:
                change = leaves[row, VY0 + k] - last[k]
            change = exponential(change, COPY_ZERO + k, COPY_MORE + 13 * k, 13)
            last[k] = min(8191, max(-8192, last[k] + change))
            line[VY0 + k] = last[k]
    cut = 0
    if kind == 0 and line[WIDTH] == 8 and line[HEIGHT] == 8 and special == 0:
        cut = bit(CUT_FLAG, 1 if leaves[row, CUT] != 0 else 0)
        if cut != 0:
            two = bit(CUT_IN_TWO, 1 if leaves[row, CUT] > 1 else 0)
            if two != 0:
                beside = bit(CUT_IN_TWO + 1, 1 if leaves[row, CUT] > 2 else 0)
                cut = 2 + beside
    line[CUT] = cut
    line[MODE] = COPY if copied != 0 else PALETTE
    for k in range(0 if special != 0 else 2 if cut > 1 else 4 if cut != 0 else 1):
        block_x = (line[X] >> 2) + (k & 1 if cut != 2 else 0)
        block_y = (line[Y] >> 2) + (k >> 1 if cut != 2 else k)
        beside = left_mode[block_y & 15] if block_x > 0 else 1
        above = top_mode[block_x] if block_y > 0 else 1
        first, second, third = mode_list(beside, above)
        wanted = 0
        if ENCODING:
            wanted = leaves[row, MODE + k]
        mode = luma_mode(wanted, first, second, third, kind)
        line[MODE + k] = mode
        if cut != 0:
            left_mode[block_y & 15] = mode
            top_mode[block_x] = mode
            if cut == 2:
                top_mode[block_x + 1] = mode
            if cut == 3:
                left_mode[(block_y & 15) + 1] = mode
    if cut > 1:
        line[MODE + 2] = line[MODE]
        line[MODE + 3] = line[MODE + 1]
    if cut == 0:
        for k in range(1, 4):
            line[MODE + k] = line[MODE]
    if coloured != 0:
        line[CHROMA] = chroma_mode(leaves[row, CHROMA], line[MODE], size, kind)


@part
def list_index(wanted: int, first: int, last: int) -> int:
    """The entry 0..last of a list, by contexts from `first` on."""
    index = 0
    while index < last:
        more = bit(first + index, 1 if wanted > index else 0)
        if more == 0:
            break
        index += 1
    return index


@part
def vectors(leaves: np.ndarray, row: int, line: np.ndarray, size: int, kind: int, two: int) -> None:
    """Direction and vector differences of a leaf that is neither intra nor merged.

    `two` is 1 if there are two references.
    """
    direction = 1
    if two != 0:
        both = bit(BOTH + 5 * (kind - 1) + size, 1 if leaves[row, DIRECTION] == 3 else 0)
        if both != 0:
            direction = 3
        else:
            other_one = bit(SECOND + 5 * (kind - 1), 1 if leaves[row, DIRECTION] == 2 else 0)
            direction = 2 if other_one != 0 else 1
    line[DIRECTION] = direction
    for k in range(4):
        if (direction >> (k >> 1)) & 1 != 0:
            axis = k & 1
            zero = VZERO + 2 * (kind - 1) + axis
            more = VMORE + 26 * (kind - 1) + 13 * axis
            line[VY0 + k] = exponential(leaves[row, VY0 + k], zero, more, 13)


@part
def gradients(leaves: np.ndarray, row: int, line: np.ndarray, inter: int) -> None:
    """Differences of the gradients of an affine leaf that is not merged."""
    for k in range(4):
        zero = GRADIENT_ZERO + 4 * inter + k
        line[GRADIENTS + k] = exponential(
            leaves[row, GRADIENTS + k], zero, GRADIENT_MORE + 8 * inter, 8
        )


class LeafSpace(Record):
    """Working memory of `motion_blocks`: the leaves left of the next one, and the leaf in `line`.

    By rows of cells, their height and kind (1 intra, 2 merged, 4 copied, 8 palette, 16 affine); by
    rows of 4 x 4 blocks, their mode. In the order of block() the last one written is the neighbour.
    `last` is the last copy vector. `waiting` are second halves: x, y, and log2 of their cells
    across and down.
    """

    size = array(np.int64, 8)
    kind = array(np.int64, 8)
    mode = array(np.int64, 16)
    last = array(np.int64, 2)
    line = array(np.int64, LEAF_COLUMNS)
    waiting = array(np.int64, 2, 4)


def motion_blocks(
    coder: np.ndarray,
    contexts: np.ndarray,
    buffer: np.ndarray,
    leaves: np.ndarray,
    found: np.ndarray,
    space: LeafSpace,
    tops: np.ndarray,
    width: int,
    height: int,
    kind: int,
    two: int,
    coloured: int,
) -> None:
    """Syntax of spec 7.4 for one canvas of the set `kind`; `coloured` is 0 in monochrome.

    `two` is 1 if the canvas has two references.

    `leaves` is int32 (rows, LEAF_COLUMNS); the decoder needs a row for each cell. `found` is int64
    (3,): the number of leaves, and in the encoder row and column of the first value that cannot be
    coded (row -1 if there is none). `space` and `tops` are zero. `tops`, int64 (3, width / 4), has
    of the leaves above what `space` has of those to the left: width and kind by columns of cells,
    mode by columns of 4 x 4 blocks.
    """
    inter = kind - 1
    rows = leaves.shape[0]
    left_size = space.size
    left_kind = space.kind
    left_mode = space.mode
    top_size = tops[0]
    top_kind = tops[1]
    top_mode = tops[2]
    line = space.line
    waiting = space.waiting
    leaf = 0
    found[1] = -1
    special = 0
    if ENCODING:
        for k in range(rows):
            if leaves[k, MODE] >= COPY:
                special = 1
    screen = bit(SCREEN, special)
    for root in range(((width + 63) >> 6) * ((height + 63) >> 6)):
        root_y = root // ((width + 63) >> 6) * 64
        root_x = root % ((width + 63) >> 6) * 64
        # After a value that cannot be coded the encoder stops, as its capacity is for valid rows.
        z = 0 if found[1] < 0 else 64
        halves = 0
        while z < 64 or halves > 0:
            if halves > 0:
                x = waiting[halves - 1, 0]
                y = waiting[halves - 1, 1]
            else:
                x = root_x + 8 * Z_X[z]
                y = root_y + 8 * Z_Y[z]
                if x >= width or y >= height:
                    z += 1
                    continue
            row = leaf
            if ENCODING:
                row = min(leaf, rows - 1)
            column_cell = x >> 3
            row_cell = (y >> 3) & 7
            size_left = left_size[row_cell] if x > 0 else 4
            size_above = top_size[column_cell] if y > 0 else 4
            kind_left = left_kind[row_cell] if x > 0 else 0
            kind_above = top_kind[column_cell] if y > 0 else 0

            if halves > 0:
                halves -= 1
                wide = waiting[halves, 2]
                tall = waiting[halves, 3]
            else:
                wide = block_size(
                    leaves, row, x, y, width, height, kind, Z_LOG[z], size_left, size_above
                )
                tall = wide
                z += 1 << (2 * wide)
            # area() of spec 7.4: a second half waits until the first one is done.
            while abs(wide - tall) < 2 and min(wide, tall) > 0:
                left = 1 if size_left < tall else 0
                above = 1 if size_above < wide else 0
                again = 1 if wide != tall else 0
                wanted = 0
                if ENCODING and (leaves[row, WIDTH] < 8 << wide or leaves[row, HEIGHT] < 8 << tall):
                    wanted = 1
                longer = max(wide, tall)
                halved = bit(
                    HALVED + 18 * kind + 9 * again + 3 * (longer - 1) + left + above, wanted
                )
                if halved == 0:
                    break
                beside = 1 if wide < tall else 0
                if again == 0:
                    beside = bit(
                        BESIDE + 3 * kind + 1 + above - left,
                        1 if leaves[row, WIDTH] < 8 << wide else 0,
                    )
                wide -= beside
                tall -= 1 - beside
                waiting[halves, 0] = x + beside * (8 << wide)
                waiting[halves, 1] = y + (1 - beside) * (8 << tall)
                waiting[halves, 2] = wide
                waiting[halves, 3] = tall
                halves += 1
            size = (wide + tall) >> 1
            for k in range(LEAF_COLUMNS):
                line[k] = 0
            line[X] = x
            line[Y] = y
            line[WIDTH] = 8 << wide
            line[HEIGHT] = 8 << tall

            intra = 1 if kind == 0 else 0
            if kind != 0 and max(wide, tall) < 3:
                c = (kind_left & 1) + (kind_above & 1)
                intra = bit(INTRA_FLAG + 3 * inter + c, 1 if leaves[row, INTRA] != 0 else 0)
            line[INTRA] = intra
            merge = 0
            if intra != 0:
                beside_copied = (kind_left >> 2 & 1) + (kind_above >> 2 & 1)
                beside_palettes = (kind_left >> 3 & 1) + (kind_above >> 3 & 1)
                intra_leaf(
                    leaves,
                    row,
                    line,
                    left_mode,
                    top_mode,
                    size,
                    kind,
                    coloured,
                    screen if wide == tall else 0,
                    beside_copied,
                    beside_palettes,
                    space.last,
                )
            else:
                d = ((kind_left >> 1) & 1) + ((kind_above >> 1) & 1)
                merge = bit(
                    MERGE_FLAG + 12 * inter + 3 * size + d, 1 if leaves[row, MERGE] != 0 else 0
                )
                line[MERGE] = merge
                if min(wide, tall) > 0:
                    affine_beside = (kind_left >> 4) + (kind_above >> 4)
                    affine = bit(
                        AFFINE_FLAG + 24 * inter + 12 * merge + 3 * size + affine_beside,
                        1 if leaves[row, AFFINE] != 0 else 0,
                    )
                    line[AFFINE] = affine
                if merge != 0 and line[AFFINE] != 0:
                    line[INDEX] = list_index(leaves[row, INDEX], AFFINE_INDEX + 3 * inter, 3)
                if merge != 0 and line[AFFINE] == 0:
                    line[INDEX] = list_index(leaves[row, INDEX], INDEX_MORE + 4 * inter, 4)
                if merge == 0:
                    vectors(leaves, row, line, size, kind, two)
                    if line[AFFINE] != 0:
                        gradients(leaves, row, line, inter)

            cell_kind = intra + 2 * merge + 16 * line[AFFINE]
            if line[MODE] >= COPY:
                cell_kind += 4 if line[MODE] == COPY else 8
            for k in range(1 << tall):
                left_size[row_cell + k] = tall
                left_kind[row_cell + k] = cell_kind
            for k in range(1 << wide):
                top_size[column_cell + k] = wide
                top_kind[column_cell + k] = cell_kind
            if line[CUT] == 0:
                mode = line[MODE] if intra != 0 and line[MODE] < COPY else 1
                for k in range(2 << tall):
                    left_mode[2 * row_cell + k] = mode
                for k in range(2 << wide):
                    top_mode[2 * column_cell + k] = mode
            if ENCODING:
                if found[1] < 0 and leaf >= rows:
                    found[1] = leaf
                    found[2] = 0
                for k in range(MOTION_COLUMNS):
                    if found[1] < 0 and line[k] != leaves[row, k]:
                        found[1] = leaf
                        found[2] = k
                if found[1] >= 0:
                    z = 64
                    halves = 0
            else:
                for k in range(LEAF_COLUMNS):
                    leaves[row, k] = line[k]
            leaf += 1
    found[0] = leaf


# The other directions are compiled on first use, so that they do not delay every decoder.
_decode = compile_syntax(motion_blocks, Direction.DECODE)


def default_motion_contexts() -> Contexts:
    """A fresh copy of the default tables (spec 7.7): (MOTION_CONTEXTS, 3) int32."""
    table = load_table("motion_contexts.txt").reshape(MOTION_CONTEXTS, 2)
    return np.ascontiguousarray(table[:, [0, 0, 1]])


def motion_capacity(leaves: Table) -> int:
    """Upper bound of the bytes of a canvas's motion: the capacity that RangeEncoder needs."""
    # A bit costs at most two bytes.
    return 2 * _LEAF_BITS * (len(leaves) + 1)


def _check(leaves: Table, coded_width: int, coded_height: int, canvas_set: int) -> None:
    check_canvas(coded_width, coded_height, canvas_set)
    check_table(leaves, LEAF_COLUMNS, "leaves")
    if not len(leaves):
        raise ValueError("a canvas has no leaves")


def _check_found(leaves: Table, found: npt.NDArray[np.int64]) -> None:
    count, row, column = (int(v) for v in found)
    if row >= 0:
        raise ValueError(f"leaf {row} has a value in column {column} that cannot be coded")
    if count != len(leaves):
        raise ValueError(f"{len(leaves)} leaves are not the {count} of the canvas")


def _space(width: int) -> tuple[LeafSpace, npt.NDArray[np.int64]]:
    """Working memory of `motion_blocks` for a canvas of so many luma samples across."""
    return LeafSpace.make(), np.zeros((3, width >> 2), np.int64)


def _given(
    coded_width: int, coded_height: int, canvas_set: int, two: bool, sample_format: SampleFormat
) -> tuple[int, ...]:
    """The last arguments of `motion_blocks`."""
    two = two or canvas_set == 2
    return coded_width, coded_height, canvas_set, int(two), int(sample_format.planes > 1)


def encode_motion(
    encoder: RangeEncoder,
    leaves: Table,
    coded_width: int,
    coded_height: int,
    canvas_set: int,
    sample_format: SampleFormat = YUV420P8,
    two: bool = False,
) -> None:
    """Code the motion columns of the leaves of one canvas (spec 7.4).

    `leaves` is int32 (n, LEAF_COLUMNS) in coding order, C-contiguous; it is only read. `two` says
    whether a chain canvas has two references, as an interior one always has. The
    encoder's contexts are those of `default_motion_contexts`. Its capacity is at least the sum of
    `motion_capacity` over the canvases of the group.

    Raises ValueError when the leaves do not tile the canvas in coding order, when a value cannot be
    coded, or when a column that does not apply is not 0. The encoder cannot be used after that.
    """
    _check(leaves, coded_width, coded_height, canvas_set)
    found = np.zeros(3, np.int64)
    encode = compile_syntax(motion_blocks, Direction.ENCODE)
    space = _space(coded_width)
    given = _given(coded_width, coded_height, canvas_set, two, sample_format)
    encoder.run(encode, leaves, found, *space, *given)
    _check_found(leaves, found)


def decode_motion(
    decoder: RangeDecoder,
    coded_width: int,
    coded_height: int,
    canvas_set: int,
    sample_format: SampleFormat = YUV420P8,
    two: bool = False,
) -> Table:
    """Decode the leaves of one canvas (spec 7.4): int32 (n, LEAF_COLUMNS) in coding order.

    `two` is that of `encode_motion`. The columns of the content substream are 0. For any bits, the
    leaves tile the canvas and their values are in range. Raises ValueError for an invalid size or
    Set.
    """
    check_canvas(coded_width, coded_height, canvas_set)
    leaves = np.empty(((coded_width >> 3) * (coded_height >> 3), LEAF_COLUMNS), np.int32)
    found = np.zeros(3, np.int64)
    space = _space(coded_width)
    given = _given(coded_width, coded_height, canvas_set, two, sample_format)
    decoder.run(_decode, leaves, found, *space, *given)
    return leaves[: int(found[0])].copy()


def trace_motion(
    leaves: Table,
    coded_width: int,
    coded_height: int,
    canvas_set: int,
    sample_format: SampleFormat = YUV420P8,
    two: bool = False,
) -> npt.NDArray[np.int32]:
    """The context-coded bits of these leaves, in order: int32 (bits,) of 2 * context + bit.

    Arguments and errors are those of `encode_motion`.
    """
    _check(leaves, coded_width, coded_height, canvas_set)
    found = np.zeros(3, np.int64)
    state = np.zeros(STATE_SIZE, np.int64)
    record = np.empty(_LEAF_BITS * (len(leaves) + 1), np.int32)
    contexts = np.zeros((0, 3), np.int32)
    trace = compile_syntax(motion_blocks, Direction.TRACE)
    space = _space(coded_width)
    given = _given(coded_width, coded_height, canvas_set, two, sample_format)
    trace(state, contexts, record, leaves, found, *space, *given)
    _check_found(leaves, found)
    return record[: int(state[4])]
