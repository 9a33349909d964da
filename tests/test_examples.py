"""The scripts of docs/examples, run as users run them."""

import importlib
import importlib.util
import sys
from pathlib import Path

import av
import numpy as np
import pytest

import nvcodec
from tests.hybrid import HybridPlan, synthesize_hybrid

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"


def load(name):
    """An example as a module that workers of their own process can load as well."""
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def run(monkeypatch, capsys):
    """Run an example with arguments; gives what it prints, line by line."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        load(name).main()
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """(path of a file of 22 frames of 75x46, its pictures)."""
    data, pictures = synthesize_hybrid(HybridPlan())
    path = tmp_path_factory.mktemp("clip") / "clip.nrv"
    path.write_bytes(data)
    return path, pictures


def read_png(path):
    """A PNG file as an array (height, width, 3)."""
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


def test_all_are_named():
    text = (EXAMPLES / "README.md").read_text("utf-8")
    assert all(f"[{path.name}]({path.name})" in text for path in EXAMPLES.glob("*.py"))


def test_random_frames(run, clip):
    path, pictures = clip
    lines = run("random_frames", path, 20, 3)
    assert [line.split()[1] for line in lines] == ["20", "3"]
    assert lines[1].endswith(f"luma {pictures[3][0].mean():.1f}")


def test_thumbnails(run, clip, tmp_path):
    path, _ = clip
    files = run("thumbnails", path, tmp_path / "small", "--every", 0.3, "--width", 32)
    assert files == sorted(str(file) for file in (tmp_path / "small").iterdir())
    assert len(files) > 1
    assert {read_png(file).shape for file in files} == {(20, 32, 3)}


def test_contact_sheet(run, clip, tmp_path):
    path, _ = clip
    run("contact_sheet", path, tmp_path / "sheet.png", "--columns", 6, "--rows", 4, "--width", 20)
    sheet = read_png(tmp_path / "sheet.png")
    assert sheet.shape == (4 * 12, 6 * 20, 3)
    # There are 22 frames for 24 places.
    assert sheet[36:, 80:].max() == 0
    assert sheet[:36].std() > 10


@pytest.mark.parametrize(("workers", "start"), [(0, None), (1, "fork"), (1, "spawn")])
def test_torch_loader(clip, workers, start, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    clips = importlib.import_module("torch_loader")
    path, _ = clip
    batches = list(clips.loader([str(path), str(path)], (32, 20), 3, workers, start))
    assert [tuple(batch.shape) for batch in batches] == [(3, 4, 3, 20, 32), (1, 4, 3, 20, 32)]
    with nvcodec.Decoder(path) as decoder:
        expected = [decoder.tensor(range(k, k + 7, 2), size=(32, 20)) for k in (0, 8)] * 2
    found = sorted(float(clip.mean()) for batch in batches for clip in batch)
    np.testing.assert_allclose(found, sorted(float(c.mean()) for c in expected), atol=1e-5)


def test_encode_arrays(run, tmp_path):
    output = tmp_path / "bars.nrv"
    (line,) = run("encode_arrays", output, "--frames", 3)
    assert line.startswith(f"3 frames, {output.stat().st_size} bytes, PSNR ")
    assert float(line.split()[-2]) > 30
    with nvcodec.Decoder(output) as decoder:
        assert [frame.planes[0].shape for frame in decoder] == [(64, 96)] * 3
