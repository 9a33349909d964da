import math

import pytest

from nvcodec.encode.encoder import encode
from tests.cli.support import moving
from tests.media.clips import noise
from tools.lib.clips import Clip
from tools.lib.measure import Model, compared, decibels, measure
from tools.lib.peers import PEERS, measure_peer, settings_bytes


@pytest.mark.usefixtures("quick")
def test_figures_are_those_of_the_file(clip, tmp_path):
    model = Model.parse("nirvana:slow,network=paper,group_size=2")
    figures = measure(Clip(clip, 5), model, 33, metrics=("ssim",))
    path = tmp_path / "out.nrv"
    options = {"crf": 33, "preset": "slow", "group_size": 2, "frames": 5, "metrics": ("psnr",)}
    result = encode(clip, path, model="nirvana", network="paper", **options)
    psnr = result.meter.values()["psnr"]
    assert figures.bytes == path.stat().st_size
    assert (figures.psnr, figures.psnr_y) == (psnr["all"], psnr["y"])
    assert (figures.width, figures.height, figures.frames, figures.keys) == (48, 32, 5, 1)
    assert [g["bytes"] for g in figures.groups] == [g.bytes for g in result.groups]
    for group, true in zip(figures.groups, result.groups, strict=True):
        assert group["psnr"] == pytest.approx(true.meter.values()["psnr"]["all"])
    assert 0 < figures.ssim < 1
    row = figures.row()
    assert row["ms_ssim"] is None
    assert row["bpp"] == 8 * figures.bytes / (48 * 32 * 5)
    # 4:2:0 has 1.5 samples for each of luma.
    assert figures.squared_error == pytest.approx(1.5 * 255**2 / 10 ** (figures.psnr / 10))


def test_models():
    assert Model.parse("nirvana").options == {"model": "nirvana"}
    assert Model.parse("m:fast,network=paper,group_size=8,key_interval=0.5").options == {
        "model": "m",
        "preset": "fast",
        "network": "paper",
        "group_size": 8,
        "key_interval": 0.5,
    }
    sine = Model.parse("nirvana:fast,network=paper")
    assert Model.parse("nirvana:fast").qualities[0] < sine.qualities[0]
    for wrong in ("m:a:b", "m,", "m,x", "m,x=", "m,=1"):
        with pytest.raises(ValueError):  # noqa: PT011
            Model.parse(wrong)


def test_the_hybrid_model(clip):
    figures = measure(Clip(clip, 5), Model.parse("hybrid:fast,group_size=2,threads=1"), 27)
    assert (figures.frames, figures.keys, len(figures.groups)) == (5, 1, 3)
    assert figures.row()["shape"] == {"group_frames": 2, "chroma_offset": 0, "network": 1}


def test_frames_that_are_missing_are_no_figures():
    pictures = noise(2, 8, 8)
    for source, decoded in ((pictures, pictures[:1]), (pictures[:1], pictures), ([], [])):
        with pytest.raises(RuntimeError, match="differ in number"):
            compared(source, decoded)


def test_identical_frames():
    figures = compared(noise(2, 8, 8), noise(2, 8, 8))
    assert figures.psnr == decibels(figures.errors) == math.inf


@pytest.mark.parametrize("name", ["x264", "x265:psnr"])
def test_classical_codecs(name):
    pictures = moving(6, 64, 48)
    better, worse = (measure_peer(pictures, None, PEERS[name], crf) for crf in (20, 40))
    assert better.keys == worse.keys == 1
    assert 0 < worse.bytes < better.bytes < 4000
    assert 20 < worse.psnr < better.psnr


def test_pictures_too_narrow_for_x265():
    with pytest.raises(ValueError, match="64 columns"):
        measure_peer(moving(1, 63, 64), None, PEERS["x265"], 20)


def test_settings_of_x264_do_not_count():
    text, picture = b"\0\0\1\6\5settings", b"\0\0\1\x65picture\0\1"
    other = b"\0\0\1\6\1recovery"
    assert settings_bytes(text + picture) == len(text)
    assert settings_bytes(picture + other) == 0
    assert settings_bytes(other + text + picture) == len(text)
    # Without them a frame of a flat picture is a few bytes.
    flat = [tuple(p * 0 + 128 for p in planes) for planes in moving(1)]
    assert measure_peer(flat, None, PEERS["x264"], 40).bytes < 60
