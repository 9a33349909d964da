import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvcodec.model.hybrid.fusion import render as render_module
from nvcodec.model.hybrid.fusion.packed import pack_network
from nvcodec.model.hybrid.fusion.render import (
    region_bands,
    render,
    render_band,
    site_inputs,
)
from nvcodec.model.hybrid.fusion.weights import FusionShape, HiddenLayer
from nvcodec.model.samples import FORMAT
from nvcodec.picture import SampleFormat
from tests.model.hybrid.fusion import reference
from tests.model.hybrid.fusion.samples import random_shape, random_source, random_weights


def transcribed(source, leaves, weights):
    return reference.render(source.canvas, leaves, source.references, source.chroma_offset, weights)


def packed(weights, source):
    return pack_network(weights.shape, weights.of_set(source.canvas.step.set))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_as_transcribed(seed):
    """Any networks, canvases and regions."""
    rng = np.random.default_rng(seed)
    width, height = (8 * int(rng.integers(1, 12)) for _ in range(2))
    fmt = SampleFormat(int(rng.choice([8, 8, 10, 12])), int(rng.choice([0, 1, 1, 2, 3])))
    source, leaves = random_source(
        rng,
        width,
        height,
        seed % 3,
        int(rng.choice([1, 20, 255])),
        int(rng.integers(-12, 13)),
        fmt=fmt,
    )
    shape = random_shape(rng)
    weights = random_weights(rng, shape, int(rng.choice([1, 30, 300])))
    expected = transcribed(source, leaves, weights)
    grid = [1 << shift for shift in fmt.chroma_shift]
    x0, y0 = (
        unit * int(rng.integers(0, size // unit))
        for unit, size in zip(grid, (width, height), strict=True)
    )
    x1, y1 = int(rng.integers(x0 + 1, width + 1)), int(rng.integers(y0 + 1, height + 1))
    for a, b, c, d in ((0, 0, width, height), (x0, y0, x1, y1)):
        shown = render(source, packed(weights, source), (a, b, c, d))
        for number, (plane, other) in enumerate(zip(shown, expected, strict=True)):
            x, y = grid if number else (1, 1)
            cut = other[b // y : -(-d // y), a // x : -(-c // x)]
            assert np.array_equal(plane, cut)


@pytest.mark.parametrize("canvas_set", [0, 1, 2])
@pytest.mark.parametrize("noise", [2, 255])
@pytest.mark.parametrize("fmt", [SampleFormat(8, 1), SampleFormat(12, 1), SampleFormat(10, 3)])
def test_inputs(canvas_set, noise, fmt):
    rng = np.random.default_rng(canvas_set)
    source, leaves = random_source(rng, 72, 40, canvas_set, noise, -5, fmt=fmt)
    expected = reference.inputs(source.canvas, leaves, source.references, source.chroma_offset)
    assert np.array_equal(site_inputs(source), expected)
    assert expected[:6].any()
    assert expected[6:].any() == (canvas_set > 0)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("fmt", [SampleFormat(8, 1), SampleFormat(12, 1)])
def test_extremes(sign, fmt):
    """Sums at the edge of what conforms, from inputs and weights of the greatest magnitude."""
    shape = FusionShape((0, 0, 0), 0, (HiddenLayer(1, 2, 0), HiddenLayer(3, 6, 0)), 0)
    rng = np.random.default_rng(0)
    weights = random_weights(rng, shape, 1)
    network = weights.networks[0]
    network.hidden[0][0][:] = sign * ((1 << 31) // 4095 // 18 - 20)
    network.hidden[1][0][:] = -sign * ((1 << 31) // 4095 // 18 - 20)
    network.output[:, 1:] = sign * ((1 << 31) // 4095 // 72 - 20)
    weights = type(weights)(shape, weights.networks)
    source, leaves = random_source(rng, 24, 16, 2, 255, q=0, fmt=fmt)
    expected = transcribed(source, leaves, weights)
    shown = render(source, packed(weights, source), (0, 0, 24, 16))
    for plane, other in zip(shown, expected, strict=True):
        assert np.array_equal(plane, other)


def test_bands(monkeypatch):
    """However a frame is cut, and in whatever order its parts are rendered."""
    rng = np.random.default_rng(0)
    source, _ = random_source(rng, 136, 120, 2)
    weights = random_weights(rng, random_shape(rng))
    network = packed(weights, source)
    region = 0, 0, 136, 120
    expected = render(source, network, region)
    for rows in (1, 3, 7, 60):
        monkeypatch.setattr(render_module, "_BAND", rows)
        out = FORMAT.empty(136, 120)
        for y0, y1 in reversed(region_bands(region)):
            render_band(source, network, region, y0, y1, out)
        assert all(np.array_equal(a, b) for a, b in zip(out, expected, strict=True))


def test_zero_network_changes_nothing():
    rng = np.random.default_rng(0)
    source, _ = random_source(rng, 64, 40, 2)
    weights = random_weights(rng, random_shape(rng), 0)
    for _, biases in weights.networks[0].hidden:
        biases[:] = 0
    shown = render(source, packed(weights, source), (0, 0, 64, 40))
    assert all(np.array_equal(a, b) for a, b in zip(shown, source.canvas.planes, strict=True))
