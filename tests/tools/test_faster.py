"""The paper's recipe in our format, and the tool that compares our recipe with it."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from nvcodec.encode.sine import segment, settings
from nvcodec.encode.sine.network import TrainedNetwork
from nvcodec.encode.sine.patches import GroupPatches
from nvcodec.encode.sine.rate import difference_bits
from nvcodec.model.sine.weights import (
    check_weights,
    code_weights,
    default_weights,
    rebuild_weights,
)
from tests.cli.support import moving
from tests.tools.support import loaded, run
from tools.bench import faster
from tools.lib import paper_recipe
from tools.lib.paper_recipe import BIT_PRICE, Lattice, rate_weight, train_group

SMALL = {"patch": 16, "width": 8, "stem_channels": 2, "head_channels": 2}
SHAPE = replace(settings.PAPER_SHAPE, **SMALL)
GRID = (2, 3)


class Watched(GroupPatches):
    """Patches that keep what was asked for."""

    def __init__(self):
        super().__init__(SHAPE, moving(3), torch.device("cpu"))
        self.asked = []

    def batch(self, index):
        self.asked.append(index)
        return super().batch(index)


def trained(network, patches, previous, iterations, lattice=Lattice()):  # noqa: B008
    seen = []
    weights = train_group(
        network, patches, previous, 1.0, iterations, 0, 0, seen.append, lattice=lattice
    )
    return weights, seen


@pytest.mark.parametrize("lattice", [Lattice(), Lattice(1000.0, 1e-5), Lattice(0.5, 0.1)])
def test_weights_conform_and_decode(lattice):
    network = TrainedNetwork(SHAPE, GRID, torch.device("cpu"))
    previous = None
    for iterations in (12, 5):
        patches = Watched()
        weights, seen = trained(network, patches, previous, iterations, lattice)
        check_weights(weights)
        tables, coded = code_weights(weights, previous)
        again = rebuild_weights(SHAPE, previous, previous is None, tables, coded)
        for sent, got in zip(weights.tensors, again.tensors, strict=True):
            assert np.array_equal(sent, got)
        # All patches, and the lattice of the first group.
        assert set(map(str, patches.asked)) == {str(slice(None))}
        assert previous is None or previous.parameters == weights.parameters
        assert seen[-1].iteration == iterations
        network.load(again)
        previous = again


def test_it_starts_at_the_defaults_and_learns(monkeypatch):
    monkeypatch.setattr(paper_recipe, "BIT_PRICE", 0.0)
    network = TrainedNetwork(SHAPE, GRID, torch.device("cpu"))
    first, _ = trained(network, Watched(), None, 1)
    start = default_weights(SHAPE, first.parameters)
    matrices = range(0, 2 * SHAPE.depth + 2, 2)
    assert max(abs(first.tensors[k] - start[k]).max() for k in matrices) <= 1
    _, seen = trained(network, Watched(), first, 250)
    assert seen[-1].error < 0.8 * seen[0].error


def test_the_best_weights_are_kept():
    network = TrainedNetwork(SHAPE, GRID, torch.device("cpu"))
    weights, _ = trained(network, Watched(), None, 20)
    patches = Watched()
    errors = []
    for iterations in range(1, 9):
        network.load(weights)
        # The last report is of the error before the last step.
        errors.append(trained(network, patches, weights, iterations)[1][-1].error)
    inputs, targets = patches.batch(slice(None))
    with torch.no_grad():
        error = (network.forward(inputs, 3) - targets).square().mean().item()
    assert error == pytest.approx(min(errors), rel=1e-5)


def test_the_price_is_that_of_the_paper():
    patches = Watched()
    network = TrainedNetwork(SHAPE, GRID, torch.device("cpu"))
    weights, _ = trained(network, patches, None, 1)
    base = [torch.from_numpy(t).float() for t in default_weights(SHAPE, weights.parameters)]
    bits = difference_bits(network.tensors, network.steps, base).item()
    # The paper's loss times 1.5 * 255^2 is ours.
    theirs = 1.5 * 255**2 * BIT_PRICE * bits / SHAPE.weights
    samples = patches.samples
    assert rate_weight(SHAPE, samples) / samples * bits == pytest.approx(theirs)


def test_the_recipe_is_in_the_encoder_for_a_block():
    before = segment.train_group, dict(settings.PRESETS)
    with paper_recipe.paper_recipe(7, 5):
        assert segment.train_group is not before[0]
        assert settings.PRESETS["paper"] == settings.Preset(7, 5, 0)
    assert (segment.train_group, settings.PRESETS) == before
    with pytest.raises(ValueError, match="batches of 8"):
        train_group(None, None, None, 1.0, 1, 8, 0, print, lattice=Lattice())


def test_faster(clip, tmp_path):
    changes = ",".join(f"{name}={value}" for name, value in SMALL.items())
    options = ["--size", "24x16", "--shape", changes, "--iterations", "16,8"]
    options += ["--shares", "1,1/2", "--lattice", "4,0.01", "--json", tmp_path / "f.json"]
    text, (encodes, budgets) = run(faster.main, clip, *options)
    data = loaded(tmp_path / "f.json", "bench.faster")
    paper, *ours = data["encodes"]
    assert encodes[0]["recipe"] == "paper's"
    assert encodes[0]["iterations"] == "16+8"
    assert encodes[0]["shape"] == "16/8x2/2/2"
    assert [group["frames"] for group in paper["groups"]] == [3, 3]
    assert {row["recipe"] for row in encodes[1:]} == {"ours"}
    assert [row["share"] for row in budgets] == ["1/2", "1"]
    assert list(dict.fromkeys(row["share"] for row in ours)) == ["1/2", "1"]
    for row in ours:
        assert row["cpu_seconds"] > 0
        assert row["of_paper"] == pytest.approx(row["cpu_seconds"] / paper["cpu_seconds"])
        assert row["shape"] == paper["shape"]
    for row in data["budgets"]:
        some = [o for o in ours if o["share"] == row["share"]]
        assert 2 <= len(some) <= 4
        assert row["cpu_seconds"] == max(o["cpu_seconds"] for o in some)
    assert text.count("To the PSNR of the paper's recipe in no more than its bytes: ") == 1
    assert text.count("At the PSNR of the paper's recipe with most seconds: ") == 1
    assert "Lattice(matrix=4.0, other=0.01)" in text


def row(size, psnr, seconds=1.0):
    return {"bytes": size, "psnr": psnr, "cpu_seconds": seconds}


def test_budgets():
    paper = row(1000, 30.0, 8.0)

    def budget(*rows):
        return faster._budget(Fraction(1, 4), list(rows), paper)

    inside = budget(row(400, 29.0), row(900, 31.0, 2.0))
    assert inside["bytes_ratio"] == "x 0.600"  # between in the logarithm
    assert (inside["reached"], inside["of_paper"], inside["share"]) == (True, 0.25, "1/4")
    assert not budget(row(900, 29.0), row(1900, 31.0))["reached"]
    below = budget(row(100, 25.0), row(500, 29.9))
    assert (below["bytes_ratio"], below["reached"]) == ("at least x 0.500", False)
    above = budget(row(800, 30.5), row(500, 30.2))
    assert (above["bytes_ratio"], above["reached"]) == ("at most x 0.500", True)
    first, second = faster._conclusion([below, inside]).splitlines()
    assert first.endswith("x 0.600 of its bytes in 2.0 CPU s, 0.250 of its seconds.")
    assert second.endswith("x 0.600 of its bytes in 2.0 CPU s, 0.250 of its seconds.")
    first, second = faster._conclusion([inside, below]).splitlines()
    assert "x 0.600" in first
    assert "at least x 0.500 of its bytes in 1.0 CPU s" in second
    assert "not reached within 0.125 of its seconds" in faster._conclusion([below])


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--size", "10"], "WIDTHxHEIGHT"),
        (["--iterations", "10"], "FIRST,LATER"),
        (["--iterations", "0,1"], "FIRST,LATER"),
        (["--shares", "1/0"], "SHARE"),
        (["--shares", "0,1"], "not above 0"),
        (["--lattice", "2"], "MATRIX,OTHER"),
        (["--lattice", "0,1"], "not above 0"),
        (["--shape", "breadth=2"], "FIELD=VALUE"),
        (["--shape", "width=0"], "width 0 breaks its rule"),
    ],
)
def test_usage(clip, arguments, what):
    assert what in " ".join(run(faster.main, clip, *arguments, code=2)[0].split())
