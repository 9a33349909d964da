"""Pixel formats: those that pass without conversion, and the conversion of others."""

import io

import numpy as np
import pytest
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from nvcodec.media.notes import Notes
from nvcodec.media.pixel_format import Converter, kept_format
from nvcodec.picture import SAMPLE_FORMATS, YUV420P8, SampleFormat

from .clips import assert_same, encode, fill_frame, noise, read, write_png


def named(name):
    return next(samples for samples in SAMPLE_FORMATS if samples.name == name)


def pixel_format_of(samples):
    return samples.name + "le" * (samples.bit_depth > 8)


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


@pytest.mark.parametrize("samples", SAMPLE_FORMATS, ids=lambda samples: samples.name)
@pytest.mark.parametrize("size", [(33, 17), (16, 8)])
def test_every_sample_format_is_kept(tmp_path, samples, size):
    pictures = noise(2, *size, samples=samples)
    clip = encode(tmp_path / "a.mkv", pictures, *size, pixel_format=pixel_format_of(samples))
    source, got = read(clip)
    assert source.sample_format == samples
    assert source.notes == []
    for picture, planes in zip(got, pictures, strict=True):
        assert_same(picture, planes)


def convert(pixel_format, data, samples, colour_range):
    """Planes of a frame of 16x8 made of `data`, and the notes on them."""
    frame = VideoFrame(16, 8, pixel_format)
    fill_frame(frame, data)
    frame.color_range = colour_range
    notes = Notes()
    converter = Converter(
        (16, 8),
        samples,
        samples.chroma_shift,
        matrix=1,
        full_range=colour_range - 1,
        sites=(0, 0),
        notes=notes,
    )
    return converter.planes(frame, 0), notes.lines


def semi_planar(planes, shift):
    y, u, v = planes
    return [y << shift, np.stack([u << shift, v << shift], -1).reshape(len(u), -1)]


def packed_422(planes, shift):
    y, u, v = planes
    return [np.stack([y[:, ::2], u, y[:, 1::2], v], -1).reshape(len(y), -1) << shift]


@pytest.mark.parametrize(
    ("pixel_format", "name", "pack"),
    [
        ("nv12", "yuv420p", lambda planes: semi_planar(planes, 0)),
        ("nv16", "yuv422p", lambda planes: semi_planar(planes, 0)),
        ("nv24", "yuv444p", lambda planes: semi_planar(planes, 0)),
        ("p010le", "yuv420p10", lambda planes: semi_planar(planes, 6)),
        ("p012le", "yuv420p12", lambda planes: semi_planar(planes, 4)),
        ("p210le", "yuv422p10", lambda planes: semi_planar(planes, 6)),
        ("yuyv422", "yuv422p", lambda planes: packed_422(planes, 0)),
        ("y210le", "yuv422p10", lambda planes: packed_422(planes, 6)),
        ("yuv422p10be", "yuv422p10", lambda planes: [plane.byteswap() for plane in planes]),
        ("gray12be", "gray12", lambda planes: [plane.byteswap() for plane in planes]),
    ],
)
@pytest.mark.parametrize("colour_range", [1, 2])
def test_other_ways_to_pack_lose_nothing(pixel_format, name, pack, colour_range):
    samples = named(name)
    (planes,) = noise(1, 16, 8, samples=samples)
    assert kept_format(VideoFormat(pixel_format, 16, 8), SAMPLE_FORMATS) == samples
    got, notes = convert(pixel_format, pack(planes), samples, colour_range)
    assert notes == []
    for plane, expected in zip(got, planes, strict=True):
        assert plane.dtype == expected.dtype
        np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize(
    ("pixel_format", "kept"),
    [
        ("yuv420p9le", "yuv420p10"),
        ("yuv422p14le", "yuv422p12"),
        ("yuv444p16le", "yuv444p12"),
        ("gray16le", "gray12"),
        ("yuv411p", "yuv422p"),
        ("yuv410p", "yuv420p"),
        ("yuv440p10le", "yuv444p10"),
        ("monow", "gray"),
        ("ya8", "gray"),
        ("rgb24", "yuv444p"),
        ("pal8", "yuv444p"),
        ("bgra", "yuv444p"),
        ("x2rgb10le", "yuv444p10"),
        ("gbrp12le", "yuv444p12"),
        ("rgb48le", "yuv444p12"),
        ("yuvj422p", "yuv422p"),
        ("yuva444p10le", "yuv444p10"),
    ],
)
def test_what_keeps_most_of_a_source(pixel_format, kept):
    assert kept_format(VideoFormat(pixel_format, 16, 16), SAMPLE_FORMATS).name == kept


