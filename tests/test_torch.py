"""Clips for training, from files and in workers."""

import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

import nvcodec
from nvcodec.format import CorruptError
from tests.hybrid import HybridPlan, synthesize_hybrid
from tests.synthetic import Plan, synthesize

torch = pytest.importorskip("torch")
clips = pytest.importorskip("nvcodec.torch")

SIZE = (32, 20)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Files of 22, 10 and 10 frames."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "a.nrv").write_bytes(synthesize_hybrid(HybridPlan())[0])
    (folder / "b.nrv").write_bytes(synthesize(Plan())[0])
    shutil.copy(folder / "b.nrv", folder / "c.nrv")
    return [folder / name for name in ("a.nrv", "b.nrv", "c.nrv")]


def expected(path, frames):
    with nvcodec.Decoder(path) as decoder:
        return torch.stack([decoder.render(k, size=SIZE).to_tensor() for k in frames])


def open_files():
    return len(os.listdir("/proc/self/fd"))


def test_clips(paths):
    data = clips.VideoClips(paths, frames=4, stride=2, size=SIZE)
    # Of 7 frames each, every 8 frames.
    places = [(0, 0), (0, 8), (1, 0), (2, 0)]
    assert len(data) == 4
    assert [data.place(k) for k in range(4)] == [(str(paths[f]), n) for f, n in places]
    for k, (file, first) in enumerate(places):
        assert data[k].shape == (4, 3, 20, 32)
        assert torch.equal(data[k], expected(paths[file], range(first, first + 7, 2)))
    assert torch.equal(data[-1], data[3])
    for k in (4, -5):
        with pytest.raises(IndexError):
            data[k]
    dense = clips.VideoClips(paths[:1], frames=2, stride=3, size=None, step=1, dtype=torch.uint8)
    assert len(dense) == 22 - 3
    assert (dense[18].shape, dense[18].dtype) == ((2, 3, 46, 75), torch.uint8)
    assert len(clips.VideoClips(paths)) == 0


def test_files_are_opened_late_and_closed(paths, tmp_path):
    data = clips.VideoClips([tmp_path / "none.nrv"])
    with pytest.raises(FileNotFoundError):
        len(data)
    data = clips.VideoClips(paths, frames=4, size=SIZE)
    data[0]
    before = open_files()
    for k in range(4):
        data[k]
    assert open_files() == before


def test_pickling(paths):
    data = clips.VideoClips(paths, frames=4, size=SIZE)
    fresh = pickle.loads(pickle.dumps(data))
    assert torch.equal(fresh[1], data[1])
    assert torch.equal(pickle.loads(pickle.dumps(fresh))[1], data[1])


@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers(paths, start, workers):
    """A spawned worker imports PyTorch anew, which takes seconds."""
    data = clips.VideoClips(paths, frames=4, size=SIZE)
    # The files have been read here before the workers start.
    single = [data[k] for k in range(len(data))]
    loader = torch.utils.data.DataLoader(
        data, batch_size=2, num_workers=workers, multiprocessing_context=start, timeout=100
    )
    for _ in range(2 if start == "fork" else 1):
        batches = list(loader)
        assert [batch.shape for batch in batches] == [(2, 4, 3, 20, 32)] * 2
        assert torch.equal(torch.cat(batches), torch.stack(single))


def test_errors_name_the_file(paths, tmp_path):
    path = tmp_path / "damaged.nrv"
    data = bytearray(paths[1].read_bytes())
    data[len(data) // 4] ^= 255
    path.write_bytes(data)
    damaged = clips.VideoClips([path], frames=10, stride=1, size=SIZE)
    with pytest.raises(CorruptError) as caught:
        damaged[0]
    assert any(str(path) in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    "options",
    [{"frames": 0}, {"stride": 0}, {"step": 0}, {"threads": 0}, {"dtype": torch.int16}],
)
def test_wrong_options(options):
    with pytest.raises(ValueError, match=r"at least 1|int16"):
        clips.VideoClips([], **options)


def test_clips_are_rgb_of_the_file(paths):
    data = clips.VideoClips(paths[:1], frames=1, stride=1, size=None, dtype=torch.uint8)
    with nvcodec.Decoder(paths[0]) as decoder:
        rgb = decoder[5].to_rgb().astype(int)
    assert np.abs(data[5][0].permute(1, 2, 0).numpy() - rgb).mean() < 1


def test_the_module_is_loaded_when_it_is_named(monkeypatch):
    code = "import sys, nvcodec; nvcodec.Decoder; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    monkeypatch.delattr(nvcodec, "torch")
    assert nvcodec.torch.VideoClips is clips.VideoClips
