"""Squares that occur again, and leaves that are copied from them."""

from dataclasses import replace

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import COPY, MODE
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.analysis.repeats import (
    _is_textured,
    _is_textured_sparsely,
    earlier_places,
    repeats,
)
from nvcodec.encode.hybrid.canvas import CanvasSettings
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.group import code_substreams
from nvcodec.encode.hybrid.passes import code_key_canvas
from nvcodec.encode.hybrid.tools import ALL
from nvcodec.picture import YUV420P8
from nvcodec.tasks import performed


def page(seed, letters=12, size=128):
    """Rows of the same few letters on a plain ground, at any even place."""
    rng = np.random.default_rng(seed)
    font = rng.integers(0, 2, (letters, 10, 10)) * 180
    luma = np.full((size, size), 230, np.uint8)
    for y in range(4, size - 12, 14):
        x = 4 + 2 * int(rng.integers(3))
        while x < size - 12:
            luma[y : y + 10, x : x + 10] -= font[rng.integers(letters)].astype(np.uint8)
            x += 12
    return luma


def test_earlier_places_hold_the_same_samples():
    luma = page(1)
    earlier = earlier_places(luma)
    assert earlier.shape == luma.shape
    found = np.argwhere(earlier >= 0)
    assert len(found) > 1000
    for y, x in found:
        before = divmod(int(earlier[y, x]), luma.shape[1])
        assert before < (y, x)
        square = luma[before[0] : before[0] + 8, before[1] : before[1] + 8]
        np.testing.assert_array_equal(square, luma[y : y + 8, x : x + 8])


def test_pictures_without_repeats_have_no_places():
    rng = np.random.default_rng(2)
    chroma = np.full((32, 48), 128, np.uint8)
    for luma in (rng.integers(0, 256, (64, 96), np.uint8), np.full((64, 96), 7, np.uint8)):
        source = Pyramid.of((luma, chroma, chroma), 96, 64, YUV420P8)
        assert not source.repeats
        assert source.earlier.size == 0
    assert not repeats(np.full((8, 8), 7, np.uint8))


@pytest.mark.parametrize("size", [(64, 96), (61, 93), (17, 60)])
def test_texture_of_every_eighth_row(size):
    rng = np.random.default_rng(4)
    luma = rng.choice([9, 9, 9, 9, 9, 9, 9, 9, 200], size).astype(np.uint8)
    luma[: size[0] // 2, 20:40] = rng.integers(0, 256, 20)
    luma[8:, 50:] = luma[8:, 50:51]
    found = _is_textured_sparsely(luma)
    np.testing.assert_array_equal(found, _is_textured(luma)[::8])
    assert found.any()


def test_letters_that_occur_again_are_copied():
    luma = page(3)
    chroma = np.full((64, 64), 128, np.uint8)
    source = Pyramid.of((luma, chroma, chroma), 128, 128, YUV420P8)
    settings = CanvasSettings(128, 128, 0, EFFORTS["medium"])
    quantisers = np.full((4, 4), 30, np.uint8)
    sizes = {}
    for copies in (True, False):
        used = replace(settings, tools=replace(ALL, copies=copies))
        canvas = performed(code_key_canvas, used, source, quantisers)
        assert (canvas.leaves[:, MODE] == COPY).any() == copies
        sizes[copies] = code_substreams([canvas], used).bytes
    assert sizes[True] < 0.7 * sizes[False]
