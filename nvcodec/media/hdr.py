"""Static HDR metadata of a frame: takes its side data as FFmpeg lays it out, gives an Hdr."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final

from av.video.frame import VideoFrame

from nvcodec.format import Hdr
from nvcodec.media.libav import side_data

# AVMasteringDisplayMetadata: rationals of red, green, blue and white, least and greatest
# luminance, and whether primaries and luminance are known.
_DISPLAY: Final = struct.Struct("=22i")
# AVContentLightMetadata.
_LIGHT: Final = struct.Struct("=2I")

_PER_CHROMATICITY: Final = 50000
_PER_CANDELA: Final = 10000


def read_hdr(frame: VideoFrame) -> Hdr | None:
    """Mastering display and content light level of a frame, None where it has neither.

    Values that are no chromaticity or luminance count as unknown.
    """
    primaries = luminance = light = None
    display = _bytes_of(frame, "MASTERING_DISPLAY_METADATA")
    if len(display) >= _DISPLAY.size:
        *values, has_primaries, has_luminance = _DISPLAY.unpack_from(display)
        terms = list(zip(values[::2], values[1::2], strict=True))
        points = _scaled(terms[:8], _PER_CHROMATICITY, 1 << 16)
        levels = _scaled(terms[8:], _PER_CANDELA, 1 << 32)
        if has_primaries and points is not None:
            red, green, blue, white = zip(points[::2], points[1::2], strict=True)
            primaries = red, green, blue, white
        if has_luminance and levels is not None:
            luminance = levels[1], levels[0]
    content = _bytes_of(frame, "CONTENT_LIGHT_LEVEL")
    if len(content) >= _LIGHT.size:
        most, average = _LIGHT.unpack_from(content)
        if max(most, average) < 1 << 16:
            light = most, average
    hdr = Hdr(primaries, luminance, light)
    return None if hdr == Hdr() else hdr


def _bytes_of(frame: VideoFrame, kind: str) -> bytes:
    found = side_data(frame).get(kind)
    return b"" if found is None else bytes(found)


def _scaled(terms: list[tuple[int, int]], unit: int, bound: int) -> list[int] | None:
    """Rationals in units of 1 / `unit`, None where one is none or not in 0..bound - 1."""
    if any(den == 0 for _, den in terms):
        return None
    values = [round(Fraction(num, den) * unit) for num, den in terms]
    return values if all(0 <= value < bound for value in values) else None
