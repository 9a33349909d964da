from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.plane import Step, coded_size, schedule
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.picture import YUV420P8, SampleFormat
from tests.model.hybrid.canvas import reference
from tests.model.hybrid.canvas.tables import random_tables


def check(canvas, tables, canvases, offset):
    leaves, units, levels = tables
    rows, columns = canvas.direction.shape
    if canvas.step.set:
        given = [(c.step, c.direction, c.vectors) for c in canvases]
        projection = reference.projected(canvas.step, *given) if canvas.step.set == 2 else {}
        chain = canvas.step.set == 1
        cells = reference.motion(leaves, chain, rows * 8, columns * 8, projection)
        for cell, (direction, v0, v1) in cells.items():
            assert canvas.direction[cell] == direction
            assert canvas.vectors[(slice(None), *cell)].tolist() == [list(v0), list(v1)]
    else:
        assert not canvas.direction.any()
    planes = [c.planes for c in canvases]
    expected = reference.reconstruct(
        leaves, units, levels, canvas.direction, canvas.vectors, planes, offset, canvas.format
    )
    for plane, other in zip(canvas.planes, expected, strict=True):
        assert np.array_equal(plane, other)


@pytest.mark.parametrize(
    ("width", "height", "most", "offset", "seed", "fmt"),
    [
        (72, 40, 40, 0, 0, YUV420P8),
        (8, 8, 40, 12, 1, YUV420P8),
        (136, 72, 16383, -12, 2, YUV420P8),
        (64, 128, 5, 3, 3, YUV420P8),
        (72, 40, 40, 0, 4, SampleFormat(10, 1)),
        (72, 64, 40, -12, 5, SampleFormat(12, 1)),
        (72, 40, 40, 0, 6, SampleFormat(8, 0)),
        (72, 40, 40, 3, 7, SampleFormat(8, 2)),
        (72, 64, 40, 12, 8, SampleFormat(10, 2)),
        (72, 40, 40, -5, 9, SampleFormat(8, 3)),
        (64, 72, 40, 0, 10, SampleFormat(12, 3)),
    ],
)
def test_groups(width, height, most, offset, seed, fmt):
    """A key group and two others, canvas by canvas."""
    rng = np.random.default_rng(seed)
    split = {64: 0.7, 32: 0.5, 16: 0.5}
    last = None
    with ThreadPoolExecutor(2) as pool:
        for frames, key in ((1, True), (3, False), (4, False)):
            canvases = {-1: last}
            for step in schedule(frames, key):
                q = None if seed % 2 else 36 + 6 * (fmt.bit_depth - 8)
                tables = random_tables(rng, height, width, step.set, split, most, q, fmt=fmt)
                used = [canvases[k] for k in (step.a, step.b) if k is not None]
                canvas = reconstruct(
                    *tables, step, used, (width, height), offset, sample_format=fmt
                )
                check(canvas, tables, used, offset)
                shared = reconstruct(
                    *tables, step, used, (width, height), offset, pool, sample_format=fmt
                )
                for plane, other in zip(canvas.planes, shared.planes, strict=True):
                    assert np.array_equal(plane, other)
                canvases[step.frame] = last = canvas
            last = canvases[frames - 1]


def test_schedule():
    assert schedule(1, True) == [Step(0, None, None, 0)]
    assert schedule(1, False) == [Step(0, -1, None, 0)]
    steps = schedule(8, False)
    assert [(s.frame, s.a, s.b, s.depth) for s in steps] == [
        (7, -1, None, 0),
        (3, -1, 7, 1),
        (1, -1, 3, 2),
        (5, 3, 7, 2),
        (0, -1, 1, 3),
        (2, 1, 3, 3),
        (4, 3, 5, 3),
        (6, 5, 7, 3),
    ]
    for frames in range(1, 33):
        steps = schedule(frames, False)
        assert sorted(s.frame for s in steps) == list(range(frames))
        done = {-1}
        for step in steps:
            assert done.issuperset(step.references)
            done.add(step.frame)
    for second, frames in ((1, [-1, -2]), (2, [-1, -3])):
        chain = schedule(2, False, second)[0]
        assert (chain.set, chain.references) == (1, frames)
    with pytest.raises(ValueError, match="key group"):
        schedule(2, True)


def test_sizes():
    assert coded_size(1, 17) == (8, 24)
    rng = np.random.default_rng(0)
    tables = random_tables(rng, 24, 16, 0, {64: 1, 32: 1, 16: 0.5})
    canvas = reconstruct(*tables, schedule(1, True)[0], [], (16, 24), 0)
    assert [p.shape for p in canvas.crop(15, 17)] == [(17, 15), (9, 8), (9, 8)]


@pytest.mark.parametrize("canvas_set", [0, 1, 2])
def test_whole_canvas(canvas_set, kernel_bench):
    width, height = 136, 72
    rng = np.random.default_rng(canvas_set)
    split = {64: 0.7, 32: 0.5, 16: 0.5}
    key = reconstruct(
        *random_tables(rng, height, width, 0, split), schedule(1, True)[0], [], (width, height), 0
    )
    steps = Step(0, None, None, 0), Step(0, -1, None, 0), Step(0, -1, 1, 1)
    step, references = steps[canvas_set], [key] * canvas_set
    tables = random_tables(rng, height, width, canvas_set, split, q=30)
    planes = [canvas.planes for canvas in references]
    motion = reconstruct(*tables, step, references, (width, height), 0)

    def slow():
        return reference.reconstruct(*tables, motion.direction, motion.vectors, planes, 0)

    kernel_bench(
        f"reconstruct {width}x{height}, set {canvas_set}",
        width * height * 3 // 2,
        lambda: reconstruct(*tables, step, references, (width, height), 0).planes,
        slow,
    )
