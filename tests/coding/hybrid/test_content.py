"""Units and levels of the hybrid model to bits and back (spec 7.5, 7.6)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.hybrid.content import (
    CONTENT_CONTEXTS,
    content_capacity,
    decode_content,
    default_content_contexts,
    encode_content,
    trace_content,
)
from nvcodec.coding.hybrid.leaves import (
    CODED,
    CUT,
    HEIGHT,
    INTRA,
    LEAF_COLUMNS,
    LEVEL_COLUMNS,
    LEVEL_POSITION,
    LEVEL_VALUE,
    MERGE,
    UNIT_COLUMNS,
    UNIT_COUNT,
    UNIT_HEIGHT,
    UNIT_START,
    UNIT_TRANSFORM,
    UNIT_WIDTH,
    UNIT_X,
    UNITS,
    WIDTH,
    Q,
    X,
    Y,
)
from nvcodec.coding.hybrid.levels import MAX_LEVEL
from nvcodec.coding.hybrid.motion import default_motion_contexts, encode_motion, motion_capacity
from nvcodec.coding.rangecoder import RangeDecoder, RangeEncoder
from nvcodec.format import CorruptError
from nvcodec.picture import YUV420P8, SampleFormat
from tests.coding import reference
from tests.coding.reference import Decoder
from tests.kernels import KernelBench

from .reference import Content, Motion, contexts
from .tables import (
    SCANS,
    content_of,
    leaves_of,
    random_content,
    random_leaves,
    with_hidden_signs,
)

CANVAS = st.tuples(st.integers(1, 18), st.integers(1, 12))
OTHERS = ((10, 1), (12, 0), (8, 0), (8, 2), (10, 2), (8, 3), (12, 3))
SEEDS = st.integers(0, 2**32 - 1)
Canvas = tuple[np.ndarray, np.ndarray, np.ndarray, int, bool, int]


def encode(canvases: list[Canvas], fmt: SampleFormat = YUV420P8) -> bytes:
    capacity = sum(content_capacity(*canvas[:3]) for canvas in canvases)
    encoder = RangeEncoder(default_content_contexts(), capacity)
    for canvas in canvases:
        encode_content(encoder, *canvas, fmt)
    data = encoder.finish()
    assert len(data) <= capacity
    return data


def cleared(leaves: np.ndarray) -> np.ndarray:
    leaves = leaves.copy()
    leaves[:, CODED:] = -1
    return leaves


def motion_of(
    leaves: np.ndarray,
    width: int,
    height: int,
    canvas_set: int,
    fmt: SampleFormat = YUV420P8,
) -> Motion:
    """The leaves as the text has them."""
    encoder = RangeEncoder(default_motion_contexts(), motion_capacity(leaves))
    encode_motion(encoder, leaves, width, height, canvas_set, fmt)
    return Motion(Decoder(encoder.finish()), contexts("motion"), width, height, canvas_set, fmt)


@given(
    st.lists(st.tuples(CANVAS, st.integers(0, 2)), min_size=1, max_size=3),
    SEEDS,
    st.integers(0, 63),
    st.booleans(),
    st.sampled_from([YUV420P8, *(SampleFormat(d, c) for d, c in OTHERS)]),
)
@settings(max_examples=30, derandomize=True, deadline=None)
def test_round_trip_and_reference(
    sizes: list[tuple[tuple[int, int], int]],
    seed: int,
    quantiser: int,
    varying: bool,
    fmt: SampleFormat,
) -> None:
    """Canvases of a run: what is coded is decoded, by the package and by the text."""
    rng = np.random.default_rng(seed)
    quantiser += 6 * (fmt.bit_depth - 8)
    canvases: list[Canvas] = []
    shapes = []
    for (columns, rows), canvas_set in sizes:
        width, height = 8 * columns, 8 * rows
        leaves = random_leaves(rng, width, height, canvas_set, rng.choice([0.1, 0.5, 0.8]), fmt)
        density = rng.choice([0.1, 0.6, 1.0])
        units, levels = random_content(rng, leaves, quantiser, varying, density, fmt)
        canvases.append((leaves, units, levels, quantiser, varying, canvas_set))
        shapes.append((width, height))
    before = [array.copy() for canvas in canvases for array in canvas[:3]]
    data = encode(canvases, fmt)
    after = [array for canvas in canvases for array in canvas[:3]]
    for array, same in zip(after, before, strict=True):
        np.testing.assert_array_equal(array, same)
    decoder = RangeDecoder(data, default_content_contexts())
    slow = Decoder(data)
    slow_contexts = contexts("content")
    assert len(slow_contexts) == CONTENT_CONTEXTS
    for (leaves, *expected, canvas_set), (width, height) in zip(canvases, shapes, strict=True):
        found_leaves = cleared(leaves)
        found = decode_content(decoder, found_leaves, canvas_set, width, height, fmt)
        motion = motion_of(leaves, width, height, canvas_set, fmt)
        content = Content(slow, slow_contexts, motion, fmt)
        for table, (q, units, levels) in (
            (found_leaves, found),
            (leaves_of(motion), content_of(motion, content)),
        ):
            np.testing.assert_array_equal(table, leaves)
            np.testing.assert_array_equal(units, expected[0])
            np.testing.assert_array_equal(levels, expected[1])
            assert q == quantiser
        assert all(table.flags.owndata and table.dtype == np.int32 for table in found[1:])
        record = trace_content(leaves, *expected, canvas_set, fmt)
        assert record.dtype == np.int32
        assert (record >> 1 < CONTENT_CONTEXTS).all()
    decoder.close()
    assert slow.finished()


def test_trace_is_the_bits_with_contexts() -> None:
    """Counted by the text: all its bits that are no bypass ones, with their contexts."""
    rng = np.random.default_rng(5)
    for canvas_set in range(3):
        leaves = random_leaves(rng, 136, 72, canvas_set)
        units, levels = random_content(rng, leaves, 40, True)
        data = encode([(leaves, units, levels, 40, True, canvas_set)])
        motion = motion_of(leaves, 136, 72, canvas_set)
        slow_contexts = contexts("content")
        numbers = {id(context): number for number, context in enumerate(slow_contexts)}
        decoder = Decoder(data)
        plain_bit = decoder.bit
        expected = []

        def bit(context, plain_bit=plain_bit, expected=expected, numbers=numbers) -> int:
            value = plain_bit(context)
            expected.append(2 * numbers[id(context)] + value)
            return value

        decoder.bit = bit  # type: ignore[method-assign]
        Content(decoder, slow_contexts, motion)
        record = trace_content(leaves, units, levels, 40, True, canvas_set)
        assert record.tolist() == expected


@pytest.mark.parametrize("canvas_set", [0, 1, 2])
@given(data=st.binary(max_size=400), size=CANVAS, seed=SEEDS)
@settings(max_examples=15, derandomize=True, deadline=None)
def test_any_bytes(canvas_set: int, data: bytes, size: tuple[int, int], seed: int) -> None:
    """Any bytes are content, which the text reads too, and is within its bounds."""
    if data.startswith(b"\xff\xff\xff\xff"):
        return
    width, height = 8 * size[0], 8 * size[1]
    leaves = random_leaves(np.random.default_rng(seed), width, height, canvas_set)
    decoder = RangeDecoder(data, default_content_contexts())
    q, units, levels = decode_content(decoder, leaves, canvas_set, width, height)
    slow = Decoder(data)
    motion = motion_of(leaves, width, height, canvas_set)
    expected = content_of(motion, Content(slow, contexts("content"), motion))
    np.testing.assert_array_equal(leaves, leaves_of(motion))
    assert q == expected[0]
    np.testing.assert_array_equal(units, expected[1])
    np.testing.assert_array_equal(levels, expected[2])
    assert int(decoder._state[4]) == slow.bytes_read
    assert (np.abs(levels[:, LEVEL_VALUE]) <= MAX_LEVEL).all()
    again = cleared(leaves)
    decoder = RangeDecoder(data, default_content_contexts())
    decode_content(decoder, again, canvas_set, width, height)
    np.testing.assert_array_equal(again, leaves)


def test_a_quantiser_above_the_last_is_corrupt() -> None:
    """Of 10 bits the last index is 75; seven bits code more."""
    leaves = random_leaves(np.random.default_rng(0), 64, 64, 0)
    # The first seven bypass bits are those of the first byte.
    for value, sample_format in ((75, SampleFormat(10, 1)), (87, SampleFormat(12, 1))):
        decoder = RangeDecoder(bytes([2 * value, 1]), default_content_contexts())
        assert decode_content(decoder, leaves.copy(), 0, 64, 64, sample_format)[0] == value
        decoder = RangeDecoder(bytes([2 * value + 2, 1]), default_content_contexts())
        with pytest.raises(CorruptError, match=f"quantiser {value + 1}"):
            decode_content(decoder, leaves.copy(), 0, 64, 64, sample_format)


@pytest.mark.parametrize("fill", [0x00, 0x7F, 0x80, 0xFE])
@pytest.mark.parametrize("canvas_set", [0, 2])
def test_constant_data_is_bounded(fill: int, canvas_set: int) -> None:
    leaves = random_leaves(np.random.default_rng(1), 640, 360, canvas_set)
    decoder = RangeDecoder(bytes([fill]) * 400000, default_content_contexts())
    _, units, levels = decode_content(decoder, leaves, canvas_set, 640, 360)
    assert len(units) <= 80 * 45 * 6
    assert len(levels) <= 640 * 360 * 3 // 2


def whole(canvas_set: int) -> np.ndarray:
    leaves = np.zeros((4, LEAF_COLUMNS), np.int32)
    leaves[:, :4] = [(0, 0, 32, 32), (32, 0, 32, 32), (0, 32, 32, 32), (32, 32, 32, 32)]
    leaves[:, INTRA if canvas_set == 0 else MERGE] = 1
    leaves[:, Q] = 30
    return leaves


def in_shape(canvas_set: int, width: int, height: int) -> np.ndarray:
    """The leaves of `whole`, each cut into such rectangles."""
    squares = whole(canvas_set)
    parts = [(x, y) for y in range(0, 32, height) for x in range(0, 32, width)]
    leaves = np.repeat(squares, len(parts), 0)
    leaves[:, :2] += np.tile(parts, (len(squares), 1)).astype(np.int32)
    leaves[:, [WIDTH, HEIGHT]] = width, height
    return leaves


def full_unit(
    plane: int, x: int, y: int, w: int, h: int, start: int, value: int
) -> tuple[list[list[int]], list[tuple[int, int]]]:
    levels = [(y * w + x, value if (x ^ y) & 1 else -value) for x, y in reversed(SCANS[w, h])]
    return [[plane, x, y, w, h, start, w * h, 0]], with_hidden_signs(levels, w)


@pytest.mark.parametrize("value", [1, 14, 15, 16, MAX_LEVEL])
@pytest.mark.parametrize("shape", [(32, 32), (32, 8), (16, 32)])
@pytest.mark.parametrize("canvas_set", [0, 1, 2])
def test_every_level(canvas_set: int, shape: tuple[int, int], value: int) -> None:
    """All levels of a canvas, of the least and the greatest magnitude."""
    leaves = in_shape(canvas_set, *shape)
    units: list[list[int]] = []
    levels: list[tuple[int, int]] = []
    for number, (x, y, w, h) in enumerate(leaves[:, :4].tolist()):
        leaves[number, [CODED, UNITS]] = 1, 3
        leaves[number, UNITS - 1] = 3 * number
        for plane, shift in ((0, 0), (1, 1), (2, 1)):
            block = (side >> shift for side in (x, y, w, h))
            unit, more = full_unit(plane, *block, len(levels), value)
            units += unit
            levels += more
    assert len(levels) == 64 * 64 * 3 // 2
    tables = leaves, np.array(units, np.int32), np.array(levels, np.int32)
    data = encode([(*tables, 30, False, canvas_set)])
    found = cleared(leaves)
    decoder = RangeDecoder(data, default_content_contexts())
    _, *rest = decode_content(decoder, found, canvas_set, 64, 64)
    decoder.close()
    for array, expected in zip((found, *rest), tables, strict=True):
        np.testing.assert_array_equal(array, expected)


def no_units() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((0, UNIT_COLUMNS), np.int32), np.zeros((0, LEVEL_COLUMNS), np.int32)


@pytest.mark.parametrize("canvas_set", [0, 1, 2])
def test_empty_canvases_are_tiny(canvas_set: int) -> None:
    leaves = whole(canvas_set)
    data = encode([(leaves, *no_units(), 30, True, canvas_set)] * 20)
    assert len(data) < 20 * 3
    decoder = RangeDecoder(data, default_content_contexts())
    for _ in range(20):
        found = cleared(leaves)
        q, units, levels = decode_content(decoder, found, canvas_set, 64, 64)
        assert (q, len(units), len(levels)) == (30, 0, 0)
        np.testing.assert_array_equal(found, leaves)


def one_unit() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The second leaf of an interior canvas has a unit of luma and one of Cr."""
    leaves = whole(2)
    units = np.array(
        [
            [0, 32, 16, 16, 16, 0, 3, 1],
            [0, 48, 16, 16, 16, 3, 1, 0],
            [2, 16, 0, 16, 16, 4, 1, 0],
        ],
        np.int32,
    )
    levels = np.array([[33, 5], [17, -1], [0, 2], [255, 9], [7, 1]], np.int32)
    return leaves, units, levels


