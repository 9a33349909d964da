"""What containers and streams say beside pictures: crop, alpha, fields, changes in mid-stream."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from nvcodec.media.filters import FrameFilter
from nvcodec.options import Reading

from .clips import assert_same, encode, fill_frame, noise, read, y4m_bytes


def box(kind, body):
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def with_box(data, path, extra):
    """An MP4 whose index has a box more, in the innermost box of a path, and comes last."""
    data = bytearray(data)
    start, places = 0, []
    for kind in path:
        start = data.index(kind, start)
        places.append(start - 4)
    end = places[-1] + int.from_bytes(data[places[-1] : places[-1] + 4], "big")
    data[end:end] = extra
    for place in places:
        size = int.from_bytes(data[place : place + 4], "big") + len(extra)
        data[place : place + 4] = size.to_bytes(4, "big")
    return bytes(data)


def test_clean_aperture_is_applied(tmp_path):
    pictures = noise(2, 32, 24)
    clip = encode(
        tmp_path / "a.mp4", pictures, 32, 24, codec="libx264", options={"qp": "0"}, rotation=-90
    )
    numbers = [20, 1, 16, 1, 0, 1, 0, 1]
    clap = box(b"clap", b"".join(n.to_bytes(4, "big") for n in numbers))
    path = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"]
    clip.write_bytes(with_box(clip.read_bytes(), path, clap))
    source, got = read(clip)
    assert (source.width, source.height) == (16, 20)
    assert any("cropped" in note for note in source.notes)
    for picture, (y, u, v) in zip(got, pictures, strict=True):
        shown = y[4:20, 6:26], u[2:10, 3:13], v[2:10, 3:13]
        assert_same(picture, [np.rot90(plane, -1) for plane in shown])
    # The same crop in Matroska, where FFmpeg writes it as PixelCrop.
    with av.open(str(clip)) as given, av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    source, got = read(tmp_path / "a.mkv")
    assert {source.width, source.height} == {16, 20}


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_alpha_beside_the_stream_is_announced(tmp_path, codec):
    pictures = [(*planes, planes[0]) for planes in noise(2, 32, 16)]
    clip = encode(
        tmp_path / "a.webm",
        pictures,
        32,
        16,
        codec=codec,
        pixel_format="yuva420p",
        options={"auto-alt-ref": "0"},
    )
    assert read(clip)[0].notes == ["dropped the alpha channel"]


def test_an_alpha_track_is_not_taken_for_the_picture(tmp_path):
    # The alpha track comes first and has more bits.
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        streams = []
        for codec, pixel_format in (("png", "gray"), ("libx264", "yuv420p")):
            stream = output.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 16, pixel_format
            streams.append(stream)
        for stream in streams:
            for index, planes in enumerate(noise(3, 32, 16)):
                frame = av.VideoFrame(32, 16, stream.pix_fmt)
                fill_frame(frame, planes)
                frame.pts = index
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    path = tmp_path / "a.avif"
    path.write_bytes((tmp_path / "a.mp4").read_bytes().replace(b"ftypisom", b"ftypavis"))
    source, got = read(path)
    assert source.notes == ["dropped the alpha channel"]
    assert np.ptp(got[0].planes[1]) > 0
    # The first picture of a sequence is there as an image of its own too.
    options = {"preset": "10", "svtav1-params": "lp=1"}
    sequence = encode(
        tmp_path / "b.avif", noise(3, 64, 64), 64, 64, codec="libsvtav1", options=options
    )
    assert len(read(sequence)[1]) == 3


@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.avi"), ("mpeg4", "a.avi")])
def test_avi_with_b_frames_has_even_times(tmp_path, codec, name):
    options = {"bf": "3", "b_strategy": "0"}
    clip = encode(tmp_path / name, noise(20, 32, 16), 32, 16, codec=codec, options=options)
    source, got = read(clip)
    assert [p.pts for p in got] == list(range(20))
    assert {p.duration for p in got} == {1}
    assert source.notes == []


def test_the_last_of_some_frames_lasts_until_the_next(tmp_path):
    pts = [0, 33, 67, 900, 933, 1700]
    clip = encode(
        tmp_path / "a.mkv",
        noise(6, 16, 16),
        16,
        16,
        rate=1000,
        pts=pts,
        time_base=Fraction(1, 1000),
    )
    _, got = read(clip, frames=3)
    assert [p.duration for p in got] == [33, 34, 833]


def interlaced(path, mode, count=4, **size):
    """A clip of fields, moving so that they differ."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.options = {"flags": "+ildct+ilme"}
        frames = []
        for index, planes in enumerate(noise(count, 32, 32)):
            frame = av.VideoFrame(32, 32, "yuv420p")
            fill_frame(frame, planes)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            frames.append(frame)
        for frame in FrameFilter([("setfield", f"mode={mode}")], Fraction(1, 25)).of(iter(frames)):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("mode", "order"), [("tff", "top"), ("bff", "bottom")])
