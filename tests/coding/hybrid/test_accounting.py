"""Bits by kind of syntax element: they add up to the substreams."""

import pytest

from nvcodec.coding.hybrid.accounting import KINDS, spent_bits
from nvcodec.coding.hybrid.leaves import AFFINE, GRADIENTS, HEIGHT, INDEX, INTRA, MERGE, WIDTH
from nvcodec.model.hybrid.canvas.plane import schedule
from nvcodec.picture import YUV420P8
from tests.hybrid import code, random_canvases


@pytest.mark.parametrize(("frames", "key", "second"), [(1, True, 0), (3, False, 0), (2, False, 2)])
def test_bits_add_up_to_the_bytes(frames, key, second):
    size = 136, 72
    steps = schedule(frames, key, second)
    content, motion = code(random_canvases(steps, size, 4), steps, size)
    canvases = [(step.set, step.b is not None) for step in steps]
    found = spent_bits(motion, content, canvases, size, YUV420P8)
    assert [set(bits) for bits in found] == [set(KINDS)] * frames
    total = sum(sum(bits.values()) for bits in found)
    # The end of each substream is rounded up to bytes, of which trailing zeros are left out.
    assert total == pytest.approx(8 * (len(motion) + len(content)), abs=80)
    for (canvas_set, _), bits in zip(canvases, found, strict=True):
        assert min(bits.values()) > -0.05
        assert bits["levels"] > 0
        assert (bits["merging"] > 0) == (canvas_set > 0)
        assert (bits["filters"] > 0) == (canvas_set < 2)


def test_affine_leaves_spend_on_merging_and_vectors():
    size, steps = (136, 72), schedule(3, False, 0)
    canvases = random_canvases(steps, size, 1)

    def spent(affine):
        for leaves in (canvas.leaves for canvas in canvases):
            may = (leaves[:, INTRA] == 0) & (leaves[:, [WIDTH, HEIGHT]].min(1) >= 16)
            leaves[may, AFFINE] = affine
            leaves[may, INDEX] &= 3
            leaves[may & (leaves[:, MERGE] == 0), GRADIENTS : GRADIENTS + 4] = 20 * affine
        content, motion = code(canvases, steps, size)
        sets = [(step.set, step.b is not None) for step in steps]
        return spent_bits(motion, content, sets, size, YUV420P8)

    for bits, more in zip(spent(0), spent(1), strict=True):
        changed = {kind for kind in KINDS if more[kind] != pytest.approx(bits[kind], abs=0.01)}
        assert changed == {"merging", "vectors"}
