"""Frames and copied packets in containers."""

import io
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from nvcodec.format.chapters import Chapter
from nvcodec.format.hdr import Hdr
from nvcodec.format.tracks import Packet, Track
from nvcodec.media.colour import Colour
from nvcodec.media.container import ContainerWriter
from nvcodec.media.declared import declared
from nvcodec.media.description import VideoDescription
from nvcodec.media.encoding import OutputError, choose_encoding
from nvcodec.media.video_frame import pixel_format, planes_of, rows_of
from nvcodec.picture import SampleFormat

FORMATS = [SampleFormat(depth, chroma) for depth in (8, 10, 12) for chroma in range(4)]
TICK = Fraction(1, 90000)
COLOURS = {"primaries", "transfer", "matrix", "full_range", "chroma_location"}


def described(sample_format=FORMATS[1], width=64, height=48, **properties):
    said = {"time_base": TICK, "frame_rate": Fraction(25)} | properties
    of_colour = {name: said.pop(name) for name in COLOURS & said.keys()}
    colour = Colour(sample_format, height, **of_colour)
    return VideoDescription(width=width, height=height, colour=colour, **said)


def soft(description, count):
    """Pictures of waves, with all samples in the limited range."""
    sample_format = description.sample_format
    pictures = []
    for t in range(count):
        planes = []
        for k, shape in enumerate(
            sample_format.plane_shapes(description.width, description.height)
        ):
            y, x = np.indices(shape)
            wave = np.sin(0.1 * x + 0.07 * y + 0.3 * t + k)
            planes.append(
                np.rint(sample_format.middle * (1 + 0.6 * wave)).astype(sample_format.dtype)
            )
        pictures.append(tuple(planes))
    return pictures


def times(count):
    """(pts, duration) of frames that do not come evenly; the last one stays."""
    pts = [k * k * 900 for k in range(count)]
    return list(zip(pts, [*np.diff(pts).tolist(), 54000], strict=True))


def write(path, description, pictures, codec=None, options=None, **others):
    encoding = choose_encoding(path, description, codec, options)
    with open(path, "w+b") as file:
        writer = ContainerWriter(file, path, description, encoding, **others)
        for planes, (pts, duration) in zip(pictures, times(len(pictures)), strict=True):
            writer.write(planes, pts, duration)
        writer.close()
    return encoding