@pytest.mark.parametrize(
    ("table", "row", "column", "value"),
    [
        (0, 1, Q, 31),
        (0, 0, Q, 29),
        (0, 1, WIDTH, 24),
        (0, 1, HEIGHT, 24),
        (0, 1, HEIGHT, 16),
        (0, 1, WIDTH, 4),
        (0, 1, X, 30),
        (0, 1, Y, -32),
        (1, 0, UNIT_X, 40),
        (1, 0, UNIT_X, 48),
        (1, 0, UNIT_WIDTH, 64),
        (1, 0, UNIT_WIDTH, 32),
        (1, 1, UNIT_WIDTH, 4),
        (1, 2, UNIT_WIDTH, 8),
        (1, 0, UNIT_HEIGHT, 32),
        (1, 1, UNIT_HEIGHT, 8),
        (1, 2, UNIT_HEIGHT, 8),
        (1, 2, UNIT_HEIGHT, 12),
        (1, 2, UNIT_HEIGHT, 1 << 24),
        (1, 2, UNIT_X, 32),
        (1, 2, 0, 3),
        (1, 2, 0, -1),
        (1, 1, UNIT_START, 2),
        (1, 1, UNIT_COUNT, 2),
        (1, 1, UNIT_COUNT, 0),
        (1, 0, UNIT_TRANSFORM, 2),
        (1, 0, UNIT_TRANSFORM, -1),
        (1, 0, UNIT_TRANSFORM, 6),
        (1, 2, UNIT_TRANSFORM, 1),
        (1, 2, UNIT_TRANSFORM, 3),
        (2, 0, LEVEL_POSITION, 256),
        (2, 0, LEVEL_POSITION, -1),
        (2, 0, LEVEL_POSITION, 0),
        (2, 1, LEVEL_POSITION, 33),
        (2, 1, LEVEL_POSITION, 34),
        (2, 2, LEVEL_POSITION, 255),
        (2, 0, LEVEL_VALUE, 0),
        (2, 0, LEVEL_VALUE, 4),
        (2, 2, LEVEL_VALUE, -2),
        (2, 0, LEVEL_VALUE, MAX_LEVEL + 1),
        (2, 0, LEVEL_VALUE, -(2**31)),
    ],
)
def test_what_cannot_be_coded(table: int, row: int, column: int, value: int) -> None:
    tables = one_unit()
    encode([(*tables, 30, False, 2)])
    tables[table][row, column] = value
    with pytest.raises(ValueError, match=r"leaf|unit|level"):
        encode([(*tables, 30, False, 2)])
    with pytest.raises(ValueError, match=r"leaf|unit|level"):
        trace_content(*tables, 30, False, 2)


