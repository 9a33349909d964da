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
from nvcodec.media.y4m import FrameDigest, NullWriter, Y4mWriter

from .clips import assert_same, noise


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


def test_null_writer_counts():
    writer = NullWriter()
    for planes in noise(3, 4, 4):
        writer.write(planes)
    assert writer.frames == 3


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
