"""The hDRm unit (spec 2.12): 29 bytes to the static HDR metadata of a video, and back."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from nvcodec.format.errors import CorruptError

_RULE: Final = "2.12"

_HDR: Final = struct.Struct("<B8H2I2H")
_PRIMARIES, _LUMINANCE, _LIGHT = 1, 2, 4

Chromaticity = tuple[int, int]


@dataclass(frozen=True)
class Hdr:
    """How a video was mastered; what is not known is None.

    Attributes:
        primaries: (x, y) of red, green, blue and white of the mastering display in 1/50000.
        luminance: greatest and least of the mastering display in 1/10000 cd/m².
        light: maximum content and maximum frame-average light level in cd/m².

    """

    primaries: tuple[Chromaticity, Chromaticity, Chromaticity, Chromaticity] | None = None
    luminance: tuple[int, int] | None = None
    light: tuple[int, int] | None = None


def parse_hdr(payload: bytes) -> Hdr:
    """Read the payload of an hDRm unit (spec 2.12).

    Raises:
        CorruptError: it is not 29 bytes, or a field is outside its rule.

    """
    if len(payload) != _HDR.size:
        raise CorruptError(f"the payload is {len(payload)} bytes, not {_HDR.size}", rule=_RULE)
    flags, *values = _HDR.unpack(payload)
    if not 1 <= flags <= _PRIMARIES | _LUMINANCE | _LIGHT:
        raise CorruptError(f"flags {flags:#04x} has none or undefined bits set", rule=_RULE)
    colours, luminance, light = values[:8], values[8:10], values[10:]
    for known, part in ((_PRIMARIES, colours), (_LUMINANCE, luminance), (_LIGHT, light)):
        if not flags & known and any(part):
            raise CorruptError("a field that is not known is not 0", rule=_RULE)
    red, green, blue, white = zip(colours[::2], colours[1::2], strict=True)
    return Hdr(
        (red, green, blue, white) if flags & _PRIMARIES else None,
        (luminance[0], luminance[1]) if flags & _LUMINANCE else None,
        (light[0], light[1]) if flags & _LIGHT else None,
    )


def build_hdr(hdr: Hdr) -> bytes:
    """The payload of an hDRm unit, 29 bytes (spec 2.12).

    Raises:
        CorruptError: nothing is known, or a value does not fit its field.

    """
    flags = 0
    for known, part in (
        (_PRIMARIES, hdr.primaries),
        (_LUMINANCE, hdr.luminance),
        (_LIGHT, hdr.light),
    ):
        flags |= known if part is not None else 0
    if not flags:
        raise CorruptError("no field is known", rule=_RULE)
    colours = [value for point in hdr.primaries or ((0, 0),) * 4 for value in point]
    try:
        return _HDR.pack(flags, *colours, *(hdr.luminance or (0, 0)), *(hdr.light or (0, 0)))
    except struct.error as error:
        raise CorruptError(f"a value does not fit its field: {error}", rule=_RULE) from error