@pytest.mark.parametrize(
    ("pixel_format", "offered", "kept"),
    [
        ("yuv444p12le", "gray12 yuv420p12 yuv444p10", "yuv420p12"),
        ("gray", "yuv444p yuv422p yuv420p", "yuv420p"),
        ("gray10le", "gray yuv420p10", "yuv420p10"),
        ("yuv420p", "gray yuv422p10 yuv444p10", "yuv422p10"),
        ("yuv422p10le", "yuv420p", "yuv420p"),
    ],
)
def test_what_keeps_most_of_a_source_of_few(pixel_format, offered, kept):
    choice = [named(name) for name in offered.split()]
    assert kept_format(VideoFormat(pixel_format, 16, 16), choice).name == kept


@pytest.mark.parametrize("colour_range", [1, 2])
@pytest.mark.parametrize(
    ("pixel_format", "bits", "name"),
    [
        ("yuv444p10le", 10, "yuv444p"),
        ("yuv444p10le", 10, "yuv420p"),
        ("yuv422p12le", 12, "yuv420p10"),
        ("yuv420p16le", 16, "yuv420p12"),
        ("gray14le", 14, "gray12"),
        ("gray16le", 16, "yuv420p"),
        ("p010le", 10, "yuv420p"),
    ],
)
def test_fewer_bits_are_rounded(pixel_format, bits, name, colour_range):
    samples = named(name)
    luma = np.random.default_rng(0).integers(0, 1 << bits, (8, 16)).astype("<u2")
    frame = [luma << 6] if pixel_format == "p010le" else [luma]
    planes, notes = convert(pixel_format, frame, samples, colour_range)
    shift = bits - samples.bit_depth
    rounded = np.minimum((luma.astype(int) + (1 << shift >> 1)) >> shift, samples.peak)
    np.testing.assert_array_equal(planes[0], rounded)
    assert notes == [f"converted {pixel_format} to {samples}"]


@pytest.mark.parametrize(("pixel_format", "name"), [("gray", "gray10"), ("yuv420p", "yuv444p12")])
def test_more_bits_of_limited_range_are_zeros(tmp_path, pixel_format, name):
    samples = named(name)
    (planes,) = noise(1, 32, 16)
    clip = encode(
        tmp_path / "a.mkv",
        [planes],
        32,
        16,
        pixel_format=pixel_format,
        colour={"color_range": 1},
    )
    source, (picture,) = read(clip, sample_formats=(samples,))
    assert source.full_range == 0
    more = planes[0].astype(np.uint16) << (samples.bit_depth - 8)
    np.testing.assert_array_equal(picture.planes[0], more)


@pytest.mark.parametrize(("name", "location"), [("yuv420p", 0), ("yuv422p10", 0)])
def test_chroma_is_made_where_it_is_signalled(tmp_path, name, location):
    ramp = np.tile(4 * np.arange(48, dtype=np.uint8), (16, 1))
    clip = encode(tmp_path / "a.mkv", [[ramp] * 3], 48, 16, pixel_format="yuv444p")
    source, (picture,) = read(clip, sample_formats=(named(name),))
    assert source.chroma_location == location
    scale = 1 << (source.sample_format.bit_depth - 8)
    chroma = picture.planes[1][4, 4:-4] / scale
    np.testing.assert_allclose(chroma, 8 * np.arange(4, 20), atol=0.5)


@pytest.mark.parametrize("colour_range", [0, 1, 2])
def test_gray_keeps_its_samples(tmp_path, colour_range):
    luma = np.arange(15 * 17, dtype=np.uint8).reshape(15, 17)
    colour = {"color_range": colour_range}
    clip = encode(tmp_path / "a.mkv", [[luma]], 17, 15, pixel_format="gray", colour=colour)
    source, (picture,) = read(clip)
    assert_same(picture, (luma,))
    assert source.full_range == {0: 1, 1: 0, 2: 1}[colour_range]
    assert source.notes == []
    source, (picture,) = read(clip, sample_formats=(YUV420P8,))
    neutral = np.full((8, 9), 128, np.uint8)
    assert_same(picture, (luma, neutral, neutral))
    assert source.full_range == {0: 1, 1: 0, 2: 1}[colour_range]
    assert source.notes == ["converted gray to 8-bit 4:2:0"]


