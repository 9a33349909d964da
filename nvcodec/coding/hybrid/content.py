"""The content substream of the hybrid model (spec 7.5, 7.6): units and levels to bits and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import (
    CODED,
    FIRST,
    FOUR,
    INTRA,
    LEAF_COLUMNS,
    LEVEL_COLUMNS,
    LEVEL_POSITION,
    LEVEL_VALUE,
    MERGE,
    SIZE,
    UNIT_COLUMNS,
    UNIT_COUNT,
    UNIT_PLANE,
    UNIT_SIZE,
    UNIT_START,
    UNIT_X,
    UNIT_Y,
    UNITS,
    Z_LOG,
    Z_X,
    Z_Y,
    Q,
    Table,
    X,
    Y,
    check_canvas,
    check_table,
    lookup,
)
from nvcodec.coding.rangecoder import Contexts, RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import ENCODING, STATE_SIZE, Direction, bit, bypass, compile_syntax
from nvcodec.compiled import allocating
from nvcodec.tables import load_table

# Numbers of the first context of each kind (spec 7.7).
DELTA = 0
CODED_FLAG = 7
CB = 55
CR = 64
LUMA = 82
TREE = 100
PART = 106
LAST = 113
FULL = 545
SIG = 581
MORE = 1157
CONTENT_CONTEXTS = 1733

MAX_LEVEL = 14 + (1 << 16) - 1
"""Greatest magnitude of a level."""

# Magnitudes of a unit's levels, at most 15 (no class tells more apart), in rows of this length:
# two columns and two rows beyond the greatest unit stay 0 for the sum over neighbours.
_STRIDE = 34
_SUB_STRIDE = 9


def diagonals(size: int) -> list[tuple[int, int]]:
    """DIAG(size): (x, y) of all positions of a square."""
    square = [(x, y) for y in range(size) for x in range(size)]
    return sorted(square, key=lambda position: (sum(position), position[0]))


# The sub-blocks of units of log2(n) - 2 = 0..3, in 64 entries each, and where each one is.
_SUB_X = np.zeros(256, np.int64)
_SUB_Y = np.zeros(256, np.int64)
_SUB_NUMBER = np.zeros(256, np.int64)
for _log in range(4):
    for _i, (_x, _y) in enumerate(diagonals(1 << _log)):
        _SUB_X[64 * _log + _i] = _x
        _SUB_Y[64 * _log + _i] = _y
        _SUB_NUMBER[64 * _log + 8 * _y + _x] = _i
_DIAG_X = lookup([x for x, _ in diagonals(4)])
_DIAG_Y = lookup([y for _, y in diagonals(4)])
_DIAG_SUM = _DIAG_X + _DIAG_Y
_DIAG_AT = _DIAG_Y * _STRIDE + _DIAG_X
_DIAG_NUMBER = lookup([diagonals(4).index((k & 3, k >> 2)) for k in range(16)])
# Place, SIGCLASS and GTCLASS of spec 7.6.
PLACE = lookup([0, 1, 1, 2, 2, 2, *[3] * 57])
SIG_CLASS = lookup([0, 1, 2, 3, 4, 4, *[5] * 70])
GREATER_CLASS = lookup([0, 1, 2, 3, 3, 4, 4, 5, 5, 5, *[6] * 5, *[7] * 61])
# Three contexts for each class.
_GREATER_AT = 3 * GREATER_CLASS


@allocating
def _inside(
    units: np.ndarray, number: int, plane: int, x: int, y: int, n: int
) -> bool:  # pragma: no cover - compiled
    """Whether a unit lies in a block of luma samples and in a plane (3: in any)."""
    if number >= units.shape[0]:
        return False
    actual = units[number, UNIT_PLANE]
    if plane < 3 and actual != plane:
        return False
    shift = 1 if actual > 0 else 0
    unit_x = units[number, UNIT_X] << shift
    unit_y = units[number, UNIT_Y] << shift
    return bool(x <= unit_x < x + n and y <= unit_y < y + n)


def content_units(
    coder: np.ndarray,
    contexts: np.ndarray,
    buffer: np.ndarray,
    leaves: np.ndarray,
    units: np.ndarray,
    levels: np.ndarray,
    head: np.ndarray,
    counts: np.ndarray,
    kind: int,
    width: int,
) -> None:
    """Syntax of spec 7.5 and 7.6 for one canvas of the set `kind`.

    `leaves` as of `motion_blocks`; `units` is int32 (rows, UNIT_COLUMNS), `levels` int32 (rows,
    LEVEL_COLUMNS). `head` is int64 (2,): quantiser, varying. `counts` is int64 (3,): units,
    levels, and in the encoder the first leaf that is not as coded, else -1.
    """
    inter = kind - 1
    # Whether the last leaf of each row and column of cells is intra or coded.
    left = np.zeros(8, np.int64)
    top = np.zeros(width >> 3, np.int64)
    near = np.zeros(_STRIDE * _STRIDE, np.uint8)
    fulls = np.zeros(_SUB_STRIDE * _SUB_STRIDE, np.int64)

    q = 0
    for j in range(6):
        b = bypass((head[0] >> (5 - j)) & 1)
        q = 2 * q + b
    varying = bypass(head[1])
    head[0] = q
    head[1] = varying
    pending = 0
    unit = 0
    level = 0
    counts[2] = -1
    for leaf in range(leaves.shape[0]):
        if ENCODING:  # noqa: SIM102 - alone in its test it is known to the compiler of syntaxes
            if counts[2] >= 0:
                break
        x = int(leaves[leaf, X])
        y = int(leaves[leaf, Y])
        n = int(leaves[leaf, SIZE])
        intra = 1 if leaves[leaf, INTRA] != 0 else 0
        four = 1 if leaves[leaf, FOUR] != 0 else 0
        size = 0
        while n > 8 << size:
            size += 1
        column_cell = x >> 3
        row_cell = (y >> 3) & 7
        if (x | y) & 31 == 0:
            pending = varying
        first = unit
        coded = 1
        if intra == 0:
            c = (left[row_cell] if x > 0 else 0) + (top[column_cell] if y > 0 else 0)
            merge = 1 if leaves[leaf, MERGE] != 0 else 0
            coded = bit(
                CODED_FLAG + 24 * inter + 6 * size + 3 * merge + c,
                1 if _inside(units, unit, 3, x, y, n) else 0,
            )
        for k in range(1 << size):
            left[row_cell + k] = coded
            top[column_cell + k] = coded

        if coded != 0 and pending != 0:
            pending = 0
            change = 0
            if ENCODING:
                change = leaves[leaf, Q] - q
            nonzero = bit(DELTA, 1 if change != 0 else 0)
            if nonzero != 0:
                m = 1
                while m < 32:
                    more = bit(DELTA + min(m, 5), 1 if abs(change) > m else 0)
                    if more == 0:
                        break
                    m += 1
                negative = bit(DELTA + 6, 1 if change < 0 else 0)
                q = max(0, q - m) if negative != 0 else min(63, q + m)

        nodes = 0
        if coded != 0:
            nodes = 4 if size == 3 else 1
        m_log = min(size, 2)
        m = 8 << m_log
        blocks = 4 << (2 * m_log)
        for node in range(nodes):
            node_x = x + 32 * (node & 1)
            node_y = y + 32 * (node >> 1)
            wanted_cb = 0
            wanted_cr = 0
            if ENCODING:
                ahead = unit
                while _inside(units, ahead, 0, node_x, node_y, m):
                    ahead += 1
                if _inside(units, ahead, 1, node_x, node_y, m):
                    wanted_cb = 1
                    ahead += 1
                if _inside(units, ahead, 2, node_x, node_y, m):
                    wanted_cr = 1
            cb = bit(CB + 3 * kind + m_log, wanted_cb)
            cr = bit(CR + 6 * kind + 2 * m_log + cb, wanted_cr)
            # Along the 4 x 4 luma blocks of the node in the order of block(), then its chroma: each
            # step is one unit or none, so that the syntax of a unit is in one place.
            z = 0
            while z < blocks + 2:
                present = 0
                plane = 0
                log = 0
                unit_x = node_x
                unit_y = node_y
                if z < blocks:
                    unit_x += 4 * Z_X[z]
                    unit_y += 4 * Z_Y[z]
                    if four == 0:
                        log = Z_LOG[z] if z > 0 else m_log + 1
                    while True:
                        present = 1
                        whole = 1 if intra != 0 or log > m_log else 0
                        if whole == 0 or intra != 0 or size == 3 or cb + cr > 0:
                            context = PART + 3 * inter + log
                            if whole != 0:
                                context = LUMA + 6 * kind + 2 * m_log + (cb | cr)
                            present = bit(
                                context,
                                1 if _inside(units, unit, 0, unit_x, unit_y, 4 << log) else 0,
                            )
                        if present == 0 or intra != 0 or log == 0:
                            break
                        wanted_split = 0
                        if ENCODING:  # noqa: SIM102
                            if unit < units.shape[0] and units[unit, UNIT_SIZE] < 4 << log:
                                wanted_split = 1
                        split = bit(TREE + 3 * inter + log - 1, wanted_split)
                        if split == 0:
                            break
                        log -= 1
                    z += 1 << (2 * log)
                else:
                    plane = z - blocks + 1
                    present = cb if plane == 1 else cr
                    log = m_log
                    unit_x >>= 1
                    unit_y >>= 1
                    z += 1

                if present != 0:
                    chroma = 1 if plane > 0 else 0
                    unit_size = 4 << log
                    start = level
                    stop = level
                    last_position = 0
                    if ENCODING:
                        row = min(unit, units.shape[0] - 1)
                        if (
                            row < unit
                            or units[row, UNIT_PLANE] != plane
                            or units[row, UNIT_X] != unit_x
                            or units[row, UNIT_Y] != unit_y
                            or units[row, UNIT_SIZE] != unit_size
                            or units[row, UNIT_START] != start
                        ):
                            counts[2] = leaf
                            z = blocks + 2
                            break
                        stop = start + units[row, UNIT_COUNT]
                        last_position = levels[start, LEVEL_POSITION]

                    last_x = 0
                    last_y = 0
                    for axis in range(2):
                        wanted = 0
                        prefix = 0
                        if ENCODING:
                            wanted = last_position & (unit_size - 1)
                            if axis == 1:
                                wanted = last_position >> (log + 2)
                            prefix = wanted
                            if wanted >= 4:
                                s = 1
                                while wanted >> (s + 2) != 0:
                                    s += 1
                                prefix = 2 * s + 2 + ((wanted >> s) & 1)
                        p = 0
                        while p < 2 * log + 3:
                            more = bit(
                                LAST + 144 * kind + 72 * chroma + 36 * axis + 9 * log + p,
                                1 if prefix > p else 0,
                            )
                            if more == 0:
                                break
                            p += 1
                        v = p
                        if p >= 4:
                            s = (p >> 1) - 1
                            v = 2 + (p & 1)
                            for j in range(s):
                                b = bypass((wanted >> (s - 1 - j)) & 1)
                                v = 2 * v + b
                        if axis == 0:
                            last_x = v
                        else:
                            last_y = v

                    sig_base = SIG + 192 * kind + 96 * chroma + 24 * log
                    more_base = MORE + 192 * kind + 96 * chroma
                    full_base = FULL + 12 * kind + 6 * chroma + 2 * (log - 1)
                    last_sub = _SUB_NUMBER[64 * log + 8 * (last_y >> 2) + (last_x >> 2)]
                    scan = _DIAG_NUMBER[4 * (last_y & 3) + (last_x & 3)]
                    sub = last_sub
                    while sub >= 0:
                        sub_x = _SUB_X[64 * log + sub]
                        sub_y = _SUB_Y[64 * log + sub]
                        full_at = sub_y * _SUB_STRIDE + sub_x
                        wanted = 0
                        full = 1
                        alone = 0
                        if sub != last_sub and sub != 0:
                            if ENCODING:  # noqa: SIM102
                                if level < stop:
                                    position = levels[level, LEVEL_POSITION]
                                    if (
                                        position >> (log + 4) == sub_y
                                        and (position & (unit_size - 1)) >> 2 == sub_x
                                    ):
                                        wanted = 1
                            near_full = fulls[full_at + 1] | fulls[full_at + _SUB_STRIDE]
                            full = bit(full_base + near_full, wanted)
                            alone = 1
                        if full != 0:
                            fulls[full_at] = 1
                            at_base = 4 * (sub_y * _STRIDE + sub_x)
                            place_base = 4 * (sub_y + sub_x)
                            position_base = 4 * ((sub_y << (log + 2)) + sub_x)
                            while scan >= 0:
                                at = at_base + _DIAG_AT[scan]
                                t = (
                                    near[at + 1]
                                    + near[at + 2]
                                    + near[at + _STRIDE]
                                    + near[at + _STRIDE + 1]
                                    + near[at + 2 * _STRIDE]
                                )
                                place = PLACE[place_base + _DIAG_SUM[scan]]
                                position = (
                                    position_base + (_DIAG_Y[scan] << (log + 2)) + _DIAG_X[scan]
                                )
                                value = 0
                                if ENCODING:  # noqa: SIM102
                                    if level < stop and levels[level, LEVEL_POSITION] == position:
                                        value = levels[level, LEVEL_VALUE]
                                a = 1
                                if level > start and not (scan == 0 and alone != 0):
                                    a = bit(
                                        sig_base + 6 * place + SIG_CLASS[t],
                                        1 if value != 0 else 0,
                                    )
                                if a != 0:
                                    alone = 0
                                    context = more_base + 24 * place + _GREATER_AT[t]
                                    while a < 15:
                                        more = bit(
                                            context + min(a - 1, 2), 1 if abs(value) > a else 0
                                        )
                                        if more == 0:
                                            break
                                        a += 1
                                    near[at] = a
                                    if a == 15:
                                        rest = abs(value) - 14
                                        g = 0
                                        while g < 15:
                                            b = bypass(1 if (rest >> (g + 1)) > 0 else 0)
                                            if b == 0:
                                                break
                                            g += 1
                                        r = 1
                                        for j in range(g):
                                            b = bypass((rest >> (g - 1 - j)) & 1)
                                            r = 2 * r + b
                                        a = 14 + r
                                    negative = bypass(1 if value < 0 else 0)
                                    if ENCODING:
                                        if value == 0:
                                            # An order of levels that is none leads here.
                                            counts[2] = leaf
                                            scan = -1
                                            sub = 0
                                    else:
                                        levels[level, LEVEL_POSITION] = position
                                        levels[level, LEVEL_VALUE] = -a if negative != 0 else a
                                    level += 1
                                scan -= 1
                        scan = 15
                        sub -= 1

                    for j in range(last_sub + 1):
                        fulls[_SUB_Y[64 * log + j] * _SUB_STRIDE + _SUB_X[64 * log + j]] = 0
                    end = level
                    if ENCODING:
                        end = min(level, stop)
                        if level != stop:
                            counts[2] = leaf
                            z = blocks + 2
                    else:
                        units[unit, UNIT_PLANE] = plane
                        units[unit, UNIT_X] = unit_x
                        units[unit, UNIT_Y] = unit_y
                        units[unit, UNIT_SIZE] = unit_size
                        units[unit, UNIT_START] = start
                        units[unit, UNIT_COUNT] = level - start
                    for j in range(start, end):
                        position = np.int64(levels[j, LEVEL_POSITION])
                        at = (position >> (log + 2)) * _STRIDE + (position & (unit_size - 1))
                        near[at] = 0
                    unit += 1

        if ENCODING:
            if leaves[leaf, Q] != q:
                counts[2] = leaf
        else:
            leaves[leaf, Q] = q
            leaves[leaf, CODED] = coded if intra == 0 else min(1, unit - first)
            leaves[leaf, FIRST] = first
            leaves[leaf, UNITS] = unit - first
    counts[0] = unit
    counts[1] = level


# The other directions are compiled when they are needed: that would delay every decoder.
_decode = compile_syntax(content_units, Direction.DECODE)


def default_content_contexts() -> Contexts:
    """A fresh copy of the default tables (spec 7.7): (CONTENT_CONTEXTS, 3) int32."""
    table = load_table("content_contexts.txt").reshape(CONTENT_CONTEXTS, 2)
    return np.ascontiguousarray(table[:, [0, 0, 1]])


def _most_bits(leaves: Table, units: Table, levels: Table) -> int:
    """Bits with contexts that coding them cannot exceed."""
    cells = int((leaves[:, SIZE].astype(np.int64) ** 2).sum()) >> 6
    samples = int((units[:, UNIT_SIZE].astype(np.int64) ** 2).sum())
    greater = int(np.minimum(np.abs(levels[:, LEVEL_VALUE].astype(np.int64)), 15).sum())
    # A leaf: its flag and delta(). A cell: two flags of chroma, at most 11 of `tree`. A unit: its
    # last position, a flag for each sub-block and each coefficient.
    return 40 * len(leaves) + 13 * cells + 18 * len(units) + samples + samples // 16 + greater


def content_capacity(leaves: Table, units: Table, levels: Table) -> int:
    """Bytes that the content of a canvas cannot exceed, for RangeEncoder.

    Lazily touched: as much is written as is coded.
    """
    # No bit with a context costs more than two bytes; bypass bits: 7 of a head, 6 of a unit, 32 of
    # a level.
    bypass_bits = 7 + 6 * len(units) + 32 * len(levels)
    return 2 * _most_bits(leaves, units, levels) + bypass_bits // 4 + 64


def _check_leaves(leaves: Table) -> int:
    """Return the width of the leaves' canvas; raise ValueError for what is no leaf of one."""
    check_table(leaves, LEAF_COLUMNS, "leaves")
    if not len(leaves):
        raise ValueError("a canvas has no leaves")
    x, y, size = leaves[:, X], leaves[:, Y], leaves[:, SIZE]
    sizes = (size == 8) | (size == 16) | (size == 32) | (size == 64)
    if not sizes.all() or min(int(x.min()), int(y.min())) < 0 or ((x | y) & (size - 1)).any():
        raise ValueError("a leaf is no block of a canvas")
    return int((x + size).max())


