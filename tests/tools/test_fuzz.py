"""A short run of tools.fuzz, what it has found before, and faults that it must find."""

import io
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.format import Group, UnitReader, hdr
from tools.fuzz import large, mutate, processes, seeds, targets
from tools.fuzz import run as running
from tools.fuzz.run import examined, made, run
from tools.fuzz.targets import Corpus, Input

FINDINGS = sorted((Path(__file__).parents[1] / "findings").glob("*-*"))

SHORT = {
    "parsers": 1500,
    "reader": 250,
    "seek": 120,
    "rebuild": 60,
    "render": 25,
    "differential": 15,
    "reference": 8,
    "large": 2,
    "sources": 30,
    "commands": 12,
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(seeds.bitstreams(), seeds.media())


@pytest.mark.parametrize("target", SHORT)
def test_a_short_run(target, corpus):
    for finding in run(target, 7, range(SHORT[target]), corpus):
        assert finding is None, f"{finding.number}: {finding.details}"


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.name)
def test_what_was_found(path, corpus):
    target = path.name.split("-")[0]
    for number in range(10):
        item = Input(path.read_bytes(), path.suffix)
        finding = examined(target, number, item, random.Random(number), corpus)
        assert finding is None, finding.details


def test_seeds_are_answers(corpus):
    """Nothing is wrong with a file that is not mutated, and all of it is intact."""
    formats = {UnitReader(io.BytesIO(seed.data)).header.sample_format for seed in corpus.seeds}
    assert len(formats) == 12
    for seed in [*corpus.seeds[:9], *corpus.seeds[9::7]]:
        item = Input(seed.data, seed=seed)
        assert targets.intact(item)[1] == len(seed.frames)
        for target in ("reader", "seek", "rebuild", "differential"):
            assert examined(target, 0, item, random.Random(0), corpus) is None
        assert mutate.join(mutate.split(seed.data)) == seed.data


def test_cases_depend_on_their_number_alone(corpus):
    first = [made("reader", 1, number, corpus)[0].data for number in range(50)]
    assert first == [made("reader", 1, number, corpus)[0].data for number in range(50)]
    assert len(set(first)) > 45
    kinds = {unit.kind for data in first for unit in mutate.split(data)}
    assert kinds > {b"HEAD", b"GRUP", b"FEND", b"mETa", b"aPKt"}


def test_untyped_errors_and_lost_frames_are_found(corpus, monkeypatch):
    seed = corpus.seeds[0]
    assert all(finding is None for finding in run("parsers", 3, range(300), corpus))
    monkeypatch.setattr(targets, "parse_hdr", lambda data: data[100])
    monkeypatch.setattr(targets, "parse_packets", lambda data, tracks: [][1])
    found = [finding for finding in run("parsers", 3, range(300), corpus) if finding is not None]
    assert {finding.place.split()[0] for finding in found} == {"IndexError"}
    assert hdr.parse_hdr is not targets.parse_hdr
    cut = Input(seed.data[:-60], seed=seed)
    monkeypatch.setattr(targets, "_frames", lambda decoder, **_: ([], "nothing"))
    finding = examined("differential", 0, cut, random.Random(0), corpus)
    assert finding is not None
    assert "frames" in finding.details


def test_cases_that_take_long_are_found(corpus, monkeypatch):
    def slow(item, rng, corpus):
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass

    monkeypatch.setitem(targets.TARGETS, "slow", (targets.make_bitstream, slow))
    monkeypatch.setattr(running, "MOST_SECONDS", 0.02)
    finding = examined("slow", 0, Input(b""), random.Random(0), corpus)
    assert finding is not None
    assert finding.place == "time"


def test_files_that_take_too_much_are_found(corpus, monkeypatch):
    data = corpus.seeds[0].data
    found = large.settled(data)
    found.require()
    assert found.steps == len(corpus.seeds[0].frames) + 1
    with monkeypatch.context() as patch:
        patch.setattr(large, "MOST_SECONDS", found.share / 2)
        with pytest.raises(large.SlowError, match="processor time"):
            found.require()
    monkeypatch.setattr(large, "SLACK", -found.stated - 1)
    with pytest.raises(large.SlowError, match="MiB"):
        found.require()


def test_memory_is_that_of_the_decoder():
    """A large file that is refused at its first unit takes next to nothing."""
    data = mutate.join([mutate.Unit(b"GRUP", bytes(1 << 20))] * 64)
    assert large.taken(data).memory < 16 << 20


def test_large_files_have_the_syntax_that_they_are_for():
    """Root blocks that are repeated are taken for what they are, at the bounds of the level."""
    with Decoder(io.BytesIO(large.made("hybrid escapes")), limits=large.LIMITS) as decoder:
        assert decoder.header.counted_samples == large.LEVEL.luma_samples
        luma = decoder.frames(crop=(1022, 1024, 0, 0)).__next__().planes[0]
    assert not np.array_equal(luma[:64, :64], luma[:64, 64:128])
    assert luma.std() > 1


def test_groups_are_taken_apart_and_put_together(corpus):
    for payload in corpus.by_kind[b"GRUP"]:
        loose = mutate.LooseGroup.parse(payload)
        assert loose.build() == payload
        group = Group.parse(payload)
        assert (loose.first_frame, loose.first_pts) == (group.first_frame, group.first_pts)
        assert loose.substreams[1:] == (group.content, group.motion, group.network)


@pytest.mark.deep
def test_bounds_of_arrays(tmp_path):
    command = [sys.executable, "-m", "tools.fuzz", "--bounds", "--cases", "500", "--seed", "3"]
    command += ["--targets", "rebuild,render,differential", "--findings", tmp_path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("500 inputs, 0 wrong") == 3


def test_shared_cases(corpus):
    """Several processes."""
    findings = list(processes.shared("parsers", 1, 0, 300, 2, corpus))
    assert findings == []