@pytest.mark.parametrize(
    ("x", "y", "width", "height"),
    [(0, 0, 8, 64), (0, 0, 64, 8), (8, 0, 16, 32), (0, 16, 16, 32), (0, 0, 0, 8), (0, 0, 128, 64)],
)
def test_leaves_of_impossible_shapes(x: int, y: int, width: int, height: int) -> None:
    leaves = whole(1)
    leaves[0, :4] = x, y, width, height
    with pytest.raises(ValueError, match="no block of a canvas"):
        encode([(leaves, *no_units(), 30, False, 1)])
    decoder = RangeDecoder(b"\1\2\3\4\5\6", default_content_contexts())
    with pytest.raises(ValueError, match="no block of a canvas"):
        decode_content(decoder, leaves, 1, 128, 128)


@pytest.mark.parametrize("shape", [(32, 8), (8, 32), (16, 8)])
def test_units_of_a_rectangle(shape: tuple[int, int]) -> None:
    """The first leaf has a unit of its shape, or some of the squares in it, but no other ones."""
    w, h = shape
    leaves = in_shape(1, w, h)

    def coded(units: list[list[int]], position: int) -> bytes:
        rows = np.array(units, np.int32).reshape(-1, UNIT_COLUMNS)
        rows[:, UNIT_START] = np.arange(len(rows))
        rows[:, UNIT_COUNT] = 1
        levels = np.array([[position, 1]] * len(rows), np.int32)
        return encode([(leaves, rows, levels, 30, False, 1)])

    coded([[0, 0, 0, w, h, 0, 0, 0], [1, 0, 0, w // 2, h // 2, 0, 0, 0]], 0)
    coded([[0, 0, 0, w, h, 0, 0, 0]], w * h - 1)
    side = min(w, h)
    coded([[0, x, y, 8, 8, 0, 0, 0] for y in range(0, h, 8) for x in range(0, w, 8)], 63)
    with pytest.raises(ValueError, match="level"):
        coded([[0, 0, 0, w, h, 0, 0, 0]], w * h)
    for wrong in ((h, w), (w // 2, h // 2), (2 * side, side), (w, h // 2)):
        if wrong in ((w, h), (side, side)):
            continue
        with pytest.raises(ValueError, match=r"leaf|unit"):
            coded([[0, 0, 0, *wrong, 0, 0, 0]], 0)


@pytest.mark.parametrize(("cut", "shape"), [(0, (8, 8)), (1, (4, 4)), (2, (8, 4)), (3, (4, 8))])
def test_units_of_luma_blocks(cut: int, shape: tuple[int, int]) -> None:
    """The unit of the last luma block of a key leaf of 8 x 8."""
    leaves = in_shape(0, 8, 8)
    leaves[0, CUT] = cut
    levels = np.array([[shape[0] * shape[1] - 1, 1]], np.int32)
    for w, h in ((8, 8), (4, 4), (8, 4), (4, 8)):
        units = np.array([[0, 8 - w, 8 - h, w, h, 0, 1, 0]], np.int32)
        if (w, h) == shape:
            encode([(leaves, units, levels, 30, False, 0)])
        else:
            levels[0, LEVEL_POSITION] = 0
            with pytest.raises(ValueError, match=r"leaf|unit"):
                encode([(leaves, units, levels, 30, False, 0)])


def test_order_of_units() -> None:
    leaves, units, levels = one_unit()
    units[[0, 1]] = units[[1, 0]]
    counts = units[:, UNIT_COUNT]
    units[:, UNIT_START] = np.cumsum(counts) - counts
    with pytest.raises(ValueError, match=r"leaf|unit"):
        encode([(leaves, units, levels[[3, 0, 1, 2, 4]], 30, False, 2)])


def test_quantiser() -> None:
    leaves, units, levels = one_unit()
    leaves[1:, Q] = 62
    encode([(leaves, units, levels, 30, True, 2)])
    leaves[1:, Q] = 63
    for varying in (True, False):
        with pytest.raises(ValueError, match="leaf 1"):
            encode([(leaves, units, levels, 30, varying, 2)])
    for quantiser in (64, -1):
        with pytest.raises(ValueError, match="quantiser"):
            encode([(leaves, units, levels, quantiser, False, 2)])


def test_leaves_outside_the_canvas() -> None:
    decoder = RangeDecoder(b"\1\2\3\4\5\6", default_content_contexts())
    for width, height in ((56, 64), (64, 56)):
        with pytest.raises(ValueError, match="outside"):
            decode_content(decoder, whole(1), 1, width, height)
    with pytest.raises(ValueError, match="canvas"):
        decode_content(decoder, whole(1)[:0], 1, 64, 64)
    with pytest.raises(ValueError, match="canvas"):
        decode_content(decoder, whole(1), 3, 64, 64)


def test_default_tables_are_fresh() -> None:
    tables = default_content_contexts()
    assert tables.shape == (CONTENT_CONTEXTS, 3)
    tables[:] = 0
    assert default_content_contexts().any()


@pytest.mark.parametrize("canvas_set", [0, 1, 2])
def test_canvas(canvas_set: int, kernel_bench: KernelBench) -> None:
    width, height = 128, 128
    rng = np.random.default_rng(canvas_set)
    leaves = random_leaves(rng, width, height, canvas_set)
    units, levels = random_content(rng, leaves, 30, True)
    canvas = (leaves, units, levels, 30, True, canvas_set)
    data, motion = encode([canvas]), motion_of(leaves, width, height, canvas_set)
    slow = Decoder(data)
    Content(slow, contexts("content"), motion)

    def decode() -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        found = cleared(leaves)
        decoder = RangeDecoder(data, default_content_contexts())
        return *decode_content(decoder, found, canvas_set, width, height), found

    def slow_decode() -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        # Units are appended to the leaves, which are those of the motion substream.
        motion = motion_of(leaves, width, height, canvas_set)
        content = Content(Decoder(data), contexts("content"), motion)
        return *content_of(motion, content), leaves_of(motion)

    bins = len(slow.bins)
    kernel_bench(f"decode content, set {canvas_set}", bins, decode, slow_decode, unit="bin")
    kernel_bench(
        f"encode content, set {canvas_set}",
        bins,
        lambda: list(encode([canvas])),
        lambda: list(reference.encode(slow.bins)),
        unit="bin",
    )
