"""Training of the fusion network's last layer for a group, and the choice of the network mode."""

import io

import numpy as np
import pytest

from nvcodec.coding.hybrid.fusion import decode_network, no_differences
from nvcodec.coding.hybrid.network_mode import NetworkMode
from nvcodec.decode.decoder import Decoder
from nvcodec.encode.encoder import encode
from nvcodec.encode.hybrid.fusion.choice import GroupFrames, choose_network
from nvcodec.encode.hybrid.fusion.fit import Moments, bits_of, moments, train
from nvcodec.model.hybrid.fusion.packed import pack_network
from nvcodec.model.hybrid.fusion.weights import (
    LINEAR,
    PLANES,
    SHARED,
    FusionShape,
    FusionWeights,
    HiddenLayer,
    Network,
    spread_shared,
)
from nvcodec.options import OptionError
from tests.encode.hybrid.test_video import moving, y4m
from tools.train.fusion_data import network_sources

CRF = 30
UNITS = 4


def blank_weights(gain=0):
    """A network that gives `gain` / 2048 of what each plane of the canvas has above its mean."""
    random = np.random.default_rng(0)
    hidden = tuple(
        (random.integers(-99, 99, (UNITS, inputs, kernel, kernel), np.int16), np.zeros(UNITS, int))
        for inputs, kernel in ((18, 1), (UNITS, 3))
    )
    output = np.zeros((PLANES, LINEAR + UNITS), np.int16)
    for plane in range(PLANES):
        output[plane, 1 + 9 * plane + 4] = gain
    network = Network(hidden, output)
    shape = FusionShape((0, 0, 0), 6, (HiddenLayer(1, UNITS, 8), HiddenLayer(3, UNITS, 8)), 7)
    return FusionWeights(shape, (network,))


@pytest.fixture(scope="module")
def group():
    """Frames of a group whose source is sharper than the canvas by a known gain."""
    file = io.BytesIO()
    encode(
        io.BytesIO(y4m(moving(5, 96, 64))),
        file,
        model="hybrid",
        network="off",
        crf=CRF,
        preset="fast",
        threads=1,
    )
    sources = dict(network_sources(file.getvalue()))
    ordered = [sources[k] for k in sorted(sources)][1:]
    blank = GroupFrames(ordered, [s.canvas.crop(96, 64) for s in ordered])
    return GroupFrames(ordered, blank.rendered(blank_weights(640)))


def test_moments_tell_what_differences_change(group):
    weights = blank_weights()
    random = np.random.default_rng(1)
    shared, differences = no_differences(1, UNITS)
    differences[0, :, 1:] = random.integers(-1, 2, differences[0, :, 1:].shape)
    shape = weights.shape
    packed = pack_network(shape, weights.networks[0])
    before = group.rendered(weights)
    told = 0.0
    d = differences[0].astype(float)
    # All rows: those that are trained on begin at each of them in turn.
    for first in range(4):
        for source, picture in zip(group.sources, group.pictures, strict=True):
            m = moments(source, picture, shape, packed, first, 6000)
            told += (np.einsum("pi,ij,pj->", d, m.squares, d) - 2 * (m.products * d).sum()) / 4
    after = group.rendered(weights.changed(shared, differences))
    real = group.squared_error(after) - group.squared_error(before)
    rounding = sum(plane.size for frame in after for plane in frame) / 12
    assert told + rounding == pytest.approx(real, rel=0.03)


@pytest.mark.parametrize("by_estimate", [False, True])
def test_training_finds_what_is_missing(group, by_estimate):
    coded = choose_network(group, blank_weights(), CRF, sites=6000, by_estimate=by_estimate)
    mode, *differences = decode_network(coded.substream, 1, UNITS)
    assert mode is NetworkMode.NEW
    assert np.array_equal(coded.weights.output, blank_weights().changed(*differences).output)
    assert group.squared_error(coded.frames) < group.squared_error(group.canvases()) / 2
    again = choose_network(group, blank_weights(), CRF, sites=6000, by_estimate=by_estimate)
    assert again.substream == coded.substream


@pytest.mark.parametrize("by_estimate", [False, True])
def test_a_group_keeps_what_is_right(group, by_estimate):
    coded = choose_network(group, blank_weights(640), CRF, sites=6000, by_estimate=by_estimate)
    assert coded.substream == b""
    assert group.squared_error(coded.frames) == 0


def test_a_group_does_without_what_harms(group):
    weights = blank_weights(-640)
    coded = choose_network(group, weights, CRF, sites=0)
    assert decode_network(coded.substream, 1, UNITS)[0] is NetworkMode.OFF
    assert coded.weights is weights
    assert group.squared_error(coded.frames) == group.squared_error(group.canvases())


def test_differences_that_no_bit_is_worth_are_zero():
    random = np.random.default_rng(0)
    columns = LINEAR + UNITS
    features = random.normal(size=(columns, 900))
    squares = features @ features.T
    # What is missing is a filter that all phases of luma share, and of Cb its own centre.
    wanted = np.zeros((PLANES, columns))
    taps = random.integers(-3, 4, SHARED)
    wanted[:, :LINEAR] = spread_shared(taps)
    wanted[4, 1 + 9 * 4 + 4] = 5
    given = Moments(squares, wanted @ squares)
    assert not any(part.any() for part in train(given, 1e9))
    shared, rows = train(given, 1.0)
    assert np.array_equal(shared, taps)
    assert not rows[:4].any()
    assert np.array_equal(rows[4:], wanted[4:])
    assert bits_of(shared).sum() > bits_of(0 * shared).sum()


@pytest.mark.parametrize("network", ["off", "fixed", "trained"])
def test_streams_decode_to_what_was_measured(network):
    file = io.BytesIO()
    pictures = moving(6, 80, 48)
    result = encode(
        io.BytesIO(y4m(pictures)), file, model="hybrid", network=network, crf=CRF, preset="fast"
    )
    file.seek(0)
    with Decoder(file) as decoder:
        assert len(list(decoder.frames(verify=True))) == 6
        assert decoder.metadata["settings"]["network"] == network
    assert result.shape.network == (network != "off")


def test_networks_of_the_other_model(tmp_path):
    for model, network in (("hybrid", "paper"), ("nirvana", "fixed")):
        with pytest.raises(OptionError, match=f"{model} model does not have network {network}"):
            encode(io.BytesIO(y4m(moving(1))), tmp_path / "out.nrv", model=model, network=network)
