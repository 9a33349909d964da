import hashlib
import io
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.media.source import open_source
from nvcodec.media.y4m import FrameDigest, Y4mWriter
from nvcodec.picture import SAMPLE_FORMATS, SampleFormat

from .clips import assert_same, encode, noise


@pytest.mark.parametrize("samples", SAMPLE_FORMATS, ids=lambda samples: samples.name)
@pytest.mark.parametrize("size", [(17, 9), (2, 2)])
def test_every_format_is_read_back(samples, size):
    pictures = noise(2, *size, samples=samples)
    buffer = io.BytesIO()
    writer = Y4mWriter(buffer, *size, Fraction(25), None, 1, 255, samples)
    for planes in pictures:
        writer.write(planes)
    with open_source(io.BytesIO(buffer.getvalue())) as source:
        assert source.sample_format == samples
        assert source.full_range == 1
        for picture, planes in zip(source, pictures, strict=True):
            assert_same(picture, planes)
        assert source.notes == []


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("gray", b"Cmono"),
        ("gray12", b"Cmono12"),
        ("yuv420p10", b"C420p10 XYSCSS=420P10"),
        ("yuv422p", b"C422"),
        ("yuv422p12", b"C422p12 XYSCSS=422P12"),
        ("yuv444p", b"C444"),
    ],
)
def test_tags_are_those_of_ffmpeg(tmp_path, name, tag):
    """FFmpeg's own writer begins with the same size, and has the same tags."""
    (samples,) = (s for s in SAMPLE_FORMATS if s.name == name)
    pixel_format = name + "le" * (samples.bit_depth > 8)
    theirs = encode(
        tmp_path / "a.y4m",
        noise(1, 6, 4, samples=samples),
        6,
        4,
        codec="wrapped_avframe",
        pixel_format=pixel_format,
        container_options={"strict": "-1"},
    ).read_bytes()
    ours = io.BytesIO()
    Y4mWriter(ours, 6, 4, Fraction(30), None, 2, 255, samples)
    assert set(tag.split()) <= set(ours.getvalue().split())
    assert set(tag.split()) <= set(theirs.split(b"\n")[0].split())


def test_a_wrong_number_of_planes():
    writer = Y4mWriter(io.BytesIO(), 4, 2, None, None, 2, 0, SampleFormat(8, 0))
    with pytest.raises(ValueError, match="3 planes, 8-bit monochrome has 1"):
        writer.write(noise(1, 4, 2)[0])


@settings(max_examples=30)
@given(
    st.integers(1, 19),
    st.integers(1, 19),
    st.sampled_from([Fraction(24000, 1001), Fraction(60), Fraction(1, 2)]),
    st.sampled_from([None, Fraction(1), Fraction(64, 45)]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([0, 1, 2]),
)
def test_read_back(width, height, rate, sar, full_range, location):
    pictures = noise(3, width, height)
    buffer = io.BytesIO()
    writer = Y4mWriter(buffer, width, height, rate, sar, full_range, location)
    for planes in pictures:
        writer.write(planes)
    assert writer.frames == 3
    buffer.seek(0)
    with open_source(buffer) as source:
        assert (source.width, source.height) == (width, height)
        assert (source.frame_rate, source.sar) == (rate, sar)
        assert (source.full_range, source.chroma_location) == (full_range, location)
        for picture, planes in zip(source, pictures, strict=True):
            assert_same(picture, planes)
            assert picture.duration == 1
        assert source.notes == []


@pytest.mark.parametrize(
    ("location", "tag"),
    [
        (0, b"C420mpeg2"),
        (1, b"C420jpeg"),
        (2, b"C420paldv"),
        (3, b"C420jpeg"),
        (4, b"C420mpeg2"),
        (5, b"C420jpeg"),
        (255, b"C420mpeg2"),
    ],
)
def test_header(location, tag):
    buffer = io.BytesIO()
    Y4mWriter(buffer, 3, 2, None, None, 2, location)
    assert buffer.getvalue() == b"YUV4MPEG2 W3 H2 F25:1 Ip A0:0 " + tag + b"\n"


def test_views_and_wrong_shapes():
    buffer = io.BytesIO()
    writer = Y4mWriter(buffer, 3, 2, Fraction(25), None, 1, 0)
    header = len(buffer.getvalue())
    wide = np.arange(24, dtype=np.uint8).reshape(4, 6)
    chroma = np.zeros((1, 2), np.uint8)
    writer.write((wide[::2, ::2], chroma, chroma))
    assert buffer.getvalue()[header:] == b"FRAME\n" + bytes([0, 2, 4, 12, 14, 16, 0, 0, 0, 0])
    for luma in (wide, wide[::2, ::2].astype(np.uint16)):
        with pytest.raises(ValueError, match="expected uint8"):
            writer.write((luma, chroma, chroma))
    assert writer.frames == 1


def test_digest():
    pictures = noise(2, 5, 3)
    digest = FrameDigest()
    for planes in pictures:
        digest.update(planes)
    expected = hashlib.md5(b"".join(p.tobytes() for planes in pictures for p in planes))
    assert digest.hexdigest() == expected.hexdigest()


def test_no_media_library_is_imported():
    script = "import sys, nvcodec.media.y4m, nvcodec.media.quality; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
