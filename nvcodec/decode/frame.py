"""The output of a decoder: a frame or a region of one, with its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nvcodec.format import UnsupportedError
from nvcodec.media.colour import Colour
from nvcodec.picture import Planes

if TYPE_CHECKING:
    import torch
    from av.video.frame import VideoFrame
    from PIL.Image import Image


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """A rendered frame.

    Conversions make copies. RGB is made by the file's matrix and range, with chroma interpolated
    linearly at its positions; it keeps the file's primaries and transfer, so HDR stays HDR.

    Attributes:
        index: number of the frame in the video, from 0.
        pts: presentation time in ticks of `time_base`.
        duration: ticks that the frame is shown for.
        time_base: seconds per tick.
        planes: arrays Y (height, width), Cb and Cr, or Y alone in monochrome, with the shapes and
            dtype of `Header.sample_format`: in 4:2:0, Cb and Cr have half of both sizes, rounded
            up; u8, or u16 above 8 bits. From a decoder with `tensors` they are `torch.Tensor`s on
            the device.
        colour: what the samples mean.
        device: where `to_tensor` makes its tensors, in PyTorch's words.

    """

    index: int
    pts: int
    duration: int
    time_base: Fraction
    planes: Planes
    colour: Colour
    device: str = "cpu"

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

    def to_rgb(self) -> npt.NDArray[np.uint8]:
        """RGB, u8 (rows, columns, 3).

        Raises UnsupportedError for a matrix that has no conversion to RGB here.
        """
        from nvcodec.media.rgb import rgb_array

        rgb = rgb_array(self._arrays(), self.colour)
        return rgb if rgb.ndim == 3 else np.repeat(rgb[..., None], 3, axis=2)

    def to_tensor(self, dtype: torch.dtype | None = None) -> torch.Tensor:
        """RGB as a tensor (3, rows, columns), on the decoder's device.

        `dtype` is a floating-point type (float32 for None), with values 0..1, or torch.uint8.

        Raises ValueError for another dtype, UnsupportedError as `to_rgb` does and where PyTorch is
        not installed.
        """
        return rgb_batch([self], dtype)[0]

    def to_video_frame(self) -> VideoFrame:
        """A frame of PyAV in the file's own pixel format, such as yuv420p, with its time."""
        from nvcodec.media.video_frame import video_frame

        frame = video_frame(self._arrays(), self.colour)
        frame.pts, frame.time_base, frame.duration = self.pts, self.time_base, self.duration
        return frame

    def to_image(self) -> Image:
        """An image of Pillow, mode RGB.

        Raises UnsupportedError as `to_rgb` does and where Pillow is not installed.
        """
        try:
            from PIL import Image
        except ModuleNotFoundError as error:
            raise UnsupportedError("images need Pillow: pip install pillow") from error
        return Image.fromarray(self.to_rgb())

    def _arrays(self) -> Planes:
        """The planes in host memory."""
        planes: tuple[Any, ...] = self.planes
        return tuple(p if isinstance(p, np.ndarray) else p.cpu().numpy() for p in planes)


def rgb_batch(frames: Sequence[Frame], dtype: torch.dtype | None = None) -> torch.Tensor:
    """RGB of frames of one decoder and size: (frames, 3, rows, columns), as `Frame.to_tensor`.

    Raises ValueError for no frame too.
    """
    try:
        from nvcodec.media.tensors import rgb_tensor
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UnsupportedError("tensors need PyTorch: pip install torch") from error
    if not frames:
        raise ValueError("a tensor needs one frame at least")
    return rgb_tensor([f.planes for f in frames], frames[0].colour, frames[0].device, dtype)
