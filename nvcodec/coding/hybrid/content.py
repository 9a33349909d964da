"""The content substream of the hybrid model (spec 7.5, 7.6): units and levels to bits and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import (
    HEIGHT,
    LEAF_COLUMNS,
    LEVEL_COLUMNS,
    LEVEL_VALUE,
    PAINTED,
    UNIT_COLUMNS,
    UNIT_COUNT,
    UNIT_HEIGHT,
    UNIT_START,
    UNIT_TRANSFORM,
    UNIT_WIDTH,
    WIDTH,
    Table,
    X,
    Y,
    check_canvas,
    check_table,
    last_index,
)
from nvcodec.coding.hybrid.levels import MAX_LEVEL
from nvcodec.coding.hybrid.palettes import MOST_COLOURS, MOST_KNOWN
from nvcodec.coding.hybrid.secondary import SECONDARIES
from nvcodec.coding.hybrid.units import CONTENT_CONTEXTS, UnitSpace, content_units
from nvcodec.coding.rangecoder import Contexts, RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import STATE_SIZE, Direction, compile_syntax
from nvcodec.format.errors import CorruptError
from nvcodec.picture import YUV420P8, SampleFormat
from nvcodec.tables import load_table

# The other directions are compiled on first use, so that they do not delay every decoder.
_decode = compile_syntax(content_units, Direction.DECODE)


def default_content_contexts() -> Contexts:
    """A fresh copy of the default tables (spec 7.7): (CONTENT_CONTEXTS, 3) int32."""
    table = load_table("content_contexts.txt").reshape(CONTENT_CONTEXTS, 2)
    return np.ascontiguousarray(table[:, [0, 0, 1]])


def _most_bits(leaves: Table, units: Table, levels: Table) -> int:
    """Upper bound of the number of context-coded bits of these tables."""
    cells = int((leaves[:, WIDTH].astype(np.int64) * leaves[:, HEIGHT]).sum()) >> 6
    samples = int((units[:, UNIT_WIDTH].astype(np.int64) * units[:, UNIT_HEIGHT]).sum())
    greater = int(np.minimum(np.abs(levels[:, LEVEL_VALUE].astype(np.int64)), 15).sum())
    # A leaf: its flag and delta(). A cell: up to 4 flags of chroma and 11 of `tree`. A unit: its
    # last position, its transform, a flag for each sub-block and each coefficient.
    total = 40 * len(leaves) + 15 * cells + 22 * len(units) + samples + samples // 16 + greater
    painted = units[units[:, UNIT_TRANSFORM] == PAINTED]
    # A palette: a flag for each known colour and each of its own; less than one for each of its
    # colours at each sample.
    each = painted[:, UNIT_WIDTH].astype(np.int64) ** 2
    colours = np.maximum(painted[:, UNIT_COUNT] - each + 1, 0)
    return total + (MOST_KNOWN + MOST_COLOURS) * len(painted) + int((each * colours).sum())


def content_capacity(leaves: Table, units: Table, levels: Table) -> int:
    """Upper bound of the bytes of a canvas's content: the capacity that RangeEncoder needs.

    The bound is loose, but memory pages that are never written cost nothing.
    """
    # A bit with a context costs at most two bytes. Bypass bits: 8 of the head, 6 of a unit, 32 of a
    # level.
    bypass_bits = 8 + 6 * len(units) + 32 * len(levels)
    return 2 * _most_bits(leaves, units, levels) + bypass_bits // 4 + 64


def _check_leaves(leaves: Table) -> int:
    """Return the width of the leaves' canvas; raise ValueError for impossible leaves."""
    check_table(leaves, LEAF_COLUMNS, "leaves")
    if not len(leaves):
        raise ValueError("a canvas has no leaves")
    x, y, wide, tall = leaves[:, X], leaves[:, Y], leaves[:, WIDTH], leaves[:, HEIGHT]
    sizes = np.isin(wide, (8, 16, 32, 64)) & np.isin(tall, (8, 16, 32, 64))
    even = (wide <= 4 * tall) & (tall <= 4 * wide)
    outside = min(int(x.min()), int(y.min())) < 0
    if not (sizes & even).all() or outside or (x & (wide - 1)).any() or (y & (tall - 1)).any():
        raise ValueError("a leaf is no block of a canvas")
    return int((x + wide).max())


