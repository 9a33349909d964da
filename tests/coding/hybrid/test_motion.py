"""Leaves of the hybrid model to bits and back (spec 7.4)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    CODED,
    COPY,
    CUT,
    DIRECTION,
    HEIGHT,
    INDEX,
    INTRA,
    LEAF_COLUMNS,
    MERGE,
    MODE,
    MOTION_COLUMNS,
    PALETTE,
    VX0,
    VY0,
    VY1,
    WIDTH,
    X,
)
from nvcodec.coding.hybrid.motion import (
    MAX_COMPONENT,
    MOTION_CONTEXTS,
    decode_motion,
    default_motion_contexts,
    encode_motion,
    motion_capacity,
    trace_motion,
)
from nvcodec.coding.rangecoder import RangeDecoder, RangeEncoder
from tests.coding import reference
from tests.coding.reference import Decoder
from tests.kernels import KernelBench

from .reference import Motion, contexts
from .tables import leaves_of, random_leaves

CANVAS = st.tuples(st.integers(1, 20), st.integers(1, 20))
SEEDS = st.integers(0, 2**32 - 1)


Canvas = tuple[np.ndarray, int, int, int]

KINDS = [(0, False), (1, False), (1, True), (2, True)]
"""Set of a canvas, and whether it has two references."""


def encode(canvases: list[Canvas], two: bool = False) -> bytes:
    capacity = sum(motion_capacity(leaves) for leaves, *_ in canvases)
    encoder = RangeEncoder(default_motion_contexts(), capacity)
    for leaves, width, height, canvas_set in canvases:
        encode_motion(encoder, leaves, width, height, canvas_set, two=two)
    data = encoder.finish()
    assert len(data) <= capacity
    return data


@given(st.lists(st.tuples(CANVAS, st.integers(0, 2)), min_size=1, max_size=3), SEEDS, st.booleans())
@settings(max_examples=80, derandomize=True, deadline=None)
def test_round_trip_and_reference(
    sizes: list[tuple[tuple[int, int], int]], seed: int, two: bool
) -> None:
    """Canvases of a run: what is coded is decoded, by the package and by the text."""
    rng = np.random.default_rng(seed)
    canvases = []
    for (columns, rows), canvas_set in sizes:
        width, height = 8 * columns, 8 * rows
        split = rng.choice([0.1, 0.5, 0.9])
        leaves = random_leaves(rng, width, height, canvas_set, split, two=two)
        canvases.append((leaves, width, height, canvas_set))
    data = encode(canvases, two)
    decoder = RangeDecoder(data, default_motion_contexts())
    slow = Decoder(data)
    slow_contexts = contexts("motion")
    assert len(slow_contexts) == MOTION_CONTEXTS
    bits = 0
    for leaves, width, height, canvas_set in canvases:
        found = decode_motion(decoder, width, height, canvas_set, two=two)
        assert found.dtype == np.int32
        assert found.flags.owndata
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, leaves)
        motion = Motion(slow, slow_contexts, width, height, canvas_set, two=two)
        np.testing.assert_array_equal(leaves_of(motion)[:, :CODED], leaves[:, :CODED])
        record = trace_motion(leaves, width, height, canvas_set, two=two)
        assert record.dtype == np.int32
        assert (record >> 1 < MOTION_CONTEXTS).all()
        bits += len(record)
    decoder.close()
    assert slow.finished()
    assert bits <= slow.bits
    if all(canvas_set == 0 for _, _, _, canvas_set in canvases):
        assert bits == slow.bits


def test_random_leaves_have_all_shapes() -> None:
    rng = np.random.default_rng(0)
    sides = (8, 16, 32, 64)
    even = {(w, h) for w in sides for h in sides if max(w, h) <= 4 * min(w, h)}
    for canvas_set in range(2):
        leaves = random_leaves(rng, 1024, 512, canvas_set)
        found = set(map(tuple, leaves[:, [WIDTH, HEIGHT]].tolist()))
        assert found == {shape for shape in even if canvas_set or max(shape) < 64}
        assert set(leaves[:, CUT].tolist()) == ({0} if canvas_set else {0, 1, 2, 3})


@pytest.mark.parametrize(("canvas_set", "two"), KINDS)
@given(data=st.binary(max_size=300), size=CANVAS)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_any_bytes(canvas_set: int, two: bool, data: bytes, size: tuple[int, int]) -> None:
    """Any bytes are leaves, which the text reads too, and which can be coded again."""
    if data.startswith(b"\xff\xff\xff\xff"):
        return
    width, height = 8 * size[0], 8 * size[1]
    decoder = RangeDecoder(data, default_motion_contexts())
    leaves = decode_motion(decoder, width, height, canvas_set, two=two)
    slow = Decoder(data)
    motion = Motion(slow, contexts("motion"), width, height, canvas_set, two=two)
    np.testing.assert_array_equal(leaves, leaves_of(motion))
    assert int(decoder._state[4]) == slow.bytes_read
    assert int((leaves[:, WIDTH].astype(np.int64) * leaves[:, HEIGHT]).sum()) == width * height
    decoder = RangeDecoder(
        encode([(leaves, width, height, canvas_set)], two), default_motion_contexts()
    )
    found = decode_motion(decoder, width, height, canvas_set, two=two)
    np.testing.assert_array_equal(found, leaves)


@pytest.mark.parametrize("fill", [0x00, 0x7F, 0x80, 0xFE])
@pytest.mark.parametrize("canvas_set", [0, 1, 2])
def test_constant_data_is_bounded(fill: int, canvas_set: int) -> None:
    for _ in range(2):
        decoder = RangeDecoder(bytes([fill]) * 100000, default_motion_contexts())
        leaves = decode_motion(decoder, 1920, 1080, canvas_set)
        assert len(leaves) <= 240 * 135


def plain(canvas_set: int) -> np.ndarray:
    """64 x 64 in four leaves."""
    leaves = np.zeros((4, LEAF_COLUMNS), np.int32)
    leaves[:, :4] = [(0, 0, 32, 32), (32, 0, 32, 32), (0, 32, 32, 32), (32, 32, 32, 32)]
    leaves[:, INTRA if canvas_set == 0 else MERGE] = 1
    return leaves


def test_calm_canvases_are_tiny() -> None:
    leaves = np.zeros((30 * 17, LEAF_COLUMNS), np.int32)
    leaves[:, :4] = [(x, y, 64, 64) for y in range(0, 1088, 64) for x in range(0, 1920, 64)]
    leaves[:, MERGE] = 1
    data = encode([(leaves, 1920, 1088, 2)] * 4)
    assert len(data) < 120


@pytest.mark.parametrize(
    ("canvas_set", "row", "column", "value"),
    [
        (0, 1, MODE, 3),
        (0, 2, MODE + 3, 3),
        (0, 0, MODE, 35),
        (0, 0, MODE, -1),
        (0, 0, CHROMA, 7),
        (0, 0, CHROMA, 34),
        (0, 0, CHROMA, 38),
        (0, 0, MODE, 38),
        (0, 0, VY0, 1),
        (0, 3, INTRA, 0),
        (0, 1, CUT, 1),
        (0, 3, WIDTH, 16),
        (0, 3, HEIGHT, 16),
        (1, 0, WIDTH, 64),
        (1, 0, HEIGHT, 8),
        (1, 1, X, 40),
        (1, 0, INDEX, 5),
        (1, 0, INDEX, -1),
        (1, 2, VY0, 1),
        (1, 2, DIRECTION, 1),
        (2, 2, MERGE, 2),
    ],
)
def test_what_cannot_be_coded(canvas_set: int, row: int, column: int, value: int) -> None:
    leaves = plain(canvas_set)
    encode([(leaves, 64, 64, canvas_set)])
    leaves[row, column] = value
    if (canvas_set, column) in ((0, CHROMA), (0, MODE)) and value == 34:
        leaves[row, MODE : MODE + 4] = 5
    with pytest.raises(ValueError, match=r"column|leaves"):
        encode([(leaves, 64, 64, canvas_set)])
    with pytest.raises(ValueError, match=r"column|leaves"):
        trace_motion(leaves, 64, 64, canvas_set)


Shape = tuple[int, int, int, int]


def of_shapes(canvas_set: int, shapes: list[Shape]) -> np.ndarray:
    """Plain leaves of these places, widths and heights."""
    leaves = np.zeros((len(shapes), LEAF_COLUMNS), np.int32)
    leaves[:, :4] = shapes
    leaves[:, INTRA if canvas_set == 0 else MERGE] = 1
    return leaves


def strips(width: int, height: int, size: tuple[int, int]) -> list[Shape]:
    """A canvas cut into rectangles of one size."""
    return [
        (x, y, width, height) for y in range(0, size[1], height) for x in range(0, size[0], width)
    ]


@pytest.mark.parametrize("canvas_set", [0, 1])
@pytest.mark.parametrize(
    ("width", "height"), [(8, 16), (8, 32), (16, 8), (32, 8), (16, 32), (32, 16), (16, 16)]
)
def test_shapes_of_leaves(width: int, height: int, canvas_set: int) -> None:
    """Halves and halves of halves along the same direction are coded as they are."""
    side = max(width, height)
    leaves = of_shapes(canvas_set, strips(width, height, (side, side)))
    data = encode([(leaves, side, side, canvas_set)])
    found = decode_motion(RangeDecoder(data, default_motion_contexts()), side, side, canvas_set)
    np.testing.assert_array_equal(found, leaves)


@pytest.mark.parametrize(
    "shapes",
    [
        pytest.param(strips(8, 64, (64, 64)), id="one to eight"),
        pytest.param(strips(64, 8, (64, 64)), id="eight to one"),
        pytest.param(
            [(0, 0, 32, 16), (0, 16, 16, 16), (16, 16, 16, 16), *strips(32, 32, (64, 64))[1:]],
            id="a half that is cut the other way",
        ),
        pytest.param(
            [(0, 0, 8, 32), (8, 0, 16, 32), (24, 0, 8, 32), *strips(32, 32, (64, 64))[1:]],
            id="a strip that is not aligned",
        ),
        pytest.param(
            [(16, 0, 16, 32), (0, 0, 16, 32), *strips(32, 32, (64, 64))[1:]], id="another order"
        ),
        pytest.param(
            [(0, 0, 4, 32), (4, 0, 28, 32), *strips(32, 32, (64, 64))[1:]], id="no power of two"
        ),
    ],
)
def test_shapes_that_are_none(shapes: list[Shape]) -> None:
    leaves = of_shapes(2, shapes)
    with pytest.raises(ValueError, match=r"column|leaves"):
        encode([(leaves, 64, 64, 2)])
    with pytest.raises(ValueError, match=r"column|leaves"):
        trace_motion(leaves, 64, 64, 2)


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_luma_blocks(cut: int) -> None:
    """Only a key leaf of 8 x 8 is cut; the modes of fewer blocks are repeated."""
    leaves = of_shapes(0, strips(8, 8, (16, 16)))
    leaves[1, CUT] = cut
    leaves[1, MODE : MODE + 4] = [[7] * 4, [7, 8, 9, 2], [7, 8] * 2, [7, 8] * 2][cut]
    leaves[:, CHROMA] = leaves[:, MODE]
    data = encode([(leaves, 16, 16, 0)])
    found = decode_motion(RangeDecoder(data, default_motion_contexts()), 16, 16, 0)
    np.testing.assert_array_equal(found, leaves)
    leaves[1, MODE + 2] = 3
    if cut != 1:
        with pytest.raises(ValueError, match=f"column {MODE + 2}"):
            encode([(leaves, 16, 16, 0)])
    wrong = leaves.copy()
    wrong[1, CUT] = 4
    with pytest.raises(ValueError, match="column"):
        encode([(wrong, 16, 16, 0)])
    if cut:
        inter = of_shapes(1, strips(8, 8, (16, 16)))
        inter[1] = leaves[1]
        with pytest.raises(ValueError, match=f"column {CUT}"):
            encode([(inter, 16, 16, 1)])


def test_large_and_uneven_leaves_have_restrictions() -> None:
    """A leaf with a side of 64 is not intra; one that is no square has no copy and no palette."""
    large = of_shapes(1, strips(64, 16, (64, 64)))
    encode([(large, 64, 64, 1)])
    large[1, [INTRA, MERGE]] = 1, 0
    with pytest.raises(ValueError, match="leaf 1"):
        encode([(large, 64, 64, 1)])
    for mode in (COPY, PALETTE):
        for width, height in ((16, 16), (16, 8)):
            leaves = of_shapes(0, strips(width, height, (16, 16)))
            leaves[:1, MODE : MODE + 4] = leaves[:1, CHROMA] = mode
            if width == height:
                encode([(leaves, 16, 16, 0)])
                continue
            with pytest.raises(ValueError, match=f"column {MODE}"):
                encode([(leaves, 16, 16, 0)])


@pytest.mark.parametrize("value", [MAX_COMPONENT + 1, -MAX_COMPONENT - 1, -(2**31), 2**31 - 1])
def test_components_too_great(value: int) -> None:
    for column, direction in ((VY0, 1), (VX0, 3), (VY1, 2)):
        leaves = plain(2)
        leaves[1, MERGE] = 0
        leaves[1, DIRECTION] = direction
        leaves[1, column] = np.sign(value) * MAX_COMPONENT
        encode([(leaves, 64, 64, 2)])
        leaves[1, column] = value
        with pytest.raises(ValueError, match=f"column {column}"):
            encode([(leaves, 64, 64, 2)])


def test_leaves_that_are_not_the_canvas() -> None:
    leaves = plain(1)
    for found, width in ((leaves[:3], 64), (leaves, 128), (leaves, 32), (leaves[:0], 64)):
        with pytest.raises(ValueError, match="lea"):
            encode([(np.ascontiguousarray(found), width, 64, 1)])
    # Many leaves more than there are rows, whose capacity is that of the rows.
    few = leaves[:1].copy()
    few[0, [WIDTH, HEIGHT]] = 8
    with pytest.raises(ValueError, match="leaf 1"):
        encode([(few, 1920, 1080, 1)])
    for wrong in (leaves.astype(np.int64), leaves[:, :9].copy(), leaves[::2], leaves[0]):
        with pytest.raises(ValueError, match="leaves are"):
            encode([(wrong, 64, 64, 1)])


def test_sizes_and_sets() -> None:
    decoder = RangeDecoder(b"", default_motion_contexts())
    for width, height, canvas_set in ((60, 64, 0), (64, 0, 0), (-8, 8, 1), (8, 8, 3), (8, 8, -1)):
        with pytest.raises(ValueError, match="canvas"):
            decode_motion(decoder, width, height, canvas_set)


def test_default_tables_are_fresh() -> None:
    tables = default_motion_contexts()
    assert tables.shape == (MOTION_CONTEXTS, 3)
    assert (tables[:, 0] == tables[:, 1]).all()
    tables[:] = 0
    assert default_motion_contexts().any()


def test_columns() -> None:
    assert MOTION_COLUMNS == CODED


@pytest.mark.parametrize("canvas_set", [0, 1, 2])
def test_canvas(canvas_set: int, kernel_bench: KernelBench) -> None:
    width, height = 320, 192
    leaves = random_leaves(np.random.default_rng(canvas_set), width, height, canvas_set)
    data = encode([(leaves, width, height, canvas_set)])
    slow = Decoder(data)
    Motion(slow, contexts("motion"), width, height, canvas_set)

    def decode() -> np.ndarray:
        decoder = RangeDecoder(data, default_motion_contexts())
        return decode_motion(decoder, width, height, canvas_set)

    def slow_decode() -> np.ndarray:
        decoder = Decoder(data)
        return leaves_of(Motion(decoder, contexts("motion"), width, height, canvas_set))

    bins = len(slow.bins)
    kernel_bench(f"decode motion, set {canvas_set}", bins, decode, slow_decode, unit="bin")
    kernel_bench(
        f"encode motion, set {canvas_set}",
        bins,
        lambda: list(encode([(leaves, width, height, canvas_set)])),
        lambda: list(reference.encode(slow.bins)),
        unit="bin",
    )
