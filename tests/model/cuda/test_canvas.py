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
    CODED,
    COPY,
    CUT,
    DIRECTION,
    FIRST,
    HEIGHT,
    INTRA,
    LEAF_COLUMNS,
    LEVEL_COLUMNS,
    LINEAR,
    MODE,
    PAINTED,
    PALETTE,
    SINE,
    UNIT_COLUMNS,
    UNIT_HEIGHT,
    UNIT_PLANE,
    UNIT_TRANSFORM,
    UNIT_WIDTH,
    UNITS,
    WIDTH,
    Q,
    X,
    Y,
    last_index,
)
from nvcodec.coding.hybrid.secondary import SECONDARIES, SETS
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
from nvcodec.model.cuda.units import unit_tables
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
            blocks = (1, 4, 2, 2)[leaf[CUT]]
            chosen = [next(modes) % 35 for _ in range(blocks)]
            leaf[MODE : MODE + 4] = chosen * (4 // blocks)
    return made


def check(tables: list[ReadCanvas], size: tuple[int, int], samples: SampleFormat) -> None:
    for got, expected in compared(tables, size, samples, CPU):
        for plane, other in zip(got.planes, expected.planes, strict=True):
            np.testing.assert_array_equal(plane, other)


def all_shapes(rng: np.random.Generator, samples: SampleFormat, first: int) -> ReadCanvas:
    """A key canvas of 96 x 96 with intra leaves of each shape in a square of its own.

    All blocks have a unit; those of luma have all transforms in turn. Modes are every eleventh one
    from `first` on.
    """
    leaves, units, levels = [], [], []
    modes, chroma = itertools.count(first, 11), itertools.count(first, 11)
    turn = itertools.count(first)
    across, down = samples.chroma_shift

    def unit(plane: int, x: int, y: int, width: int, height: int) -> None:
        transforms = [0, *range(PAINTED + 1, PAINTED + 1 + SECONDARIES)]
        transforms += [SINE] if max(width, height) < 32 else []
        transform = transforms[next(turn) % len(transforms)] if plane == 0 else 0
        units.append((plane, x, y, width, height, len(levels), 6, transform))
        places = rng.choice(width * height if transform <= SINE else 16, 6, replace=False)
        if transform > SINE:
            places = places // 4 * width + places % 4
        levels.extend(
            (int(place), int(rng.integers(1, 10)) * (-1) ** k) for k, place in enumerate(places)
        )

    for number, (width, height) in enumerate(itertools.product((8, 16, 32), repeat=2)):
        corners = itertools.product(range(0, 32, height), range(0, 32, width))
        for k, (top, left) in enumerate(corners):
            x, y = number % 3 * 32 + left, number // 3 * 32 + top
            leaf = np.zeros(LEAF_COLUMNS, np.int32)
            leaf[[X, Y, WIDTH, HEIGHT]] = x, y, width, height
            leaf[[INTRA, CODED, FIRST]] = 1, 1, len(units)
            leaf[Q] = rng.integers(0, last_index(samples.bit_depth) + 1)
            leaf[CUT] = k % 4 if width == height == 8 else 0
            rows, columns = ((1, 1), (2, 2), (2, 1), (1, 2))[leaf[CUT]]
            chosen = [next(modes) % LINEAR for _ in range(rows * columns)]
            leaf[MODE : MODE + 4] = chosen * (4 // len(chosen))
            wide, tall = width // columns, height // rows
            for i, j in itertools.product(range(rows), range(columns)):
                unit(0, x + wide * j, y + tall * i, wide, tall)
            wide, tall = width >> across, height >> across
            if samples.planes > 1:
                leaf[CHROMA] = next(chroma) % COPY
            for plane in range(1, samples.planes):
                for part in range(1 << (across - down)):
                    unit(plane, x >> across, (y >> down) + tall * part, wide, tall)
            leaf[UNITS] = len(units) - leaf[FIRST]
            leaves.append(leaf)
    return ReadCanvas(
        0,
        np.array(leaves),
        np.array(units, np.int32).reshape(-1, UNIT_COLUMNS),
        np.array(levels, np.int32).reshape(-1, LEVEL_COLUMNS),
        None,
    )


@pytest.mark.usefixtures("large_tiles", "backwards")
@pytest.mark.parametrize(
    ("samples", "first"),
    [
        (YUV420P8, 0),
        (SampleFormat(10, 2), 5),
        *(
            pytest.param(samples, first, marks=pytest.mark.deep)
            for samples in SAMPLE_FORMATS
            for first in range(38 if samples == YUV420P8 else 3)
        ),
    ],
    ids=str,
)
def test_all_shapes_of_intra_blocks(samples: SampleFormat, first: int) -> None:
    size = 96, 96
    tables = all_shapes(np.random.default_rng(first), samples, first)
    check([tables], size, samples)


@pytest.mark.usefixtures("large_tiles", "backwards")
def test_bytes_equal_the_cpu() -> None:
    check(tables_of(48, EXTENT, YUV420P8), EXTENT, YUV420P8)


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
    assert tables[0].leaves[:, WIDTH].max() > 8
    check(tables, size, YUV420P8)


def test_the_canvases_reach_all_kinds() -> None:
    """What is compared without the mark `deep` has every kind of leaf and unit."""
    tables = tables_of(48, EXTENT, YUV420P8)
    leaves = np.concatenate([t.leaves for t in tables])
    intra = leaves[leaves[:, INTRA] != 0]
    modes = set(intra[:, MODE : MODE + 4].ravel().tolist())
    assert modes == {*range(35), COPY, PALETTE}
    assert set(intra[:, CHROMA].tolist()) > {0, 1, LINEAR, LINEAR + 1, LINEAR + 2, COPY}
    assert set(intra[:, CUT].tolist()) == {0, 1, 2, 3}
    assert set(leaves[:, DIRECTION].tolist()) == {0, 1, 2, 3}
    assert (leaves[:, WIDTH] != leaves[:, HEIGHT])[leaves[:, INTRA] == 0].any()
    _, leaves, units, levels, _ = all_shapes(np.random.default_rng(0), YUV420P8, 0)
    luma, chroma = units[units[:, UNIT_PLANE] == 0], units[units[:, UNIT_PLANE] != 0]
    sides = [UNIT_WIDTH, UNIT_HEIGHT]
    large = {*itertools.product((8, 16, 32), repeat=2)}
    small = {*itertools.product((4, 8, 16), repeat=2)}
    assert {*map(tuple, luma[:, sides].tolist())} == large | {(4, 4), (4, 8), (8, 4)}
    assert {*map(tuple, chroma[:, sides].tolist())} == small
    sine = luma[luma[:, UNIT_TRANSFORM] == SINE]
    assert {*map(tuple, sine[:, sides].tolist())} == small - {(4, 16), (16, 4)}
    unfolded = unit_tables(leaves, units, levels, Layout(YUV420P8, 96, 96), 0).unfolded
    sizes = unfolded[:, transform_kernels.SIDE]
    transposed = unfolded[:, transform_kernels.ROW_STEP] == 1
    assert {*zip(sizes.tolist(), transposed.tolist(), strict=True)} == {
        *itertools.product((2, 3), (False, True))
    }
    matrices = np.unique(unfolded[:, transform_kernels.MATRIX])
    assert len(matrices) > SETS * SECONDARIES


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
        (transform_kernels, "unfold"),
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
