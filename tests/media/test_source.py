import io
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nvcodec.media.source import SourceError, open_source
from nvcodec.media.y4m import Y4mWriter

from .clips import assert_same, encode, noise, read, write_png, y4m_bytes

CLIPS = Path(__file__).parents[3] / "shared" / "clips"


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

    @pytest.mark.parametrize(("count", "text"), [(1, "1 frame"), (2, "2 frames")])
    def test_nothing_left(self, tmp_path, count, text):
        clip = encode(tmp_path / "a.mkv", noise(count, 16, 16), 16, 16)
        with pytest.raises(SourceError, match=f"it has {text}, none is left after skipping 2"):
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
            ("a.y4m", b"YUV4MPEG2 W0 H4 F25:1\nFRAME\n", "Picture size 0x4 is invalid"),
            ("a.y4m", b"YUV4MPEG2 " + b"X" * 300, "Header too large"),
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