def read(path):
    """(stream, frames, their times and durations) of a file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        base = stream.time_base
        return stream, frames, [(f.pts * base, f.duration * base) for f in frames]


def assert_times(got, exact):
    wanted = [(pts * TICK, duration * TICK) for pts, duration in times(len(got))]
    slack = 0 if exact else Fraction(1, 1000)
    for pair, other in zip(got, wanted, strict=True):
        assert all(abs(a - b) <= slack for a, b in zip(pair, other, strict=True)), (got, wanted)


@pytest.mark.parametrize("sample_format", FORMATS, ids=pixel_format)
@pytest.mark.parametrize("size", [(64, 48), (33, 15)])
def test_matroska_is_lossless_in_every_format(tmp_path, sample_format, size):
    description = described(sample_format, *size)
    pictures = soft(description, 3)
    encoding = write(tmp_path / "a.mkv", description, pictures)
    assert encoding.words == "ffv1, lossless"
    _, frames, got = read(tmp_path / "a.mkv")
    assert_times(got, exact=False)
    assert {frame.format.name for frame in frames} == {pixel_format(sample_format)}
    for frame, planes in zip(frames, pictures, strict=True):
        for plane, wanted in zip(planes_of(frame, sample_format), planes, strict=True):
            np.testing.assert_array_equal(plane, wanted)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
@pytest.mark.parametrize("sample_format", FORMATS, ids=pixel_format)
def test_other_containers_are_lossless_or_nearly(tmp_path, suffix, sample_format):
    description = described(sample_format, 32, 24)
    path = tmp_path / f"a{suffix}"
    pictures = soft(description, 3)
    encoding = write(path, description, pictures)
    assert "lossless" in encoding.words
    _, frames, got = read(path)
    assert_times(got, exact=suffix != ".webm")
    # Encoders may show monochrome as 4:2:0: luma is what counts.
    coded = encoding.sample_format
    for frame, planes in zip(frames, pictures, strict=True):
        luma = rows_of(frame.planes[0], coded.dtype, description.width) / coded.middle
        assert np.abs(luma - planes[0] / sample_format.middle).max() < 0.03


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
@pytest.mark.parametrize("sample_format", [FORMATS[1], FORMATS[5]], ids=pixel_format)
def test_odd_sizes(tmp_path, suffix, sample_format):
    path = tmp_path / f"a{suffix}"
    description = described(sample_format, 33, 15)
    write(path, description, soft(description, 2))
    stream, frames, _ = read(path)
    assert (stream.codec_context.width, stream.codec_context.height) == (33, 15)
    assert len(frames) == 2


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mp4", ".mov"])
@pytest.mark.parametrize("sar", [Fraction(4, 3), Fraction(1), Fraction(64, 45), Fraction(3, 10)])
def test_colour_and_shape_are_said(tmp_path, suffix, sar):
    path = tmp_path / f"a{suffix}"
    description = described(
        sar=sar, primaries=9, transfer=18, matrix=9, full_range=1, chroma_location=2
    )
    write(path, description, soft(description, 2))
    stream, frames, _ = read(path)
    assert stream.sample_aspect_ratio == sar
    frame = frames[0]
    said = (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)
    assert said == (9, 18, 9, 2)
    if suffix in (".mkv", ".mp4"):
        with av.open(str(path)) as container:
            assert declared(container.streams.video[0], "").chroma_location == 2


def test_an_unknown_shape_stays_unknown(tmp_path):
    path = tmp_path / "a.mkv"
    write(path, described(), soft(described(), 1))
    assert not read(path)[0].sample_aspect_ratio


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_frames_coded_in_another_order_keep_their_times(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    description = described()
    options = {"bf": "2", "b_strategy": "0"}
    write(path, description, soft(description, 8), "libx264", options)
    with av.open(str(path)) as container:
        pts = [p.pts for p in container.demux(container.streams.video[0]) if p.pts is not None]
        assert pts != sorted(pts)
        end = Fraction(container.duration, av.time_base)
    got = read(path)[2]
    slack = 0 if suffix == ".mp4" else Fraction(1, 1000)
    for time, (wanted, _) in zip([time for time, _ in got], times(8), strict=True):
        assert abs(time - wanted * TICK) <= slack
    assert abs(end - sum(times(8)[-1]) * TICK) < Fraction(3, 1000)


def test_h265_has_the_tag_that_quicktime_plays(tmp_path):
    write(tmp_path / "a.mp4", described(), soft(described(), 2), "libx265")
    stream, frames, _ = read(tmp_path / "a.mp4")
    assert (stream.codec_context.codec_tag, len(frames)) == ("hvc1", 2)


def test_a_codec_that_needs_another_format_gets_it(tmp_path):
    description = described(width=33, height=15)
    pictures = soft(description, 2)
    encoding = write(tmp_path / "a.mov", description, pictures, "prores_ks")
    assert "converted from yuv420p to yuv422p10le" in encoding.words
    _, frames, _ = read(tmp_path / "a.mov")
    luma = planes_of(frames[0], SampleFormat(10, 2))[0]
    assert np.abs(luma - 4.0 * pictures[0][0]).max() < 8


@pytest.mark.parametrize(
    ("name", "codec", "options", "text"),
    [
        ("a.mkv", "nix", None, "no encoder 'nix'"),
        ("a.mkv", "aac", None, "codec of audio"),
        ("a.mkv", "libx264", {"crff": "3"}, "no option 'crff'"),
        ("a.mkv", "libx264", {"crf": "many"}, "many"),
        ("a.webm", "libx264", None, "a .webm file does not take libx264"),
        ("a.mp4", "prores", None, "a .mp4 file does not take prores"),
        ("a.mp4", "libx264", None, "not divisible by 2"),
    ],
)
def test_what_is_not_possible_is_said(tmp_path, name, codec, options, text):
    description = described(width=33 if "divisible" in text else 32, height=16)
    with pytest.raises(OutputError, match=text):
        write(tmp_path / name, description, soft(description, 1), codec, options)


def test_a_time_base_that_libav_does_not_have_is_said(tmp_path):
    description = described(time_base=Fraction(1, 2**32 - 1))
    with pytest.raises(OutputError, match="--fps"):
        write(tmp_path / "a.mkv", description, soft(description, 1))


HDR = Hdr(
    primaries=((34000, 16000), (13250, 34500), (7500, 3000), (15635, 16450)),
    luminance=(10000000, 50),
    light=(1000, 400),
)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mkv", "ffv1"),
        ("a.mkv", "libx265"),
        ("a.mp4", None),
        ("a.mp4", "libx265"),
        ("a.webm", "libsvtav1"),
    ],
)
def test_mastering_is_said(tmp_path, name, codec):
    description = described(FORMATS[5], primaries=9, transfer=16, matrix=9, hdr=HDR)
    write(tmp_path / name, description, soft(description, 2), codec)
    _, frames, _ = read(tmp_path / name)
    found = {data.type.name: bytes(data) for data in frames[0].side_data}
    # AVMasteringDisplayMetadata: rationals of x and y of R, G, B, white, then least and greatest.
    numbers = np.frombuffer(found["MASTERING_DISPLAY_METADATA"], np.int32)[:20].astype(float)
    ratios = numbers[::2] / numbers[1::2]
    wanted = [place / 50000 for point in HDR.primaries for place in point] + [0.005, 1000]
    # AV1 has fixed points of 14 to 16 bits.
    exact = 1e-3 if codec == "libsvtav1" else 1e-5
    np.testing.assert_allclose(ratios, wanted, rtol=exact)
    light = np.frombuffer(found["CONTENT_LIGHT_LEVEL"], np.uint32)[:2]
    assert tuple(light.tolist()) == HDR.light


def test_chapters(tmp_path):
    path = tmp_path / "a.mkv"
    chapters = [Chapter(0, 40, Fraction(1, 1000), "Auf"), Chapter(40, 80, Fraction(1, 1000), "Ab")]
    write(path, described(), soft(described(), 3), chapters=chapters)
    with av.open(str(path)) as container:
        got = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
            for c in container.chapters()
        ]
    assert got == [(c.start * c.time_base, c.end * c.time_base, c.title) for c in chapters]


def sound(path, codec, seconds=1, rate=48000):
    """A file with a track of noise."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate, layout="stereo")
        context = stream.codec_context
        samples = np.random.default_rng(3).uniform(-0.3, 0.3, (2, seconds * rate))
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), "fltp", "stereo")
        frame.sample_rate = rate
        size = context.frame_size or 1024
        resampler = av.AudioResampler(context.format.name, "stereo", rate, frame_size=size)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return path


