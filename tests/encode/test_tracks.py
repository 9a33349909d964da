"""Tracks, chapters, tags and HDR metadata of real files, from the source to the decoder."""

import contextlib
import hashlib
import io
import os
import threading
from fractions import Fraction
from functools import partial

import av
import numpy as np
import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.encode import encoder
from nvcodec.format import GroupUnit, Packets, Track, TruncatedError, UnitReader, UnsupportedError
from nvcodec.media.source import SourceError
from tests.media import clips
from tests.media.clips import Sound
from tests.test_reference import reference

encode = partial(encoder.encode, model="nirvana", preset="fast")

SUBTITLES = [(100, 400, "one"), (700, 900, "zwei")]


def coded(path, **options):
    """(bitstream, notes) of a source."""
    out = io.BytesIO()
    result = encode(path, out, **options)
    assert result.complete
    return out.getvalue(), result


def carried(data):
    """What `clips.packets_of` gives of a source, of a bitstream; the video is stream 0."""
    with Decoder(io.BytesIO(data)) as decoder:
        return [
            (p.track + 1, p.pts, p.pts if p.dts is None else p.dts, p.duration, p.data)
            for p in decoder.packets()
        ]


def ordered(packets):
    return sorted(packets, key=lambda packet: packet[0])


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("in.mkv", "aac"),
        ("in.mp4", "aac"),
        ("in.mkv", "libopus"),
        ("in.mov", "pcm_s16le"),
        ("in.avi", "pcm_s16le"),
        ("in.ts", "mp2"),
        ("in.mkv", "flac"),
    ],
)
def test_packets_are_those_of_the_source(tmp_path, name, codec):
    path = clips.with_tracks(tmp_path / name, sounds=[Sound(codec)])
    data, result = coded(path)
    assert carried(data) == clips.packets_of(path, "audio")
    assert result.notes == []
    with Decoder(io.BytesIO(data)) as decoder, av.open(path) as source:
        (track,) = decoder.tracks
        stream = source.streams.audio[0]
        assert (track.rate, track.channels) == (48000, 2)
        # A container may say how many channels there are, but not which.
        assert track.layout == {"2 channels": ""}.get(stream.layout.name, "stereo")
        assert track.codec == codec.removeprefix("lib")
        assert track.extradata == (stream.codec_context.extradata or b"")
        assert track.time_base == stream.time_base


def test_what_is_known_of_tracks_survives(tmp_path):
    path = clips.with_tracks(
        tmp_path / "in.mkv",
        sounds=[Sound(), Sound("libopus", "eng", "Commentary")],
        subtitles=SUBTITLES,
        chapters=[(0, 1, "Anfang"), (1, 2, "Größe")],
        tags={"title": "A title"},
    )
    data, result = coded(path)
    with Decoder(io.BytesIO(data)) as decoder:
        first, second, text = decoder.tracks
        assert (first.language, first.title, first.priming) == ("deu", "Ton", 1024)
        assert (second.language, second.title, second.priming) == ("eng", "Commentary", 312)
        assert (text.kind, text.codec, text.language) == ("subtitle", "subrip", "fra")
        assert [
            (c.title, c.start * c.time_base, c.end * c.time_base) for c in decoder.chapters
        ] == [
            ("Anfang", 0, 1),
            ("Größe", 1, 2),
        ]
        assert decoder.metadata["tags"]["title"] == "A title"
        assert decoder.hdr is None
        opus = [packet for packet in decoder.packets() if packet.track == second.number]
        assert (opus[0].skip, opus[-1].skip) == (312, 0)
        assert opus[-1].discard == 648
        assert len(list(decoder)) == 25
    assert ordered(carried(data)) == ordered(clips.packets_of(path, "audio", "subtitle"))
    assert result.notes == []


def test_chapters_of_mp4_are_no_track(tmp_path):
    path = clips.with_tracks(tmp_path / "in.mp4", chapters=[(0, 1, "a"), (1, 2, "ü")], frames=2)
    data, result = coded(path)
    with Decoder(io.BytesIO(data)) as decoder:
        assert [track.codec for track in decoder.tracks] == ["aac"]
        assert [chapter.title for chapter in decoder.chapters] == ["a", "ü"]
    assert result.notes == []