def test_fields_are_announced_and_deinterlaced(tmp_path, mode, order):
    clip = interlaced(tmp_path / "a.mkv", mode)
    source, plain = read(clip)
    assert source.notes == [f"interlaced video, {order} field first, coded as whole frames"]
    source, woven = read(clip, reading=Reading(deinterlace=True))
    assert source.notes == [f"interlaced video, {order} field first, deinterlaced"]
    assert [p.pts for p in woven] == [p.pts for p in plain]
    kept = 0 if mode == "tff" else 1
    for before, after in zip(plain, woven, strict=True):
        rows = after.planes[0] == before.planes[0]
        assert rows[kept::2].all()
        assert not rows[1 - kept :: 2].all()


@pytest.mark.parametrize(("tag", "order"), [(b"It", "top"), (b"Ib", "bottom")])
def test_fields_of_y4m(tmp_path, tag, order):
    path = tmp_path / "a.y4m"
    path.write_bytes(y4m_bytes(noise(1, 16, 16), 16, 16).replace(b" Ip ", b" " + tag + b" "))
    assert read(path)[0].notes == [f"interlaced video, {order} field first, coded as whole frames"]


def test_mixed_fields_of_y4m(tmp_path):
    pictures = noise(2, 16, 16)
    path = tmp_path / "a.y4m"
    path.write_bytes(y4m_bytes(pictures, 16, 16).replace(b" Ip ", b" Im "))
    for given in (path, io.BytesIO(path.read_bytes())):
        source, got = read(given)
        assert source.notes == ["mixed interlaced and progressive frames, taken as progressive"]
        for picture, planes in zip(got, pictures, strict=True):
            assert_same(picture, planes)


@pytest.mark.parametrize(("codec", "size"), [("mpeg2video", (176, 144)), ("libx264", (32, 16))])
def test_changes_are_said_at_their_frame(tmp_path, codec, size):
    for name, aspect in (("a.ts", Fraction(12, 11)), ("b.ts", Fraction(16, 11))):
        encode(tmp_path / name, noise(8, *size), *size, codec=codec, rate=25, sar=aspect)
    joined = b"".join((tmp_path / name).read_bytes() for name in ("a.ts", "b.ts", "a.ts"))
    (tmp_path / "c.ts").write_bytes(joined)
    source, _ = read(tmp_path / "c.ts")
    (note,) = [note for note in source.notes if "aspect" in note]
    assert note.record()["first_frame"] == 8
    assert note.record()["frames"] == 2
    assert source.sar == Fraction(12, 11)


def test_raw_video(tmp_path):
    pictures = noise(3, 16, 8)
    path = tmp_path / "a.yuv"
    path.write_bytes(b"".join(plane.tobytes() for planes in pictures for plane in planes) + b"part")
    source, got = read(path, reading=Reading(raw=(16, 8), fps=Fraction(30000, 1001)))
    assert source.frame_rate == Fraction(30000, 1001)
    assert source.notes == ["the source ends inside frame 3"]
    for picture, planes in zip(got, pictures, strict=True):
        assert_same(picture, planes)
