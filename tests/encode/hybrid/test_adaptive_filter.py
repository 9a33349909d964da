"""The choice of adaptive filters: squared error against bits (spec 7.8, 8.8)."""

from __future__ import annotations

import numpy as np

from nvcodec.encode.hybrid.adaptive_filter import choose_filters
from nvcodec.model.hybrid.canvas.adaptive_filter import adaptively_filtered
from nvcodec.picture import YUV420P8
from nvcodec.tasks import performed

WIDTH, HEIGHT = 192, 128


def pictures(noise: float) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """A smooth picture, and it with noise."""
    rng = np.random.default_rng(3)
    shown, found = [], []
    for shape in YUV420P8.plane_shapes(WIDTH, HEIGHT):
        y, x = np.indices(shape)
        plane = 128 + 50 * np.sin(x / 9) + 40 * np.cos(y / 7)
        shown.append(plane.astype(np.uint8))
        noisy = plane + noise * rng.standard_normal(shape)
        found.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return tuple(found), tuple(shown)


def error(planes, picture) -> float:
    return sum(
        float(((a.astype(float) - b) ** 2).sum()) for a, b in zip(planes, picture, strict=True)
    )


def test_noise_is_filtered() -> None:
    planes, picture = pictures(6)
    filters, made = performed(choose_filters, planes, picture, 20.0, YUV420P8)
    assert filters.used.all()
    assert error(made, picture) < 0.5 * error(planes, picture)
    again = adaptively_filtered(planes, filters, YUV420P8)
    assert all(np.array_equal(a, b) for a, b in zip(made, again, strict=True))


def test_nothing_to_gain() -> None:
    planes, _ = pictures(6)
    filters, made = performed(choose_filters, planes, planes, 20.0, YUV420P8)
    assert not filters
    assert made is planes


def test_bits_that_are_too_dear() -> None:
    planes, picture = pictures(1)
    assert performed(choose_filters, planes, picture, 1.0, YUV420P8)[0]
    assert not performed(choose_filters, planes, picture, 1e9, YUV420P8)[0]


def test_what_a_filter_harms_is_left() -> None:
    """One root block is right as it is; the others have noise."""
    planes, picture = pictures(6)
    rng = np.random.default_rng(4)
    right = picture[0].copy()
    right[:64, :64] = rng.integers(0, 256, (64, 64))
    noisy = planes[0].copy()
    noisy[:64, :64] = right[:64, :64]
    filters, made = performed(
        choose_filters, (noisy, *planes[1:]), (right, *picture[1:]), 20.0, YUV420P8
    )
    assert filters.on[0, 0, 0] == 0
    assert filters.on[0, 1, 2] == 1
    np.testing.assert_array_equal(made[0][:64, :64], noisy[:64, :64])
