"""Blocks: their place, quantiser, lambdas and neighbours."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.search.block import block_at, chroma_of, log2, smaller_beside
from nvcodec.model.samples import plane_code
from nvcodec.picture import SampleFormat

from .given import canvas_input


def test_log2():
    assert [log2(n) for n in (4, 8, 16, 32, 64)] == [2, 3, 4, 5, 6]


def test_chroma_is_half_as_wide():
    given = canvas_input(np.zeros((64, 64), np.uint8), 30)
    assert chroma_of(given, 24, 40, 8) == (12, 20, 4)
    assert chroma_of(given, 64, 0, 64) == (32, 0, 32)
    codes = [plane_code(SampleFormat(8, 2), number) for number in range(3)]
    assert chroma_of(given._replace(codes=tuple(codes), parts=2), 24, 40, 8) == (24, 20, 4)


@pytest.mark.parametrize(("y", "x", "n"), [(0, 0, 64), (40, 88, 8), (32, 64, 32), (16, 48, 16)])
def test_a_block_has_the_quantiser_of_its_32(y, x, n):
    q = np.arange(6, dtype=np.uint8).reshape(2, 3) * 9
    b = block_at(canvas_input(np.zeros((64, 96), np.uint8), q), y, x, n)
    step = 2 ** ((int(q[y // 32, x // 32]) - 4) / 6)
    assert (b.y, b.x, b.n, b.q) == (y, x, n, q[y // 32, x // 32])
    assert 8 << b.level == n
    assert b.step == pytest.approx(step)
    # A bit is worth 0.085 squared steps, or 0.3 steps of SATD.
    assert b.lam == pytest.approx(0.085 * step**2)
    assert b.lam_satd == pytest.approx(0.3 * step)


def test_smaller_leaves_beside():
    rng = np.random.default_rng(0)
    sizes = rng.choice([8, 16, 32, 64], (32, 32)).astype(np.uint8)
    given = canvas_input(np.zeros((256, 256), np.uint8), 30)
    found = set()
    for n in (8, 16, 32, 64):
        for y in range(0, 256, n):
            for x in range(0, 256, n):
                beside = [(y // 8, x // 8 - 1)] * (x > 0) + [(y // 8 - 1, x // 8)] * (y > 0)
                smaller = sum(int(sizes[place] < n) for place in beside)
                assert smaller_beside(sizes, block_at(given, y, x, n)) == smaller
                found.add(smaller)
    assert found == {0, 1, 2}
