"""Segments encoded by jobs: equal bytes, failures, resuming, files left on disk."""

import io
import json
import os
from types import SimpleNamespace

import distributed
import numpy as np
import psutil
import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.device import use_gpu
from nvcodec.encode.encoder import Observer, encode
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.segments import jobs, pace
from nvcodec.encode.segments.jobs import Ended, JobsError, SegmentError, run_jobs
from nvcodec.encode.segments.segment import Segment, segments
from nvcodec.encode.segments.store import SegmentStore, SettingsError
from nvcodec.encode.segments.workers import Pool
from nvcodec.encode.sine import segment
from nvcodec.media.source import SourceError
from nvcodec.picture import Picture
from tests.cli.support import moving, y4m

pytestmark = pytest.mark.usefixtures("quick")

# Key groups by the interval (frame 4) and by a cut (frame 5): segments of 2, 1 and 1 groups.
OPTIONS = {"model": "nirvana", "network": "paper", "group_size": 2, "key_interval": 0.15}
PLACES = [(0, 0, (2, 2)), (2, 4, (1,)), (3, 5, (2,))]


def made(first_group, first_frame, group_frames):
    """A segment of pictures that exist in no source."""
    frames = sum(group_frames)
    times = tuple(range(first_frame, first_frame + frames + 1))
    return Segment(first_group, first_frame, group_frames, times, (0,) * frames)


SEGMENTS = [made(*place) for place in PLACES]


def place(part):
    return part.first_group, part.first_frame, part.group_frames


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.y4m"
    path.write_bytes(y4m(moving(5, 24, 16, 0) + moving(2, 24, 16, 2)))
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.nrv"


def plain(source, **options):
    """(bitstream, result) of one job without segments."""
    file = io.BytesIO()
    result = encode(source, file, **(OPTIONS | options))
    return file.getvalue(), result


def folder(out):
    return out.with_name(out.name + ".segments")


def stop_after(monkeypatch, count, error=KeyboardInterrupt):
    """Make the encode stop when `count` segments are finished."""
    true, finished = jobs.Job.run, []

    def run(self, *arguments):
        if len(finished) == count:
            raise error
        packed = true(self, *arguments)
        finished.append(place(self.segment))
        return packed

    monkeypatch.setattr(jobs.Job, "run", run)
    return finished


def started(source, out, monkeypatch, count, **options):
    """An encode with segments that is stopped when `count` of them are finished."""
    with monkeypatch.context() as patch:
        stop_after(patch, count)
        with pytest.raises(KeyboardInterrupt):
            encode(source, out, resume=True, **(OPTIONS | options))


def test_jobs_write_the_same_bytes_although_a_worker_dies(tmp_path, out):
    # A model that does not load PyTorch; pictures large enough that the worker that is killed has
    # not finished its segment.
    options = {"model": "nirvana", "preset": "slow", "group_size": 2, "key_interval": 0.15}
    source = tmp_path / "in.y4m"
    source.write_bytes(y4m(moving(5, 240, 160, 0) + moving(2, 240, 160, 2)))

    class KillOne(Observer):
        killed = None
        groups = ()

        def segment(self, progress):
            if self.killed is None:
                self.killed = next(p for p in workers() if "spawn_main" in str(p.cmdline()))
                self.killed.kill()

        def encoded(self, group):
            self.groups += (group.first_frame,)

    def workers():
        return psutil.Process().children(recursive=True)

    observer = KillOne()
    result = encode(source, out, jobs=2, observer=observer, **options)
    assert observer.killed is not None
    file = io.BytesIO()
    expected, data = encode(source, file, **options), file.getvalue()
    assert out.read_bytes() == data
    assert observer.groups == tuple(range(7))
    assert result.complete
    assert result.bytes == len(data)
    assert result.meter.state() == expected.meter.state()
    assert [g.bytes for g in result.groups] == [g.bytes for g in expected.groups]
    assert not folder(out).exists()
    assert not any("spawn_main" in str(process.cmdline()) for process in workers())


