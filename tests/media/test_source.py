import io
import os
import subprocess
import sys
import threading
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvcodec.media.source import SourceError, _Clock, _Orientation, open_source
from nvcodec.media.y4m import Y4mWriter

from .clips import assert_same, encode, noise, write_png

CLIPS = Path(__file__).parents[3] / "shared" / "clips"


def read(path, **selection):
    with open_source(path, **selection) as source:
        return source, list(source)


def y4m_bytes(pictures, width, height, rate=Fraction(25)):
    buffer = io.BytesIO()
    writer = Y4mWriter(buffer, width, height, rate, None, 2, 0)
    for planes in pictures:
        writer.write(planes)
    return buffer.getvalue()


class TestSamples:
    @pytest.mark.parametrize("size", [(32, 18), (33, 17), (7, 5), (1, 1)])
    def test_lossless_round_trip(self, tmp_path, size):
        pictures = noise(4, *size)
        clip = encode(tmp_path / "a.mkv", pictures, *size)
        source, got = read(clip)
        assert (source.width, source.height) == size
        assert source.notes == []
        assert source.chroma_location == 255
        for picture, planes in zip(got, pictures, strict=True):
            assert_same(picture, planes)

    def test_full_range_j_format_is_not_converted(self, tmp_path):
        clip = encode(
            tmp_path / "a.mkv", noise(1, 16, 16), 16, 16, codec="mjpeg", pixel_format="yuvj420p"
        )
        source, got = read(clip)
        assert source.full_range == 1
        assert source.chroma_location == 1
        assert source.notes == []
        assert len(got) == 1

    def test_alpha_is_dropped_without_touching_the_rest(self, tmp_path):
        (planes,) = noise(1, 10, 6)
        alpha = np.full((6, 10), 7, np.uint8)
        clip = encode(tmp_path / "a.mkv", [(*planes, alpha)], 10, 6, pixel_format="yuva420p")
        source, (picture,) = read(clip)
        assert_same(picture, planes)
        assert source.notes == ["dropped the alpha channel"]

    def test_ten_bits(self, tmp_path):
        levels = [np.full((6, 10), v * 4, "<u2") for v in (235, 16, 240)]
        clip = encode(tmp_path / "a.mkv", [levels], 10, 6, pixel_format="yuv444p10le")
        source, (picture,) = read(clip)
        assert source.notes == ["converted yuv444p10le to 8-bit 4:2:0"]
        assert source.chroma_location == 1
        for plane, value in zip(picture.planes, (235, 16, 240), strict=True):
            assert (plane == value).all()

    @pytest.mark.parametrize("colour_range", [0, 1, 2])
    def test_gray_keeps_its_samples(self, tmp_path, colour_range):
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
    def test_conversion_keeps_the_range(self, tmp_path, pixel_format, colour_range, full_range):
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
    def test_rgb(self, tmp_path, height, matrix, red):
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

    def test_changing_size_is_scaled_and_announced(self, tmp_path):
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
        assert "frame 1 on: scaled from 32x24 to 16x16, the size of the first frame" in source.notes