@pytest.mark.parametrize(
    ("options", "kept", "note"),
    [
        ({"audio": False}, [3], "dropped 2 audio tracks: 2 x aac 48000 Hz 2 channels"),
        ({"tracks": "none"}, [], "dropped 1 subtitle track: subrip"),
        ({"tracks": "subtitle"}, [3], "dropped 2 audio tracks: 2 x aac 48000 Hz 2 channels"),
        ({"tracks": "2,3"}, [2, 3], "dropped 1 audio track: aac 48000 Hz 2 channels"),
        ({"tracks": "2,3", "audio": False}, [3], "dropped 2 audio tracks: 2 x aac 48000 Hz"),
        ({"tracks": "audio"}, [1, 2], "dropped 1 subtitle track: subrip"),
    ],
)
def test_tracks_are_chosen(tmp_path, options, kept, note):
    path = clips.with_tracks(
        tmp_path / "in.mkv", sounds=[Sound(), Sound()], subtitles=SUBTITLES, frames=3
    )
    data, result = coded(path, **options)
    expected = [p[1:] for p in ordered(clips.packets_of(path, "audio", "subtitle")) if p[0] in kept]
    assert [packet[1:] for packet in ordered(carried(data))] == expected
    assert any(line.startswith(note) for line in result.notes)


def test_a_choice_that_is_none_is_refused(tmp_path):
    path = clips.with_tracks(tmp_path / "in.mkv", frames=2)
    with pytest.raises(ValueError, match="tracks 'sound' are neither all, none, nor a list"):
        coded(path, tracks="sound")
    with pytest.raises(SourceError, match="it has no stream 7"):
        coded(path, tracks="1,7")


def test_no_packet_comes_after_the_group_that_it_is_heard_with(tmp_path):
    path = clips.with_tracks(tmp_path / "in.mkv", subtitles=SUBTITLES, frames=50)
    data, _ = coded(path, key_interval=0.4)
    reader = UnitReader(io.BytesIO(data))
    bases, end = {}, None
    for event in reader:
        if isinstance(event, Track):
            bases[event.number] = event.time_base
        elif isinstance(event, Packets):
            for packet in event.packets:
                assert end is None or packet.pts * bases[packet.track] >= end
        elif isinstance(event, GroupUnit):
            end = (event.group.first_pts + sum(event.group.durations)) * reader.header.time_base


def test_sound_is_cut_to_the_coded_part(tmp_path):
    path = clips.with_tracks(tmp_path / "in.mkv", subtitles=SUBTITLES)
    data, result = coded(path, skip=5, frames=10)
    base = Fraction(1, 1000)
    start, end = Fraction(5, 25), Fraction(15, 25)
    expected = [
        packet
        for packet in clips.packets_of(path, "audio", "subtitle")
        if (packet[1] + packet[3]) * base > start and packet[1] * base < end
    ]
    assert ordered(carried(data)) == ordered(expected)
    assert result.notes == [
        "cut to the coded part: audio track 0 (aac, deu), subtitle track 1 (subrip, fra)"
    ]
    with Decoder(io.BytesIO(data)) as decoder:
        assert decoder.tracks[0].priming == 0
        assert next(iter(decoder)).pts * decoder.header.time_base == start


def test_sound_that_lasts_longer_than_the_video_is_kept(tmp_path):
    path = clips.with_tracks(tmp_path / "in.mkv", sounds=[Sound(seconds=2.5)], frames=10)
    data, result = coded(path)
    assert carried(data) == clips.packets_of(path, "audio")
    assert result.notes == []


def test_frames_beyond_the_end_cut_nothing(tmp_path):
    path = clips.with_tracks(tmp_path / "in.mkv", frames=10)
    data, _ = coded(path, frames=100)
    assert carried(data) == clips.packets_of(path, "audio")


