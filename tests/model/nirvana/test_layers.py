"""Layers of a group: chroma formats and bit depths (spec 11.3, 11.4, 13)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from nvcodec.coding.nirvana.components import NO_COMPONENTS
from nvcodec.encode.nirvana.effort import Effort
from nvcodec.encode.nirvana.group import GroupCoder
from nvcodec.format import CorruptError
from nvcodec.model.nirvana.layers import Layers, rebuild_parameters
from nvcodec.model.nirvana.parameters import Parameters
from nvcodec.model.nirvana.render import render_in_tasks
from nvcodec.picture import Planes, SampleFormat
from nvcodec.tasks import TaskPool
from tests.model.nirvana import reference
from tests.model.nirvana.samples import random_features
from tests.nirvana import random_components

FORMATS = [
    SampleFormat(depth, chroma)
    for depth, chroma in [
        (8, 1),
        (8, 0),
        (12, 0),
        (10, 1),
        (12, 1),
        (8, 2),
        (10, 2),
        (8, 3),
        (12, 3),
    ]
]
WIDTH, HEIGHT = 37, 21


@pytest.fixture
def tasks() -> Iterator[TaskPool]:
    pool = TaskPool(2)
    yield pool
    pool.close()


def named(samples: SampleFormat) -> str:
    return f"{samples.chroma_format}-{samples.bit_depth}"


@pytest.mark.parametrize("samples", FORMATS, ids=named)
def test_rendering_as_the_text(samples: SampleFormat, tasks: TaskPool) -> None:
    layers = Layers(WIDTH, HEIGHT, samples)
    rng = np.random.default_rng(samples.bit_depth)
    group, expected = [], []
    for k, grid in enumerate(layers.grids):
        features = random_features(rng, grid.rows, grid.columns, "calm")
        components = NO_COMPONENTS if k else random_components(rng, NO_COMPONENTS)
        group.append(Parameters(features, 30, 4, components))
        frames = reference.render(features, 30, components, samples.bit_depth)
        expected.append(frames)
    whole = (0, 0, WIDTH, HEIGHT)
    found = render_in_tasks(
        tasks.submit(lambda: tuple(group)), layers, [3, 1], whole, tasks
    ).result()
    for t, planes in zip((3, 1), found, strict=True):
        slow = [layer[t] for layer in expected]
        shapes = samples.plane_shapes(WIDTH, HEIGHT)
        for plane, other, (rows, columns) in zip(planes, slow, shapes, strict=True):
            assert plane.dtype == samples.dtype
            np.testing.assert_array_equal(plane, other[:rows, :columns])
    region = (8, 4, 30, 20)
    parts = render_in_tasks(
        tasks.submit(lambda: tuple(group)), layers, [3, 1], region, tasks
    ).result()
    for planes, part in zip(found, parts, strict=True):
        for plane, other in zip(samples.crop(planes, region), part, strict=True):
            np.testing.assert_array_equal(plane, other)


def test_grids() -> None:
    for samples in FORMATS:
        for k, (grid, shape) in enumerate(
            zip(Layers(37, 21, samples).grids, samples.plane_shapes(37, 21), strict=True)
        ):
            assert (grid.height, grid.width) == shape
            assert (grid.across, grid.down) == samples.plane_shift(k)


def film(samples: SampleFormat, count: int) -> list[Planes]:
    """Smooth pictures that move."""
    made = []
    for k in range(count):
        planes = []
        for number, (rows, columns) in enumerate(samples.plane_shapes(WIDTH, HEIGHT)):
            across, down = samples.plane_shift(number)
            y, x = np.mgrid[:rows, :columns] << np.array([down, across])[:, None, None]
            wave = np.sin((x + 2 * k + 5 * number) / 6) + np.cos((y - k) / 5)
            planes.append((samples.middle + samples.peak / 6 * wave).astype(samples.dtype))
        made.append(tuple(planes))
    return made


@pytest.mark.parametrize("effort", [Effort(), Effort(steps=1, saving=0.5)], ids=["fast", "slow"])
@pytest.mark.parametrize("samples", FORMATS, ids=named)
def test_coded_groups_come_back(samples: SampleFormat, effort: Effort, tasks: TaskPool) -> None:
    layers, pictures = Layers(WIDTH, HEIGHT, samples), film(samples, 6)
    before = None
    for part in (pictures[:4], pictures[4:]):
        coded = GroupCoder(layers, effort, tasks).code(part, before, 8)
        substreams = coded.content.result(), coded.motion, coded.network
        rebuilt = rebuild_parameters(layers, before, len(part), *substreams)
        for got, expected in zip(rebuilt, coded.parameters, strict=True):
            np.testing.assert_array_equal(got.features, expected.features)
            assert got.components == expected.components
        frames, shown = range(len(part)), (0, 0, WIDTH, HEIGHT)
        shown_planes = render_in_tasks(
            tasks.submit(lambda rebuilt=rebuilt: rebuilt), layers, frames, shown, tasks
        ).result()
        for picture, planes in zip(part, shown_planes, strict=True):
            for plane, other in zip(picture, planes, strict=True):
                wrong = (plane.astype(float) - other) / samples.peak
                assert np.sqrt(np.square(wrong).mean()) < 0.025
        long = substreams[0] + bytes(8) + b"\1"
        with pytest.raises(CorruptError, match="after the end"):
            rebuild_parameters(layers, before, len(part), long, *substreams[1:])
        before = rebuilt
