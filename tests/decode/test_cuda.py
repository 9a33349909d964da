"""Decoding on a CUDA device: errors without one, and frames in Triton's interpreter."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from nvcodec.cli.outcome import ExitCode
from nvcodec.decode.decoder import Decoder
from nvcodec.decode.devices import make_device
from nvcodec.format import UnsupportedError, VerificationError
from nvcodec.model.description import CanvasShape
from nvcodec.picture import Planes
from tests.cli.support import call
from tests.decode.samples import cut, rebuild, same, sample
from tests.hybrid import HybridPlan, synthesize_hybrid
from tests.nirvana import NirvanaPlan, synthesize_nirvana
from tools import gpu_check

Opened = Callable[..., Decoder]


@pytest.fixture
def opened(interpreted_device: None) -> Opened:
    """Makes decoders whose device is Triton's interpreter."""

    def decoder(data: bytes, **options: bool) -> Decoder:
        return Decoder(io.BytesIO(data), device="cuda", **options)

    return decoder


def arrays(planes: Planes) -> Planes:
    assert all(isinstance(plane, torch.Tensor) and plane.dtype == torch.uint8 for plane in planes)
    return tuple(plane.numpy() for plane in planes)


@pytest.mark.parametrize("name", ["small", "deep"])
def test_frames(name: str, opened: Opened, device_checks: list[str]) -> None:
    data, pictures = sample(name)
    frames = list(opened(data).frames(count=4))
    for frame, planes in zip(frames, pictures[:4], strict=True):
        assert all(isinstance(plane, np.ndarray) for plane in frame.planes)
        assert same(frame.planes, planes)
    assert set(device_checks) == {"require_equal"}


@pytest.mark.parametrize("verify", [False, True])
def test_tensors(verify: bool, opened: Opened) -> None:
    data, pictures = sample("small")
    frames = list(opened(data, tensors=True).frames(start=1, count=4, verify=verify))
    for frame, planes in zip(frames, pictures[1:5], strict=True):
        assert (frame.height, frame.width) == planes[0].shape
        assert same(arrays(frame.planes), planes)


def test_tensors_of_a_view(opened: Opened) -> None:
    data, pictures = sample("deep")
    crop = (5, 9, 4, 2)
    decoder, reference = opened(data, tensors=True), Decoder(io.BytesIO(data))
    assert same(arrays(decoder.render(3, crop=crop).planes), cut(pictures[3], crop))
    for size in [(40, 21), (7, 62)]:
        expected = reference.render(3, size=size, crop=(7, 6, 0, 2))
        assert same(arrays(decoder.render(3, size=size, crop=(7, 6, 0, 2)).planes), expected.planes)


def test_checksums_of_tensors_are_checked_on_demand(opened: Opened) -> None:
    data, pictures = sample("deep")
    wrong = rebuild(data, lambda k, group: replace(group, crc=group.crc ^ 1) if k == 0 else group)
    decoder = opened(wrong, tensors=True)
    assert same(arrays(next(decoder.frames()).planes), pictures[0])
    with pytest.raises(VerificationError):
        next(decoder.frames(verify=True))
    with pytest.raises(VerificationError):
        next(opened(wrong).frames())


PLAN = HybridPlan(CanvasShape(2, 3, 1), 37, 21, frames=(1, 2, 1), keys=(0,))


@pytest.mark.parametrize("network", [0, 1])
def test_hybrid(network: int, opened: Opened, device_checks: list[str]) -> None:
    """The last group does not use the network."""
    plan = replace(PLAN, shape=replace(PLAN.shape, network=network))
    data, pictures = synthesize_hybrid(plan)
    frames = list(opened(data).frames())
    for frame, planes in zip(frames, pictures, strict=True):
        assert same(frame.planes, planes)
    assert set(device_checks) == {"require_exact_canvases", *(["require_exact_fusion"] * network)}


def test_hybrid_tensors(opened: Opened) -> None:
    data, pictures = synthesize_hybrid(PLAN)
    with opened(data, tensors=True) as decoder:
        assert same(arrays(decoder[2].planes), pictures[2])
        crop = (20, 10, 4, 6)
        assert same(arrays(decoder.render(2, crop=crop).planes), cut(pictures[2], crop))
        with Decoder(io.BytesIO(data)) as reference:
            expected = reference.render(2, size=(20, 30)).planes
        assert same(arrays(decoder.render(2, size=(20, 30)).planes), expected)


def test_nirvana(opened: Opened, device_checks: list[str]) -> None:
    data, pictures = synthesize_nirvana(NirvanaPlan(frames=(3, 1), keys=(0,)))
    for frame, planes in zip(opened(data).frames(), pictures, strict=True):
        assert same(frame.planes, planes)
    assert set(device_checks) == {"require_exact_synthesis"}
    with opened(data, tensors=True) as decoder:
        crop = (20, 10, 4, 6)
        assert same(arrays(decoder[3].planes), pictures[3])
        assert same(arrays(decoder.render(2, crop=crop).planes), cut(pictures[2], crop))


def test_tensors_are_for_cuda() -> None:
    with pytest.raises(ValueError, match="cuda"):
        Decoder(io.BytesIO(sample("deep")[0]), tensors=True)


def test_no_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in [name for name in sys.modules if name.startswith("nvcodec.model.cuda")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "nvcodec.decode.cuda", raising=False)
    with pytest.raises(UnsupportedError, match="pip install"):
        make_device("cuda", None, None, tensors=False)


WITHOUT = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


@WITHOUT
def test_the_check_of_a_device_says_that_there_is_none() -> None:
    result = CliRunner().invoke(gpu_check.main, [])
    assert result.exit_code == ExitCode.UNSUPPORTED
    assert "no CUDA device" in result.stderr
    assert "nothing was checked" in result.stderr


@WITHOUT
def test_no_device(tmp_path: Path) -> None:
    data = sample("deep")[0]
    with pytest.raises(UnsupportedError, match="no CUDA device"):
        Decoder(io.BytesIO(data), device="cuda")
    path = tmp_path / "a.nrv"
    path.write_bytes(data)
    result = call("nvdec", "--device", "cuda", path, "null")
    assert result.exit_code == ExitCode.UNSUPPORTED
    assert result.stderr == "nvdec: device cuda: no CUDA device is available; use cpu\n"


@pytest.mark.parametrize("tensors", [False, True])
def test_rgb_tensors(tensors: bool, opened: Opened) -> None:
    data, _ = synthesize_hybrid(HybridPlan(CanvasShape(1, 3), 37, 21, (1, 1), (0, 1)))
    asked = [1, 0]
    with Decoder(io.BytesIO(data)) as decoder:
        expected = decoder.tensor(asked, size=(24, 16))
        rgb = decoder.render(1).to_rgb()
    with opened(data, tensors=tensors) as decoder:
        # The device of the interpreter is the host.
        assert decoder[0].device == "cpu"
        assert torch.equal(decoder.tensor(asked, size=(24, 16)), expected)
        frame = decoder.render(1)
        assert np.array_equal(frame.to_rgb(), rgb)
        assert frame.to_video_frame().width == frame.width
