"""The kernels of canvases, in Triton's interpreter, give the same samples as the CPU."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from nvcodec.coding.hybrid.canvases import ReadCanvas
from nvcodec.coding.hybrid.filters import Filters
from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    COPY,
    DIRECTION,
    FOUR,
    INTRA,
    LINEAR,
    MODE,
    PALETTE,
    SIZE,
    UNIT_PLANE,
    UNIT_SINE,
    UNIT_SIZE,
)
from nvcodec.format import UnsupportedError
from nvcodec.picture import SAMPLE_FORMATS, YUV420P8, SampleFormat
from tests.model.hybrid.canvas.tables import random_tables

pytest.importorskip("triton", reason="Triton is not installed")

from nvcodec.model.cuda import (
    canvas,
    canvas_check,
    filter_kernels,
    intra_kernels,
    motion_kernels,
    transform_kernels,
)
from nvcodec.model.cuda.canvas_check import compared, require_exact_canvases
from nvcodec.model.cuda.packed import Layout
from nvcodec.model.cuda.waves import Waves, intra_waves

pytestmark = pytest.mark.usefixtures("quick_interpreter")

CPU = torch.device("cpu")
EXTENT = 48, 32
SPLIT = {64: 0.7, 32: 0.8, 16: 0.7}


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of a wave run in reverse, as those of a device may."""

    def reverse(*arguments: Any) -> Waves:
        waves = intra_waves(*arguments)
        programs = waves.programs.copy()
        for begin, end in zip([0, *waves.ends], waves.ends, strict=False):
            programs[begin:end] = programs[begin:end][::-1]
        return waves._replace(programs=programs)

    monkeypatch.setattr(canvas, "intra_waves", reverse)


def tables_of(seed: int, size: tuple[int, int], samples: SampleFormat) -> list[ReadCanvas]:
    """Tables of the canvases of STEPS, with filters where canvases have them."""
    rng = np.random.default_rng(seed)
    width, height = size
    made = []
    for step in canvas_check.STEPS:
        two = step.b is not None
        tables = random_tables(rng, height, width, step.set, SPLIT, fmt=samples, two=two)
        filters = None
        if step.set < 2:
            filters = Filters.empty(samples.planes, width, height)
            filters.used[:] = 1
            filters.counts[0] = 8
            filters.classes[:] = rng.integers(0, 8, 25)
            filters.taps[:] = rng.integers(-20, 21, filters.taps.shape)
            filters.on[:] = rng.random(filters.on.shape) < 0.8
        made.append(ReadCanvas(0, *tables, filters))
    # A few blocks shall have all modes.
    modes = itertools.cycle(range(0, 35 * 12, 12))
    chroma = itertools.cycle([LINEAR, LINEAR + 1, LINEAR + 2, 0, 1, 10, 26, 3, 22])
    for leaf in made[0].leaves:
        if leaf[MODE] == PALETTE:
            continue
        if samples.planes > 1:
            leaf[CHROMA] = COPY if leaf[MODE] == COPY else next(chroma)
        if leaf[MODE] != COPY:
            for k in range(4 if leaf[FOUR] else 1):
                leaf[MODE + k : MODE + 4] = next(modes) % 35
    return made


def check(tables: list[ReadCanvas], size: tuple[int, int], samples: SampleFormat) -> None:
    for got, expected in compared(tables, size, samples, CPU):
        for plane, other in zip(got.planes, expected.planes, strict=True):
            np.testing.assert_array_equal(plane, other)


@pytest.mark.usefixtures("large_tiles", "backwards")
def test_bytes_equal_the_cpu() -> None:
    check(tables_of(43, EXTENT, YUV420P8), EXTENT, YUV420P8)


@pytest.mark.usefixtures("large_tiles", "backwards")
@pytest.mark.parametrize(
    "samples",
    [
        SampleFormat(8, 0),
        SampleFormat(8, 2),
        SampleFormat(8, 3),
        *(s for s in SAMPLE_FORMATS if s.bit_depth > 8),
    ],
    ids=str,
)
def test_other_formats(samples: SampleFormat) -> None:
    size = 24, 24
    check(tables_of(1, size, samples)[:2], size, samples)


