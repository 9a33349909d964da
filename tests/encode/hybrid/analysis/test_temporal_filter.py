"""The temporal filter: nearer to what pictures trust, and nothing where they trust nothing."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.analysis.temporal_filter import filtered, tolerances, trust_in_others
from nvcodec.encode.hybrid.rate.tradeoff import BASE, CANVAS_STRENGTH
from nvcodec.picture import YUV420P8, SampleFormat
from tests.encode.hybrid.pictures import smooth_noise

WIDTH, HEIGHT = 136, 104
Q = np.full((4, 5), 34, np.uint8)
ALL = np.ones((4, 5), np.float32)


def planes_of(luma, fmt):
    """Planes with chroma like luma, of 8-bit samples as floats."""
    across, down = fmt.chroma_shift
    chroma = luma[:: 1 << down, :: 1 << across]
    scale, peak = 1 << (fmt.bit_depth - 8), fmt.peak
    return tuple(
        np.clip(np.rint(plane * scale), 0, peak).astype(fmt.dtype)
        for plane in (luma, chroma, chroma)[: fmt.planes]
    )


def made(clean, fmt, noise=0.0):
    """Each picture with its own noise."""
    rng = np.random.default_rng(1)
    found = []
    for luma in clean:
        noisy = luma + noise * rng.normal(size=luma.shape)
        found.append(Pyramid.of(planes_of(noisy, fmt), WIDTH, HEIGHT, fmt))
    return found


def errors(pyramid, clean, fmt):
    """Mean squared error of each plane."""
    pairs = zip(pyramid.planes, planes_of(clean, fmt), strict=True)
    return np.array([np.square(a.astype(float) - b).mean() for a, b in pairs])


@pytest.mark.parametrize(
    "fmt", [YUV420P8, SampleFormat(10, 2), SampleFormat(8, 0), SampleFormat(12, 3)], ids=str
)
@pytest.mark.parametrize("motion", [(0, 0), (3, -7)])
def test_noise_is_averaged_along_motion(fmt, motion):
    texture = smooth_noise((HEIGHT + 80, WIDTH + 80), 0).astype(float)
    clean = [
        texture[40 + k * motion[0] :, 40 + k * motion[1] :][:HEIGHT, :WIDTH] for k in range(-4, 5)
    ]
    pictures = made(clean, fmt, 4.0)
    q = Q + 6 * (fmt.bit_depth - 8)
    found = filtered(pictures[4], pictures[3::-1], pictures[5:], q, ALL, fmt)
    assert [plane.dtype for plane in found.planes] == [fmt.dtype] * fmt.planes
    before, after = (errors(p, clean[4], fmt) for p in (pictures[4], found))
    assert (after < 0.5 * before).all()


def test_other_scenes_do_not_count():
    clean = [smooth_noise((HEIGHT, WIDTH), seed) for seed in range(3)]
    before, source, after = made(clean, YUV420P8)
    found = filtered(source, [before], [after], Q, ALL, YUV420P8)
    assert errors(found, clean[1], YUV420P8).max() < 0.2


def test_what_nothing_inherits_from_is_not_filtered():
    picture = smooth_noise((HEIGHT, WIDTH), 0)
    source, other = made([picture, picture], YUV420P8, 4.0)
    coarsest = np.full((4, 5), int(30 + BASE), np.uint8)
    trust = trust_in_others(coarsest, 30)
    assert filtered(source, [], [other], coarsest, trust, YUV420P8) is source
    assert filtered(source, [], [], Q, ALL, YUV420P8) is source


def test_the_trust_grows_with_the_weight():
    # CANVAS_STRENGTH indices stand for each doubling of a weight: 1, 2, 4.
    q = 30 + BASE - CANVAS_STRENGTH * np.array([[-1, 0, 1, 2]])
    trust = trust_in_others(q, 30)
    np.testing.assert_allclose(trust, [[0, 0, 0.5**2, 0.75**2]], rtol=1e-5)


def test_tolerances_are_halfway_to_an_unreferenced_block():
    q = (30 + int(BASE) - np.array([[-2, 0, 1, 6, 20]])).astype(np.uint8)
    assert (tolerances(q, 30) - q.astype(int)).tolist() == [[0, 0, 1, 3, 10]]
