"""Figures of the classical codecs, through PyAV: a clip is encoded to a file, decoded and compared.

Their rate is the bytes of their packets. In their favour it leaves out the container, the parameter
sets in it (some 40 to 90 bytes for x264 and x265), and x264's text of its settings. Only the first
frame and scene cuts are key frames.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from nvcodec.picture import Planes
from tools.lib.clips import from_frame, to_frame
from tools.lib.measure import Figures, compared

# Without this, SVT-AV1 prints its settings on standard error.
os.environ.setdefault("SVT_LOG", "1")

_X264 = {"preset": "medium", "x264-params": "keyint=infinite:log-level=error"}
_X265 = {"preset": "medium", "x265-params": "keyint=-1:info=0:log-level=error"}
_SVTAV1 = {"svtav1-params": "keyint=-1"}
_SVTAV1_CRF = (25.0, 33.0, 41.0, 49.0, 57.0, 63.0)
_PSNR = {"tune": "psnr"}


@dataclass(frozen=True)
class Peer:
    """A codec of FFmpeg's libraries: its options, and values of `crf` that span its range."""

    codec: str
    options: dict[str, str]
    qualities: tuple[float, ...]

    @property
    def available(self) -> bool:
        """Whether PyAV was built with it."""
        try:
            av.codec.Codec(self.codec, "w")
        except ValueError:
            return False
        return True


_CRF = (20.0, 24.0, 28.0, 32.0, 36.0, 40.0, 44.0, 48.0)
PEERS = {
    "x264": Peer("libx264", _X264, _CRF),
    "x264:psnr": Peer("libx264", _X264 | _PSNR, _CRF),
    "x265": Peer("libx265", _X265, _CRF),
    "x265:psnr": Peer("libx265", _X265 | _PSNR, _CRF),
    "svtav1": Peer("libsvtav1", _SVTAV1 | {"preset": "6"}, _SVTAV1_CRF),
}
PEERS |= {
    f"svtav1:{preset}": Peer("libsvtav1", _SVTAV1 | {"preset": f"{preset}"}, _SVTAV1_CRF)
    for preset in (2, 4, 8, 10)
}
"""x264 and x265 at medium, without and with tune=psnr; SVT-AV1 at preset 6 or the one named."""


def measure_peer(
    pictures: Sequence[Planes],
    rate: Fraction | None,
    peer: Peer,
    crf: float,
    metrics: Sequence[str] = (),
) -> Figures:
    """Encode pictures at a frame rate and `crf`, decode the file, compare.

    `metrics` are measured in addition to PSNR. Seconds are with the codec's default threads. Raises
    ValueError for x265 with fewer than 64 columns, where it would corrupt memory.
    """
    if peer.codec == "libx265" and pictures[0][0].shape[1] < 64:
        raise ValueError("x265 needs pictures of at least 64 columns")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.mkv"
        started, cpu = time.perf_counter(), time.process_time()
        size, keys = _encode(path, pictures, rate or Fraction(25), peer, crf)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        figures = compared(pictures, _decode(path), metrics)
    figures.bytes, figures.keys, figures.encode_seconds = size, keys, seconds
    figures.encode_cpu_seconds = cpu
    return figures


def _encode(
    path: Path, pictures: Sequence[Planes], rate: Fraction, peer: Peer, crf: float
) -> tuple[int, int]:
    """Encode to a new file; returns its bytes and number of key frames."""
    height, width = pictures[0][0].shape
    with av.open(str(path), "w") as output:
        stream = output.add_stream(peer.codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = peer.options | {"crf": f"{crf:g}"}
        packets = []
        for number, planes in enumerate(pictures):
            frame = to_frame(planes)
            frame.pts, frame.time_base = number, 1 / rate
            packets += stream.encode(frame)
        packets += stream.encode(None)
        size = sum(packet.size for packet in packets)
        keys = sum(packet.is_keyframe for packet in packets)
        if peer.codec == "libx264":
            size -= settings_bytes(bytes(packets[0]))
        # Only now, because PyAV empties a packet when it writes it.
        output.mux(packets)
    return size, keys


def settings_bytes(packet: bytes) -> int:
    """Bytes of the unregistered user data (H.264 SEI units of type 5) in an Annex B packet."""
    starts = []
    at = packet.find(b"\0\0\1")
    while at >= 0:
        starts.append(at)
        at = packet.find(b"\0\0\1", at + 3)
    return sum(
        end - begin
        for begin, end in zip(starts, [*starts[1:], len(packet)], strict=True)
        if packet[begin + 3] & 31 == 6 and packet[begin + 4] == 5
    )


def _decode(path: Path) -> Iterator[Planes]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert isinstance(frame, VideoFrame)
            yield from_frame(frame)
