"""The hybrid model in every sample format, from pictures to a bitstream and back."""

import io
import math

import numpy as np
import pytest

from nvcodec.decode.device import Device
from nvcodec.decode.hybrid import HybridModel
from nvcodec.encode.encoder import encode
from nvcodec.format import Description, GroupUnit, UnitReader
from nvcodec.model.description import CanvasShape
from nvcodec.picture import Planes, SampleFormat, samples_crc

WIDTH, HEIGHT = 94, 70
FORMATS = [SampleFormat(depth, chroma) for chroma in (1, 0, 3, 2) for depth in (8, 10, 12)]


def clip(sample_format: SampleFormat, frames: int = 6) -> list[Planes]:
    """Moving waves with detail, the same at every depth and in every chroma format."""
    detail = np.random.default_rng(0).normal(0, 1, (HEIGHT, WIDTH))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    across, down = sample_format.chroma_shift
    pictures = []
    for t in range(frames):
        waves = [
            np.sin((x + 2 * t) / a + y / b) * 50 + np.roll(detail, 2 * t, 1) * c + 118
            for a, b, c in ((9, 14, 5), (17, 11, 2), (13, 31, 2))
        ]
        planes = [waves[0], *(wave[:: 1 << down, :: 1 << across] for wave in waves[1:])]
        scale = 1 << (sample_format.bit_depth - 8)
        pictures.append(
            tuple(
                np.ascontiguousarray(
                    np.clip(np.rint(plane * scale), 0, sample_format.peak), sample_format.dtype
                )
                for plane in planes[: sample_format.planes]
            )
        )
    return pictures


def encoded(sample_format, crf=24.0, **options):
    """(bitstream, pictures) of `clip`."""
    pictures, out = clip(sample_format), io.BytesIO()
    given = {"fps": 30, "bit_depth": sample_format.bit_depth, "model": "hybrid", "threads": 2}
    encode(pictures, out, crf=crf, **given, **options)
    return out.getvalue(), pictures


def decoded(data: bytes) -> list[Planes]:
    """The frames of a bitstream, each group checked against its CRC."""
    reader = UnitReader(io.BytesIO(data))
    model, parameters, frames = None, None, []
    for event in reader:
        if isinstance(event, Description):
            shape = CanvasShape.from_payload(event.payload)
            model = HybridModel(shape, reader.header, Device(2, 64))
        elif isinstance(event, GroupUnit):
            every = range(event.group.frame_count)
            parameters = model.rebuild(event.group, parameters, every)
            shown = model.render(parameters, every)
            assert samples_crc(shown) == event.group.crc
            frames += shown
    model.close()
    return frames


def psnr(pictures, frames, sample_format) -> float:
    errors, count = 0, 0
    for planes, shown in zip(pictures, frames, strict=True):
        for plane, other in zip(planes, shown, strict=True):
            errors += int(((plane.astype(np.int64) - other) ** 2).sum())
            count += plane.size
    return 10 * math.log10(sample_format.peak**2 * count / errors)


@pytest.mark.parametrize(
    "sample_format",
    [
        pytest.param(
            samples, marks=[pytest.mark.deep] if samples.bit_depth > 8 else [], id=str(samples)
        )
        for samples in FORMATS
    ],
)
def test_round_trip(sample_format):
    data, pictures = encoded(sample_format, preset="fast")
    frames = decoded(data)
    for planes in frames:
        assert all(plane.dtype == sample_format.dtype for plane in planes)
        assert [p.shape for p in planes] == list(sample_format.plane_shapes(WIDTH, HEIGHT))
    assert psnr(pictures, frames, sample_format) > 33
