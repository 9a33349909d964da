"""The nirvana ablation: each change does what it says, ends with its block; the table."""

import numpy as np
import pytest
import torch

from nvcodec.coding.nirvana import entropy
from nvcodec.coding.nirvana.motion import decode_motion
from nvcodec.coding.nirvana.table import FEATURES, load
from nvcodec.encode.encoder import encode
from nvcodec.encode.nirvana import group, video
from nvcodec.encode.nirvana.effort import EFFORTS
from nvcodec.format import GroupUnit, UnitReader
from nvcodec.model.nirvana import moved, network
from nvcodec.model.nirvana.layers import Layers, rebuild_parameters
from nvcodec.model.nirvana.parameters import Grid
from nvcodec.picture import YUV420P8
from nvcodec.tasks import TaskPool
from tests.cli.support import y4m
from tests.tools.support import loaded, run
from tools.ablation import nirvana as ablation
from tools.ablation.nirvana import AXES, Change, changed
from tools.lib.clips import Clip
from tools.lib.nirvana_float import NirvanaNetwork
from tools.train import nirvana as training

WIDTH, HEIGHT, FRAMES = 64, 48, 8
CHANGES = {f"{axis} {name}": change for axis, some in AXES.items() for name, change in some.items()}


def pictures():
    """A texture that moves, over one that stays; a smooth corner comes later."""
    random = np.random.default_rng(0)
    rough = random.integers(0, 255, (HEIGHT + 20, WIDTH + 40))
    soft = (rough[1:, 1:] + rough[:-1, 1:] + rough[1:, :-1] + rough[:-1, :-1]) // 4
    made = []
    for t in range(FRAMES):
        luma = soft[:HEIGHT, :WIDTH].copy()
        luma[:, 24:] = soft[t : t + HEIGHT, 24 + 2 * t : WIDTH + 2 * t]
        if t >= 4:
            luma[:32, :16] = 100 + np.arange(16)
        luma = luma.astype(np.uint8)
        made.append((luma, luma[::2, ::2], 255 - luma[::2, ::2]))
    return made


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.y4m"
    path.write_bytes(y4m(pictures()))
    return Clip(path)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(training, "_START_BATCHES", 4)


def coded(clip, path, **options):
    """The groups of the clip's file."""
    given = {"model": "nirvana", "preset": "fast", "crf": 30.0, "key_interval": 1e6} | options
    encode(clip.path, path, overwrite=True, **given)
    with path.open("rb") as file:
        reader = UnitReader(file)
        reader.open()
        return [event.group for event in reader if isinstance(event, GroupUnit)]


def substreams(groups):
    return [(g.first_frame, g.content, g.motion) for g in groups]


@pytest.fixture(scope="module")
def base(clip, tmp_path_factory):
    """The groups of the codec as it is."""
    return coded(clip, tmp_path_factory.mktemp("base") / "base.nrv")


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_changes_the_file_and_ends_with_its_block(clip, base, tmp_path, name):
    change = CHANGES[name]
    with changed(change, clip):
        groups = coded(clip, tmp_path / "a.nrv", **change.options)
    # This preset splits no groups; and a component has to pay.
    if name not in ("components a new one in a group", "group 4"):
        assert [(g.crc, g.content) for g in groups] != [(g.crc, g.content) for g in base]
    assert substreams(coded(clip, tmp_path / "b.nrv")) == substreams(base)


def features(groups, grid):
    """Features of each group."""
    before, found, layers = None, [], Layers(WIDTH, HEIGHT, YUV420P8)
    for g in groups:
        last = None if g.key else before
        before = rebuild_parameters(layers, last, g.frame_count, g.content, g.motion, g.network)
        found.append(before[0].features)
    return found


def test_features_that_are_left_out(clip, base, tmp_path):
    grid = Grid(WIDTH, HEIGHT)
    assert all(f[..., 80:].any() for f in features(base, grid))
    with changed(CHANGES["features 80"], clip):
        groups = coded(clip, tmp_path / "a.nrv")
        assert not moved.load().basis[:, 80:].any()
        found = features(groups, grid)
    assert all(f[..., :80].any() for f in found)
    # Hardly a residual is left: it would be for what the entropy network expects.
    assert np.mean([np.count_nonzero(f[..., 80:]) for f in found]) < 0.02 * found[0].size


