"""Blocks: their place, quantiser, lambdas and neighbours."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.search.block import (
    area_at,
    block_at,
    chroma_of,
    half_of,
    log2,
    narrower_beside,
    packed_size,
    smaller_beside,
)
from nvcodec.model.samples import plane_code
from nvcodec.picture import SampleFormat

from .given import as_compiled, canvas_input


def test_log2():
    assert [log2(n) for n in (4, 8, 16, 32, 64)] == [2, 3, 4, 5, 6]


def test_chroma_is_half_as_wide():
    given = canvas_input(np.zeros((64, 64), np.uint8), 30)
    assert chroma_of(given, 24, 40, 8, 16) == (12, 20, 4, 8)
    assert chroma_of(given, 64, 0, 64, 16) == (32, 0, 32, 8)
    codes = [plane_code(SampleFormat(8, 2), number) for number in range(3)]
    deep = given._replace(codes=tuple(codes), parts=2)
    assert chroma_of(deep, 24, 40, 8, 16) == (24, 20, 4, 8)


@pytest.mark.parametrize(("y", "x", "n"), [(0, 0, 64), (40, 88, 8), (32, 64, 32), (16, 48, 16)])
def test_a_block_has_the_quantiser_of_its_32(y, x, n):
    q = np.arange(6, dtype=np.uint8).reshape(2, 3) * 9
    b = block_at(canvas_input(np.zeros((64, 96), np.uint8), q), y, x, n)
    step = 2 ** ((int(q[y // 32, x // 32]) - 4) / 6)
    assert (b.y, b.x, b.wide, b.tall, b.q) == (y, x, n, n, q[y // 32, x // 32])
    assert 8 << b.level == n
    assert (b.slot, b.parent) == (b.level, b.level + 1)
    assert b.step == pytest.approx(step)
    # A bit is worth 0.085 squared steps, or 0.3 steps of SATD.
    assert b.lam == pytest.approx(0.085 * step**2)
    assert b.lam_satd == pytest.approx(0.3 * step)


def test_halves():
    given = canvas_input(np.zeros((64, 64), np.uint8), 30)
    b = as_compiled(block_at(given, 0, 32, 32))
    found = [half_of(given, b, beside, second, 5) for beside in range(2) for second in range(2)]
    places = [(h.y, h.x, h.wide, h.tall) for h in found]
    assert places == [(0, 32, 32, 16), (16, 32, 32, 16), (0, 32, 16, 32), (0, 48, 16, 32)]
    assert {(h.level, h.slot, h.parent) for h in found} == {(1, 5, 2)}
    strip = half_of(given, as_compiled(found[3]), 1, 1, 6)
    assert (strip.y, strip.x, strip.wide, strip.tall) == (0, 56, 8, 32)
    assert (strip.level, strip.slot, strip.parent) == (1, 6, 5)


def test_smaller_leaves_beside():
    rng = np.random.default_rng(0)
    sides = rng.choice([8, 16, 32, 64], (2, 32, 32))
    sizes = np.array([packed_size(*at) for at in sides.reshape(2, -1).T], np.uint8).reshape(32, 32)
    given = canvas_input(np.zeros((256, 256), np.uint8), 30)
    found = set()
    for w, h in ((8, 8), (16, 16), (32, 32), (64, 64), (8, 32), (32, 16), (64, 16)):
        for y in range(0, 256, h):
            for x in range(0, 256, w):
                left = int(x > 0 and sides[1, y // 8, x // 8 - 1] < h)
                above = int(y > 0 and sides[0, y // 8 - 1, x // 8] < w)
                b = as_compiled(area_at(given, y, x, w, h, -1, -1))
                assert smaller_beside(sizes, b) == left + above
                assert narrower_beside(sizes, b) == 1 + above - left
                found.add((left, above))
    assert len(found) == 4
