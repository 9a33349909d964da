"""Where the chroma samples of a source lie (H.273 chroma sample location type)."""

from __future__ import annotations

from typing import Final

from nvcodec.media.notes import Notes
from nvcodec.media.orientation import Orientation

UNKNOWN: Final = 255
CENTRED: Final = 1

# For each type, the position (x, y) of the first chroma sample, in luma samples.
_OFFSETS: Final = {
    0: (0.0, 0.5),
    CENTRED: (0.5, 0.5),
    2: (0.0, 0.0),
    3: (0.5, 0.0),
    4: (0.0, 1.0),
    5: (0.5, 1.0),
}


def turned(location: int, orientation: Orientation, size: tuple[int, int], notes: Notes) -> int:
    """The type, or the nearest one, after pictures have been turned; `size` is the displayed size.

    UNKNOWN is treated as type 0. If turning does not move that, the result is UNKNOWN again.
    """
    if not orientation:
        return location
    shown = 0 if location == UNKNOWN else location
    x, y = orientation.chroma_offset(_OFFSETS[shown], *size)
    nearest = min(_OFFSETS, key=lambda k: abs(_OFFSETS[k][0] - x) + abs(_OFFSETS[k][1] - y))
    if _OFFSETS[nearest] != (x, y):
        notes.add("chroma position after the rotation has no code: the nearest is signalled")
    return location if nearest == shown else nearest
