"""Packets of tracks stand where the source has them, however far it has been read."""

from fractions import Fraction

import av
import numpy as np
import pytest

from nvcodec.media.source import open_source
from nvcodec.options import TrackChoice


@pytest.fixture
def late(tmp_path):
    """A second of video whose sound comes half a second later in the file."""
    path = tmp_path / "in.mkv"
    # The writer would sort the packets.
    with av.open(str(path), "w", options={"max_interleave_delta": "1"}) as output:
        video = output.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 32, 16, "yuv420p"
        sound = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        for index in range(38):
            if index < 25:
                frame = av.VideoFrame(32, 16, "yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(video.encode(frame))
            if index >= 13:
                heard = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.int16), "s16", "mono")
                heard.sample_rate, heard.pts = 8000, 320 * (index - 13)
                heard.time_base = Fraction(1, 8000)
                output.mux(sound.encode(heard))
        output.mux(video.encode(None))
        output.mux(sound.encode(None))
    return path


def groups(path, read_ahead):
    """Times of the packets before each five pictures, and of the rest."""
    with open_source(path, tracks=TrackChoice.of("all")) as source:
        pictures = list(source) if read_ahead else None
        found = []
        for end in range(5, 26, 5):
            if pictures is None:
                for _ in range(5):
                    next(source)
            packets = source.packets_before(Fraction(end, 25), end)
            found.append([packet.pts for packet in packets])
        found.append([p.pts for p in source.last_packets(Fraction(1), whole=True)])
        return found


def test_how_far_the_source_is_read_does_not_matter(late, monkeypatch):
    monkeypatch.setattr("nvcodec.media.source._AHEAD", 1)
    as_it_goes = groups(late, read_ahead=False)
    assert groups(late, read_ahead=True) == as_it_goes
    # The sound is late: that of the first groups stands after them.
    assert as_it_goes[:2] == [[], []]
    assert sum(map(len, as_it_goes)) == 25
