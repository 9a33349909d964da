"""The nirvana model from pictures to a file and back."""

import io
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.encoder import Observer, encode
from nvcodec.encode.nirvana import video as coder
from nvcodec.encode.nirvana.effort import EFFORTS
from nvcodec.format import NIRVANA, GroupUnit, UnitReader
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import Source, SourceError
from nvcodec.model.description import PatchShape
from nvcodec.options import OptionError
from nvcodec.picture import YUV420P8
from tests.cli.support import ROOT, moving, y4m
from tests.encode.hybrid.test_video import textured


def coded(pictures, **options):
    """(bitstream, result) of pictures."""
    out = io.BytesIO()
    options = {"preset": "fast", "threads": 2} | options
    result = encode(io.BytesIO(y4m(pictures)), out, model="nirvana", **options)
    assert result.complete
    assert result.bytes == len(out.getvalue())
    return out.getvalue(), result


def groups(data):
    return [event.group for event in UnitReader(io.BytesIO(data)) if isinstance(event, GroupUnit)]


def kinds(data):
    return [(g.frame_count, g.key) for g in groups(data)]


def decoded(data):
    with Decoder(io.BytesIO(data)) as decoder:
        return list(decoder.frames(verify=True))


@pytest.mark.parametrize(
    ("width", "height", "count"), [(70, 50, 9), (48, 32, 1), (1, 1, 2), (3, 130, 5), (129, 8, 3)]
)
def test_any_size_and_number_of_frames(width, height, count):
    pictures = moving(count, width, height)
    data, result = coded(pictures)
    frames = decoded(data)
    assert [(f.width, f.height, f.index) for f in frames] == [
        (width, height, k) for k in range(count)
    ]
    meter = QualityMeter()
    for original, frame in zip(pictures, frames, strict=True):
        meter.add(original, frame.planes)
    assert meter.state() == result.meter.state()
    assert result.shape == PatchShape()


@pytest.mark.parametrize("preset", EFFORTS)
def test_quality_and_bits_fall_with_crf(preset):
    pictures = textured(6, 64, 48)
    fine, coarse = (coded(pictures, crf=crf, preset=preset)[1] for crf in (15, 40))
    assert fine.bytes > coarse.bytes
    assert fine.meter.values()["psnr"]["all"] > coarse.meter.values()["psnr"]["all"]


@pytest.mark.parametrize("crf", [0, 60])
def test_the_ends_of_the_range(crf):
    assert len(decoded(coded(textured(5, 20, 20), crf=crf)[0])) == 5


@pytest.mark.parametrize("preset", EFFORTS)
def test_bytes_do_not_depend_on_threads(preset):
    pictures = textured(5, 70, 50) + textured(3, 70, 50, 1)
    whole = coded(pictures, threads=1, preset=preset)[0]
    for threads in (2, None):
        assert coded(pictures, threads=threads, preset=preset)[0] == whole
    if not EFFORTS[preset].split:
        assert kinds(whole) == [(4, True), (1, False), (3, True)]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, [1, 1, 1, 1, 1, 1]),
        (2, [2, 2, 2]),
        (3, [3, 3]),
        (4, [4, 2]),
        (None, [4, 2]),
    ],
)
def test_group_sizes(size, expected):
    pictures = textured(6, 24, 16)
    data, result = coded(pictures, group_size=size)
    assert kinds(data) == [(count, k == 0) for k, count in enumerate(expected)]
    assert [group.frames for group in result.groups] == expected
    assert len(decoded(data)) == 6


def test_key_interval():
    data, result = coded(moving(8, 24, 16), group_size=2, key_interval=3 / 25)
    assert [g.key for g in result.groups] == [g.key for g in groups(data)]
    assert sum(g.key for g in result.groups) > 1


def test_segments_do_not_depend_on_what_was_before():
    pictures = textured(6, 40, 30) + textured(5, 40, 30, 1)
    both = groups(coded(pictures)[0])
    alone = groups(coded(pictures[6:])[0])
    assert [g.content for g in both[2:]] == [g.content for g in alone]
    assert [g.motion for g in both[2:]] == [g.motion for g in alone]


def test_sizes_of_substreams():
    data, result = coded(textured(8, 64, 48))
    for unit, group in zip(groups(data), result.groups, strict=True):
        assert (group.content_bytes, group.motion_bytes) == (len(unit.content), len(unit.motion))
        assert (group.network_bytes, group.chain_bytes) == (0, 0)
        assert unit.key == (not unit.motion)


def test_the_header_and_settings_are_those_of_the_model():
    with Decoder(io.BytesIO(coded(moving(1, 24, 16), crf=21.5)[0])) as decoder:
        assert len(list(decoder)) == 1
        assert decoder.header.model == NIRVANA
        assert decoder.metadata["settings"] == {"crf": 21.5, "preset": "fast"}


class Watch(Observer):
    """Keeps what it is told; interrupts when a group is coded."""

    def __init__(self, interrupted=None):
        self.interrupted = interrupted
        self.told = []
        self.result = None

    def started(self, result, frame_count_hint):
        self.result = result

    def coding(self, ordinal, frames, text=""):
        self.told.append((ordinal, frames))
        if ordinal == self.interrupted:
            raise KeyboardInterrupt


def test_groups_go_out_one_by_one():
    out = io.BytesIO()
    sizes = []

    class Sizes(Watch):
        def encoded(self, group):
            sizes.append(len(out.getvalue()))
            with Decoder(io.BytesIO(out.getvalue())) as decoder:
                frames = group.first_frame + group.frames
                assert len(list(decoder.frames(count=frames))) == frames

    watch = Sizes()
    source = io.BytesIO(y4m(moving(8, 24, 16)))
    encode(source, out, model="nirvana", preset="fast", group_size=3, observer=watch)
    assert watch.told == [(0, 3), (1, 3), (2, 2)]
    assert len(sizes) == 3
    assert sizes == sorted(set(sizes))


