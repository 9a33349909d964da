"""An interrupt at any line of what hands groups over and writes them leaves a valid file."""

import sys
from collections import Counter

import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.encode import encoder
from tests.cli.support import moving, y4m

FRAMES = 8

HANDS = ("format/writer.py", "encode/writing.py", "nirvana/video.py", "hybrid/video.py")


class Interrupter:
    """Raises KeyboardInterrupt at one line, the second time that it runs if there is one."""

    def __init__(self, line=None, times=0):
        self.lines = Counter()
        self._line = line
        self._number = min(times, 2)

    def __call__(self, frame, _event, _argument):
        return self._traced if frame.f_code.co_filename.endswith(HANDS) else None

    def _traced(self, frame, event, _argument):
        if event == "line":
            line = frame.f_code.co_filename, frame.f_lineno
            self.lines[line] += 1
            if line == self._line and self.lines[line] == self._number:
                raise KeyboardInterrupt
        return self._traced


def encode(source, out, interrupter, **options):
    before = sys.gettrace()
    sys.settrace(interrupter)
    try:
        encoder.encode(source, out, group_size=2, threads=2, **options)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def pictures(path):
    with Decoder(path) as decoder:
        return [[plane.tobytes() for plane in frame.planes] for frame in decoder.frames()]


@pytest.mark.parametrize(
    "options",
    [
        {"model": "nirvana", "preset": "fast"},
        pytest.param({"model": "hybrid", "preset": "ultrafast"}, marks=pytest.mark.deep),
    ],
    ids=["nirvana", "hybrid"],
)
def test_an_interrupt_at_any_line(tmp_path, options):
    source, out = tmp_path / "in.y4m", tmp_path / "whole.nrv"
    source.write_bytes(y4m(moving(FRAMES, 24, 16)))
    counting = Interrupter()
    encode(source, out, counting, **options)
    whole = pictures(out)
    assert len(whole) == FRAMES
    kept = Counter()
    for number, (line, times) in enumerate(counting.lines.items()):
        out = tmp_path / f"{number}.nrv"
        if encode(source, out, Interrupter(line, times), **options) and out.exists():
            found = pictures(out)
            assert found == whole[: len(found)], line
            kept[len(found)] += 1
    assert len(kept) > 1