@pytest.mark.parametrize("pixel_format", ["gray", "yuv420p"])
@pytest.mark.parametrize(("colour_range", "white", "same"), [(1, 235, 255), (2, 255, 235)])
def test_another_range_is_converted(pixel_format, colour_range, white, same):
    frame = VideoFrame(16, 8, pixel_format)
    fill_frame(frame, [np.full((8, 16), white, np.uint8)] + [np.full((4, 8), 128, np.uint8)] * 2)
    frame.color_range = colour_range
    notes = Notes()
    converter = Converter(
        (16, 8),
        YUV420P8,
        (1, 1),
        matrix=1,
        full_range=2 - colour_range,
        sites=(0, 0),
        notes=notes,
    )
    assert (converter.planes(frame, 0)[0] == same).all()


@pytest.mark.parametrize("turns", [1, 2])
def test_turned_422_keeps_its_chroma(tmp_path, turns):
    (planes,) = noise(1, 32, 16, samples=SampleFormat(10, 2))
    clip = encode(
        tmp_path / "a.mov",
        [planes],
        32,
        16,
        codec="prores_ks",
        pixel_format="yuv422p10le",
        rotation=90 * turns,
    )
    source, (picture,) = read(clip)
    assert source.sample_format == SampleFormat(10, 3 if turns == 1 else 2)
    plain, (upright,) = read(
        encode(tmp_path / "b.mov", [planes], 32, 16, codec="prores_ks", pixel_format="yuv422p10le")
    )
    assert plain.sample_format == SampleFormat(10, 2)
    np.testing.assert_array_equal(picture.planes[0], np.rot90(upright.planes[0], turns))
    if turns == 2:
        assert_same(picture, [np.rot90(plane, 2) for plane in upright.planes])


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
    source, (picture,) = read(clip, sample_formats=(YUV420P8,))
    assert source.full_range == full_range
    assert source.matrix == 14
    assert [int(p.min()) for p in picture.planes] == list(values)
    assert [int(p.max()) for p in picture.planes] == list(values)


@pytest.mark.parametrize(("height", "matrix", "red"), [(16, 6, (81, 90)), (720, 1, (63, 102))])
def test_rgb_becomes_444(tmp_path, height, matrix, red):
    pixels = np.tile(np.array([255, 0, 0], np.uint8), (height, 16))
    write_png(tmp_path / "a.png", pixels)
    source, (picture,) = read(tmp_path / "a.png")
    assert source.sample_format == SampleFormat(8, 3)
    assert (source.matrix, source.full_range, source.chroma_location) == (matrix, 0, 255)
    name = {1: "BT.709", 6: "BT.601"}[matrix]
    assert source.notes == [f"converted rgb24 to 8-bit 4:4:4, {name} matrix, limited range"]
    for plane, value in zip(picture.planes, (*red, 240), strict=True):
        assert plane.shape == (height, 16)
        assert np.abs(plane.astype(int) - value).max() <= 1


def test_rgb_of_wide_gamut_has_its_matrix(tmp_path):
    (planes,) = noise(1, 16, 8, samples=SampleFormat(10, 3))
    colour = {"color_primaries": 9, "color_trc": 16}
    clip = encode(tmp_path / "a.mkv", [planes], 16, 8, pixel_format="gbrp10le", colour=colour)
    source, _ = read(clip)
    assert (source.sample_format, source.matrix) == (SampleFormat(10, 3), 9)
    assert "BT.2020 matrix" in source.notes[0]


def test_a_format_that_changes_is_converted(tmp_path):
    stream = b""
    for chroma, name in ((1, "yuvj420p"), (3, "yuvj444p")):
        pictures = noise(1, 16, 16, samples=SampleFormat(8, chroma))
        path = tmp_path / "p.mjpeg"
        stream += encode(path, pictures, 16, 16, codec="mjpeg", pixel_format=name).read_bytes()
    (tmp_path / "a.mjpeg").write_bytes(stream)
    source, got = read(tmp_path / "a.mjpeg")
    assert source.sample_format == YUV420P8
    assert [picture.planes[1].shape for picture in got] == [(8, 8)] * 2
    assert "converted yuvj444p to 8-bit 4:2:0" in source.notes


def test_rgb_survives_ten_bits(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 3 * 32), np.uint8)
    write_png(tmp_path / "a.png", pixels)
    _, (picture,) = read(tmp_path / "a.png", sample_formats=(SampleFormat(10, 3),))
    y, u, v = (plane / 4.0 for plane in picture.planes)
    y, u, v = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    red, blue = y + 1.402 * v, y + 1.772 * u
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    back = np.stack([red, green, blue], -1).clip(0, 1) * 255
    np.testing.assert_array_equal(back.round(), pixels.reshape(32, 32, 3))


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
    assert (
        "frame 1: scaled from 32x24 to 16x16, the size of the first frame, which distorts it"
        in source.notes
    )
