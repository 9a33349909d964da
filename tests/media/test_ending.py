"""Sources that end early: said, with what they declare and what was found."""

import io

import pytest

from nvcodec.media.source import SourceError, open_source

from .clips import assert_same, encode, noise, read, write_png, y4m_bytes


class Pipe(io.BytesIO):
    def seekable(self):
        return False


def cut(path, part):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
def test_y4m_that_ends_inside_a_frame(kind):
    pictures = noise(5, 16, 16)
    data = y4m_bytes(pictures, 16, 16)[:-100]
    source, got = read(kind(data))
    assert source.notes == ["the source ends inside frame 4"]
    assert len(got) == 4
    assert_same(got[3], pictures[3])
    whole, _ = read(kind(y4m_bytes(pictures, 16, 16)))
    assert whole.missing is None


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.avi", "mpeg4")]
)
def test_cut_files(tmp_path, name, codec):
    clip = encode(tmp_path / name, noise(40, 32, 32), 32, 32, codec=codec)
    assert read(clip)[0].missing is None
    cut(clip, 0.5)
    source, got = read(clip)
    assert 0 < len(got) < 40
    assert source.missing in source.notes
    assert source.missing.endswith(f"40 frames but ends after {len(got)}")


def test_cut_mp4(tmp_path):
    clip = encode(tmp_path / "a.mp4", noise(40, 32, 32), 32, 32, codec="mpeg4")
    data = clip.read_bytes()
    # The index before the data, as files for the web have it: offsets move by its length.
    moov, mdat = data.index(b"moov") - 4, data.index(b"mdat") - 4
    index = bytearray(data[moov:])
    table = index.index(b"stco") + 8
    for k in range(int.from_bytes(index[table : table + 4], "big")):
        at = table + 4 + 4 * k
        moved = int.from_bytes(index[at : at + 4], "big") + len(index)
        index[at : at + 4] = moved.to_bytes(4, "big")
    clip.write_bytes(data[:mdat] + bytes(index) + data[mdat:moov])
    whole, got = read(clip)
    assert (whole.missing, len(got)) == (None, 40)
    cut(clip, 0.6)
    source, got = read(clip)
    assert 0 < len(got) < 40
    assert source.missing == f"the source declares 40 frames but ends after {len(got)}"


def test_an_mp4_without_its_index(tmp_path):
    clip = encode(tmp_path / "a.mp4", noise(4, 32, 32), 32, 32, codec="mpeg4")
    # More than libav keeps to go back in.
    long = encode(
        tmp_path / "b.mov", noise(8, 160, 96), 160, 96, codec="mjpeg", pixel_format="yuvj420p"
    )
    with pytest.raises(SourceError, match="cannot be read from a pipe"):
        open_source(Pipe(long.read_bytes()))
    cut(clip, 0.5)
    with pytest.raises(SourceError, match="it was cut, or not finished"):
        open_source(clip)


def test_a_gap_in_an_image_sequence(tmp_path):
    pixels = noise(1, 24, 4)[0][0]
    for number in (7, 8, 10):
        write_png(tmp_path / f"a_{number:03d}.png", pixels)
    source, got = read(str(tmp_path / "a_%03d.png"))
    assert len(got) == 2
    assert "before a gap: 1 image beyond it" in source.missing
