"""The cases of the table: what source files are like, and what nvdec makes of them."""

from __future__ import annotations

from dataclasses import dataclass

TURNS = {
    None: (0, False),
    "90": (-90, False),
    "180": (180, False),
    "270": (90, False),
    "mirrored": (0, True),
}
"""Turns clockwise by their names, None for none: (PyAV's degrees, mirrored left to right)."""


@dataclass(frozen=True)
class Case:
    """One combination.

    Attributes:
        model: the model that encodes.
        source: suffix of the source; "%02d.png" and the like are image sequences.
        codec: FFmpeg's encoder of the source.
        pixels: FFmpeg's pixel format of the source.
        out: suffix of nvdec's container.
        turn: one of `TURNS`.
        tracks: encoders of the tracks beside the video.
        uneven: whether durations vary.
        colour: one of `make.COLOURS`.
        mastered: whether it has mastering display and content light level.
        options: of the source's encoder.
        odd: whether the size is odd.

    """

    model: str
    source: str
    codec: str
    pixels: str
    out: str = ".mkv"
    turn: str | None = None
    tracks: tuple[str, ...] = ()
    uneven: bool = False
    colour: str | None = None
    mastered: bool = False
    options: str = ""
    odd: bool = False


HYBRID, NIRVANA = H, N = "hybrid", "nirvana"

CASES = (
    # 8 bits, 4:2:0.
    Case(H, ".mp4", "libx264", "yuv420p", ".mp4", tracks=("aac",)),
    Case(H, ".mp4", "libx264", "yuv420p", ".mkv", turn="90", tracks=("aac",), uneven=True),
    Case(H, ".mov", "libx264", "yuvj420p", ".mov", turn="180", tracks=("alac",)),
    Case(H, ".mkv", "libx264", "yuv420p", ".mkv", turn="270", tracks=("flac", "subrip")),
    Case(H, ".mp4", "libx265", "yuv420p", ".mov", turn="mirrored", tracks=("ac3",)),
    Case(H, ".webm", "libvpx", "yuva420p", ".webm", tracks=("vorbis",), uneven=True),
    Case(H, ".webm", "libvpx-vp9", "yuv420p", ".webm", tracks=("opus",), colour="bt709"),
    Case(H, ".mkv", "libsvtav1", "yuv420p", ".mp4", tracks=("eac3", "aac"), uneven=True),
    Case(H, ".avi", "mpeg4", "yuv420p", ".mkv", tracks=("mp3",), options="bf=2"),
    Case(H, ".avi", "libx264", "yuv420p", ".mp4", tracks=("ac3",), options="bf=3"),
    Case(H, ".ts", "libx264", "yuv420p", ".mp4", tracks=("mp2",), colour="bt709"),
    Case(H, ".ts", "mpeg2video", "yuv420p", ".mkv", tracks=("ac3",), options="bf=2"),
    Case(H, ".flv", "flv", "yuv420p", ".mkv", tracks=("mp3",)),
    Case(H, ".wmv", "wmv2", "yuv420p", ".mkv"),
    Case(H, ".y4m", "wrapped_avframe", "yuv420p", ".mp4", odd=True),
    Case(H, "%02d.jpg", "mjpeg", "yuvj420p", ".mp4"),
    Case(H, ".nut", "ffv1", "yuv420p", ".mkv", tracks=("pcm_s16le",), uneven=True, odd=True),
    Case(N, ".mp4", "libx264", "yuv420p", ".mkv", turn="90", tracks=("aac",), uneven=True),
    # 8 bits, other chroma.
    Case(H, ".mkv", "ffv1", "yuv422p", ".mkv", tracks=("wavpack",), uneven=True),
    Case(N, ".mov", "mjpeg", "yuvj422p", ".mov", turn="90", tracks=("pcm_s16le",)),
    Case(H, ".mkv", "libx264", "yuv444p", ".mp4", turn="mirrored", tracks=("opus",)),
    Case(N, ".webm", "libvpx-vp9", "yuv444p", ".webm", tracks=("opus",), uneven=True),
    Case(H, ".mkv", "ffv1", "gray", ".mkv", turn="270"),
    Case(N, ".avi", "ffv1", "yuv411p", ".mkv", tracks=("pcm_s16le",)),
    Case(H, ".gif", "gif", "rgb8", ".mkv", uneven=True),
    Case(N, "%02d.png", "png", "rgba", ".mp4"),
    Case(H, ".avi", "utvideo", "gbrp", ".mkv", colour="bt709"),
    # 10 bits.
    Case(
        H, ".mp4", "libx265", "yuv420p10le", ".mkv", turn="90", tracks=("aac",), colour="hlg",
        uneven=True,
    ),
    Case(H, ".mkv", "libx265", "yuv420p10le", ".mp4", tracks=("eac3",), colour="pq", mastered=True),
    Case(
        N, ".mp4", "libsvtav1", "yuv420p10le", ".webm", tracks=("opus",), colour="pq",
        mastered=True,
    ),
    Case(N, ".mov", "prores_ks", "yuv422p10le", ".mov", tracks=("pcm_s24le",), uneven=True),
    Case(H, ".mov", "prores_ks", "yuva444p10le", ".mov", turn="180", tracks=("pcm_s16le",)),
    Case(N, ".mov", "v210", "yuv422p10le", ".mkv"),
    Case(H, ".ts", "libx265", "yuv422p10le", ".mkv", tracks=("aac",), colour="hlg"),
    Case(N, ".mkv", "ffv1", "gray10le", ".mkv", turn="mirrored", uneven=True),
    # 12 bits and more.
    Case(H, ".mkv", "ffv1", "yuv420p12le", ".mkv", tracks=("opus", "subrip"), uneven=True),
    Case(N, ".mp4", "libx265", "yuv422p12le", ".mp4", tracks=("aac",), colour="pq"),
    Case(H, ".mkv", "libx265", "yuv444p12le", ".mkv", turn="90", tracks=("flac",)),
    Case(N, ".mkv", "ffv1", "yuv444p16le", ".mkv", odd=True),
    Case(N, "%02d.png", "png", "rgb48be", ".mkv"),
)  # fmt: skip
