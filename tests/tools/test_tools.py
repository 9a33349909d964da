"""Every tool from arguments to tables, on a tiny clip with a few iterations."""

import math
from types import SimpleNamespace

import pytest

from nvcodec.encode.sine import settings, train, video
from tests.cli.support import call, moving, y4m
from tests.tools.support import loaded, run
from tools.ablation import sine as ablation
from tools.ablation.inside import Change, changed
from tools.bench import adaptive, jobs_scaling, long_video, rd, resolution, start
from tools.lib import report

pytestmark = pytest.mark.usefixtures("quick")

FAST, SLOW = (f"nirvana:{preset},network=paper" for preset in ("fast", "slow"))
"""The sine network, with the presets of `quick`."""


@pytest.fixture
def here(monkeypatch):
    """What would run in a process of its own runs in this one."""
    for tool in (long_video, resolution):
        monkeypatch.setattr(tool, "apart", lambda function, *a, **k: function(*a, **k))


def test_rd(clip, tmp_path):
    arguments = [clip, "--frames", 4, "--model", FAST, "--model", SLOW]
    arguments += ["--qualities", f"{FAST}=10,50", "--qualities", f"{SLOW}=50"]
    arguments += ["--against", "x264:psnr", "--qualities", "x264:psnr=24,36,51"]
    arguments += ["--metrics", "psnr,ssim"]
    files = ["--json", tmp_path / "rd.json", "--plot", tmp_path / "rd.png"]
    text, (points, comparisons, means) = run(rd.main, *arguments, *files)
    assert text.startswith(f"    python -m tools.bench.rd {clip} --frames 4 --model {FAST}")
    assert [(p["codec"], p["crf"]) for p in points] == [
        ("x264:psnr", "24"),
        ("x264:psnr", "36"),
        ("x264:psnr", "51"),
        (FAST, "10"),
        (FAST, "50"),
        (SLOW, "50"),
    ]
    assert {p["keys"] for p in points} == {"1"}
    for point in points:
        assert float(point["bpp"]) == pytest.approx(8 * int(point["bytes"]) / (48 * 32 * 4), 1e-3)
        assert 0 < float(point["SSIM"]) <= 1
    assert [(c["codec"], c["against"]) for c in comparisons] == [
        (FAST, "x264:psnr"),
        (SLOW, "x264:psnr"),
    ]
    # One point is no curve, and a few iterations are no match for x264.
    assert comparisons[1]["BD-rate"] == "-"
    assert [(m["codec"], m["clips"]) for m in means][1] == (SLOW, "0")
    assert means[0]["mean BD-rate"] == comparisons[0]["BD-rate"]
    data = loaded(tmp_path / "rd.json", "bench.rd")
    assert [p["bytes"] for p in data["points"]] == [int(p["bytes"]) for p in points]
    assert data["comparisons"][1]["ratio"] > 1
    assert (tmp_path / "rd.png").read_bytes().startswith(b"\x89PNG")


def test_rd_of_the_nirvana_model(clip):
    options = ["--model", "nirvana:fast", "--against", "x264", "--qualities", "x264=20,30,40"]
    _, (points, (row,), (mean,)) = run(rd.main, clip, *options)
    ours = [p for p in points if p["codec"] == "nirvana:fast"]
    assert [p["crf"] for p in ours] == ["22", "27", "32", "37"]
    assert row["BD-rate"] == mean["mean BD-rate"]
    assert math.isfinite(float(row["BD-rate"].removesuffix(" %")))


def test_rd_without_overlap(clip):
    arguments = [clip, "--frames", 1, "--model", FAST, "--qualities", f"{FAST}=50"]
    _, (_, (row,), _) = run(rd.main, *arguments, "--against", "x264", "--qualities", "x264=1,10")
    assert (row["common PSNR"], row["BD-rate"]) == ("no overlap", "-")
    assert row["bits"].startswith("at least x")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--qualities", "vp9=1"], "no codec vp9"),
        (["--qualities", "x264=a"], "CODEC=CRF"),
        (["--qualities", "20"], "CODEC=CRF"),
        (["--metrics", "vmaf"], "vmaf"),
        (["--model", "nirvana,x"], "OPTION=VALUE"),
        (["--json", "/no/such/folder/file"], "not a folder"),
    ],
)
def test_rd_usage(clip, arguments, what):
    assert what in " ".join(run(rd.main, clip, *arguments, code=2)[0].split())


def test_clips_of_the_same_name(clip):
    assert "different names" in run(rd.main, clip, clip, code=2)[0]


