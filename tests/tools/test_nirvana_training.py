"""Training of the nirvana network: its data, its floats against the integers, its table."""

import io
from contextlib import closing

import numpy as np
import pytest
import torch

from nvcodec.coding.nirvana import entropy, table
from nvcodec.coding.nirvana.components import NO_COMPONENTS
from nvcodec.coding.nirvana.contexts import CONTENT_CONTEXTS, MOTION_CONTEXTS, default_contexts
from nvcodec.coding.nirvana.features import (
    FIRST,
    LAST,
    NUMBER,
    ContentDecoder,
)
from nvcodec.coding.nirvana.table import ALWAYS, FEATURES, FRAMES, PATCH, SLICES, STARTS, VOLUME
from nvcodec.encode.encoder import encode
from nvcodec.encode.nirvana.effort import EFFORTS, Effort
from nvcodec.encode.nirvana.group import fold
from nvcodec.encode.nirvana.paths import reduce
from nvcodec.format import GroupUnit, UnitReader
from nvcodec.model.nirvana import moved, synthesis
from nvcodec.model.nirvana import network as integer_network
from nvcodec.model.nirvana.layers import Layers
from nvcodec.model.nirvana.parameters import Grid
from nvcodec.picture import YUV420P8
from nvcodec.tasks import TaskPool
from tests.cli.support import y4m
from tests.coding.nirvana.reference import in_steps
from tests.tools.support import run
from tools.lib import nirvana_float
from tools.lib.clips import Clip
from tools.lib.nirvana_float import NirvanaNetwork, step_of
from tools.lib.nirvana_table import integers
from tools.train import (
    canvas_contexts,
    nirvana,
    nirvana_contexts,
    nirvana_data,
    nirvana_synthesis,
)
from tools.train.nirvana_data import TrainingClip

ROWS, COLUMNS = 4, 6
Q = 30


def drifting(count, width, height):
    """Pictures of a texture; each shows it one sample further down and two to the right."""
    random = np.random.default_rng(0)
    rough = random.integers(0, 255, (height + count + 2, width + 2 * count + 2))
    texture = (rough[1:, 1:] + rough[:-1, 1:] + rough[1:, :-1] + rough[:-1, :-1]) // 4
    lumas = [texture[t : t + height, 2 * t : 2 * t + width].astype(np.uint8) for t in range(count)]
    return [(luma, luma[::2, ::2], 255 - luma[::2, ::2]) for luma in lumas]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.y4m"
    path.write_bytes(y4m(drifting(17, 70, 50)))
    return Clip(path)


