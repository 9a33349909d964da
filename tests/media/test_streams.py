"""Sources that are pipes and file objects."""

import io
import os
import signal
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from nvcodec.media.source import open_source
from nvcodec.media.y4m import Y4mWriter

from .clips import assert_same, encode, noise, read, y4m_bytes


def test_pipe_is_read_while_it_is_written():
    pictures = noise(6, 320, 240)
    reading, writing = os.pipe()
    taken = [threading.Event() for _ in pictures]

    def produce():
        with os.fdopen(writing, "wb") as file:
            writer = Y4mWriter(file, 320, 240, Fraction(30), None, 0, 0)
            for index, planes in enumerate(pictures):
                writer.write(planes)
                file.flush()
                # Two ahead: the source waits for one frame more than it has delivered.
                if index >= 2:
                    assert taken[index - 2].wait(10)

    thread = threading.Thread(target=produce)
    thread.start()
    with os.fdopen(reading, "rb") as file:
        with open_source(file) as source:
            for index, picture in enumerate(source):
                assert_same(picture, pictures[index])
                taken[index].set()
        assert not file.closed
    thread.join()
    assert all(event.is_set() for event in taken)


def test_limit_leaves_the_rest_of_a_pipe_unread():
    pictures = noise(2, 64, 64)
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as output, os.fdopen(reading, "rb") as file:
        writer = Y4mWriter(output, 64, 64, Fraction(30), None, 0, 0)
        for planes in pictures:
            writer.write(planes)
        output.flush()
        with open_source(file, frames=2) as source:
            assert len(list(source)) == 2


def test_file_object(tmp_path):
    pictures = noise(3, 16, 16)
    clip = encode(tmp_path / "a.mp4", pictures, 16, 16, codec="libx264")
    with clip.open("rb") as file:
        assert len(read(file)[1]) == 3
        assert not file.closed


def test_file_name_like_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("take:1.y4m").write_bytes(y4m_bytes(noise(1, 4, 4), 4, 4))
    assert len(read("take:1.y4m")[1]) == 1


@pytest.mark.parametrize("taken", [0, 40, 1000, 3 * 6150])
def test_an_interrupt_while_libav_reads_passes_on(taken, capfd):
    data = y4m_bytes(noise(4, 64, 64), 64, 64)

    class Stalling(io.BytesIO):
        def read1(self, size=-1):
            if self.tell() >= taken:
                raise KeyboardInterrupt
            return super().read1(min(size, taken - self.tell()))

    with pytest.raises(KeyboardInterrupt), open_source(Stalling(data)) as source:
        list(source)
    assert capfd.readouterr().err == ""


def test_an_interrupt_while_a_named_pipe_has_no_writer(tmp_path):
    path = tmp_path / "in.y4m"
    os.mkfifo(path)

    def stop(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1)
        with pytest.raises(KeyboardInterrupt):
            open_source(path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_named_pipe(tmp_path):
    path = tmp_path / "in.y4m"
    os.mkfifo(path)
    pictures = noise(3, 16, 16)
    thread = threading.Thread(target=path.write_bytes, args=(y4m_bytes(pictures, 16, 16),))
    thread.start()
    _, got = read(path)
    thread.join()
    for picture, planes in zip(got, pictures, strict=True):
        assert_same(picture, planes)
