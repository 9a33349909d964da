"""Encoding to real files and decoding them."""

import io
from fractions import Fraction
from functools import partial

import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.encode import encoder
from nvcodec.encode.encoder import Observer
from nvcodec.format import GroupUnit, UnitReader
from nvcodec.media.quality import METRICS, QualityMeter
from nvcodec.media.source import SourceError
from tests.cli.support import moving, y4m
from tests.media import clips

encode = partial(encoder.encode, model="nirvana", network="paper")
pytestmark = pytest.mark.usefixtures("quick")


def coded(pictures, **options):
    """(bitstream, result) of pictures."""
    out = io.BytesIO()
    result = encode(io.BytesIO(y4m(pictures)), out, **options)
    assert result.complete
    assert result.bytes == len(out.getvalue())
    return out.getvalue(), result


def groups(data):
    return [event.group for event in UnitReader(io.BytesIO(data)) if isinstance(event, GroupUnit)]


def decoded(data):
    with Decoder(io.BytesIO(data)) as decoder:
        return list(decoder.frames(verify=True))


@pytest.mark.parametrize(
    ("width", "height", "count"), [(37, 21, 5), (48, 32, 1), (1, 1, 2), (3, 50, 1)]
)
def test_any_size_and_number_of_frames(width, height, count):
    pictures = moving(count, width, height)
    data, result = coded(pictures, metrics=METRICS)
    frames = decoded(data)
    assert [(f.width, f.height, f.index) for f in frames] == [
        (width, height, k) for k in range(count)
    ]
    meter = QualityMeter(METRICS)
    for original, frame in zip(pictures, frames, strict=True):
        meter.add(original, frame.planes)
    assert meter.state() == result.meter.state()


def test_header_is_that_of_the_source(tmp_path):
    pictures = moving(2, 24, 16)
    colour = {"color_primaries": 1, "color_trc": 1, "colorspace": 1, "color_range": 1}
    path = clips.encode(
        tmp_path / "in.mp4",
        pictures,
        24,
        16,
        codec="libx264",
        rate=30,
        sar=Fraction(4, 3),
        colour=colour,
    )
    out = tmp_path / "out.nrv"
    encode(path, out)
    with Decoder(out) as decoder:
        header = decoder.header
        assert len(list(decoder)) == 2
        assert decoder.metadata["settings"] == {"crf": 30, "network": "paper"}
    assert (header.frame_rate, header.sar) == (30, Fraction(4, 3))
    assert (header.colour_primaries, header.transfer, header.matrix) == (1, 1, 1)
    assert header.full_range == 0


def test_variable_frame_durations_survive(tmp_path):
    pts = [0, 7, 9, 40, 41]
    path = clips.encode(
        tmp_path / "in.mkv", moving(5, 24, 16), 24, 16, pts=pts, time_base=Fraction(1, 1000)
    )
    out = tmp_path / "out.nrv"
    encode(path, out, group_size=2)
    with Decoder(out) as decoder:
        times = [frame.time for frame in decoder]
    assert [time - times[0] for time in times] == [Fraction(t, 1000) for t in pts]


def test_a_scene_cut_makes_a_key_group():
    pictures = moving(3, 48, 32, 0) + moving(3, 48, 32, 1)
    found = groups(coded(pictures, group_size=2)[0])
    assert [(g.frame_count, g.key) for g in found] == [(2, True), (1, False), (2, True), (1, False)]


def test_key_interval_and_group_size():
    data, result = coded(moving(6, 24, 16), group_size=1, key_interval=3 / 25)
    assert [g.key for g in groups(data)] == [True, False, False, True, False, False]
    assert [g.key for g in result.groups] == [True, False, False, True, False, False]
    assert result.shape.group_frames == 1


def test_skip_and_frames():
    data, result = coded(moving(6, 24, 16), skip=1, frames=3)
    assert result.frames == 3
    assert [frame.pts for frame in decoded(data)] == [1, 2, 3]


def test_the_same_encode_gives_the_same_bytes():
    pictures = moving(3, 37, 21)
    assert coded(pictures, threads=2)[0] == coded(pictures, threads=2)[0]


def test_groups_go_out_one_by_one():
    out = io.BytesIO()
    sizes = []

    class Sizes(Observer):
        def encoded(self, group):
            sizes.append(len(out.getvalue()))
            with Decoder(io.BytesIO(out.getvalue())) as decoder:
                assert len(list(decoder.frames(count=group.first_frame + group.frames))) == (
                    group.first_frame + group.frames
                )

    encode(io.BytesIO(y4m(moving(5, 24, 16))), out, group_size=2, observer=Sizes())
    assert len(sizes) == 3
    assert sizes == sorted(set(sizes))


class Stop(Observer):
    def __init__(self, group):
        self.group = group
        self.result = None

    def started(self, result, frame_count_hint):
        self.result = result

    def coding(self, ordinal, frames, text=""):
        if ordinal == self.group:
            raise KeyboardInterrupt


def test_an_interrupt_leaves_a_valid_file(tmp_path):
    for group, frames in ((0, 0), (2, 4)):
        out = tmp_path / f"{group}.nrv"
        observer = Stop(group)
        with pytest.raises(KeyboardInterrupt):
            encode(io.BytesIO(y4m(moving(6, 24, 16))), out, group_size=2, observer=observer)
        assert observer.result.complete == bool(frames)
        assert out.exists() == bool(frames)
        if frames:
            assert len(decoded(out.read_bytes())) == frames
    assert [path.name for path in tmp_path.iterdir()] == ["2.nrv"]


def test_a_source_that_breaks_leaves_the_pictures_before(monkeypatch):
    from nvcodec.media.source import Source

    true, count = Source.__next__, iter(range(100))

    def breaking(self):
        if next(count) == 5:
            raise SourceError("cannot read it further")
        return true(self)

    monkeypatch.setattr(Source, "__next__", breaking)
    out = io.BytesIO()
    with pytest.raises(SourceError):
        encode(io.BytesIO(y4m(moving(8, 24, 16))), out, group_size=2)
    assert len(decoded(out.getvalue())) == 5


def test_a_failing_output_raises_its_own_error():
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 300:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with pytest.raises(OSError, match="No space"):
        encode(io.BytesIO(y4m(moving(6, 24, 16))), Full(), group_size=2)


@pytest.mark.parametrize(
    "options",
    [
        {"model": "x"},
        {"preset": "x"},
        {"network": "x"},
        {"group_size": 0},
        {"group_size": 33},
        {"key_interval": 0},
        {"key_interval": float("nan")},
        {"skip": -1},
        {"frames": 0},
        {"metrics": ("vmaf",)},
    ],
)
def test_bad_arguments(options, tmp_path):
    with pytest.raises(ValueError):  # noqa: PT011
        encode(io.BytesIO(y4m(moving(1, 24, 16))), tmp_path / "out.nrv", **options)
    assert not list(tmp_path.iterdir())
