import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.inter import (
    pack_motion,
    packed_motion,
    predict_block,
    predict_rows,
    scratch,
)
from nvcodec.model.samples import plane_code
from nvcodec.picture import YUV420P8, SampleFormat
from tests.model.hybrid.canvas import reference
from tests.model.hybrid.canvas.tables import random_leaves, random_motion

FORMATS = [SampleFormat(8, 1), SampleFormat(10, 1), SampleFormat(12, 2), SampleFormat(8, 3)]


def planes(rng, height, width, fmt=YUV420P8):
    size, peak = (height, width), fmt.peak
    kinds = [rng.integers(0, peak + 1, size), rng.choice([0, peak], size)]
    return [np.ascontiguousarray(kind, fmt.dtype) for kind in kinds]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("chroma", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "most"),
    [(8, 8, 100), (72, 40, 30), (72, 40, 8192), (136, 200, 60), (64, 128, 3), (8, 72, 600)],
)
def test_planes(height, width, most, chroma, fmt):
    rng = np.random.default_rng(height + width)
    code = plane_code(fmt, int(chroma))
    across, down = fmt.plane_shift(int(chroma))
    for share in (0.2, 0.7):
        leaves = random_leaves(rng, height, width, {64: share, 32: share, 16: share}, 0.1)
        direction, vectors = random_motion(rng, leaves, height, width, most)
        references = planes(rng, height >> down, width >> across, fmt)
        out = np.zeros_like(references[0])
        packed = packed_motion(direction, vectors)
        predict_rows(code, leaves, 0, -(-height // 64), packed, *references, out)
        expected = reference.inter(references, direction, vectors, chroma, fmt)
        assert np.array_equal(out, expected)


def test_bands():
    rng = np.random.default_rng(5)
    leaves = random_leaves(rng, 200, 136, {64: 0.7, 32: 0.5, 16: 0.5}, 0.1)
    packed = packed_motion(*random_motion(rng, leaves, 200, 136, 50))
    references = planes(rng, 200, 136)
    whole, parts = np.zeros((2, 200, 136), np.uint8)
    predict_rows(0, leaves, 0, 4, packed, *references, whole)
    for row in (3, 0, 2, 1):
        before = parts.copy()
        predict_rows(0, leaves, row, row + 1, packed, *references, parts)
        before[row * 64 : row * 64 + 64] = parts[row * 64 : row * 64 + 64]
        assert np.array_equal(parts, before)
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize("fmt", [YUV420P8, SampleFormat(12, 1)])
@pytest.mark.parametrize("chroma", [False, True])
def test_widths(chroma, fmt):
    """Samples at which sums are greatest and least: bits of `first` (asserted) and of PRED."""
    taps, count = (reference.CHROMA_TAPS, 8) if chroma else (reference.LUMA_TAPS, 4)
    before, code = 1 if chroma else 3, plane_code(fmt, int(chroma))
    for fy in range(count):
        for fx in range(count):
            signs = np.outer(taps[fy], taps[fx])
            for sign in (1, -1):
                plane = np.zeros((16, 16), fmt.dtype)
                plane[4 : 4 + len(signs), 4 : 4 + len(signs)] = np.where(
                    sign * signs > 0, fmt.peak, 0
                )
                out = np.zeros((64, 64), np.int32)
                room = scratch(plane)
                packed = pack_motion(3, fy, fx, fy, fx)
                y = 4 + before
                predict_block(code, plane, plane, y, y, 4, 4, packed, *room, out)
                vectors = [(fy, fx), (fy, fx)]
                expected = reference.pred([plane, plane], y, y, 4, 4, 3, vectors, chroma, fmt)
                assert np.array_equal(out[:4, :4], expected)
                assert np.abs(expected).max() < 1 << (17 + fmt.bit_depth - 8)
    if not chroma:
        assert reference.pred([plane] * 2, 7, 7, 1, 1, 3, [(2, 2)] * 2, False, fmt).shape == (1, 1)


def test_packed_motion():
    rng = np.random.default_rng(0)
    for direction in range(4):
        values = rng.integers(-8192, 8192, 4).tolist()
        packed = pack_motion(direction, *values)
        for k in range(4):
            changed = values.copy()
            changed[k] ^= 1
            used = direction >> (k // 2) & 1
            assert (pack_motion(direction, *changed) != packed) == bool(used)


@pytest.mark.parametrize("chroma", [False, True])
@pytest.mark.parametrize("size", [8, 64])
@pytest.mark.parametrize("fraction", [(0, 0), (0, 2), (2, 0), (2, 2)])
@pytest.mark.parametrize("direction", [1, 3])
def test_blocks_of_one_motion(direction, fraction, size, chroma, kernel_bench):
    height = width = 128
    rng = np.random.default_rng(size)
    sub = 1 if chroma else 0
    references = [rng.integers(0, 256, (height >> sub, width >> sub), np.uint8) for _ in range(2)]
    split = dict.fromkeys((64, 32, 16), float(size < 64))
    leaves = random_leaves(rng, height, width, split, halved=0.0)
    cells = height // 8, width // 8
    directions = np.full(cells, direction, np.uint8)
    vectors = np.broadcast_to(np.array(fraction, np.int16) + 4, (2, *cells, 2)).copy()
    packed = packed_motion(directions, vectors)
    out = np.zeros_like(references[0])

    def call():
        predict_rows(int(chroma), leaves, 0, -(-height // 64), packed, *references, out)
        return out

    name = f"predict {'chroma' if chroma else 'luma'} {size >> sub}, {direction:02b}, {fraction}"
    kernel_bench(
        name, out.size, call, lambda: reference.inter(references, directions, vectors, chroma)
    )
