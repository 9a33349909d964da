"""What a file says of its pictures: their size, format, times and colour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from nvcodec.format.hdr import Hdr
from nvcodec.media.colour import Colour
from nvcodec.picture import SampleFormat


@dataclass(frozen=True, kw_only=True)
class VideoDescription:
    """Properties of a video that an output file has to say.

    Attributes:
        width: luma samples per row.
        height: luma rows.
        colour: how samples are stored and what they mean.
        time_base: seconds per tick of the frames' times.
        frame_rate: frames per second as a hint, or None when unknown.
        sar: width over height of a sample, or None when unknown.
        hdr: how the video was mastered, or None when unknown.
        field_order: "top" or "bottom", the field of each frame that comes first; None for
            progressive frames.

    """

    width: int
    height: int
    colour: Colour
    time_base: Fraction
    frame_rate: Fraction | None = None
    sar: Fraction | None = None
    hdr: Hdr | None = None
    field_order: str | None = None

    @property
    def sample_format(self) -> SampleFormat:
        """How samples are stored."""
        return self.colour.sample_format

    def in_format(self, sample_format: SampleFormat) -> VideoDescription:
        """The same video in another sample format."""
        return replace(self, colour=replace(self.colour, sample_format=sample_format))
