"""Sources: takes a case, writes its file, and says what its frames have to come out as."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tools.combinations.cases import TURNS, Case

FRAMES: Final = 9
RATE: Final = 25
_DURATIONS: Final = (1, 3, 1, 2, 6, 1, 1, 4, 1)
"""Durations of uneven frames, in frames of the rate."""

COLOURS: Final = {None: (2, 2, 2), "bt709": (1, 1, 1), "pq": (9, 16, 9), "hlg": (9, 18, 9)}
"""Primaries, transfer and matrix (H.273)."""

_MASTERED: Final = {
    "libx265": (
        "x265-params",
        "log-level=error:master-display=G(8500,39850)B(6550,2300)R(35400,14600)"
        "WP(15635,16450)L(10000000,50):max-cll=1000,400",
    ),
    "libsvtav1": (
        "svtav1-params",
        "mastering-display=G(0.17,0.797)B(0.131,0.046)R(0.708,0.292)WP(0.3127,0.329)"
        "L(1000,0.005):content-light=1000,400",
    ),
}
_SOUND_RATE: Final = 48000


def size_of(case: Case) -> tuple[int, int]:
    """(width, height) of the source, before it is turned."""
    return (95, 63) if case.odd else (96, 64)


def times_of(case: Case) -> tuple[list[int], int]:
    """Times of the frames in 1/25 s, and the end of the last."""
    durations = _DURATIONS if case.uneven else (1,) * FRAMES
    ends = np.cumsum(durations).tolist()
    return [0, *ends[:-1]], ends[-1]


def make(case: Case, folder: Path) -> str:
    """Write the source of a case; its path, or the pattern of an image sequence."""
    path = str(folder / f"source{case.source}")
    options = {"start_number": "0"} if "%" in path else {}
    with av.open(path, "w", options=options) as output:
        video = _add_video(output, case)
        tracks = [_add_track(output, codec) for codec in case.tracks]
        packets = list(_video_packets(video, case))
        for codec, stream in zip(case.tracks, tracks, strict=True):
            packets += _track_packets(codec, stream, times_of(case)[1])
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            output.mux(packet)
    return path


def _add_video(output: Any, case: Case) -> VideoStream:
    stream: VideoStream = output.add_stream(case.codec, rate=RATE)
    context = stream.codec_context
    stream.width, stream.height = size_of(case)
    stream.pix_fmt = case.pixels
    context.time_base = Fraction(1, RATE)
    options = dict(pair.split("=", 1) for pair in case.options.split(",") if pair)
    if case.codec == "libx265":
        options["x265-params"] = "log-level=error"
    if case.codec == "libvpx":
        options["auto-alt-ref"] = "0"
    if case.mastered:
        name, text = _MASTERED[case.codec]
        options[name] = text
    if case.codec in ("mpeg4", "mpeg2video", "flv", "wmv2", "mjpeg"):
        context.bit_rate = 2_000_000
    stream.options = options
    context.color_primaries, context.color_trc, context.colorspace = COLOURS[case.colour]
    if case.turn:
        degrees, mirrored = TURNS[case.turn]
        stream.set_display_rotation(degrees, hflip=mirrored)
    return stream


def _video_packets(stream: VideoStream, case: Case) -> Any:
    times, _ = times_of(case)
    for number, time in enumerate(times):
        frame = _picture(number, case)
        frame.pts, frame.time_base = time, Fraction(1, RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _picture(number: int, case: Case) -> VideoFrame:
    """A soft pattern of all colours that moves."""
    width, height = size_of(case)
    y, x = np.indices((height, width))
    shifts = np.array([0.0, 2.1, 4.2])
    waves = np.sin((x[..., None] + 2 * number) / 11 + y[..., None] / 17 + shifts)
    rgb = (128 + 90 * waves).astype(np.float64)
    deep = VideoFrame.from_ndarray((rgb * 257).astype(np.uint16), format="rgb48le")
    frame = deep.reformat(format=case.pixels, dst_colorspace=1)
    frame.color_primaries, frame.color_trc, frame.colorspace = COLOURS[case.colour]
    return frame


def _add_track(output: Any, codec: str) -> Any:
    if codec == "subrip":
        stream = output.add_mux_stream("subrip")
        stream.time_base = Fraction(1, 1000)
    else:
        # FFmpeg's own encoder of Vorbis counts as experimental.
        options = {"strict": "-2"}
        stream = output.add_stream(codec, rate=_SOUND_RATE, layout="stereo", options=options)
        stream.metadata["title"] = f"sound in {codec}"
    stream.metadata["language"] = "deu"
    return stream


def _track_packets(codec: str, stream: Any, end: int) -> list[Any]:
    if codec == "subrip":
        found = []
        for number in range(2):
            packet: Any = av.Packet(f"line {number}".encode())
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = 150 * number
            packet.duration = 100
            found.append(packet)
        return found
    count = end * _SOUND_RATE // RATE
    tone = 0.2 * np.sin(np.arange(count) / 20)
    packets: list[Any] = []
    parts = stream.frame_size or 1024
    resampler = av.AudioResampler(stream.format.name, "stereo", _SOUND_RATE, parts)
    frame = av.AudioFrame.from_ndarray(np.stack([tone, -tone]).astype(np.float32), "fltp", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = _SOUND_RATE, 0, Fraction(1, _SOUND_RATE)
    for part in (*resampler.resample(frame), *resampler.resample(None)):
        packets += stream.encode(part)
    return packets + stream.encode(None)
