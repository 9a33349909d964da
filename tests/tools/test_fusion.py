"""Training data, training and measurement of the fusion network."""

import io

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.fusion.packed import pack_network
from nvcodec.model.hybrid.fusion.render import render
from nvcodec.model.hybrid.fusion.weights import weights_from_table
from tests.cli.support import y4m
from tests.tools.support import loaded, run
from tests.tools.test_hybrid_ablation import pictures
from tools.ablation import fusion_form
from tools.bench import fusion as fusion_bench
from tools.lib.clips import Clip
from tools.lib.fusion_float import UNIT, FloatNetwork, integer_outputs, integers, seen
from tools.train import fusion_data, photo_clips
from tools.train import theta0 as train_theta0
from tools.train.fusion_data import HALO, PATCH, Patches, collect, network_sources, site_errors

HIDDEN = ((1, 6), (3, 4))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.y4m"
    path.write_bytes(y4m(pictures(4)))
    return Clip(path)


@pytest.fixture(scope="module")
def stream(clip):
    file = io.BytesIO()
    fusion_data.encode(clip.path, file, model="hybrid", network="off", crf=30, preset="fast")
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    text, _ = run(fusion_data.main, folder, clip.path, "--crf", "22,30", "--preset", "fast")
    assert text.count("clip-") == 2
    return folder


def test_patches(clip, folder):
    patches = Patches.load(folder / "clip-30.npz")
    assert patches.counts.sum() == 4
    assert patches.counts[0] == 1
    again = collect(clip, 30.0, 0.3, "fast")
    for name, value in vars(patches).items():
        assert np.array_equal(value, getattr(again, name)), name
    side = PATCH + 2 * HALO
    assert patches.inputs.shape[1:] == (18, side, side)
    assert patches.errors.shape[1:] == (6, PATCH, PATCH)
    assert patches.squares > 0
    assert patches.samples == 4 * 128 * 128 * 3 // 2


def test_frames_are_those_of_the_clip(clip, stream):
    sources = dict(network_sources(stream))
    assert sorted(sources) == [0, 1, 2, 3]
    for frame, source in sources.items():
        assert np.abs(site_errors(clip.pictures()[frame], source.canvas)).mean() < 9


def random_network(seed):
    torch.manual_seed(seed)
    network = FloatNetwork(HIDDEN)
    for parameters in network.parameters():
        torch.nn.init.normal_(parameters, 0, 0.1)
    return network


def test_integers_are_what_was_trained(stream):
    network = random_network(1)
    sources = list(dict(network_sources(stream)).values())
    inputs = torch.stack([torch.from_numpy(fusion_data.site_inputs(s)) for s in sources])
    weights = integers([network], (0, 0, 0), 6, [seen(network, inputs)])
    values = [value for line in train_theta0.weights_to_table(weights) for value in line]
    assert weights_from_table(values).shape == weights.shape
    packed = pack_network(weights.shape, weights_from_table(values).networks[0])
    halo = network.halo
    inner = np.s_[:, halo:-halo, halo:-halo]
    with torch.no_grad():
        floats = network(inputs / UNIT)
    told = integer_outputs(weights.shape, weights.networks[0])(inputs)
    assert (told - floats).abs().mean() < 0.01
    assert abs((told - floats).mean()) < 0.002
    for source, correction in zip(sources, told.numpy(), strict=True):
        rendered = render(source, packed, (0, 0, 128, 128))
        made = site_errors(rendered, source.canvas)[inner]
        steps = STEP[fusion_data.site_quantisers(source)[inner]]
        black = tuple(np.zeros_like(plane) for plane in rendered)
        canvas = -site_errors(black, source.canvas)[inner]
        added = np.zeros(made.shape, int)
        added[:4] = (1024 * correction).astype(int) * steps[0] + 32768 >> 16
        assert np.array_equal(made, np.clip(canvas + added, 0, 255) - canvas)


def sites(luma, blue, red):
    """Planes of sites, twice as if they were channels of several kinds."""
    planes = [luma[y::2, x::2] for y in range(2) for x in range(2)] + [blue, red]
    return torch.from_numpy(np.stack(planes * 2))[None]


