"""Processes that compile ahead."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nvcodec import ahead
from nvcodec.ahead import Helpers, calls
from nvcodec.compiled import kernel


@pytest.mark.parametrize("work", ["decoder", "encoder"])
def test_all_calls_of_the_list_can_be_described(work):
    listed = json.loads(Path(ahead.__file__).with_name("first_calls.json").read_text())
    assert len(list(calls(work))) == sum(map(len, listed[work])) > 0


def test_calls_of_the_list_are_recognised():
    for listed, arguments in list(calls("decoder"))[:3]:
        assert ahead._is_listed("decoder", listed, ahead.key_of(listed, arguments))


def test_other_kernels_start_no_process(monkeypatch):
    monkeypatch.setattr(ahead, "_cores", lambda: 4)
    (listed, arguments), *_ = calls("decoder")
    with Helpers("decoder", None) as helpers:
        helpers.missing(kernel(lambda x: x), "key")
        helpers.missing(listed, ahead.key_of(listed, arguments))
        assert helpers.processes == []


def test_one_thread_starts_no_process():
    (listed, arguments), *_ = calls("decoder")
    with Helpers("decoder", 1) as helpers:
        helpers.missing(listed, ahead.key_of(listed, arguments))
        assert helpers.processes == []


def test_helpers_end_with_their_command(monkeypatch, tmp_path):
    monkeypatch.setattr(ahead, "_cores", lambda: 2)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    (listed, arguments), *_ = calls("decoder")
    with Helpers("decoder", None) as helpers:
        helpers.missing(listed, ahead.key_of(listed, arguments))
        (process,) = helpers.processes
        assert process.poll() is None
        assert helpers.compiled == 0
    assert process.returncode is not None


def test_no_process_where_kernels_cannot_be_kept(monkeypatch):
    monkeypatch.setattr(ahead, "_cores", lambda: 2)
    (listed, arguments), *_ = calls("decoder")
    monkeypatch.setattr(type(listed.store), "_claims", lambda _: None)
    with Helpers("decoder", None) as helpers:
        helpers.missing(listed, ahead.key_of(listed, arguments))
        assert helpers.processes == []


@pytest.mark.deep
def test_the_list_is_that_of_a_first_use():
    # In a process of its own: what others have called before is not recorded again.
    program = "from tools import first_calls as f; print(f.text(f.recorded()), end='')"
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    found, listed = (
        {work: [{name for name, _ in part} for part in parts] for work, parts in each.items()}
        for each in (json.loads(made.stdout), ahead._list())
    )
    assert found == listed
