"""Coding of inter canvases: what the searches find."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import HEIGHT, INTRA, WIDTH, X, Y
from nvcodec.encode.hybrid.analysis.lookahead import analyse
from nvcodec.encode.hybrid.canvas import CanvasSettings, Reference, code_inter
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.group import code_substreams, decode_group, default_prices
from nvcodec.model.hybrid.canvas.plane import Canvas, schedule
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.tasks import performed
from tests.encode.hybrid.pictures import planes_of, smooth_noise, sources


def code_chain(before, picture, preset="medium", q=24):
    """A chain canvas of one group, predicted from a picture as it is."""
    height, width = before.shape
    settings = CanvasSettings(width, height, 0, EFFORTS[preset])
    cells = height // 8, width // 8
    (key,) = schedule(1, key=True)
    canvas = Canvas(
        planes_of(before), np.zeros(cells, np.uint8), np.zeros((2, *cells, 2), np.int16), key
    )
    first, second = sources([before, picture])
    (step,) = schedule(1, key=False)
    analysis = analyse([second], first)
    map_ = np.full((-(-height // 32), -(-width // 32)), q, np.uint8)
    coded = performed(
        code_inter,
        settings,
        second,
        step,
        [performed(Reference.of, canvas)],
        analysis.coarse[0],
        map_,
        default_prices(1),
    )
    substreams = code_substreams([coded], settings)
    (decoded,) = performed(decode_group, settings, substreams, [coded.canvas], {-1: canvas})
    assert all(
        np.array_equal(a, b)
        for a, b in zip(decoded.canvas.planes, coded.canvas.planes, strict=True)
    )
    return coded, substreams


@pytest.mark.parametrize("preset", ["fast", "medium"])
@pytest.mark.parametrize("shift", [(2, -5), (-17, 30)])
def test_a_translation_is_found(preset, shift):
    before = smooth_noise((128, 192), 3)
    coded, substreams = code_chain(before, np.roll(before, shift, (0, 1)), preset)
    inner = coded.canvas.vectors[0, 4:-4, 4:-4]
    assert (inner == [-4 * shift[0], -4 * shift[1]]).all(-1).mean() > 0.95
    assert (coded.canvas.direction[4:-4, 4:-4] == 1).mean() > 0.95
    # What comes in at the edges is new.
    assert substreams.bytes < code_chain(before, smooth_noise((128, 192), 4), preset)[1].bytes / 2


@pytest.mark.parametrize(("preset", "intra"), [("medium", True), ("fast", False)])
def test_what_appears_from_nowhere_is_intra(preset, intra):
    before = smooth_noise((128, 128), 5)
    picture = before.copy()
    # Stripes that go on below each block, as no vector into the other picture tells.
    picture[32:96, 32:96] = (128 + 100 * np.sin(np.arange(64) ** 1.3))[None].astype(np.uint8)
    coded, _ = code_chain(before, picture, preset)
    leaves = coded.leaves[coded.leaves[:, INTRA] == 1]
    area = int((leaves[:, WIDTH] * leaves[:, HEIGHT]).sum())
    assert area > 64 * 64 / 4 if intra else area == 0
    assert ((leaves[:, [X, Y]] >= 24) & (leaves[:, [X, Y]] < 104)).all()
    error = coded.canvas.planes[0][32:96, 32:96].astype(float) - picture[32:96, 32:96]
    assert (error**2).mean() < REAL_STEP[24] ** 2