def test_mastering_display_and_light_level_survive(tmp_path):
    path = tmp_path / "in.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p10le"
        stream.options = {
            "x265-params": "log-level=none:bframes=0:hdr10=1:max-cll=1000,400:master-display="
            "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
        }
        for pts in range(2):
            frame = av.VideoFrame.from_ndarray(np.full((48, 32), 400, np.uint16), "yuv420p10le")
            frame.pts = pts
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    data, result = coded(path, model="nirvana")
    with Decoder(io.BytesIO(data)) as decoder:
        assert decoder.hdr is not None
        assert decoder.hdr.primaries == (
            (34000, 16000),
            (13250, 34500),
            (7500, 3000),
            (15635, 16450),
        )
        assert decoder.hdr.luminance == (10000000, 50)
        assert decoder.hdr.light == (1000, 400)
    assert not [note for note in result.notes if "mastering" in note or "light" in note]


def test_a_stream_gives_packets_with_its_frames(tmp_path):
    path = clips.with_tracks(tmp_path / "in.mkv", subtitles=SUBTITLES)
    data, _ = coded(path)
    reading, writing = os.pipe()

    def write():
        with open(writing, "wb") as sink:
            sink.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    found = []
    with open(reading, "rb") as pipe, Decoder(pipe) as decoder:
        assert [track.codec for track in decoder.tracks] == ["aac", "subrip"]
        with pytest.raises(UnsupportedError):
            list(decoder.packets())
        decoder.on_packets = found.extend
        frames = list(decoder)
    thread.join()
    with Decoder(io.BytesIO(data)) as decoder:
        assert found == list(decoder.packets())
        assert len(decoder.tracks) == 2
        assert [frame.pts for frame in decoder] == [frame.pts for frame in frames]
        assert len(decoder.tracks) == 2
        again = list(decoder.frames())
        assert len(decoder.tracks) == 2
        still = decoder[20]
        for plane, other in zip(still.planes, again[20].planes, strict=True):
            np.testing.assert_array_equal(plane, other)


def test_a_truncated_file_keeps_what_came_before(tmp_path):
    path = clips.with_tracks(tmp_path / "in.mkv", frames=50, sounds=[Sound(seconds=2)])
    data, _ = coded(path)
    whole = carried(data)
    places = [i for i in range(len(data)) if data.startswith(b"GRUP", i)]
    with Decoder(io.BytesIO(data[: places[-1] + 20])) as decoder:
        assert len(decoder.tracks) == 1
        found = []
        with contextlib.suppress(TruncatedError):
            for packet in decoder.packets():
                found.append(packet.data)
        assert len(found) > 60
        assert found == [packet[-1] for packet in whole[: len(found)]]
        frames = []
        with contextlib.suppress(TruncatedError):
            for frame in decoder:
                frames.append(frame)
        assert 40 < len(frames) < 50


def test_damaged_tracks_cost_no_frame(tmp_path):
    path = clips.with_tracks(tmp_path / "in.mkv")
    good, _ = coded(path)
    data = bytearray(good)
    data[data.index(b"aPKt") + 30] ^= 1
    with Decoder(io.BytesIO(bytes(data))) as decoder:
        frames = list(decoder)
        assert decoder.metadata_error is not None
        assert decoder.metadata_error.unit == "aPKt"
    assert len(frames) == 25


@pytest.mark.parametrize("model", ["hybrid", "nirvana"])
def test_both_models_and_the_reference_decoder(tmp_path, model):
    path = clips.with_tracks(tmp_path / "in.mkv", frames=5, chapters=[(0, 1, "a")])
    options = {"preset": "fast", "threads": 1} | ({"network": "off"} if model == "hybrid" else {})
    out = tmp_path / "out.nrv"
    encoder.encode(path, out, model=model, **options)
    assert carried(out.read_bytes()) == clips.packets_of(path, "audio")
    with Decoder(out) as decoder:
        frames = list(decoder.frames(verify=True))
    samples = b"".join(plane.tobytes() for frame in frames for plane in frame.planes)
    assert reference(out) == (0, f"{hashlib.md5(samples).hexdigest()}\n")