def _check(
    leaves: Table,
    units: Table,
    levels: Table,
    quantiser: int,
    canvas_set: int,
    sample_format: SampleFormat,
) -> int:
    width = _check_leaves(leaves)
    check_canvas(width, 8, canvas_set)
    check_table(units, UNIT_COLUMNS, "units")
    check_table(levels, LEVEL_COLUMNS, "levels")
    if not 0 <= quantiser <= last_index(sample_format.bit_depth):
        raise ValueError(f"{quantiser} is no quantiser index")
    sides, counts = units[:, [UNIT_WIDTH, UNIT_HEIGHT]], units[:, UNIT_COUNT].astype(np.int64)
    if not np.isin(sides, (4, 8, 16, 32)).all() or not (counts > 0).all():
        raise ValueError("a unit has no size of one, or no levels")
    transform = units[:, UNIT_TRANSFORM]
    if ((transform < 0) | (transform > PAINTED + SECONDARIES)).any():
        raise ValueError("a unit has a transform that does not exist")
    samples = sides.prod(1)
    colours = (counts - samples)[units[:, UNIT_TRANSFORM] == PAINTED]
    if ((colours < 1) | (colours > MOST_COLOURS)).any():
        raise ValueError("a unit has a palette of no colours, or of too many")
    if (
        int(counts.sum()) != len(levels)
        or (np.cumsum(counts) - counts != units[:, UNIT_START]).any()
    ):
        raise ValueError("the levels are not those of the units in their order")
    of_levels = np.repeat(units[:, UNIT_TRANSFORM] != PAINTED, counts)
    position, value = levels[of_levels].astype(np.int64).T
    if (position < 0).any() or (position >= np.repeat(samples, counts)[of_levels]).any():
        raise ValueError("a level lies outside its unit")
    if (value == 0).any() or (np.abs(value) > MAX_LEVEL).any():
        raise ValueError(f"a level is 0 or exceeds {MAX_LEVEL}")
    return width


def _check_counts(units: Table, counts: npt.NDArray[np.int64]) -> None:
    coded, _, leaf = (int(v) for v in counts)
    if leaf >= 0:
        raise ValueError(f"leaf {leaf} has units, levels or a quantiser index not as coded")
    if coded != len(units):
        raise ValueError(f"unit {coded} does not follow in coding order")


def _space(width: int) -> tuple[UnitSpace, npt.NDArray[np.int64]]:
    """Working memory of `content_units` for a canvas of so many luma samples across."""
    return UnitSpace.make(), np.zeros(width >> 3, np.int64)


def _format(sample_format: SampleFormat) -> tuple[int, int]:
    """What `content_units` takes of a sample format."""
    return sample_format.chroma_format, last_index(sample_format.bit_depth)


def encode_content(
    encoder: RangeEncoder,
    leaves: Table,
    units: Table,
    levels: Table,
    quantiser: int,
    varying: bool,
    canvas_set: int,
    sample_format: SampleFormat = YUV420P8,
) -> None:
    """Code the content of one canvas (spec 7.5, 7.6).

    `leaves` is int32 (n, LEAF_COLUMNS) with the motion columns and Q, `units` int32
    (m, UNIT_COLUMNS), `levels` int32 (k, LEVEL_COLUMNS). All are in coding order, C-contiguous and
    only read. Which leaves are coded follows from the units.

    `quantiser` is 0..LastQ. Unless `varying`, Q of every leaf equals it. If `varying`, Q changes by
    at most 32, and only in the first intra or coded leaf of a quantiser block.

    The encoder's contexts are those of `default_content_contexts`. Its capacity is at least the sum
    of `content_capacity` over the canvases of the group.

    Raises ValueError when the tables break these rules; the encoder cannot be used after that.
    """
    width = _check(leaves, units, levels, quantiser, canvas_set, sample_format)
    head = np.array([quantiser, varying], np.int64)
    counts = np.zeros(3, np.int64)
    encode = compile_syntax(content_units, Direction.ENCODE)
    given = canvas_set, *_format(sample_format)
    encoder.run(encode, leaves, units, levels, head, counts, *_space(width), *given)
    _check_counts(units, counts)