@pytest.fixture(scope="module")
def folder(clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    text, _ = run(nirvana_data.main, folder, clip.path)
    assert text.count("clip") == 2
    return folder


def test_clips_and_their_paths(clip, folder):
    made = TrainingClip.load(folder / "clip.npz")
    pictures = clip.pictures()
    assert made.luma.shape == (17, 48, 64)
    assert made.blue.shape == made.red.shape == (17, 24, 32)
    assert np.array_equal(made.luma[5], pictures[5][0][:48, :64])
    assert np.array_equal(made.red[5], pictures[5][2][:24, :32])
    assert made.starts.tolist() == [4, 8, 12]
    assert made.paths.shape == (3, 3, 4, FRAMES, 2)
    assert made.chain == 4
    expected = np.arange(1, FRAMES + 1)[:, None] * np.array([4, 8])
    assert np.array_equal(np.median(made.paths, (0, 1, 2)), expected)
    second = TrainingClip.load(folder / "clip-second.npz")
    assert np.array_equal(second.luma, made.luma[::2])
    assert second.starts.tolist() == [4, 5]
    assert second.chain == 2
    assert second.weight < made.weight


def test_versions_of_a_large_clip(tmp_path):
    path = tmp_path / "large.y4m"
    pictures = drifting(8, 480, 322)
    path.write_bytes(y4m(pictures))
    run(nirvana_data.main, tmp_path / "set", path, "--weight", 3)
    whole, half = (TrainingClip.load(p) for p in sorted((tmp_path / "set").glob("*.npz"))[::-1])
    assert whole.weight == half.weight == 3
    assert whole.luma.shape == (8, 320, 480)
    assert half.luma.shape == (8, 160, 240)
    assert np.array_equal(half.luma[3], reduce(pictures[3][0])[:160])
    run(nirvana_data.main, tmp_path / "held", path, "--as-is", "--frames", 8)
    assert [p.name for p in (tmp_path / "held").iterdir()] == ["large.npz"]
    text, _ = run(nirvana_data.main, tmp_path / "none", path, "--frames", 7)
    assert text == "large: too short or too small\n"


def test_no_training_clip(tmp_path):
    np.savez(tmp_path / "a.npz", luma=np.zeros(3))
    with pytest.raises(ValueError, match="holds no training clip"):
        TrainingClip.load(tmp_path / "a.npz")


@pytest.mark.parametrize("mirrors", range(8))
def test_mirrored_paths_point_at_the_same_samples(mirrors):
    random = np.random.default_rng(mirrors)
    luma = random.integers(0, 255, (1, 64, 64), np.uint8)
    paths = 4 * random.integers(-9, 9, (1, 4, 4, FRAMES, 2)).astype(np.int16)

    def along(crop):
        vectors = torch.from_numpy(crop.vectors.astype(np.int64))
        plane = torch.from_numpy(crop.plane.astype(np.float32))
        return nirvana_float.move_plane(plane, vectors, 16).numpy()[0]

    crop = nirvana.Crop(luma, 2 * paths)
    turned = crop.mirrored(mirrors)
    turned = nirvana.Crop(turned.plane.copy(), turned.vectors.copy())
    expected = nirvana.Crop(along(crop), crop.vectors).mirrored(mirrors)
    assert np.array_equal(along(turned), expected.plane)


def test_groups_of_one_frame():
    plane = np.arange(8)[:, None, None] + np.zeros((8, 32, 48), int)
    vectors = np.random.default_rng(0).integers(-9, 9, (1, 4, 6, FRAMES, 2))
    made = nirvana.Crop(plane, vectors).single_frames()
    assert (made.plane == np.array([3] * 4 + [4] * 4)[:, None, None]).all()
    assert made.vectors.shape == vectors.shape
    assert (made.vectors == vectors[:, :, :, :1]).all()


@pytest.mark.parametrize("number", range(3))
def test_crops_of_planes(folder, number):
    """Vectors of a crop are those of its place."""
    clip = TrainingClip.load(folder / "clip.npz")
    crop = nirvana.cut(clip, number, 1, 2, (1, 1), (2, 2))
    assert crop.plane.shape == (8, 16, 16)
    assert crop.vectors.shape == (1, 2, 2, FRAMES, 2)
    plane = (clip.luma, clip.blue, clip.red)[number]
    first = int(clip.starts[1]) - FRAMES
    at = 16 if number == 0 else 8
    assert np.array_equal(crop.plane[0], plane[first, at : at + 16, at : at + 16])
    for y, x in np.ndindex(2, 2):
        block = (1, 1) if number == 0 else (1 + y, 1 + x)
        expected = clip.paths[1][block] * (2 if number == 0 else 1)
        assert np.array_equal(crop.vectors[0, y, x], expected)


def test_order_of_samples():
    random = np.random.default_rng(0)
    plane = random.integers(0, 255, (FRAMES, ROWS * 8, COLUMNS * 8), np.uint8)
    vectors = np.zeros((0, ROWS, COLUMNS, FRAMES, 2), np.int16)
    chain = nirvana.Chain.of([nirvana.Crop(plane, vectors)])
    expected = fold(list(plane), Grid(COLUMNS * PATCH, ROWS * PATCH), (0, ROWS))
    assert np.array_equal(to_patches(chain.samples[0]), expected)
    assert np.array_equal(nirvana_float.unfold(chain.samples[0])[0].numpy() + 128, plane)


def to_patches(maps):
    """(patches, numbers) of maps (1, numbers, rows, columns)."""
    return maps[0].flatten(1).T.detach().numpy()


def to_maps(patches):
    """Maps of float32 from (patches, numbers)."""
    maps = np.ascontiguousarray(patches.T, np.float32).reshape(1, -1, ROWS, COLUMNS)
    return torch.from_numpy(maps)


@pytest.fixture(scope="module")
def network():
    """A network with an orthonormal basis and weights large enough to matter, all of them."""
    torch.manual_seed(1)
    network = NirvanaNetwork()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not parameter.any() and name != "synthesis.basis":
                parameter.normal_(0, 0.05)
        network.synthesis.third.weight.normal_(0, 0.02)
        for part in network.entropy.slices:
            part.second.weight.mul_(3)
            part.output.weight.mul_(10)
        basis, _ = torch.linalg.qr(torch.randn(VOLUME, FEATURES))
        network.synthesis.basis.copy_(basis)
    return network


@pytest.fixture(scope="module")
def made(network):
    """The integers of the network, as the product reads them."""
    weights, biases = integers(network)
    with pytest.MonkeyPatch.context() as patch:
        files = {16: weights, 32: biases}
        patch.setattr(table, "load_binary", lambda name, bits: files[bits])
        return table.load.__wrapped__()


@pytest.fixture
def shipped(made, monkeypatch):
    """The product's networks are made from the network."""
    for module in (entropy, moved, integer_network):
        monkeypatch.setattr(module, "load", lambda: made)
    monkeypatch.setattr(integer_network, "output_layer", integer_network.output_layer.__wrapped__)
    own = entropy.entropy_network.__wrapped__()
    monkeypatch.setattr(entropy, "entropy_network", lambda: own)
    return own


@pytest.fixture(scope="module")
def features():
    """Features of two groups in 1/8 sample, larger ones first: int16 (patches, FEATURES)."""
    random = np.random.default_rng(2)
    size = 4000 / (1 + np.arange(FEATURES)) + 20
    drawn = random.laplace(0, size, (2, ROWS * COLUMNS, FEATURES))
    return drawn.clip(-8000, 8000).astype(np.int16)


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("q", [Q, 50])
def test_entropy_network(network, shipped, features, key, q):
    random = np.random.default_rng(3)
    residual = random.laplace(0, 1, (ROWS * COLUMNS, FEATURES)).round().astype(np.int32)
    reciprocal = moved.reciprocal_of(q)
    steps = in_steps(features[0], reciprocal)
    change = in_steps(features[1], reciprocal) - steps
    last = None if key else features[1]
    seen = entropy.surroundings(ROWS, COLUMNS, 0, q, reciprocal, features[0], last)
    seen.residual[:] = residual
    means, kinds = np.zeros((2, *residual.shape))
    for s, size in enumerate(SLICES):
        for patch in range(ROWS * COLUMNS):
            entropy.predict(shipped, seen, s, patch)
            part = slice(STARTS[s], STARTS[s + 1])
            found = seen.found[:, :size]
            means[patch, part] = found[entropy.MEAN] + found[entropy.FRACTION] / 64
            kinds[patch, part] = found[entropy.CLASS]
            for f in range(STARTS[s], STARTS[s + 1]):
                if residual[patch, f]:
                    entropy.spread(shipped, seen, f, patch, 0, len(SLICES))
    before = None if key else to_maps((steps + change) / 16)
    given = None if key else to_maps(steps / 16)
    with torch.no_grad():
        index = torch.tensor([float(q)])
        mean, scale = map(to_patches, network.entropy(to_maps(residual), index, given, before))
    assert np.std(mean) > 0.3
    wrong = np.abs(mean - means)
    assert wrong.mean() < 0.02
    # A gate is in 1/64, so an error is relative to what it lets through.
    assert np.all(wrong < 0.1 + 0.02 * np.abs(change / 16))
    expected = np.clip((64 * scale + 243) // 18, 0, 25)
    assert len(np.unique(kinds)) > 3
    assert np.abs(kinds - expected).max() <= 1
    assert (kinds == expected).mean() > 0.8


@pytest.mark.parametrize("q", [Q, 50])
def test_samples(network, shipped, features, q):
    shape = FRAMES, ROWS * PATCH, COLUMNS * PATCH
    plane = np.zeros(shape, np.uint8)
    made = synthesis.synthesis.__wrapped__(q, NO_COMPONENTS)
    synthesis.render_rows(
        made, features[0].reshape(ROWS, COLUMNS, FEATURES), 0, ROWS, 0, COLUMNS,
        np.arange(FRAMES), 8, plane, 0,
    )  # fmt: skip
    index = torch.tensor([float(q)])
    with torch.no_grad():
        rendered = network.samples(to_maps(features[0] / 8) / step_of(index), index)
        linear = network.synthesis.linear(to_maps(features[0] / 8))
    assert (rendered - linear).abs().mean() > 1
    assert np.std(plane) > 5
    wrong = (nirvana_float.unfold(rendered)[0] + 128).clamp(0, 255).numpy() - plane
    assert np.abs(wrong).max() < 1
    assert abs(wrong.mean()) < 0.05


def test_moved_features(network, shipped, features):
    random = np.random.default_rng(4)
    shape = -(-ROWS // 2), -(-COLUMNS // 2)
    paths = random.integers(-60, 60, (*shape, FRAMES, 2)).astype(np.int32)
    linear = moved.linear.__wrapped__()
    trace = np.zeros((ROWS * PATCH, COLUMNS * PATCH), np.int16)
    before = features[0].reshape(ROWS, COLUMNS, FEATURES)
    moved.make_trace(linear, before, FRAMES - 1, 0, ROWS, trace)
    out = np.zeros((ROWS, COLUMNS, FEATURES), np.int16)
    intra = np.zeros(shape, np.uint8)
    moved.move_features(linear, trace, paths, intra, 0, 0, 0, ROWS, out)
    index = torch.tensor([float(Q)])
    blocks = 2 * paths.repeat(2, 0).repeat(2, 1)[:ROWS, :COLUMNS].astype(np.int64)
    vectors = torch.from_numpy(blocks)[None]
    step = step_of(index)
    found = network.moved(to_maps(features[0] / 8) / step, index, vectors) * step
    wrong = to_patches(found.detach()) - out.reshape(-1, FEATURES) / 8
    assert np.std(out) > 50
    assert np.abs(wrong).max() < 0.3


def test_intra_blocks_have_no_moved_features(network):
    random = torch.Generator().manual_seed(0)
    index = torch.tensor([float(Q)])
    wanted = torch.randn(1, FEATURES, 3, 5, generator=random) * 40
    samples = network.synthesis.linear(wanted).detach()
    given = wanted / step_of(index)
    given[:, :, :2, 2:4] *= -1
    kept = network.without_intra(samples, index, given)
    assert not kept[:, :, :2, 2:4].any()
    kept[:, :, :2, 2:4] = given[:, :, :2, 2:4]
    assert torch.equal(kept, given)


def test_bits_are_those_of_probabilities():
    residual = torch.arange(-4000.0, 4001, dtype=torch.float64)
    for mean, scale in ((0.3, -1.0), (-2.6, 0.7), (0.0, 3.0)):
        bits = nirvana_float.bits_of(
            residual, torch.full_like(residual, mean), torch.full_like(residual, scale)
        )
        assert float(torch.exp2(-bits).sum()) == pytest.approx(1, abs=1e-4)


def test_fixed_tensors_are_those_of_the_format(made):
    present = table.load()
    assert np.array_equal(made.log, present.log)
    assert np.array_equal(made.zero_cost, present.zero_cost)


def test_weights_out_of_range(network):
    large = NirvanaNetwork()
    large.load_state_dict(network.state_dict())
    with torch.no_grad():
        large.synthesis.basis.mul_(8)
    with pytest.raises(ValueError, match="sums of samples may leave 32 bits"):
        integers(large)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(nirvana, "_START_BATCHES", 4)


def test_training_and_export(folder, tmp_path, monkeypatch, quick):
    options = ["--batch", 2, "--crop", 32, "--no-compile", "--held-out", folder]
    first, second = tmp_path / "a.pt", tmp_path / "b.pt"
    for path in (first, second):
        text, _ = run(nirvana.main, "train", folder, "--iterations", 3, *options, "--output", path)
    assert text.startswith("2 clips, 1 with chains of 4 groups\n3 iterations\n")
    assert text.count("held out, q ") == len(nirvana.HELD_QUANTISERS)
    data = torch.load(first, weights_only=True)
    assert data["iterations"] == 3
    assert data["recipe"]["crop"] == 32
    again = torch.load(second, weights_only=True)["network"]
    for name, tensor in data["network"].items():
        assert torch.equal(tensor, again[name]), name
    third = tmp_path / "c.pt"
    run(
        nirvana.main, "train", folder, "--iterations", 1, *options, "--init", first, "--output",
        third,
    )  # fmt: skip
    basis = [nirvana.load(path).synthesis.basis for path in (first, third)]
    assert 0 < (basis[0] - basis[1]).abs().max() < 1e-3
    run(nirvana.main, "export", first, tmp_path)
    monkeypatch.setattr(
        table,
        "load_binary",
        lambda name, bits: np.fromfile(tmp_path / name, f"<i{bits // 8}"),
    )
    basis = nirvana.load(first).synthesis.basis.detach().numpy()
    loaded = table.load.__wrapped__()
    assert np.abs(loaded.basis / 8192 - basis).max() <= 0.5 / 8192 + 1e-7
    # The basis is orthonormal at the start.
    assert np.abs(basis.T @ basis - np.eye(FEATURES)).max() < 0.01


def test_one_length_of_training(folder, tmp_path):
    for lengths in ([], ["--seconds", 1, "--iterations", 1]):
        arguments = ["train", folder, *lengths, "--output", tmp_path / "a.pt"]
        text, _ = run(nirvana.main, *arguments, code=2)
        assert "give one of --seconds and --iterations" in text


def test_synthesis_alone(folder, tmp_path):
    """It learns, and what features mean stays."""
    network = nirvana_float.NirvanaNetwork()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        network.synthesis.basis.copy_(torch.from_numpy(table.load().basis / 8192))
        network.synthesis.third.weight.normal_(0, 0.01, generator=random)
    before, after = tmp_path / "before.pt", tmp_path / "after.pt"
    nirvana.save(before, network, nirvana.Recipe(None, 1, 1, 1, 96, 0, False), 0)
    text, _ = run(nirvana_synthesis.main, folder, before, "--iterations", 2, "--output", after)
    assert "2 iterations, held-out luma" in text
    trained = nirvana.load(after)
    assert torch.equal(trained.synthesis.basis, network.synthesis.basis)
    assert not torch.equal(trained.synthesis.third.weight, network.synthesis.third.weight)
    for one, other in zip(trained.entropy.parameters(), network.entropy.parameters(), strict=True):
        assert torch.equal(one, other)
    with closing(TaskPool(1)) as tasks:
        clip = TrainingClip.load(folder / "clip.npz")
        parts = list(nirvana_synthesis.maps(clip, np.random.default_rng(0), tasks))
    recipe = nirvana.Recipe(None, 30, 3e-4, 6, 96, 0, False)

    def errors():
        return [part.error(network.synthesis).item() for part in parts]

    first = errors()
    nirvana_synthesis.train(network.synthesis, parts, parts, recipe, lambda line: None)
    assert (np.divide(errors(), first) < 1).all()


@pytest.fixture(scope="module")
def stream(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("streams") / "clip.nrv"
    # Whole groups with components.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EFFORTS, "fast", Effort(steps=1, saving=0.5))
        encode(clip.path, path, crf=16, model="nirvana", preset="fast")
    return path


def test_contexts(stream, tmp_path):
    found = nirvana_contexts.records(str(stream))
    assert len(found["content"]) == 5
    assert len(found["motion"]) == 4
    text, _ = run(
        nirvana_contexts.main, stream, "--held-out", stream, "--output", tmp_path / "table.txt"
    )
    assert text.count("motion, ") == text.count("content, ") == text.count("network, ") == 2
    lines = (tmp_path / "table.txt").read_text().splitlines()
    assert len(lines) == 1 + sum(map(len, default_contexts()))
    rows = np.array([line.split() for line in lines[1:]], np.int64)
    parts = np.split(rows, [MOTION_CONTEXTS, MOTION_CONTEXTS + CONTENT_CONTEXTS])
    for name, rows, present in zip(found, parts, default_contexts(), strict=True):
        before = canvas_contexts.total_bytes([found[name]], present[:, [0, 2]].astype(np.int64))
        assert canvas_contexts.total_bytes([found[name]], rows) <= before


def test_traced_bits_are_those_of_the_stream(stream):
    found = nirvana_contexts.records(str(stream))
    with stream.open("rb") as file:
        reader = UnitReader(io.BytesIO(file.read()))
        reader.open()
        groups = [event.group for event in reader if isinstance(event, GroupUnit)]
    # A slice that a patch has begins with a bit that says whether it is coded.
    patches = Layers(67, 49, YUV420P8).patches
    for group, record in zip(groups, found["content"], strict=True):
        assert ContentDecoder(group.content).quantiser >= 4
        context, one = record >> 1, (record & 1).astype(bool)
        begun = (context < FIRST) | ((context >= LAST) & (context < NUMBER))
        assert begun.sum() == ALWAYS * patches + one[context >= NUMBER].sum()
        # What is coded by contexts is most of the substream.
        table = default_contexts()[1][:, [0, 2]].astype(np.int64)
        size = canvas_contexts.total_bytes([[record]], table)
        assert 0.5 * len(group.content) < size < len(group.content) + 1
