"""Segments of each model as jobs: the bytes of an encode without jobs, tracks included."""

import io
from dataclasses import replace

import numpy as np
import pytest

from nvcodec.encode.encoder import encode
from nvcodec.encode.segments import jobs
from nvcodec.encode.segments.jobs import SegmentError
from nvcodec.encode.segments.store import SegmentStore, SettingsError
from nvcodec.format import CorruptError, NrvError
from nvcodec.media.source import Source
from nvcodec.options import GoalError
from tests.media import clips

MODELS = [
    {"model": "hybrid", "preset": "fast", "group_size": 4},
    # Groups take crf 30 and 31 in turn, and some are split.
    {"model": "nirvana", "preset": "slow", "crf": 30.5},
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A clip with sound that comes late, B frames, and a scene cut at frame 14."""
    path = tmp_path_factory.mktemp("source") / "in.mkv"
    rng = np.random.default_rng(3)
    scenes = [rng.integers(least, least + 90, (40, 60)).astype(np.uint8) for least in (10, 150)]
    chroma = np.full((12, 16), 128, np.uint8)
    pictures = [
        (np.ascontiguousarray(scenes[t >= 14][t % 8 : t % 8 + 24, t : t + 32]), chroma, chroma)
        for t in range(26)
    ]
    options = {"g": "9", "bf": "2", "crf": "20"}
    return clips.encode(
        path, pictures, 32, 24, codec="libx264", rate=25, options=options, audio=True
    )


FAST = {"model": "nirvana", "preset": "fast"}


def plain(source, options):
    file = io.BytesIO()
    result = encode(source, file, key_interval=0.3, **options)
    return file.getvalue(), result


@pytest.mark.parametrize("options", MODELS, ids=lambda options: options["model"])
def test_segments_have_the_bytes_of_one_encode(source, tmp_path, monkeypatch, options):
    seeks, reads = [], []
    true = jobs.Job._coded

    def coded(self, *arguments, seeking):
        (seeks if seeking else reads).append(self.segment.first_frame)
        return true(self, *arguments, seeking=seeking)

    monkeypatch.setattr(jobs.Job, "_coded", coded)
    out = tmp_path / "out.nrv"
    result = encode(source, out, resume=True, key_interval=0.3, **options)
    data, expected = plain(source, options)
    assert out.read_bytes() == data
    # Only the first segment is read from the start.
    assert reads == [0]
    assert 14 in seeks
    assert len(seeks) >= 2
    assert result.meter.state() == expected.meter.state()
    for group, other in zip(result.groups, expected.groups, strict=True):
        assert (group.bytes, group.chain_bytes) == (other.bytes, other.chain_bytes)


@pytest.mark.deep
@pytest.mark.parametrize("options", MODELS, ids=lambda options: options["model"])
@pytest.mark.parametrize("count", [2, 3])
def test_any_number_of_jobs(source, tmp_path, options, count):
    out = tmp_path / "out.nrv"
    encode(source, out, jobs=count, key_interval=0.3, **options)
    assert out.read_bytes() == plain(source, options)[0]


def test_a_source_without_exact_seeking_is_read(source, tmp_path, monkeypatch):
    true = Source.planes_from

    def others(self, pts):
        for number, planes in enumerate(true(self, pts)):
            yield tuple(plane ^ np.uint8(number == 3) for plane in planes)

    monkeypatch.setattr(Source, "planes_from", others)
    out = tmp_path / "out.nrv"
    encode(source, out, resume=True, key_interval=0.3, **FAST)
    assert out.read_bytes() == plain(source, FAST)[0]


def test_a_source_that_changes_meanwhile(source, tmp_path):
    changed, out = tmp_path / "in.mkv", tmp_path / "out.nrv"
    changed.write_bytes(source.read_bytes())
    true, runs = jobs.Job.run, []

    def run(self, *arguments):
        runs.append(self)
        if len(runs) == 2:
            changed.unlink()
        return true(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs.Job, "run", run)
        with pytest.raises(SegmentError, match=r"cannot read .*: No such file"):
            encode(changed, out, resume=True, key_interval=0.3, **FAST)
    # The finished segment is kept, and nothing has the name of the output.
    assert not out.exists()
    folder = tmp_path / "out.nrv.segments"
    assert len(list(folder.glob("*.nrv"))) == 1


@pytest.mark.parametrize("goal", [{"bitrate": 1e5}, {"size": 10**5}, {"max_bitrate": 1e6}])
def test_what_follows_from_the_groups_before_is_refused(source, tmp_path, goal):
    with pytest.raises(GoalError, match="bytes of the groups before it"):
        encode(source, tmp_path / "out.nrv", jobs=2, **goal)


def test_a_target_goes_with_segments(source, tmp_path):
    out, file = tmp_path / "out.nrv", io.BytesIO()
    encode(source, out, resume=True, target="psnr=30", **FAST)
    encode(source, file, target="psnr=30", **FAST)
    assert out.read_bytes() == file.getvalue()


def stopped(source, out):
    """Stop an encode after its first segment; gives the job of that segment."""
    true, ran = jobs.Job.run, []

    def run(self, *arguments):
        if ran:
            raise KeyboardInterrupt
        ran.append(self)
        return true(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs.Job, "run", run)
        with pytest.raises(KeyboardInterrupt):
            encode(source, out, resume=True, key_interval=0.3, **FAST)
    out.unlink()
    return ran[0]


@pytest.fixture(scope="module")
def job(source, tmp_path_factory):
    """(store of a finished segment, its job)."""
    out = tmp_path_factory.mktemp("job") / "out.nrv"
    return SegmentStore.beside(out), stopped(source, out)


def test_a_store_gives_what_was_saved(job):
    store, done = job
    assert store.has(done.segment, done.header)
    groups = [coded.group for coded in store.load(done.segment, done.header)]
    assert sum(group.frame_count for group in groups) == done.segment.frames


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("00000000.nrv", lambda data: b""),
        ("00000000.nrv", lambda data: b"\x80\x04."),
        ("00000000.nrv", lambda data: data[:-5]),
        ("00000000.nrv", lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:]),
        ("00000000.json", lambda data: b"[1]"),
        ("00000000.json", lambda data: b"{}"),
        ("00000000.json", lambda data: b"[" * 100_000),
        ("00000000.json", lambda data: data[:-1] + b" " * 10**6 + data[-1:]),
        ("00000000.json", lambda data: data.replace(b'"pictures"', b'"other"')),
    ],
)
def test_hostile_segments_are_refused(job, name, change):
    store, done = job
    path = store.folder / name
    data = path.read_bytes()
    path.write_bytes(change(data))
    try:
        assert not store.has(done.segment, done.header)
        with pytest.raises(NrvError):
            store.load(done.segment, done.header)
    finally:
        path.write_bytes(data)


def test_segments_of_another_file_are_refused(job):
    store, done = job
    with pytest.raises(CorruptError, match="another encode"):
        store.load(done.segment, replace(done.header, width=34))
    times = tuple(time + 1 for time in done.segment.times)
    with pytest.raises(CorruptError, match="times of another"):
        store.load(replace(done.segment, times=times), done.header)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000])
def test_damaged_settings_are_refused(job, text):
    path = job[0].folder / "settings.json"
    before = path.read_text()
    path.write_text(text)
    with pytest.raises(SettingsError, match="damaged: start over with -y"):
        job[0].begin({})
    path.write_text(before)


def test_another_nvcodec_does_not_go_on(source, tmp_path, monkeypatch):
    out = tmp_path / "out.nrv"
    stopped(source, out)
    monkeypatch.setattr("nvcodec.encode.models.fingerprint", lambda: "0.0.9")
    with pytest.raises(SettingsError, match=r"was begun with nvcodec '0\.1\.0"):
        encode(source, out, resume=True, key_interval=0.3, **FAST)


def test_a_full_disk_leaves_nothing(source, tmp_path, monkeypatch):
    from nvcodec.encode.segments import store

    true = store.Path.write_bytes

    def full(self, data):
        if not self.name.startswith(("settings", "00000000")):
            true(self, data[:10])
            raise OSError(28, "No space left on device", str(self))
        return true(self, data)

    monkeypatch.setattr(store.Path, "write_bytes", full)
    out = tmp_path / "out.nrv"
    with pytest.raises(OSError, match="No space left"):
        encode(source, out, resume=True, key_interval=0.3, **FAST)
    names = sorted(path.name for path in (tmp_path / "out.nrv.segments").iterdir())
    assert not out.exists()
    assert "00000000.nrv" in names
    assert not [name for name in names if name.endswith(".part")]