@pytest.mark.parametrize("mirrors", range(8))
def test_mirrored_patches_are_those_of_mirrored_pictures(mirrors):
    random = np.random.default_rng(0)
    planes = [random.integers(0, 255, (side, side)) for side in (16, 8, 8)]
    made = train_theta0.mirrored(sites(*planes), mirrors)
    for k, mirror in enumerate((np.fliplr, np.flipud, np.transpose)):
        if mirrors >> k & 1:
            planes = [mirror(plane) for plane in planes]
    assert torch.equal(made, sites(*planes))


def test_a_photograph_in_motion(tmp_path):
    photo = tmp_path / "photo.png"
    random = np.random.default_rng(0)
    picture = random.integers(0, 255, (30, 40, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    with av.open(photo, "w", format="image2") as file:
        stream = file.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = 640, 480, "rgb24"
        file.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    options = ["--size", "96x64", "--frames", 3, "--seed", 1]
    for folder in ("a", "b"):
        run(photo_clips.main, tmp_path / folder, photo, *options)
    run(photo_clips.main, tmp_path / "still", photo, *options, "--still")
    a, b, still = (
        Clip(tmp_path / folder / "photo-1_96x64.mkv").pictures() for folder in ("a", "b", "still")
    )
    assert a[0][0].shape == (64, 96)
    assert all(
        np.array_equal(p, q) for x, y in zip(a, b, strict=True) for p, q in zip(x, y, strict=True)
    )

    def moved(clip):
        return np.abs(clip[0][0].astype(int) - clip[2][0]).mean()

    assert 0 < moved(still) < moved(a)


def test_training_lowers_the_error_and_writes_a_table(folder, tmp_path):
    options = ["--iterations", "100", "--hidden", "1x6,3x4", "--networks", "0,0,0"]
    texts = []
    for name in ("a.txt", "b.txt"):
        text, _ = run(
            train_theta0.main,
            folder,
            "--held-out",
            folder,
            *options,
            "--output",
            tmp_path / name,
        )
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    assert "mean of 1 clips: -" in text
    values = [int(v) for line in texts[0].splitlines()[1:] for v in line.split()]
    shape = weights_from_table(values).shape
    assert [(layer.kernel, layer.units) for layer in shape.hidden] == list(HIDDEN)


def test_the_bench(clip, tmp_path):
    options = ["--frames", 3, "--crf", "20,32", "--preset", "fast", "--json", tmp_path / "a.json"]
    _, (points, rates) = run(fusion_bench.main, clip.path, *options)
    assert [(p["crf"], p["network"]) for p in points[:3]] == [
        ("20", mode) for mode in fusion_bench.MODES
    ]
    assert [row["clip"] for row in rates] == ["clip", "mean"]
    assert [p["of the network"] for p in points if p["network"] == "off"] == ["0", "0"]
    assert len(loaded(tmp_path / "a.json", "bench.fusion")["points"]) == 6


@pytest.mark.parametrize("network", fusion_bench.MODES)
def test_the_bench_measures_what_an_encode_gives(clip, network):
    case = fusion_bench._Case(clip, 20.0, "fast", fusion_bench.ONE_KEY)
    (row,) = (row for row in fusion_bench.measure(case) if row["network"] == network)
    options = {"model": "hybrid", "crf": 20.0, "preset": "fast", "key_interval": 1e6}
    result = fusion_data.encode(clip.path, io.BytesIO(), network=network, **options)
    assert result.meter.values()["psnr"]["all"] == row["psnr"]
    assert sum(group.network_bytes for group in result.groups) == row["network_bytes"]
    # The name of the mode is in the metadata.
    assert abs(result.bytes - row["bytes"]) < 16


def test_forms(folder):
    _, (table,) = run(fusion_form.main, folder)
    mean = {row["form"]: float(row["mean"].split()[0]) for row in table}
    for plane in ("luma", "chroma"):
        assert 0 < mean[f"{plane}: high-pass taps of all planes"] <= mean[f"{plane}: all"]