def test_no_motion_and_no_intra_blocks(clip, base, tmp_path):
    grid = Grid(WIDTH, HEIGHT)

    def of_second(groups):
        return decode_motion(groups[1].motion, grid.block_rows, grid.block_columns, 4)

    paths, intra = of_second(base)
    assert paths.any()
    assert intra.any()
    with changed(CHANGES["motion no motion"], clip):
        assert not of_second(coded(clip, tmp_path / "a.nrv"))[0].any()
    with changed(CHANGES["motion no intra blocks"], clip):
        assert not of_second(coded(clip, tmp_path / "a.nrv"))[1].any()


def test_groups_and_keys(clip, base, tmp_path):
    assert [(g.frame_count, g.key) for g in base] == [(4, True), (4, False)]
    with changed(CHANGES["before key groups only"], clip):
        options = CHANGES["before key groups only"].options
        assert all(g.key for g in coded(clip, tmp_path / "a.nrv", **options))
    for frames in (1, 2):
        options = CHANGES[f"group {frames}"].options
        groups = coded(clip, tmp_path / "a.nrv", **options)
        assert [g.frame_count for g in groups] == [frames] * (FRAMES // frames)


def test_key_gain_and_bit_price(clip):
    tasks, layers = TaskPool(2), Layers(WIDTH, HEIGHT, YUV420P8)
    pictures, coder = clip.pictures()[:4], group.GroupCoder(layers, EFFORTS["fast"], tasks)
    for name, gain in (("key 0", 0), ("key 4", 4)):
        with changed(CHANGES[name], clip):
            key = coder.code(pictures, None, 30).parameters
            assert key[0].quantiser == 32 - gain
            assert coder.code(pictures, key, 30).parameters[0].quantiser == 30
            assert coder.code(pictures, None, 5).parameters[0].quantiser == max(4, 7 - gain)
    tasks.close()
    with changed(CHANGES["entropy x 2"], clip):
        assert 2 * group.BITS_PER_SQUARE == ablation.BITS_PER_SQUARE
    with changed(CHANGES["group 4"], clip):
        assert not any(effort.split for effort in EFFORTS.values())
    assert EFFORTS["medium"].split
    with changed(CHANGES["gradient 4 steps"], clip):
        assert {effort.steps for effort in EFFORTS.values()} == {4}
    assert EFFORTS["fast"].steps == 0


def test_a_network_of_the_clip(clip):
    own = load()
    with changed(CHANGES["start untrained"], clip):
        made = network.load()
        assert all(module.load() is made for module in (entropy, moved))
        basis = made.basis / 8192
        # Orthonormal; what the clip's patches have most of comes first.
        assert np.abs(basis.T @ basis - np.eye(FEATURES)).max() < 0.01
        grid = Grid(WIDTH, HEIGHT)
        planes = [picture[0] for picture in clip.pictures()[:4]]
        samples = group.fold(planes, grid, (0, grid.rows))
        energy = np.square(samples @ basis).sum(0)
        assert energy[: FEATURES // 2].sum() > 2 * energy[FEATURES // 2 :].sum()
        assert not made.third.any()
    assert np.array_equal(network.load().basis, own.basis)


def test_tables(clip, tmp_path):
    options = ["--preset", "fast", "--crf", "26,38", "--axes", "features,motion,group"]
    text, (rows,) = run(ablation.main, clip.path, *options, "--json", tmp_path / "a.json")
    assert text.startswith(f"    python -m tools.ablation.nirvana {clip.path}")
    names = [f"{axis} {name}" for axis in ("features", "motion", "group") for name in AXES[axis]]
    assert [f"{r['axis']} {r['change']}".strip() for r in rows] == ["as it is", *names]
    assert rows[0]["BD-rate"] == "+0.0 %"
    assert all(len(r["bytes"].split("/")) == len(r["PSNR"].split("/")) == 2 for r in rows)
    figures = {f"{r['axis']} {r['change']}": r["BD-rate"] for r in rows}
    assert float(figures["motion no motion"].split()[0]) > 0
    assert figures["features 16"].startswith(("at least x", "+"))
    data = loaded(tmp_path / "a.json", "ablation.nirvana")
    assert len(data["points"]) == 2 * len(rows)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--axes", "depth"], "'depth' is not one of"),
        (["--crf", "a"], "could not convert"),
        (["--frames", 7], "--frames"),
    ],
)
def test_usage(clip, arguments, what):
    assert what in " ".join(run(ablation.main, clip.path, *arguments, code=2)[0].split())


def test_networks_out_of_range():
    network = NirvanaNetwork()
    with torch.no_grad():
        network.synthesis.basis.fill_(1)
    with pytest.raises(ValueError, match="may leave"):
        ablation.table_of(network)


def test_an_unknown_name_is_an_error(clip):
    with pytest.raises(AttributeError), changed(Change(inside=((video, "nothing", 1),)), clip):
        pass