class TestHeader:
    def test_colour_aspect_and_rate(self, tmp_path):
        colour = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}
        clip = encode(
            tmp_path / "a.mp4",
            noise(6, 32, 16),
            32,
            16,
            codec="libx264",
            rate=Fraction(24000, 1001),
            colour=colour,
            sar=Fraction(4, 3),
        )
        source, got = read(clip)
        assert (source.colour_primaries, source.transfer, source.matrix) == (9, 16, 9)
        assert source.full_range == 0
        assert source.sar == Fraction(4, 3)
        assert source.frame_rate == Fraction(24000, 1001)
        assert source.frame_count_hint == 6 == len(got)
        assert source.chroma_location == 0
        assert source.notes == []

    @pytest.mark.parametrize(("siting", "location"), [("topleft", 2), ("center", 1), ("top", 3)])
    def test_chroma_location_of_coded_video(self, tmp_path, siting, location):
        options = {"chroma_sample_location": siting}
        clip = encode(
            tmp_path / "a.mp4", noise(2, 32, 16), 32, 16, codec="libx264", options=options
        )
        assert read(clip)[0].chroma_location == location

    def test_other_tracks_are_announced(self, tmp_path):
        clip = encode(tmp_path / "a.mkv", noise(2, 16, 16), 16, 16, audio=True)
        source, got = read(clip)
        assert source.notes == ["dropped 1 audio track: pcm_s16le 8000 Hz 1 channel"]
        assert len(got) == 2

    @pytest.mark.parametrize(
        ("rotation", "turns", "location"), [(-90, -1, 3), (90, 1, 5), (180, 2, 1)]
    )
    def test_rotation_is_applied(self, tmp_path, rotation, turns, location):
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

    def test_odd_rotation_is_announced(self, tmp_path):
        clip = encode(tmp_path / "a.mp4", noise(1, 32, 16), 32, 16, codec="mpeg4", rotation=-45)
        source, _ = read(clip)
        assert source.notes == ["display rotation of 45 degrees clockwise is not applied"]

    @given(
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.integers(1, 9),
        st.integers(1, 9),
        st.sampled_from([0.0, 0.5, 1.0]),
    )
    def test_orientation_moves_chroma_with_luma(self, swap, flip_x, flip_y, width, height, x):
        # Positions are doubled so that half-sample offsets are whole.
        turn = _Orientation(swap, flip_x, flip_y)
        shown_width, shown_height = (height, width) if swap else (width, height)
        columns = np.tile(np.arange(width), (height, 1)).astype(np.uint8)
        chroma = np.tile(np.arange((width + 1) // 2), ((height + 1) // 2, 1)).astype(np.uint8)
        luma, chroma = turn.apply(columns), turn.apply(chroma)
        new_x, new_y = turn.chroma_offset((x, 0.5), shown_width, shown_height)
        axis, offset = (0, new_y) if swap else (1, new_x)
        step = -1 if (flip_y if swap else flip_x) else 1
        luma_of_first = luma[0, 0] + step * offset
        assert luma_of_first == 2 * chroma[0, 0] + x
        assert luma.shape[axis] == width

    def test_y4m_fields(self, tmp_path):
        data = io.BytesIO()
        writer = Y4mWriter(data, 5, 3, Fraction(30000, 1001), Fraction(8, 9), 1, 2)
        writer.write(noise(1, 5, 3)[0])
        source, _ = read(io.BytesIO(data.getvalue()))
        assert (source.sar, source.full_range, source.chroma_location) == (Fraction(8, 9), 1, 2)
        assert source.time_base == Fraction(1001, 30000)


class TestTiming:
    def test_variable_rate(self, tmp_path):
        pts = [0, 40, 50, 90, 200]
        clip = encode(
            tmp_path / "a.mkv", noise(5, 16, 16), 16, 16, pts=pts, time_base=Fraction(1, 1000)
        )
        source, got = read(clip)
        assert source.time_base == Fraction(1, 1000)
        assert [p.pts for p in got] == pts
        assert [p.duration for p in got][:-1] == [40, 10, 40, 110]
        assert got[-1].duration >= 1
        assert source.notes == []

    def test_b_frames_come_in_display_order(self, tmp_path):
        flat = [
            tuple(np.full(shape, 20 * k, np.uint8) for shape in ((16, 32), (8, 16), (8, 16)))
            for k in range(9)
        ]
        options = {"bf": "3", "b_strategy": "0", "qp": "0"}
        clip = encode(tmp_path / "a.mp4", flat, 32, 16, codec="libx264", options=options)
        source, got = read(clip)
        for picture, planes in zip(got, flat, strict=True):
            assert_same(picture, planes)
        assert len({p.duration for p in got}) == 1
        assert source.notes == []

    def test_raw_stream_without_timestamps(self, tmp_path):
        clip = encode(tmp_path / "a.h264", noise(5, 32, 16), 32, 16, codec="libx264")
        source, got = read(clip)
        pts = [p.pts for p in got]
        assert len(got) == 5
        assert all(later > earlier for earlier, later in pairwise(pts))
        assert sum("timestamps" in note for note in source.notes) == 1

    def test_image(self, tmp_path):
        write_png(tmp_path / "a.png", np.zeros((5, 3 * 7), np.uint8))
        source, (picture,) = read(tmp_path / "a.png")
        assert source.time_base == Fraction(1, 25)
        assert (picture.pts, picture.duration) == (0, 1)
        assert picture.planes[0].shape == (5, 7)

    @given(
        st.lists(
            st.tuples(
                st.one_of(st.none(), st.integers(-(2**40), 2**40), st.integers(0, 50)),
                st.one_of(st.none(), st.integers(-1, 2**40)),
            ),
            min_size=1,
        ),
        st.sampled_from([Fraction(1, 1000), Fraction(1, 25), Fraction(10), Fraction(1, 2**31)]),
        st.sampled_from([None, Fraction(25), Fraction(24000, 1001), Fraction(1, 10**6)]),
    )
    def test_clock_always_advances(self, stamps, time_base, rate):
        clock = _Clock(time_base, rate)
        times = [
            clock.stamp(SimpleNamespace(pts=pts, duration=duration, time_base=time_base))
            for pts, duration in stamps
        ]
        times.append(times[-1] + clock.last_duration())
        steps = [later - earlier for earlier, later in pairwise(times)]
        assert all(1 <= step < 2**32 for step in steps)

    def test_repair_follows_the_frame_rate(self):
        clock = _Clock(Fraction(1, 1000), Fraction(30))
        stamps = [100, None, 90, None, 300]
        times = [
            clock.stamp(SimpleNamespace(pts=pts, duration=0, time_base=Fraction(1, 1000)))
            for pts in stamps
        ]
        assert times == [100, 133, 167, 200, 300]
        assert clock.last_duration() == 100

    def test_foreign_time_base_is_rescaled(self):
        clock = _Clock(Fraction(1, 1000), Fraction(25))
        frame = SimpleNamespace(pts=9000, duration=4500, time_base=Fraction(1, 90000))
        assert clock.stamp(frame) == 100
        assert clock.last_duration() == 50


class TestSelection:
    @pytest.mark.parametrize(
        ("skip", "frames", "expected"),
        [(0, None, range(6)), (2, None, range(2, 6)), (1, 3, range(1, 4)), (4, 99, range(4, 6))],
    )
    def test_skip_and_frames(self, tmp_path, skip, frames, expected):
        pictures = noise(6, 16, 16)
        clip = encode(tmp_path / "a.mkv", pictures, 16, 16)
        source, got = read(clip, skip=skip, frames=frames)
        assert len(got) == len(expected)
        for picture, index in zip(got, expected, strict=True):
            assert_same(picture, pictures[index])
        if frames is None or skip + frames <= 6:
            assert source.frame_count_hint == len(expected)

    def test_nothing_left(self, tmp_path):
        clip = encode(tmp_path / "a.mkv", noise(2, 16, 16), 16, 16)
        with pytest.raises(SourceError, match="2 frames, none is left after skipping 2"):
            open_source(clip, skip=2)

    @pytest.mark.parametrize("selection", [{"skip": -1}, {"frames": 0}])
    def test_senseless_selection(self, selection):
        with pytest.raises(ValueError, match="select nothing"):
            open_source("any", **selection)

    def test_single_pass(self, tmp_path):
        clip = encode(tmp_path / "a.mkv", noise(2, 16, 16), 16, 16)
        with open_source(clip) as source:
            assert len(list(source)) == 2
            assert list(source) == []

    def test_early_close(self, tmp_path):
        clip = encode(tmp_path / "a.mkv", noise(9, 16, 16), 16, 16)
        with open_source(clip) as source:
            next(source)
        assert list(source) == []


class TestStreams:
    def test_pipe_is_read_while_it_is_written(self):
        pictures = noise(6, 320, 240)
        reading, writing = os.pipe()
        taken = [threading.Event() for _ in pictures]

        def produce():
            with os.fdopen(writing, "wb") as file:
                writer = Y4mWriter(file, 320, 240, Fraction(30), None, 0, 0)
                for index, planes in enumerate(pictures):
                    writer.write(planes)
                    file.flush()
                    # Two ahead: the source waits for one frame more than it has delivered.
                    if index >= 2:
                        assert taken[index - 2].wait(10)

        thread = threading.Thread(target=produce)
        thread.start()
        with os.fdopen(reading, "rb") as file:
            with open_source(file) as source:
                for index, picture in enumerate(source):
                    assert_same(picture, pictures[index])
                    taken[index].set()
            assert not file.closed
        thread.join()
        assert all(event.is_set() for event in taken)

    def test_limit_leaves_the_rest_of_a_pipe_unread(self):
        pictures = noise(2, 64, 64)
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as output, os.fdopen(reading, "rb") as file:
            writer = Y4mWriter(output, 64, 64, Fraction(30), None, 0, 0)
            for planes in pictures:
                writer.write(planes)
            output.flush()
            with open_source(file, frames=2) as source:
                assert len(list(source)) == 2

    def test_file_object(self, tmp_path):
        pictures = noise(3, 16, 16)
        clip = encode(tmp_path / "a.mp4", pictures, 16, 16, codec="libx264")
        with clip.open("rb") as file:
            assert len(read(file)[1]) == 3
            assert not file.closed

    def test_file_name_like_a_url(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("take:1.y4m").write_bytes(y4m_bytes(noise(1, 4, 4), 4, 4))
        assert len(read("take:1.y4m")[1]) == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("empty.mp4", b"", "it is empty"),
            ("garbage.mp4", bytes(range(256)) * 40, "no known video format"),
            ("art.txt", b"hello world\n" * 50, "not a video"),
            ("a.py", b"import os\n" * 50, "no known video format"),
            ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\nhi\n", "no video track"),
            ("a.y4m", b"YUV4MPEG2 W4 H4 F25:1\n", "it has no frames"),
        ],
    )
    def test_not_a_video(self, tmp_path, name, content, reason):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=reason) as caught:
            open_source(tmp_path / name)
        message = str(caught.value)
        assert name in message
        assert "\n" not in message

    def test_missing_and_directory(self, tmp_path):
        with pytest.raises(SourceError, match="No such file"):
            open_source(tmp_path / "none.mp4")
        with pytest.raises(SourceError, match="Is a directory"):
            open_source(tmp_path)

    def test_empty_pipe(self):
        with pytest.raises(SourceError, match="it is empty"):
            open_source(io.BytesIO())

    def test_damage_after_some_frames(self):
        pictures = noise(4, 16, 16)
        data = bytearray(y4m_bytes(pictures, 16, 16))
        third = data.find(b"FRAME\n", len(data) - 2 * (6 + 384))
        data[third : third + 6] = b"BROKEN"
        with open_source(io.BytesIO(bytes(data))) as source:
            got = []
            with pytest.raises(SourceError, match="at frame 2"):
                got.extend(iter(lambda: next(source), None))
        assert len(got) == 2
        assert_same(got[1], pictures[1])
        assert [p.duration for p in got] == [1, 1]

    def test_truncated_file_is_announced(self, tmp_path):
        clip = encode(tmp_path / "a.avi", noise(8, 32, 32), 32, 32, codec="mpeg4")
        data = clip.read_bytes()
        source, got = read(io.BytesIO(data[: len(data) // 2]))
        assert 0 < len(got) < 8
        assert f"the source declares 8 frames but ends after {len(got)}" in source.notes

    def test_failing_file(self):
        data = y4m_bytes(noise(4, 64, 64), 64, 64)

        class Failing(io.BytesIO):
            def read1(self, size=-1):
                if self.tell() > len(data) // 2:
                    raise OSError(5, "cable unplugged")
                return super().read1(min(size, 1000))

        got = []
        with (
            open_source(Failing(data)) as source,
            pytest.raises(SourceError, match="cable unplugged"),
        ):
            got.extend(iter(lambda: next(source), None))
        assert 1 <= len(got) < 4

    @pytest.mark.parametrize("codec", ["ffv1", "libx264", "mpeg4"])
    def test_damaged_bytes_give_frames_or_a_source_error(self, tmp_path, codec):
        clip = encode(tmp_path / "a.mkv", noise(8, 32, 32), 32, 32, codec=codec)
        original = clip.read_bytes()
        rng = np.random.default_rng(1)
        for _ in range(25):
            data = np.frombuffer(original, np.uint8).copy()
            where = rng.integers(0, data.size, 8)
            data[where] = rng.integers(0, 256, 8, np.uint8)
            try:
                _, got = read(io.BytesIO(data.tobytes()))
            except SourceError:
                continue
            assert got
            assert len({p.planes[0].shape for p in got}) == 1

    def test_stderr_stays_silent(self, tmp_path):
        clip = encode(tmp_path / "a.mkv", noise(8, 32, 32), 32, 32, codec="libx264")
        data = bytearray(clip.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
        clip.write_bytes(data)
        script = (
            "import sys\n"
            "from nvcodec.media.source import SourceError, open_source\n"
            "try:\n"
            "    print(len(list(open_source(sys.argv[1]))))\n"
            "except SourceError as error:\n"
            "    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(clip)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
        assert done.stderr == ""
        assert done.stdout.count("\n") == 1


@pytest.mark.skipif(not CLIPS.is_dir(), reason="shared clips are absent")
def test_shared_clip():
    source, got = read(CLIPS / "bbb_1080p60_to_960x540.mkv", frames=5)
    assert (source.width, source.height, source.frame_rate) == (960, 540, Fraction(60))
    assert source.notes == []
    assert len(got) == 5
    assert [p.planes[1].shape for p in got] == [(270, 480)] * 5
