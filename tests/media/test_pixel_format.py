"""Pixel formats: those that pass without conversion, and the conversion of others."""

import io

import numpy as np
import pytest

from .clips import assert_same, encode, noise, read, write_png


@pytest.mark.parametrize("size", [(32, 18), (33, 17), (7, 5), (1, 1)])
def test_lossless_round_trip(tmp_path, size):
    pictures = noise(4, *size)
    clip = encode(tmp_path / "a.mkv", pictures, *size)
    source, got = read(clip)
    assert (source.width, source.height) == size
    assert source.notes == []
    assert source.chroma_location == 255
    for picture, planes in zip(got, pictures, strict=True):
        assert_same(picture, planes)


def test_full_range_j_format_is_not_converted(tmp_path):
    clip = encode(
        tmp_path / "a.mkv", noise(1, 16, 16), 16, 16, codec="mjpeg", pixel_format="yuvj420p"
    )
    source, got = read(clip)
    assert source.full_range == 1
    assert source.chroma_location == 1
    assert source.notes == []
    assert len(got) == 1


def test_alpha_is_dropped_without_touching_the_rest(tmp_path):
    (planes,) = noise(1, 10, 6)
    alpha = np.full((6, 10), 7, np.uint8)
    clip = encode(tmp_path / "a.mkv", [(*planes, alpha)], 10, 6, pixel_format="yuva420p")
    source, (picture,) = read(clip)
    assert_same(picture, planes)
    assert source.notes == ["dropped the alpha channel"]


def test_ten_bits(tmp_path):
    levels = [np.full((6, 10), v * 4, "<u2") for v in (235, 16, 240)]
    clip = encode(tmp_path / "a.mkv", [levels], 10, 6, pixel_format="yuv444p10le")
    source, (picture,) = read(clip)
    assert source.notes == ["converted yuv444p10le to 8-bit 4:2:0"]
    assert source.chroma_location == 1
    for plane, value in zip(picture.planes, (235, 16, 240), strict=True):
        assert (plane == value).all()


@pytest.mark.parametrize("colour_range", [0, 1, 2])
def test_gray_keeps_its_samples(tmp_path, colour_range):
    luma = np.arange(15 * 17, dtype=np.uint8).reshape(15, 17)
    colour = {"color_range": colour_range}
    clip = encode(tmp_path / "a.mkv", [[luma]], 17, 15, pixel_format="gray", colour=colour)
    source, (picture,) = read(clip)
    neutral = np.full((8, 9), 128, np.uint8)
    assert_same(picture, (luma, neutral, neutral))
    assert source.full_range == {0: 1, 1: 0, 2: 1}[colour_range]
    assert source.notes == ["converted gray to 8-bit 4:2:0"]


@pytest.mark.parametrize(
    ("pixel_format", "colour_range", "full_range"),
    [("yuv422p", 2, 1), ("yuv422p", 1, 0), ("yuv422p", 0, 2), ("yuv411p", 2, 1)],
)
def test_conversion_keeps_the_range(tmp_path, pixel_format, colour_range, full_range):
    chroma_width = 8 if pixel_format == "yuv422p" else 4
    values = (255, 1, 254)
    planes = [np.full((8, 16), values[0], np.uint8)]
    planes += [np.full((8, chroma_width), v, np.uint8) for v in values[1:]]
    colour = {"color_range": colour_range, "colorspace": 14}
    clip = encode(tmp_path / "a.mkv", [planes], 16, 8, pixel_format=pixel_format, colour=colour)
    source, (picture,) = read(clip)
    assert source.full_range == full_range
    assert source.matrix == 14
    assert [int(p.min()) for p in picture.planes] == list(values)
    assert [int(p.max()) for p in picture.planes] == list(values)


@pytest.mark.parametrize(("height", "matrix", "red"), [(16, 6, (81, 90)), (720, 1, (63, 102))])
def test_rgb(tmp_path, height, matrix, red):
    pixels = np.tile(np.array([255, 0, 0], np.uint8), (height, 16))
    write_png(tmp_path / "a.png", pixels)
    source, (picture,) = read(tmp_path / "a.png")
    assert (source.matrix, source.full_range, source.chroma_location) == (matrix, 0, 1)
    name = {1: "BT.709", 6: "BT.601"}[matrix]
    assert source.notes == [f"converted rgb24 to 8-bit 4:2:0, {name} matrix, limited range"]
    y, u, v = picture.planes
    assert abs(int(y[3, 3]) - red[0]) <= 1
    assert abs(int(u[3, 3]) - red[1]) <= 1
    assert abs(int(v[3, 3]) - 240) <= 1


def test_changing_size_is_scaled_and_announced(tmp_path):
    stream = io.BytesIO()
    for size in ((16, 16), (32, 24)):
        part = encode(
            tmp_path / "p.mjpeg",
            noise(1, *size),
            *size,
            codec="mjpeg",
            pixel_format="yuvj420p",
        )
        stream.write(part.read_bytes())
    (tmp_path / "a.mjpeg").write_bytes(stream.getvalue())
    source, got = read(tmp_path / "a.mjpeg")
    assert [p.planes[0].shape for p in got] == [(16, 16)] * 2
    assert "frame 1: scaled from 32x24 to 16x16, the size of the first frame" in source.notes
