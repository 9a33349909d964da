"""Random clips as tensors: the same frames from both files."""

import av
import numpy as np
import pytest

from tests.cli.support import moving, y4m
from tests.tools.support import loaded, run

training = pytest.importorskip("tools.bench.training")


def test_a_run(tmp_path):
    path = tmp_path / "clip.y4m"
    path.write_bytes(y4m(moving(8, 48, 32)))
    text = tmp_path / "out.json"
    _, (rows,) = run(
        training.main, path, "--frames", 34, "--clips", 2, "--size", "24x16",
        "--key-interval", 1, "--key-interval", 0.2, "--json", text,
    )  # fmt: skip
    assert [row["file"] for row in rows] == ["nvcodec", "H.264, PyAV"] * 2
    assert all(float(row["mean ms"]) > 0 for row in rows)
    assert len(loaded(text, "bench.training")["clips"]) == 4


def test_clips_of_h264(tmp_path):
    source = tmp_path / "clip.y4m"
    source.write_bytes(y4m(moving(50, 48, 32)))
    path = tmp_path / "clip.mp4"
    rate = training.encode_h264(training.Clip(source), path, 10, 0.4)
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    clip = training.H264Clips(path, rate, (48, 32))[13]
    assert clip.shape == (16, 3, 32, 48)
    for k, picture in enumerate(clip.permute(0, 2, 3, 1).mul(255).numpy()):
        assert np.abs(picture - frames[13 + 2 * k]).max() <= 1
