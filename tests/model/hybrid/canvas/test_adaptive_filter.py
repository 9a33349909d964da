"""Adaptive filters of a canvas (spec 8.8): kernels against the text."""

from __future__ import annotations

import numpy as np
import pytest

from nvcodec.coding.hybrid.filters import Filters
from nvcodec.model.hybrid.canvas.adaptive_filter import (
    adaptively_filtered,
    luma_classes,
    padded_plane,
)
from nvcodec.picture import YUV420P8, SampleFormat
from tests.coding.hybrid.test_filters import random_filters

ACTIVITY = (0, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4)
LUMA = (
    (0, 1), (0, 2), (0, 3), (1, -2), (1, -1), (1, 0),
    (1, 1), (1, 2), (2, -1), (2, 0), (2, 1), (3, 0),
)  # fmt: skip
CHROMA = ((0, 1), (0, 2), (1, -1), (1, 0), (1, 1), (2, 0))


def at(plane, y, x):
    height, width = plane.shape
    return int(plane[min(max(y, 0), height - 1), min(max(x, 0), width - 1)])


def slow_class(plane, y0, x0, extra):
    sums = [0, 0, 0, 0]
    for y in range(y0 - 2, y0 + 6):
        for x in range(x0 - 2, x0 + 6):
            if (x + y) % 2 == 0:
                for k, (v, u) in enumerate(((1, 0), (0, 1), (1, 1), (1, -1))):
                    second = 2 * at(plane, y, x) - at(plane, y - v, x - u) - at(plane, y + v, x + u)
                    sums[k] += abs(second)
    vertical, horizontal, falling, rising = sums
    a, b = max(vertical, horizontal), min(vertical, horizontal)
    c, d = max(falling, rising), min(falling, rising)
    kind = 0
    if a * d >= c * b:
        if a > 2 * b:
            kind = 1 if vertical > horizontal else 2
    elif c > 2 * d:
        kind = 3 if falling > rising else 4
    return 5 * kind + ACTIVITY[min(15, (vertical + horizontal) >> (5 + extra))]


def slow(planes, filters, fmt):
    out = []
    for number, plane in enumerate(planes):
        made = plane.copy()
        across, down = fmt.chroma_shift if number else (0, 0)
        for y, x in np.ndindex(plane.shape):
            if not filters.used[number]:
                break
            if not filters.on[number, (y << down) // 64, (x << across) // 64]:
                continue
            f = 0
            if number == 0:
                k = slow_class(plane, y // 4 * 4, x // 4 * 4, fmt.bit_depth - 8)
                f = filters.classes[k]
            s, total = at(plane, y, x), 64
            for i, (v, u) in enumerate(CHROMA if number else LUMA):
                pair = at(plane, y + v, x + u) + at(plane, y - v, x - u)
                total += int(filters.taps[number, f, i]) * (pair - 2 * s)
            made[y, x] = min(fmt.peak, max(0, s + (total >> 7)))
        out.append(made)
    return tuple(out)


def textured(rng, shape, fmt):
    """Flat parts, edges in all directions, and noise."""
    y, x = np.indices(shape)
    waves = [np.sin(0.9 * y), np.sin(0.9 * x), np.sin(0.7 * (x + y)), np.sin(0.7 * (x - y))]
    kind = (x // 12 + y // 8) % 6
    value = np.zeros(shape)
    for k, wave in enumerate(waves):
        value = np.where(kind == k, 60 * wave, value)
    value = np.where(kind == 4, rng.normal(0, 40, shape), value) + 128
    return np.clip(value * 2 ** (fmt.bit_depth - 8), 0, fmt.peak).astype(fmt.dtype)


@pytest.mark.parametrize(
    "fmt", [YUV420P8, SampleFormat(8, 0), SampleFormat(10, 2), SampleFormat(12, 3)], ids=str
)
def test_planes(fmt, kernel_bench):
    rng = np.random.default_rng(fmt.bit_depth)
    width, height = 72, 24
    planes = tuple(textured(rng, shape, fmt) for shape in fmt.plane_shapes(width, height))
    filters = Filters.empty(fmt.planes, width, height)
    while not filters.used.all():
        filters = random_filters(rng, fmt.planes, width, height)
    filters.on[:] = rng.integers(0, 2, filters.on.shape)
    filters.on[:, 0, 0] = 1
    kernel_bench(
        f"adaptive filters {width}x{height}, {fmt}",
        width * height,
        lambda: adaptively_filtered(planes, filters, fmt),
        lambda: slow(planes, filters, fmt),
    )


def test_all_kinds_of_classes():
    rng = np.random.default_rng(1)
    plane = textured(rng, (128, 192), YUV420P8)
    classes = luma_classes(padded_plane(plane), 0)
    assert set(np.unique(classes // 5)) == {0, 1, 2, 3, 4}
    for y, x in ((0, 0), (31, 47), (8, 20)):
        assert classes[y, x] == slow_class(plane, 4 * y, 4 * x, 0)


def test_planes_without_filters_are_not_copied():
    planes = tuple(np.zeros(shape, np.uint8) for shape in YUV420P8.plane_shapes(16, 16))
    made = adaptively_filtered(planes, Filters.empty(3, 16, 16), YUV420P8)
    assert all(one is other for one, other in zip(planes, made, strict=True))
