"""Sources that are pipes and file objects."""

import os
import threading
from fractions import Fraction
from pathlib import Path

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