def test_segments_depend_on_nothing_before_them(source):
    whole = Decoder(io.BytesIO(plain(source)[0]))
    for part in SEGMENTS[1:]:
        data = plain(source, skip=part.first_frame, frames=sum(part.group_frames))[0]
        rest = Decoder(io.BytesIO(data))
        for frame in rest:
            same = whole[part.first_frame + frame.index]
            assert [p.tobytes() for p in frame.planes] == [p.tobytes() for p in same.planes]


def test_an_interrupted_encode_goes_on_where_it_was(source, out, monkeypatch):
    started(source, out, monkeypatch, 2)
    with Decoder(out) as decoder:
        assert len(list(decoder.frames(verify=True))) == 5
    seconds = json.loads((folder(out) / "00000000.json").read_bytes())[0]["seconds"]
    with pytest.raises(FileExistsError, match="-y"):
        encode(source, out, resume=True, **OPTIONS)
    with monkeypatch.context() as patch:
        finished = stop_after(patch, 99)
        result = encode(source, out, resume=True, overwrite=True, **OPTIONS)
    assert finished == PLACES[2:]
    data, expected = plain(source)
    assert out.read_bytes() == data
    assert result.meter.state() == expected.meter.state()
    assert result.groups[0].seconds == seconds
    assert not folder(out).exists()


def test_without_segments_resuming_just_encodes(source, out):
    encode(source, out, resume=True, **OPTIONS)
    assert out.read_bytes() == plain(source)[0]
    assert sorted(os.listdir(out.parent)) == ["in.y4m", "out.nrv"]


def test_damaged_segments_are_encoded_again(source, out, monkeypatch):
    started(source, out, monkeypatch, 2)
    first = min(folder(out).glob("*.nrv"))
    first.write_bytes(first.read_bytes()[:-1])
    (folder(out) / "00000004.json").unlink()
    out.unlink()
    finished = stop_after(monkeypatch, 99)
    encode(source, out, resume=True, **OPTIONS)
    assert finished == PLACES
    assert out.read_bytes() == plain(source)[0]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"crf": 31}, "crf 30, not 31"),
        ({"key_interval": 1}, "key_interval"),
        ({"threads": 2}, "threads"),
        ({"skip": 1}, "skip"),
        ({"metrics": ["psnr", "ssim"]}, "metrics"),
    ],
)
def test_segments_of_other_settings(source, out, monkeypatch, options, name):
    started(source, out, monkeypatch, 1)
    before = sorted(os.listdir(folder(out)))
    with pytest.raises(SettingsError, match=name):
        encode(source, out, resume=True, overwrite=True, **(OPTIONS | options))
    assert sorted(os.listdir(folder(out))) == before


def test_segments_of_another_source(source, out, monkeypatch):
    started(source, out, monkeypatch, 1)
    source.write_bytes(y4m(moving(7, 24, 16, 3)))
    with pytest.raises(SettingsError, match="source_mtime_ns"):
        encode(source, out, resume=True, overwrite=True, **OPTIONS)


@pytest.mark.parametrize("count", [1, 2])
def test_left_segments_need_a_word(source, out, monkeypatch, count):
    started(source, out, monkeypatch, 1)
    (folder(out) / "00000000.nrv.123.part").write_bytes(b"")
    with pytest.raises(FileExistsError, match="--resume"):
        encode(source, out, jobs=count, **OPTIONS)
    with pytest.raises(SourceError):
        encode(out.with_name("none.mp4"), out, overwrite=True, **OPTIONS)
    assert (folder(out) / "00000000.nrv").exists()
    if count == 1:
        encode(source, out, overwrite=True, **OPTIONS)
        assert not folder(out).exists()
        assert out.read_bytes() == plain(source)[0]


def test_an_encode_without_a_finished_segment_leaves_no_folder(source, out, monkeypatch):
    started(source, out, monkeypatch, 0)
    assert os.listdir(out.parent) == ["in.y4m"]


def test_files_of_others_stay(source, out, monkeypatch):
    started(source, out, monkeypatch, 1)
    (folder(out) / "notes.txt").write_text("mine")
    encode(source, out, overwrite=True, **OPTIONS)
    assert os.listdir(folder(out)) == ["notes.txt"]