def test_a_group_does_not_wait_for_all_pictures(monkeypatch):
    read, seen = [], []
    true = Source.__next__

    def counting(self):
        read.append(1)
        return true(self)

    class Count(Observer):
        def encoded(self, group):
            seen.append(len(read))

    monkeypatch.setattr(Source, "__next__", counting)
    coded(moving(30, 24, 16), group_size=2, observer=Count())
    assert len(seen) == 15
    assert all(got <= 2 * (k + 3) for k, got in enumerate(seen))


@pytest.mark.parametrize(("group", "frames"), [(0, 0), (2, 4)])
def test_an_interrupt_leaves_a_valid_file(tmp_path, group, frames):
    out, watch = tmp_path / "out.nrv", Watch(group)
    source = io.BytesIO(y4m(moving(9, 24, 16)))
    with pytest.raises(KeyboardInterrupt):
        encode(source, out, model="nirvana", preset="fast", group_size=2, observer=watch)
    assert watch.result.complete == bool(frames)
    assert [path.name for path in tmp_path.iterdir()] == ["out.nrv"] * bool(frames)
    if frames:
        assert len(decoded(out.read_bytes())) == frames


@pytest.mark.parametrize(
    ("error", "frames"), [(SourceError("cannot read it further"), 8), (KeyboardInterrupt(), 6)]
)
def test_what_ends_the_reading_leaves_the_frames_before(monkeypatch, error, frames):
    true, count = Source.__next__, iter(range(100))

    def breaking(self):
        if next(count) == 8:
            raise error
        return true(self)

    monkeypatch.setattr(Source, "__next__", breaking)
    out = io.BytesIO()
    with pytest.raises(type(error)):
        encode(io.BytesIO(y4m(moving(20, 24, 16))), out, model="nirvana", group_size=3)
    assert len(decoded(out.getvalue())) == frames


def test_a_failing_group_is_the_error(monkeypatch):
    true = coder.GroupCoder.code

    def failing(self, pictures, before, quantiser):
        if before is not None:
            raise MemoryError("no more")
        return true(self, pictures, before, quantiser)

    monkeypatch.setattr(coder.GroupCoder, "code", failing)
    with pytest.raises(MemoryError, match="no more"):
        coded(moving(9, 24, 16))


def test_wrong_features_are_found(monkeypatch):
    true = coder.rebuild_parameters

    def wrong(*arguments):
        parameters = true(*arguments)
        parameters[0].features[0, 0, 0] ^= 1
        return parameters

    monkeypatch.setattr(coder, "rebuild_parameters", wrong)
    with pytest.raises(RuntimeError, match="does not decode"):
        coded(moving(1, 24, 16))


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "paper"},
        {"network": "fixed"},
        {"device": "cuda"},
        {"group_size": 5},
    ],
)
def test_options_that_it_does_not_have(options, tmp_path):
    with pytest.raises(OptionError, match="nirvana model"):
        encode(io.BytesIO(y4m(moving(1))), tmp_path / "out.nrv", model="nirvana", **options)
    assert not list(tmp_path.iterdir())


def test_pytorch_is_not_imported(tmp_path):
    (tmp_path / "in.y4m").write_bytes(y4m(moving(2, 24, 16)))
    program = f"""
import sys
from fractions import Fraction
from nvcodec.cli.nvenc import main
try:
    main(["-q", "--model", "nirvana", "{tmp_path}/in.y4m", "{tmp_path}/out.nrv"])
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "distributed"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("size", "level"), [((640, 360), 1), ((1920, 1080), 3), ((3840, 2160), 4), ((8192, 8192), 5)]
)
def test_levels(size, level):
    made = coder.NirvanaCoder(
        *size,
        samples=YUV420P8,
        steering=Steering(30, Fraction(1, 25), whole=True),
        effort=EFFORTS["fast"],
        group_size=None,
        metrics=(),
        threads=1,
        report=lambda *_: None,
    )
    assert made.level == level


def test_pictures_that_do_not_move_cost_little():
    """Of the groups after the first only what coding lost is left to code."""
    pictures = textured(1, 64, 48) * 12
    first, *later = groups(coded(pictures, crf=30)[0])
    for group in later:
        assert len(group.content) + len(group.motion) < len(first.content)


def panned(count, step):
    """Pictures of one texture that passes by: each has new samples at an edge."""
    size, rng = 96, np.random.default_rng(4)
    texture = rng.integers(90, 166, (12, 24)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    grey = np.full((size // 2, size // 2), 128, np.uint8)
    return [(texture[:, step * k : step * k + size].copy(), grey, grey) for k in range(count)]


@pytest.mark.parametrize("preset", [name for name, effort in EFFORTS.items() if effort.split])
def test_groups_are_split_where_that_costs_less(preset):
    pictures = panned(12, 4)
    data, result = coded(pictures, preset=preset, crf=32)
    assert kinds(data)[:2] == [(1, True), (1, False)]
    assert [f.index for f in decoded(data)] == list(range(12))
    other, unsplit = coded(pictures, preset="fast", crf=32)
    assert kinds(other) == [(4, True), (4, False), (4, False)]
    assert result.bytes < unsplit.bytes
    # Groups of pictures that do not change stay together.
    assert (1, False) not in kinds(coded(panned(12, 0), preset=preset, crf=32)[0])[4:]
