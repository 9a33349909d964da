"""The output of a decoder: a frame or a region of one, with its time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from nvcodec.picture import Planes


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """A rendered frame.

    Attributes:
        index: number of the frame in the video, from 0.
        pts: presentation time in ticks of `time_base`.
        duration: ticks that the frame is shown for.
        time_base: seconds per tick.
        planes: arrays Y (height, width), Cb and Cr, or Y alone in monochrome, with the shapes and
            dtype of `Header.sample_format`: in 4:2:0, Cb and Cr have half of both sizes, rounded
            up; u8, or u16 above 8 bits. From a decoder with `tensors` they are `torch.Tensor`s on
            the device.

    """

    index: int
    pts: int
    duration: int
    time_base: Fraction
    planes: Planes

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds."""
        return self.pts * self.time_base

    @property
    def width(self) -> int:
        """Luma samples per row."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Luma rows."""
        return int(self.planes[0].shape[0])