def test_a_source_that_breaks_keeps_all_groups_before(source, out, monkeypatch):
    from nvcodec.media.source import Source

    true = Source._seen

    def breaking(self, frame):
        if self._decoded == 6:
            raise SourceError("cannot read it further")
        return true(self, frame)

    monkeypatch.setattr(Source, "_seen", breaking)
    with pytest.raises(SourceError):
        encode(source, out, resume=True, **OPTIONS)
    expected = io.BytesIO()
    with pytest.raises(SourceError):
        encode(source, expected, **OPTIONS)
    assert out.read_bytes() == expected.getvalue()


def test_what_has_no_path_or_no_place_for_segments(source, out, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for wrong in (io.BytesIO(source.read_bytes()), fifo):
        for options in ({"jobs": 2}, {"resume": True}):
            with pytest.raises(JobsError, match="write it to one first"):
                encode(wrong, out, model="nirvana", network="paper", **options)
    for wrong in (io.BytesIO(), fifo, "-"):
        with pytest.raises(JobsError, match="output file"):
            encode(source, wrong, model="nirvana", network="paper", resume=True)
    assert sorted(os.listdir(tmp_path)) == ["fifo", "in.y4m"]


def test_segments_are_known_when_the_next_begins():
    def groups():
        at = 0
        for frames, key in ((2, True), (2, False), (1, True), (2, True)):
            empty = np.zeros((0, 0), np.uint8)
            pictures = (Picture((empty,), at + k, 1) for k in range(frames))
            yield PictureGroup(tuple(pictures), key)
            at += frames
        raise SourceError("broken")

    found = []
    with pytest.raises(SourceError):
        found.extend(part for part in segments(groups()) if part is not None)
    plan = segments(groups())
    assert [next(plan) for _ in range(7)] == [
        None,
        None,
        SEGMENTS[0],
        None,
        SEGMENTS[1],
        None,
        SEGMENTS[2],
    ]


class Failing:
    """An engine whose jobs fail as often as it is told, and end in reverse order."""

    capacity = 2

    def __init__(self, store, failures, error):
        self.store, self.failures, self.error = store, list(failures), error
        self.running = []
        self.most = 0

    def start(self, job):
        self.running.append(job)
        self.most = max(self.most, len(self.running))

    def frames_done(self, segment):
        return 0.0

    def give_up(self, segment):
        self.running.remove(segment)

    def ended(self, wait):
        if not wait:
            return []
        job = self.running.pop()
        if job.first_frame in self.failures:
            self.failures.remove(job.first_frame)
            return [Ended(job, error=self.error)]
        return [Ended(job, result=job)]


class MemoryStore:
    def __init__(self, finished=()):
        self.finished = set(finished)

    def has(self, part, header):
        return part in self.finished

    def save(self, part, packed):
        self.finished.add(part)

    def load(self, part, header):
        return [part]


def run(failures, error=None, finished=()):
    store = MemoryStore(finished)
    engine = Failing(store, failures, error or RuntimeError("out of luck"))
    given = []
    try:
        for parts in run_jobs(iter(SEGMENTS), lambda part: part, None, store, engine):
            given.extend(parts)
    finally:
        assert given == SEGMENTS[: len(given)]
        assert engine.most <= 2
    return given


def test_failures_are_tried_again():
    assert run([]) == SEGMENTS
    assert run([4]) == SEGMENTS
    assert run([0, 4, 4, 4, 5, 5]) == SEGMENTS
    assert run([], finished=SEGMENTS[1:]) == SEGMENTS


class Stalling(Failing):
    """The first job never ends, by itself."""

    def ended(self, wait):
        first = self.running[:1] if self.running[:1] == SEGMENTS[:1] else []
        if self.running[len(first) :] and wait:
            return [Ended(job := self.running.pop(), result=job)]
        return []


def test_a_job_that_stalls_is_done_by_another_worker(monkeypatch):
    monkeypatch.setattr(pace, "LEAST_LATE_SECONDS", 0.01)
    store, engine = MemoryStore(), Stalling(MemoryStore(), [], None)
    given = list(run_jobs(iter(SEGMENTS), lambda part: part, None, store, engine))
    assert given == [[part] for part in SEGMENTS]
    assert engine.running == []
    assert engine.most == 2


def test_workers_that_dask_has_given_up_are_started_again():
    class Started:
        """One worker is gone, one has ended, one is as it should be."""

        scaled = 0

        def __init__(self):
            statuses = {1: distributed.Status.failed, 2: distributed.Status.running}
            self.workers = {k: SimpleNamespace(status=status) for k, status in statuses.items()}

        def scale(self, count):
            assert list(self.workers) == [2]
            self.scaled = count

        def close(self):
            pass

    cluster, client = Started(), SimpleNamespace(close=lambda: None)
    with Pool(3) as pool:
        pool._start = lambda: (cluster, client)
        assert pool.check(None, None) == (None, None)
    assert cluster.scaled == 3


class Crawling(Stalling):
    """The first job advances, but by a thousandth of a frame at a time."""

    done = 0.0

    def frames_done(self, segment):
        self.done += 0.001
        return self.done if segment == SEGMENTS[0] else 0.0


def test_a_job_that_crawls_is_done_by_another_worker(monkeypatch):
    monkeypatch.setattr(pace, "LEAST_LATE_SECONDS", 0.0)
    monkeypatch.setattr(pace, "LATE", float("inf"))
    engine = Crawling(MemoryStore(), [], None)
    given = list(run_jobs(iter(SEGMENTS), lambda part: part, None, MemoryStore(), engine))
    assert given == [[part] for part in SEGMENTS]
    assert engine.done > 0


class Pairs:
    """The first segment ends at once; the jobs of the others when there are four, all together."""

    capacity = 4

    def __init__(self, first, errors):
        self.first, self.errors, self.running = first, errors, []

    def start(self, job):
        self.running.append(job)

    def frames_done(self, segment):
        return 0.0

    def give_up(self, segment):
        self.running = [job for job in self.running if job != segment]

    def ended(self, wait):
        if self.first in self.running:
            self.running.remove(self.first)
            return [Ended(self.first, result=self.first)]
        if len(self.running) < 4:
            return []
        together, self.running = self.running, []
        errors = [self.errors.pop() if self.errors else None for _ in together]
        return [
            Ended(job, error=error) if error else Ended(job, result=job)
            for job, error in zip(together, errors, strict=True)
        ]


@pytest.mark.parametrize("failures", [0, 1, 4])
def test_two_jobs_of_a_segment_that_end_at_once(monkeypatch, failures):
    monkeypatch.setattr(pace, "LATE", 0.0)
    monkeypatch.setattr(pace, "LEAST_LATE_SECONDS", 0.0)
    parts = [made(k, k, (1,)) for k in range(3)]
    engine = Pairs(parts[0], [RuntimeError("died") for _ in range(failures)])
    given = list(run_jobs(iter(parts), lambda part: part, None, MemoryStore(), engine))
    assert given == [[part] for part in parts]


def test_the_fourth_failure_is_the_last():
    with pytest.raises(SegmentError, match=r"frame 4 failed 4 times: RuntimeError: out of luck"):
        run([4] * 4)


@pytest.mark.parametrize(
    ("error", "shown"), [(SourceError("x"), SegmentError), (OSError(28, "full"), OSError)]
)
def test_what_would_only_repeat_is_not_tried_again(error, shown):
    with pytest.raises(shown, match=str(error).replace("[", r"\[").replace("]", r"\]")):
        run([5], error)


def test_a_defect_in_one_job_is_shown_as_it_is(source, out, monkeypatch):
    def fail(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(segment, "train_group", fail)
    with pytest.raises(ZeroDivisionError):
        encode(source, out, resume=True, **OPTIONS)
    assert os.listdir(out.parent) == ["in.y4m"]


def test_no_store_beside_what_is_no_file(tmp_path):
    assert SegmentStore.beside("-") is None
    assert SegmentStore.beside("/dev/null") is None
    (tmp_path / "link.nrv").symlink_to("real.nrv")
    assert SegmentStore.beside(tmp_path / "link.nrv").folder == tmp_path / "real.nrv.segments"


def test_workers_share_out_the_gpus(monkeypatch):
    used = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", used.append)
    for worker in range(3):
        use_gpu(worker)
    assert used == [0, 1, 0]
