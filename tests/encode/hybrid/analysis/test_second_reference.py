"""The second reference of a chain canvas: which earlier canvas the encoder takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvcodec.encode.hybrid.analysis.coarse import coarse_motion
from nvcodec.encode.hybrid.analysis.lookahead import COARSE_COST
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.analysis.second_reference import choose_second
from nvcodec.encode.hybrid.tools import ALL
from nvcodec.model.hybrid.canvas.plane import EARLIER, KEY, Canvas, Step
from nvcodec.picture import YUV420P8
from nvcodec.tasks import performed

WIDTH, HEIGHT = 128, 96


def picture(seed: int) -> np.ndarray:
    """Luma with structure of some samples' size."""
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 4, WIDTH // 4))
    return np.kron(noise, np.ones((4, 4))).astype(np.uint8)


def canvas(luma: np.ndarray) -> Canvas:
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    cells = np.zeros((HEIGHT // 8, WIDTH // 8), np.uint8)
    vectors = np.zeros((2, *cells.shape, 2), np.int16)
    return Canvas((luma, chroma, chroma), cells, vectors, Step(0, None, None, 0))


def choose(luma: np.ndarray, canvases: dict[int, Canvas], tools=ALL):
    sources = [
        Pyramid.of(canvas(part).planes, WIDTH, HEIGHT, YUV420P8)
        for part in (luma, canvases[-1].planes[0])
    ]
    coarse = coarse_motion(sources[0].small, sources[1].small, COARSE_COST)[None]
    second, fields = performed(choose_second, sources[0], coarse, canvases, tools)
    np.testing.assert_array_equal(fields[0], coarse[0])
    return second, len(fields)


def test_the_only_canvas_is_both_references() -> None:
    only = canvas(picture(0))
    assert choose(picture(0), {-1: only, KEY: only}) == (2, 2)


@pytest.mark.parametrize(("frame", "second"), [(EARLIER, 1), (KEY, 2)])
def test_what_comes_back(frame: int, second: int) -> None:
    """Only one earlier canvas has what the last one does not show."""
    canvases = {k: canvas(picture(-k)) for k in (-1, EARLIER, KEY)}
    shown = canvases[-1].planes[0].copy()
    shown[:, 64:] = canvases[frame].planes[0][:, 64:]
    assert choose(shown, canvases) == (second, 2)


def test_without_the_tool() -> None:
    canvases = {k: canvas(picture(-k)) for k in (-1, EARLIER, KEY)}
    assert choose(picture(1), canvases, replace(ALL, second_reference=False)) == (0, 1)
