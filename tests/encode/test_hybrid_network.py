"""The part of the fusion network that groups train, and what they do with the network."""

import io

import numpy as np
import pytest

from nvcodec.coding.fusion import NetworkMode, decode_network
from nvcodec.decode.decoder import Decoder
from nvcodec.encode.encoder import encode
from nvcodec.encode.hybrid.network_choice import GroupFrames, choose_network
from nvcodec.encode.hybrid.network_fit import Moments, bits_of, moments, train
from nvcodec.encode.settings import OptionError
from nvcodec.model.fusion.weights import (
    PLANES,
    TRAINED,
    FusionShape,
    FusionWeights,
    HiddenLayer,
    Network,
)
from tests.encode.test_hybrid import moving, y4m
from tools.fusion_data import network_sources

CRF = 30


def blank_weights(gain=0):
    """A network that gives `gain` / 2048 of what each plane of the canvas has above its mean."""
    hidden = ((np.zeros((2, 18, 1, 1), np.int16), np.zeros(2, np.int32)),)
    trained = np.zeros((PLANES, TRAINED), np.int16)
    for plane in range(PLANES):
        trained[plane, 1 + 9 * plane + 4] = gain
    network = Network(hidden, np.zeros((PLANES, 2), np.int16), trained)
    shape = FusionShape((0, 0, 0), 6, (HiddenLayer(1, 2, 8),), 7)
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
    differences = np.zeros((1, PLANES, TRAINED), np.int32)
    differences[0, :, 1:] = random.integers(-1, 2, (PLANES, TRAINED - 1))
    shape = weights.shape
    before = group.rendered(weights)
    told = 0.0
    d = differences[0].astype(float)
    # All rows: those that are trained on begin at each of them in turn.
    for first in range(4):
        for source, picture, frame in zip(group.sources, group.pictures, before, strict=True):
            m = moments(source, picture, frame, shape, first)
            told += (np.einsum("pi,ij,pj->", d, m.squares, d) - 2 * (m.products * d).sum()) / 4
    after = group.rendered(weights.changed(differences))
    real = group.squared_error(after) - group.squared_error(before)
    rounding = sum(plane.size for frame in after for plane in frame) / 12
    assert told + rounding == pytest.approx(real, rel=0.03)


def test_training_finds_what_is_missing(group):
    coded = choose_network(group, blank_weights(), CRF, training=True)
    mode, differences = decode_network(coded.substream, 1)
    assert mode is NetworkMode.NEW
    assert np.array_equal(coded.weights.trained, blank_weights().changed(differences).trained)
    assert group.squared_error(coded.frames) < group.squared_error(group.canvases()) / 2
    again = choose_network(group, blank_weights(), CRF, training=True)
    assert again.substream == coded.substream


def test_a_group_keeps_what_is_right(group):
    coded = choose_network(group, blank_weights(640), CRF, training=True)
    assert coded.substream == b""
    assert group.squared_error(coded.frames) == 0


def test_a_group_does_without_what_harms(group):
    weights = blank_weights(-640)
    coded = choose_network(group, weights, CRF, training=False)
    assert decode_network(coded.substream, 1)[0] is NetworkMode.OFF
    assert coded.weights is weights
    assert group.squared_error(coded.frames) == group.squared_error(group.canvases())


def test_differences_that_no_bit_is_worth_are_zero():
    random = np.random.default_rng(0)
    features = random.normal(size=(TRAINED, 400))
    given = Moments(features @ features.T, features[:PLANES] @ features.T)
    assert not train(given, 1e9).any()
    found = train(given, 1e-3)
    assert np.array_equal(found, np.eye(PLANES, TRAINED))
    assert bits_of(found).sum() > bits_of(0 * found).sum()


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
