"""The hybrid model from pictures to a file and back."""

import io
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.encoder import Observer, encode
from nvcodec.encode.hybrid import group
from nvcodec.encode.hybrid import video as coder
from nvcodec.encode.hybrid.analysis.quantisers import AHEAD_FRAMES
from nvcodec.encode.hybrid.tools import Tools
from nvcodec.format import HYBRID, GroupUnit, UnitReader
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import Source, SourceError
from nvcodec.model.description import CanvasShape
from nvcodec.options import OptionError
from tests.cli.support import ROOT, moving, y4m
from tests.encode.hybrid.pictures import planes_of, smooth_noise

CLIPS = Path(__file__).parents[4] / "shared" / "clips"


def coded(pictures, **options):
    """(bitstream, result) of pictures."""
    out = io.BytesIO()
    options = {"preset": "fast", "threads": 2} | options
    result = encode(io.BytesIO(y4m(pictures)), out, model="hybrid", **options)
    assert result.complete
    assert result.bytes == len(out.getvalue())
    return out.getvalue(), result


def textured(count, width, height, seed=0):
    """Pictures of noise that moves; darker ones for every second seed."""
    rng = np.random.default_rng(seed)
    least = 10 + 100 * ((seed + 1) % 2)
    noise = [
        (
            rng.integers(least, least + 120, (-(-height // sub), -(-width // sub))).astype(
                np.uint8
            ),
            sub,
        )
        for sub in (1, 2, 2)
    ]
    return [
        tuple(np.roll(plane, (2 * t // sub, 4 * t // sub), (0, 1)) for plane, sub in noise)
        for t in range(count)
    ]


def groups(data):
    return [event.group for event in UnitReader(io.BytesIO(data)) if isinstance(event, GroupUnit)]


def kinds(data):
    return [(g.frame_count, g.key) for g in groups(data)]


def decoded(data):
    with Decoder(io.BytesIO(data)) as decoder:
        return list(decoder.frames(verify=True))


@pytest.mark.parametrize(
    ("width", "height", "count"), [(70, 50, 11), (48, 32, 1), (1, 1, 2), (3, 130, 4), (129, 8, 3)]
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
    assert result.meter.values()["psnr"]["all"] > 30
    assert result.shape == CanvasShape(16, network=1)
    assert kinds(data)[0] == (1, True)


@pytest.mark.parametrize("preset", ["fast", "medium", "slow"])
def test_quality_and_bits_fall_with_crf(preset):
    pictures = textured(4, 96, 64)
    fine, coarse = (coded(pictures, crf=crf, preset=preset)[1] for crf in (20, 40))
    assert fine.bytes > 2 * coarse.bytes
    assert fine.meter.values()["psnr"]["all"] > coarse.meter.values()["psnr"]["all"] + 5


def test_texture_that_moves_is_predicted():
    data, result = coded(textured(9, 128, 96), crf=30, preset="medium")
    key, rest = groups(data)
    assert len(rest.content) + len(rest.motion) < len(key.content) + len(key.motion)
    first, second = result.groups
    assert (first.content_bytes, first.motion_bytes) == (len(key.content), len(key.motion))
    assert first.chain_bytes == 0
    assert 0 < second.chain_bytes < second.content_bytes + second.motion_bytes


def test_bytes_do_not_depend_on_threads():
    pictures = textured(14, 70, 50) + textured(7, 70, 50, 1)
    whole = coded(pictures, threads=1, group_size=4)[0]
    for threads in (2, 5, None):
        assert coded(pictures, threads=threads, group_size=4)[0] == whole
    assert kinds(whole) == [(1, True), (4, False), (4, False), (4, False), (1, False)] + [
        (1, True),
        (4, False),
        (2, False),
    ]


@pytest.mark.parametrize("preset", ["fast", "medium", pytest.param("slow", marks=pytest.mark.deep)])
def test_bytes_of_several_rows_of_root_blocks_do_not_depend_on_threads(preset):
    """Their canvases are done by wavefronts of other pieces; stripes make intra leaves."""
    pictures = textured(5, 200, 140)
    stripes = (128 + 100 * np.sin(np.arange(100) ** 1.3)).astype(np.uint8)
    for luma, *_ in pictures[2:]:
        luma[30:110, 60:160] = stripes
    whole = coded(pictures, threads=1, group_size=4, preset=preset)[0]
    for threads in (2, 3, 8):
        assert coded(pictures, threads=threads, group_size=4, preset=preset)[0] == whole


def test_noise_costs_less_when_it_is_filtered(monkeypatch):
    defaults = coder.HybridCoder.__init__.__kwdefaults__
    # Adaptive filters and second references save bits in noise too.
    plain = Tools(adaptive_filter=False, second_reference=False, temporal_filter=False)
    totals = []
    for tools in (replace(plain, temporal_filter=True), plain):
        monkeypatch.setitem(defaults, "tools", tools)
        size, psnr = 0, 0.0
        for seed in range(2):
            rng = np.random.default_rng(seed)
            still = smooth_noise((80, 96), 0)
            noise = rng.normal(0, 2, (9, *still.shape))
            pictures = [planes_of(p) for p in np.clip(still + noise, 0, 255).astype(np.uint8)]
            data, result = coded(pictures, crf=26)
            size += sum(g.substream_bytes for g in groups(data))
            psnr += result.meter.values()["psnr"]["all"] / 2
        totals.append((size, psnr))
    (size, psnr), (plain_size, plain_psnr) = totals
    assert size < 0.99 * plain_size
    assert psnr > plain_psnr - 0.1


def test_quantisers_for_the_eye():
    pictures = textured(4, 70, 50)
    for planes in pictures:
        planes[0][:, :40] = 90
    data, _ = coded(pictures, tune="visual", crf=20)
    plain, _ = coded(pictures, crf=20)
    assert data != plain
    with Decoder(io.BytesIO(data)) as decoder:
        assert len(list(decoder.frames(verify=True))) == 4
        assert decoder.metadata["settings"]["tune"] == "visual"


def test_segments_do_not_depend_on_what_was_before():
    pictures = textured(6, 70, 50) + textured(7, 70, 50, 1)
    both = groups(coded(pictures, group_size=4)[0])
    alone = groups(coded(pictures[6:], group_size=4)[0])
    assert [g.content for g in both[3:]] == [g.content for g in alone]
    assert [g.motion for g in both[3:]] == [g.motion for g in alone]


def test_key_interval_and_group_size():
    data, result = coded(moving(8, 24, 16), group_size=2, key_interval=3 / 25)
    assert kinds(data) == [(1, True), (2, False)] * 2 + [(1, True), (1, False)]
    assert [g.key for g in result.groups] == [True, False] * 3
    assert result.shape.group_frames == 2


def test_the_header_and_settings_are_those_of_the_model():
    with Decoder(io.BytesIO(coded(moving(1, 24, 16), crf=21.5)[0])) as decoder:
        assert len(list(decoder)) == 1
        assert decoder.header.model == HYBRID
        assert decoder.metadata["settings"] == {"crf": 21.5, "preset": "fast"}


class Watch(Observer):
    """Keeps what it is told; interrupts when a group is begun."""

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

    def encoded(self, group):
        self.told.append(group.ordinal)


def test_groups_go_out_one_by_one():
    out = io.BytesIO()
    sizes = []

    class Sizes(Watch):
        def encoded(self, group):
            super().encoded(group)
            sizes.append(len(out.getvalue()))
            with Decoder(io.BytesIO(out.getvalue())) as decoder:
                frames = group.first_frame + group.frames
                assert len(list(decoder.frames(count=frames))) == frames

    watch = Sizes()
    source = io.BytesIO(y4m(moving(6, 24, 16)))
    encode(source, out, model="hybrid", preset="fast", group_size=3, observer=watch)
    assert watch.told == [(0, 1), 0, (1, 1), (1, 2), (1, 3), 1, (2, 1), (2, 2), 2]
    assert sizes == sorted(set(sizes))


def test_a_group_does_not_wait_for_all_pictures(monkeypatch):
    pictures, read, seen = moving(70, 24, 16), [], []
    true = Source.__next__

    def counting(self):
        read.append(1)
        return true(self)

    class Count(Observer):
        def encoded(self, group):
            seen.append(len(read))

    monkeypatch.setattr(Source, "__next__", counting)
    coded(pictures, group_size=2, observer=Count())
    assert all(got <= 1 + AHEAD_FRAMES + 2 * (k + 3) for k, got in enumerate(seen))
    assert seen[0] < len(pictures)


@pytest.mark.parametrize(("group", "frames"), [(0, 0), (2, 3)])
def test_an_interrupt_leaves_a_valid_file(tmp_path, group, frames):
    out, watch = tmp_path / "out.nrv", Watch(group)
    source = io.BytesIO(y4m(moving(9, 24, 16)))
    with pytest.raises(KeyboardInterrupt):
        encode(source, out, model="hybrid", preset="fast", group_size=2, observer=watch)
    assert watch.result.complete == bool(frames)
    assert [path.name for path in tmp_path.iterdir()] == ["out.nrv"] * bool(frames)
    if frames:
        assert len(decoded(out.read_bytes())) >= frames


@pytest.mark.parametrize("error", [SourceError("cannot read it further"), KeyboardInterrupt()])
def test_what_ends_the_reading_leaves_the_groups_before(monkeypatch, error):
    true, count = Source.__next__, iter(range(100))

    def breaking(self):
        if next(count) == 8:
            raise error
        return true(self)

    monkeypatch.setattr(coder, "AHEAD_FRAMES", 2)
    monkeypatch.setattr(Source, "__next__", breaking)
    out = io.BytesIO()
    with pytest.raises(type(error)):
        encode(io.BytesIO(y4m(moving(20, 24, 16))), out, model="hybrid", group_size=2)
    # Without any group there is no end that makes it a file.
    frames = len(decoded(out.getvalue())) if b"FEND" in out.getvalue() else 0
    # After Ctrl-C nothing is waited for.
    assert frames == 8 if isinstance(error, SourceError) else frames in (0, 1, 3, 5, 7)


def test_a_failing_task_is_the_error(monkeypatch):
    true = coder.code_inter_canvas

    async def failing(tasks, settings, source, step, *rest):
        if step.set == 1 and step.frame == 2:
            raise MemoryError("no more")
        return await true(tasks, settings, source, step, *rest)

    monkeypatch.setattr(coder, "code_inter_canvas", failing)
    out = io.BytesIO()
    with pytest.raises(MemoryError):
        encode(
            io.BytesIO(y4m(moving(5, 24, 16) + moving(4, 24, 16, 2))),
            out,
            model="hybrid",
            preset="fast",
            group_size=4,
        )
    assert len(decoded(out.getvalue())) == 6


def test_a_wrong_canvas_is_found(monkeypatch):
    true = group.reconstruct

    def wrong(*arguments, **options):
        canvas = true(*arguments, **options)
        canvas.planes[2][0, 0] ^= 1
        return canvas

    monkeypatch.setattr(group, "reconstruct", wrong)
    with pytest.raises(RuntimeError, match="does not decode"):
        coded(moving(1, 24, 16))


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "paper"},
        {"network": "paper"},
    ],
)
def test_options_of_the_other_model(options, tmp_path):
    with pytest.raises(OptionError, match="hybrid model"):
        encode(io.BytesIO(y4m(moving(1))), tmp_path / "out.nrv", model="hybrid", **options)
    assert not list(tmp_path.iterdir())


def test_pytorch_is_not_imported(tmp_path):
    (tmp_path / "in.y4m").write_bytes(y4m(moving(2, 24, 16)))
    program = f"""
import sys
from nvcodec.cli.nvenc import main
try:
    main(["-q", "--model", "hybrid", "{tmp_path}/in.y4m", "{tmp_path}/out.nrv"])
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "distributed"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize(("frames", "ahead"), [(0, 0), (2, 1), (12, 4)])
def test_maps_see_the_groups_that_follow(monkeypatch, frames, ahead):
    numbers, windows = {}, {}
    true_maps = coder.quantiser_maps

    class Watched(coder.Stretch):
        def __init__(self, sources, before):
            super().__init__(sources, before)
            self.shown = [int(source.planes[0][0, 0]) for source in sources]
            self.key = before is None
            assert self.key or int(before.planes[0][0, 0]) == self.shown[0] - 1

        async def group(self, tasks, first, frames):
            analysis = await super().group(tasks, first, frames)
            assert analysis.key == self.key
            numbers[id(analysis)] = analysis, self.shown[first : first + frames]
            return analysis

    def varying(crf, window):
        shown = [numbers[id(analysis)][1] for analysis in window]
        windows[shown[0][0]] = shown
        maps = true_maps(crf, window)
        for map_ in maps:
            map_[0, 1] += 9
        return maps

    monkeypatch.setattr(coder, "Stretch", Watched)
    defaults = coder.HybridCoder.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "make_maps", varying)
    monkeypatch.setattr(coder, "AHEAD_FRAMES", frames)
    # The first sample of a picture is its number.
    pictures = textured(10, 70, 50)
    for k, planes in enumerate(pictures):
        planes[0][0, 0] = k
    data, _ = coded(pictures, group_size=3)
    assert len(decoded(data)) == 10
    split = [[0], [1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert windows == {g[0]: split[k : k + 1 + ahead] for k, g in enumerate(split)}


@pytest.mark.parametrize(
    ("size", "crf", "frames", "level"),
    [((640, 360), 30, 8, 1), ((1920, 1080), 30, 8, 3), ((3840, 2160), 0, 32, 5)],
)
def test_levels(size, crf, frames, level):
    made = coder.HybridCoder(
        *size,
        steering=Steering(crf, Fraction(1, 25), whole=False),
        effort=None,
        group_size=frames,
        network="off",
        metrics=(),
        threads=1,
        report=lambda *_: None,
    )
    assert made.level == level


@pytest.mark.skipif(not CLIPS.is_dir(), reason="shared clips are absent")
def test_a_real_clip(tmp_path):
    clip, out = CLIPS / "flower_cc0_960x540_to_480x270.mkv", tmp_path / "out.nrv"
    result = encode(clip, out, model="hybrid", crf=32, preset="fast", frames=10)
    assert result.meter.values()["psnr"]["all"] > 35
    assert result.bits_per_pixel < 0.2
    with Decoder(out) as decoder:
        assert len(list(decoder.frames(verify=True))) == 10