def test_codecs_that_pyav_lacks_are_left_out(clip, monkeypatch):
    absent = rd.PEERS["x264"].__class__("libnone", {}, (1.0,))
    monkeypatch.setitem(rd.PEERS, "x264", absent)
    options = ["--frames", 1, "--qualities", "hybrid=50", "--against", "x264"]
    text, (points,) = run(rd.main, clip, *options)
    assert "PyAV has no libnone: x264 is left out." in text
    assert [p["codec"] for p in points] == ["hybrid"]


def test_a_plot_without_matplotlib_is_refused_at_once(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(report.importlib.util, "find_spec", lambda name: None)
    text, _ = run(rd.main, clip, "--plot", tmp_path / "x.png", code=2)
    assert "nvcodec[tools]" in text


@pytest.mark.parametrize("model", [FAST, "nirvana:fast"])
def test_adaptive(clip, tmp_path, model):
    still = tmp_path / "still.y4m"
    still.write_bytes(y4m(moving(1) * 6))
    options = ["--crf", 40, "--frames", 6, "--model", f"{model},group_size=2"]
    _, (clips, groups) = run(
        adaptive.main, "--static", still, "--moving", clip, *options, "--json", tmp_path / "a.json"
    )
    assert [(c["clip"], c["content"]) for c in clips] == [("still", "static"), ("clip", "moving")]
    assert [g["group"] for g in groups] == ["0", "1", "2"] * 2
    assert [g["key"] for g in groups] == ["True", "False", "False"] * 2
    for part, row in ((groups[:3], clips[0]), (groups[3:], clips[1])):
        sizes = [int(g["bytes"]) for g in part]
        assert part[2]["of the first"] == row["last group"] == f"{sizes[2] / sizes[0]:.1%}"
        assert row["later groups, mean"] == f"{(sizes[1] + sizes[2]) / 2 / sizes[0]:.1%}"
        assert sum(sizes) < int(row["bytes"]) < sum(sizes) + 1000
    assert len(loaded(tmp_path / "a.json", "bench.adaptive")["groups"]) == 6


def test_adaptive_with_one_group(clip):
    both = ["--static", clip, "--moving", clip]
    _, (clips, _) = run(adaptive.main, *both, "--frames", 2, "--model", "nirvana:fast")
    assert [c["last group"] for c in clips] == ["-", "-"]


@pytest.mark.usefixtures("here")
def test_long_video(clip, tmp_path):
    model = ["--model", f"{FAST},group_size=1,key_interval=0.38"]
    options = ["--frames", 2, "--times", 10, "--palindrome", "--json", tmp_path / "l.json"]
    _, (runs, tenths) = run(long_video.main, clip, *model, *options)
    assert [(r["run"], r["frames"], r["groups"], r["keys"]) for r in runs] == [
        ("short", "2", "2", "1"),
        ("long", "20", "20", "2"),
    ]
    assert all(float(r["peak memory, MiB"]) > 50 for r in runs)
    assert [(t["tenth"], t["frames"], t["groups"], t["keys"]) for t in tenths] == [
        ("first", "0 to 1", "2", "1"),
        ("middle", "9 to 10", "2", "1"),
        ("last", "18 to 19", "2", "0"),
    ]
    data = loaded(tmp_path / "l.json", "bench.long_video")
    groups = data["runs"][1]["groups"]
    assert [t["bytes"] for t in data["tenths"]] == [
        sum(group["bytes"] for group in groups[first : first + 2]) for first in (0, 9, 18)
    ]
    assert tenths[1]["bpp"] == f"{8 * data['tenths'][1]['bytes'] / (48 * 32 * 2):.4f}"


def test_a_clip_too_short_for_a_long_video(clip):
    text, _ = run(long_video.main, clip, "--frames", 2, code=2)
    assert "has 6 frames, 10 x 2 = 20 are wanted" in " ".join(text.split())


@pytest.mark.usefixtures("here")
def test_resolution(clip, tmp_path):
    sizes = ["24x16", "48x32", "49x32", "40x64"]
    options = ["--sizes", ",".join(sizes), "--frames", 2, "--json", tmp_path / "r.json"]
    _, (rows,) = run(resolution.main, clip, *options)
    assert [row["size"] for row in rows] == sizes
    assert [row["scaling"] for row in rows] == ["downscaled", "none", "upscaled", "upscaled"]
    assert {row["frames"] for row in rows} == {"2"}
    assert len({row["bytes"] for row in rows}) == 4
    shapes = [row["shape"] for row in loaded(tmp_path / "r.json", "bench.resolution")["sizes"]]
    # Those of the nirvana model at all sizes.
    assert {shape["group_frames"] for shape in shapes} == {4}
    assert "is not WIDTHxHEIGHT" in run(resolution.main, clip, "--sizes", "0x5", code=2)[0]


def nvenc_here(monkeypatch, *options):
    """Run nvenc in this process, with options added for each run in turn."""
    ran = []

    def process(argv, check):
        assert check
        start = len(jobs_scaling.NVENC)
        assert argv[:start] == jobs_scaling.NVENC
        added = [str(option) for option in options[len(ran)]]
        assert call(*jobs_scaling.NVENC[3:], *argv[start:], *added).exit_code == 0
        ran.append(argv[start : start + 2])

    # Not that of the module: others run processes too.
    monkeypatch.setattr(jobs_scaling, "subprocess", SimpleNamespace(run=process))
    return ran


@pytest.mark.parametrize("model", [FAST, "nirvana:fast"])
def test_jobs_scaling(clip, tmp_path, monkeypatch, model):
    ran = nvenc_here(monkeypatch, [], [])
    options = ["--jobs", "1,1", "--key-interval", 0.1, "--frames", 5, "--model", model]
    text, (rows,) = run(jobs_scaling.main, clip, *options, "--json", tmp_path / "j.json")
    assert ran == [["--jobs", "1"]] * 2
    assert [(r["segments"], r["frames"]) for r in rows] == [("2", "5")] * 2
    assert rows[0]["MD5 of the file"] == rows[1]["MD5 of the file"]
    assert rows[0]["speed-up"] == "1.00"
    assert "All files are the same." in text
    assert len(loaded(tmp_path / "j.json", "bench.jobs_scaling")["jobs"]) == 2


def test_jobs_that_change_the_file_fail(clip, monkeypatch):
    nvenc_here(monkeypatch, [], ["--crf", 20])
    options = ["--jobs", "1,1", "--frames", 1, "--model", FAST]
    text, _ = run(jobs_scaling.main, clip, *options, code=1)
    assert "The files are NOT the same." in text
    assert "above 0" in run(jobs_scaling.main, clip, *options[2:], "--jobs", "0", code=2)[0]


def test_ablation(tmp_path, monkeypatch):
    # One case of each axis is enough.
    for axis, cases in ablation.AXES.items():
        monkeypatch.setitem(ablation.AXES, axis, lambda shape, cases=cases: cases(shape)[:1])
    source = tmp_path / "clip.y4m"
    source.write_bytes(y4m(moving(5, 24, 16)))
    files = ["--json", tmp_path / "a.json", "--plot", tmp_path / "a.png"]
    _, (rows,) = run(ablation.main, source, "--crf", 12, *files)
    assert rows[0]["axis"] == "base"
    assert {row["axis"] for row in rows[1:]} == set(ablation.AXES)
    data = loaded(tmp_path / "a.json", "ablation.sine")["rows"]
    weight = settings.rate_weight(12)
    for row in data:
        assert row["cost"] == pytest.approx(row["squared_error"] + weight * row["bpp"])
        assert row["against_base"] == pytest.approx(row["cost"] / data[0]["cost"] - 1)
    base = (data[0]["bytes"], data[0]["squared_error"])
    unchanged = [
        r["axis"] + r["change"] for r in data[1:] if base == (r["bytes"], r["squared_error"])
    ]
    assert not unchanged
    fields = {row["axis"] + row["change"]: row["shape"] for row in data}
    assert fields["patch16"] == data[0]["shape"] | {"patch": 16}
    assert [len(row["groups"]) for row in data if row["axis"] == "group"] == [5]
    assert [row["keys"] for row in data if row["axis"] == "start"] == [2]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "depht" in run(ablation.main, source, "--axes", "depht", code=2)[0]


def test_changes_end_with_the_block():
    places = (
        (settings, "network_shape"),
        (video, "rate_weight"),
        (train, "difference_bits"),
        (train, "_FRESH_FLOAT_SHARE"),
        (train, "_FLOAT_SHARE"),
    )
    before = [getattr(*place) for place in places]
    presets = dict(settings.PRESETS)
    change = Change({"depth": 2}, 2.0, 0.5, 2.0, (0.1, 0.9))
    with changed(change):
        assert not any(
            now == then for now, then in zip([getattr(*p) for p in places], before, strict=True)
        )
        assert video.rate_weight(30) == 2 * settings.rate_weight(30)
        assert settings.PRESETS["fast"].key_iterations == 2 * presets["fast"].key_iterations
    assert [getattr(*place) for place in places] == before
    assert presets == settings.PRESETS


@pytest.mark.deep
def test_start(clip):
    text, (rows,) = run(start.main, clip, "--rounds", 1)
    assert text.startswith(f"    python -m tools.bench.start {clip} --rounds 1")
    whats = [row["what"] for row in rows]
    assert whats[:3] == ["nvenc, 1 frame", "nvdec, 1 frame", "nvinfo"]
    assert {row["kernels"] for row in rows} == {"at hand"}
    assert all(float(row["CPU s"]) > 0 for row in rows)