@pytest.mark.deep
@pytest.mark.usefixtures("large_tiles", "backwards")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("samples", SAMPLE_FORMATS, ids=str)
def test_larger_canvases(samples: SampleFormat, seed: int) -> None:
    size = 136, 80
    check(tables_of(seed, size, samples), size, samples)


def test_tiles_of_a_device() -> None:
    """Blocks of more than a tile, edges and levels in several."""
    size = 32, 32
    tables = tables_of(4, size, YUV420P8)[:2]
    assert tables[0].leaves[:, SIZE].max() > 8
    check(tables, size, YUV420P8)


def test_the_canvases_reach_all_kinds() -> None:
    """What `test_bytes_equal_the_cpu` compares has every kind of leaf and unit."""
    tables = tables_of(43, EXTENT, YUV420P8)
    leaves = np.concatenate([t.leaves for t in tables])
    all_units = np.concatenate([t.units for t in tables])
    intra = leaves[leaves[:, INTRA] != 0]
    modes = set(intra[:, MODE : MODE + 4].ravel().tolist())
    assert modes == {*range(35), COPY, PALETTE}
    assert set(intra[:, CHROMA].tolist()) > {0, 1, LINEAR, LINEAR + 1, LINEAR + 2, COPY}
    assert intra[:, FOUR].any()
    assert set(leaves[:, DIRECTION].tolist()) == {0, 1, 2, 3}
    luma = all_units[all_units[:, UNIT_PLANE] == 0]
    assert set(luma[:, UNIT_SIZE].tolist()) == {4, 8, 16, 32}
    assert set(luma[luma[:, UNIT_SINE] != 0][:, UNIT_SIZE].tolist()) == {4, 8, 16}


def test_waves_cover_each_sample_once() -> None:
    for chroma in range(4):
        layout = Layout(SampleFormat(8, chroma), *EXTENT)
        leaves = tables_of(chroma, EXTENT, layout.format)[0].leaves
        direction = np.zeros(layout.cells, np.uint8)
        waves = intra_waves(leaves, direction, layout, 16)
        count = np.zeros(layout.samples, int)
        for place, plane, _, _, width, height, *_ in waves.blocks:
            stride = layout.shapes[plane][1]
            for line in range(height):
                count[place + line * stride : place + line * stride + width] += 1
        assert (count == 1).all()
        assert len(waves.programs) == waves.ends[-1] == layout.samples // 16
        assert len(np.unique(waves.programs, axis=0)) == len(waves.programs)


@pytest.mark.deep
@pytest.mark.usefixtures("large_tiles")
def test_a_device_that_computes_exactly_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas_check, "_SIZE", (16, 16))
    monkeypatch.setattr(canvas_check, "_SEEDS", 1)
    require_exact_canvases.__wrapped__(YUV420P8, CPU)


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize(
    ("module", "name"),
    [
        (transform_kernels, "dequantise"),
        (transform_kernels, "transform_rows"),
        (motion_kernels, "predict"),
        (intra_kernels, "intra_wave"),
        (filter_kernels, "deblock_luma"),
        pytest.param(filter_kernels, "filter_plane", marks=pytest.mark.deep),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_device_that_does_not_fails(
    module: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves some tiles out."""
    monkeypatch.setattr(canvas_check, "_SIZE", (40, 24))
    right = getattr(module, name)

    class Wrong:
        def __getitem__(self, grid: tuple[int, ...]) -> Any:
            return right[(grid[0] - 1, *grid[1:])] if grid[0] > 1 else lambda *_, **__: None

    monkeypatch.setattr(module, name, Wrong())
    with pytest.raises(UnsupportedError, match="not computed exactly"):
        require_exact_canvases.__wrapped__(YUV420P8, CPU)
