"""The baselines: the network decoded from the bytes is the one that was trained and measured."""

import json
import math

import numpy as np
import pytest
import torch

from nvcodec.media.quality import PsnrMeter
from tests.cli.support import moving
from tests.tools.support import run
from tools.bench.baselines import coding, compare
from tools.bench.baselines.networks import NETWORKS, PsNerv, fitting
from tools.bench.baselines.samples import Samples
from tools.bench.baselines.training import train

SIZE = (37, 19)

each_kind = pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.title)


@each_kind
def test_a_network_comes_back_from_its_bytes(kind):
    torch.manual_seed(1)
    network = kind(SIZE, 3, 6)
    steps = [2.0 ** -(4 + k % 5) for k, _ in enumerate(network.parameters())]
    data = coding.encode(network, steps)
    decoded = coding.decode(data)
    assert (decoded.size, decoded.frames, decoded.units) == (SIZE, 3, 6)
    for step, tensor, got in zip(steps, network.parameters(), decoded.parameters(), strict=True):
        assert torch.equal(got, (tensor / step).round() * step)
    assert coding.encode(decoded, steps) == data
    pictures = list(decoded.pictures())
    assert [[plane.shape for plane in planes] for planes in pictures] == [
        [(19, 37), (10, 19), (10, 19)]
    ] * 3


@each_kind
def test_training_sees_the_samples_that_frames_have(kind):
    torch.manual_seed(2)
    # Even, as padding is part of what is learned.
    network = kind((38, 20), 3, 6)
    samples = Samples(list(network.pictures()))
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        predicted, true = network(samples, generator)
        assert (predicted - true).abs().max() * 255 < 0.501


@each_kind
def test_steps_use_the_bytes(kind):
    network = fitting(kind, SIZE, 3, 1500)
    curvatures = [1.0 + k for k, _ in enumerate(network.parameters())]
    data = coding.encode(network, coding.fit(network, curvatures, 1500))
    assert 1450 < len(data) <= 1500


@pytest.mark.deep
@each_kind
def test_training_learns_and_reports_what_the_bytes_give(kind, monkeypatch):
    coded = []

    def recorded(*arguments):
        coded.append(train(*arguments))
        return coded[-1]

    monkeypatch.setattr(compare, "train", recorded)
    samples = Samples(moving(3, *SIZE))
    row = compare.measure_baseline(kind, samples, 2500, 6.0)
    (data,) = coded
    assert row["bytes"] == len(data) == pytest.approx(2500, rel=0.1)
    meter = PsnrMeter()
    for reference, planes in zip(samples.pictures, coding.decode(data).pictures(), strict=True):
        meter.add(reference, planes)
    assert row["psnr"] == meter.all
    flat = PsnrMeter()
    for planes in samples.pictures:
        flat.add(planes, [np.full_like(plane, plane.mean()) for plane in planes])
    assert meter.all > flat.all + 3


def test_ps_nerv_learns():
    torch.manual_seed(3)
    samples = Samples(moving(2, 64, 32))
    network = PsNerv((64, 32), 2, 6)
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    errors = []
    for _ in range(60):
        predicted, true = network(samples, generator)
        error = (predicted - true).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert np.mean(errors[-10:]) < 0.5 * np.mean(errors[:3])


@torch.no_grad()
def test_patches_of_ps_nerv_are_functions_of_time_and_place():
    torch.manual_seed(4)
    side = PsNerv.side
    # Whole patches, and a part of the last row and column.
    network = PsNerv((2 * side, side), 2, 4)
    cut = PsNerv((2 * side - 5, side - 3), 2, 4)
    cut.load_state_dict(network.state_dict())
    first, second = network.frame(0), network.frame(1)
    assert torch.equal(cut.frame(0), first[:, : side - 2, : 2 * side - 4])
    assert (first - second).abs().max() > 1e-4
    assert (first[:, :, :side] - first[:, :, side:]).abs().max() > 1e-4


def test_conclusions():
    ours = {"seconds": 10.0, "psnr": 30.0, "fps": 50.0}
    rows = [
        {"seconds": 5.0, "psnr": 29.5, "fps": 20.0, "bytes": 7},
        {"seconds": 10.0, "psnr": 29.0, "fps": 25.0, "bytes": 8},
    ]
    missed = compare.conclusion(rows, ours)
    assert missed["reached"] == "not reached in 10 s: best 29.50 dB"
    assert (missed["time_ratio"], missed["bytes"], missed["fps_ratio"]) == ("> 1.0", 7, 0.4)
    reached = compare.conclusion([*rows, rows[0] | {"seconds": 20.0, "psnr": 30.1}], ours)
    assert (reached["reached"], reached["time_ratio"]) == ("20.0", "2.0")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("model", ["nirvana:fast", "nirvana:fast,network=paper"])
def test_a_comparison(clip, tmp_path, model):
    arguments = ["--frames", 3, "--size", "40x26", "--model", model, "--seconds", "0.3,0.6"]
    output, _ = run(compare.main, clip, *arguments, "--json", tmp_path / "out.json")
    assert "python -m tools.bench.baselines.compare" in output
    rows = json.loads((tmp_path / "out.json").read_text())
    names = ["NeRV", "PS-NeRV", "SIREN"]
    assert [row["codec"] for row in rows["results"]] == [f"{model} crf 30", *names]
    trained = [row["codec"] for row in rows["trainings"]]
    # A second training unless the first reaches our PSNR.
    assert all(1 <= trained.count(name) <= 2 for name in names)
    assert all(math.isfinite(row["psnr"]) and row["fps"] > 0 for row in rows["trainings"])


@pytest.mark.parametrize("seconds", ["", "1,x", "1,0", "nan"])
def test_seconds_of_no_training(clip, seconds):
    assert "above 0" in run(compare.main, clip, "--seconds", seconds, code=2)[0]