def _check(
    leaves: Table, units: Table, levels: Table, quantiser: int, varying: bool, canvas_set: int
) -> int:
    width = _check_leaves(leaves)
    check_canvas(width, 8, canvas_set)
    check_table(units, UNIT_COLUMNS, "units")
    check_table(levels, LEVEL_COLUMNS, "levels")
    if not 0 <= quantiser <= 63:
        raise ValueError(f"{quantiser} is no quantiser index")
    sizes, counts = units[:, UNIT_SIZE], units[:, UNIT_COUNT].astype(np.int64)
    if not np.isin(sizes, (4, 8, 16, 32)).all() or not (counts > 0).all():
        raise ValueError("a unit has no size of one, or no levels")
    if (
        int(counts.sum()) != len(levels)
        or (np.cumsum(counts) - counts != units[:, UNIT_START]).any()
    ):
        raise ValueError("the levels are not those of the units in their order")
    position, value = levels[:, LEVEL_POSITION], levels[:, LEVEL_VALUE].astype(np.int64)
    if (position < 0).any() or (position >= np.repeat(sizes * sizes, counts)).any():
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


def encode_content(
    encoder: RangeEncoder,
    leaves: Table,
    units: Table,
    levels: Table,
    quantiser: int,
    varying: bool,
    canvas_set: int,
) -> None:
    """Code the content of one canvas (spec 7.5, 7.6).

    `leaves` is int32 (n, LEAF_COLUMNS) with the motion columns and Q, `units` (m, UNIT_COLUMNS),
    `levels` (k, LEVEL_COLUMNS), all in coding order, C-contiguous and only read: which leaves are
    coded follows from the units. `quantiser` is 0..63; where `varying` is false Q of every leaf is
    it, else Q changes by at most 32 and only in the first intra or coded leaf of a quantiser block.
    The encoder's contexts are those of `default_content_contexts` and its capacity at least the sum
    of `content_capacity` over the canvases of the group.

    Raises ValueError when the tables are not such; then the encoder is of no use any more.
    """
    width = _check(leaves, units, levels, quantiser, varying, canvas_set)
    head = np.array([quantiser, varying], np.int64)
    counts = np.zeros(3, np.int64)
    encode = compile_syntax(content_units, Direction.ENCODE)
    encoder.run(encode, leaves, units, levels, head, counts, canvas_set, width)
    _check_counts(units, counts)