def track_of(path, **properties):
    """The first track of a file and its packets, as nvenc would keep them."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type != "video")
        context = stream.codec_context
        sounds = stream.type == "audio"
        packets = [
            Packet(0, p.pts, p.duration, bytes(p), p.dts, p.is_keyframe)
            for p in container.demux(stream)
            if p.size
        ]
        track = Track(
            number=0,
            kind=stream.type,
            codec=context.codec.canonical_name,
            time_base=stream.time_base,
            extradata=context.extradata or b"",
            language=stream.metadata.get("language", ""),
            title=stream.metadata.get("title", ""),
            rate=context.sample_rate if sounds else 0,
            channels=context.channels if sounds else 0,
        )
        return replace(track, **properties), packets


def copy(path, track, packets):
    with open(path, "w+b") as file:
        writer = ContainerWriter(file, path, tracks=[track])
        for packet in packets:
            writer.write_packet(packet)
        writer.close()


CASES = [
    ("aac", "s.mp4", 1024, (".mka", ".m4a", ".mp4", ".mov", ".mkv")),
    ("libopus", "s.webm", 312, (".mka", ".webm", ".opus", ".mp4")),
    ("libmp3lame", "s.mp3", 0, (".mka", ".mp3", ".mp4")),
    ("flac", "s.flac", 0, (".mka", ".flac", ".mp4", ".ogg")),
    ("ac3", "s.mkv", 256, (".mka", ".mp4", ".ac3")),
    ("alac", "s.m4a", 0, (".mka", ".m4a", ".mov")),
    ("pcm_s24le", "s.mkv", 0, (".mka", ".wav", ".mov")),
]


@pytest.mark.parametrize(
    ("codec", "name", "priming", "suffix"),
    [(codec, name, priming, suffix) for codec, name, priming, s in CASES for suffix in s],
)
def test_packets_are_copied_byte_for_byte(tmp_path, codec, name, priming, suffix):
    source, packets = track_of(sound(tmp_path / name, codec), priming=priming)
    out = tmp_path / f"out{suffix}"
    copy(out, source, packets)
    track, copied = track_of(out)
    # Readers cut PCM as they like.
    assert b"".join(p.data for p in copied) == b"".join(p.data for p in packets)
    assert (track.codec, track.rate, track.channels) == (source.codec, source.rate, source.channels)
    assert track.extradata == source.extradata
    if suffix not in (".ac3", ".wav", ".mov"):
        for packet, other in zip(packets, copied, strict=True):
            shift = packet.pts * source.time_base - other.pts * track.time_base
            assert abs(shift) <= Fraction(1, 1000)


def test_what_is_said_of_a_track_survives(tmp_path):
    source, packets = track_of(
        sound(tmp_path / "s.mp4", "aac"),
        language="deu",
        title="Kommentar",
        disposition=("comment", "default"),
        priming=1024,
    )
    packets[-1] = replace(packets[-1], discard=500)
    copy(tmp_path / "out.mka", source, packets)
    with av.open(str(tmp_path / "out.mka")) as container:
        stream = container.streams.audio[0]
        assert stream.metadata["language"] == "deu"
        assert stream.metadata["title"] == "Kommentar"
        assert stream.disposition == Disposition.comment | Disposition.default
        last = [p for p in container.demux(stream) if p.size][-1]
        skipped = next(s for s in last.iter_sidedata() if s.data_type == "skip_samples")
        assert int.from_bytes(bytes(skipped)[4:8], "little") == 500


def test_languages_of_quicktime(tmp_path):
    found = {}
    for suffix in (".mov", ".mp4"):
        for language in ("deu", "eng", "pt-BR"):
            track, packets = track_of(sound(tmp_path / "s.wav", "pcm_s16le"), language=language)
            path = tmp_path / f"out{suffix}"
            with open(path, "w+b") as file:
                writer = ContainerWriter(file, path, tracks=[track])
                writer.write_packet(packets[0])
                writer.close()
            with av.open(str(path)) as container:
                kept = container.streams[0].metadata.get("language", "und")
            found[suffix, language] = kept, [line for line in writer.left_out if language in line]
    assert found[".mov", "deu"] == ("ger", [])
    assert found[".mp4", "deu"] == ("deu", [])
    assert found[".mov", "eng"] == found[".mp4", "eng"] == ("eng", [])
    lost = "left out the language pt-BR of track 0: a .mov file has no code for it"
    assert found[".mov", "pt-BR"] == ("und", [lost])


def test_the_field_order(tmp_path):
    description = replace(described(), field_order="bottom")
    pictures = soft(description, 1)
    write(tmp_path / "a.mkv", description, pictures)
    # FieldOrder (RFC 9559): 6 is bottom field first.
    assert b"\x9d\x81\x06" in (tmp_path / "a.mkv").read_bytes()
    with open(tmp_path / "a.mp4", "w+b") as file:
        encoding = choose_encoding("a.mp4", description)
        writer = ContainerWriter(file, "a.mp4", description, encoding)
    assert "left out the field order, bottom field first" in writer.left_out[0]


def test_subtitles_are_copied(tmp_path):
    track = Track(0, "subtitle", "subrip", Fraction(1, 1000), language="fra")
    packets = [Packet(0, 500 * k, 400, f"Ligne {k}".encode()) for k in range(3)]
    copy(tmp_path / "out.mkv", track, packets)
    got, copied = track_of(tmp_path / "out.mkv")
    assert (got.codec, got.language) == ("subrip", "fra")
    assert [replace(p, dts=None) for p in copied] == packets


def test_text_of_quicktime_is_copied(tmp_path):
    track = Track(0, "subtitle", "mov_text", Fraction(1, 1000), language="fra")
    packets = [Packet(0, 500 * k, 500, b"\0\5Salut") for k in range(3)]
    copy(tmp_path / "out.mp4", track, packets)
    got, copied = track_of(tmp_path / "out.mp4")
    assert (got.codec, got.language) == ("mov_text", "fra")
    assert [p.data for p in copied] == [p.data for p in packets]


def test_a_video_with_its_sound(tmp_path):
    source, packets = track_of(sound(tmp_path / "s.mp4", "aac"), priming=1024)
    description = described()
    pictures = soft(description, 6)
    path = tmp_path / "out.mkv"
    encoding = choose_encoding(path, description)
    with open(path, "w+b") as file:
        writer = ContainerWriter(
            file, path, description, encoding, [source], tags={"title": "Hall"}
        )
        for packet in packets:
            writer.write_packet(packet)
        for planes, (pts, duration) in zip(pictures, times(6), strict=True):
            writer.write(planes, pts, duration)
        writer.close()
    assert writer.left_out == []
    got = read(path)[2]
    # The priming before 0 moves no frame.
    assert_times(got, exact=False)
    assert [p.data for p in track_of(path)[1]] == [p.data for p in packets]
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "Hall"
        starts = [p.dts * p.time_base for p in container.demux() if p.size]
    # Sound and pictures lie beside each other.
    assert starts == sorted(starts)


def test_a_track_that_does_not_fit_is_left_out_and_said(tmp_path):
    source, packets = track_of(sound(tmp_path / "s.mp4", "aac"))
    description = described()
    path = tmp_path / "out.webm"
    with open(path, "w+b") as file:
        encoding = choose_encoding(path, description)
        writer = ContainerWriter(file, path, description, encoding, [source])
        writer.write_packet(packets[0])
        writer.write(soft(description, 1)[0], 0, 3600)
        writer.close()
    assert writer.left_out == ["left out track 0 (audio, aac): a .webm file does not take it"]
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_packets_out_of_order_are_left_out_and_said(tmp_path):
    source, packets = track_of(sound(tmp_path / "s.mp4", "aac"), priming=1024)
    path = tmp_path / "out.mp4"
    with open(path, "w+b") as file:
        writer = ContainerWriter(file, path, tracks=[source])
        for packet in (*packets[:6], packets[2], packets[3], *packets[6:]):
            writer.write_packet(packet)
        writer.close()
    assert writer.left_out == [
        "left out 2 packets of track 0: a .mp4 file does not take their times"
    ]
    assert [p.data for p in track_of(path)[1]] == [p.data for p in packets]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 2**32 - 1},
        {"time_base": Fraction(2**32 - 1, 2**32 - 2)},
        {"layout": "nothing"},
        {"channels": 70, "layout": ""},
        {"extradata": bytes(3), "codec": "flac"},
        {"codec": "vorbis", "extradata": b"\xff"},
        {"codec": "h264"},
        {"codec": "png", "kind": "subtitle"},
        {"rate": 0},
    ],
)
def test_tracks_of_nonsense_do_no_harm(tmp_path, wrong):
    source, packets = track_of(sound(tmp_path / "s.mp4", "aac"))
    description = described()
    path = tmp_path / "out.mkv"
    encoding = choose_encoding(path, description)
    with open(path, "w+b") as file:
        writer = ContainerWriter(file, path, description, encoding, [replace(source, **wrong)])
        writer.write_packet(packets[0])
        writer.write(soft(description, 1)[0], 0, 3600)
        writer.close()
    assert len(read(path)[1]) == 1


def test_nothing_to_write_is_an_error():
    track = Track(0, "data", "bin_data", Fraction(1, 1000))
    with pytest.raises(OutputError, match="nothing is left"):
        ContainerWriter(io.BytesIO(), "a.mka", tracks=[track])


def test_an_interrupt_leaves_the_file_whole(tmp_path):
    path = tmp_path / "out.mkv"
    description = described()
    pictures = soft(description, 4)

    class Interrupted(io.FileIO):
        armed = False

        def write(self, data):
            if self.armed:
                self.armed = False
                super().write(data[: len(data) // 2])
                raise KeyboardInterrupt
            return super().write(data)

    with Interrupted(path, "w+b") as file:
        encoding = choose_encoding(path, description)
        writer = ContainerWriter(file, path, description, encoding)
        for planes, (pts, duration) in zip(pictures[:3], times(3), strict=True):
            writer.write(planes, pts, duration)
        file.armed = True
        with pytest.raises(KeyboardInterrupt):
            writer.close()
    _, frames, _ = read(path)
    assert len(frames) == 3
