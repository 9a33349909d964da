"""Display matrices: planes, sizes and chroma locations of rotated and flipped pictures."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvcodec.media.orientation import Orientation
from nvcodec.picture import YUV420P8

from .clips import assert_same, encode, fill_frame, noise, read


@pytest.mark.parametrize(("rotation", "turns", "location"), [(-90, -1, 3), (90, 1, 5), (180, 2, 1)])
def test_rotation_is_applied(tmp_path, rotation, turns, location):
    pictures = noise(2, 32, 16)
    clip = encode(
        tmp_path / "a.mp4",
        pictures,
        32,
        16,
        codec="libx264",
        options={"qp": "0"},
        sar=Fraction(2, 1),
        rotation=rotation,
    )
    source, got = read(clip)
    turned = abs(rotation) == 90
    assert (source.width, source.height) == ((16, 32) if turned else (32, 16))
    assert source.sar == (Fraction(1, 2) if turned else Fraction(2))
    assert source.chroma_location == location
    assert any(note.startswith("rotated") for note in source.notes)
    for picture, planes in zip(got, pictures, strict=True):
        assert_same(picture, [np.rot90(plane, turns) for plane in planes])


def test_odd_rotation_is_announced(tmp_path):
    clip = encode(tmp_path / "a.mp4", noise(1, 32, 16), 32, 16, codec="mpeg4", rotation=-45)
    source, _ = read(clip)
    assert source.notes == ["display rotation of 45 degrees clockwise is not applied"]


@pytest.mark.parametrize(
    ("value", "turn"),
    [
        (1, lambda plane: plane),
        (2, np.fliplr),
        (3, lambda plane: np.rot90(plane, 2)),
        (6, lambda plane: np.rot90(plane, -1)),
        (7, lambda plane: np.rot90(plane, 2).T),
        (8, np.rot90),
    ],
)
def test_exif_orientation(tmp_path, value, turn):
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = 32, 16, "yuvj420p"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame(32, 16, "yuvj420p")
    fill_frame(frame, noise(1, 32, 16)[0])
    frame.pts = 0
    jpeg = b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
    (tmp_path / "plain.jpg").write_bytes(jpeg)
    # Marker APP1 with one tag of a big-endian TIFF header: Orientation, a SHORT.
    tag = bytes.fromhex(f"4d4d002a00000008 0001 0112 0003 00000001 {value:04x}0000 00000000")
    body = b"Exif\0\0" + tag
    marker = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    (tmp_path / "exif.jpg").write_bytes(jpeg[:2] + marker + jpeg[2:])
    _, (plain,) = read(tmp_path / "plain.jpg")
    _, (shown,) = read(tmp_path / "exif.jpg")
    assert_same(shown, [turn(plane) for plane in plain.planes])


def test_rotation_with_unequal_scales(tmp_path):
    pictures = noise(2, 32, 16)
    options = {"qp": "0"}
    clip = encode(
        tmp_path / "a.mp4", pictures, 32, 16, codec="libx264", options=options, rotation=-90
    )
    data = bytearray(clip.read_bytes())
    matrix = data.find((1 << 16).to_bytes(4, "big", signed=True), data.find(b"tkhd") + 4 + 36)
    # The matrix of the track header: 0, 1, 0, -1, 0, 0, 0, 0, 2^14.
    data[matrix : matrix + 4] = (1 << 15).to_bytes(4, "big")
    clip.write_bytes(data)
    source, got = read(clip)
    assert (source.width, source.height) == (16, 32)
    with av.open(str(clip)) as container:
        assert source.sar == 1 / container.streams.video[0].sample_aspect_ratio != 1
    for picture, planes in zip(got, pictures, strict=True):
        assert_same(picture, [np.rot90(plane, -1) for plane in planes])


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_orientation_moves_chroma_with_luma(swap, flip_x, flip_y, width, height, x):
    # Positions are doubled so that half-sample offsets are whole.
    turn = Orientation(swap, flip_x, flip_y)
    shown_width, shown_height = (height, width) if swap else (width, height)
    columns = np.tile(np.arange(width), (height, 1)).astype(np.uint8)
    chroma = np.tile(np.arange((width + 1) // 2), ((height + 1) // 2, 1)).astype(np.uint8)
    luma, chroma = turn.apply(columns), turn.apply(chroma)
    new_x, new_y = turn.chroma_offset((x, 0.5), YUV420P8, shown_width, shown_height)
    axis, offset = (0, new_y) if swap else (1, new_x)
    step = -1 if (flip_y if swap else flip_x) else 1
    luma_of_first = luma[0, 0] + step * offset
    assert luma_of_first == 2 * chroma[0, 0] + x
    assert luma.shape[axis] == width
