"""Palettes: their prices, what is settled about them, and drawn pictures from source to canvas."""

from dataclasses import replace

import numpy as np
import pytest

from nvcodec.coding.hybrid.content import CONTENT_CONTEXTS, trace_content
from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    HEIGHT,
    INTRA,
    LEAF_COLUMNS,
    LEVEL_VALUE,
    MODE,
    PAINTED,
    PALETTE,
    UNIT_COUNT,
    UNIT_TRANSFORM,
    UNITS,
    WIDTH,
    Q,
)
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.analysis.repeats import drawn
from nvcodec.encode.hybrid.canvas import CanvasSettings
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.group import code_substreams
from nvcodec.encode.hybrid.passes import code_key_canvas
from nvcodec.encode.hybrid.search.block import NEVER
from nvcodec.encode.hybrid.search.palette import PaletteSearch, find_palette
from nvcodec.encode.hybrid.search.palette_tables import append_palette, settle_palettes
from nvcodec.encode.hybrid.search.units import make_pools
from nvcodec.encode.hybrid.tools import ALL
from nvcodec.picture import SampleFormat
from nvcodec.tasks import performed
from tests.encode.hybrid.rate.recount import random_contexts, traced_bits


def drawing(sample_format, height=64, width=96):
    """A picture of blocks of a few colours, in no order that any direction predicts."""
    rng = np.random.default_rng(1)
    scale = 1 << (sample_format.bit_depth - 8)
    indices = rng.choice(5, (height // 2, width // 2), p=[0.6, 0.1, 0.1, 0.1, 0.1])
    indices = np.repeat(np.repeat(indices, 2, 0), 2, 1)
    colours = np.array([[240, 20, 90, 150, 60], [128, 90, 200, 140, 128], [128, 180, 70, 99, 30]])
    across, down = sample_format.chroma_shift
    planes = [indices, *[indices[:: 1 << down, :: 1 << across]] * 2][: sample_format.planes]
    return tuple(
        (colours[number][plane] * scale).astype(sample_format.dtype)
        for number, plane in enumerate(planes)
    )


def test_prices_are_the_bits_of_coding():
    """A leaf of luma, whose first palette has no known colours."""
    rng = np.random.default_rng(3)
    for n, most in ((8, 2), (16, 7), (32, 40)):
        table = random_contexts(rng, CONTENT_CONTEXTS)
        probability = (table[:, 0] + table[:, 1]) / 131072
        costs = -np.log2(np.stack([1 - probability, probability], 1))[1769:1957].astype(np.float32)
        source = np.sort(rng.integers(0, 256, most))[rng.integers(0, most, (n, n))]
        source = np.where(rng.random((n, n)) < 0.5, 9, source).astype(np.uint8)
        found, pool = PaletteSearch.make(), make_pools(64, 64, 1)[0]
        place = source, 0, 0, 0, n, (0, 0, 0), 8
        cost = find_palette(found, costs, *place, 20.0, NEVER)
        append_palette(pool, found, 0, 0, 0, n, 0)
        units, levels = pool.units[:1], pool.levels[: pool.counts[1]]
        error = float(((levels[-n * n :, LEVEL_VALUE] - source.reshape(-1)) ** 2).sum())
        settle_palettes(units, levels)
        # The canvas ends with the leaf: nothing else of it is priced.
        leaves = np.zeros((1, LEAF_COLUMNS), np.int32)
        leaves[0, [WIDTH, HEIGHT, INTRA, Q, UNITS]] = n, n, 1, 30, 1
        leaves[0, MODE : MODE + 4] = PALETTE
        monochrome = SampleFormat(8, 0)
        trace = trace_content(leaves, units, levels, 30, False, 0, monochrome)
        count = int(units[0, UNIT_COUNT]) - n * n
        coded = traced_bits(trace, table)
        last = -1
        for colour in levels[:count, LEVEL_VALUE].tolist():
            coded += 8 if last < 0 else (255 - last).bit_length()
            last = colour
        assert cost == pytest.approx(error + 20.0 * coded, rel=1e-4)


@pytest.mark.parametrize(
    "sample_format",
    # Kernels for more than 8 bits take long to compile.
    [
        SampleFormat(8, 1),
        SampleFormat(8, 2),
        pytest.param(SampleFormat(10, 1), marks=pytest.mark.deep),
        pytest.param(SampleFormat(12, 0), marks=pytest.mark.deep),
        pytest.param(SampleFormat(12, 3), marks=pytest.mark.deep),
    ],
)
def test_a_drawing_is_painted_exactly(sample_format):
    planes = drawing(sample_format)
    assert drawn(planes[0])
    source = Pyramid.of(planes, 96, 64, sample_format)
    settings = CanvasSettings(96, 64, 0, EFFORTS["medium"], format=sample_format)
    q = np.full((2, 3), 24 + 6 * (sample_format.bit_depth - 8), np.uint8)
    sizes = {}
    for palettes in (True, False):
        tools = replace(ALL, copies=False, adaptive_filter=False, palettes=palettes)
        used = replace(settings, tools=tools)
        canvas = performed(code_key_canvas, used, source, q)
        painted = canvas.leaves[:, MODE] == PALETTE
        assert painted.any() == palettes
        sizes[palettes] = code_substreams([canvas], used).bytes
        if palettes:
            assert painted.mean() > 0.5
            assert (canvas.units[:, UNIT_TRANSFORM] == PAINTED).sum() >= painted.sum()
            if sample_format.chroma_format == 3:
                assert (canvas.leaves[:, CHROMA] == PALETTE).any()
            if painted.all():
                np.testing.assert_array_equal(canvas.canvas.planes[0], planes[0])
    assert sizes[True] < 0.7 * sizes[False]


def test_camera_pictures_are_not_drawn():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :96]
    luma = 120 + 90 * np.sin(x / 7) * np.cos(y / 5) + rng.normal(0, 2, (64, 96))
    assert not drawn(np.clip(luma, 0, 255).astype(np.uint8))
    assert not drawn(np.full((64, 64), 7, np.uint8))
    assert not drawn(np.zeros((4, 4), np.uint8))
