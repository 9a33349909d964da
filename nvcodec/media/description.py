"""What a file says of its pictures: their size, format, times and colour."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from nvcodec.format.hdr import Hdr
from nvcodec.picture import SampleFormat

FULL_RANGE = 1
UNSPECIFIED = 2
"""Code point "unspecified" of primaries, transfer, matrix (H.273) and range (HEAD, spec 2.4)."""

_CHROMA_LOCATIONS = ("left", "center", "topleft", "top", "bottomleft", "bottom")


@dataclass(frozen=True, kw_only=True)
class VideoDescription:
    """Properties of a video that an output file has to say.

    Attributes:
        width: luma samples per row.
        height: luma rows.
        sample_format: how samples are stored.
        time_base: seconds per tick of the frames' times.
        frame_rate: frames per second as a hint, or None when unknown.
        sar: width over height of a sample, or None when unknown.
        colour_primaries: code point of H.273, as `transfer` and `matrix`.
        transfer: as `colour_primaries`.
        matrix: as `colour_primaries`.
        full_range: 0 limited, 1 full, 2 unspecified, which counts as limited.
        chroma_location: type 0 to 5 of H.273, or 255 for unspecified, which counts as 0.
        hdr: how the video was mastered, or None when unknown.
        field_order: "top" or "bottom", the field of each frame that comes first; None for
            progressive frames.

    """

    width: int
    height: int
    sample_format: SampleFormat
    time_base: Fraction
    frame_rate: Fraction | None = None
    sar: Fraction | None = None
    colour_primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    full_range: int = UNSPECIFIED
    chroma_location: int = 255
    hdr: Hdr | None = None
    field_order: str | None = None

    @property
    def chroma_location_name(self) -> str:
        """FFmpeg's name of the chroma location; "unspecified" where chroma is not subsampled."""
        subsampled = self.sample_format.chroma_shift != (0, 0)
        if self.chroma_location == 255 or not subsampled:
            return "unspecified"
        return _CHROMA_LOCATIONS[self.chroma_location]