def decode_content(
    decoder: RangeDecoder,
    leaves: Table,
    canvas_set: int,
    coded_width: int,
    coded_height: int,
    sample_format: SampleFormat = YUV420P8,
) -> tuple[int, Table, Table]:
    """Decode the content of one canvas (spec 7.5, 7.6): quantiser, units, levels.

    `leaves` are those of `decode_motion` for this canvas; their columns CODED, Q, FIRST and UNITS
    are filled in. Units are int32 (m, UNIT_COLUMNS), levels int32 (k, LEVEL_COLUMNS). For any bits,
    units lie in their leaves and do not overlap, and levels do not exceed MAX_LEVEL. An inter leaf
    may be coded and yet have no units. Raises ValueError for leaves outside the canvas,
    CorruptError for a quantiser above LastQ.
    """
    check_canvas(coded_width, coded_height, canvas_set)
    width = _check_leaves(leaves)
    if width > coded_width or int((leaves[:, Y] + leaves[:, HEIGHT]).max()) > coded_height:
        raise ValueError("a leaf lies outside the canvas")
    # A cell has up to 4 luma units, and up to 2 in each chroma plane. Memory pages that no unit or
    # level reaches are never touched.
    samples = int((leaves[:, WIDTH].astype(np.int64) * leaves[:, HEIGHT]).sum())
    units = np.empty((samples // 64 * 8, UNIT_COLUMNS), np.int32)
    across, down = sample_format.chroma_shift
    coloured = (sample_format.planes - 1) * samples >> (across + down)
    # A leaf of one cell has up to 5 palettes.
    colours = MOST_COLOURS * samples // 64 * 5
    levels = np.empty((samples + coloured + colours, LEVEL_COLUMNS), np.int32)
    head = np.zeros(2, np.int64)
    counts = np.zeros(3, np.int64)
    given = canvas_set, *_format(sample_format)
    decoder.run(_decode, leaves, units, levels, head, counts, *_space(width), *given)
    if head[0] > last_index(sample_format.bit_depth):
        raise CorruptError(f"quantiser {head[0]} is above the last index", rule="7.5")
    return int(head[0]), units[: int(counts[0])].copy(), levels[: int(counts[1])].copy()


def trace_content(
    leaves: Table,
    units: Table,
    levels: Table,
    quantiser: int,
    varying: bool,
    canvas_set: int,
    sample_format: SampleFormat = YUV420P8,
) -> npt.NDArray[np.int32]:
    """The context-coded bits of this content, in order: int32 (bits,) of 2 * context + bit.

    Arguments and errors are those of `encode_content`.
    """
    width = _check(leaves, units, levels, quantiser, canvas_set, sample_format)
    head = np.array([quantiser, varying], np.int64)
    counts = np.zeros(3, np.int64)
    state = np.zeros(STATE_SIZE, np.int64)
    record = np.empty(_most_bits(leaves, units, levels), np.int32)
    contexts = np.zeros((0, 3), np.int32)
    trace = compile_syntax(content_units, Direction.TRACE)
    space = _space(width)
    given = canvas_set, *_format(sample_format)
    trace(state, contexts, record, leaves, units, levels, head, counts, *space, *given)
    _check_counts(units, counts)
    return record[: int(state[4])]