def decode_content(
    decoder: RangeDecoder, leaves: Table, canvas_set: int, coded_width: int, coded_height: int
) -> tuple[int, Table, Table]:
    """Decode the content of one canvas (spec 7.5, 7.6): quantiser, units, levels.

    `leaves` are those of `decode_motion` for this canvas; their columns CODED, Q, FIRST and UNITS
    are filled in. Whatever the bits are, units lie in their leaves and do not overlap, and levels
    do not exceed MAX_LEVEL. A leaf that is not intra may be coded and have no units. Raises
    ValueError for leaves outside the canvas.
    """
    check_canvas(coded_width, coded_height, canvas_set)
    width = _check_leaves(leaves)
    if width > coded_width or int((leaves[:, Y] + leaves[:, SIZE]).max()) > coded_height:
        raise ValueError("a leaf lies outside the canvas")
    # 4:2:0: half as many samples of chroma as of luma; of each cell 4 units of luma, 2 of chroma.
    # Pages that no unit or level reaches are never touched.
    samples = int((leaves[:, SIZE].astype(np.int64) ** 2).sum())
    units = np.empty((samples // 64 * 6, UNIT_COLUMNS), np.int32)
    levels = np.empty((samples // 2 * 3, LEVEL_COLUMNS), np.int32)
    head = np.zeros(2, np.int64)
    counts = np.zeros(3, np.int64)
    decoder.run(_decode, leaves, units, levels, head, counts, canvas_set, width)
    return int(head[0]), units[: int(counts[0])].copy(), levels[: int(counts[1])].copy()


def trace_content(
    leaves: Table,
    units: Table,
    levels: Table,
    quantiser: int,
    varying: bool,
    canvas_set: int,
) -> npt.NDArray[np.int32]:
    """The bits with contexts that coding this takes, in order: 2 * context + bit, int32.

    Arguments and errors are those of `encode_content`.
    """
    width = _check(leaves, units, levels, quantiser, varying, canvas_set)
    head = np.array([quantiser, varying], np.int64)
    counts = np.zeros(3, np.int64)
    state = np.zeros(STATE_SIZE, np.int64)
    record = np.empty(_most_bits(leaves, units, levels), np.int32)
    contexts = np.zeros((0, 3), np.int32)
    trace = compile_syntax(content_units, Direction.TRACE)
    trace(state, contexts, record, leaves, units, levels, head, counts, canvas_set, width)
    _check_counts(units, counts)
    return record[: int(state[4])]
