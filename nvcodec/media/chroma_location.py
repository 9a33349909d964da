"""Where the chroma samples of a source lie (H.273 chroma sample location type)."""

from __future__ import annotations

from typing import Final

from nvcodec.media.colour import CHROMA_OFFSETS
from nvcodec.media.notes import Notes
from nvcodec.media.orientation import Orientation
from nvcodec.picture import SampleFormat

UNKNOWN: Final = 255
CENTRED: Final = 1


def rendered(location: int) -> int:
    """The type 0..5 that a type or UNKNOWN renders as (spec 2.4)."""
    return 0 if location == UNKNOWN else location


def resampled(location: int) -> int:
    """The type that chroma gets at another resolution: across as before, down half way."""
    return CENTRED if CHROMA_OFFSETS[rendered(location)][0] else 0


def turned(
    location: int,
    orientation: Orientation,
    samples: SampleFormat,
    size: tuple[int, int],
    notes: Notes,
) -> int:
    """The type, or the nearest one, after pictures have been turned.

    `samples` and `size` are those of the displayed pictures. UNKNOWN is treated as type 0. If
    turning does not move that, the result is UNKNOWN again.
    """
    if not orientation:
        return location
    x, y = orientation.chroma_offset(CHROMA_OFFSETS[rendered(location)], samples, *size)
    across, down = samples.chroma_shift

    def distance(type_: int) -> float:
        column, row = CHROMA_OFFSETS[type_]
        return across * abs(column - x) + down * abs(row - y)

    nearest = min(CHROMA_OFFSETS, key=distance)
    if distance(nearest):
        notes.add("chroma position after the rotation has no code: the nearest is signalled")
    return location if distance(rendered(location)) == distance(nearest) else nearest
